// What every file of the glue shares: the guard that keeps exceptions in, memory pools with a limit,
// and Arrow's file interfaces over our callbacks.
#pragma once

#include <atomic>
#include <cstring>
#include <exception>
#include <memory>
#include <new>
#include <string>

#include <arrow/io/interfaces.h>
#include <arrow/memory_pool.h>
#include <arrow/result.h>
#include <arrow/status.h>

#include "CArrow.h"

namespace carrow {

inline void SetStatus(CArrowStatus* out, int32_t code, const char* message) {
  if (out == nullptr) return;
  out->code = code;
  std::strncpy(out->message, message, sizeof(out->message) - 1);
  out->message[sizeof(out->message) - 1] = '\0';
}

inline int32_t CodeOf(const arrow::Status& status) {
  switch (status.code()) {
    case arrow::StatusCode::OutOfMemory: return CArrowCodeMemory;
    case arrow::StatusCode::NotImplemented: return CArrowCodeUnsupported;
    case arrow::StatusCode::Invalid:
    case arrow::StatusCode::IOError:
    case arrow::StatusCode::TypeError:
    case arrow::StatusCode::KeyError:
    case arrow::StatusCode::IndexError:
    case arrow::StatusCode::SerializationError:
    case arrow::StatusCode::CapacityError: return CArrowCodeInvalid;
    default: return CArrowCodeOther;
  }
}

// Runs `body`, which returns an arrow::Status; exceptions become statuses.
template <typename Body>
arrow::Status Catching(Body&& body) noexcept {
  try {
    return body();
  } catch (const std::bad_alloc&) {
    return arrow::Status::OutOfMemory("out of memory");
  } catch (const std::exception& error) {
    // Parquet throws its own errors, with Arrow's status in the text where there was one.
    const char* text = error.what();
    if (std::strstr(text, "Out of memory") != nullptr || std::strstr(text, "out of memory")) {
      return arrow::Status::OutOfMemory(text);
    }
    return arrow::Status::Invalid(text);
  } catch (...) {
    return arrow::Status::UnknownError("an unknown C++ exception");
  }
}

// The one way out: true, or false with the status filled in.
template <typename Body>
bool Guard(CArrowStatus* out, Body&& body) noexcept {
  try {
    arrow::Status status = Catching(std::forward<Body>(body));
    if (status.ok()) return true;
    SetStatus(out, CodeOf(status), status.message().c_str());
  } catch (...) {
    SetStatus(out, CArrowCodeOther, "out of memory while reporting an error");
  }
  return false;
}

// The C library's memory. Parquet's readers cut every buffer to its size in the end: Arrow's pool over the same memory
// copies it for that, and this one gives the rest back where it lies. Whoever uses it counts.
class MallocPool : public arrow::MemoryPool {
 public:
  static MallocPool* Shared();

  using MemoryPool::Allocate;
  using MemoryPool::Reallocate;
  arrow::Status Allocate(int64_t size, int64_t alignment, uint8_t** out) override;
  arrow::Status Reallocate(int64_t oldSize, int64_t newSize, int64_t alignment,
                           uint8_t** pointer) override;
  void Free(uint8_t* buffer, int64_t size, int64_t alignment) override;
  int64_t bytes_allocated() const override { return 0; }
  int64_t total_bytes_allocated() const override { return 0; }
  int64_t num_allocations() const override { return 0; }
  std::string backend_name() const override { return "malloc"; }

 protected:
  // Reallocates by a copy.
  arrow::Status Move(int64_t oldSize, int64_t newSize, int64_t alignment, uint8_t** pointer);
};

// Memory for the pages of a column, which grow until their row group ends: what is large is mapped, grows without a copy,
// and has huge pages, so that it costs few page faults. What is smaller is the C library's.
class GrowingPool final : public MallocPool {
 public:
  static GrowingPool* Shared();

  using MemoryPool::Allocate;
  using MemoryPool::Reallocate;
  arrow::Status Allocate(int64_t size, int64_t alignment, uint8_t** out) override;
  arrow::Status Reallocate(int64_t oldSize, int64_t newSize, int64_t alignment,
                           uint8_t** pointer) override;
  void Free(uint8_t* buffer, int64_t size, int64_t alignment) override;
  std::string backend_name() const override { return "mmap"; }
};

// Counts what is allocated through it and refuses to go beyond a limit. It lives until its owner has
// dropped it and the last of its allocations is freed, so batches may outlive their reader.
class LimitedPool final : public arrow::MemoryPool {
 public:
  static LimitedPool* Make(int64_t limit, arrow::MemoryPool* inner) {
    return new LimitedPool(limit, inner);
  }
  void Drop() { Release(); }

  using MemoryPool::Allocate;
  using MemoryPool::Reallocate;
  arrow::Status Allocate(int64_t size, int64_t alignment, uint8_t** out) override;
  arrow::Status Reallocate(int64_t oldSize, int64_t newSize, int64_t alignment,
                           uint8_t** pointer) override;
  void Free(uint8_t* buffer, int64_t size, int64_t alignment) override;
  int64_t bytes_allocated() const override { return allocated_.load(); }
  int64_t total_bytes_allocated() const override { return total_.load(); }
  int64_t num_allocations() const override { return allocations_.load(); }
  std::string backend_name() const override { return "limited"; }

 private:
  LimitedPool(int64_t limit, arrow::MemoryPool* inner) : limit_(limit), inner_(inner) {}
  arrow::Status Reserve(int64_t bytes);
  void Release() {
    if (references_.fetch_sub(1) == 1) delete this;
  }

  const int64_t limit_;
  arrow::MemoryPool* const inner_;
  std::atomic<int64_t> allocated_{0};
  std::atomic<int64_t> total_{0};
  std::atomic<int64_t> allocations_{0};
  std::atomic<int64_t> references_{1};
};

// The owner's reference to a pool: the first member of whoever uses it, so that it goes last.
//
// The memory is the C library's unless told otherwise. Arrow's own allocator gives what is freed back to the kernel
// and has it cleared anew: scans by two threads took a tenth longer, and half as much memory again.
class PoolReference {
 public:
  explicit PoolReference(int64_t limit, arrow::MemoryPool* inner = MallocPool::Shared())
      : pool_(LimitedPool::Make(limit, inner)) {}
  PoolReference(const PoolReference&) = delete;
  PoolReference& operator=(const PoolReference&) = delete;
  ~PoolReference() { pool_->Drop(); }
  LimitedPool* get() const { return pool_; }

 private:
  LimitedPool* pool_;
};

// Takes over the source. A small file is read at once and served from memory.
arrow::Result<std::shared_ptr<arrow::io::RandomAccessFile>> OpenSource(CArrowSource source,
                                                                       arrow::MemoryPool* pool);

// Takes over the sink; small writes are gathered, `Tell` counts the bytes accepted.
std::shared_ptr<arrow::io::OutputStream> OpenSink(CArrowSink sink);

}  // namespace carrow
