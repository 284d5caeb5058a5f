#include "PlainRows.h"

#include <algorithm>
#include <utility>

#include <arrow/array/builder_primitive.h>
#include <arrow/buffer.h>
#include <arrow/compute/api_vector.h>
#include <arrow/compute/exec.h>
#include <parquet/arrow/schema.h>
#include <parquet/column_reader.h>
#include <parquet/file_reader.h>

#include "ChosenValues.h"
#include "PlainColumn.h"
#include "ZstandardPages.h"

namespace {

using carrow::PagePlaces;
using carrow::PageStarts;
using carrow::ReaderState;

// The decoder of one column: it can pass over rows, and has what was chosen of those that it did not.
class Decoder {
 public:
  virtual ~Decoder() = default;
  // Whether it reads a column chunk; another one is needed where not.
  virtual bool Reads(const parquet::ColumnChunkMetaData& chunk) const = 0;
  virtual void SetPages(std::unique_ptr<parquet::PageReader> pages) = 0;
  virtual void Reserve(int64_t rows) = 0;
  virtual bool Skip(int64_t count) = 0;
  virtual bool Read(int64_t count, carrow::Choice choice) = 0;
  // `choice` has all that was chosen since the last call, of all rows that were read; nullptr for all of them.
  virtual arrow::Result<std::shared_ptr<arrow::Array>> Take(
      const std::shared_ptr<arrow::DataType>& type, const arrow::Array* choice) = 0;
};

// Decodes all values, and takes the chosen ones of them.
class RecordDecoder final : public Decoder {
 public:
  RecordDecoder(const parquet::ColumnDescriptor* leaf, const arrow::Field& field, bool byDictionary,
                arrow::MemoryPool* pool)
      : pool_(pool), reader_(carrow::PlainColumnReader(leaf, field, byDictionary, pool)) {}

  bool Reads(const parquet::ColumnChunkMetaData& chunk) const override {
    return reader_->read_dictionary() == carrow::IsReadByDictionary(chunk);
  }

  void SetPages(std::unique_ptr<parquet::PageReader> pages) override {
    reader_->SetPageReader(std::move(pages));
  }

  // It grows by copies else. Of a column that may have nulls a reader looks ahead.
  void Reserve(int64_t rows) override {
    reader_->Reserve(reader_->nullable_values() ? 2 * rows : rows);
  }

  bool Skip(int64_t count) override { return reader_->SkipRecords(count) == count; }
  bool Read(int64_t count, carrow::Choice) override { return reader_->ReadRecords(count) == count; }

  arrow::Result<std::shared_ptr<arrow::Array>> Take(const std::shared_ptr<arrow::DataType>& type,
                                                    const arrow::Array* choice) override {
    ARROW_ASSIGN_OR_RAISE(auto all, carrow::TakeValues(*reader_, type, pool_));
    if (choice == nullptr) return all;
    arrow::compute::ExecContext context(pool_);
    return arrow::compute::Take(*all, *choice, arrow::compute::TakeOptions::BoundsCheck(),
                                &context);
  }

 private:
  arrow::MemoryPool* pool_;
  std::shared_ptr<parquet::internal::RecordReader> reader_;
};

// Decodes the chosen values alone.
class ValueDecoder final : public Decoder {
 public:
  ValueDecoder(const parquet::ColumnDescriptor& leaf, arrow::MemoryPool* pool)
      : leaf_(leaf), values_(leaf, pool) {}

  bool Reads(const parquet::ColumnChunkMetaData& chunk) const override {
    return carrow::ChosenValues::Reads(leaf_, chunk);
  }

  void SetPages(std::unique_ptr<parquet::PageReader> pages) override {
    values_.SetPages(std::move(pages));
  }

  void Reserve(int64_t) override {}
  bool Skip(int64_t count) override { return values_.Skip(count); }
  bool Read(int64_t count, carrow::Choice choice) override { return values_.Read(count, choice); }

