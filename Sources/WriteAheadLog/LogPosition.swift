/// The order of a record in the log: 1, 2, 3 and so on; a record has exactly one, for ever. Ranges
/// may be reserved for rows that never pass through the log, so replay can show gaps.
public typealias LogSequenceNumber = Int64

/// Where a record is: a segment and a byte offset in it, packed in 8 bytes so that an index of many
/// records stays small. Positions are multiples of 8, so a segment may have 32 GiB.
public struct LogPosition: Hashable, Sendable, Comparable {
  public let rawValue: UInt64

  public init(rawValue: UInt64) { self.rawValue = rawValue }

  public init(segment: UInt32, byteOffset: Int) {
    precondition(byteOffset >= 0 && byteOffset & 7 == 0 && byteOffset >> 3 <= Int(UInt32.max))
    rawValue = UInt64(segment) << 32 | UInt64(byteOffset >> 3)
  }

  public var segment: UInt32 { UInt32(rawValue >> 32) }
  public var byteOffset: Int { Int(rawValue & 0xFFFF_FFFF) << 3 }

  public static func < (left: LogPosition, right: LogPosition) -> Bool {
    left.rawValue < right.rawValue
  }
}

/// What a log can count to. Far more than any will, and so far from the end of the integers that adding
/// to what was read from a file never overflows.
package enum LogLimits {
  package static let lastLSN: LogSequenceNumber = 1 << 62
  package static let lastSegment: UInt32 = .max >> 1
}

/// Which store a log belongs to: random, given at creation, written in every segment.
public struct StoreIdentifier: Hashable, Sendable, CustomStringConvertible {
  public let high: UInt64
  public let low: UInt64

  public init(high: UInt64, low: UInt64) {
    self.high = high
    self.low = low
  }

  /// A random one, as a version 4 UUID.
  public static func random() -> StoreIdentifier {
    StoreIdentifier(
      high: .random(in: .min ... .max) & ~0xF000 | 0x4000,
      low: .random(in: .min ... .max) & ~(3 << 62) | 2 << 62)
  }

  /// As a UUID is written.
  public var description: String {
    func hexadecimal(_ value: UInt64, digits: Int) -> String {
      let text = String(value & (UInt64.max >> UInt64(64 - digits * 4)), radix: 16)
      return String(repeating: "0", count: digits - text.utf8.count) + text
    }
    let first = hexadecimal(high >> 32, digits: 8) + "-" + hexadecimal(high >> 16, digits: 4)
    let second = "-" + hexadecimal(high, digits: 4) + "-" + hexadecimal(low >> 48, digits: 4)
    return first + second + "-" + hexadecimal(low, digits: 12)
  }
}

extension StoreIdentifier {
  /// Reads what `description` gives; nil for anything else.
  public init?(_ text: String) {
    let digits = text.utf8.filter { $0 != UInt8(ascii: "-") }
    guard digits.count == 32,
      let high = UInt64(String(decoding: digits.prefix(16), as: UTF8.self), radix: 16),
      let low = UInt64(String(decoding: digits.suffix(16), as: UTF8.self), radix: 16)
    else { return nil }
    self.init(high: high, low: low)
    if description != text { return nil }
  }
}
