#include <algorithm>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include <arrow/c/bridge.h>
#include <arrow/record_batch.h>
#include <parquet/arrow/schema.h>
#include <parquet/column_reader.h>
#include <parquet/file_reader.h>
#include <parquet/page_index.h>

#include "Normalize.h"
#include "ParquetFooter.h"
#include "ParquetRead.h"
#include "PlainColumn.h"

namespace {

using carrow::ChunkIndex;
using carrow::Guard;
using carrow::PageStarts;
using carrow::ReaderState;

// nullptr where there is none.
parquet::RowGroupPageIndexReader* IndexOf(ReaderState* state, int32_t rowGroup) {
  if (state->indexedRowGroup != rowGroup) {
    auto index = state->reader->parquet_reader()->GetPageIndexReader();
    state->rowGroupIndex = index == nullptr ? nullptr : index->RowGroup(rowGroup);
    state->indexedRowGroup = rowGroup;
  }
  return state->rowGroupIndex.get();
}

// Empty where there is no offset index, or one that cannot be right.
PageStarts StartsOf(parquet::RowGroupPageIndexReader* index, int32_t leaf, int64_t rowCount) {
  PageStarts starts;
  if (index == nullptr) return starts;
  auto offsets = index->GetOffsetIndex(leaf);
  if (offsets == nullptr) return starts;
  for (const auto& page : offsets->page_locations()) {
    const int64_t first = page.first_row_index;
    const bool isNext = starts.empty() ? first == 0 : first > starts.back();
    if (!isNext || first >= rowCount) return {};
    starts.push_back(first);
  }
  return starts;
}

arrow::Status LoadIndex(CArrowParquetReader* reader, int32_t rowGroup, int32_t leaf) {
  reader->index = ChunkIndex{};
  ReaderState& state = *reader->state;
  CArrowColumnChunk chunk;
  carrow::Bounds bounds;
  // Bounds of pages are believed where those of the whole chunk are, and in the same unit.
  ARROW_RETURN_NOT_OK(
      carrow::DescribeColumnChunk(*state.metadata, rowGroup, leaf, &bounds, &chunk));
  if (state.metadata->schema()->Column(leaf)->max_repetition_level() > 0) return arrow::Status::OK();
  auto* index = IndexOf(&state, rowGroup);
  const int64_t rows = state.metadata->RowGroup(rowGroup)->num_rows();
  PageStarts starts = StartsOf(index, leaf, rows);
  if (starts.empty()) return arrow::Status::OK();
  auto pages = index->GetColumnIndex(leaf);
  if (pages != nullptr) {
    const size_t count = starts.size();
    if (pages->null_pages().size() != count || pages->encoded_min_values().size() != count ||
        pages->encoded_max_values().size() != count ||
        (pages->has_null_counts() && pages->null_counts().size() != count)) {
      return arrow::Status::OK();
    }
  }
  reader->index = ChunkIndex{std::move(starts), index->GetOffsetIndex(leaf), std::move(pages),
                             chunk.hasBounds};
  return arrow::Status::OK();
}

arrow::Status Describe(const ChunkIndex& index, int32_t page, CArrowPage* out) {
  if (page < 0 || static_cast<size_t>(page) >= index.starts.size()) {
    return arrow::Status::IndexError("no page ", page);
  }
  const auto place = static_cast<size_t>(page);
  *out = CArrowPage{};
  out->firstRow = index.starts[place];
  out->byteOffset = index.offsets->page_locations()[place].offset;
  out->nullCount = -1;
  if (index.pages == nullptr) return arrow::Status::OK();
  out->hasOnlyNulls = index.pages->null_pages()[place];
  if (index.pages->has_null_counts()) out->nullCount = index.pages->null_counts()[place];
  out->hasBounds = index.hasBounds && !out->hasOnlyNulls;
  const std::string& minimum = index.pages->encoded_min_values()[place];
  const std::string& maximum = index.pages->encoded_max_values()[place];
  out->minimum = minimum.data();
  out->minimumLength = static_cast<int64_t>(minimum.size());
  out->maximum = maximum.data();
  out->maximumLength = static_cast<int64_t>(maximum.size());
  return arrow::Status::OK();
}

// One column of chosen rows of a row group. Of its pages those are kept that have any of the rows.
class ChosenRows {
 public:
  ChosenRows(std::shared_ptr<parquet::internal::RecordReader> reader, PageStarts starts,
             int64_t rowCount)
      : reader_(std::move(reader)) {
    starts.push_back(rowCount);
    starts_ = std::move(starts);
    isKept_.assign(starts_.size() - 1, false);
  }

