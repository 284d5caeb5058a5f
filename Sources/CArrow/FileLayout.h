// Where the pages of a file lie, and how many rows it has: what reading a small file takes of its footer.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <parquet/metadata.h>

namespace carrow {

// The pages of one column of a row group.
struct ChunkLayout {
  int64_t start = 0;
  int64_t byteCount = 0;
  int64_t valueCount = 0;
  parquet::Compression::type codec = parquet::Compression::UNCOMPRESSED;
  // Otherwise it is encrypted, or not within the file.
  bool isReadable = true;
};

struct RowGroupLayout {
  int64_t rowCount = 0;
  // By leaf.
  std::vector<ChunkLayout> chunks;
};

struct FileLayout {
  int64_t rowCount = 0;
  std::vector<RowGroupLayout> rowGroups;
};

// Of footers that Arrow has read.
ChunkLayout LayoutOf(const parquet::ColumnChunkMetaData& chunk, const parquet::ApplicationVersion& writer,
                     int64_t fileBytes);
FileLayout LayoutOf(const parquet::FileMetaData& metadata, int64_t fileBytes);

// Reads the footers of files that are like one that Arrow has read: of the same writer, with the same schema, byte for
// byte. Most of a footer is its schema, and statistics that nobody asks for here.
class LayoutReader {
 public:
  // Takes a file as the pattern.
  void Learn(const parquet::FileMetaData& metadata, const uint8_t* bytes, int64_t length);

  // False for whatever is not like the pattern, or is damaged, or in any way odd: Arrow is to read, or refuse, that.
  // `text` is what the file has for the key, if it has it.
  bool Read(const uint8_t* bytes, int64_t length, const std::string& key, FileLayout* out,
            std::optional<std::string>* text) const;

 private:
  // Empty without a pattern.
  std::string schema_;
  std::string writer_;
  // The physical types of the leaves.
  std::vector<int64_t> types_;
};

}  // namespace carrow
