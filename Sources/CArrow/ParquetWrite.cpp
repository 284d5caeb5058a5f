#include <limits>
#include <utility>
#include <vector>

#include <arrow/c/bridge.h>
#include <arrow/io/memory.h>
#include <arrow/record_batch.h>
#include <arrow/util/compression.h>
#include <arrow/util/key_value_metadata.h>
#include <parquet/arrow/schema.h>
#include <parquet/arrow/writer.h>
#include <parquet/properties.h>

#include "ParquetCopy.h"
#include "ParquetFooter.h"
#include "ParquetRead.h"

namespace {

using carrow::Guard;

arrow::Result<arrow::Compression::type> CompressionOf(int32_t compression) {
  switch (compression) {
    case CArrowCompressionNone: return arrow::Compression::UNCOMPRESSED;
    case CArrowCompressionZstandard: return arrow::Compression::ZSTD;
    case CArrowCompressionSnappy: return arrow::Compression::SNAPPY;
    default: return arrow::Status::Invalid("no such compression: ", compression);
  }
}

arrow::Result<parquet::Encoding::type> EncodingOf(int32_t encoding) {
  switch (encoding) {
    case CArrowEncodingPlain:
    // The encoding that a full dictionary falls back to.
    case CArrowEncodingDictionary: return parquet::Encoding::PLAIN;
    case CArrowEncodingDeltaBinaryPacked: return parquet::Encoding::DELTA_BINARY_PACKED;
    case CArrowEncodingByteStreamSplit: return parquet::Encoding::BYTE_STREAM_SPLIT;
    default: return arrow::Status::Invalid("no such encoding: ", encoding);
  }
}

void SetFile(const CArrowParquetWriteOptions& options, parquet::WriterProperties::Builder* builder) {
  builder->max_row_group_length(options.rowGroupRows);
  builder->data_pagesize(options.pageBytes);
  builder->max_rows_per_page(options.pageRows);
  builder->dictionary_pagesize_limit(options.dictionaryBytes);
  builder->version(parquet::ParquetVersion::PARQUET_2_6);
  builder->created_by(options.createdBy);
  // Iceberg stores decimals of up to 18 digits as integers.
  builder->enable_store_decimal_as_integer();
  if (options.hasPageIndex) {
    builder->enable_write_page_index();
  } else {
    builder->disable_write_page_index();
  }
  if (options.hasPageChecksums) builder->enable_page_checksum();
}

void SetUncompressed(const std::shared_ptr<parquet::schema::ColumnPath>& path,
                     parquet::WriterProperties::Builder* builder) {
  builder->compression(path, parquet::Compression::UNCOMPRESSED);
  // Instead of the file's level.
  builder->codec_options(path, std::make_shared<arrow::util::CodecOptions>());
}

arrow::Status SetLeaves(const CArrowParquetWriteOptions& options, const arrow::Schema& schema,
                        parquet::WriterProperties::Builder* builder) {
  auto defaults = parquet::WriterProperties::Builder().enable_store_decimal_as_integer()->build();
  std::shared_ptr<parquet::SchemaDescriptor> descriptor;
  ARROW_RETURN_NOT_OK(parquet::arrow::ToParquetSchema(&schema, *defaults, &descriptor));
  if (descriptor->num_columns() != options.leafCount) {
    return arrow::Status::Invalid("options for ", options.leafCount, " leaf columns, not ",
                                  descriptor->num_columns());
  }
  for (int32_t index = 0; index < options.leafCount; index++) {
    const CArrowLeafOptions& leaf = options.leaves[index];
    const auto path = descriptor->Column(index)->path();
    ARROW_ASSIGN_OR_RAISE(auto encoding, EncodingOf(leaf.encoding));
    if (leaf.encoding == CArrowEncodingDictionary) {
      builder->enable_dictionary(path);
    } else {
      builder->disable_dictionary(path);
      builder->encoding(path, encoding);
    }
    if (!leaf.isCompressed) SetUncompressed(path, builder);
    if (!leaf.hasStatistics) builder->disable_statistics(path);
    if (leaf.hasBloomFilter) {
      parquet::BloomFilterOptions bloom;
      if (leaf.distinctCount > 0) {
        bloom.ndv = static_cast<decltype(bloom.ndv)::value_type>(
            std::min<int64_t>(leaf.distinctCount, std::numeric_limits<int32_t>::max()));
      }
      bloom.fpp = leaf.falsePositiveProbability;
      builder->enable_bloom_filter(path, bloom);
    }
  }
  return arrow::Status::OK();
}

}  // namespace

