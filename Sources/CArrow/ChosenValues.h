// Chosen values of columns whose pages are plain: each is found by its place, and no other is decoded.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include <arrow/array.h>
#include <arrow/buffer_builder.h>
#include <arrow/type.h>
#include <parquet/column_page.h>
#include <parquet/column_reader.h>
#include <parquet/metadata.h>
#include <parquet/schema.h>

namespace carrow {

// Which of some rows are wanted, ascending, counted from the first of them.
struct Choice {
  const int32_t* rows;
  int64_t count;
};

// One column without nesting, of booleans or numbers. For one thread.
class ChosenValues {
 public:
  // Whether all of a column chunk's values can be found by their places.
  static bool Reads(const parquet::ColumnDescriptor& leaf, const parquet::ColumnChunkMetaData& chunk);

  ChosenValues(const parquet::ColumnDescriptor& leaf, arrow::MemoryPool* pool);

  // Begins with other pages. They are asked for as their rows are; a page must be valid until the next is asked for.
  void SetPages(std::unique_ptr<parquet::PageReader> pages);

  // Goes on by so many rows; false where there are fewer.
  bool Skip(int64_t count) { return Read(count, {nullptr, 0}); }
  bool Read(int64_t count, Choice choice);

  // The values chosen since the last call.
  arrow::Result<std::shared_ptr<arrow::Array>> Take(const std::shared_ptr<arrow::DataType>& type);

 private:
  bool NextPage();
  void Begin(const parquet::DataPageV1& page);
  void ReadLevels(const uint8_t* levels, int64_t byteCount);
  void SetBits(int64_t row, uint64_t bits, int count);
  void Append(Choice choice, int64_t firstRow);
  template <typename Value> void AppendNumbers(Choice choice, int64_t firstRow);
  bool IsValid(int64_t row) const;
  int64_t ValuesBefore(int64_t row) const;

  const int64_t width_;  // bytes; 0 for booleans
  const bool isNullable_;
  std::unique_ptr<parquet::PageReader> pages_;

  // Of the page at hand; `row_` is where the next rows begin.
  std::shared_ptr<parquet::Page> page_;
  int64_t rowCount_ = 0;
  int64_t row_ = 0;
  const uint8_t* values_ = nullptr;
  bool hasNulls_ = false;
  // Which rows have a value, a bit each, and how many have one before each 64 of them.
  std::vector<uint64_t> valid_;
  std::vector<int64_t> validBefore_;

  arrow::BufferBuilder numbers_;
  arrow::TypedBufferBuilder<bool> booleans_;
  arrow::TypedBufferBuilder<bool> areValid_;
};

}  // namespace carrow
