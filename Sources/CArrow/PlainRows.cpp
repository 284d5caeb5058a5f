#include "PlainRows.h"

#include <algorithm>
#include <utility>

#include <arrow/buffer.h>
#include <parquet/arrow/schema.h>
#include <parquet/column_reader.h>
#include <parquet/file_reader.h>

#include "PlainColumn.h"
#include "ZstandardPages.h"

namespace {

using carrow::PagePlaces;
using carrow::PageStarts;
using carrow::ReaderState;

// One column of chosen rows, a row group after the other. Of the pages those are kept that have any of the rows.
class ChosenRows {
 public:
  ChosenRows(std::shared_ptr<parquet::internal::RecordReader> reader,
             std::shared_ptr<arrow::ResizableBuffer> page)
      : reader_(std::move(reader)), page_(std::move(page)) {}

  // Goes on to a row group. Where its pages begin is not said when they are all kept.
  void Begin(PagePlaces places, int64_t rowCount) {
    hasStarts_ = !places.starts.empty();
    if (!hasStarts_) places.starts.push_back(0);
    places.starts.push_back(rowCount);
    starts_ = std::move(places.starts);
    offsets_ = std::move(places.offsets);
    isJumping_ = false;
    isKept_.assign(starts_.size() - 1, !hasStarts_);
    nextPage_ = 0;
    position_ = 0;
  }

  // Ranges of this row group are given in ascending order, before `Open`.
  void Choose(const CArrowRowRange& range) {
    if (range.rowCount == 0 || !hasStarts_) return;
    for (size_t page = PageOf(range.firstRow);
         page < isKept_.size() && starts_[page] < range.firstRow + range.rowCount; page++) {
      isKept_[page] = true;
    }
  }

  void Open(const carrow::ChunkToRead& chunk) {
    keptBefore_.assign(1, 0);
    for (size_t page = 0; page < isKept_.size(); page++) {
      keptBefore_.push_back(keptBefore_.back() + (isKept_[page] ? LengthOf(page) : 0));
    }
    std::function<bool(const parquet::DataPageStats&)> isSkipped;
    if (hasStarts_) {
      // `this` outlives the pages, which the reader has.
      isSkipped = [this](const parquet::DataPageStats& page) {
        while (isJumping_ && nextPage_ < isKept_.size() && !isKept_[nextPage_]) nextPage_++;
        const size_t index = nextPage_++;
        if (index >= isKept_.size() || page.num_values != LengthOf(index)) {
          throw parquet::ParquetException("the page index is not that of the pages");
        }
        return !isKept_[index];
      };
    }
    reader_->SetPageReader(carrow::OpenPages(
        chunk, [this](const carrow::ChunkLayout& layout) { return Choose(layout); },
        std::move(isSkipped)));
  }

  arrow::Status Read(int64_t firstRow, int64_t count) {
    const int64_t skipped = KeptBefore(firstRow) - KeptBefore(position_);
    if (reader_->SkipRecords(skipped) != skipped || reader_->ReadRecords(count) != count) {
      return arrow::Status::Invalid("a column has fewer values than rows");
    }
    position_ = firstRow + count;
    return arrow::Status::OK();
  }

  parquet::internal::RecordReader& reader() { return *reader_; }
  const std::shared_ptr<arrow::ResizableBuffer>& page() const { return page_; }

 private:
  // The kept pages alone, where it is known where they lie.
  carrow::PagesToRead Choose(const carrow::ChunkLayout& layout) {
    const int64_t end = layout.start + layout.byteCount;
    if (!hasStarts_ || offsets_.empty() || offsets_.front() < layout.start || offsets_.back() != end) {
      return {{{layout.start, layout.byteCount}}, layout.valueCount};
    }
    isJumping_ = true;
    std::vector<carrow::ByteRange> bytes{{layout.start, offsets_.front() - layout.start}};
    for (size_t page = 0; page < isKept_.size(); page++) {
      if (!isKept_[page]) continue;
      carrow::ByteRange& last = bytes.back();
      if (last.start + last.length == offsets_[page]) {
        last.length = offsets_[page + 1] - last.start;
      } else {
        bytes.push_back({offsets_[page], offsets_[page + 1] - offsets_[page]});
      }
    }
    return {std::move(bytes), keptBefore_.back()};
  }

  size_t PageOf(int64_t row) const {
    auto next = std::upper_bound(starts_.begin(), starts_.end(), row);
    return static_cast<size_t>(next - starts_.begin()) - 1;
  }

  int64_t LengthOf(size_t page) const { return starts_[page + 1] - starts_[page]; }

  // How many rows of the kept pages come before a row.
  int64_t KeptBefore(int64_t row) const {
    const size_t page = PageOf(row);
    if (page >= isKept_.size()) return keptBefore_.back();
    return keptBefore_[page] + (isKept_[page] ? row - starts_[page] : 0);
  }