struct CArrowParquetWriter {
  // No limit: the caller ends row groups; the pool counts what an open one holds.
  carrow::PoolReference pool{std::numeric_limits<int64_t>::max(), carrow::GrowingPool::Shared()};
  std::shared_ptr<arrow::io::OutputStream> sink;
  std::shared_ptr<arrow::Schema> schema;
  std::shared_ptr<parquet::WriterProperties> properties;
  std::shared_ptr<parquet::ArrowWriterProperties> arrowProperties;
  std::shared_ptr<arrow::KeyValueMetadata> keyValues = std::make_shared<arrow::KeyValueMetadata>();
  // Since row groups were copied; then what is written goes through `image`, a file of its own.
  std::unique_ptr<carrow::RowGroupCopy> copy;
  std::shared_ptr<arrow::io::BufferOutputStream> image;
  std::unique_ptr<parquet::arrow::FileWriter> writer;
  std::shared_ptr<parquet::FileMetaData> metadata;
  carrow::Bounds bounds;
  bool rowGroupIsOpen = false;
};

namespace {

arrow::Status Open(CArrowSink sink, ArrowSchema* schema, const CArrowParquetWriteOptions& options,
                   CArrowParquetWriter* handle) {
  handle->sink = carrow::OpenSink(sink);
  ARROW_ASSIGN_OR_RAISE(handle->schema, arrow::ImportSchema(schema));
  parquet::WriterProperties::Builder builder;
  builder.memory_pool(handle->pool.get());
  ARROW_ASSIGN_OR_RAISE(auto compression, CompressionOf(options.compression));
  builder.compression(compression);
  if (options.compression == CArrowCompressionZstandard) {
    builder.compression_level(options.compressionLevel);
  }
  SetFile(options, &builder);
  ARROW_RETURN_NOT_OK(SetLeaves(options, *handle->schema, &builder));
  handle->properties = builder.build();
  parquet::ArrowWriterProperties::Builder arrowBuilder;
  arrowBuilder.set_use_threads(options.usesThreads);
  handle->arrowProperties = arrowBuilder.build();
  for (int32_t index = 0; index < options.metadataCount; index++) {
    handle->keyValues->Append(options.metadataKeys[index], options.metadataValues[index]);
  }
  return arrow::Status::OK();
}

// Opens the writer of rows if it is not open.
arrow::Status PrepareRows(CArrowParquetWriter* handle) {
  if (handle->writer != nullptr) return arrow::Status::OK();
  std::shared_ptr<arrow::io::OutputStream> sink = handle->sink;
  if (handle->copy != nullptr) {
    ARROW_ASSIGN_OR_RAISE(handle->image,
                          arrow::io::BufferOutputStream::Create(1 << 16, handle->pool.get()));
    sink = handle->image;
  }
  ARROW_ASSIGN_OR_RAISE(
      handle->writer,
      parquet::arrow::FileWriter::Open(*handle->schema, handle->pool.get(), sink,
                                       handle->properties, handle->arrowProperties));
  return arrow::Status::OK();
}

arrow::Status Write(CArrowParquetWriter* handle, ArrowArray* array) {
  ARROW_ASSIGN_OR_RAISE(auto batch, arrow::ImportRecordBatch(array, handle->schema));
  if (batch->num_rows() == 0) return arrow::Status::OK();
  ARROW_RETURN_NOT_OK(PrepareRows(handle));
  if (!handle->rowGroupIsOpen) {
    ARROW_RETURN_NOT_OK(handle->writer->NewBufferedRowGroup());
    handle->rowGroupIsOpen = true;
  }
  return handle->writer->WriteRecordBatch(*batch);
}

arrow::Status EndRowGroup(CArrowParquetWriter* handle) {
  // The next batch begins a row group, which ends the one that is open.
  handle->rowGroupIsOpen = false;
  if (handle->image == nullptr) return arrow::Status::OK();
  ARROW_RETURN_NOT_OK(handle->writer->Close());
  handle->writer.reset();
  ARROW_ASSIGN_OR_RAISE(auto bytes, handle->image->Finish());
  handle->image.reset();
  auto input = std::make_shared<arrow::io::BufferReader>(std::move(bytes));
  auto file = parquet::ParquetFileReader::Open(input);
  for (int rowGroup = 0; rowGroup < file->metadata()->num_row_groups(); rowGroup++) {
    ARROW_RETURN_NOT_OK(handle->copy->Append(file.get(), input.get(), rowGroup));
  }
  return arrow::Status::OK();
}

// The properties of a file that is to have the columns compressed that another one has, if that has the codec at all.
std::shared_ptr<parquet::WriterProperties> CompressedAs(const parquet::FileMetaData& other,
                                                        const parquet::WriterProperties& properties) {
  parquet::WriterProperties::Builder builder(properties);
  const auto codec = properties.default_column_properties().compression();
  bool hasCodec = false;
  auto rows = other.num_row_groups() == 0 ? nullptr : other.RowGroup(0);
  for (int leaf = 0; rows != nullptr && leaf < rows->num_columns(); leaf++) {
    auto chunk = rows->ColumnChunk(leaf);
    if (chunk->compression() == codec) {
      hasCodec = true;
    } else if (chunk->compression() == parquet::Compression::UNCOMPRESSED) {
      SetUncompressed(chunk->path_in_schema(), &builder);
    }
  }
  return hasCodec ? builder.build() : nullptr;
}

arrow::Status Copy(CArrowParquetWriter* handle, const carrow::ReaderState& from, bool* isCopied) {
  *isCopied = false;
  // What was written so went into the file itself.
  if (handle->writer != nullptr && handle->image == nullptr) return arrow::Status::OK();
  const bool isFirst = handle->copy == nullptr;
  auto properties = isFirst ? CompressedAs(*from.metadata, *handle->properties) : nullptr;
  if (isFirst) {
    if (properties == nullptr) return arrow::Status::OK();
    std::shared_ptr<parquet::SchemaDescriptor> schema;
    ARROW_RETURN_NOT_OK(parquet::arrow::ToParquetSchema(
        handle->schema.get(), *properties, *handle->arrowProperties, &schema));
    handle->copy = std::make_unique<carrow::RowGroupCopy>(handle->sink, std::move(schema), properties);
  }
  if (!handle->copy->CanTake(*from.metadata)) {
    if (isFirst) handle->copy.reset();
    return arrow::Status::OK();
  }
  // Rows that follow are written alike.
  if (isFirst) handle->properties = std::move(properties);
  ARROW_RETURN_NOT_OK(EndRowGroup(handle));
  for (int rowGroup = 0; rowGroup < from.metadata->num_row_groups(); rowGroup++) {
    ARROW_RETURN_NOT_OK(
        handle->copy->Append(from.reader->parquet_reader(), from.file.get(), rowGroup));
  }
  *isCopied = true;
  return arrow::Status::OK();
}

arrow::Status Finish(CArrowParquetWriter* handle, CArrowParquetFile* out, int64_t* fileBytes) {
  if (handle->copy != nullptr) {
    ARROW_RETURN_NOT_OK(EndRowGroup(handle));
    ARROW_ASSIGN_OR_RAISE(handle->metadata, handle->copy->Finish(handle->keyValues));
  } else {
    ARROW_RETURN_NOT_OK(PrepareRows(handle));
    ARROW_RETURN_NOT_OK(handle->writer->AddKeyValueMetadata(handle->keyValues));
    ARROW_RETURN_NOT_OK(handle->writer->Close());
    handle->metadata = handle->writer->metadata();
  }
  ARROW_RETURN_NOT_OK(handle->sink->Flush());
  ARROW_ASSIGN_OR_RAISE(*fileBytes, handle->sink->Tell());
  return carrow::DescribeFile(*handle->metadata, out);
}

}  // namespace

