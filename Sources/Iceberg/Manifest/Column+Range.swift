import Columnar

/// The smallest and the largest of a column's values, without nulls and NaNs.
struct ColumnRange {
  var lower: Literal?
  var upper: Literal?
  var nanCount = 0
}

extension Column {
  /// The range of a column of a primitive type; texts, binaries, fixed values and UUIDs give
  /// `binary` literals. The caller has checked that the column is of the type.
  func range(of type: IcebergType, presence: Presence?) -> ColumnRange {
    switch type {
    case .boolean: return booleanRange(presence)
    case .int: return range(Int32.min ... .max, presence) { .int($0) }
    case .date: return range(Int32.min ... .max, presence) { .date($0) }
    case .long: return range(Int64.min ... .max, presence) { .long($0) }
    case .time: return range(Int64.min ... .max, presence) { .time($0) }
    case .timestamp: return range(Int64.min ... .max, presence) { .timestamp($0) }
    case .timestamptz: return range(Int64.min ... .max, presence) { .timestamptz($0) }
    case .timestampNs: return range(Int64.min ... .max, presence) { .timestampNs($0) }
    case .timestamptzNs: return range(Int64.min ... .max, presence) { .timestamptzNs($0) }
    case .decimal(_, let scale):
      return range(Int128.min ... .max, presence) { .decimal(unscaled: $0, scale: scale) }
    case .float: return range(-Float.infinity ... .infinity, presence) { .float($0) }
    case .double: return range(-Double.infinity ... .infinity, presence) { .double($0) }
    case .string, .binary:
      let offsets = offsets
      return bytesRange(presence, bytes) { Int(offsets[$0])..<Int(offsets[$0 + 1]) }
    case .uuid, .fixed:
      let width = self.type.byteWidth ?? 0
      return bytesRange(presence, bytes) { ($0 * width)..<(($0 + 1) * width) }
    case .unknown, .structure, .list, .map: return ColumnRange()
    }
  }

  /// - Parameter all: every number of the type but NaN.
  private func range<Number: Comparable & BitwiseCopyable>(
    _ all: ClosedRange<Number>, _ presence: Presence?, _ literal: (Number) -> Literal
  ) -> ColumnRange {
    let values = values(as: Number.self)
    let greatest = all.upperBound
    var (lowest, highest) = (greatest, all.lowerBound)
    var nanCount = 0
    var present = PresentRows(presence, rowCount: count)
    while let rows = present.next() {
      for row in rows {
        let value = values[row]
        // Comparisons with NaN are false, so it never becomes a bound.
        if value < lowest { lowest = value }
        if value > highest { highest = value }
        if !(value <= greatest) { nanCount += 1 }
      }
    }
    guard (presence?.presentCount ?? count) > nanCount else {
      return ColumnRange(nanCount: nanCount)
    }
    return ColumnRange(lower: literal(lowest), upper: literal(highest), nanCount: nanCount)
  }

  private func booleanRange(_ presence: Presence?) -> ColumnRange {
    let values = booleans
    let presentCount = presence?.presentCount ?? count
    var trues = 0
    if let presence {
      var present = PresentRows(presence, rowCount: count)
      while let rows = present.next() { for row in rows where values[row] { trues += 1 } }
    } else {
      trues = values.trueCount
    }
    guard presentCount > 0 else { return ColumnRange() }
    return ColumnRange(lower: .boolean(trues == presentCount), upper: .boolean(trues > 0))
  }

  /// - Parameter place: where in `bytes` a value is.
  @inline(__always) private func bytesRange(
    _ presence: Presence?, _ bytes: RawSpan, _ place: (Int) -> Range<Int>
  ) -> ColumnRange {
    var lowest: Range<Int>?
    var highest: Range<Int>?
    var present = PresentRows(presence, rowCount: count)
    while let rows = present.next() {
      for row in rows {
        let value = place(row)
        guard let low = lowest, let high = highest else {
          (lowest, highest) = (value, value)
          continue
        }
        if bytes.extracting(value).precedes(bytes.extracting(low)) {
          lowest = value
        } else if bytes.extracting(high).precedes(bytes.extracting(value)) {
          highest = value
        }
      }
    }
    guard let lowest, let highest else { return ColumnRange() }
    return ColumnRange(
      lower: .binary(Array(copying: bytes.extracting(lowest))),
      upper: .binary(Array(copying: bytes.extracting(highest))))
  }
}

extension [UInt8] {
  fileprivate init(copying value: RawSpan) {
    self = []
    let bytes = Span<UInt8>(_bytes: value)
    reserveCapacity(bytes.count)
    for position in 0..<bytes.count { append(bytes[position]) }
  }
}

extension RawSpan {
  /// The order of unsigned bytes; of two of which one begins with the other, the shorter is first.
  @inline(__always) fileprivate func precedes(_ other: RawSpan) -> Bool {
    let common = Swift.min(byteCount, other.byteCount)
    var index = 0
    while index + 8 <= common {
      let (own, theirs) = (word(at: index), other.word(at: index))
      if own != theirs { return own < theirs }
      index += 8
    }
    while index < common {
      let (own, theirs) = (byte(at: index), other.byte(at: index))
      if own != theirs { return own < theirs }
      index += 1
    }
    return byteCount < other.byteCount
  }

  /// Eight bytes, of which the first counts most.
  @inline(__always) private func word(at index: Int) -> UInt64 {
    UInt64(bigEndian: unsafe unsafeLoadUnaligned(fromByteOffset: index, as: UInt64.self))
  }

  @inline(__always) private func byte(at index: Int) -> UInt8 {
    unsafe unsafeLoad(fromByteOffset: index, as: UInt8.self)
  }
}