  std::shared_ptr<parquet::internal::RecordReader> reader_;
  // The decompressed page that `reader_` is at.
  std::shared_ptr<arrow::ResizableBuffer> page_;
  bool hasStarts_ = false;
  // Where the pages begin, and the last one ends.
  PageStarts starts_;
  // Where they lie, if that is known.
  std::vector<int64_t> offsets_;
  // Whether the reader sees the kept pages alone.
  bool isJumping_ = false;
  std::vector<bool> isKept_;
  std::vector<int64_t> keptBefore_;
  size_t nextPage_ = 0;
  int64_t position_ = 0;
};

class PlainRowsReader final : public arrow::RecordBatchReader {
 public:
  PlainRowsReader(std::shared_ptr<ReaderState> state, std::vector<int> leaves,
                  std::shared_ptr<arrow::Schema> schema, std::vector<CArrowRowRange> ranges,
                  int64_t batchRows)
      : state_(std::move(state)),
        leaves_(std::move(leaves)),
        schema_(std::move(schema)),
        ranges_(std::move(ranges)),
        batchRows_(batchRows) {}

  std::shared_ptr<arrow::Schema> schema() const override { return schema_; }

  arrow::Status ReadNext(std::shared_ptr<arrow::RecordBatch>* out) override {
    out->reset();
    int64_t rows = 0;
    while (next_ < ranges_.size() && rows < batchRows_) {
      const CArrowRowRange& range = ranges_[next_];
      const int64_t count = std::min(range.rowCount - taken_, batchRows_ - rows);
      if (count > 0) {
        if (range.rowGroup != group_) {
          const bool goesOn = GoesOn(range.rowGroup);
          if (rows > 0 && !goesOn) break;
          ARROW_RETURN_NOT_OK(CheckEnds());
          if (!goesOn) columns_.clear();
          ARROW_RETURN_NOT_OK(Open(range.rowGroup));
        }
        if (rows == 0) Reserve(std::min(batchRows_, RowsLeft()));
        for (auto& column : columns_) {
          ARROW_RETURN_NOT_OK(column->Read(range.firstRow + taken_, count));
        }
      }
      rows += count;
      taken_ += count;
      if (taken_ == range.rowCount) {
        next_++;
        taken_ = 0;
      }
    }
    if (rows == 0) return arrow::Status::OK();
    arrow::ArrayVector arrays;
    arrow::FieldVector fields;
    for (size_t index = 0; index < columns_.size(); index++) {
      const auto& field = schema_->field(static_cast<int>(index));
      ARROW_ASSIGN_OR_RAISE(auto array, carrow::TakeValues(columns_[index]->reader(), field->type(),
                                                           state_->pool.get()));
      if (array->length() != rows) return arrow::Status::Invalid("a column has not as many values");
      fields.push_back(field->WithType(array->type()));
      arrays.push_back(std::move(array));
    }
    *out = arrow::RecordBatch::Make(arrow::schema(std::move(fields)), rows, std::move(arrays));
    return arrow::Status::OK();
  }

 private:
  bool IsReadByDictionary(int32_t group, size_t place) const {
    return carrow::IsReadByDictionary(
        *state_->metadata->RowGroup(group)->ColumnChunk(leaves_[place]));
  }

  // Whether the readers can go on to another row group: nothing is left of the last one, and they read the next one in
  // the same way.
  bool GoesOn(int32_t group) const {
    if (!isWhole_) return false;
    for (size_t place = 0; place < columns_.size(); place++) {
      if (columns_[place]->reader().read_dictionary() != IsReadByDictionary(group, place)) {
        return false;
      }
    }
    return true;
  }

  arrow::Status CheckEnds() {
    if (!isWhole_) return arrow::Status::OK();
    for (auto& column : columns_) ARROW_RETURN_NOT_OK(carrow::CheckEnd(column->reader()));
    return arrow::Status::OK();
  }

  arrow::Status Open(int32_t group) {
    if (columns_.empty()) ARROW_RETURN_NOT_OK(MakeColumns(group));
    auto* file = state_->reader->parquet_reader();
    auto rows = file->RowGroup(group);
    const int64_t rowCount = rows->metadata()->num_rows();
    size_t end = next_;
    int64_t chosen = 0;
    for (; end < ranges_.size() && ranges_[end].rowGroup == group; end++) {
      chosen += ranges_[end].rowCount;
    }
    isWhole_ = chosen == rowCount;
    for (size_t place = 0; place < leaves_.size(); place++) {
      ChosenRows& column = *columns_[place];
      column.Begin(
          isWhole_ ? PagePlaces{} : carrow::PagePlacesOf(state_.get(), group, leaves_[place]),
          rowCount);
      for (size_t range = next_; range < end; range++) column.Choose(ranges_[range]);
      column.Open({file, rows.get(), leaves_[place], state_->properties, state_->file,
                   state_->sizeBytes, state_->pool.get(), &zstandard_, column.page()});
    }
    group_ = group;
    return arrow::Status::OK();
  }

