import Columnar
import TestSupport
import Testing

/// Rows compared by the bytes of their keys, beside rows compared value by value.
@Suite struct SortKeyTests {
  private enum Value: Equatable {
    case null
    case number(Double)
    case integer(Int64)
    case bytes([UInt8])
  }

  /// Negative when `left` comes first.
  private func compare(_ left: Value, _ right: Value, _ how: (descending: Bool, nullsFirst: Bool))
    -> Int
  {
    switch (left, right) {
    case (.null, .null): return 0
    case (.null, _): return how.nullsFirst ? -1 : 1
    case (_, .null): return how.nullsFirst ? 1 : -1
    default: break
    }
    let order: Int =
      switch (left, right) {
      case (.integer(let a), .integer(let b)): a < b ? -1 : a == b ? 0 : 1
      case (.number(let a), .number(let b)):
        a.isNaN || b.isNaN
          ? (a.isNaN ? 1 : 0) - (b.isNaN ? 1 : 0)
          : a != b ? (a < b ? -1 : 1) : (a.sign == b.sign ? 0 : a.sign == .minus ? -1 : 1)
      case (.bytes(let a), .bytes(let b)):
        a == b ? 0 : a.lexicographicallyPrecedes(b) ? -1 : 1
      default: 0
      }
    return how.descending ? -order : order
  }

  private func column(
    _ type: DataType, _ count: Int, _ random: inout SeededGenerator
  ) -> (Column, [Value]) {
    let builder = AnyColumnBuilder(type)
    var values: [Value] = []
    for _ in 0..<count {
      if random.below(5) == 0 {
        builder.appendNull()
        values.append(.null)
        continue
      }
      switch type {
      case .boolean:
        let value = random.below(2) == 1
        builder.append(value)
        values.append(.integer(value ? 1 : 0))
      case .int32, .date:
        let value = [Int32.min, -2, -1, 0, 1, 7, Int32.max][Int(random.below(7))]
        builder.append(value)
        values.append(.integer(Int64(value)))
      case .int64, .timestamp:
        let value = [Int64.min, -256, -1, 0, 1, 255, 256, Int64.max][Int(random.below(8))]
        builder.append(value)
        values.append(.integer(value))
      case .float32:
        let value = [-Float.infinity, -1.5, -0.0, 0, .leastNonzeroMagnitude, 2, .infinity, .nan][
          Int(random.below(8))]
        builder.append(value)
        values.append(.number(Double(value)))
      case .float64:
        let values64 = [
          -Double.infinity, -1.5, -0.0, 0, .leastNonzeroMagnitude, 2, .infinity, .nan, -.nan,
        ]
        let value = values64[Int(random.below(9))]
        builder.append(value)
        values.append(.number(value))
      case .decimal:
        let value = [Int128(-1), 0, 5, Int128(Int64.max) + 1, Int128(Int64.min) - 1][
          Int(random.below(5))]
        builder.append(value)
        // As far apart as this, doubles keep the order.
        values.append(.number(Double(value)))
      case .fixedSizeBinary(let width):
        let value = (0..<width).map { _ in UInt8([0, 1, 255][Int(random.below(3))]) }
        builder.append(value)
        values.append(.bytes(value))
      default:
        let value = (0..<random.below(4)).map { _ in UInt8([0, 1, 97, 255][Int(random.below(4))]) }
        builder.append(value)
        values.append(.bytes(value))
      }
    }
    return (builder.finish(), values)
  }

  private static let types: [DataType] = [
    .boolean, .int32, .int64, .date, .timestamp(isUTC: true), .float32, .float64,
    .decimal(precision: 38, scale: 2), .binary, .fixedSizeBinary(3),
  ]

