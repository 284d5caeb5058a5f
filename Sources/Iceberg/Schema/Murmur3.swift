/// The 32-bit x86 variant of Murmur3 with seed 0: what `bucket` hashes with. All arithmetic wraps.
enum Murmur3 {
  @inline(__always) private static func mixed(_ block: UInt32) -> UInt32 {
    let product = block &* 0xCC9E_2D51
    return ((product &<< 15) | (product &>> 17)) &* 0x1B87_3593
  }

  @inline(__always) private static func round(_ hash: UInt32, _ block: UInt32) -> UInt32 {
    let value = hash ^ mixed(block)
    return ((value &<< 13) | (value &>> 19)) &* 5 &+ 0xE654_6B64
  }

  @inline(__always) private static func final(_ hash: UInt32, _ byteCount: Int) -> Int32 {
    var value = hash ^ UInt32(truncatingIfNeeded: byteCount)
    value ^= value &>> 16
    value = value &* 0x85EB_CA6B
    value ^= value &>> 13
    value = value &* 0xC2B2_AE35
    value ^= value &>> 16
    return Int32(bitPattern: value)
  }

  /// The hash of the eight little-endian bytes of a number: ints and dates are hashed as longs.
  @inline(__always) static func hash(_ value: Int64) -> Int32 {
    let bits = UInt64(bitPattern: value)
    let low = round(0, UInt32(truncatingIfNeeded: bits))
    return final(round(low, UInt32(truncatingIfNeeded: bits &>> 32)), 8)
  }

  static func hash(_ bytes: Span<UInt8>) -> Int32 {
    var hash: UInt32 = 0
    var index = 0
    while index + 4 <= bytes.count {
      let block =
        UInt32(bytes[index]) | UInt32(bytes[index + 1]) &<< 8 | UInt32(bytes[index + 2]) &<< 16
        | UInt32(bytes[index + 3]) &<< 24
      hash = round(hash, block)
      index += 4
    }
    if index < bytes.count {
      var tail: UInt32 = 0
      for offset in 0..<(bytes.count - index) {
        tail |= UInt32(bytes[index + offset]) &<< UInt32(8 * offset)
      }
      hash ^= mixed(tail)
    }
    return final(hash, bytes.count)
  }
}