  // Ranges are given in ascending order, before `Open`.
  void Choose(const CArrowRowRange& range) {
    if (range.rowCount == 0) return;
    for (size_t page = PageOf(range.firstRow);
         page < isKept_.size() && starts_[page] < range.firstRow + range.rowCount; page++) {
      isKept_[page] = true;
    }
  }

  void Open(std::unique_ptr<parquet::PageReader> pages) {
    keptBefore_.assign(1, 0);
    for (size_t page = 0; page < isKept_.size(); page++) {
      keptBefore_.push_back(keptBefore_.back() + (isKept_[page] ? LengthOf(page) : 0));
    }
    // `this` outlives the pages, which the reader has.
    pages->set_data_page_filter([this](const parquet::DataPageStats& page) {
      const size_t index = nextPage_++;
      if (index >= isKept_.size() || page.num_values != LengthOf(index)) {
        throw parquet::ParquetException("the page index is not that of the pages");
      }
      return !isKept_[index];
    });
    reader_->SetPageReader(std::move(pages));
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

 private:
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
  // Where the pages begin, and the last one ends.
  PageStarts starts_;
  std::vector<bool> isKept_;
  std::vector<int64_t> keptBefore_;
  size_t nextPage_ = 0;
  int64_t position_ = 0;
};

// Where the pages of the wanted columns begin, for each row group that is read.
using PagesOfRowGroups = std::map<int32_t, std::vector<PageStarts>>;

class RangeReader final : public arrow::RecordBatchReader {
 public:
  RangeReader(std::shared_ptr<ReaderState> state, std::vector<int> leaves, PagesOfRowGroups pages,
              std::shared_ptr<arrow::Schema> schema, std::vector<CArrowRowRange> ranges,
              int64_t batchRows)
      : state_(std::move(state)),
        leaves_(std::move(leaves)),
        pages_(std::move(pages)),
        schema_(std::move(schema)),
        ranges_(std::move(ranges)),
        batchRows_(batchRows) {}

  std::shared_ptr<arrow::Schema> schema() const override { return schema_; }

  arrow::Status ReadNext(std::shared_ptr<arrow::RecordBatch>* out) override {
    out->reset();
    while (next_ < ranges_.size() && ranges_[next_].rowCount == 0) next_++;
    if (next_ == ranges_.size()) return arrow::Status::OK();
    const int32_t group = ranges_[next_].rowGroup;
    if (group != group_) Open(group);
    int64_t rows = 0;
    while (next_ < ranges_.size() && ranges_[next_].rowGroup == group && rows < batchRows_) {
      const CArrowRowRange& range = ranges_[next_];
      const int64_t count = std::min(range.rowCount - taken_, batchRows_ - rows);
      for (auto& column : columns_) {
        ARROW_RETURN_NOT_OK(column->Read(range.firstRow + taken_, count));
      }
      rows += count;
      taken_ += count;
      if (taken_ == range.rowCount) {
        next_++;
        taken_ = 0;
      }
    }
    arrow::ArrayVector arrays;
    for (size_t index = 0; index < columns_.size(); index++) {
      const auto& type = schema_->field(static_cast<int>(index))->type();
      ARROW_ASSIGN_OR_RAISE(
          auto array, carrow::TakeValues(columns_[index]->reader(), type, state_->pool.get()));
      if (array->length() != rows) return arrow::Status::Invalid("a column has not as many values");
      arrays.push_back(std::move(array));
    }
    *out = arrow::RecordBatch::Make(schema_, rows, std::move(arrays));
    return arrow::Status::OK();
  }

