import Avro
import JSON
import TestSupport
import Testing

@Suite struct AvroEncodingTests {
  @Test(arguments: [0, -1, 1, 63, -64, 64, 8191, Int64.max, Int64.min, 1 << 62])
  func longsComeBack(value: Int64) throws {
    var encoder = AvroEncoder()
    encoder.writeLong(value)
    var decoder = AvroDecoder(encoder.bytes)
    #expect(try decoder.readLong() == value)
    #expect(decoder.isAtEnd)
  }

  @Test func longsAreZigzagVarints() {
    var encoder = AvroEncoder()
    for value: Int64 in [0, -1, 1, -64, 64] { encoder.writeLong(value) }
    #expect(encoder.bytes == [0, 1, 2, 0x7F, 0x80, 0x01])
  }

  @Test(arguments: [
    [], [0x80], [UInt8](repeating: 0xFF, count: 9), [UInt8](repeating: 0xFF, count: 10),
    [UInt8](repeating: 0x80, count: 9) + [2], [UInt8](repeating: 0x80, count: 20),
  ])
  func damagedNumbersAreErrors(bytes: [UInt8]) {
    var decoder = AvroDecoder(bytes)
    #expect(throws: AvroError.self) { try decoder.readLong() }
  }

  @Test func lengthsBeyondTheEndAreErrors() {
    for length: Int64 in [5, 1 << 40, Int64.max, -1, Int64.min] {
      var encoder = AvroEncoder()
      encoder.writeLong(length)
      encoder.writeFixed([1, 2, 3, 4])
      var decoder = AvroDecoder(encoder.bytes)
      #expect(throws: AvroError.self) { try decoder.readBytes() }
      decoder = AvroDecoder(encoder.bytes)
      #expect(throws: AvroError.self) { try decoder.readString() }
    }
  }

  @Test func blocksOfManyItemsInFewBytesAreErrors() {
    let schema = AvroSchema(.array(.null))
    for count: Int64 in [1000, Int64.max, -1, Int64.min] {
      var encoder = AvroEncoder()
      encoder.writeLong(count)
      encoder.writeLong(count < 0 ? 1 << 40 : 0)
      var decoder = AvroDecoder(encoder.bytes)
      #expect(throws: AvroError.self) { try decoder.readValue(schema) }
      decoder = AvroDecoder(encoder.bytes)
      #expect(throws: AvroError.self) { try decoder.skip(schema) }
    }
  }

  /// Each block may claim as many items as bytes are left; all together must not either.
  @Test func manyBlocksOfManyItemsWithoutBytesAreErrors() {
    let schema = AvroSchema(.array(.null))
    var encoder = AvroEncoder()
    for _ in 0..<1000 { encoder.writeLong(900) }
    encoder.writeBlockEnd()
    var decoder = AvroDecoder(encoder.bytes)
    #expect(throws: AvroError.self) { try decoder.readValue(schema) }
    decoder = AvroDecoder(encoder.bytes)
    #expect(throws: AvroError.self) { try decoder.skip(schema) }
  }

  @Test func blocksWithASizeAreReadAndSkipped() throws {
    let schema = AvroSchema(.array(.long))
    var encoder = AvroEncoder()
    encoder.writeLong(-2)
    encoder.writeLong(2)
    encoder.writeLong(7)
    encoder.writeLong(8)
    encoder.writeBlockCount(1)
    encoder.writeLong(9)
    encoder.writeBlockEnd()
    var decoder = AvroDecoder(encoder.bytes)
    #expect(try decoder.readValue(schema) == .array([.long(7), .long(8), .long(9)]))
    decoder = AvroDecoder(encoder.bytes)
    try decoder.skip(schema)
    #expect(decoder.isAtEnd)
  }

  @Test func textThatIsNotUTF8IsAnError() {
    var decoder = AvroDecoder([4, 0xC3, 0x28])
    #expect(throws: AvroError.self) { try decoder.readString() }
  }
}

