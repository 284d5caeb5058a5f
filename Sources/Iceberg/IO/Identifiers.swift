/// Where random identifiers come from.
package final class IdentifierSource: Sendable {
  package static let system = IdentifierSource {
    var generator = SystemRandomNumberGenerator()
    return generator.next()
  }

  fileprivate let next: @Sendable () -> UInt64

  package init(_ next: @escaping @Sendable () -> UInt64) { self.next = next }
}

/// The same numbers for what takes a generator.
struct IdentifierGenerator: RandomNumberGenerator {
  private let source = RandomIdentifier.source

  mutating func next() -> UInt64 { source.next() }
}

/// Random identifiers.
package enum RandomIdentifier {
  /// Where they come from for what runs within `$source.withValue`: simulations give numbers of a seed,
  /// so that the same seed gives the same history. Everywhere else it is the system.
  @TaskLocal package static var source = IdentifierSource.system

  /// A UUID of version 4 in its usual text.
  static func uuid() -> String { text(bits()) }

  /// A positive random number, as the reference implementation draws snapshot ids.
  static func snapshotID(isTaken: (Int64) -> Bool) -> Int64 {
    while true {
      let bits = bits()
      let mixed = UInt64(truncatingIfNeeded: bits >> 64) ^ UInt64(truncatingIfNeeded: bits)
      let id = Int64(mixed & UInt64(Int64.max))
      if id > 0, !isTaken(id) { return id }
    }
  }

  private static func bits() -> UInt128 {
    let source = source
    let (first, second) = (source.next(), source.next())
    let high = (first & ~0xF000) | 0x4000
    let low = (second & ~(0xC000_0000_0000_0000)) | 0x8000_0000_0000_0000
    return UInt128(high) << 64 | UInt128(low)
  }

  private static func text(_ bits: UInt128) -> String {
    let hyphen = UInt8(ascii: "-")
    var digits: [UInt8] = []
    digits.reserveCapacity(36)
    for index in 0..<32 {
      if index == 8 || index == 12 || index == 16 || index == 20 { digits.append(hyphen) }
      let digit = UInt8(truncatingIfNeeded: bits >> UInt128(124 - 4 * index)) & 0xF
      digits.append(digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10)
    }
    return String(decoding: digits, as: UTF8.self)
  }
}
