#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <arrow/array/util.h>
#include <arrow/buffer.h>
#include <arrow/c/bridge.h>
#include <arrow/io/memory.h>
#include <arrow/record_batch.h>
#include <arrow/util/key_value_metadata.h>
#include <parquet/column_reader.h>
#include <parquet/file_reader.h>
#include <parquet/metadata.h>
#include <parquet/properties.h>

#include "Normalize.h"
#include "ParquetFooter.h"
#include "PlainColumn.h"
#include "ZstandardPages.h"

namespace {

using carrow::Guard;

// One column of the batches. Its reader goes on from file to file, so that the values of all come to lie in
// one buffer.
struct Column {
  std::shared_ptr<arrow::Field> field;
  int32_t fieldID;
  int leaf = -1;
  std::shared_ptr<parquet::internal::RecordReader> reader;
  // The decompressed page that `reader` is at.
  std::shared_ptr<arrow::ResizableBuffer> page;
};

int32_t FieldID(const arrow::Field& field) {
  if (field.metadata() == nullptr) return -1;
  auto text = field.metadata()->Get("PARQUET:field_id");
  return text.ok() ? std::atoi(text->c_str()) : -1;
}

}  // namespace

struct CArrowParquetCoalescer {
  CArrowParquetCoalescer(int64_t memoryLimit, bool verifyPageChecksums)
      : pool(memoryLimit), properties(pool.get()) {
    carrow::LimitFooter(&properties);
    properties.set_page_checksum_verification(verifyPageChecksums);
  }

  carrow::PoolReference pool;
  parquet::ReaderProperties properties;
  carrow::ZstandardContext zstandard;
  std::shared_ptr<arrow::Schema> schema;
  std::vector<Column> columns;
  // Of the file that `columns` stand for: its schema is what others are compared with.
  std::shared_ptr<parquet::FileMetaData> pattern;
  int64_t rowCount = 0;
  bool isBroken = false;

  // Finds the columns in a file like this one; false when it has others.
  bool Adopt(const std::shared_ptr<parquet::FileMetaData>& metadata) {
    if (pattern != nullptr && pattern->schema()->Equals(*metadata->schema())) return true;
    // What was gathered is of the old pattern, whose readers are at work.
    if (rowCount > 0) return false;
    const parquet::SchemaDescriptor& leaves = *metadata->schema();
    std::map<int32_t, int> byID;
    for (int leaf = 0; leaf < leaves.num_columns(); leaf++) {
      if (leaves.Column(leaf)->path()->ToDotVector().size() != 1) continue;
      const int32_t id = leaves.Column(leaf)->schema_node()->field_id();
      if (id < 0 || !byID.emplace(id, leaf).second) return false;
    }
    for (Column& column : columns) {
      auto found = byID.find(column.fieldID);
      if (found == byID.end()) return false;
      if (!carrow::IsPlain(*leaves.Column(found->second), *column.field)) return false;
      column.leaf = found->second;
    }
    for (Column& column : columns) {
      column.reader =
          carrow::PlainColumnReader(leaves.Column(column.leaf), *column.field, pool.get());
      PARQUET_ASSIGN_OR_THROW(column.page, arrow::AllocateResizableBuffer(0, pool.get()));
    }
    pattern = metadata;
    return true;
  }

  // The pages of a column chunk; `file` holds the whole file.
  std::unique_ptr<parquet::PageReader> Pages(const Column& column, parquet::RowGroupReader* rows,
                                             const arrow::io::BufferReader& file) {
    auto chunk = rows->metadata()->ColumnChunk(column.leaf);
    if (chunk->compression() != parquet::Compression::ZSTD) {
      return rows->GetColumnPageReader(column.leaf);
    }
    int64_t start = chunk->data_page_offset();
    if (chunk->has_dictionary_page() && chunk->dictionary_page_offset() > 0 &&
        chunk->dictionary_page_offset() < start) {
      start = chunk->dictionary_page_offset();
    }
    const auto& bytes = file.buffer();
    const int64_t length = chunk->total_compressed_size();
    if (start < 0 || start > bytes->size() || length < 0 || length > bytes->size() - start) {
      throw parquet::ParquetException("a column chunk lies outside the file");
    }
    auto input = std::make_shared<arrow::io::BufferReader>(arrow::SliceBuffer(bytes, start, length));
    return std::make_unique<carrow::ZstandardPages>(
        parquet::PageReader::Open(std::move(input), chunk->num_values(),
                                  parquet::Compression::UNCOMPRESSED, properties,
                                  *column.reader->descr()),
        &zstandard, column.page);
  }

