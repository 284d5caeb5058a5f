import OnlineStore
import Storage
import Testing

/// Hashes of keys that are numbers one after the other, as they often are, lie as far apart as random ones: for every
/// seed, since a store keeps its seed for ever.
@Suite struct KeyHashTests {
  @Test(arguments: [1, 2, 3, 4, 5, 7, 8, 9, 12, 16, 20])
  func hashesOfNeighboursAreSpread(byteCount: Int) {
    let count = byteCount == 1 ? 256 : 2048
    let places = count
    var random = SystemRandomNumberGenerator()
    for seed in [0, 1, .max, 0x5899_65CC_7537_4CC3, 0x8EBC_6AF0_9C88_C6E3]
      + (0..<60).map({ _ in random.next() })
    {
      let hasher = KeyHash(seed: seed)
      var low = [Int](repeating: 0, count: 64)
      var high: Set<UInt64> = []
      var all: Set<UInt64> = []
      for number in 0..<count {
        // The number in the last bytes, the first ones the same.
        let key = (0..<byteCount).map { index -> UInt8 in
          let shift = 8 * (byteCount - 1 - index)
          return shift < 64 ? UInt8(truncatingIfNeeded: number >> shift) : 0x20
        }
        let hash = hasher.hash(groupID: 7, key: key.span.bytes)
        low[Int(hash & 63)] += 1
        high.insert(hash.multipliedFullWidth(by: UInt64(places)).high)
        all.insert(hash)
      }
      #expect(all.count == count, "seed \(seed)")
      // Of so many random ones a shard gets more in one of a billion cases, and 63 % of the places are taken.
      let mean = count / 64
      #expect((low.max() ?? 0) <= mean + 8 * Int(Double(mean).squareRoot() + 1), "seed \(seed)")
      #expect(high.count > places * 52 / 100, "seed \(seed)")
    }
  }
}
