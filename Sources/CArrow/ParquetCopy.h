// Row groups of other files, put into one as they are: neither decompressed nor decoded.
#pragma once

#include <memory>
#include <vector>

#include <arrow/io/interfaces.h>
#include <arrow/result.h>
#include <arrow/util/key_value_metadata.h>
#include <parquet/bloom_filter.h>
#include <parquet/file_reader.h>
#include <parquet/metadata.h>
#include <parquet/page_index.h>
#include <parquet/properties.h>

namespace carrow {

// A Parquet file made of row groups of others. Pages are passed on byte for byte, once their checksums have been
// compared; statistics, page indexes and bloom filters are passed on too, with the places where pages now are.
class RowGroupCopy {
 public:
  RowGroupCopy(std::shared_ptr<arrow::io::OutputStream> sink,
               std::shared_ptr<parquet::SchemaDescriptor> schema,
               std::shared_ptr<parquet::WriterProperties> properties);

  // Whether a file has the columns, the compression and the indexes that this one is to have.
  bool CanTake(const parquet::FileMetaData& file) const;
  arrow::Status Append(parquet::ParquetFileReader* file, arrow::io::RandomAccessFile* input,
                       int rowGroup);
  // Writes what stands behind the row groups.
  arrow::Result<std::shared_ptr<parquet::FileMetaData>> Finish(
      const std::shared_ptr<const arrow::KeyValueMetadata>& metadata);

 private:
  arrow::Status AppendChunk(const parquet::ColumnChunkMetaData& chunk, int leaf, int64_t rowCount,
                            arrow::io::RandomAccessFile* input,
                            parquet::RowGroupPageIndexReader* index);

  std::shared_ptr<arrow::io::OutputStream> sink_;
  std::shared_ptr<parquet::SchemaDescriptor> schema_;
  std::shared_ptr<parquet::WriterProperties> properties_;
  // A file without rows, whose schema is that of others as they are read.
  std::unique_ptr<parquet::FileMetaData> asRead_;
  parquet::ReaderProperties reading_;
  std::unique_ptr<parquet::FileMetaDataBuilder> builder_;
  std::unique_ptr<parquet::PageIndexBuilder> indexes_;
  std::vector<std::pair<parquet::ColumnChunkId, std::unique_ptr<parquet::BloomFilter>>> filters_;
  // Of the row group that is being put in.
  parquet::RowGroupMetaDataBuilder* group_ = nullptr;
  int32_t count_ = 0;
};

}  // namespace carrow
