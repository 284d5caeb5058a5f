/// Random identifiers.
enum RandomIdentifier {
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
    var generator = SystemRandomNumberGenerator()
    let high = (generator.next() & ~0xF000) | 0x4000
    let low = (generator.next() & ~(0xC000_0000_0000_0000)) | 0x8000_0000_0000_0000
    return UInt128(high) << 64 | UInt128(low)
  }

  private static func text(_ bits: UInt128) -> String {
    var digits: [UInt8] = []
    digits.reserveCapacity(36)
    for index in 0..<32 {
      if [8, 12, 16, 20].contains(index) { digits.append(UInt8(ascii: "-")) }
      let digit = UInt8(truncatingIfNeeded: bits >> UInt128(124 - 4 * index)) & 0xF
      digits.append(digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10)
    }
    return String(decoding: digits, as: UTF8.self)
  }
}
