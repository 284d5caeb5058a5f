// The compact protocol of Thrift, in which the footers and page headers of Parquet are.
//
// Nothing is thrown, and nothing read beyond the end: from what does not fit on, `IsValid` is false and all that is
// read is 0. https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md
#pragma once

#include <cstdint>
#include <string_view>

namespace carrow {

class ThriftReader {
 public:
  enum Type : uint8_t {
    kTrue = 1, kFalse, kByte, kInt16, kInt32, kInt64, kDouble, kBinary, kList, kSet, kMap, kStruct, kUUID
  };

  // A field of a struct. Its number is 0 before the first one.
  struct Field {
    int64_t id = 0;
    uint8_t type = 0;
  };

  ThriftReader(const uint8_t* bytes, int64_t length) : next_(bytes), end_(bytes + length) {}
  explicit ThriftReader(std::string_view bytes)
      : ThriftReader(reinterpret_cast<const uint8_t*>(bytes.data()), static_cast<int64_t>(bytes.size())) {}

  bool IsValid() const { return isValid_; }
  // Where the next byte is.
  const uint8_t* Position() const { return next_; }

  // Goes on to the next field; false after the last one. What is not read of a field is to be skipped.
  bool Next(Field* field) {
    const uint8_t head = Byte();
    if (head == 0) return false;
    const uint8_t delta = head >> 4;
    field->type = head & 0x0F;
    field->id = delta != 0 ? field->id + delta : Signed(Varint());
    return isValid_;
  }

  int64_t Integer(const Field& field) {
    if (field.type != kInt16 && field.type != kInt32 && field.type != kInt64) Fail();
    return isValid_ ? Signed(Varint()) : 0;
  }

  bool Boolean(const Field& field) {
    if (field.type != kTrue && field.type != kFalse) Fail();
    return field.type == kTrue;
  }

  std::string_view Text(const Field& field) {
    if (field.type != kBinary) Fail();
    const uint64_t length = isValid_ ? Varint() : 0;
    if (!Has(length)) return {};
    const auto* bytes = reinterpret_cast<const char*>(next_);
    next_ += length;
    return std::string_view(bytes, static_cast<size_t>(length));
  }

  // How many elements of the type follow; each has a byte at least.
  int64_t List(const Field& field, Type element) {
    if (field.type != kList) Fail();
    const uint8_t head = isValid_ ? Byte() : 0;
    if ((head & 0x0F) != element) Fail();
    return Size(head >> 4);
  }

  void Skip(const Field& field) {
    if (field.type != kTrue && field.type != kFalse) Skip(field.type, 0);
  }

  // What is asked for is another than what is there.
  void Fail() {
    isValid_ = false;
    next_ = end_;
  }

 private:
  static constexpr int kMaximumDepth = 16;

  bool Has(uint64_t bytes) {
    if (bytes > static_cast<uint64_t>(end_ - next_)) Fail();
    return isValid_;
  }

  uint8_t Byte() {
    if (!Has(1)) return 0;
    return *next_++;
  }

  uint64_t Varint() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      const uint8_t byte = Byte();
      value |= static_cast<uint64_t>(byte & 0x7F) << shift;
      if ((byte & 0x80) == 0) return value;
    }
    Fail();
    return 0;
  }

  static int64_t Signed(uint64_t zigzag) {
    return static_cast<int64_t>(zigzag >> 1) ^ -static_cast<int64_t>(zigzag & 1);
  }

  int64_t Size(uint8_t inHead) {
    const uint64_t size = inHead == 15 && isValid_ ? Varint() : inHead;
    return Has(size) ? static_cast<int64_t>(size) : 0;
  }

  void Skip(uint8_t type, int depth) {
    if (depth > kMaximumDepth) Fail();
    if (!isValid_) return;
    switch (type) {
      // In lists; fields have it in their heads.
      case kTrue:
      case kFalse:
      case kByte: SkipBytes(1); return;
      case kInt16:
      case kInt32:
      case kInt64: Varint(); return;
      case kDouble: SkipBytes(8); return;
      case kUUID: SkipBytes(16); return;
      case kBinary: SkipBytes(Varint()); return;
      case kList:
      case kSet: {
        const uint8_t head = Byte();
        const int64_t size = Size(head >> 4);
        for (int64_t index = 0; index < size && isValid_; index++) Skip(head & 0x0F, depth + 1);
        return;
      }
      case kMap: {
        const uint64_t size = Varint();
        if (size == 0 || !Has(size)) return;
        const uint8_t types = Byte();
        for (uint64_t index = 0; index < size && isValid_; index++) {
          Skip(types >> 4, depth + 1);
          Skip(types & 0x0F, depth + 1);
        }
        return;
      }
      case kStruct: {
        Field field;
        while (Next(&field)) {
          if (field.type != kTrue && field.type != kFalse) Skip(field.type, depth + 1);
        }
        return;
      }
      default: Fail(); return;
    }
  }

  void SkipBytes(uint64_t count) {
    if (Has(count)) next_ += count;
  }

  const uint8_t* next_;
  const uint8_t* const end_;
  bool isValid_ = true;
};

}  // namespace carrow
