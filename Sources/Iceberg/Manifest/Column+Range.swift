import Columnar

/// The smallest and the largest of a column's values, without nulls and NaNs.
struct ColumnRange {
  var lower: Literal?
  var upper: Literal?
  var nanCount = 0
}

extension Column {
  /// Which values are there, also within the structs around them; nil when all are.
  func presence(within parent: [Bool]?) -> [Bool]? {
    guard let validity else { return parent }
    let bits = validity.bytes
    var presence = [Bool](repeating: false, count: count)
    for index in 0..<count { presence[index] = Bitmap.isSet(bits, offset + index) }
    if let parent { for index in 0..<count where !parent[index] { presence[index] = false } }
    return presence
  }

  /// The range of a column of a primitive type; texts, binaries, fixed values and UUIDs give
  /// `binary` literals. The caller has checked that the column is of the type.
  func range(of type: IcebergType, presence: [Bool]?) -> ColumnRange {
    switch type {
    case .boolean: return booleanRange(presence)
    case .int: return range(Int32.self, presence) { .int($0) }
    case .date: return range(Int32.self, presence) { .date($0) }
    case .long: return range(Int64.self, presence) { .long($0) }
    case .time: return range(Int64.self, presence) { .time($0) }
    case .timestamp: return range(Int64.self, presence) { .timestamp($0) }
    case .timestamptz: return range(Int64.self, presence) { .timestamptz($0) }
    case .timestampNs: return range(Int64.self, presence) { .timestampNs($0) }
    case .timestamptzNs: return range(Int64.self, presence) { .timestamptzNs($0) }
    case .decimal(_, let scale):
      return range(Int128.self, presence) { .decimal(unscaled: $0, scale: scale) }
    case .float: return floatingRange(Float.self, presence) { .float($0) }
    case .double: return floatingRange(Double.self, presence) { .double($0) }
    case .string, .binary:
      let offsets = offsets
      return bytesRange(presence, bytes) { Int(offsets[$0])..<Int(offsets[$0 + 1]) }
    case .uuid, .fixed:
      let width = self.type.byteWidth ?? 0
      return bytesRange(presence, bytes) { ($0 * width)..<(($0 + 1) * width) }
    case .unknown, .structure, .list, .map: return ColumnRange()
    }
  }

  private func range<Number: FixedWidthInteger & BitwiseCopyable>(
    _: Number.Type, _ presence: [Bool]?, _ literal: (Number) -> Literal
  ) -> ColumnRange {
    let values = values(as: Number.self)
    var lowest = Number.max
    var highest = Number.min
    if let presence {
      for index in 0..<values.count where presence[index] {
        lowest = min(lowest, values[index])
        highest = max(highest, values[index])
      }
    } else {
      for index in 0..<values.count {
        lowest = min(lowest, values[index])
        highest = max(highest, values[index])
      }
    }
    guard lowest <= highest else { return ColumnRange() }
    return ColumnRange(lower: literal(lowest), upper: literal(highest))
  }

  private func floatingRange<Number: BinaryFloatingPoint & BitwiseCopyable>(
    _: Number.Type, _ presence: [Bool]?, _ literal: (Number) -> Literal
  ) -> ColumnRange {
    let values = values(as: Number.self)
    var lowest = Number.infinity
    var highest = -Number.infinity
    var nanCount = 0
    for index in 0..<values.count where presence?[index] ?? true {
      let value = values[index]
      // Comparisons with NaN are false, so it never becomes a bound.
      if value < lowest { lowest = value }
      if value > highest { highest = value }
      nanCount += value.isNaN ? 1 : 0
    }
    let present = presence.map { $0.reduce(0) { $0 + ($1 ? 1 : 0) } } ?? values.count
    guard present > nanCount else { return ColumnRange(nanCount: nanCount) }
    return ColumnRange(lower: literal(lowest), upper: literal(highest), nanCount: nanCount)
  }

  private func booleanRange(_ presence: [Bool]?) -> ColumnRange {
    let values = booleans
    var (present, trues) = (count, 0)
    if let presence {
      present = 0
      for index in 0..<count where presence[index] {
        present += 1
        trues += values[index] ? 1 : 0
      }
    } else {
      trues = values.trueCount
    }
    guard present > 0 else { return ColumnRange() }
    return ColumnRange(lower: .boolean(trues == present), upper: .boolean(trues > 0))
  }

  /// - Parameter place: where in `bytes` a value is.
  @inline(__always) private func bytesRange(
    _ presence: [Bool]?, _ bytes: RawSpan, _ place: (Int) -> Range<Int>
  ) -> ColumnRange {
    let all = Span<UInt8>(_bytes: bytes)
    var lowest: Range<Int>?
    var highest: Range<Int>?
    for index in 0..<count where presence?[index] ?? true {
      let value = place(index)
      guard let low = lowest, let high = highest else {
        (lowest, highest) = (value, value)
        continue
      }
      if all.extracting(value).precedes(all.extracting(low)) {
        lowest = value
      } else if all.extracting(high).precedes(all.extracting(value)) {
        highest = value
      }
    }
    guard let lowest, let highest else { return ColumnRange() }
    return ColumnRange(
      lower: .binary(Array(copying: all.extracting(lowest))),
      upper: .binary(Array(copying: all.extracting(highest))))
  }
}

extension [UInt8] {
  fileprivate init(copying value: Span<UInt8>) {
    self = []
    reserveCapacity(value.count)
    for position in 0..<value.count { append(value[position]) }
  }
}

extension Span<UInt8> {
  /// The order of unsigned bytes; of two of which one begins with the other, the shorter is first.
  @inline(__always) fileprivate func precedes(_ other: Span<UInt8>) -> Bool {
    for index in 0..<Swift.min(count, other.count) where self[index] != other[index] {
      return self[index] < other[index]
    }
    return count < other.count
  }
}