  @Test(arguments: 0..<60)
  func theOrderOfTheKeysIsThatOfTheRows(seed: UInt64) throws {
    var random = SeededGenerator(seed: seed)
    let count = 40
    let width = 1 + Int(random.below(3))
    var columns: [SortColumn] = []
    var rows = [[Value]](repeating: [], count: count)
    var hows: [(descending: Bool, nullsFirst: Bool)] = []
    for _ in 0..<width {
      let type = Self.types[Int(random.below(Self.types.count))]
      let (made, values) = column(type, count, &random)
      let how = (descending: random.below(2) == 0, nullsFirst: random.below(2) == 0)
      hows.append(how)
      columns.append(
        SortColumn(made, isDescending: how.descending, nullsFirst: how.nullsFirst))
      for row in 0..<count { rows[row].append(values[row]) }
    }
    let keys = try Column.sortKeys(columns, rowCount: count)
    let order = keys.orderByBytes()
    let expected = (0..<count).sorted { left, right in
      for index in 0..<width {
        let order = compare(rows[left][index], rows[right][index], hows[index])
        if order != 0 { return order < 0 }
      }
      return left < right
    }
    #expect(order == expected, "seed \(seed)")
    for left in 0..<count {
      for right in 0..<count {
        let wanted =
          (0..<width).lazy.map { compare(rows[left][$0], rows[right][$0], hows[$0]) }
          .first { $0 != 0 } ?? 0
        #expect(
          keys.compareBytes(at: left, with: keys, at: right).signum() == wanted.signum(),
          "seed \(seed)")
      }
    }
  }

  /// The reference's rule, bit string by bit string.
  private func interleaved(_ values: [[UInt8]], size: Int) -> [UInt8] {
    let bits = values.map { $0.flatMap { byte in (0..<8).map { byte >> UInt8(7 - $0) & 1 } } }
    var out: [UInt8] = []
    for position in 0..<(bits.map(\.count).max() ?? 0) {
      for column in bits where position < column.count { out.append(column[position]) }
    }
    return stride(from: 0, to: out.count, by: 8).prefix(size).map { start in
      out[start..<(start + 8)].reduce(0) { $0 << 1 | $1 }
    }
  }

  @Test(arguments: [(8, Int.max), (3, Int.max), (8, 5), (1, 1)])
  func bitsAreInterleavedAsTheReferenceDoes(textBytes: Int, maximum: Int) throws {
    var numbers = FixedWidthBuilder<Int32>(.int32, zero: 0)
    var doubles = FixedWidthBuilder<Double>(.float64, zero: 0)
    var texts = BytesBuilder(.string)
    let rows: [(Int32, Double, String?)] = [
      (1, 0.5, "abcdefghij"), (-1, -0.5, ""), (Int32.max, .infinity, nil), (Int32.min, 0, "z"),
    ]
    var parts: [[[UInt8]]] = []
    for (number, double, text) in rows {
      numbers.append(number)
      doubles.append(double)
      if let text { texts.append(text) } else { texts.appendNull() }
      func big(_ value: UInt64) -> [UInt8] {
        (0..<8).map { UInt8(value >> UInt64(56 - 8 * $0) & 0xFF) }
      }
      let bits = double.bitPattern
      let bytes = Array((text ?? "").utf8.prefix(textBytes))
      parts.append([
        big(UInt64(bitPattern: Int64(number)) ^ 1 << 63),
        big(bits >> 63 == 1 ? ~bits : bits ^ 1 << 63),
        bytes + [UInt8](repeating: 0, count: textBytes - bytes.count),
      ])
    }
    let keys = try Column.zOrderKeys(
      [numbers.finish(), doubles.finish(), texts.finish()], rowCount: rows.count,
      textBytes: textBytes, maximumBytes: maximum)
    let size = min(16 + textBytes, maximum)
    for row in rows.indices {
      let bytes = keys.bytes(at: row)
      let found = bytes.withUnsafeBytes { Array($0) }
      #expect(found == interleaved(parts[row], size: size), "row \(row)")
    }
  }

  @Test func aBatchKnowsWhatItsRowsTake() throws {
    var texts = BytesBuilder(.string)
    var numbers = FixedWidthBuilder<Int64>(.int64, zero: 0)
    for row in 0..<1000 {
      texts.append(String(repeating: "x", count: 10))
      numbers.append(Int64(row))
    }
    let schema = Schema([Field("t", .string), Field("n", .int64)])
    let batch = RecordBatch(
      schema: schema, columns: [texts.finish(), numbers.finish()], rowCount: 1000)
    #expect(batch.valueBytes == 10_000 + 4 * 1001 + 8000)
    #expect(batch.slice(10..<20).valueBytes == 100 + 44 + 80)
  }
}
