// The bytes of a column chunk, or of some of its pages, read in windows.
//
// Arrow's buffered stream grows its buffer whenever a look at the next page header reaches beyond its end, and copies
// what it holds each time: with pages of less than 16 KiB it copies the chunk once a page.
#pragma once

#include <algorithm>
#include <cstring>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include <arrow/buffer.h>
#include <arrow/io/interfaces.h>
#include <arrow/memory_pool.h>
#include <arrow/result.h>
#include <arrow/status.h>

namespace carrow {

struct ByteRange {
  int64_t start;
  int64_t length;
};

// Of a file, ranges one after the other as if nothing lay between them.
class ChunkStream final : public arrow::io::InputStream {
 public:
  ChunkStream(std::shared_ptr<arrow::io::RandomAccessFile> file, std::vector<ByteRange> ranges,
              arrow::MemoryPool* pool)
      : file_(std::move(file)), pool_(pool), ranges_(std::move(ranges)) {
    for (const ByteRange& range : ranges_) left_ += range.length;
  }

  arrow::Status Close() override {
    isClosed_ = true;
    return arrow::Status::OK();
  }
  bool closed() const override { return isClosed_; }
  arrow::Result<int64_t> Tell() const override { return taken_ - Held(); }

  arrow::Result<std::string_view> Peek(int64_t count) override {
    ARROW_RETURN_NOT_OK(Fill(count));
    const auto length = static_cast<size_t>(std::clamp<int64_t>(count, 0, Held()));
    return length == 0 ? std::string_view()
                       : std::string_view(reinterpret_cast<const char*>(window_->data()) + first_,
                                          length);
  }

  arrow::Result<int64_t> Read(int64_t count, void* out) override {
    count = std::clamp<int64_t>(count, 0, Held() + left_);
    const int64_t held = std::min(count, Held());
    if (held > 0) std::memcpy(out, window_->data() + first_, static_cast<size_t>(held));
    first_ += held;
    ARROW_ASSIGN_OR_RAISE(const int64_t more,
                          Take(count - held, static_cast<uint8_t*>(out) + held));
    return held + more;
  }

  arrow::Result<std::shared_ptr<arrow::Buffer>> Read(int64_t count) override {
    count = std::clamp<int64_t>(count, 0, Held() + left_);
    ARROW_ASSIGN_OR_RAISE(auto bytes, arrow::AllocateResizableBuffer(count, pool_));
    ARROW_ASSIGN_OR_RAISE(const int64_t found, Read(count, bytes->mutable_data()));
    if (found < count) ARROW_RETURN_NOT_OK(bytes->Resize(found));
    return std::shared_ptr<arrow::Buffer>(std::move(bytes));
  }

 private:
  static constexpr int64_t kWindowBytes = 256 * 1024;

  int64_t Held() const { return last_ - first_; }

  // The next bytes of the file; fewer only where it ends too early.
  arrow::Result<int64_t> Take(int64_t count, uint8_t* out) {
    int64_t found = 0;
    while (found < count && range_ < ranges_.size()) {
      ByteRange& range = ranges_[range_];
      const int64_t length = std::min(count - found, range.length);
      ARROW_ASSIGN_OR_RAISE(const int64_t read, file_->ReadAt(range.start, length, out + found));
      found += read;
      range.start += read;
      range.length -= read;
      left_ -= read;
      taken_ += read;
      if (read < length) break;
      if (range.length == 0) range_++;
    }
    return found;
  }

  // Has so many bytes in the window, or all that are left.
  arrow::Status Fill(int64_t count) {
    const int64_t held = Held();
    if (count <= held || left_ == 0) return arrow::Status::OK();
    const int64_t size = std::min(std::max(count, kWindowBytes), held + left_);
    if (window_ == nullptr) {
      ARROW_ASSIGN_OR_RAISE(window_, arrow::AllocateResizableBuffer(size, pool_));
    }
    if (held > 0 && first_ > 0) {
      std::memmove(window_->mutable_data(), window_->data() + first_, static_cast<size_t>(held));
    }
    first_ = 0;
    last_ = held;
    if (window_->size() < size) ARROW_RETURN_NOT_OK(window_->Resize(size));
    ARROW_ASSIGN_OR_RAISE(const int64_t more, Take(size - held, window_->mutable_data() + held));
    last_ += more;
    return arrow::Status::OK();
  }

  std::shared_ptr<arrow::io::RandomAccessFile> file_;
  arrow::MemoryPool* pool_;
  // What was not taken yet, from `range_` on.
  std::vector<ByteRange> ranges_;
  size_t range_ = 0;
  int64_t left_ = 0;
  int64_t taken_ = 0;
  std::unique_ptr<arrow::ResizableBuffer> window_;
  int64_t first_ = 0;
  int64_t last_ = 0;
  bool isClosed_ = false;
};

}  // namespace carrow