 private:
  void Open(int32_t group) {
    columns_.clear();
    std::vector<PageStarts>& starts = pages_[group];
    auto rowGroup = state_->reader->parquet_reader()->RowGroup(group);
    const int64_t rowCount = rowGroup->metadata()->num_rows();
    for (size_t place = 0; place < leaves_.size(); place++) {
      const int leaf = leaves_[place];
      auto column = std::make_unique<ChosenRows>(
          carrow::PlainColumnReader(state_->metadata->schema()->Column(leaf),
                                    *schema_->field(static_cast<int>(place)), state_->pool.get()),
          std::move(starts[place]), rowCount);
      for (size_t other = next_; other < ranges_.size() && ranges_[other].rowGroup == group;
           other++) {
        column->Choose(ranges_[other]);
      }
      column->Open(rowGroup->GetColumnPageReader(leaf));
      columns_.push_back(std::move(column));
    }
    group_ = group;
  }

  std::shared_ptr<ReaderState> state_;
  std::vector<int> leaves_;
  PagesOfRowGroups pages_;
  std::shared_ptr<arrow::Schema> schema_;
  std::vector<CArrowRowRange> ranges_;
  int64_t batchRows_;
  size_t next_ = 0;
  // Rows of the next range that were given already.
  int64_t taken_ = 0;
  int32_t group_ = -1;
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

// Finds where the pages begin; false when that is not known of every leaf in every row group that has rows.
bool FindPages(ReaderState* state, const std::vector<int>& leaves,
               const std::vector<CArrowRowRange>& ranges, PagesOfRowGroups* pages) {
  for (const CArrowRowRange& range : ranges) {
    if (pages->count(range.rowGroup) > 0) continue;
    auto* index = IndexOf(state, range.rowGroup);
    const int64_t rows = state->metadata->RowGroup(range.rowGroup)->num_rows();
    std::vector<PageStarts>& found = (*pages)[range.rowGroup];
    for (int leaf : leaves) {
      found.push_back(StartsOf(index, leaf, rows));
      if (rows > 0 && found.back().empty()) return false;
    }
  }
  return true;
}

}  // namespace

bool CArrowParquetReaderPageCount(CArrowParquetReader* reader, int32_t rowGroup, int32_t leaf,
                                  int32_t* out, CArrowStatus* status) {
  return Guard(status, [&]() -> arrow::Status {
    *out = 0;
    ARROW_RETURN_NOT_OK(LoadIndex(reader, rowGroup, leaf));
    *out = static_cast<int32_t>(reader->index.starts.size());
    return arrow::Status::OK();
  });
}

bool CArrowParquetReaderPage(CArrowParquetReader* reader, int32_t index, CArrowPage* out,
                             CArrowStatus* status) {
  return Guard(status, [&] { return Describe(reader->index, index, out); });
}

bool CArrowParquetReaderScanRows(CArrowParquetReader* reader, const int32_t* fields,
                                 int32_t fieldCount, const CArrowRowRange* ranges,
                                 int32_t rangeCount, int64_t batchRows, bool* isPossible,
                                 ArrowArrayStream* out, CArrowStatus* status) {
  return Guard(status, [&]() -> arrow::Status {
    *isPossible = false;
    if (batchRows < 1) return arrow::Status::Invalid("a batch has at least one row");
    const auto& state = reader->state;
    std::vector<CArrowRowRange> chosen(ranges, ranges + rangeCount);
    ARROW_RETURN_NOT_OK(CheckRanges(*state, chosen));
    std::vector<int> leaves;
    arrow::FieldVector columns;
    ARROW_ASSIGN_OR_RAISE(bool arePlain,
                          FindLeaves(*state, fields, fieldCount, &leaves, &columns));
    PagesOfRowGroups pages;
    if (!arePlain || !FindPages(state.get(), leaves, chosen, &pages)) return arrow::Status::OK();
    auto schema = arrow::schema(std::move(columns));
    auto batches = std::make_shared<RangeReader>(state, std::move(leaves), std::move(pages), schema,
                                                 std::move(chosen), batchRows);
    ARROW_RETURN_NOT_OK(arrow::ExportRecordBatchReader(
        carrow::NormalizingReader(state, std::move(batches), schema, state->pool.get()), out));
    *isPossible = true;
    return arrow::Status::OK();
  });
}
