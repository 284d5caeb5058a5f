// Rows of a Parquet file whose columns are plain.
#pragma once

#include <memory>
#include <vector>

#include <arrow/record_batch.h>

#include "ParquetRead.h"

namespace carrow {

// The rows of these ranges, which have to ascend, in batches of at most so many; nullptr where a field is nested or
// has to be converted. Pages without any of the rows are neither decompressed nor decoded, where the page index tells.
arrow::Result<std::shared_ptr<arrow::RecordBatchReader>> PlainRows(
    const std::shared_ptr<ReaderState>& state, const int32_t* fields, int32_t fieldCount,
    std::vector<CArrowRowRange> ranges, int64_t batchRows);

}  // namespace carrow
