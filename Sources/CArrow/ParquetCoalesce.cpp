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
  // What it may be called in files without ids.
  std::vector<std::string> names;
  // -1 where the files lack it: then it is null.
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
  // Arrow's allocator: in the C library's memory, what callers keep of each batch would lie between what is
  // freed, and keep it from being used again.
  CArrowParquetCoalescer(int64_t memoryLimit, bool verifyPageChecksums)
      : pool(memoryLimit, arrow::default_memory_pool()), properties(pool.get()) {
    carrow::LimitFooter(&properties);
    properties.set_page_checksum_verification(verifyPageChecksums);
  }

  carrow::PoolReference pool;
  parquet::ReaderProperties properties;
  carrow::ZstandardContext zstandard;
  std::vector<Column> columns;
  // Columns from here on are decoded when they are asked for.
  size_t firstDeferred = 0;
  // Whether the files of `pattern` have them all.
  bool defers = false;
  // Files whose deferred columns can be asked for, and how many rows these have.
  struct Opened {
    std::unique_ptr<parquet::ParquetFileReader> file;
    std::shared_ptr<arrow::io::BufferReader> input;
  };
  std::vector<Opened> opened;
  int64_t openedRows = 0;
  // Of the file that `columns` stand for: its schema is what others are compared with.
  std::shared_ptr<parquet::FileMetaData> pattern;
  int64_t rowCount = 0;
  bool isBroken = false;

  // Finds the columns in a file like this one; false when it has others.
  bool Adopt(const std::shared_ptr<parquet::FileMetaData>& metadata, const bool* isNeeded) {
    if (pattern != nullptr && pattern->schema()->Equals(*metadata->schema())) {
      for (size_t index = 0; index < (defers ? columns.size() : firstDeferred); index++) {
        if (columns[index].leaf < 0 && isNeeded[index]) return false;
      }
      return true;
    }
    // What was gathered is of the old pattern, whose readers are at work.
    if (rowCount > 0) return false;
    const parquet::SchemaDescriptor& leaves = *metadata->schema();
    std::map<int32_t, int> byID;
    std::map<std::string, int> byName;
    bool isNested = false;
    for (int leaf = 0; leaf < leaves.num_columns(); leaf++) {
      if (leaves.Column(leaf)->path()->ToDotVector().size() != 1) {
        isNested = true;
        continue;
      }
      const int32_t id = leaves.Column(leaf)->schema_node()->field_id();
      if (id >= 0 && !byID.emplace(id, leaf).second) return false;
      if (!byName.emplace(leaves.Column(leaf)->name(), leaf).second) return false;
    }
    // Names count only where there are no ids at all; those of nested fields are not looked for.
    const bool goesByName = byID.empty();
    if (goesByName && isNested) return false;
    if (!byID.empty() && byID.size() != byName.size()) return false;
    // Nothing is changed before it is certain: a file of the old pattern may come next.
    std::vector<int> found(columns.size(), -1);
    bool hasDeferred = true;
    for (size_t index = 0; index < columns.size(); index++) {
      const Column& column = columns[index];
      int& leaf = found[index];
      bool isAmbiguous = false;
      if (goesByName) {
        for (const std::string& name : column.names) {
          auto named = byName.find(name);
          if (named == byName.end()) continue;
          isAmbiguous = isAmbiguous || leaf >= 0;
          leaf = named->second;
        }
      } else if (auto own = byID.find(column.fieldID); own != byID.end()) {
        leaf = own->second;
      }
      const bool isRead =
          leaf < 0 ? !isNeeded[index]
                   : !isAmbiguous && carrow::IsPlain(*leaves.Column(leaf), *column.field);
      if (isRead) continue;
      if (index < firstDeferred) return false;
      hasDeferred = false;
    }
    defers = hasDeferred && firstDeferred < columns.size();
    for (size_t index = 0; index < (defers ? columns.size() : firstDeferred); index++) {
      Column& column = columns[index];
      column.leaf = found[index];
      column.reader = nullptr;
      if (column.leaf < 0) continue;
      column.reader =
          carrow::PlainColumnReader(leaves.Column(column.leaf), *column.field, pool.get());
      PARQUET_ASSIGN_OR_THROW(column.page, arrow::AllocateResizableBuffer(0, pool.get()));
    }
    pattern = metadata;
    return true;
  }

  // The pages of a column chunk; `input` holds the whole file.
  std::unique_ptr<parquet::PageReader> Pages(const Column& column, parquet::ParquetFileReader* file,
                                             parquet::RowGroupReader* rows,
                                             const arrow::io::BufferReader& input) {
    const auto& bytes = input.buffer();
    const carrow::ChunkToRead chunk{file,          rows,       column.leaf, properties,
                                    bytes->size(), &zstandard, column.page};
    return carrow::OpenPages(chunk, [&](int64_t start, int64_t length) {
      return std::make_shared<arrow::io::BufferReader>(arrow::SliceBuffer(bytes, start, length));
    });
  }

  // The values of the columns from `first` up to `last`.
  arrow::Status Append(parquet::ParquetFileReader* file, const arrow::io::BufferReader& input,
                       size_t first, size_t last) {
    for (int group = 0; group < file->metadata()->num_row_groups(); group++) {
      auto rows = file->RowGroup(group);
      const int64_t count = rows->metadata()->num_rows();
      for (size_t index = first; index < last; index++) {
        Column& column = columns[index];
        if (column.leaf < 0) continue;
        column.reader->SetPageReader(Pages(column, file, rows.get(), input));
        if (column.reader->ReadRecords(count) != count) {
          return arrow::Status::Invalid("column '", column.field->name(), "' has fewer values than ",
                                        count);
        }
        ARROW_RETURN_NOT_OK(carrow::CheckEnd(*column.reader));
      }
    }
    return arrow::Status::OK();
  }

  arrow::Result<bool> Add(const void* bytes, int64_t length, int64_t expectedRows, const char* key,
                          const char* value, const bool* isNeeded) {
    if (rowCount == 0) Close();
    auto own = std::make_shared<arrow::Buffer>(static_cast<const uint8_t*>(bytes), length);
    if (firstDeferred < columns.size()) {
      // The caller's bytes are there only during the call.
      ARROW_ASSIGN_OR_RAISE(own, own->CopySlice(0, length, pool.get()));
    }
    auto input = std::make_shared<arrow::io::BufferReader>(std::move(own));
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
    if (!Adopt(metadata, isNeeded)) return false;
    ARROW_RETURN_NOT_OK(Append(file.get(), *input, 0, firstDeferred));
    rowCount += expectedRows;
    if (defers) {
      opened.push_back(Opened{std::move(file), std::move(input)});
      openedRows += expectedRows;
    }
    return true;
  }

  void Close() {
    opened.clear();
    openedRows = 0;
  }

  // The values that were appended to the columns from `first` up to `last`.
  arrow::Status Export(size_t first, size_t last, int64_t count, ArrowArray* out) {
    arrow::ArrayVector arrays;
    arrow::FieldVector fields;
    for (size_t index = first; index < last; index++) {
      const Column& column = columns[index];
      // Of no file yet, or of files that lack it.
      ARROW_ASSIGN_OR_RAISE(
          auto array, column.reader == nullptr
                          ? arrow::MakeArrayOfNull(column.field->type(), count, pool.get())
                          : carrow::TakeValues(*column.reader, column.field->type(), pool.get()));
      if (array->length() != count) {
        return arrow::Status::Invalid("column '", column.field->name(), "' has ",
                                      array->length(), " values for ", count, " rows");
      }
      arrays.push_back(std::move(array));
      fields.push_back(column.field);
    }
    auto schema = arrow::schema(std::move(fields));
    auto batch = arrow::RecordBatch::Make(schema, count, std::move(arrays));
    ARROW_ASSIGN_OR_RAISE(batch, carrow::Normalize(std::move(batch), schema, pool.get()));
    return arrow::ExportRecordBatch(*batch, out);
  }

  arrow::Status Take(ArrowArray* out) {
    ARROW_RETURN_NOT_OK(Export(0, firstDeferred, rowCount, out));
    rowCount = 0;
    return arrow::Status::OK();
  }

  arrow::Status TakeDeferred(ArrowArray* out) {
    if (!defers) return arrow::Status::Invalid("the files lack a deferred column");
    for (Opened& each : opened) {
      ARROW_RETURN_NOT_OK(Append(each.file.get(), *each.input, firstDeferred, columns.size()));
    }
    const int64_t count = openedRows;
    Close();
    return Export(firstDeferred, columns.size(), count, out);
  }
};

