// Pages of a column chunk that lies in memory, of zstd or not compressed.
//
// Arrow's own reader of pages is made for streams: to set one up takes longer than to read the page of a small file.
#pragma once

#include <memory>
#include <utility>

#include <arrow/buffer.h>
#include <parquet/column_page.h>
#include <parquet/column_reader.h>

#include "FileLayout.h"
#include "ThriftReader.h"
#include "ZstandardPages.h"

namespace carrow {

// A page is valid until the next one is asked for, and while the file's bytes are there.
class MemoryPages final : public parquet::PageReader {
 public:
  // `scratch` holds a decompressed page. A chunk within the file, of one of the codecs above.
  MemoryPages(std::shared_ptr<arrow::Buffer> file, const ChunkLayout& chunk, bool verifiesChecksums,
              ZstandardContext* context, std::shared_ptr<arrow::ResizableBuffer> scratch)
      : file_(std::move(file)),
        next_(chunk.start),
        end_(chunk.start + chunk.byteCount),
        valuesLeft_(chunk.valueCount),
        isCompressed_(chunk.codec == parquet::Compression::ZSTD),
        verifiesChecksums_(verifiesChecksums),
        context_(context),
        scratch_(std::move(scratch)) {}

  std::shared_ptr<parquet::Page> NextPage() override;

  // It is bounded by the chunk.
  void set_max_page_header_size(uint32_t) override {}

 private:
  // The first `levels` bytes as they are, the others decompressed.
  std::shared_ptr<arrow::Buffer> Content(int64_t start, int64_t length, int64_t levels, int64_t size,
                                         bool isCompressed);

  std::shared_ptr<arrow::Buffer> file_;
  int64_t next_;
  const int64_t end_;
  int64_t valuesLeft_;
  const bool isCompressed_;
  const bool verifiesChecksums_;
  ZstandardContext* context_;
  std::shared_ptr<arrow::ResizableBuffer> scratch_;
};

}  // namespace carrow
