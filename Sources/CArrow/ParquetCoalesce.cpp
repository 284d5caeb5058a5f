#include <cstring>
#include <map>
#include <memory>
#include <optional>
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

#include "FileLayout.h"
#include "MemoryPages.h"
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
    carrow::FileLayout layout;
    std::shared_ptr<arrow::Buffer> bytes;
  };
  std::vector<Opened> opened;
  int64_t openedRows = 0;
  // Of the file that `columns` stand for: its schema is what others are compared with.
  std::shared_ptr<parquet::FileMetaData> pattern;
  carrow::LayoutReader layouts;
  int64_t rowCount = 0;
  // Of the last batch: the next one is likely to be as large.
  int64_t lastRowCount = 0;
  bool isBroken = false;

  // Whether files like the pattern have the columns that are not null where they are missing.
  bool HasAll(const bool* isNeeded) const {
    for (size_t index = 0; index < (defers ? columns.size() : firstDeferred); index++) {
      if (columns[index].leaf < 0 && isNeeded[index]) return false;
    }
    return true;
  }

  // Finds the columns in a file like this one; false when it has others.
  bool Adopt(const std::shared_ptr<parquet::FileMetaData>& metadata, const bool* isNeeded) {
    if (pattern != nullptr && pattern->schema()->Equals(*metadata->schema())) return HasAll(isNeeded);
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
          carrow::PlainColumnReader(leaves.Column(column.leaf), *column.field,
                                    /*byDictionary=*/false, pool.get());
      PARQUET_ASSIGN_OR_THROW(column.page, arrow::AllocateResizableBuffer(0, pool.get()));
    }
    pattern = metadata;
    return true;
  }

  std::unique_ptr<parquet::PageReader> Pages(const Column& column, const carrow::ChunkLayout& chunk,
                                             const std::shared_ptr<arrow::Buffer>& bytes) {
    if (!chunk.isReadable) throw parquet::ParquetException("a column chunk lies outside the file, or is encrypted");
    if (chunk.codec == parquet::Compression::ZSTD || chunk.codec == parquet::Compression::UNCOMPRESSED) {
      return std::make_unique<carrow::MemoryPages>(bytes, chunk, properties.page_checksum_verification(),
                                                   &zstandard, column.page);
    }
    auto slice = arrow::SliceBuffer(bytes, chunk.start, chunk.byteCount);
    return parquet::PageReader::Open(std::make_shared<arrow::io::BufferReader>(std::move(slice)),
                                     chunk.valueCount, chunk.codec, properties,
                                     *pattern->schema()->Column(column.leaf));
  }

  // The values of the columns from `first` up to `last`.
  arrow::Status Append(const carrow::FileLayout& layout, const std::shared_ptr<arrow::Buffer>& bytes,
                       size_t first, size_t last) {
    for (const carrow::RowGroupLayout& rows : layout.rowGroups) {
      for (size_t index = first; index < last; index++) {
        Column& column = columns[index];
        if (column.leaf < 0) continue;
        const auto leaf = static_cast<size_t>(column.leaf);
        if (leaf >= rows.chunks.size()) return arrow::Status::Invalid("a row group lacks a column");
        column.reader->SetPageReader(Pages(column, rows.chunks[leaf], bytes));
        if (column.reader->ReadRecords(rows.rowCount) != rows.rowCount) {
          return arrow::Status::Invalid("column '", column.field->name(), "' has fewer values than ",
                                        rows.rowCount);
        }
        ARROW_RETURN_NOT_OK(carrow::CheckEnd(*column.reader));
      }
    }
    return arrow::Status::OK();
  }

  arrow::Result<bool> Add(const void* data, int64_t length, int64_t expectedRows, const char* key,
                          const char* value, const bool* isNeeded) {
    if (rowCount == 0) Close();
    auto bytes = std::make_shared<arrow::Buffer>(static_cast<const uint8_t*>(data), length);
    carrow::FileLayout layout;
    std::optional<std::string> text;
    std::shared_ptr<parquet::FileMetaData> metadata;
    if (!layouts.Read(bytes->data(), length, key, &layout, &text)) {
      auto file = parquet::ParquetFileReader::Open(std::make_shared<arrow::io::BufferReader>(bytes), properties);
      metadata = file->metadata();
      layout = carrow::LayoutOf(*metadata, length);
      const auto& texts = metadata->key_value_metadata();
      if (texts != nullptr && texts->Contains(key)) {
        ARROW_ASSIGN_OR_RAISE(text, texts->Get(key));
      }
    }
    int64_t rows = 0;
    for (const carrow::RowGroupLayout& group : layout.rowGroups) {
      if (group.rowCount < 0 || group.rowCount > expectedRows - rows) return false;
      rows += group.rowCount;
    }
    if (rows != expectedRows || layout.rowCount != expectedRows) return false;
    if (text.has_value() && *text != value) return false;
    if (metadata == nullptr) {
      if (!HasAll(isNeeded)) return false;
    } else {
      if (!Adopt(metadata, isNeeded)) return false;
      if (pattern == metadata) layouts.Learn(*metadata, bytes->data(), length);
    }
    if (rowCount == 0) Reserve();
    ARROW_RETURN_NOT_OK(Append(layout, bytes, 0, firstDeferred));
    rowCount += expectedRows;
    if (defers) {
      // The caller's bytes are there only during the call.
      ARROW_ASSIGN_OR_RAISE(bytes, bytes->CopySlice(0, length, pool.get()));
      opened.push_back(Opened{std::move(layout), std::move(bytes)});
      openedRows += expectedRows;
    }
    return true;
  }

  // Room for a batch at once, instead of growing with each file.
  void Reserve() {
    for (size_t index = 0; index < firstDeferred; index++) {
      if (columns[index].leaf >= 0) columns[index].reader->Reserve(lastRowCount);
    }
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
    lastRowCount = rowCount;
    rowCount = 0;
    return arrow::Status::OK();
  }

  arrow::Status TakeDeferred(ArrowArray* out) {
    if (!defers) return arrow::Status::Invalid("the files lack a deferred column");
    for (Opened& each : opened) {
      ARROW_RETURN_NOT_OK(Append(each.layout, each.bytes, firstDeferred, columns.size()));
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
