import Storage

/// Byte strings to dense ids, by open addressing; the bytes of all lie in one array.
package struct BytesTable: Sendable {
  private struct Entry: BitwiseCopyable {
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
    return intern(value, hash(value))
  }

  /// There is room for one more.
  private mutating func intern(_ value: RawSpan, _ hash: UInt64) -> Int32 {
    let place = place(of: value, hash)
    guard entries[place].id < 0 else { return entries[place].id }
    let id = Int32(count)
    entries[place] = Entry(hash: UInt32(truncatingIfNeeded: hash), id: id)
    unsafe value.withUnsafeBytes { unsafe bytes.append(contentsOf: $0) }
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

  /// Values looked up at once: while the memory of one is fetched, the hashes of others are computed.
  private static let blockRows = 128

  /// The ids of many values, new ones of those that are new.
  ///
  /// - Parameter offsets: where each value begins in `values`, and the end of the last.
  mutating func intern(
    _ offsets: Span<Int32>, of values: RawSpan, into ids: inout MutableSpan<Int32>
  ) {
    var hashes = [UInt64](repeating: 0, count: Self.blockRows)
    var first = 0
    while first + 1 < offsets.count {
      let last = min(first + Self.blockRows, offsets.count - 1)
      while (count + last - first) * 2 > entries.count { grow() }
      lookUp(first..<last, offsets, of: values, &hashes, into: &ids)
      for row in first..<last {
        let value = values.extracting(Int(offsets[row])..<Int(offsets[row + 1]))
        // One that is new, or comes in this block for the first time, or has the tag of another.
        if ids[row] < 0 || !equals(ids[row], value) {
          ids[row] = intern(value, hashes[row - first])
        }
      }
      first = last
    }
  }

  /// The ids of many values; -1 for those that are not here.
  ///
  /// - Parameters:
  ///   - offsets: where each value begins in `values`, and the end of the last.
  func find(_ offsets: Span<Int32>, of values: RawSpan, into ids: inout MutableSpan<Int32>) {
    var hashes = [UInt64](repeating: 0, count: Self.blockRows)
    var first = 0
    while first + 1 < offsets.count {
      let last = min(first + Self.blockRows, offsets.count - 1)
      lookUp(first..<last, offsets, of: values, &hashes, into: &ids)
      for row in first..<last where ids[row] >= 0 {
        let value = values.extracting(Int(offsets[row])..<Int(offsets[row + 1]))
        // Two values of one tag: the first that was met is not the one.
        if !equals(ids[row], value) { ids[row] = find(value) }
      }
      first = last
    }
  }

  /// The hashes of a block's rows, and of each the first value on the way that has the hash's tag, whose memory is
  /// asked for; -1 when there is none.
  private func lookUp(
    _ rows: Range<Int>, _ offsets: Span<Int32>, of values: RawSpan, _ hashes: inout [UInt64],
    into ids: inout MutableSpan<Int32>
  ) {
    let entries = entries.span
    let ends = ends.span
    let bytes = bytes.span
    for row in rows {
      let hash = hash(values.extracting(Int(offsets[row])..<Int(offsets[row + 1])))
      Prefetch.element(Int(truncatingIfNeeded: hash) & mask, of: entries)
      hashes[row - rows.lowerBound] = hash
    }
    for row in rows {
      ids[row] = probe(hashes[row - rows.lowerBound], entries)
      if ids[row] >= 0 { Prefetch.element(Int(ids[row]), of: ends) }
    }
    for row in rows where ids[row] >= 0 { Prefetch.element(ends[Int(ids[row])], of: bytes) }
  }

  /// The first value on the way that has the hash's tag; -1 when there is none.
  private func probe(_ hash: UInt64, _ entries: Span<Entry>) -> Int32 {
    var place = Int(truncatingIfNeeded: hash) & mask
    let tag = UInt32(truncatingIfNeeded: hash)
    while true {
      let entry = entries[place]
      if entry.id < 0 || entry.hash == tag { return entry.id }
      place = (place + 1) & mask
    }
  }

  /// The value's id; -1 when it is not here.
  package func find(_ value: RawSpan) -> Int32 {
    entries[place(of: value, hash(value))].id
  }

  /// The value's place, or the free one where it belongs.
  private func place(of value: RawSpan, _ hash: UInt64) -> Int {
    var place = Int(truncatingIfNeeded: hash) & mask
    let tag = UInt32(truncatingIfNeeded: hash)
    while entries[place].id >= 0 {
      if entries[place].hash == tag, equals(entries[place].id, value) { break }
      place = (place + 1) & mask
    }
    return place
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