bool CArrowCompressedBytes(int32_t compression, int32_t compressionLevel, const void* bytes,
                           int64_t count, int64_t* out, CArrowStatus* status) {
  return Guard(status, [&]() -> arrow::Status {
    ARROW_ASSIGN_OR_RAISE(auto type, CompressionOf(compression));
    const int level = type == arrow::Compression::ZSTD ? compressionLevel
                                                       : arrow::util::kUseDefaultCompressionLevel;
    ARROW_ASSIGN_OR_RAISE(auto codec, arrow::util::Codec::Create(type, level));
    if (codec == nullptr) {
      *out = count;
      return arrow::Status::OK();
    }
    auto* input = static_cast<const uint8_t*>(bytes);
    std::vector<uint8_t> output(codec->MaxCompressedLen(count, input));
    ARROW_ASSIGN_OR_RAISE(
        *out, codec->Compress(count, input, static_cast<int64_t>(output.size()), output.data()));
    return arrow::Status::OK();
  });
}

bool CArrowParquetWriterOpen(CArrowSink sink, ArrowSchema* schema,
                             const CArrowParquetWriteOptions* options, CArrowParquetWriter** out,
                             CArrowStatus* status) {
  bool opened = Guard(status, [&]() -> arrow::Status {
    auto handle = std::make_unique<CArrowParquetWriter>();
    ARROW_RETURN_NOT_OK(Open(sink, schema, *options, handle.get()));
    *out = handle.release();
    return arrow::Status::OK();
  });
  if (schema->release != nullptr) schema->release(schema);
  return opened;
}

