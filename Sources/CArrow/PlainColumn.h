// Columns without nesting whose values need no conversion: read by Parquet's own column readers, which can pass
// over rows and go on from one row group or file to the next.
#pragma once

#include <memory>

#include <arrow/array.h>
#include <arrow/type.h>
#include <parquet/column_reader.h>
#include <parquet/metadata.h>
#include <parquet/schema.h>

namespace carrow {

// Whether the values of a leaf column are those of the field, without a conversion.
bool IsPlain(const parquet::ColumnDescriptor& leaf, const arrow::Field& field);

// Whether all pages of a column chunk have places in a dictionary for values, of which each may be any string.
bool IsReadByDictionary(const parquet::ColumnChunkMetaData& chunk);

// A reader of a leaf column that is plain. By dictionary, `TakeValues` gives dictionaries and places in them; that is
// for chunks that have such pages only.
std::shared_ptr<parquet::internal::RecordReader> PlainColumnReader(
    const parquet::ColumnDescriptor* leaf, const arrow::Field& field, bool byDictionary,
    arrow::MemoryPool* pool);

// An error unless the reader is at the end of its pages. Only then may it be given others: it would go on in a page
// that it no longer has.
arrow::Status CheckEnd(parquet::internal::RecordReader& reader);

// All values read since the last call.
arrow::Result<std::shared_ptr<arrow::Array>> TakeValues(
    parquet::internal::RecordReader& reader, const std::shared_ptr<arrow::DataType>& type,
    arrow::MemoryPool* pool);

}  // namespace carrow
