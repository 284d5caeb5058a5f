#include "Guard.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include <malloc.h>
#include <sys/mman.h>

#include <arrow/buffer.h>
#include <arrow/io/memory.h>

namespace carrow {

// ---- memory ----

namespace {

// The C library takes a block that is larger than any that was freed so far from the kernel, and gives it back as soon as
// it is freed (mallopt(3), M_MMAP_THRESHOLD): cleared pages each time. The columns of a batch have up to a mebibyte and
// are cut before they are freed, so it would never learn that they come again. One block that is freed whole tells it.
void KeepColumns() {
  void* volatile memory = std::malloc(3 << 19);
  std::free(memory);
}

}  // namespace

MallocPool* MallocPool::Shared() {
  // Never destroyed: what is freed while the process ends is freed by it.
  static auto* const pool = [] {
    KeepColumns();
    return new MallocPool;
  }();
  return pool;
}

arrow::Status MallocPool::Allocate(int64_t size, int64_t alignment, uint8_t** out) {
  if (size < 0) return arrow::Status::Invalid("a negative size");
  void* memory = nullptr;
  // Something for nothing, too, so that there is an address to free.
  const auto bytes = static_cast<size_t>(std::max<int64_t>(size, 1));
  if (posix_memalign(&memory, std::max(static_cast<size_t>(alignment), sizeof(void*)), bytes) != 0) {
    return arrow::Status::OutOfMemory("no memory for ", size, " bytes");
  }
  *out = static_cast<uint8_t*>(memory);
  return arrow::Status::OK();
}

arrow::Status MallocPool::Reallocate(int64_t oldSize, int64_t newSize, int64_t alignment,
                                     uint8_t** pointer) {
  if (newSize > 0 && newSize < oldSize) {
    void* cut = std::realloc(*pointer, static_cast<size_t>(newSize));
    // Not cut, and still whole.
    if (cut == nullptr) return arrow::Status::OK();
    *pointer = static_cast<uint8_t*>(cut);
    if (reinterpret_cast<uintptr_t>(cut) % static_cast<uintptr_t>(alignment) == 0) {
      return arrow::Status::OK();
    }
    // It moved, which no standard forbids.
    oldSize = newSize;
  }
  return Move(oldSize, newSize, alignment, pointer);
}

arrow::Status MallocPool::Move(int64_t oldSize, int64_t newSize, int64_t alignment,
                               uint8_t** pointer) {
  uint8_t* moved = nullptr;
  ARROW_RETURN_NOT_OK(Allocate(newSize, alignment, &moved));
  std::memcpy(moved, *pointer, static_cast<size_t>(std::min(oldSize, newSize)));
  Free(*pointer, oldSize, alignment);
  *pointer = moved;
  return arrow::Status::OK();
}

void MallocPool::Free(uint8_t* buffer, int64_t, int64_t) { std::free(buffer); }

namespace {

// Smaller than this, memory that was used before is faster.
constexpr int64_t kMappedBytes = 4 << 20;

bool IsMapped(int64_t size) { return size >= kMappedBytes; }

arrow::Status SetMapping(void* memory, int64_t size, uint8_t** out) {
  if (memory == MAP_FAILED) return arrow::Status::OutOfMemory("no memory for ", size, " bytes");
  *out = static_cast<uint8_t*>(memory);
  return arrow::Status::OK();
}

}  // namespace

GrowingPool* GrowingPool::Shared() {
  static auto* const pool = new GrowingPool;
  return pool;
}

arrow::Status GrowingPool::Allocate(int64_t size, int64_t alignment, uint8_t** out) {
  if (!IsMapped(size)) return MallocPool::Allocate(size, alignment, out);
  void* memory = mmap(nullptr, static_cast<size_t>(size), PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ARROW_RETURN_NOT_OK(SetMapping(memory, size, out));
  // Only advice: a kernel without huge pages takes small ones.
  madvise(memory, static_cast<size_t>(size), MADV_HUGEPAGE);
  return arrow::Status::OK();
}

arrow::Status GrowingPool::Reallocate(int64_t oldSize, int64_t newSize, int64_t alignment,
                                      uint8_t** pointer) {
  if (IsMapped(oldSize) && IsMapped(newSize)) {
    void* memory = mremap(*pointer, static_cast<size_t>(oldSize), static_cast<size_t>(newSize),
                          MREMAP_MAYMOVE);
    return SetMapping(memory, newSize, pointer);
  }
  if (IsMapped(oldSize) || IsMapped(newSize)) return Move(oldSize, newSize, alignment, pointer);
  return MallocPool::Reallocate(oldSize, newSize, alignment, pointer);
}

void GrowingPool::Free(uint8_t* buffer, int64_t size, int64_t alignment) {
  if (IsMapped(size)) {
    munmap(buffer, static_cast<size_t>(size));
  } else {
    MallocPool::Free(buffer, size, alignment);
  }
}

arrow::Status LimitedPool::Reserve(int64_t bytes) {
  int64_t now = allocated_.load();
  do {
    if (bytes > limit_ - now) {
      return arrow::Status::OutOfMemory("more than the memory limit of ", limit_,
                                        " bytes: holding ", now, ", asked for ", bytes, " more");
    }
  } while (!allocated_.compare_exchange_weak(now, now + bytes));
  return arrow::Status::OK();
}

arrow::Status LimitedPool::Allocate(int64_t size, int64_t alignment, uint8_t** out) {
  if (size < 0) return arrow::Status::Invalid("a negative size");
  ARROW_RETURN_NOT_OK(Reserve(size));
  arrow::Status status = inner_->Allocate(size, alignment, out);
  if (!status.ok()) {
    allocated_.fetch_sub(size);
    return status;
  }
  references_.fetch_add(1);
  total_.fetch_add(size, std::memory_order_relaxed);
  allocations_.fetch_add(1, std::memory_order_relaxed);
  return status;
}

arrow::Status LimitedPool::Reallocate(int64_t oldSize, int64_t newSize, int64_t alignment,
                                      uint8_t** pointer) {
  if (newSize < 0) return arrow::Status::Invalid("a negative size");
  if (newSize > oldSize) ARROW_RETURN_NOT_OK(Reserve(newSize - oldSize));
  arrow::Status status = inner_->Reallocate(oldSize, newSize, alignment, pointer);
  if (!status.ok()) {
    if (newSize > oldSize) allocated_.fetch_sub(newSize - oldSize);
    return status;
  }
  if (newSize < oldSize) allocated_.fetch_sub(oldSize - newSize);
  return status;
}

void LimitedPool::Free(uint8_t* buffer, int64_t size, int64_t alignment) {
  inner_->Free(buffer, size, alignment);
  allocated_.fetch_sub(size);
  Release();
}

// ---- input ----

namespace {

// Files up to this size are read in one call: most of a table's small files are.
constexpr int64_t kWholeFileBytes = 128 * 1024;

class CallbackInput final : public arrow::io::RandomAccessFile {
 public:
  CallbackInput(CArrowSource source, arrow::MemoryPool* pool) : source_(source), pool_(pool) {}
  ~CallbackInput() override { source_.release(source_.context); }

  arrow::Status Close() override {
    closed_ = true;
    return arrow::Status::OK();
  }
  bool closed() const override { return closed_; }
  arrow::Result<int64_t> Tell() const override { return position_; }
  arrow::Status Seek(int64_t position) override {
    if (position < 0) return arrow::Status::Invalid("a negative position");
    position_ = position;
    return arrow::Status::OK();
  }
  arrow::Result<int64_t> GetSize() override { return source_.sizeBytes; }

  arrow::Result<int64_t> ReadAt(int64_t position, int64_t length, void* out) override {
    if (position < 0 || length < 0) return arrow::Status::Invalid("a negative position or length");
    if (position >= source_.sizeBytes) return 0;
    length = std::min(length, source_.sizeBytes - position);
    int64_t count = source_.readAt(source_.context, position, out, length);
    if (count < 0 || count > length) return arrow::Status::IOError("cannot read from the file");
    return count;
  }
  arrow::Result<std::shared_ptr<arrow::Buffer>> ReadAt(int64_t position,
                                                       int64_t length) override {
    if (position < 0 || length < 0) return arrow::Status::Invalid("a negative position or length");
    // A length from a broken footer must not become an allocation.
    int64_t available = std::max<int64_t>(0, source_.sizeBytes - position);
    length = std::min(length, available);
    ARROW_ASSIGN_OR_RAISE(auto buffer, arrow::AllocateResizableBuffer(length, pool_));
    ARROW_ASSIGN_OR_RAISE(int64_t count, ReadAt(position, length, buffer->mutable_data()));
    if (count < length) ARROW_RETURN_NOT_OK(buffer->Resize(count));
    return std::shared_ptr<arrow::Buffer>(std::move(buffer));
  }
  arrow::Result<int64_t> Read(int64_t length, void* out) override {
    ARROW_ASSIGN_OR_RAISE(int64_t count, ReadAt(position_, length, out));
    position_ += count;
    return count;
  }
  arrow::Result<std::shared_ptr<arrow::Buffer>> Read(int64_t length) override {
    ARROW_ASSIGN_OR_RAISE(auto buffer, ReadAt(position_, length));
    position_ += buffer->size();
    return buffer;
  }

 private:
  CArrowSource source_;
  arrow::MemoryPool* pool_;
  int64_t position_ = 0;
  bool closed_ = false;
};

// ---- output ----

// Parquet writes page headers and pages in small pieces; callbacks get a mebibyte at a time.
constexpr size_t kSinkBufferBytes = 1 << 20;

class CallbackOutput final : public arrow::io::OutputStream {
 public:
  explicit CallbackOutput(CArrowSink sink) : sink_(sink) {}
  ~CallbackOutput() override { sink_.release(sink_.context); }

  // Does not flush: an abandoned file gets nothing more. Whoever finishes calls Flush first.
  arrow::Status Close() override {
    closed_ = true;
    return arrow::Status::OK();
  }
  // What an abandoned writer still writes is dropped.
  arrow::Status Abort() override {
    failed_ = true;
    gathered_.clear();
    return Close();
  }
  bool closed() const override { return closed_; }
  arrow::Result<int64_t> Tell() const override { return position_; }

  arrow::Status Write(const void* data, int64_t length) override {
    if (failed_) return arrow::Status::IOError("an earlier write failed");
    position_ += length;
    size_t count = static_cast<size_t>(length);
    if (gathered_.size() + count > kSinkBufferBytes) {
      ARROW_RETURN_NOT_OK(Flush());
      if (count > kSinkBufferBytes) return Pass(data, length);
    }
    if (gathered_.capacity() == 0 && count > 0) gathered_.reserve(kInitialBytes);
    const uint8_t* bytes = static_cast<const uint8_t*>(data);
    gathered_.insert(gathered_.end(), bytes, bytes + count);
    return arrow::Status::OK();
  }

  arrow::Status Flush() override {
    if (failed_) return arrow::Status::IOError("an earlier write failed");
    if (gathered_.empty()) return arrow::Status::OK();
    arrow::Status status = Pass(gathered_.data(), static_cast<int64_t>(gathered_.size()));
    gathered_.clear();
    return status;
  }

 private:
  static constexpr size_t kInitialBytes = 16 * 1024;

  arrow::Status Pass(const void* data, int64_t length) {
    if (sink_.write(sink_.context, data, length)) return arrow::Status::OK();
    failed_ = true;
    return arrow::Status::IOError("cannot write to the file");
  }

  CArrowSink sink_;
  std::vector<uint8_t> gathered_;
  int64_t position_ = 0;
  bool closed_ = false;
  bool failed_ = false;
};

}  // namespace

arrow::Result<std::shared_ptr<arrow::io::RandomAccessFile>> OpenSource(CArrowSource source,
                                                                       arrow::MemoryPool* pool) {
  auto input = std::make_shared<CallbackInput>(source, pool);
  if (source.sizeBytes > kWholeFileBytes) return input;
  ARROW_ASSIGN_OR_RAISE(auto buffer, input->ReadAt(0, source.sizeBytes));
  return std::make_shared<arrow::io::BufferReader>(std::move(buffer));
}

std::shared_ptr<arrow::io::OutputStream> OpenSink(CArrowSink sink) {
  return std::make_shared<CallbackOutput>(sink);
}

}  // namespace carrow

void CArrowReleaseUnusedMemory(void) {
  arrow::MemoryPool* pool = arrow::default_memory_pool();
  pool->ReleaseUnused();
  // The system's pool is that of C, and has just been trimmed.
  if (pool->backend_name() != "system") malloc_trim(0);
}
