import Columnar
import FeatureModel
import Testing

@Suite struct CodecTests {
  /// A value of the type, or null one time in four.
  static func random(
    _ type: FeatureType, _ generator: inout some RandomNumberGenerator, nullable: Bool = true
  ) -> FeatureValue {
    if nullable, Int.random(in: 0..<4, using: &generator) == 0 { return .null }
    func bytes(_ count: Int) -> [UInt8] {
      (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) }
    }
    switch type {
    case .boolean: return .boolean(Bool.random(using: &generator))
    case .int: return .int(Int32.random(in: .min ... .max, using: &generator))
    case .long: return .long(Int64.random(in: .min ... .max, using: &generator))
    case .float: return .float(Float.random(in: -1...1, using: &generator))
    case .double: return .double(Double.random(in: -1...1, using: &generator))
    case .string:
      return .string(
        String(repeating: "ü\u{1F600}x", count: Int.random(in: 0..<4, using: &generator)))
    case .binary: return .binary(bytes(Int.random(in: 0..<9, using: &generator)))
    case .date: return .date(Int32.random(in: .min ... .max, using: &generator))
    case .timestamp: return .timestamp(Int64.random(in: .min ... .max, using: &generator))
    case .decimal:
      return .decimal(unscaled: Int128.random(in: -999_999...999_999, using: &generator))
    case .uuid: return .uuid(bytes(16))
    case .list(let element, let dimension):
      let count = dimension ?? Int.random(in: 0..<4, using: &generator)
      return .list((0..<count).map { _ in random(element, &generator, nullable: false) })
    }
  }

  static func columns(_ features: [Feature], _ rows: [[FeatureValue]]) throws -> [Column] {
    try features.enumerated().map { index, feature in
      var builder = ValueColumnBuilder(feature.type)
      for row in rows { try builder.append(row[index]) }
      return builder.finish()
    }
  }

  @Test func rowsOfEveryTypeSurviveEncoding() throws {
    let group = try DefinitionTests.group()
    let codec = RowCodec(group)
    var generator = SystemRandomNumberGenerator()
    for _ in 0..<20 {
      let count = Int.random(in: 0..<40, using: &generator)
      let rows = (0..<count).map { _ in group.features.map { Self.random($0.type, &generator) } }
      let encoded = codec.encode(try Self.columns(group.features, rows), rowCount: count)
      let decoded = try codec.decode(encoded, isPresent: rows.map { _ in true })
      let again = codec.encode(decoded, rowCount: count)
      #expect(again.bytes == encoded.bytes && again.offsets == encoded.offsets)
      for row in 0..<count {
        let bytes = Array(encoded.bytes[encoded.offsets[row]..<encoded.offsets[row + 1]])
        let vector = try FeatureVector(group, row: bytes)
        #expect(try group.features.indices.map { try vector.value(at: $0) } == rows[row])
      }
    }
  }

  @Test func olderRowsAnswerNullForNewerFeatures() throws {
    let old = try FeatureGroup(
      id: 1, name: "g", recordIdentifiers: [Feature("k", .long)], eventTimeName: "t",
      features: [Feature("a", .string), Feature("b", .long)])
    let new = try old.adding([Feature("c", .double)])
    let encoded = RowCodec(old).encode(
      try Self.columns(old.features, [[.string("x"), .long(7)]]), rowCount: 1)
    let vector = try FeatureVector(new, row: encoded.bytes)
    #expect(try (0..<3).map { try vector.value(at: $0) } == [.string("x"), .long(7), .null])
    let columns = try RowCodec(new).decode(encoded, isPresent: [true])
    #expect(columns[0].string(at: 0) == "x" && columns[2].isNull(0))
  }

  @Test func tombstonesHaveNoFeatures() throws {
    let group = try DefinitionTests.group()
    var rows = EncodedRows()
    rows.append(RawSpan())
    let columns = try RowCodec(group).decode(rows, isPresent: [false])
    #expect(columns.allSatisfy { $0.count == 1 && $0.isNull(0) })
  }

  @Test func damagedRowsAreErrorsNotCrashes() throws {
    let group = try DefinitionTests.group()
    let codec = RowCodec(group)
    var generator = SystemRandomNumberGenerator()
    let row = group.features.map { Self.random($0.type, &generator, nullable: false) }
    let good = codec.encode(try Self.columns(group.features, [row]), rowCount: 1).bytes
    func read(_ bytes: [UInt8]) {
      guard let vector = try? FeatureVector(group, row: bytes) else { return }
      for index in group.features.indices { _ = try? vector.value(at: index) }
      var rows = EncodedRows()
      rows.append(bytes.span.bytes)
      _ = try? codec.decode(rows, isPresent: [true])
    }
    for count in 0..<good.count { read(Array(good[..<count])) }
    for _ in 0..<3000 {
      var bytes = good
      for _ in 0..<3 {
        bytes[Int.random(in: 0..<bytes.count, using: &generator)] = .random(
          in: 0...255, using: &generator)
      }
      read(bytes)
    }
    #expect(throws: FeatureModelError.self) { try FeatureVector(group, row: [1, 2]) }
  }

  @Test func keysKeepTheirPartsApart() throws {
    let group = try FeatureGroup(
      id: 1, name: "g", recordIdentifiers: [Feature("a", .string), Feature("b", .string)],
      eventTimeName: "t", features: [Feature("f", .long)])
    let codec = KeyCodec(group)
    let columns = try Self.columns(
      group.recordIdentifiers,
      [
        [.string("a"), .string("bc")], [.string("ab"), .string("c")],
        [.string("a"), .string("bc")],
      ])
    let keys = codec.encode(columns, rowCount: 3)
    func key(_ index: Int) -> [UInt8] {
      Array(keys.bytes[keys.offsets[index]..<keys.offsets[index + 1]])
    }
    #expect(key(0) != key(1) && key(0) == key(2))
    #expect(try codec.values(key(1)) == [.string("ab"), .string("c")])
    let decoded = try codec.decode(keys)
    #expect(decoded[0].string(at: 1) == "ab" && decoded[1].string(at: 1) == "c")
  }

  /// Fuzzing found that one of the two readers took such keys.
  @Test func bytesBehindAKeysLastValueAreDamage() throws {
    let codec = KeyCodec(try DefinitionTests.group())
    let columns = try Self.columns(codec.identifiers, [[.string("u"), .long(7)]])
    let key = codec.encode(columns, rowCount: 1).array(0)
    #expect(try codec.values(key) == [.string("u"), .long(7)])
    #expect(throws: FeatureModelError.self) { try codec.values(key + [0]) }
    var keys = EncodedRows()
    keys.append(key + [0])
    #expect(throws: FeatureModelError.self) { try codec.decode(keys) }
  }

  @Test func recordsThatDoNotFitAreRefusedOneByOne() throws {
    let group = try FeatureGroup(
      id: 1, name: "g", recordIdentifiers: [Feature("k", .long)], eventTimeName: "t",
      features: [Feature("e", .list(element: .float, dimension: 2))])
    let schema = [Feature("k", .long), Feature("t", .timestamp)]
    var lists = ValueColumnBuilder(.list(element: .float, dimension: nil))
    try lists.append(.list([.float(1), .float(2)]))
    try lists.append(.list([.float(1)]))
    try lists.append(.null)
    try lists.append(.list([.float(1), .float(2)]))
    let others = try Self.columns(
      schema,
      [
        [.long(1), .timestamp(1)], [.long(2), .timestamp(2)], [.null, .timestamp(3)],
        [.long(4), .null],
      ])
    let encoded = RecordEncoder(group).encode(others + [lists.finish()], rowCount: 4)
    #expect(encoded.refusals.map(\.row) == [1, 2, 3])
    #expect(encoded.refusals.map(\.error.column) == ["e", "k", "t"])
  }
}
