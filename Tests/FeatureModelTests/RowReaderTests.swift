import FeatureModel
import TestSupport
import Testing

@Suite struct RowReaderTests {
  /// The feature as its own type, read in place.
  static func read(
    _ reader: RowReader, _ index: Int, _ row: RawSpan
  ) throws(FeatureModelError) -> FeatureValue {
    switch reader.features[index].type {
    case .boolean: return try reader.boolean(index, in: row).map { .boolean($0) } ?? .null
    case .int: return try reader.int32(index, in: row).map { .int($0) } ?? .null
    case .date: return try reader.int32(index, in: row).map { .date($0) } ?? .null
    case .long: return try reader.int64(index, in: row).map { .long($0) } ?? .null
    case .timestamp: return try reader.int64(index, in: row).map { .timestamp($0) } ?? .null
    case .float: return try reader.float(index, in: row).map { .float($0) } ?? .null
    case .double: return try reader.double(index, in: row).map { .double($0) } ?? .null
    case .decimal:
      return try reader.decimal(index, in: row).map { .decimal(unscaled: $0) } ?? .null
    case .string:
      guard let bytes = try reader.bytes(index, in: row) else { return .null }
      return .string(bytes.withUnsafeBytes { String(decoding: $0, as: UTF8.self) })
    case .binary:
      guard let bytes = try reader.bytes(index, in: row) else { return .null }
      return .binary(bytes.withUnsafeBytes { Array($0) })
    case .uuid:
      guard let bytes = try reader.bytes(index, in: row) else { return .null }
      return .uuid(bytes.withUnsafeBytes { Array($0) })
    case .list(.float, _):
      var floats = [Float](repeating: 0, count: 64)
      var span = floats.mutableSpan
      guard let count = try reader.copyFloats(index, in: row, to: &span) else { return .null }
      return .list(floats.prefix(count).map { .float($0) })
    case .list: return try reader.value(index, in: row)
    }
  }

  @Test(arguments: 0..<8 as Range<UInt64>)
  func everyFeatureReadInPlaceIsWhatWasEncoded(seed: UInt64) throws {
    let group = try DefinitionTests.group()
    let reader = RowReader(group)
    var generator = SeededGenerator(seed: seed)
    let rows = (0..<50).map { _ in
      group.features.map { CodecTests.random($0.type, &generator) }
    }
    let encoded = RowCodec(group).encode(
      try CodecTests.columns(group.features, rows), rowCount: rows.count)
    for (number, values) in rows.enumerated() {
      let row = encoded[number]
      for (index, value) in values.enumerated() {
        #expect(try Self.read(reader, index, row) == value, "seed \(seed)")
        #expect(try reader.value(index, in: row) == value, "seed \(seed)")
        #expect(try reader.isNull(index, in: row) == (value == .null), "seed \(seed)")
      }
    }
  }

  @Test func featuresNewerThanTheRowAreNull() throws {
    let old = try FeatureGroup(
      id: 1, name: "g", recordIdentifiers: [Feature("k", .long)], eventTimeName: "t",
      features: (0..<8).map { Feature("a\($0)", .int) })
    // The ninth feature needs a second byte of nulls, so every slot moves.
    let new = try old.adding([Feature("b", .string)])
    let values = (0..<8 as Range<Int32>).map { FeatureValue.int($0) }
    let encoded = RowCodec(old).encode(
      try CodecTests.columns(old.features, [values]), rowCount: 1)
    let row = encoded[0]
    let reader = RowReader(new)
    #expect(try (0..<8).map { try reader.int32($0, in: row) } == [0, 1, 2, 3, 4, 5, 6, 7])
    #expect(try reader.isNull(8, in: row))
    #expect(throws: FeatureModelError.self) {
      // A row of a newer definition than the reader's.
      let newer = RowCodec(new).encode(
        try CodecTests.columns(new.features, [values + [.string("x")]]), rowCount: 1)
      let newerRow = newer[0]
      _ = try RowReader(old).int32(0, in: newerRow)
    }
  }

  @Test func damagedRowsGiveErrorsOrValuesAndNeverMore() throws {
    let group = try DefinitionTests.group()
    let reader = RowReader(group)
    var generator = SeededGenerator(seed: 3)
    let values = group.features.map { CodecTests.random($0.type, &generator, nullable: false) }
    let good = RowCodec(group).encode(
      try CodecTests.columns(group.features, [values]), rowCount: 1
    ).bytes
    var errors = 0
    func read(_ bytes: [UInt8]) {
      for index in group.features.indices {
        do { _ = try Self.read(reader, index, bytes.span.bytes) } catch { errors += 1 }
      }
    }
    for count in 0..<good.count { read(Array(good[..<count])) }
    #expect(errors > good.count)
    for _ in 0..<2000 {
      var bytes = good
      for _ in 0..<3 { bytes[generator.below(bytes.count)] = UInt8(generator.below(256)) }
      read(bytes)
    }
  }
}