  arrow::Result<std::shared_ptr<arrow::Array>> Take(const std::shared_ptr<arrow::DataType>& type,
                                                    const arrow::Array*) override {
    return values_.Take(type);
  }

 private:
  const parquet::ColumnDescriptor& leaf_;
  carrow::ChosenValues values_;
};

// One column of chosen rows, a row group after the other. Of the pages those are kept that have any of the rows.
class ChosenRows {
 public:
  ChosenRows(std::unique_ptr<Decoder> decoder, std::shared_ptr<arrow::ResizableBuffer> page)
      : decoder_(std::move(decoder)), page_(std::move(page)) {}

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
    decoder_->SetPages(carrow::OpenPages(
        chunk, [this](const carrow::ChunkLayout& layout) { return Choose(layout); },
        std::move(isSkipped)));
  }

  arrow::Status Read(int64_t firstRow, int64_t count, carrow::Choice choice) {
    const int64_t skipped = KeptBefore(firstRow) - KeptBefore(position_);
    if (!decoder_->Skip(skipped) || !decoder_->Read(count, choice)) {
      return arrow::Status::Invalid("a column has fewer values than rows");
    }
    position_ = firstRow + count;
    return arrow::Status::OK();
  }

  // An error unless all rows were read. Only then may the decoder be given another chunk: it would go on in a page
  // that it no longer has.
  arrow::Status CheckEnd() {
    if (!decoder_->Skip(1)) return arrow::Status::OK();
    return arrow::Status::Invalid("a column has more values than rows");
  }

  Decoder& decoder() { return *decoder_; }
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

  std::unique_ptr<Decoder> decoder_;
  // The decompressed page that `decoder_` is at.
  std::shared_ptr<arrow::ResizableBuffer> page_;
  bool hasStarts_ = false;
  // Where the pages begin, and the last one ends.
  PageStarts starts_;
  // Where they lie, if that is known.
  std::vector<int64_t> offsets_;
  // Whether the decoder sees the kept pages alone.
  bool isJumping_ = false;
  std::vector<bool> isKept_;
  std::vector<int64_t> keptBefore_;
  size_t nextPage_ = 0;
  int64_t position_ = 0;
};

// Wanted rows, and those between them.
struct Stretch {
  CArrowRowRange rows;
  // Which of the ranges of wanted rows lie in it.
  size_t firstRange;
  size_t endRange;
};

// Of stretches of rows, which are decoded one after the other, those that are wanted.
class PlainRowsReader final : public arrow::RecordBatchReader {
 public:
  PlainRowsReader(std::shared_ptr<ReaderState> state, std::vector<int> leaves,
                  std::shared_ptr<arrow::Schema> schema, std::vector<CArrowRowRange> ranges,
                  int64_t batchRows)
      : state_(std::move(state)),
        leaves_(std::move(leaves)),
        schema_(std::move(schema)),
        ranges_(std::move(ranges)),
        batchRows_(std::min<int64_t>(batchRows, mostRows)) {
    int64_t wanted = 0;
    int64_t between = 0;
    for (size_t index = 0; index < ranges_.size(); index++) {
      const CArrowRowRange& range = ranges_[index];
      if (range.rowCount == 0) continue;
      wanted += range.rowCount;
      if (!stretches_.empty() && stretches_.back().rows.rowGroup == range.rowGroup) {
        Stretch& last = stretches_.back();
        const int64_t gap = range.firstRow - last.rows.firstRow - last.rows.rowCount;
        between += gap;
        if (gap <= mostBetween) {
          isChosen_ = isChosen_ || gap > 0;
          last.rows.rowCount += gap + range.rowCount;
          last.endRange = index + 1;
          continue;
        }
      }
      stretches_.push_back({range, index, index + 1});
    }
    // To find a value by its place takes about as long as to decode some.
    isSparse_ = wanted < between / 4 && wanted < 8 * static_cast<int64_t>(ranges_.size());
    isChosen_ = isChosen_ || isSparse_;
  }

  std::shared_ptr<arrow::Schema> schema() const override { return schema_; }

