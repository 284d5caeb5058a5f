// The figures of a Parquet footer, for reader and writer alike.
#pragma once

#include <parquet/metadata.h>
#include <parquet/properties.h>

#include "Guard.h"

namespace carrow {

// Where the bounds of the last column chunk asked for are kept.
struct Bounds {
  std::string minimum;
  std::string maximum;
};

// Fields of Thrift structures beyond these are no file of ours and no honest file of others.
inline void LimitFooter(parquet::ReaderProperties* properties) {
  properties->set_thrift_string_size_limit(64 << 20);
  properties->set_thrift_container_size_limit(1 << 20);
}

// Where a column chunk begins.
int64_t StartOf(const parquet::ColumnChunkMetaData& chunk);

// Whether these bytes are in a file of so many.
inline bool IsWithin(int64_t start, int64_t length, int64_t fileBytes) {
  return start >= 0 && start <= fileBytes && length >= 0 && length <= fileBytes - start;
}

// Whether a column chunk lies in a file of so many bytes.
bool IsWithin(const parquet::ColumnChunkMetaData& chunk, int64_t fileBytes);

arrow::Status DescribeFile(const parquet::FileMetaData& metadata, CArrowParquetFile* out);
arrow::Status DescribeRowGroup(const parquet::FileMetaData& metadata, int32_t rowGroup,
                               CArrowRowGroup* out);
arrow::Status DescribeColumnChunk(const parquet::FileMetaData& metadata, int32_t rowGroup,
                                  int32_t leaf, Bounds* bounds, CArrowColumnChunk* out);

}  // namespace carrow
