// Pages of a column chunk, decompressed with one zstd context for all.
//
// Arrow makes a context for every page. That asks the processor what it can do, which on a virtual machine
// takes longer than to decompress the page of a small file.
#pragma once

#include <cstring>
#include <functional>
#include <memory>
#include <utility>

#include <arrow/buffer.h>
#include <parquet/column_page.h>
#include <parquet/column_reader.h>
#include <parquet/exception.h>
#include <parquet/file_reader.h>
#include <parquet/metadata.h>
#include <parquet/properties.h>
#include <zstd.h>

#include "ChunkStream.h"
#include "FileLayout.h"

namespace carrow {

class ZstandardContext {
 public:
  ZstandardContext() : context_(ZSTD_createDCtx()) {
    if (context_ == nullptr) throw std::bad_alloc();
  }
  ZstandardContext(const ZstandardContext&) = delete;
  ZstandardContext& operator=(const ZstandardContext&) = delete;
  ~ZstandardContext() { ZSTD_freeDCtx(context_); }

  // Exactly `size` bytes, or an exception.
  void Decompress(const uint8_t* bytes, int64_t length, uint8_t* out, int64_t size) {
    const size_t count = ZSTD_decompressDCtx(context_, out, static_cast<size_t>(size), bytes,
                                             static_cast<size_t>(length));
    if (ZSTD_isError(count)) throw parquet::ParquetException(ZSTD_getErrorName(count));
    if (count != static_cast<size_t>(size)) {
      throw parquet::ParquetException("a page has another size than its header says");
    }
  }

  // A page in `scratch`: its first `levels` bytes as they are, and the others decompressed, `size` in all.
  std::shared_ptr<arrow::Buffer> Page(const uint8_t* bytes, int64_t length, int64_t levels,
                                      int64_t size, arrow::ResizableBuffer& scratch) {
    if (size < 0 || levels < 0 || levels > size || levels > length) {
      throw parquet::ParquetException("a page's sizes contradict each other");
    }
    PARQUET_THROW_NOT_OK(scratch.Resize(size, /*shrink_to_fit=*/false));
    uint8_t* out = scratch.mutable_data();
    if (levels > 0) std::memcpy(out, bytes, static_cast<size_t>(levels));
    if (size > levels) Decompress(bytes + levels, length - levels, out + levels, size - levels);
    return std::make_shared<arrow::Buffer>(out, size);
  }

 private:
  ZSTD_DCtx* context_;
};

// A page is valid until the next one is asked for.
class ZstandardPages final : public parquet::PageReader {
 public:
  // `compressed` gives the pages as they lie in the file; `scratch` holds the decompressed one.
  ZstandardPages(std::unique_ptr<parquet::PageReader> compressed, ZstandardContext* context,
                 std::shared_ptr<arrow::ResizableBuffer> scratch)
      : compressed_(std::move(compressed)), context_(context), scratch_(std::move(scratch)) {}

  std::shared_ptr<parquet::Page> NextPage() override {
    auto page = compressed_->NextPage();
    if (page == nullptr) return page;
    switch (page->type()) {
      case parquet::PageType::DICTIONARY_PAGE: {
        const auto& dictionary = static_cast<const parquet::DictionaryPage&>(*page);
        const auto size = ZSTD_getFrameContentSize(page->data(), static_cast<size_t>(page->size()));
        if (size > static_cast<unsigned long long>(INT32_MAX)) {
          throw parquet::ParquetException("a dictionary page does not say how large it is");
        }
        return std::make_shared<parquet::DictionaryPage>(
            Decompressed(*page, 0, static_cast<int64_t>(size)), dictionary.num_values(),
            dictionary.encoding(), dictionary.is_sorted());
      }
      case parquet::PageType::DATA_PAGE: {
        const auto& data = static_cast<const parquet::DataPageV1&>(*page);
        return std::make_shared<parquet::DataPageV1>(
            Decompressed(*page, 0, data.uncompressed_size()), data.num_values(), data.encoding(),
            data.definition_level_encoding(), data.repetition_level_encoding(),
            data.uncompressed_size());
      }
      case parquet::PageType::DATA_PAGE_V2: {
        const auto& data = static_cast<const parquet::DataPageV2&>(*page);
        if (!data.is_compressed()) return page;
        const int64_t levels = static_cast<int64_t>(data.definition_levels_byte_length()) +
                               data.repetition_levels_byte_length();
        return std::make_shared<parquet::DataPageV2>(
            Decompressed(*page, levels, data.uncompressed_size()), data.num_values(),
            data.num_nulls(), data.num_rows(), data.encoding(),
            data.definition_levels_byte_length(), data.repetition_levels_byte_length(),
            data.uncompressed_size(), /*is_compressed=*/false);
      }
      default: return page;
    }
  }