  int64_t RowsLeft() const {
    int64_t rows = -taken_;
    for (size_t range = next_; range < ranges_.size() && rows < batchRows_; range++) {
      rows += ranges_[range].rowCount;
    }
    return rows;
  }

  // Room for all rows of a batch, which else grows by copies. Of a column that may have nulls a reader looks ahead.
  void Reserve(int64_t rows) {
    for (auto& column : columns_) {
      auto& reader = column->reader();
      reader.Reserve(reader.nullable_values() ? 2 * rows : rows);
    }
  }

  arrow::Status MakeColumns(int32_t group) {
    for (size_t place = 0; place < leaves_.size(); place++) {
      ARROW_ASSIGN_OR_RAISE(auto page, arrow::AllocateResizableBuffer(0, state_->pool.get()));
      columns_.push_back(std::make_unique<ChosenRows>(
          carrow::PlainColumnReader(state_->metadata->schema()->Column(leaves_[place]),
                                    *schema_->field(static_cast<int>(place)),
                                    IsReadByDictionary(group, place), state_->pool.get()),
          std::move(page)));
    }
    return arrow::Status::OK();
  }

  std::shared_ptr<ReaderState> state_;
  carrow::ZstandardContext zstandard_;
  std::vector<int> leaves_;
  std::shared_ptr<arrow::Schema> schema_;
  std::vector<CArrowRowRange> ranges_;
  int64_t batchRows_;
  size_t next_ = 0;
  // Rows of the next range that were given already.
  int64_t taken_ = 0;
  int32_t group_ = -1;
  // Whether all of its rows are read.
  bool isWhole_ = true;
  std::vector<std::unique_ptr<ChosenRows>> columns_;
};

arrow::Status CheckRanges(const ReaderState& state, const std::vector<CArrowRowRange>& ranges) {
  const CArrowRowRange* last = nullptr;
  for (const CArrowRowRange& range : ranges) {
    if (range.rowGroup < 0 || range.rowGroup >= state.metadata->num_row_groups()) {
      return arrow::Status::IndexError("no row group ", range.rowGroup);
    }
    const int64_t rows = state.metadata->RowGroup(range.rowGroup)->num_rows();
    if (range.firstRow < 0 || range.rowCount < 0 || range.firstRow > rows ||
        range.rowCount > rows - range.firstRow) {
      return arrow::Status::IndexError("no such rows in row group ", range.rowGroup);
    }
    const bool ascends = last == nullptr || last->rowGroup < range.rowGroup ||
                         (last->rowGroup == range.rowGroup &&
                          last->firstRow + last->rowCount <= range.firstRow);
    if (!ascends) return arrow::Status::Invalid("ranges of rows that do not ascend");
    last = &range;
  }
  return arrow::Status::OK();
}

// Finds the leaves of the fields, which have to be plain; false when there is another.
arrow::Result<bool> FindLeaves(const ReaderState& state, const int32_t* fields, int32_t fieldCount,
                               std::vector<int>* leaves, arrow::FieldVector* chosen) {
  const auto& all = state.reader->manifest().schema_fields;
  for (int32_t index = 0; index < fieldCount; index++) {
    if (fields[index] < 0 || fields[index] >= static_cast<int32_t>(all.size())) {
      return arrow::Status::IndexError("no column ", fields[index]);
    }
    const auto& field = all[static_cast<size_t>(fields[index])];
    const auto& wanted = state.schema->field(fields[index]);
    if (field.column_index < 0 ||
        !carrow::IsPlain(*state.metadata->schema()->Column(field.column_index), *wanted)) {
      return false;
    }
    leaves->push_back(field.column_index);
    chosen->push_back(wanted);
  }
  return true;
}

}  // namespace

arrow::Result<std::shared_ptr<arrow::RecordBatchReader>> carrow::PlainRows(
    const std::shared_ptr<ReaderState>& state, const int32_t* fields, int32_t fieldCount,
    std::vector<CArrowRowRange> ranges, int64_t batchRows) {
  ARROW_RETURN_NOT_OK(CheckRanges(*state, ranges));
  std::vector<int> leaves;
  arrow::FieldVector columns;
  ARROW_ASSIGN_OR_RAISE(bool arePlain, FindLeaves(*state, fields, fieldCount, &leaves, &columns));
  if (!arePlain) return nullptr;
  return std::make_shared<PlainRowsReader>(state, std::move(leaves),
                                           arrow::schema(std::move(columns)), std::move(ranges),
                                           batchRows);
}