  arrow::Status ReadNext(std::shared_ptr<arrow::RecordBatch>* out) override {
    out->reset();
    arrow::Int32Builder choice(state_->pool.get());
    int64_t rows = 0;
    auto isEmpty = [&] { return isChosen_ && choice.length() == 0; };
    while (next_ < stretches_.size() && (rows < batchRows_ || isEmpty())) {
      if (rows == batchRows_) {
        ARROW_RETURN_NOT_OK(Take(rows, choice).status());
        rows = 0;
      }
      const CArrowRowRange& stretch = stretches_[next_].rows;
      const int64_t count = std::min(stretch.rowCount - taken_, batchRows_ - rows);
      if (stretch.rowGroup != group_) {
        const bool goesOn = GoesOn(stretch.rowGroup);
        if (rows > 0 && !goesOn) break;
        ARROW_RETURN_NOT_OK(CheckEnds());
        if (!goesOn) columns_.clear();
        ARROW_RETURN_NOT_OK(Open(stretch.rowGroup));
      }
      if (rows == 0) {
        const int64_t room = std::min(batchRows_, RowsLeft());
        for (auto& column : columns_) column->decoder().Reserve(room);
      }
      Choose(stretch.firstRow + taken_, count);
      ARROW_RETURN_NOT_OK(choice.Reserve(static_cast<int64_t>(chosen_.size())));
      for (int32_t row : chosen_) choice.UnsafeAppend(static_cast<int32_t>(rows) + row);
      for (auto& column : columns_) {
        ARROW_RETURN_NOT_OK(column->Read(stretch.firstRow + taken_, count,
                                         {chosen_.data(), static_cast<int64_t>(chosen_.size())}));
      }
      rows += count;
      taken_ += count;
      if (taken_ == stretch.rowCount) {
        next_++;
        taken_ = 0;
      }
    }
    if (rows == 0) return arrow::Status::OK();
    return Take(rows, choice).Value(out);
  }

 private:
  // Fewer rows than this between two wanted ones are decoded with them, which costs no more than to pass over them.
  static constexpr int64_t mostBetween = 1024;
  // Of a batch.
  static constexpr int64_t mostRows = 1 << 30;

  // Which of so many rows of the stretch are wanted; left empty where all rows are.
  void Choose(int64_t firstRow, int64_t count) {
    chosen_.clear();
    if (!isChosen_) return;
    const Stretch& stretch = stretches_[next_];
    if (taken_ == 0) range_ = stretch.firstRange;
    while (range_ < stretch.endRange) {
      const CArrowRowRange& range = ranges_[range_];
      const int64_t start = std::max(range.firstRow, firstRow);
      const int64_t end = std::min(range.firstRow + range.rowCount, firstRow + count);
      for (int64_t row = start; row < end; row++) {
        chosen_.push_back(static_cast<int32_t>(row - firstRow));
      }
      if (range.firstRow + range.rowCount > firstRow + count) break;
      range_++;
    }
  }

  // A batch of what was chosen of so many rows. Its columns may have other types than the schema says, in which
  // their values are the same.
  arrow::Result<std::shared_ptr<arrow::RecordBatch>> Take(int64_t rows,
                                                          arrow::Int32Builder& choice) {
    std::shared_ptr<arrow::Array> places;
    if (isChosen_) {
      ARROW_ASSIGN_OR_RAISE(places, choice.Finish());
      rows = places->length();
    }
    arrow::ArrayVector arrays;
    arrow::FieldVector fields;
    for (size_t index = 0; index < columns_.size(); index++) {
      const auto& field = schema_->field(static_cast<int>(index));
      ARROW_ASSIGN_OR_RAISE(auto array,
                            columns_[index]->decoder().Take(field->type(), places.get()));
      if (array->length() != rows) return arrow::Status::Invalid("a column has not as many values");
      fields.push_back(field->WithType(array->type()));
      arrays.push_back(std::move(array));
    }
    return arrow::RecordBatch::Make(arrow::schema(std::move(fields)), rows, std::move(arrays));
  }

