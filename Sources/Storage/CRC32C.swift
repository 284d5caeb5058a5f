internal import CSystem

/// CRC-32C (Castagnoli) of a sequence of bytes, by the processor's instruction where it has one.
public struct CRC32C: Hashable, Sendable {
  /// The checksum of what was added so far; 0 for nothing.
  public private(set) var value: UInt32

  public init(continuing value: UInt32 = 0) { self.value = value }

  public init(of bytes: RawSpan) {
    value = 0
    update(bytes)
  }

  public mutating func update(_ bytes: RawSpan) {
    value = unsafe bytes.withUnsafeBytes { buffer in
      unsafe csystem_crc32c(value, buffer.baseAddress, UInt64(buffer.count))
    }
  }

  /// The eight bytes of the integer, little-endian.
  public mutating func update(_ integer: UInt64) {
    let littleEndian = integer.littleEndian
    value = unsafe withUnsafeBytes(of: littleEndian) { buffer in
      unsafe csystem_crc32c(value, buffer.baseAddress, UInt64(buffer.count))
    }
  }

  /// What is stored next to the bytes it covers: the CRC of bytes that hold their own CRC is weak, so
  /// LevelDB rotates and offsets it, and so do we.
  public var masked: UInt32 { ((value >> 15) | (value << 17)) &+ 0xa282_ead8 }

  /// The value as eight hexadecimal digits, for formats whose values are text.
  public var digits: [UInt8] {
    let digits = Array(String(value, radix: 16).utf8)
    return Self.noDigits.dropLast(digits.count) + digits
  }

  /// The checksum of bytes that hold its digits themselves, with zeros in their place.
  public init(of bytes: RawSpan, withoutDigitsAt place: Range<Int>) {
    self.init(of: bytes.extracting(0..<place.lowerBound))
    let zeros = Self.noDigits
    update(zeros.rawSpan)
    update(bytes.extracting(place.upperBound..<bytes.byteCount))
  }

  /// Eight zeros: what stands in the place of digits that cover themselves.
  public static let noDigits = [UInt8](repeating: UInt8(ascii: "0"), count: 8)
}
