import FeatureModel
import TestSupport
import Testing

/// Rows and keys written value by value.
@Suite struct RowWriterTests {
  @Test(arguments: 0..<8 as Range<UInt64>)
  func aRowWrittenValueByValueIsWhatTheCodecEncodes(seed: UInt64) throws {
    let group = try DefinitionTests.group()
    let reader = RowReader(group)
    var writer = RowWriter(RowLayout(group))
    var generator = SeededGenerator(seed: seed)
    for _ in 0..<50 {
      let values = group.features.map { CodecTests.random($0.type, &generator) }
      let encoded = RowCodec(group).encode(
        try CodecTests.columns(group.features, [values]), rowCount: 1)
      writer.removeAll()
      for (index, value) in values.enumerated() { writer.set(index, value) }
      #expect(writer.error == nil && writer.bytes == encoded.array(0), "seed \(seed)")
      // Any other order is as good.
      writer.removeAll()
      for index in values.indices.reversed() { writer.set(index, values[index]) }
      let bytes = writer.bytes
      for (index, value) in values.enumerated() {
        #expect(try reader.value(index, in: bytes.span.bytes) == value, "seed \(seed)")
      }
    }
  }

  private static func group(_ type: FeatureType) throws -> FeatureGroup {
    try FeatureGroup(
      id: 3, name: "g", recordIdentifiers: [Feature("k", .string), Feature("n", .int)],
      eventTimeName: "t", features: [Feature("other", .int), Feature("f", type)])
  }

  @Test func whatIsNotSetIsNull() throws {
    let group = try Self.group(.string)
    let row = RowWriter(RowLayout(group)).bytes
    #expect(try RowReader(group).isNull(0, in: row.span.bytes))
    #expect(try RowReader(group).value(1, in: row.span.bytes) == .null)
  }

  @Test func whatDoesNotFitIsRefusedWithGroupAndFeature() throws {
    func refusal(_ type: FeatureType, _ write: (inout RowWriter) -> Void) throws -> String {
      var writer = RowWriter(RowLayout(try Self.group(type)))
      write(&writer)
      #expect(writer.error?.kind == .invalidValue || writer.error?.kind == .unknownFeature)
      let first = writer.error
      // The first refusal stays, whatever comes after it.
      writer.set(0, 1)
      #expect(writer.error == first)
      return writer.error?.message ?? ""
    }
    #expect(try refusal(.double) { $0.set(1, "x") } == "g:f: is double, not a string")
    #expect(try refusal(.double) { $0.set(1, Float(1)) } == "g:f: is double, not a float")
    #expect(try refusal(.int) { $0.set(1, 3_000_000_000) } == "g:f: 3000000000 is no int")
    #expect(try refusal(.long) { $0.set(1, FeatureValue.timestamp(1)) }.contains("is long"))
    #expect(try refusal(.date) { $0.set(1, FeatureValue.int(1)) }.contains("is date"))
    let embedding = FeatureType.list(element: .float, dimension: 3)
    #expect(
      try refusal(embedding) { $0.set(1, [1, 2] as [Float]) } == "g:f: has 2 elements, not 3")
    #expect(
      try refusal(embedding) { $0.set(1, [1, 2, 3] as [Double]) }.contains("list of doubles"))
    #expect(
      try refusal(embedding) { $0.set(1, .list([.float(1), .null, .float(2)])) }.contains("null"))
    #expect(try refusal(embedding) { $0.set(1, .list([.float(1)])) }.contains("list of 1"))
    #expect(
      try refusal(.decimal(precision: 2, scale: 0)) { $0.set(1, unscaled: 100) }.contains("100"))
    #expect(
      try refusal(.uuid) { $0.set(1, [1, 2] as [UInt8]) } == "g:f: a uuid has 16 bytes, not 2")
    #expect(try refusal(.binary) { $0.set(1, FeatureValue.uuid([])) }.contains("is binary"))
    #expect(try refusal(.long) { $0.set(2, 1) }.contains("no feature at 2"))
    #expect(try refusal(.long) { $0.set(-1, true) }.contains("no feature at -1"))
    #expect(
      try refusal(.long) {
        $0.set(1, 1)
        $0.set(1, 1)
      } == "g:f: is set twice")
    #expect(
      try refusal(.string) {
        $0.set(1, "a")
        $0.setNull(1)
      } == "g:f: is set twice")
  }

  @Test(arguments: 0..<8 as Range<UInt64>)
  func aKeyWrittenValueByValueIsWhatTheCodecEncodes(seed: UInt64) throws {
    let types: [FeatureType] = [
      .boolean, .int, .long, .string, .binary, .date, .timestamp, .uuid,
    ]
    var generator = SeededGenerator(seed: seed)
    for _ in 0..<50 {
      let identifiers = (0...generator.below(4)).map {
        Feature("k\($0)", types[generator.below(types.count)])
      }
      let group = try FeatureGroup(
        id: 5, name: "g", recordIdentifiers: identifiers, eventTimeName: "t",
        features: [Feature("f", .int)])
      let values = identifiers.map { CodecTests.random($0.type, &generator, nullable: false) }
      let encoded = KeyCodec(group).encode(
        try CodecTests.columns(identifiers, [values]), rowCount: 1)
      var writer = KeyWriter(group)
      for value in values { writer.append(value) }
      let key = try writer.finish()
      #expect(key.bytes == encoded.array(0) && key.groupID == 5, "seed \(seed)")
      #expect(try KeyCodec(group).values(key.bytes) == values, "seed \(seed)")
    }
  }

  @Test func aKeyThatDoesNotFitIsRefusedWithGroupAndIdentifier() throws {
    func refusal(_ write: (inout KeyWriter) -> Void) throws -> String {
      var writer = KeyWriter(try Self.group(.long))
      write(&writer)
      do {
        _ = try writer.finish()
        return "accepted"
      } catch { return error.message }
    }
    #expect(try refusal { $0.append(1) } == "g:k: is string, not a 64-bit integer")
    #expect(
      try refusal { $0.append("a") }
        == "the record identifier 'n' of 'g' is missing: its key is k, n")
    #expect(
      try refusal {
        $0.append("a")
        $0.append(3_000_000_000)
      } == "g:n: 3000000000 is no int")
    #expect(
      try refusal {
        $0.append("a")
        $0.append(FeatureValue.null)
      } == "g:n: is int, not null")
    #expect(
      try refusal {
        $0.append("a")
        $0.append(FeatureValue.date(1))
      } == "g:n: is int, not date")
    #expect(
      try refusal {
        $0.append("a")
        $0.append(1)
        $0.append("b")
      } == "a key of 'g' has 2 values, not more")
    #expect(
      try refusal {
        $0.append(String(repeating: "a", count: KeyCodec.maximumByteCount))
        $0.append(1)
      }.contains("bytes"))
  }
}