  std::unique_ptr<parquet::ColumnChunkMetaData> Chunk(int32_t group, size_t place) const {
    return state_->metadata->RowGroup(group)->ColumnChunk(leaves_[place]);
  }

  // Whether the decoders can go on to another row group: nothing is left of the last one, and they read the next one.
  bool GoesOn(int32_t group) const {
    if (!isWhole_) return false;
    for (size_t place = 0; place < columns_.size(); place++) {
      if (!columns_[place]->decoder().Reads(*Chunk(group, place))) return false;
    }
    return true;
  }

  arrow::Status CheckEnds() {
    if (!isWhole_) return arrow::Status::OK();
    for (auto& column : columns_) ARROW_RETURN_NOT_OK(column->CheckEnd());
    return arrow::Status::OK();
  }

  arrow::Status Open(int32_t group) {
    if (columns_.empty()) ARROW_RETURN_NOT_OK(MakeColumns(group));
    auto* file = state_->reader->parquet_reader();
    auto rows = file->RowGroup(group);
    const int64_t rowCount = rows->metadata()->num_rows();
    size_t end = next_;
    int64_t decoded = 0;
    for (; end < stretches_.size() && stretches_[end].rows.rowGroup == group; end++) {
      decoded += stretches_[end].rows.rowCount;
    }
    isWhole_ = decoded == rowCount;
    for (size_t place = 0; place < leaves_.size(); place++) {
      ChosenRows& column = *columns_[place];
      column.Begin(
          isWhole_ ? PagePlaces{} : carrow::PagePlacesOf(state_.get(), group, leaves_[place]),
          rowCount);
      for (size_t index = next_; index < end; index++) column.Choose(stretches_[index].rows);
      column.Open({file, rows.get(), leaves_[place], state_->properties, state_->file,
                   state_->sizeBytes, state_->pool.get(), &zstandard_, column.page()});
    }
    group_ = group;
    return arrow::Status::OK();
  }

  int64_t RowsLeft() const {
    int64_t rows = -taken_;
    for (size_t index = next_; index < stretches_.size() && rows < batchRows_; index++) {
      rows += stretches_[index].rows.rowCount;
    }
    return rows;
  }

  arrow::Status MakeColumns(int32_t group) {
    for (size_t place = 0; place < leaves_.size(); place++) {
      ARROW_ASSIGN_OR_RAISE(auto page, arrow::AllocateResizableBuffer(0, state_->pool.get()));
      columns_.push_back(
          std::make_unique<ChosenRows>(MakeDecoder(group, place), std::move(page)));
    }
    return arrow::Status::OK();
  }

  std::unique_ptr<Decoder> MakeDecoder(int32_t group, size_t place) const {
    const parquet::ColumnDescriptor* leaf = state_->metadata->schema()->Column(leaves_[place]);
    const auto chunk = Chunk(group, place);
    if (isSparse_ && carrow::ChosenValues::Reads(*leaf, *chunk)) {
      return std::make_unique<ValueDecoder>(*leaf, state_->pool.get());
    }
    return std::make_unique<RecordDecoder>(leaf, *schema_->field(static_cast<int>(place)),
                                           carrow::IsReadByDictionary(*chunk), state_->pool.get());
  }

  std::shared_ptr<ReaderState> state_;
  carrow::ZstandardContext zstandard_;
  std::vector<int> leaves_;
  std::shared_ptr<arrow::Schema> schema_;
  // The wanted rows.
  std::vector<CArrowRowRange> ranges_;
  int64_t batchRows_;
  std::vector<Stretch> stretches_;
  // Whether it is to be said which of the rows of a stretch are wanted, and whether they are few and apart.
  bool isChosen_ = false;
  bool isSparse_ = false;
  size_t next_ = 0;
  // Rows of the next stretch that were decoded already.
  int64_t taken_ = 0;
  // The next wanted ones.
  size_t range_ = 0;
  std::vector<int32_t> chosen_;
  int32_t group_ = -1;
  // Whether all of its rows are decoded.
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
