#include <cstring>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <arrow/buffer.h>
#include <arrow/c/bridge.h>
#include <arrow/io/interfaces.h>
#include <arrow/record_batch.h>
#include <arrow/util/key_value_metadata.h>
#include <parquet/arrow/schema.h>
#include <parquet/bloom_filter.h>
#include <parquet/bloom_filter_reader.h>
#include <parquet/file_reader.h>
#include <parquet/properties.h>

#include "Normalize.h"
#include "ParquetFooter.h"
#include "ParquetRead.h"
#include "PlainRows.h"

namespace {

using carrow::Guard;
using carrow::ReaderState;

// Column chunks are read in pieces of this size, not whole: memory is bounded by the batch.
constexpr int64_t kStreamBufferBytes = 256 * 1024;

arrow::Status Open(CArrowSource source, const CArrowParquetReadOptions& options,
                   ReaderState* state) {
  arrow::MemoryPool* pool = state->pool.get();
  ARROW_ASSIGN_OR_RAISE(state->file, carrow::OpenSource(source, pool));
  state->sizeBytes = source.sizeBytes;
  parquet::ReaderProperties& properties = state->properties;
  carrow::LimitFooter(&properties);
  properties.set_page_checksum_verification(options.verifyPageChecksums);
  if (source.sizeBytes > kStreamBufferBytes) {
    properties.enable_buffered_stream();
    properties.set_buffer_size(kStreamBufferBytes);
  }
  auto raw = parquet::ParquetFileReader::Open(state->file, properties);
  state->metadata = raw->metadata();
  parquet::ArrowReaderProperties arrowProperties(/*use_threads=*/false);
  arrowProperties.set_pre_buffer(false);
  ARROW_ASSIGN_OR_RAISE(
      state->reader, parquet::arrow::FileReader::Make(pool, std::move(raw), arrowProperties));
  std::shared_ptr<arrow::Schema> schema;
  ARROW_RETURN_NOT_OK(state->reader->GetSchema(&schema));
  ARROW_ASSIGN_OR_RAISE(state->schema, carrow::NormalizedSchema(*schema));
  return arrow::Status::OK();
}

void CollectLeaves(const parquet::arrow::SchemaField& field, std::vector<int>* leaves) {
  if (field.column_index >= 0) leaves->push_back(field.column_index);
  for (const auto& child : field.children) CollectLeaves(child, leaves);
}

arrow::Status Scan(const std::shared_ptr<ReaderState>& state, const int32_t* fields,
                   int32_t fieldCount, const int32_t* rowGroups, int32_t rowGroupCount,
                   int64_t batchRows, ArrowArrayStream* out) {
  const auto& all = state->reader->manifest().schema_fields;
  std::vector<int> leaves;
  arrow::FieldVector chosen;
  for (int32_t index = 0; index < fieldCount; index++) {
    if (fields[index] < 0 || fields[index] >= static_cast<int32_t>(all.size())) {
      return arrow::Status::IndexError("no column ", fields[index]);
    }
    CollectLeaves(all[static_cast<size_t>(fields[index])], &leaves);
    chosen.push_back(state->schema->field(fields[index]));
  }
  std::vector<int> groups(rowGroups, rowGroups + rowGroupCount);
  for (int group : groups) {
    if (group < 0 || group >= state->metadata->num_row_groups()) {
      return arrow::Status::IndexError("no row group ", group);
    }
  }
  if (batchRows < 1) return arrow::Status::Invalid("a batch has at least one row");
  std::vector<CArrowRowRange> whole;
  for (int group : groups) {
    whole.push_back(CArrowRowRange{group, 0, state->metadata->RowGroup(group)->num_rows()});
  }
  // Without columns there is nothing to be fast at.
  std::shared_ptr<arrow::RecordBatchReader> batches;
  if (fieldCount > 0) {
    ARROW_ASSIGN_OR_RAISE(
        batches, carrow::PlainRows(state, fields, fieldCount, std::move(whole), batchRows));
  }
  if (batches == nullptr) {
    state->reader->set_batch_size(batchRows);
    ARROW_ASSIGN_OR_RAISE(batches, state->reader->GetRecordBatchReader(groups, leaves));
  }
  auto reader = carrow::NormalizingReader(state, std::move(batches),
                                          arrow::schema(std::move(chosen)), state->pool.get());
  return arrow::ExportRecordBatchReader(std::move(reader), out);
}

// A number of the width that its type has; the caller has checked the length.
template <typename Number>
Number Loaded(const void* bytes) {
  Number number;
  std::memcpy(&number, bytes, sizeof(number));
  return number;
}

arrow::Status MayContain(ReaderState* state, int32_t rowGroup, int32_t leaf, const void* value,
                         int64_t length, bool* out) {
  *out = true;
  if (rowGroup < 0 || rowGroup >= state->metadata->num_row_groups() || leaf < 0 ||
      leaf >= state->metadata->num_columns()) {
    return arrow::Status::IndexError("no column chunk ", rowGroup, ", ", leaf);
  }
  auto group = state->reader->parquet_reader()->GetBloomFilterReader().RowGroup(rowGroup);
  if (group == nullptr) return arrow::Status::OK();
  auto filter = group->GetColumnBloomFilter(leaf);
  if (filter == nullptr) return arrow::Status::OK();
  const parquet::ColumnDescriptor* descriptor = state->metadata->schema()->Column(leaf);
  switch (descriptor->physical_type()) {
    case parquet::Type::INT32:
      if (length == 4) *out = filter->FindHash(filter->Hash(Loaded<int32_t>(value)));
      break;
    case parquet::Type::INT64:
      if (length == 8) *out = filter->FindHash(filter->Hash(Loaded<int64_t>(value)));
      break;
    case parquet::Type::BYTE_ARRAY:
      if (length <= std::numeric_limits<int32_t>::max()) {
        parquet::ByteArray bytes(static_cast<uint32_t>(length),
                                 static_cast<const uint8_t*>(value));
        *out = filter->FindHash(filter->Hash(&bytes));
      }
      break;
    case parquet::Type::FIXED_LEN_BYTE_ARRAY:
      if (length == descriptor->type_length()) {
        parquet::FLBA bytes(static_cast<const uint8_t*>(value));
        *out = filter->FindHash(filter->Hash(&bytes, static_cast<uint32_t>(length)));
      }
      break;
    default: break;
  }
  return arrow::Status::OK();
}

}  // namespace

