internal import Storage

/// A 64-bit hash of a group and a key: 128-bit multiplication folded, as in wyhash. Seeded by the
/// process, so that nobody can prepare keys that collide.
package struct KeyHash: Sendable {
  let seed: UInt64

  package init(seed: UInt64) { self.seed = seed }

  package func hash(groupID: UInt32, key: RawSpan) -> UInt64 {
    var state = KeyHash.mix(
      (seed ^ 0xA076_1D64_78BD_642F) | 1,
      UInt64(groupID) << 32 ^ UInt64(key.byteCount) ^ 0xE703_7ED1_A0B4_28DB)
    var offset = 0
    while offset + 8 <= key.byteCount {
      let word = key.loadLittleEndian(UInt64.self, at: offset)
      state = KeyHash.mix(state ^ word, (seed ^ 0x8EBC_6AF0_9C88_C6E3) | 1)
      offset += 8
    }
    var rest: UInt64 = 0
    while offset < key.byteCount {
      rest = rest << 8 | UInt64(key.loadLittleEndian(UInt8.self, at: offset))
      offset += 1
    }
    // Of keys that differ in these bytes alone one multiplication makes multiples of its factor, which for one seed in
    // a dozen lie close together.
    let mixed = KeyHash.mix(state ^ rest, (seed ^ 0x5899_65CC_7537_4CC3) | 1)
    return KeyHash.mix(mixed, 0x9E37_79B9_7F4A_7C15)
  }

  private static func mix(_ left: UInt64, _ right: UInt64) -> UInt64 {
    let product = left.multipliedFullWidth(by: right)
    return product.high ^ product.low
  }
}
