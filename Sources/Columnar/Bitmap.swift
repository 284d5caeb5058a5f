/// Bits in Arrow's order: bit `i` is bit `i % 8`, from the least significant, of byte `i / 8`.
public enum Bitmap {
  @inlinable public static func isSet(_ bytes: RawSpan, _ index: Int) -> Bool {
    bytes.unsafeByte(index >> 3) & (1 << UInt8(index & 7)) != 0
  }

  /// The bytes that `count` bits take.
  @inlinable public static func byteCount(_ count: Int) -> Int { (count + 7) >> 3 }

  /// How many of the `count` bits from `offset` are set; eight bytes a step where aligned.
  public static func countOnes(_ bytes: RawSpan, offset: Int, count: Int) -> Int {
    var ones = 0
    var index = offset
    let end = offset + count
    while index < end, index & 7 != 0 {
      ones += isSet(bytes, index) ? 1 : 0
      index += 1
    }
    while index + 64 <= end {
      ones += unsafe bytes.unsafeLoadUnaligned(fromByteOffset: index >> 3, as: UInt64.self)
        .nonzeroBitCount
      index += 64
    }
    while index < end {
      ones += isSet(bytes, index) ? 1 : 0
      index += 1
    }
    return ones
  }
}

extension RawSpan {
  /// One byte, bounds-checked.
  @inlinable func unsafeByte(_ index: Int) -> UInt8 {
    precondition(index >= 0 && index < byteCount, "bit out of bounds")
    return unsafe unsafeLoad(fromUncheckedByteOffset: index, as: UInt8.self)
  }
}

/// Bits under construction: appended one by one or in runs, then frozen into a buffer.
public struct BitmapBuilder: Sendable {
  /// The bits, 64 in each; those of the last one that are none are 0.
  public private(set) var words: [UInt64] = []
  public private(set) var count = 0
  public private(set) var onesCount = 0

  public init() {}

  public mutating func reserveCapacity(_ count: Int) { words.reserveCapacity((count + 63) / 64) }

  @inline(__always) public mutating func append(_ bit: Bool) {
    if count & 63 == 0 { words.append(0) }
    if bit {
      words[count >> 6] |= 1 << UInt64(count & 63)
      onesCount += 1
    }
    count += 1
  }

  public mutating func append(repeating bit: Bool, count repeats: Int) {
    var left = repeats
    while left > 0, count & 63 != 0 {
      append(bit)
      left -= 1
    }
    let whole = left / 64
    if whole > 0 {
      words.append(contentsOf: repeatElement(bit ? UInt64.max : 0, count: whole))
      count += whole * 64
      onesCount += bit ? whole * 64 : 0
      left -= whole * 64
    }
    for _ in 0..<left { append(bit) }
  }

  /// Appends `bitCount` bits of `bytes` from bit `offset`: a word a step.
  public mutating func append(bits bytes: RawSpan, offset: Int, count bitCount: Int) {
    precondition(offset >= 0 && bitCount >= 0 && (offset + bitCount + 7) / 8 <= bytes.byteCount)
    var next = offset
    let end = offset + bitCount
    while next < end, count & 63 != 0 {
      append(Bitmap.isSet(bytes, next))
      next += 1
    }
    // Nine bytes hold 64 bits from any bit of the first byte.
    while next + 64 <= end, next >> 3 + 9 <= bytes.byteCount {
      let low = unsafe bytes.unsafeLoadUnaligned(fromByteOffset: next >> 3, as: UInt64.self)
      let shift = UInt64(next & 7)
      let high = UInt64(bytes.unsafeByte(next >> 3 + 8))
      let word = shift == 0 ? low : low >> shift | high << (64 - shift)
      words.append(word)
      onesCount += word.nonzeroBitCount
      count += 64
      next += 64
    }
    while next < end {
      append(Bitmap.isSet(bytes, next))
      next += 1
    }
  }

  public subscript(index: Int) -> Bool { words[index >> 6] & (1 << UInt64(index & 63)) != 0 }

  /// The bits as a buffer; the builder can go on.
  public func buffer() -> Buffer { Buffer(copying: words) }

  /// The bits as a validity buffer: nil when all are set.
  public func validity() -> Buffer? { onesCount == count ? nil : buffer() }
}