bool CArrowParquetReaderOpen(CArrowSource source, const CArrowParquetReadOptions* options,
                             CArrowParquetReader** out, CArrowStatus* status) {
  return Guard(status, [&]() -> arrow::Status {
    auto handle = std::make_unique<CArrowParquetReader>();
    handle->state = std::make_shared<ReaderState>(options->memoryLimitBytes);
    ARROW_RETURN_NOT_OK(Open(source, *options, handle->state.get()));
    *out = handle.release();
    return arrow::Status::OK();
  });
}

void CArrowParquetReaderFree(CArrowParquetReader* reader) { delete reader; }

bool CArrowParquetReaderSchema(CArrowParquetReader* reader, ArrowSchema* out,
                               CArrowStatus* status) {
  return Guard(status, [&] { return arrow::ExportSchema(*reader->state->schema, out); });
}

bool CArrowParquetReaderFile(CArrowParquetReader* reader, CArrowParquetFile* out,
                             CArrowStatus* status) {
  return Guard(status, [&] { return carrow::DescribeFile(*reader->state->metadata, out); });
}

bool CArrowParquetReaderRowGroup(CArrowParquetReader* reader, int32_t rowGroup,
                                 CArrowRowGroup* out, CArrowStatus* status) {
  return Guard(status, [&] {
    return carrow::DescribeRowGroup(*reader->state->metadata, rowGroup, out);
  });
}

bool CArrowParquetReaderColumnChunk(CArrowParquetReader* reader, int32_t rowGroup, int32_t leaf,
                                    CArrowColumnChunk* out, CArrowStatus* status) {
  return Guard(status, [&] {
    return carrow::DescribeColumnChunk(*reader->state->metadata, rowGroup, leaf, &reader->bounds,
                                       out);
  });
}

bool CArrowParquetReaderMayContain(CArrowParquetReader* reader, int32_t rowGroup, int32_t leaf,
                                   const void* value, int64_t length, bool* out,
                                   CArrowStatus* status) {
  return Guard(status, [&] {
    return MayContain(reader->state.get(), rowGroup, leaf, value, length, out);
  });
}

bool CArrowParquetReaderMetadata(CArrowParquetReader* reader, const char* key, const char** out,
                                 int64_t* outLength, CArrowStatus* status) {
  return Guard(status, [&]() -> arrow::Status {
    *out = nullptr;
    *outLength = 0;
    const auto& metadata = reader->state->metadata->key_value_metadata();
    if (metadata == nullptr || !metadata->Contains(key)) return arrow::Status::OK();
    ARROW_ASSIGN_OR_RAISE(reader->text, metadata->Get(key));
    *out = reader->text.data();
    *outLength = static_cast<int64_t>(reader->text.size());
    return arrow::Status::OK();
  });
}

bool CArrowParquetReaderFooter(CArrowParquetReader* reader, const void** out, int64_t* outOffset,
                               int64_t* outLength, CArrowStatus* status) {
  return Guard(status, [&]() -> arrow::Status {
    const int64_t length = reader->state->metadata->size();
    const int64_t start = reader->state->sizeBytes - 8 - length;
    if (start < 0) return arrow::Status::Invalid("a footer longer than the file");
    ARROW_ASSIGN_OR_RAISE(reader->footer, reader->state->file->ReadAt(start, length));
    *out = reader->footer->data();
    *outOffset = start;
    *outLength = reader->footer->size();
    return arrow::Status::OK();
  });
}

bool CArrowParquetReaderScanRows(CArrowParquetReader* reader, const int32_t* fields,
                                 int32_t fieldCount, const CArrowRowRange* ranges,
                                 int32_t rangeCount, int64_t batchRows, bool* isPossible,
                                 ArrowArrayStream* out, CArrowStatus* status) {
  return Guard(status, [&]() -> arrow::Status {
    *isPossible = false;
    if (batchRows < 1) return arrow::Status::Invalid("a batch has at least one row");
    const auto& state = reader->state;
    std::vector<CArrowRowRange> chosen(ranges, ranges + rangeCount);
    ARROW_ASSIGN_OR_RAISE(
        auto batches, carrow::PlainRows(state, fields, fieldCount, std::move(chosen), batchRows));
    if (batches == nullptr) return arrow::Status::OK();
    auto schema = batches->schema();
    ARROW_RETURN_NOT_OK(arrow::ExportRecordBatchReader(
        carrow::NormalizingReader(state, std::move(batches), schema, state->pool.get()), out));
    *isPossible = true;
    return arrow::Status::OK();
  });
}

bool CArrowParquetReaderScan(CArrowParquetReader* reader, const int32_t* fields,
                             int32_t fieldCount, const int32_t* rowGroups, int32_t rowGroupCount,
                             int64_t batchRows, ArrowArrayStream* out, CArrowStatus* status) {
  return Guard(status, [&] {
    return Scan(reader->state, fields, fieldCount, rowGroups, rowGroupCount, batchRows, out);
  });
}
