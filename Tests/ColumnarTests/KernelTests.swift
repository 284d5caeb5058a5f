import Columnar
import TestSupport
import Testing

/// Columns of every kind of layout, with nulls at random, as texts to compare with.
private struct Sample {
  var generator: SeededGenerator

  mutating func column(_ type: DataType, count: Int) -> Column {
    let builder = AnyColumnBuilder(type)
    for _ in 0..<count { append(to: builder) }
    return builder.finish()
  }

  private mutating func append(to builder: AnyColumnBuilder) {
    if generator.oneIn(5) { return builder.appendNull() }
    switch builder.type {
    case .boolean: builder.append(generator.oneIn(2))
    case .int32, .date: builder.append(Int32(truncatingIfNeeded: generator.next()))
    case .int64, .time, .timestamp, .timestampNanoseconds:
      builder.append(Int64(bitPattern: generator.next()))
    case .float32: builder.append(Float(generator.below(1000)))
    case .float64: builder.append(Double(generator.below(1000)))
    case .decimal: builder.append(Int128(generator.below(1_000_000)) << 40)
    case .string: builder.append(String(repeating: "é", count: generator.below(4)))
    case .binary: builder.append((0..<generator.below(9)).map { UInt8($0) })
    case .fixedSizeBinary(let width):
      builder.append((0..<width).map { _ in UInt8(generator.below(256)) })
    case .list, .map:
      for _ in 0..<generator.below(4) { append(to: builder.children[0]) }
      builder.appendList()
    case .structure:
      for child in builder.children { append(to: child) }
      builder.appendStructure()
    }
  }
}

private func text(_ column: Column, _ index: Int) -> String {
  if column.isNull(index) { return "null" }
  switch column.type {
  case .boolean: return String(column.boolean(at: index))
  case .int32, .date: return String(column.values(as: Int32.self)[index])
  case .float32: return String(column.values(as: Float.self)[index])
  case .float64: return String(column.values(as: Double.self)[index])
  case .decimal: return String(column.values(as: Int128.self)[index])
  case .string, .binary, .fixedSizeBinary:
    return "\(column.bytes(at: index).withUnsafeBytes { Array($0) })"
  case .list, .map:
    let range = Int(column.offsets[index])..<Int(column.offsets[index + 1])
    return "\(range.map { text(column.children[0], $0) })"
  case .structure: return "\(column.children.map { text($0, column.offset + index) })"
  default: return String(column.values(as: Int64.self)[index])
  }
}

private func texts(_ column: Column) -> [String] { (0..<column.count).map { text(column, $0) } }

private let everyType: [DataType] = [
  .boolean, .int32, .int64, .float32, .float64, .string, .binary, .fixedSizeBinary(3), .date, .time,
  .timestamp(isUTC: true), .timestampNanoseconds(isUTC: false), .decimal(precision: 38, scale: 3),
  .list(Field("element", .string)), .list(Field("element", .list(Field("element", .float32)))),
  .structure([Field("a", .int32), Field("b", .list(Field("element", .boolean)))]),
  .map(key: Field("key", .string), value: Field("value", .decimal(precision: 9, scale: 0))),
]

@Suite struct KernelTests {
  @Test(arguments: everyType) func takeGathersByPosition(_ type: DataType) throws {
    var sample = Sample(generator: SeededGenerator(seed: 7))
    for slice in [0..<200, 3..<150, 64..<64] {
      let column = sample.column(type, count: 200).slice(slice)
      let expected = texts(column)
      let indices = (0..<300).map { _ in
        column.count == 0 ? -1 : sample.generator.below(column.count + 1) - 1
      }
      let taken = try column.take(indices)
      #expect(texts(taken) == indices.map { $0 < 0 ? "null" : expected[$0] })
      #expect(taken.nullCount == texts(taken).count { $0 == "null" })
      #expect(try texts(column.take(indices.map { Int32($0) })) == texts(taken))
    }
  }

  @Test(arguments: everyType) func concatenateJoinsSlices(_ type: DataType) throws {
    var sample = Sample(generator: SeededGenerator(seed: 8))
    let slices = [0..<0, 0..<130, 5..<70, 63..<200, 1..<2]
    let columns = slices.map { sample.column(type, count: 200).slice($0) }
    let joined = try Column.concatenate(columns)
    #expect(texts(joined) == columns.flatMap { texts($0) })
    #expect(joined.validateOffsets())
    #expect(try Column.concatenate([columns[0], columns[0]]).count == 0)
  }

  @Test(arguments: everyType) func columnsOfNullsAreNullThroughout(_ type: DataType) throws {
    let column = Column.nulls(type, count: 9)
    #expect(texts(column) == Array(repeating: "null", count: 9))
    #expect(try Column.concatenate([column, .empty(type)]).nullCount == 9)
  }

  @Test func batchesAreFilteredTakenAndJoined() throws {
    var sample = Sample(generator: SeededGenerator(seed: 9))
    let schema = Schema([Field("a", .int64), Field("b", .string)])
    let batch = RecordBatch(
      schema: schema, columns: schema.fields.map { sample.column($0.type, count: 10) }, rowCount: 10
    )
    let kept = try batch.filter((0..<10).map { $0 % 3 == 0 })
    #expect(kept.rowCount == 4)
    #expect(texts(kept.columns[1]) == [0, 3, 6, 9].map { text(batch.columns[1], $0) })
    let joined = try RecordBatch.concatenate([kept, batch, kept.slice(0..<0)], schema: schema)
    #expect(joined.rowCount == 14 && text(joined.columns[0], 4) == text(batch.columns[0], 0))
    #expect(try RecordBatch.concatenate([], schema: schema).rowCount == 0)
  }

  @Test func textBeyondTwoGibibytesIsRefused() throws {
    let builder = AnyColumnBuilder(.string)
    builder.append(String(repeating: "x", count: 1 << 20))
    let column = builder.finish()
    #expect(throws: ColumnSizeError.self) {
      try column.take([Int](repeating: 0, count: 2048))
    }
  }

  @Test func bitsAreAppendedFromAnyOffset() {
    var generator = SeededGenerator(seed: 10)
    var source = BitmapBuilder()
    for _ in 0..<500 { source.append(generator.oneIn(3)) }
    let bytes = source.buffer()
    for offset in [0, 1, 7, 8, 61, 64, 100] {
      for start in [0, 1, 63, 64] {
        var target = BitmapBuilder()
        target.append(repeating: true, count: start)
        target.append(bits: bytes.bytes, offset: offset, count: 400)
        #expect((0..<400).allSatisfy { target[start + $0] == source[offset + $0] })
        #expect(target.onesCount == start + (0..<400).count { source[offset + $0] })
      }
    }
  }
}
