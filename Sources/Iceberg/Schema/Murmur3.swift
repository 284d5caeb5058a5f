internal import Storage

/// The 32-bit x86 variant of Murmur3: what `bucket` hashes with, with seed 0. All arithmetic wraps.
package enum Murmur3 {
  @inline(__always) private static func mixed(_ block: UInt32) -> UInt32 {
    let product = block &* 0xCC9E_2D51
    return ((product &<< 15) | (product &>> 17)) &* 0x1B87_3593
  }

  @inline(__always) private static func round(_ hash: UInt32, _ block: UInt32) -> UInt32 {
    let value = hash ^ mixed(block)
    return ((value &<< 13) | (value &>> 19)) &* 5 &+ 0xE654_6B64
  }

  @inline(__always) private static func final(_ hash: UInt32, _ byteCount: Int) -> UInt32 {
    var value = hash ^ UInt32(truncatingIfNeeded: byteCount)
    value ^= value &>> 16
    value = value &* 0x85EB_CA6B
    value ^= value &>> 13
    value = value &* 0xC2B2_AE35
    value ^= value &>> 16
    return value
  }

  /// The hash of the eight little-endian bytes of a number: ints and dates are hashed as longs.
  @inline(__always) static func hash(_ value: Int64) -> Int32 {
    Int32(bitPattern: hash(value, seed: 0))
  }

  static func hash(_ bytes: Span<UInt8>) -> Int32 {
    unsafe Int32(bitPattern: hash(bytes.bytes, seed: 0))
  }

  package static func hash(_ value: Int64, seed: UInt32) -> UInt32 {
    let bits = UInt64(bitPattern: value)
    let low = round(seed, UInt32(truncatingIfNeeded: bits))
    return final(round(low, UInt32(truncatingIfNeeded: bits &>> 32)), 8)
  }

  package static func hash(_ bytes: RawSpan, seed: UInt32) -> UInt32 {
    var hash = seed
    var index = 0
    while index + 4 <= bytes.byteCount {
      hash = round(hash, bytes.loadLittleEndian(UInt32.self, at: index))
      index += 4
    }
    if index < bytes.byteCount {
      var tail: UInt32 = 0
      for offset in 0..<(bytes.byteCount - index) {
        let byte = bytes.loadLittleEndian(UInt8.self, at: index + offset)
        tail |= UInt32(byte) &<< UInt32(8 * offset)
      }
      hash ^= mixed(tail)
    }
    return final(hash, bytes.byteCount)
  }
}
