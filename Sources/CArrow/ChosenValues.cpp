#include "ChosenValues.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include <arrow/array/util.h>
#include <arrow/buffer.h>
#include <arrow/util/bit_util.h>
#include <parquet/exception.h>

namespace carrow {

namespace {

static_assert(std::endian::native == std::endian::little, "bits of a byte are bits of a word");

int64_t WidthOf(parquet::Type::type type) {
  switch (type) {
    case parquet::Type::INT32:
    case parquet::Type::FLOAT: return 4;
    case parquet::Type::INT64:
    case parquet::Type::DOUBLE: return 8;
    default: return 0;
  }
}

template <typename Value>
Value Loaded(const uint8_t* bytes) {
  Value value;
  std::memcpy(&value, bytes, sizeof(value));
  return value;
}

}  // namespace

bool ChosenValues::Reads(const parquet::ColumnDescriptor& leaf,
                         const parquet::ColumnChunkMetaData& chunk) {
  if (leaf.max_repetition_level() != 0 || leaf.max_definition_level() > 1) return false;
  if (leaf.physical_type() != parquet::Type::BOOLEAN && WidthOf(leaf.physical_type()) == 0) {
    return false;
  }
  // Levels of files as old as that may be in another encoding.
  for (parquet::Encoding::type encoding : chunk.encodings()) {
    if (encoding == parquet::Encoding::BIT_PACKED) return false;
  }
  const auto& pages = chunk.encoding_stats();
  return !pages.empty() && std::ranges::all_of(pages, [](const parquet::PageEncodingStats& pages) {
    return pages.page_type == parquet::PageType::DATA_PAGE &&
           pages.encoding == parquet::Encoding::PLAIN;
  });
}

ChosenValues::ChosenValues(const parquet::ColumnDescriptor& leaf, arrow::MemoryPool* pool)
    : width_(WidthOf(leaf.physical_type())),
      isNullable_(leaf.max_definition_level() > 0),
      numbers_(pool),
      booleans_(pool),
      areValid_(pool) {}

void ChosenValues::SetPages(std::unique_ptr<parquet::PageReader> pages) {
  pages_ = std::move(pages);
  page_ = nullptr;
  rowCount_ = 0;
  row_ = 0;
}

bool ChosenValues::Read(int64_t count, Choice choice) {
  int64_t done = 0;
  while (done < count) {
    if (row_ == rowCount_ && !NextPage()) return false;
    const int64_t rows = std::min(count - done, rowCount_ - row_);
    const int32_t* end =
        std::lower_bound(choice.rows, choice.rows + choice.count, static_cast<int32_t>(done + rows));
    const int64_t chosen = end - choice.rows;
    if (chosen > 0) Append({choice.rows, chosen}, row_ - done);
    choice = {end, choice.count - chosen};
    row_ += rows;
    done += rows;
  }
  return true;
}

bool ChosenValues::NextPage() {
  do {
    page_ = pages_->NextPage();
    if (page_ == nullptr) return false;
    row_ = 0;
    if (page_->type() != parquet::PageType::DATA_PAGE) {
      throw parquet::ParquetException("a page of another kind than the footer says");
    }
    Begin(static_cast<const parquet::DataPageV1&>(*page_));
  } while (rowCount_ == 0);
  return true;
}

void ChosenValues::Begin(const parquet::DataPageV1& page) {
  if (page.encoding() != parquet::Encoding::PLAIN || page.num_values() < 0) {
    throw parquet::ParquetException("a page of another kind than the footer says");
  }
  rowCount_ = page.num_values();
  values_ = page.data();
  int64_t length = page.size();
  int64_t valueCount = rowCount_;
  if (isNullable_) {
    if (page.definition_level_encoding() != parquet::Encoding::RLE) {
      throw parquet::ParquetException("definition levels in an encoding that is not read");
    }
    if (length < 4) throw parquet::ParquetException("a page ends within its levels");
    const int64_t levelBytes = Loaded<uint32_t>(values_);
    if (levelBytes > length - 4) throw parquet::ParquetException("a page ends within its levels");
    ReadLevels(values_ + 4, levelBytes);
    values_ += 4 + levelBytes;
    length -= 4 + levelBytes;
    valueCount = 0;
    validBefore_.clear();
    for (uint64_t word : valid_) {
      validBefore_.push_back(valueCount);
      valueCount += std::popcount(word);
    }
  }
  hasNulls_ = valueCount < rowCount_;
  const int64_t capacity = width_ == 0 ? length * 8 : length / width_;
  if (valueCount > capacity) throw parquet::ParquetException("a page ends within its values");
}

// Runs of levels of one bit each. Those that are packed are a bitmap already.
void ChosenValues::ReadLevels(const uint8_t* levels, int64_t byteCount) {
  valid_.assign(static_cast<size_t>(arrow::bit_util::CeilDiv(rowCount_, 64)), 0);
  auto* bits = reinterpret_cast<uint8_t*>(valid_.data());
  const uint8_t* const end = levels + byteCount;
  auto next = [&]() -> uint8_t {
    if (levels == end) throw parquet::ParquetException("a page ends within its levels");
    return *levels++;
  };
  int64_t row = 0;
  while (row < rowCount_) {
    uint32_t header = 0;
    for (int shift = 0;; shift += 7) {
      const uint8_t byte = next();
      if (shift == 28 && byte > 0x0f) throw parquet::ParquetException("levels that cannot be read");
      header |= static_cast<uint32_t>(byte & 0x7f) << shift;
      if ((byte & 0x80) == 0) break;
    }
    const int64_t left = rowCount_ - row;
    if ((header & 1) == 0) {
      const uint8_t level = next();
      if (level > 1) throw parquet::ParquetException("a definition level that there cannot be");
      const int64_t length = std::min<int64_t>(header >> 1, left);
      if (level == 1) arrow::bit_util::SetBitsTo(bits, row, length, true);
      row += length;
    } else {
      const int64_t bytes = std::min<int64_t>(header >> 1, end - levels);
      const int64_t length = std::min(bytes * 8, left);
      if (length == 0) throw parquet::ParquetException("a page ends within its levels");
      // Most are short, and begin within a byte.
      for (int64_t bit = 0; bit < length; bit += 8) {
        const auto count = static_cast<int>(std::min<int64_t>(length - bit, 8));
        SetBits(row + bit, levels[bit / 8] & (0xff >> (8 - count)), count);
      }
      levels += bytes;
      row += length;
    }
  }
}

// Of rows that are not valid so far.
void ChosenValues::SetBits(int64_t row, uint64_t bits, int count) {
  const auto word = static_cast<size_t>(row >> 6);
  const auto shift = static_cast<int>(row & 63);
  valid_[word] |= bits << shift;
  if (shift + count > 64) valid_[word + 1] |= bits >> (64 - shift);
}

bool ChosenValues::IsValid(int64_t row) const {
  return ((valid_[static_cast<size_t>(row >> 6)] >> (row & 63)) & 1) != 0;
}

int64_t ChosenValues::ValuesBefore(int64_t row) const {
  const auto word = static_cast<size_t>(row >> 6);
  return validBefore_[word] + std::popcount(valid_[word] & ((uint64_t{1} << (row & 63)) - 1));
}

// `firstRow` is where in the page the rows are counted from, which may be before its first.
void ChosenValues::Append(Choice choice, int64_t firstRow) {
  if (isNullable_) {
    PARQUET_THROW_NOT_OK(areValid_.Reserve(choice.count));
    if (hasNulls_) {
      for (int64_t index = 0; index < choice.count; index++) {
        areValid_.UnsafeAppend(IsValid(firstRow + choice.rows[index]));
      }
    } else {
      areValid_.UnsafeAppend(choice.count, true);
    }
  }
  switch (width_) {
    case 4: return AppendNumbers<uint32_t>(choice, firstRow);
    case 8: return AppendNumbers<uint64_t>(choice, firstRow);
    default: break;
  }
  PARQUET_THROW_NOT_OK(booleans_.Reserve(choice.count));
  for (int64_t index = 0; index < choice.count; index++) {
    const int64_t row = firstRow + choice.rows[index];
    booleans_.UnsafeAppend(
        hasNulls_ ? IsValid(row) && arrow::bit_util::GetBit(values_, ValuesBefore(row))
                  : arrow::bit_util::GetBit(values_, row));
  }
}

template <typename Value>
void ChosenValues::AppendNumbers(Choice choice, int64_t firstRow) {
  constexpr auto width = static_cast<int64_t>(sizeof(Value));
  PARQUET_THROW_NOT_OK(numbers_.Reserve(choice.count * width));
  for (int64_t index = 0; index < choice.count; index++) {
    const int64_t row = firstRow + choice.rows[index];
    Value value = 0;
    if (!hasNulls_) {
      value = Loaded<Value>(values_ + row * width);
    } else if (IsValid(row)) {
      value = Loaded<Value>(values_ + ValuesBefore(row) * width);
    }
    numbers_.UnsafeAppend(&value, width);
  }
}

arrow::Result<std::shared_ptr<arrow::Array>> ChosenValues::Take(
    const std::shared_ptr<arrow::DataType>& type) {
  const int64_t count = width_ == 0 ? booleans_.length() : numbers_.length() / width_;
  std::shared_ptr<arrow::Buffer> values;
  std::shared_ptr<arrow::Buffer> valid;
  if (width_ == 0) {
    ARROW_RETURN_NOT_OK(booleans_.Finish(&values));
  } else {
    ARROW_RETURN_NOT_OK(numbers_.Finish(&values));
  }
  const int64_t nulls = areValid_.false_count();
  if (isNullable_) ARROW_RETURN_NOT_OK(areValid_.Finish(&valid));
  if (nulls == 0) valid = nullptr;
  return arrow::MakeArray(
      arrow::ArrayData::Make(type, count, {std::move(valid), std::move(values)}, nulls));
}

}  // namespace carrow
