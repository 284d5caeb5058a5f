// Arrow types that Columnar has no equivalent for, converted to those that it has.
#pragma once

#include <memory>

#include <arrow/record_batch.h>
#include <arrow/type.h>

#include "Guard.h"

namespace carrow {

// The schema with every type converted; an error names the column and its type.
arrow::Result<std::shared_ptr<arrow::Schema>> NormalizedSchema(const arrow::Schema& schema);

// The batch under `schema` (from NormalizedSchema), validated in full and aligned.
arrow::Result<std::shared_ptr<arrow::RecordBatch>> Normalize(
    std::shared_ptr<arrow::RecordBatch> batch, const std::shared_ptr<arrow::Schema>& schema,
    arrow::MemoryPool* pool);

// A stream of normalized batches; `owner` is kept alive as long as the stream.
std::shared_ptr<arrow::RecordBatchReader> NormalizingReader(
    std::shared_ptr<void> owner, std::shared_ptr<arrow::RecordBatchReader> source,
    std::shared_ptr<arrow::Schema> schema, arrow::MemoryPool* pool);

}  // namespace carrow
