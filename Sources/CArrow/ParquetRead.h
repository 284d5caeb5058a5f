// What a reader of a Parquet file has.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <arrow/buffer.h>
#include <arrow/io/interfaces.h>
#include <arrow/type.h>
#include <parquet/arrow/reader.h>
#include <parquet/page_index.h>
#include <parquet/properties.h>

#include "Guard.h"
#include "ParquetFooter.h"

namespace carrow {

// Everything a scan needs; shared by the handle and its scans, so either may go first.
struct ReaderState {
  explicit ReaderState(int64_t memoryLimit) : pool(memoryLimit), properties(pool.get()) {}

  PoolReference pool;
  parquet::ReaderProperties properties;
  std::shared_ptr<arrow::io::RandomAccessFile> file;
  int64_t sizeBytes = 0;
  std::unique_ptr<parquet::arrow::FileReader> reader;
  std::shared_ptr<parquet::FileMetaData> metadata;
  std::shared_ptr<arrow::Schema> schema;
  // Of the row group whose page index was asked for last, so that it is read once for all its columns. It
  // refers to `reader`, and so goes before.
  int32_t indexedRowGroup = -1;
  std::shared_ptr<parquet::RowGroupPageIndexReader> rowGroupIndex;
};

// Where the data pages of a column chunk begin, in rows of the row group.
using PageStarts = std::vector<int64_t>;

struct PagePlaces {
  // Empty where there is no page index, or one that cannot be right.
  PageStarts starts;
  // Where each begins in the file, and the last one ends. Empty unless they lie one behind the other.
  std::vector<int64_t> offsets;
};

PagePlaces PagePlacesOf(ReaderState* state, int32_t rowGroup, int32_t leaf);

// The page index of one column chunk.
struct ChunkIndex {
  PageStarts starts;
  // As many as `starts`.
  std::shared_ptr<parquet::OffsetIndex> offsets;
  // Null where bounds and counts are not known, or not to be believed.
  std::shared_ptr<parquet::ColumnIndex> pages;
  bool hasBounds = false;
};

}  // namespace carrow

struct CArrowParquetReader {
  std::shared_ptr<carrow::ReaderState> state;
  carrow::Bounds bounds;
  std::string text;
  std::shared_ptr<arrow::Buffer> footer;
  carrow::ChunkIndex index;
};
