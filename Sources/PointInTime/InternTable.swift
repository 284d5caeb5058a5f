/// 64-bit words to dense ids, by open addressing: one cache line a probe, no allocation a row.
///
/// The multiplier is random, so that nobody can prepare keys that all meet in one place.
struct WordTable: Sendable {
  private struct Entry {
    var word: UInt64
    /// -1 where the place is free.
    var id: Int32
  }

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
    var place = Self.place(word, multiplier) & mask
    while entries[place].id >= 0 {
      if entries[place].word == word { return entries[place].id }
      place = (place + 1) & mask
    }
    let id = Int32(count)
    entries[place] = Entry(word: word, id: id)
    count += 1
    return id
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
    for row in values.indices {
      let word = UInt64(truncatingIfNeeded: values[row])
      var place = Self.place(word, multiplier) & mask
      var found: Int32 = -1
      while true {
        let entry = entries[place]
        if entry.id < 0 { break }
        if entry.word == word {
          found = entry.id
          break
        }
        place = (place + 1) & mask
      }
      ids[row] = found
    }
  }

  /// Replaces each pair of ids by the pair's id; -1 where either part or the pair is not here.
  func findPairs(_ second: Span<Int32>, into ids: inout MutableSpan<Int32>) {
    for row in second.indices {
      guard ids[row] >= 0, second[row] >= 0 else {
        ids[row] = -1
        continue
      }
      ids[row] = find(Self.pair(ids[row], second[row]))
    }
  }

  @inline(__always) func find(_ word: UInt64) -> Int32 {
    var place = Self.place(word, multiplier) & mask
    while entries[place].id >= 0 {
      if entries[place].word == word { return entries[place].id }
      place = (place + 1) & mask
    }
    return -1
  }

  static func pair(_ first: Int32, _ second: Int32) -> UInt64 {
    UInt64(UInt32(bitPattern: first)) << 32 | UInt64(UInt32(bitPattern: second))
  }

  /// All words, in no order.
  var words: [UInt64] { entries.compactMap { $0.id >= 0 ? $0.word : nil } }
}

/// Byte strings to dense ids, by open addressing; the bytes of all lie in one array.
package struct BytesTable: Sendable {
  private struct Entry {
    var hash: UInt32
    /// -1 where the place is free.
    var id: Int32
  }

  private var entries: [Entry]
  private var mask: Int
  private let multiplier = UInt64.random(in: .min ... .max) | 1
  private var bytes: [UInt8] = []
  private var ends: [Int] = [0]

  package var count: Int { ends.count - 1 }

  /// Bytes of memory, about.
  package var sizeBytes: Int { entries.count * 8 + ends.count * 8 + bytes.count }

  package init() {
    entries = Array(repeating: Entry(hash: 0, id: -1), count: 16)
    mask = 15
  }

  private func hash(_ value: RawSpan) -> UInt64 {
    var hash = UInt64(value.byteCount) ^ multiplier
    var offset = 0
    while offset + 8 <= value.byteCount {
      // Checked against the span's bounds; any eight bytes are an integer.
      let word = unsafe value.unsafeLoadUnaligned(fromByteOffset: offset, as: UInt64.self)
      hash = Self.mix(hash ^ word)
      offset += 8
    }
    var rest: UInt64 = 0
    while offset < value.byteCount {
      rest = rest << 8 | UInt64(value.byte(offset))
      offset += 1
    }
    let product = Self.mix(hash ^ rest).multipliedFullWidth(by: multiplier)
    return product.high ^ product.low
  }

  @inline(__always) private static func mix(_ word: UInt64) -> UInt64 {
    let product = word.multipliedFullWidth(by: 0xD6E8_FEB8_6659_FD93)
    return product.high ^ product.low
  }

  private func equals(_ id: Int32, _ value: RawSpan) -> Bool {
    let start = ends[Int(id)]
    guard ends[Int(id) + 1] - start == value.byteCount else { return false }
    let stored = unsafe bytes.span.bytes
    var offset = 0
    while offset + 8 <= value.byteCount {
      let ours = unsafe stored.unsafeLoadUnaligned(fromByteOffset: start + offset, as: UInt64.self)
      let theirs = unsafe value.unsafeLoadUnaligned(fromByteOffset: offset, as: UInt64.self)
      guard ours == theirs else { return false }
      offset += 8
    }
    while offset < value.byteCount {
      guard bytes[start + offset] == value.byte(offset) else { return false }
      offset += 1
    }
    return true
  }

  package mutating func intern(_ value: RawSpan) -> Int32 {
    if (count + 1) * 2 > entries.count { grow() }
    let hash = hash(value)
    var place = Int(truncatingIfNeeded: hash) & mask
    let tag = UInt32(truncatingIfNeeded: hash)
    while entries[place].id >= 0 {
      if entries[place].hash == tag, equals(entries[place].id, value) { return entries[place].id }
      place = (place + 1) & mask
    }
    let id = Int32(count)
    entries[place] = Entry(hash: tag, id: id)
    for offset in 0..<value.byteCount { bytes.append(value.byte(offset)) }
    ends.append(bytes.count)
    return id
  }

  private mutating func grow() {
    let old = entries
    // At most 2^31 ids, so 32 bits of hash still tell where an entry belongs.
    entries = Array(repeating: Entry(hash: 0, id: -1), count: old.count * 2)
    mask = entries.count - 1
    for entry in old where entry.id >= 0 {
      var place = Int(entry.hash) & mask
      while entries[place].id >= 0 { place = (place + 1) & mask }
      entries[place] = entry
    }
  }

  /// The value's id; -1 when it is not here.
  package func find(_ value: RawSpan) -> Int32 {
    let hash = hash(value)
    var place = Int(truncatingIfNeeded: hash) & mask
    let tag = UInt32(truncatingIfNeeded: hash)
    while entries[place].id >= 0 {
      if entries[place].hash == tag, equals(entries[place].id, value) { return entries[place].id }
      place = (place + 1) & mask
    }
    return -1
  }

  package func value(_ id: Int32) -> [UInt8] { Array(bytes[ends[Int(id)]..<ends[Int(id) + 1]]) }

  /// All values, in the order of their ids.
  var values: [[UInt8]] { (0..<count).map { Array(bytes[ends[$0]..<ends[$0 + 1]]) } }
}

extension RawSpan {
  /// One byte, bounds-checked.
  @inline(__always) func byte(_ offset: Int) -> UInt8 {
    unsafe unsafeLoad(fromByteOffset: offset, as: UInt8.self)
  }
}
