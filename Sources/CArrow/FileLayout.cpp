#include "FileLayout.h"

#include <algorithm>
#include <cstring>
#include <string_view>

#include <parquet/schema.h>

#include "ParquetFooter.h"
#include "ThriftReader.h"

namespace carrow {

namespace {

using Field = ThriftReader::Field;

// The footer of a file that is not encrypted; nothing of another one.
std::string_view FooterOf(const uint8_t* bytes, int64_t length) {
  constexpr int64_t kTailBytes = 8;
  constexpr int64_t kMagicBytes = 4;
  if (length < kMagicBytes + kTailBytes || std::memcmp(bytes + length - kMagicBytes, "PAR1", 4) != 0) {
    return {};
  }
  uint32_t size = 0;
  std::memcpy(&size, bytes + length - kTailBytes, sizeof(size));
  if (size > length - kTailBytes - kMagicBytes) return {};
  return std::string_view(reinterpret_cast<const char*>(bytes) + length - kTailBytes - size, size);
}

ChunkLayout ReadColumnMetaData(ThriftReader& reader, int64_t type) {
  ChunkLayout chunk;
  int64_t pages = -1;
  int64_t dictionary = 0;
  Field field;
  while (reader.Next(&field)) {
    switch (field.id) {
      case 1:
        if (reader.Integer(field) != type) reader.Fail();
        break;
      case 4: {
        const int64_t codec = reader.Integer(field);
        if (codec == 6) {
          chunk.codec = parquet::Compression::ZSTD;
        } else if (codec != 0) {
          reader.Fail();
        }
        break;
      }
      case 5: chunk.valueCount = reader.Integer(field); break;
      case 7: chunk.byteCount = reader.Integer(field); break;
      case 9: pages = reader.Integer(field); break;
      case 11: dictionary = reader.Integer(field); break;
      default: reader.Skip(field);
    }
  }
  chunk.start = dictionary > 0 ? std::min(pages, dictionary) : pages;
  return chunk;
}

// A column chunk whose metadata is in the footer, in clear.
ChunkLayout ReadColumnChunk(ThriftReader& reader, int64_t type) {
  ChunkLayout chunk;
  bool hasMetadata = false;
  Field field;
  while (reader.Next(&field)) {
    if (field.id == 3 && field.type == ThriftReader::kStruct) {
      hasMetadata = true;
      chunk = ReadColumnMetaData(reader, type);
    } else if (field.id == 1 || field.id == 8 || field.id == 9) {
      // In another file, or encrypted.
      reader.Fail();
    } else {
      reader.Skip(field);
    }
  }
  if (!hasMetadata) reader.Fail();
  return chunk;
}

RowGroupLayout ReadRowGroup(ThriftReader& reader, const std::vector<int64_t>& types) {
  RowGroupLayout rows;
  Field field;
  while (reader.Next(&field)) {
    if (field.id == 1) {
      const int64_t count = reader.List(field, ThriftReader::kStruct);
      if (count != static_cast<int64_t>(types.size()) || !rows.chunks.empty()) reader.Fail();
      for (int64_t leaf = 0; leaf < count && reader.IsValid(); leaf++) {
        rows.chunks.push_back(ReadColumnChunk(reader, types[static_cast<size_t>(leaf)]));
      }
    } else if (field.id == 3) {
      rows.rowCount = reader.Integer(field);
    } else {
      reader.Skip(field);
    }
  }
  if (rows.chunks.size() != types.size()) reader.Fail();
  return rows;
}

// Finds a text among key-value metadata. Of several Arrow takes the first.
void FindText(ThriftReader& reader, const Field& list, const std::string& key, std::optional<std::string>* text) {
  const int64_t count = reader.List(list, ThriftReader::kStruct);
  for (int64_t index = 0; index < count && reader.IsValid(); index++) {
    std::string_view name;
    std::string_view value;
    Field field;
    while (reader.Next(&field)) {
      if (field.id == 1) {
        name = reader.Text(field);
      } else if (field.id == 2) {
        value = reader.Text(field);
      } else {
        reader.Skip(field);
      }
    }
    if (!text->has_value() && name == key) *text = value;
  }
}

}  // namespace

ChunkLayout LayoutOf(const parquet::ColumnChunkMetaData& chunk, const parquet::ApplicationVersion& writer,
                     int64_t fileBytes) {
  ChunkLayout layout;
  layout.isReadable = chunk.crypto_metadata() == nullptr && IsWithin(chunk, fileBytes);
  if (!layout.isReadable) return layout;
  layout.start = StartOf(chunk);
  layout.byteCount = chunk.total_compressed_size();
  // Old writers counted too few bytes (PARQUET-816).
  if (writer.VersionLt(parquet::ApplicationVersion::PARQUET_816_FIXED_VERSION())) {
    layout.byteCount += std::min<int64_t>(100, fileBytes - layout.start - layout.byteCount);
  }
  layout.valueCount = chunk.num_values();
  layout.codec = chunk.compression();
  return layout;
}

FileLayout LayoutOf(const parquet::FileMetaData& metadata, int64_t fileBytes) {
  FileLayout layout;
  layout.rowCount = metadata.num_rows();
  for (int group = 0; group < metadata.num_row_groups(); group++) {
    auto rows = metadata.RowGroup(group);
    RowGroupLayout& out = layout.rowGroups.emplace_back();
    out.rowCount = rows->num_rows();
    for (int leaf = 0; leaf < rows->num_columns(); leaf++) {
      out.chunks.push_back(LayoutOf(*rows->ColumnChunk(leaf), metadata.writer_version(), fileBytes));
    }
  }
  return layout;
}

void LayoutReader::Learn(const parquet::FileMetaData& metadata, const uint8_t* bytes, int64_t length) {
  schema_.clear();
  writer_.clear();
  types_.clear();
  if (metadata.writer_version().VersionLt(parquet::ApplicationVersion::PARQUET_816_FIXED_VERSION())) return;
  const std::string_view footer = FooterOf(bytes, length);
  ThriftReader reader(footer);
  std::string schema;
  Field field;
  while (reader.Next(&field)) {
    const uint8_t* start = reader.Position();
    if (field.id == 6) {
      writer_ = reader.Text(field);
      continue;
    }
    reader.Skip(field);
    if (field.id == 2) {
      schema.assign(reinterpret_cast<const char*>(start), static_cast<size_t>(reader.Position() - start));
    }
  }
  if (!reader.IsValid()) return;
  for (int leaf = 0; leaf < metadata.num_columns(); leaf++) {
    types_.push_back(metadata.schema()->Column(leaf)->physical_type());
  }
  schema_ = std::move(schema);
}

bool LayoutReader::Read(const uint8_t* bytes, int64_t length, const std::string& key, FileLayout* out,
                        std::optional<std::string>* text) const {
  if (schema_.empty()) return false;
  const std::string_view footer = FooterOf(bytes, length);
  ThriftReader reader(footer);
  *out = FileLayout{};
  text->reset();
  bool hasSchema = false;
  bool hasWriter = false;
  Field field;
  while (reader.Next(&field)) {
    switch (field.id) {
      case 2: {
        const auto* start = reinterpret_cast<const char*>(reader.Position());
        const auto left = static_cast<size_t>(footer.data() + footer.size() - start);
        hasSchema = std::string_view(start, std::min(left, schema_.size())) == schema_;
        if (!hasSchema) return false;
        reader.Skip(field);
        break;
      }
      case 3: out->rowCount = reader.Integer(field); break;
      case 4: {
        const int64_t count = reader.List(field, ThriftReader::kStruct);
        if (!out->rowGroups.empty()) return false;
        for (int64_t group = 0; group < count && reader.IsValid(); group++) {
          out->rowGroups.push_back(ReadRowGroup(reader, types_));
        }
        break;
      }
      case 5: FindText(reader, field, key, text); break;
      case 6: hasWriter = reader.Text(field) == writer_; break;
      // Encrypted.
      case 8:
      case 9: return false;
      default: reader.Skip(field);
    }
  }
  if (!reader.IsValid() || !hasSchema || !hasWriter) return false;
  for (const RowGroupLayout& rows : out->rowGroups) {
    for (const ChunkLayout& chunk : rows.chunks) {
      if (!IsWithin(chunk.start, chunk.byteCount, length) || chunk.valueCount < 0) return false;
    }
  }
  return true;
}

}  // namespace carrow
