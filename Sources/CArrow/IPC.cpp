#include <utility>

#include <arrow/c/bridge.h>
#include <arrow/ipc/options.h>
#include <arrow/ipc/reader.h>
#include <arrow/ipc/writer.h>
#include <arrow/record_batch.h>

#include "Normalize.h"

struct CArrowIPCWriter {
  std::shared_ptr<arrow::io::OutputStream> sink;
  std::shared_ptr<arrow::Schema> schema;
  std::shared_ptr<arrow::ipc::RecordBatchWriter> writer;
};

namespace {

using carrow::Guard;

// A file of batches as a stream; the batches are independent, so one is held at a time.
class FileBatches final : public arrow::RecordBatchReader {
 public:
  explicit FileBatches(std::shared_ptr<arrow::ipc::RecordBatchFileReader> file)
      : file_(std::move(file)) {}
  std::shared_ptr<arrow::Schema> schema() const override { return file_->schema(); }
  arrow::Status ReadNext(std::shared_ptr<arrow::RecordBatch>* out) override {
    if (next_ == file_->num_record_batches()) {
      out->reset();
      return arrow::Status::OK();
    }
    return file_->ReadRecordBatch(next_++).Value(out);
  }

 private:
  std::shared_ptr<arrow::ipc::RecordBatchFileReader> file_;
  int next_ = 0;
};

struct StreamState {
  explicit StreamState(int64_t memoryLimit) : pool(memoryLimit) {}
  carrow::PoolReference pool;
  std::shared_ptr<arrow::io::RandomAccessFile> file;
};

arrow::Status Open(CArrowSource source, int64_t memoryLimit, ArrowArrayStream* out) {
  auto state = std::make_shared<StreamState>(memoryLimit);
  arrow::MemoryPool* pool = state->pool.get();
  ARROW_ASSIGN_OR_RAISE(state->file, carrow::OpenSource(source, pool));
  auto options = arrow::ipc::IpcReadOptions::Defaults();
  options.memory_pool = pool;
  options.use_threads = false;
  options.pre_buffer_cache_options.lazy = true;
  char magic[6] = {0};
  ARROW_ASSIGN_OR_RAISE(int64_t count, state->file->ReadAt(0, sizeof(magic), magic));
  std::shared_ptr<arrow::RecordBatchReader> batches;
  if (count == sizeof(magic) && std::memcmp(magic, "ARROW1", sizeof(magic)) == 0) {
    ARROW_ASSIGN_OR_RAISE(auto file,
                          arrow::ipc::RecordBatchFileReader::Open(state->file, options));
    batches = std::make_shared<FileBatches>(std::move(file));
  } else {
    ARROW_ASSIGN_OR_RAISE(batches,
                          arrow::ipc::RecordBatchStreamReader::Open(state->file, options));
  }
  ARROW_ASSIGN_OR_RAISE(auto schema, carrow::NormalizedSchema(*batches->schema()));
  auto reader =
      carrow::NormalizingReader(state, std::move(batches), std::move(schema), pool);
  return arrow::ExportRecordBatchReader(std::move(reader), out);
}

}  // namespace

bool CArrowIPCWriterOpen(CArrowSink sink, ArrowSchema* schema, bool isStream,
                         CArrowIPCWriter** out, CArrowStatus* status) {
  bool opened = Guard(status, [&]() -> arrow::Status {
    auto handle = std::make_unique<CArrowIPCWriter>();
    handle->sink = carrow::OpenSink(sink);
    ARROW_ASSIGN_OR_RAISE(handle->schema, arrow::ImportSchema(schema));
    auto options = arrow::ipc::IpcWriteOptions::Defaults();
    options.use_threads = false;
    auto writer = isStream
                      ? arrow::ipc::MakeStreamWriter(handle->sink, handle->schema, options)
                      : arrow::ipc::MakeFileWriter(handle->sink, handle->schema, options);
    ARROW_ASSIGN_OR_RAISE(handle->writer, std::move(writer));
    *out = handle.release();
    return arrow::Status::OK();
  });
  if (schema->release != nullptr) schema->release(schema);
  return opened;
}

bool CArrowIPCWriterWrite(CArrowIPCWriter* writer, ArrowArray* array, CArrowStatus* status) {
  bool written = Guard(status, [&]() -> arrow::Status {
    ARROW_ASSIGN_OR_RAISE(auto batch, arrow::ImportRecordBatch(array, writer->schema));
    return writer->writer->WriteRecordBatch(*batch);
  });
  if (array->release != nullptr) array->release(array);
  return written;
}

bool CArrowIPCWriterFinish(CArrowIPCWriter* writer, int64_t* fileBytes, CArrowStatus* status) {
  return Guard(status, [&]() -> arrow::Status {
    ARROW_RETURN_NOT_OK(writer->writer->Close());
    ARROW_RETURN_NOT_OK(writer->sink->Flush());
    ARROW_ASSIGN_OR_RAISE(*fileBytes, writer->sink->Tell());
    return arrow::Status::OK();
  });
}

void CArrowIPCWriterFree(CArrowIPCWriter* writer) { delete writer; }

bool CArrowIPCOpenStream(CArrowSource source, int64_t memoryLimitBytes, ArrowArrayStream* out,
                         CArrowStatus* status) {
  return Guard(status, [&] { return Open(source, memoryLimitBytes, out); });
}
