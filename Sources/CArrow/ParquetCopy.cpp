#include "ParquetCopy.h"

#include <cstring>
#include <map>
#include <string>
#include <utility>

#include <arrow/buffer.h>
#include <arrow/io/memory.h>
#include <parquet/bloom_filter_reader.h>
#include <parquet/column_page.h>
#include <parquet/column_reader.h>
#include <parquet/file_writer.h>
#include <parquet/schema.h>
#include <parquet/size_statistics.h>
#include <parquet/statistics.h>

#include "ParquetFooter.h"

namespace carrow {

namespace {

constexpr char kMagic[] = {'P', 'A', 'R', '1'};

bool HaveSameFields(const parquet::SchemaDescriptor& one, const parquet::SchemaDescriptor& other) {
  const auto& fields = *one.group_node();
  const auto& others = *other.group_node();
  if (fields.field_count() != others.field_count()) return false;
  for (int index = 0; index < fields.field_count(); index++) {
    if (!fields.field(index)->Equals(others.field(index).get())) return false;
  }
  return true;
}

// What the pages of a chunk are.
struct Pages {
  std::map<parquet::Encoding::type, int32_t> dictionaries;
  std::map<parquet::Encoding::type, int32_t> data;
  size_t dataCount = 0;
};

arrow::Status Damaged() {
  return arrow::Status::Invalid("pages of a column chunk are not what the footer says");
}

// Whether so many values in plain encoding are as long as that.
bool IsPlain(const uint8_t* bytes, int64_t size, int32_t count, const parquet::ColumnDescriptor& leaf) {
  if (leaf.physical_type() != parquet::Type::BYTE_ARRAY) {
    const int width = leaf.physical_type() == parquet::Type::FIXED_LEN_BYTE_ARRAY
                          ? leaf.type_length()
                          : parquet::GetTypeByteSize(leaf.physical_type());
    return count >= 0 && size == static_cast<int64_t>(count) * width;
  }
  int64_t place = 0;
  for (int32_t value = 0; value < count; value++) {
    uint32_t length;
    if (size - place < static_cast<int64_t>(sizeof(length))) return false;
    std::memcpy(&length, bytes + place, sizeof(length));
    place += static_cast<int64_t>(sizeof(length));
    if (length > size - place) return false;
    place += length;
  }
  return place == size;
}

// How long the dictionary is, which comes first, decompressed; an error when it is not what its header says.
arrow::Result<int64_t> DictionaryBytes(const std::shared_ptr<arrow::Buffer>& bytes,
                                       const parquet::ColumnChunkMetaData& chunk,
                                       const parquet::ColumnDescriptor& leaf,
                                       const parquet::ReaderProperties& properties) {
  auto stream = std::make_shared<arrow::io::BufferReader>(bytes);
  auto page = parquet::PageReader::Open(stream, chunk.num_values(), chunk.compression(),
                                        properties, leaf)
                  ->NextPage();
  if (page == nullptr || page->type() != parquet::PageType::DICTIONARY_PAGE) return Damaged();
  const auto& dictionary = static_cast<const parquet::DictionaryPage&>(*page);
  const bool isWhole = IsPlain(page->data(), page->size(), dictionary.num_values(), leaf);
  if (!isWhole) return Damaged();
  return page->size();
}

// Whether the footer counts the same pages by encoding.
bool AreCounted(const Pages& pages, const parquet::ColumnChunkMetaData& chunk) {
  Pages counted;
  for (const auto& entry : chunk.encoding_stats()) {
    const bool isDictionary = entry.page_type == parquet::PageType::DICTIONARY_PAGE;
    (isDictionary ? counted.dictionaries : counted.data)[entry.encoding] += entry.count;
  }
  return counted.dictionaries == pages.dictionaries && counted.data == pages.data;
}

// Goes from page to page, which compares checksums and leaves compressed what is. Headers of pages have no
// checksum: they must agree with the footer, which has one.
arrow::Result<Pages> Examine(const std::shared_ptr<arrow::Buffer>& bytes,
                             const parquet::ColumnChunkMetaData& chunk,
                             const parquet::ColumnDescriptor& leaf,
                             const parquet::ReaderProperties& properties) {
  // What decompression adds to all pages.
  int64_t expansion = 0;
  if (chunk.has_dictionary_page()) {
    ARROW_ASSIGN_OR_RAISE(expansion, DictionaryBytes(bytes, chunk, leaf, properties));
  }
  auto stream = std::make_shared<arrow::io::BufferReader>(bytes);
  auto reader = parquet::PageReader::Open(stream, chunk.num_values(),
                                          parquet::Compression::UNCOMPRESSED, properties, leaf);
  Pages pages;
  int64_t values = 0;
  while (auto page = reader->NextPage()) {
    if (page->type() == parquet::PageType::DICTIONARY_PAGE) {
      pages.dictionaries[static_cast<const parquet::DictionaryPage&>(*page).encoding()]++;
      expansion -= page->size();
      continue;
    }
    if (page->type() != parquet::PageType::DATA_PAGE) return Damaged();
    const auto& data = static_cast<const parquet::DataPageV1&>(*page);
    if (data.definition_level_encoding() != parquet::Encoding::RLE ||
        data.repetition_level_encoding() != parquet::Encoding::RLE) {
      return Damaged();
    }
    pages.data[data.encoding()]++;
    pages.dataCount++;
    values += data.num_values();
    expansion += data.uncompressed_size() - data.size();
  }
  ARROW_ASSIGN_OR_RAISE(const int64_t end, stream->Tell());
  if (values != chunk.num_values() || end != bytes->size() || !AreCounted(pages, chunk) ||
      expansion != chunk.total_uncompressed_size() - chunk.total_compressed_size()) {
    return Damaged();
  }
  return pages;
}

arrow::Status CopyOffsets(const parquet::OffsetIndex& from, const Pages& pages, int64_t shift,
                          int64_t start, int64_t end, parquet::OffsetIndexBuilder* to) {
  const auto& locations = from.page_locations();
  const auto& sizes = from.unencoded_byte_array_data_bytes();
  if (locations.size() != pages.dataCount || (!sizes.empty() && sizes.size() != locations.size())) {
    return arrow::Status::Invalid("an offset index of ", locations.size(), " pages, not ",
                                  pages.dataCount);
  }
  for (size_t index = 0; index < locations.size(); index++) {
    const auto& page = locations[index];
    if (page.offset < start || page.compressed_page_size < 0 ||
        page.offset > end - page.compressed_page_size) {
      return arrow::Status::Invalid("a page beyond its column chunk");
    }
    to->AddPage(page.offset + shift, page.compressed_page_size, page.first_row_index,
                sizes.empty() ? std::nullopt : std::optional<int64_t>(sizes[index]));
  }
  return arrow::Status::OK();
}

// The part of a page in histograms of all pages, one behind the other.
arrow::Status SetHistogram(const std::vector<int64_t>& all, size_t page, size_t pageCount,
                           std::vector<int64_t>* out) {
  if (all.size() % pageCount != 0) return arrow::Status::Invalid("a histogram of no whole pages");
  const size_t length = all.size() / pageCount;
  const auto start = all.begin() + static_cast<std::ptrdiff_t>(page * length);
  out->assign(start, start + static_cast<std::ptrdiff_t>(length));
  return arrow::Status::OK();
}

arrow::Status CopyBounds(const parquet::ColumnIndex& from, const Pages& pages, bool isSigned,
                         parquet::ColumnIndexBuilder* to) {
  const size_t count = from.null_pages().size();
  if (count != pages.dataCount || from.encoded_min_values().size() != count ||
      from.encoded_max_values().size() != count ||
      (from.has_null_counts() && from.null_counts().size() != count)) {
    return arrow::Status::Invalid("a column index of ", count, " pages, not ", pages.dataCount);
  }
  for (size_t page = 0; page < count; page++) {
    parquet::EncodedStatistics bounds;
    bounds.set_is_signed(isSigned);
    bounds.all_null_value = from.null_pages()[page];
    if (!bounds.all_null_value) {
      bounds.set_min(from.encoded_min_values()[page]);
      bounds.set_max(from.encoded_max_values()[page]);
    }
    if (from.has_null_counts()) bounds.set_null_count(from.null_counts()[page]);
    parquet::SizeStatistics levels;
    if (from.has_definition_level_histograms()) {
      ARROW_RETURN_NOT_OK(SetHistogram(from.definition_level_histograms(), page, count,
                                       &levels.definition_level_histogram));
    }
    if (from.has_repetition_level_histograms()) {
      ARROW_RETURN_NOT_OK(SetHistogram(from.repetition_level_histograms(), page, count,
                                       &levels.repetition_level_histogram));
    }
    to->AddPage(bounds, levels);
  }
  return arrow::Status::OK();
}

}  // namespace

RowGroupCopy::RowGroupCopy(std::shared_ptr<arrow::io::OutputStream> sink,
                           std::shared_ptr<parquet::SchemaDescriptor> schema,
                           std::shared_ptr<parquet::WriterProperties> properties)
    : sink_(std::move(sink)), schema_(std::move(schema)), properties_(std::move(properties)) {
  LimitFooter(&reading_);
  reading_.set_page_checksum_verification(true);
  asRead_ = parquet::FileMetaDataBuilder::Make(schema_.get(), properties_)->Finish();
  builder_ = parquet::FileMetaDataBuilder::Make(schema_.get(), properties_);
  indexes_ = parquet::PageIndexBuilder::Make(schema_.get());
}

bool RowGroupCopy::CanTake(const parquet::FileMetaData& file) const {
  if (!HaveSameFields(*asRead_->schema(), *file.schema())) return false;
  for (int rowGroup = 0; rowGroup < file.num_row_groups(); rowGroup++) {
    auto group = file.RowGroup(rowGroup);
    for (int leaf = 0; leaf < group->num_columns(); leaf++) {
      auto chunk = group->ColumnChunk(leaf);
      const auto& wanted = properties_->column_properties(schema_->Column(leaf)->path());
      if (chunk->compression() != wanted.compression() || chunk->has_index_page() ||
          chunk->crypto_metadata() != nullptr || chunk->encoding_stats().empty() ||
          !chunk->file_path().empty() ||
          chunk->GetOffsetIndexLocation().has_value() != wanted.page_index_enabled() ||
          (wanted.bloom_filter_enabled() && !chunk->bloom_filter_offset().has_value()) ||
          (wanted.statistics_enabled() && !chunk->is_stats_set())) {
        return false;
      }
    }
  }
  return true;
}

arrow::Status RowGroupCopy::AppendChunk(const parquet::ColumnChunkMetaData& chunk, int leaf,
                                        int64_t rowCount, arrow::io::RandomAccessFile* input,
                                        parquet::RowGroupPageIndexReader* index) {
  const int64_t start = StartOf(chunk);
  const int64_t size = chunk.total_compressed_size();
  ARROW_ASSIGN_OR_RAISE(const int64_t fileBytes, input->GetSize());
  if (!IsWithin(chunk, fileBytes)) {
    return arrow::Status::Invalid("a column chunk beyond the end of the file");
  }
  const int64_t data = chunk.data_page_offset();
  const bool hasDictionary = chunk.has_dictionary_page();
  if (data < start || data > start + size || chunk.total_uncompressed_size() < 0 ||
      (hasDictionary && chunk.dictionary_page_offset() != start)) {
    return Damaged();
  }
  ARROW_ASSIGN_OR_RAISE(auto bytes, input->ReadAt(start, size));
  if (bytes->size() != size) return arrow::Status::Invalid("the file ends in a column chunk");
  const parquet::ColumnDescriptor& descriptor = *schema_->Column(leaf);
  if (descriptor.max_repetition_level() == 0 && chunk.num_values() != rowCount) return Damaged();
  ARROW_ASSIGN_OR_RAISE(const Pages pages, Examine(bytes, chunk, descriptor, reading_));
  ARROW_ASSIGN_OR_RAISE(const int64_t place, sink_->Tell());
  ARROW_RETURN_NOT_OK(sink_->Write(bytes));
  const int64_t shift = place - start;

  auto statistics = chunk.encoded_statistics();
  const bool isSigned = statistics != nullptr && statistics->is_signed();
  if (auto offsets = index == nullptr ? nullptr : index->GetOffsetIndex(leaf)) {
    auto* to = indexes_->GetOffsetIndexBuilder(leaf);
    ARROW_RETURN_NOT_OK(CopyOffsets(*offsets, pages, shift, start, start + size, to));
    to->Finish(0);
    if (auto bounds = index->GetColumnIndex(leaf)) {
      auto* boundsTo = indexes_->GetColumnIndexBuilder(leaf);
      ARROW_RETURN_NOT_OK(CopyBounds(*bounds, pages, isSigned, boundsTo));
      boundsTo->Finish();
    }
  }
  auto* column = group_->NextColumnChunk();
  if (statistics != nullptr) column->SetStatistics(*statistics);
  if (auto levels = chunk.size_statistics()) column->SetSizeStatistics(*levels);
  column->Finish(chunk.num_values(), hasDictionary ? place : -1, -1, data + shift,
                 size, chunk.total_uncompressed_size(), hasDictionary,
                 hasDictionary && pages.data.size() > 1, pages.dictionaries, pages.data);
  return arrow::Status::OK();
}

arrow::Status RowGroupCopy::Append(parquet::ParquetFileReader* file,
                                   arrow::io::RandomAccessFile* input, int rowGroup) {
  if (count_ == 0) ARROW_RETURN_NOT_OK(sink_->Write(kMagic, sizeof(kMagic)));
  auto metadata = file->metadata();
  auto from = metadata->RowGroup(rowGroup);
  auto pageIndex = file->GetPageIndexReader();
  auto index = pageIndex == nullptr ? nullptr : pageIndex->RowGroup(rowGroup);
  auto bloom = file->GetBloomFilterReader().RowGroup(rowGroup);
  group_ = builder_->AppendRowGroup();
  indexes_->AppendRowGroup();
  int64_t uncompressed = 0;
  for (int leaf = 0; leaf < from->num_columns(); leaf++) {
    auto chunk = from->ColumnChunk(leaf);
    ARROW_RETURN_NOT_OK(AppendChunk(*chunk, leaf, from->num_rows(), input, index.get()));
    uncompressed += chunk->total_uncompressed_size();
    auto filter = bloom == nullptr ? nullptr : bloom->GetColumnBloomFilter(leaf);
    if (filter != nullptr) {
      filters_.emplace_back(parquet::ColumnChunkId{count_, leaf}, std::move(filter));
    }
  }
  group_->set_num_rows(from->num_rows());
  group_->Finish(uncompressed, static_cast<int16_t>(count_));
  count_++;
  return arrow::Status::OK();
}

arrow::Result<std::shared_ptr<parquet::FileMetaData>> RowGroupCopy::Finish(
    const std::shared_ptr<const arrow::KeyValueMetadata>& metadata) {
  if (count_ == 0) ARROW_RETURN_NOT_OK(sink_->Write(kMagic, sizeof(kMagic)));
  parquet::IndexLocations blooms;
  for (const auto& [chunk, filter] : filters_) {
    ARROW_ASSIGN_OR_RAISE(const int64_t place, sink_->Tell());
    filter->WriteTo(sink_.get());
    ARROW_ASSIGN_OR_RAISE(const int64_t end, sink_->Tell());
    blooms.emplace_back(chunk, parquet::IndexLocation{place, static_cast<int32_t>(end - place)});
  }
  if (!blooms.empty()) builder_->SetIndexLocations(parquet::IndexKind::kBloomFilter, blooms);
  indexes_->Finish();
  auto places = indexes_->WriteTo(sink_.get());
  builder_->SetIndexLocations(parquet::IndexKind::kColumnIndex, places.column_index_locations);
  builder_->SetIndexLocations(parquet::IndexKind::kOffsetIndex, places.offset_index_locations);
  std::shared_ptr<parquet::FileMetaData> file = builder_->Finish(metadata);
  parquet::WriteFileMetaData(*file, sink_.get());
  return file;
}

}  // namespace carrow
