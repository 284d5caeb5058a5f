#include "MemoryPages.h"

#include <limits>

#include <arrow/util/crc32.h>
#include <parquet/exception.h>

namespace carrow {

namespace {

using Field = ThriftReader::Field;

// Types of pages, as they are numbered in the format.
constexpr int64_t kDataPage = 0;
constexpr int64_t kDictionaryPage = 2;
constexpr int64_t kDataPageV2 = 3;

// What is read of a PageHeader.
struct Header {
  int64_t type = -1;
  int64_t uncompressedBytes = -1;
  int64_t bytes = -1;
  int64_t checksum = 0;
  bool hasChecksum = false;
  int64_t valueCount = -1;
  int64_t encoding = -1;
  int64_t definitionEncoding = 3;
  int64_t repetitionEncoding = 3;
  int64_t nullCount = -1;
  int64_t rowCount = -1;
  int64_t definitionBytes = -1;
  int64_t repetitionBytes = -1;
  bool isCompressed = true;
  bool isSorted = false;
};

void ReadDataPage(ThriftReader& reader, Header* header) {
  Field field;
  while (reader.Next(&field)) {
    switch (field.id) {
      case 1: header->valueCount = reader.Integer(field); break;
      case 2: header->encoding = reader.Integer(field); break;
      case 3: header->definitionEncoding = reader.Integer(field); break;
      case 4: header->repetitionEncoding = reader.Integer(field); break;
      default: reader.Skip(field);
    }
  }
}

void ReadDictionaryPage(ThriftReader& reader, Header* header) {
  Field field;
  while (reader.Next(&field)) {
    switch (field.id) {
      case 1: header->valueCount = reader.Integer(field); break;
      case 2: header->encoding = reader.Integer(field); break;
      case 3: header->isSorted = reader.Boolean(field); break;
      default: reader.Skip(field);
    }
  }
}

void ReadDataPageV2(ThriftReader& reader, Header* header) {
  Field field;
  while (reader.Next(&field)) {
    switch (field.id) {
      case 1: header->valueCount = reader.Integer(field); break;
      case 2: header->nullCount = reader.Integer(field); break;
      case 3: header->rowCount = reader.Integer(field); break;
      case 4: header->encoding = reader.Integer(field); break;
      case 5: header->definitionBytes = reader.Integer(field); break;
      case 6: header->repetitionBytes = reader.Integer(field); break;
      case 7: header->isCompressed = reader.Boolean(field); break;
      default: reader.Skip(field);
    }
  }
}

Header ReadHeader(ThriftReader& reader) {
  Header header;
  Field field;
  while (reader.Next(&field)) {
    const bool isStruct = field.type == ThriftReader::kStruct;
    if (field.id == 1) {
      header.type = reader.Integer(field);
    } else if (field.id == 2) {
      header.uncompressedBytes = reader.Integer(field);
    } else if (field.id == 3) {
      header.bytes = reader.Integer(field);
    } else if (field.id == 4) {
      header.hasChecksum = true;
      header.checksum = reader.Integer(field);
    } else if (field.id == 5 && isStruct) {
      ReadDataPage(reader, &header);
    } else if (field.id == 7 && isStruct) {
      ReadDictionaryPage(reader, &header);
    } else if (field.id == 8 && isStruct) {
      ReadDataPageV2(reader, &header);
    } else {
      reader.Skip(field);
    }
  }
  return header;
}

// A number of the format that fits into Arrow's type for it.
int32_t Number(int64_t value) {
  if (value < 0 || value > std::numeric_limits<int32_t>::max()) {
    throw parquet::ParquetException("a page's header has a number that cannot be");
  }
  return static_cast<int32_t>(value);
}

parquet::Encoding::type Encoding(int64_t value) {
  if (value < 0 || value == 1 || value >= parquet::Encoding::UNDEFINED) {
    throw parquet::ParquetException("a page has an encoding that is not known");
  }
  return static_cast<parquet::Encoding::type>(value);
}

}  // namespace

std::shared_ptr<parquet::Page> MemoryPages::NextPage() {
  while (valuesLeft_ > 0) {
    ThriftReader reader(file_->data() + next_, end_ - next_);
    const Header header = ReadHeader(reader);
    const int64_t start = reader.Position() - file_->data();
    if (!reader.IsValid() || header.bytes < 0 || header.bytes > end_ - start || header.uncompressedBytes < 0) {
      throw parquet::ParquetException("a page's header is damaged");
    }
    next_ = start + header.bytes;
    const uint8_t* bytes = file_->data() + start;
    if (verifiesChecksums_ && header.hasChecksum &&
        arrow::internal::crc32(0, bytes, static_cast<size_t>(header.bytes)) !=
            static_cast<uint32_t>(header.checksum)) {
      throw parquet::ParquetException("a page is not what its checksum says");
    }
    const int32_t size = Number(header.uncompressedBytes);
    switch (header.type) {
      case kDictionaryPage:
        return std::make_shared<parquet::DictionaryPage>(
            Content(start, header.bytes, 0, size, isCompressed_), Number(header.valueCount),
            Encoding(header.encoding), header.isSorted);
      case kDataPage:
        valuesLeft_ -= Number(header.valueCount);
        return std::make_shared<parquet::DataPageV1>(
            Content(start, header.bytes, 0, size, isCompressed_), Number(header.valueCount),
            Encoding(header.encoding), Encoding(header.definitionEncoding),
            Encoding(header.repetitionEncoding), size);
      case kDataPageV2: {
        valuesLeft_ -= Number(header.valueCount);
        const int32_t definitions = Number(header.definitionBytes);
        const int32_t repetitions = Number(header.repetitionBytes);
        const int64_t levels = static_cast<int64_t>(definitions) + repetitions;
        return std::make_shared<parquet::DataPageV2>(
            Content(start, header.bytes, levels, size, isCompressed_ && header.isCompressed),
            Number(header.valueCount), Number(header.nullCount), Number(header.rowCount),
            Encoding(header.encoding), definitions, repetitions, size, /*is_compressed=*/false);
      }
      // Of a kind that is not known, to be passed over.
      default: break;
    }
  }
  return nullptr;
}

std::shared_ptr<arrow::Buffer> MemoryPages::Content(int64_t start, int64_t length, int64_t levels, int64_t size,
                                                    bool isCompressed) {
  const uint8_t* bytes = file_->data() + start;
  if (isCompressed) return context_->Page(bytes, length, levels, size, *scratch_);
  if (size != length) throw parquet::ParquetException("a page has another size than its header says");
  if (levels > length) throw parquet::ParquetException("a page's sizes contradict each other");
  return std::make_shared<arrow::Buffer>(bytes, length);
}

}  // namespace carrow
