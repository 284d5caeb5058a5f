// The figures of a Parquet footer, for reader and writer alike.
#pragma once

#include <parquet/metadata.h>

#include "Guard.h"

namespace carrow {

// Where the bounds of the last column chunk asked for are kept.
struct Bounds {
  std::string minimum;
  std::string maximum;
};

arrow::Status DescribeFile(const parquet::FileMetaData& metadata, CArrowParquetFile* out);
arrow::Status DescribeRowGroup(const parquet::FileMetaData& metadata, int32_t rowGroup,
                               CArrowRowGroup* out);
arrow::Status DescribeColumnChunk(const parquet::FileMetaData& metadata, int32_t rowGroup,
                                  int32_t leaf, Bounds* bounds, CArrowColumnChunk* out);

}  // namespace carrow