bool CArrowParquetCoalescerMake(ArrowSchema* schema, int32_t firstDeferred,
                                const CArrowParquetReadOptions* options,
                                CArrowParquetCoalescer** out, CArrowStatus* status) {
  return Guard(status, [&]() -> arrow::Status {
    ARROW_ASSIGN_OR_RAISE(auto imported, arrow::ImportSchema(schema));
    auto handle = std::make_unique<CArrowParquetCoalescer>(options->memoryLimitBytes,
                                                           options->verifyPageChecksums);
    for (const auto& field : imported->fields()) {
      handle->columns.push_back(Column{field, FieldID(*field)});
    }
    if (firstDeferred < 0 || static_cast<size_t>(firstDeferred) > handle->columns.size()) {
      return arrow::Status::Invalid("no column ", firstDeferred);
    }
    handle->firstDeferred = static_cast<size_t>(firstDeferred);
    *out = handle.release();
    return arrow::Status::OK();
  });
}

void CArrowParquetCoalescerFree(CArrowParquetCoalescer* coalescer) { delete coalescer; }

bool CArrowParquetCoalescerAdd(CArrowParquetCoalescer* coalescer, const void* bytes,
                               int64_t length, int64_t rowCount, const char* key,
                               const char* value, const bool* isNeeded, bool* isAdded,
                               CArrowStatus* status) {
  return Guard(status, [&]() -> arrow::Status {
    *isAdded = false;
    if (coalescer->isBroken) return arrow::Status::Invalid("an earlier file was damaged");
    coalescer->isBroken = true;
    ARROW_ASSIGN_OR_RAISE(*isAdded, coalescer->Add(bytes, length, rowCount, key, value, isNeeded));
    coalescer->isBroken = false;
    return arrow::Status::OK();
  });
}