  void set_max_page_header_size(uint32_t size) override {
    compressed_->set_max_page_header_size(size);
  }

 private:
  std::shared_ptr<arrow::Buffer> Decompressed(const parquet::Page& page, int64_t levels,
                                              int64_t size) {
    return context_->Page(page.data(), page.size(), levels, size, *scratch_);
  }

  std::unique_ptr<parquet::PageReader> compressed_;
  ZstandardContext* context_;
  std::shared_ptr<arrow::ResizableBuffer> scratch_;
};

// What of a column chunk is to be read: its dictionary page, if it has one, and some of its data pages.
struct PagesToRead {
  std::vector<ByteRange> bytes;
  int64_t valueCount;
};

// A column chunk that is to be read, with what its pages are decompressed by.
struct ChunkToRead {
  parquet::ParquetFileReader* file;
  parquet::RowGroupReader* rows;
  int leaf;
  const parquet::ReaderProperties& properties;
  std::shared_ptr<arrow::io::RandomAccessFile> source;
  int64_t fileBytes;
  arrow::MemoryPool* pool;
  ZstandardContext* zstandard;
  std::shared_ptr<arrow::ResizableBuffer> page;
};

// Its pages, but for those that `isSkipped`. `choose` says what of the chunk is to be read at all, where that can be
// said; `isSkipped` is asked for the rest.
inline std::unique_ptr<parquet::PageReader> OpenPages(
    const ChunkToRead& chunk, const std::function<PagesToRead(const ChunkLayout&)>& choose,
    std::function<bool(const parquet::DataPageStats&)> isSkipped) {
  auto metadata = chunk.rows->metadata()->ColumnChunk(chunk.leaf);
  const auto codec = metadata->compression();
  if (metadata->crypto_metadata() != nullptr ||
      (codec != parquet::Compression::ZSTD && codec != parquet::Compression::UNCOMPRESSED)) {
    auto pages = chunk.rows->GetColumnPageReader(chunk.leaf);
    if (isSkipped) pages->set_data_page_filter(std::move(isSkipped));
    return pages;
  }
  const ChunkLayout layout =
      LayoutOf(*metadata, chunk.file->metadata()->writer_version(), chunk.fileBytes);
  if (!layout.isReadable) throw parquet::ParquetException("a column chunk lies outside the file");
  const parquet::ColumnDescriptor* leaf = chunk.file->metadata()->schema()->Column(chunk.leaf);
  PagesToRead pages = choose(layout);
  auto stream = std::make_shared<ChunkStream>(chunk.source, std::move(pages.bytes), chunk.pool);
  auto stored = parquet::PageReader::Open(std::move(stream), pages.valueCount,
                                          parquet::Compression::UNCOMPRESSED, chunk.properties, *leaf);
  if (isSkipped) stored->set_data_page_filter(std::move(isSkipped));
  if (codec == parquet::Compression::UNCOMPRESSED) return stored;
  return std::make_unique<ZstandardPages>(std::move(stored), chunk.zstandard, chunk.page);
}

}  // namespace carrow