bool CArrowParquetWriterWrite(CArrowParquetWriter* writer, ArrowArray* batch,
                              CArrowStatus* status) {
  bool written = Guard(status, [&] { return Write(writer, batch); });
  if (batch->release != nullptr) batch->release(batch);
  return written;
}

bool CArrowParquetWriterEndRowGroup(CArrowParquetWriter* writer, CArrowStatus* status) {
  return Guard(status, [&] { return EndRowGroup(writer); });
}

bool CArrowParquetWriterCopy(CArrowParquetWriter* writer, CArrowParquetReader* reader,
                             bool* isCopied, CArrowStatus* status) {
  return Guard(status, [&] { return Copy(writer, *reader->state, isCopied); });
}

int64_t CArrowParquetWriterBufferedBytes(CArrowParquetWriter* writer) {
  return writer->pool.get()->bytes_allocated();
}

bool CArrowParquetWriterFinish(CArrowParquetWriter* writer, CArrowParquetFile* out,
                               int64_t* fileBytes, CArrowStatus* status) {
  return Guard(status, [&] { return Finish(writer, out, fileBytes); });
}

bool CArrowParquetWriterRowGroup(CArrowParquetWriter* writer, int32_t rowGroup,
                                 CArrowRowGroup* out, CArrowStatus* status) {
  return Guard(status, [&]() -> arrow::Status {
    if (writer->metadata == nullptr) return arrow::Status::Invalid("the file is not finished");
    return carrow::DescribeRowGroup(*writer->metadata, rowGroup, out);
  });
}

bool CArrowParquetWriterColumnChunk(CArrowParquetWriter* writer, int32_t rowGroup, int32_t leaf,
                                    CArrowColumnChunk* out, CArrowStatus* status) {
  return Guard(status, [&]() -> arrow::Status {
    if (writer->metadata == nullptr) return arrow::Status::Invalid("the file is not finished");
    return carrow::DescribeColumnChunk(*writer->metadata, rowGroup, leaf, &writer->bounds, out);
  });
}

void CArrowParquetWriterFree(CArrowParquetWriter* writer) {
  // Destroying an unfinished Parquet writer writes its footer, into a sink that is no longer flushed.
  (void)carrow::Catching([&]() -> arrow::Status {
    if (writer != nullptr && writer->metadata == nullptr && writer->sink != nullptr) {
      ARROW_RETURN_NOT_OK(writer->sink->Abort());
    }
    return arrow::Status::OK();
  });
  delete writer;
}