int64_t CArrowParquetCoalescerHeldBytes(CArrowParquetCoalescer* coalescer) {
  return coalescer->pool.get()->bytes_allocated();
}

bool CArrowParquetCoalescerName(CArrowParquetCoalescer* coalescer, int32_t column,
                                const char* name, CArrowStatus* status) {
  return Guard(status, [&]() -> arrow::Status {
    if (column < 0 || static_cast<size_t>(column) >= coalescer->columns.size()) {
      return arrow::Status::Invalid("no column ", column);
    }
    coalescer->columns[static_cast<size_t>(column)].names.emplace_back(name);
    return arrow::Status::OK();
  });
}

bool CArrowParquetCoalescerDefers(CArrowParquetCoalescer* coalescer) { return coalescer->defers; }

bool CArrowParquetCoalescerTake(CArrowParquetCoalescer* coalescer, bool isDeferred,
                                ArrowArray* out, CArrowStatus* status) {
  return Guard(status, [&]() -> arrow::Status {
    if (coalescer->isBroken) return arrow::Status::Invalid("an earlier file was damaged");
    coalescer->isBroken = true;
    ARROW_RETURN_NOT_OK(isDeferred ? coalescer->TakeDeferred(out) : coalescer->Take(out));
    coalescer->isBroken = false;
    return arrow::Status::OK();
  });
}
