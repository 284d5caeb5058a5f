import Storage

/// 64-bit words to dense ids, by open addressing: one cache line a probe, no allocation a row.
///
/// The multiplier is random, so that nobody can prepare keys that all meet in one place. Many words are looked
/// up at once: while the memory of one is fetched, the places of the others are computed.
struct WordTable: Sendable {
  private struct Entry: BitwiseCopyable {
    var word: UInt64
    /// -1 where the place is free.
    var id: Int32
  }

  /// Words looked up at once: what the processor fetches for them stays in its nearest cache.
  private static let blockRows = 256

  private var entries: [Entry]
  private var mask: Int
  private let multiplier = UInt64.random(in: .min ... .max) | 1
  private(set) var count = 0

  init() {
    entries = Array(repeating: Entry(word: 0, id: -1), count: 16)
    mask = 15
  }

  @inline(__always) private static func place(_ word: UInt64, _ multiplier: UInt64) -> Int {
    let product = (word ^ 0x9E37_79B9_7F4A_7C15).multipliedFullWidth(by: multiplier)
    return Int(truncatingIfNeeded: product.high ^ product.low)
  }

  /// The word's id, a new one when it is new.
  mutating func intern(_ word: UInt64) -> Int32 {
    if (count + 1) * 2 > entries.count { grow() }
    let start = Self.place(word, multiplier) & mask
    let place = Self.probe(word, from: start, entries.span, mask)
    guard entries[place].id < 0 else { return entries[place].id }
    let id = Int32(count)
    entries[place] = Entry(word: word, id: id)
    count += 1
    return id
  }

  /// The ids of many integers, new ones of those that are new.
  mutating func intern<Integer: FixedWidthInteger & BitwiseCopyable>(
    _ values: Span<Integer>, into ids: inout MutableSpan<Int32>
  ) {
    var first = 0
    while first < values.count {
      let end = min(first + Self.blockRows, values.count)
      while (count + end - first) * 2 > entries.count { grow() }
      for row in first..<end {
        let word = UInt64(truncatingIfNeeded: values[row])
        Prefetch.element(Self.place(word, multiplier) & mask, of: entries.span)
      }
      for row in first..<end { ids[row] = intern(UInt64(truncatingIfNeeded: values[row])) }
      first = end
    }
  }

  private mutating func grow() {
    let old = entries
    entries = Array(repeating: Entry(word: 0, id: -1), count: old.count * 2)
    mask = entries.count - 1
    for entry in old where entry.id >= 0 {
      var place = Self.place(entry.word, multiplier) & mask
      while entries[place].id >= 0 { place = (place + 1) & mask }
      entries[place] = entry
    }
  }

  /// The ids of many integers; -1 for those that are not here.
  func find<Integer: FixedWidthInteger & BitwiseCopyable>(
    _ values: Span<Integer>, into ids: inout MutableSpan<Int32>
  ) {
    let entries = entries.span
    let mask = mask
    let multiplier = multiplier
    // Places do not fit where ids go once there are a thousand million words.
    let isStaged = entries.count <= Int(Int32.max)
    var first = 0
    while first < values.count {
      let end = min(first + Self.blockRows, values.count)
      if isStaged {
        for row in first..<end {
          let place = Self.place(UInt64(truncatingIfNeeded: values[row]), multiplier) & mask
          Prefetch.element(place, of: entries)
          ids[row] = Int32(truncatingIfNeeded: place)
        }
      }
      for row in first..<end {
        let word = UInt64(truncatingIfNeeded: values[row])
        let start = isStaged ? Int(ids[row]) : Self.place(word, multiplier) & mask
        ids[row] = entries[Self.probe(word, from: start, entries, mask)].id
      }
      first = end
    }
  }

  /// The word's place, or the free one where it belongs.
  @inline(__always) private static func probe(
    _ word: UInt64, from start: Int, _ entries: Span<Entry>, _ mask: Int
  ) -> Int {
    var place = start
    while entries[place].id >= 0, entries[place].word != word { place = (place + 1) & mask }
    return place
  }

  /// Replaces each pair of ids by the pair's id; -1 where either part or the pair is not here.
  func findPairs(_ second: Span<Int32>, into ids: inout MutableSpan<Int32>) {
    let entries = entries.span
    var first = 0
    while first < second.count {
      let end = min(first + Self.blockRows, second.count)
      for row in first..<end where ids[row] >= 0 && second[row] >= 0 {
        Prefetch.element(
          Self.place(Self.pair(ids[row], second[row]), multiplier) & mask, of: entries)
      }
      for row in first..<end {
        guard ids[row] >= 0, second[row] >= 0 else {
          ids[row] = -1
          continue
        }
        let word = Self.pair(ids[row], second[row])
        let start = Self.place(word, multiplier) & mask
        ids[row] = entries[Self.probe(word, from: start, entries, mask)].id
      }
      first = end
    }
  }

  func find(_ word: UInt64) -> Int32 {
    let start = Self.place(word, multiplier) & mask
    return entries[Self.probe(word, from: start, entries.span, mask)].id
  }

  static func pair(_ first: Int32, _ second: Int32) -> UInt64 {
    UInt64(UInt32(bitPattern: first)) << 32 | UInt64(UInt32(bitPattern: second))
  }

  /// All words, in no order.
  var words: [UInt64] { entries.compactMap { $0.id >= 0 ? $0.word : nil } }
}
