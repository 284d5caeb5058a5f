#include "ParquetFooter.h"

#include <algorithm>

#include <parquet/schema.h>
#include <parquet/statistics.h>

namespace carrow {

arrow::Status DescribeFile(const parquet::FileMetaData& metadata, CArrowParquetFile* out) {
  out->rowCount = metadata.num_rows();
  out->rowGroupCount = metadata.num_row_groups();
  out->leafCount = metadata.num_columns();
  out->footerBytes = metadata.size();
  return arrow::Status::OK();
}

int64_t StartOf(const parquet::ColumnChunkMetaData& chunk) {
  int64_t start = chunk.data_page_offset();
  // Some writers leave a dictionary offset of 0 or one beyond the data behind.
  if (chunk.has_dictionary_page() && chunk.dictionary_page_offset() > 0) {
    start = std::min(start, chunk.dictionary_page_offset());
  }
  return start;
}

bool IsWithin(const parquet::ColumnChunkMetaData& chunk, int64_t fileBytes) {
  return IsWithin(StartOf(chunk), chunk.total_compressed_size(), fileBytes);
}

arrow::Status DescribeRowGroup(const parquet::FileMetaData& metadata, int32_t rowGroup,
                               CArrowRowGroup* out) {
  if (rowGroup < 0 || rowGroup >= metadata.num_row_groups()) {
    return arrow::Status::IndexError("no row group ", rowGroup);
  }
  auto group = metadata.RowGroup(rowGroup);
  out->rowCount = group->num_rows();
  out->startByteOffset = 0;
  out->uncompressedBytes = 0;
  out->compressedBytes = 0;
  for (int leaf = 0; leaf < group->num_columns(); leaf++) {
    auto chunk = group->ColumnChunk(leaf);
    if (leaf == 0) out->startByteOffset = StartOf(*chunk);
    // Sums of a hostile footer may wrap: harmless, as they are figures and no sizes to allocate.
    out->uncompressedBytes = static_cast<int64_t>(static_cast<uint64_t>(out->uncompressedBytes) +
                                                  static_cast<uint64_t>(
                                                      chunk->total_uncompressed_size()));
    out->compressedBytes = static_cast<int64_t>(static_cast<uint64_t>(out->compressedBytes) +
                                                static_cast<uint64_t>(
                                                    chunk->total_compressed_size()));
  }
  return arrow::Status::OK();
}

static bool IsConverted(const parquet::ColumnDescriptor& descriptor) {
  const auto& type = descriptor.logical_type();
  if (type == nullptr) return false;
  if (type->is_timestamp()) {
    return static_cast<const parquet::TimestampLogicalType&>(*type).time_unit() ==
           parquet::LogicalType::TimeUnit::MILLIS;
  }
  if (type->is_time()) {
    return static_cast<const parquet::TimeLogicalType&>(*type).time_unit() !=
           parquet::LogicalType::TimeUnit::MICROS;
  }
  return false;
}

arrow::Status DescribeColumnChunk(const parquet::FileMetaData& metadata, int32_t rowGroup,
                                  int32_t leaf, Bounds* bounds, CArrowColumnChunk* out) {
  if (rowGroup < 0 || rowGroup >= metadata.num_row_groups() || leaf < 0 ||
      leaf >= metadata.num_columns()) {
    return arrow::Status::IndexError("no column chunk ", rowGroup, ", ", leaf);
  }
  auto chunk = metadata.RowGroup(rowGroup)->ColumnChunk(leaf);
  const parquet::ColumnDescriptor* descriptor = metadata.schema()->Column(leaf);
  *out = CArrowColumnChunk{};
  out->physicalType = static_cast<int32_t>(descriptor->physical_type());
  out->fieldID = descriptor->schema_node()->field_id();
  out->compressedBytes = chunk->total_compressed_size();
  out->uncompressedBytes = chunk->total_uncompressed_size();
  out->valueCount = chunk->num_values();
  out->nullCount = -1;
  out->hasBloomFilter = chunk->bloom_filter_offset().has_value();
  out->hasPageIndex = chunk->GetColumnIndexLocation().has_value();
  // Milliseconds are converted, so what the file says of them is in another unit.
  if (IsConverted(*descriptor)) {
    out->hasBloomFilter = false;
    return arrow::Status::OK();
  }
  // `is_stats_set` also refuses statistics that known broken writers have left.
  if (!chunk->is_stats_set()) return arrow::Status::OK();
  auto statistics = chunk->encoded_statistics();
  if (statistics == nullptr) return arrow::Status::OK();
  if (statistics->has_null_count) out->nullCount = statistics->null_count;
  if (statistics->has_min && statistics->has_max) {
    bounds->minimum = statistics->min();
    bounds->maximum = statistics->max();
    out->hasBounds = true;
    out->isMinimumExact = statistics->is_min_value_exact.value_or(false);
    out->isMaximumExact = statistics->is_max_value_exact.value_or(false);
    out->minimum = bounds->minimum.data();
    out->minimumLength = static_cast<int64_t>(bounds->minimum.size());
    out->maximum = bounds->maximum.data();
    out->maximumLength = static_cast<int64_t>(bounds->maximum.size());
  }
  return arrow::Status::OK();
}

}  // namespace carrow