  arrow::Status Append(parquet::ParquetFileReader* file, const arrow::io::BufferReader& input) {
    for (int group = 0; group < file->metadata()->num_row_groups(); group++) {
      auto rows = file->RowGroup(group);
      const int64_t count = rows->metadata()->num_rows();
      for (Column& column : columns) {
        column.reader->SetPageReader(Pages(column, rows.get(), input));
        if (column.reader->ReadRecords(count) != count) {
          return arrow::Status::Invalid("column '", column.field->name(), "' has fewer values than ",
                                        count);
        }
      }
      rowCount += count;
    }
    return arrow::Status::OK();
  }

  arrow::Result<bool> Add(const void* bytes, int64_t length, int64_t expectedRows, const char* key,
                          const char* value) {
    auto input = std::make_shared<arrow::io::BufferReader>(
        std::make_shared<arrow::Buffer>(static_cast<const uint8_t*>(bytes), length));
    auto file = parquet::ParquetFileReader::Open(input, properties);
    const auto metadata = file->metadata();
    int64_t rows = 0;
    for (int group = 0; group < metadata->num_row_groups(); group++) {
      const int64_t count = metadata->RowGroup(group)->num_rows();
      if (count < 0 || count > expectedRows - rows) return false;
      rows += count;
    }
    if (rows != expectedRows || metadata->num_rows() != expectedRows) return false;
    const auto& texts = metadata->key_value_metadata();
    if (texts != nullptr && texts->Contains(key)) {
      ARROW_ASSIGN_OR_RAISE(std::string found, texts->Get(key));
      if (found != value) return false;
    }
    if (!Adopt(metadata)) return false;
    ARROW_RETURN_NOT_OK(Append(file.get(), *input));
    return true;
  }
};

bool CArrowParquetCoalescerMake(ArrowSchema* schema, const CArrowParquetReadOptions* options,
                                CArrowParquetCoalescer** out, CArrowStatus* status) {
  return Guard(status, [&]() -> arrow::Status {
    ARROW_ASSIGN_OR_RAISE(auto imported, arrow::ImportSchema(schema));
    auto handle = std::make_unique<CArrowParquetCoalescer>(options->memoryLimitBytes,
                                                           options->verifyPageChecksums);
    handle->schema = std::move(imported);
    for (const auto& field : handle->schema->fields()) {
      handle->columns.push_back(Column{field, FieldID(*field)});
    }
    *out = handle.release();
    return arrow::Status::OK();
  });
}

void CArrowParquetCoalescerFree(CArrowParquetCoalescer* coalescer) { delete coalescer; }

bool CArrowParquetCoalescerAdd(CArrowParquetCoalescer* coalescer, const void* bytes,
                               int64_t length, int64_t rowCount, const char* key,
                               const char* value, bool* isAdded, CArrowStatus* status) {
  return Guard(status, [&]() -> arrow::Status {
    *isAdded = false;
    if (coalescer->isBroken) return arrow::Status::Invalid("an earlier file was damaged");
    coalescer->isBroken = true;
    ARROW_ASSIGN_OR_RAISE(*isAdded, coalescer->Add(bytes, length, rowCount, key, value));
    coalescer->isBroken = false;
    return arrow::Status::OK();
  });
}

int64_t CArrowParquetCoalescerHeldBytes(CArrowParquetCoalescer* coalescer) {
  return coalescer->pool.get()->bytes_allocated();
}

bool CArrowParquetCoalescerTake(CArrowParquetCoalescer* coalescer, ArrowArray* out,
                                CArrowStatus* status) {
  return Guard(status, [&]() -> arrow::Status {
    if (coalescer->isBroken) return arrow::Status::Invalid("an earlier file was damaged");
    coalescer->isBroken = true;
    arrow::ArrayVector columns;
    for (Column& column : coalescer->columns) {
      // Of no file yet.
      ARROW_ASSIGN_OR_RAISE(
          auto array, column.reader == nullptr
                          ? arrow::MakeEmptyArray(column.field->type(), coalescer->pool.get())
                          : carrow::TakeValues(*column.reader, column.field->type(),
                                               coalescer->pool.get()));
      if (array->length() != coalescer->rowCount) {
        return arrow::Status::Invalid("column '", column.field->name(), "' has ", array->length(),
                                      " values for ", coalescer->rowCount, " rows");
      }
      columns.push_back(std::move(array));
    }
    auto batch = arrow::RecordBatch::Make(coalescer->schema, coalescer->rowCount,
                                          std::move(columns));
    ARROW_ASSIGN_OR_RAISE(batch, carrow::Normalize(std::move(batch), coalescer->schema,
                                                   coalescer->pool.get()));
    coalescer->rowCount = 0;
    coalescer->isBroken = false;
    return arrow::ExportRecordBatch(*batch, out);
  });
}