@Suite struct AvroSchemaTests {
  @Test func attributesAndDefaultsAreKept() throws {
    let text = """
      {"type":"record","name":"r","fields":[{"name":"a","type":["null",{"type":"array","items":\
      {"type":"record","name":"k1_v2","fields":[{"name":"key","type":"int","field-id":1},\
      {"name":"value","type":"bytes","field-id":2}]},"logicalType":"map"}],"doc":"d",\
      "default":null,"field-id":9},{"name":"d","type":{"type":"fixed","name":"dec","size":4,\
      "logicalType":"decimal","precision":9,"scale":2},"field-id":10}]}
      """
    let json = try JSONValue(parsing: text)
    let schema = try AvroSchema(json: json)
    #expect(schema.json.text() == text)
  }

  @Test func namedTypesMayBeReferredToAndAreWrittenOnce() throws {
    let text = """
      {"type":"record","name":"r","fields":[{"name":"a","type":{"type":"fixed","name":"f",\
      "size":2}},{"name":"b","type":["null","f"]}]}
      """
    let schema = try AvroSchema(json: try JSONValue(parsing: text))
    guard case .record(_, let fields) = schema.shape else {
      Issue.record("no record")
      return
    }
    #expect(fields[1].schema.optionality?.schema.shape == .fixed(name: "f", size: 2))
    #expect(schema.json.text() == text)
  }

  @Test(arguments: [
    "7", "{}", "[]", "\"unknown\"", "{\"type\":\"record\",\"name\":\"r\"}",
    "{\"type\":\"fixed\",\"name\":\"f\",\"size\":-1}",
    "{\"type\":\"record\",\"name\":\"r\",\"fields\":[{\"name\":\"a\",\"type\":\"r\"}]}",
    "{\"type\":\"record\",\"name\":\"r\",\"fields\":[{\"type\":\"int\"}]}",
  ])
  func illegalSchemasAreErrors(text: String) throws {
    let json = try JSONValue(parsing: text)
    #expect(throws: AvroError.self) { try AvroSchema(json: json) }
  }

  @Test func aSchemaThatGrowsWithoutBoundIsRefused() throws {
    // Each type holds the one before ten times: written out it would have 10^20 parts.
    var fields = "{\"name\":\"f0\",\"type\":{\"type\":\"record\",\"name\":\"t0\",\"fields\":[]}}"
    for level in 1...20 {
      let inner = (0..<10).map { "{\"name\":\"a\($0)\",\"type\":\"t\(level - 1)\"}" }
      fields +=
        ",{\"name\":\"f\(level)\",\"type\":{\"type\":\"record\",\"name\":\"t\(level)\","
        + "\"fields\":[\(inner.joined(separator: ","))]}}"
    }
    let text = "{\"type\":\"record\",\"name\":\"r\",\"fields\":[\(fields)]}"
    let json = try JSONValue(parsing: text)
    #expect(throws: AvroError.self) { try AvroSchema(json: json) }
  }
}

@Suite struct AvroFileTests {
  static let schema = AvroSchema(
    .record(
      name: "r",
      fields: [AvroField("n", .long), AvroField("s", AvroSchema.string.optional)]))

  static func file(_ codec: AvroCodec, count: Int) throws -> [UInt8] {
    var writer = AvroFileWriter(codec: codec)
    for index in 0..<count {
      writer.append { encoder in
        encoder.writeLong(Int64(index))
        encoder.writePresence(index % 2 == 0)
        if index % 2 == 0 { encoder.writeString("text \(index)") }
      }
      try writer.closeFullBlock()
    }
    return try writer.finish(schema: schema, metadata: [("key", "value")])
  }

  static func read(_ bytes: [UInt8], limits: AvroFileReader.Limits = .init()) throws(AvroError)
    -> [AvroValue]
  {
    var reader = try AvroFileReader(bytes, limits: limits)
    var values: [AvroValue] = []
    while var (count, decoder) = try reader.nextBlock() {
      while count > 0 {
        values.append(try decoder.readValue(reader.schema))
        count -= 1
      }
    }
    return values
  }

