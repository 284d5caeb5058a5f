#include "PlainColumn.h"

#include <utility>

#include <arrow/array/concatenate.h>
#include <arrow/array/util.h>
#include <arrow/buffer.h>
#include <arrow/chunked_array.h>
#include <arrow/util/bitmap_ops.h>
#include <parquet/level_conversion.h>

namespace carrow {

bool IsPlain(const parquet::ColumnDescriptor& leaf, const arrow::Field& field) {
  if (leaf.max_repetition_level() != 0 || leaf.max_definition_level() > 1) return false;
  if (leaf.max_definition_level() == 1 && !field.nullable()) return false;
  const auto& logical = leaf.logical_type();
  const bool isBare = logical == nullptr || logical->is_none();
  auto isInteger = [&](int bits) {
    if (isBare) return true;
    if (!logical->is_int()) return false;
    const auto& integer = static_cast<const parquet::IntLogicalType&>(*logical);
    return integer.bit_width() == bits && integer.is_signed();
  };
  auto isTimestamp = [&](parquet::LogicalType::TimeUnit::unit unit, bool isUTC) {
    if (!logical || !logical->is_timestamp()) return false;
    const auto& timestamp = static_cast<const parquet::TimestampLogicalType&>(*logical);
    return timestamp.time_unit() == unit && timestamp.is_adjusted_to_utc() == isUTC;
  };
  switch (field.type()->id()) {
    case arrow::Type::BOOL: return leaf.physical_type() == parquet::Type::BOOLEAN && isBare;
    case arrow::Type::INT32: return leaf.physical_type() == parquet::Type::INT32 && isInteger(32);
    case arrow::Type::INT64: return leaf.physical_type() == parquet::Type::INT64 && isInteger(64);
    case arrow::Type::FLOAT: return leaf.physical_type() == parquet::Type::FLOAT && isBare;
    case arrow::Type::DOUBLE: return leaf.physical_type() == parquet::Type::DOUBLE && isBare;
    case arrow::Type::DATE32:
      return leaf.physical_type() == parquet::Type::INT32 && logical && logical->is_date();
    case arrow::Type::TIMESTAMP: {
      if (leaf.physical_type() != parquet::Type::INT64) return false;
      const auto& type = static_cast<const arrow::TimestampType&>(*field.type());
      const bool isUTC = !type.timezone().empty();
      if (type.unit() == arrow::TimeUnit::MICRO) {
        return isTimestamp(parquet::LogicalType::TimeUnit::MICROS, isUTC);
      }
      return type.unit() == arrow::TimeUnit::NANO &&
             isTimestamp(parquet::LogicalType::TimeUnit::NANOS, isUTC);
    }
    case arrow::Type::STRING:
      return leaf.physical_type() == parquet::Type::BYTE_ARRAY && logical && logical->is_string();
    case arrow::Type::BINARY: return leaf.physical_type() == parquet::Type::BYTE_ARRAY && isBare;
    default: return false;
  }
}

bool IsReadByDictionary(const parquet::ColumnChunkMetaData& chunk) {
  if (chunk.type() != parquet::Type::BYTE_ARRAY) return false;
  bool hasPages = false;
  for (const parquet::PageEncodingStats& pages : chunk.encoding_stats()) {
    if (pages.page_type == parquet::PageType::DICTIONARY_PAGE) continue;
    if (pages.encoding != parquet::Encoding::RLE_DICTIONARY &&
        pages.encoding != parquet::Encoding::PLAIN_DICTIONARY) {
      return false;
    }
    hasPages = true;
  }
  return hasPages;
}

std::shared_ptr<parquet::internal::RecordReader> PlainColumnReader(
    const parquet::ColumnDescriptor* leaf, const arrow::Field& field, bool byDictionary,
    arrow::MemoryPool* pool) {
  return parquet::internal::RecordReader::Make(
      leaf, parquet::internal::LevelInfo::ComputeLevelInfo(leaf), pool, byDictionary,
      /*read_dense_for_nullable=*/false, field.type());
}

arrow::Status CheckEnd(parquet::internal::RecordReader& reader) {
  if (reader.SkipRecords(1) == 0) return arrow::Status::OK();
  return arrow::Status::Invalid("a column has more values than rows");
}

namespace {

// Words of a dictionary: those that are read by it are checked once each, and not once a row.
arrow::Result<std::shared_ptr<arrow::Array>> TakeWords(
    parquet::internal::RecordReader& reader, const std::shared_ptr<arrow::DataType>& type,
    arrow::MemoryPool* pool) {
  auto words = dynamic_cast<parquet::internal::DictionaryRecordReader&>(reader).GetResult();
  reader.Reset();
  ARROW_ASSIGN_OR_RAISE(words, words->View(arrow::dictionary(arrow::int32(), type)));
  if (words->num_chunks() == 1) return words->chunk(0);
  // A dictionary for each row group. Places in one are only looked up once they are known to lie in it.
  ARROW_RETURN_NOT_OK(words->ValidateFull());
  return arrow::Concatenate(words->chunks(), pool);
}

}  // namespace

arrow::Result<std::shared_ptr<arrow::Array>> TakeValues(
    parquet::internal::RecordReader& reader, const std::shared_ptr<arrow::DataType>& type,
    arrow::MemoryPool* pool) {
  if (reader.read_dictionary()) return TakeWords(reader, type, pool);
  if (type->id() == arrow::Type::STRING || type->id() == arrow::Type::BINARY) {
    auto chunks = dynamic_cast<parquet::internal::BinaryRecordReader&>(reader).GetBuilderChunks();
    reader.Reset();
    if (chunks.size() != 1) return arrow::Status::CapacityError("too many bytes for one batch");
    return chunks[0];
  }
  const int64_t count = reader.values_written();
  const int64_t nulls = reader.null_count();
  const bool isNullable = reader.nullable_values();
  std::shared_ptr<arrow::Buffer> values = reader.ReleaseValues();
  std::shared_ptr<arrow::Buffer> valid;
  if (isNullable) valid = reader.ReleaseIsValid();
  reader.Reset();
  if (type->id() == arrow::Type::BOOL) {
    ARROW_ASSIGN_OR_RAISE(auto bits, arrow::AllocateEmptyBitmap(count, pool));
    uint8_t* out = bits->mutable_data();
    for (int64_t row = 0; row < count; row++) {
      out[row >> 3] |= static_cast<uint8_t>((values->data()[row] != 0 ? 1 : 0) << (row & 7));
    }
    values = std::move(bits);
  }
  return arrow::MakeArray(arrow::ArrayData::Make(
      type, count, {nulls > 0 ? std::move(valid) : nullptr, std::move(values)}, nulls));
}

}  // namespace carrow