  @Test(arguments: [AvroCodec.null, .deflate, .zstandard], [0, 1, 20_000])
  func filesComeBack(codec: AvroCodec, count: Int) throws {
    let bytes = try Self.file(codec, count: count)
    let reader = try AvroFileReader(bytes)
    #expect(reader.codec == codec && reader.text("key") == "value")
    #expect(reader.schema == Self.schema)
    let values = try Self.read(bytes)
    #expect(values.count == count)
    for (index, value) in values.enumerated() where index % 997 == 0 {
      let text: AvroValue =
        index % 2 == 0 ? .union(1, .string("text \(index)")) : .union(0, .null)
      #expect(value == .record([.long(Int64(index)), text]))
    }
  }

  /// Schemas are remembered by their text: one byte more or less is another schema.
  @Test func everyFileIsReadByItsOwnSchema() throws {
    let schemas = (0..<40).map { index in
      AvroSchema(
        .record(
          name: "r\(index % 7)", fields: [AvroField("f\(index)", index % 2 == 0 ? .long : .int)]))
    }
    let files = try schemas.map { schema in
      var writer = AvroFileWriter()
      writer.append { $0.writeLong(5) }
      return try writer.finish(schema: schema, metadata: [])
    }
    for index in [0, 1, 0, 1] + Array(files.indices) + Array(files.indices.reversed()) {
      #expect(try AvroFileReader(files[index]).schema == schemas[index])
      let value: AvroValue = index % 2 == 0 ? .long(5) : .int(5)
      #expect(try Self.read(files[index]) == [.record([value])])
    }
  }

  @Test(arguments: [AvroCodec.deflate, .zstandard])
  func blocksOfAnySizeComeBack(codec: AvroCodec) throws {
    for size in [0, 1, 1023, 1024, 9_000, 65_535, 65_536, 65_537, 1_000_000] {
      for bytes in [
        [UInt8](repeating: 7, count: size),
        (0..<size).map { UInt8(truncatingIfNeeded: $0 &* $0 / 255) },
      ] {
        var writer = AvroFileWriter(codec: codec)
        writer.append { $0.writeBytes(bytes) }
        #expect(try Self.read(writer.finish(schema: .bytes, metadata: [])) == [.bytes(bytes)])
      }
    }
  }

  @Test(arguments: [AvroCodec.deflate, .zstandard])
  func aBlockThatDecompressesToTooMuchIsRefused(codec: AvroCodec) throws {
    var writer = AvroFileWriter(codec: codec)
    writer.append { $0.writeBytes([UInt8](repeating: 0, count: 4_000_000)) }
    let bytes = try writer.finish(schema: .bytes, metadata: [])
    var limits = AvroFileReader.Limits()
    limits.blockSizeBytes = 100_000
    #expect(throws: AvroError.self) { try Self.read(bytes, limits: limits) }
    #expect(bytes.count < 100_000)
  }

  @Test(arguments: [AvroCodec.null, .deflate, .zstandard])
  func aFileThatIsCutShortIsAnErrorOrEndsAtABlock(codec: AvroCodec) throws {
    let bytes = try Self.file(codec, count: 50)
    for length in 0..<bytes.count {
      let values = try? Self.read(Array(bytes[..<length]))
      #expect(values == nil || values?.isEmpty == true)
    }
  }

  @Test(arguments: [AvroCodec.null, .deflate, .zstandard])
  func damagedFilesNeverCrash(codec: AvroCodec) throws {
    let bytes = try Self.file(codec, count: 40)
    var generator = SeededGenerator(seed: 7)
    var errors = 0
    for _ in 0..<1500 {
      var damaged = bytes
      for _ in 0..<Int.random(in: 1...4, using: &generator) {
        let index = Int.random(in: 0..<damaged.count, using: &generator)
        damaged[index] = UInt8.random(in: 0...255, using: &generator)
      }
      do { _ = try Self.read(damaged) } catch { errors += 1 }
    }
    #expect(errors > 0)
  }
}
