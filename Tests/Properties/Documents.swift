import Avro
import JSON
import TestSupport

// JSON and Avro: what is written is read back as itself.

func checkJSON(_ generator: inout SeededGenerator) throws -> Int {
  for _ in 0..<16 {
    let value = randomJSON(&generator, depth: 4)
    for isPretty in [false, true] {
      let text = value.text(pretty: isPretty)
      let again = try JSONValue(parsing: text)
      try require(again == value, "\(text) is read as \(again.text())")
    }
  }
  return 16
}

private func randomText(_ generator: inout SeededGenerator) -> String {
  let pieces = ["a", "\"", "\\", "\n", "\u{0}", "\u{7f}", "é", "\u{1F600}", "/", "\u{2028}"]
  return (0..<generator.below(8)).map { _ in pieces[generator.below(pieces.count)] }.joined()
}

private func randomJSON(_ generator: inout SeededGenerator, depth: Int) -> JSONValue {
  switch generator.below(depth > 0 ? 8 : 6) {
  case 0: .null
  case 1: .bool(generator.oneIn(2))
  case 2: .integer(Int64(bitPattern: generator.next()) >> Int64(generator.below(64)))
  case 3: .double(Double(Int64(bitPattern: generator.next())) / 1e6)
  case 4, 5: .string(randomText(&generator))
  case 6: .array((0..<generator.below(5)).map { _ in randomJSON(&generator, depth: depth - 1) })
  default:
    .object(
      JSONObject(
        (0..<generator.below(5)).map {
          ("\($0)" + randomText(&generator), randomJSON(&generator, depth: depth - 1))
        }))
  }
}

func checkAvro(_ generator: inout SeededGenerator) throws -> Int {
  var names = 0
  let schema = randomSchema(&generator, depth: 3, names: &names)
  let codecs: [AvroCodec] = [.null, .deflate, .zstandard]
  var writer = AvroFileWriter(codec: codecs[generator.below(3)], using: &generator)
  var values: [AvroValue] = []
  for _ in 0..<8 {
    let value = randomValue(schema, &generator)
    values.append(value)
    writer.append { $0.writeValue(value) }
    if generator.oneIn(3) { try writer.closeFullBlock() }
  }
  var reader = try AvroFileReader(try writer.finish(schema: schema, metadata: []))
  try require(reader.schema == schema, "another schema")
  var index = 0
  while var (count, decoder) = try reader.nextBlock() {
    var skipper = decoder
    for _ in 0..<count {
      let found = try decoder.readValue(schema)
      try require(found == values[index], "\(values[index]) is read as \(found)")
      try skipper.skip(schema)
      try require(skipper.position == decoder.position, "skipping ends elsewhere than reading")
      index += 1
    }
    count = 0
  }
  try require(index == values.count, "\(index) values of \(values.count)")
  return values.count
}

private func randomSchema(
  _ generator: inout SeededGenerator, depth: Int, names: inout Int
) -> AvroSchema {
  names += 1
  switch generator.below(depth > 0 ? 12 : 8) {
  case 0: return .boolean
  case 1: return .int
  case 2: return .long
  case 3: return .double
  case 4: return .bytes
  case 5: return .string
  case 6: return AvroSchema(.fixed(name: "f\(names)", size: 1 + generator.below(20)))
  case 7: return AvroSchema(.enumeration(name: "e\(names)", symbols: ["a", "b", "c"]))
  case 8: return AvroSchema(.array(randomSchema(&generator, depth: depth - 1, names: &names)))
  case 9: return AvroSchema(.map(randomSchema(&generator, depth: depth - 1, names: &names)))
  case 10:
    return AvroSchema(.union([.null, randomSchema(&generator, depth: depth - 1, names: &names)]))
  default:
    let name = "r\(names)"
    let fields = (0...generator.below(5)).map {
      AvroField("x\($0)", randomSchema(&generator, depth: depth - 1, names: &names))
    }
    return AvroSchema(.record(name: name, fields: fields))
  }
}

private func randomValue(_ schema: AvroSchema, _ generator: inout SeededGenerator) -> AvroValue {
  func bytes(_ count: Int) -> [UInt8] { (0..<count).map { _ in UInt8(generator.below(256)) } }
  switch schema.shape {
  case .null: return .null
  case .boolean: return .boolean(generator.oneIn(2))
  case .int:
    return .int(Int32(truncatingIfNeeded: generator.next()) >> Int32(generator.below(32)))
  case .long: return .long(Int64(bitPattern: generator.next()) >> Int64(generator.below(64)))
  case .float: return .float(0.5)
  case .double: return .double(Double(generator.below(1 << 30)) / 8)
  case .bytes: return .bytes(bytes(generator.below(20)))
  case .string: return .string(randomText(&generator))
  case .fixed(_, let size): return .fixed(bytes(size))
  case .enumeration(_, let symbols): return .enumeration(generator.below(symbols.count))
  case .record(_, let fields): return .record(fields.map { randomValue($0.schema, &generator) })
  case .array(let items):
    return .array((0..<generator.below(5)).map { _ in randomValue(items, &generator) })
  case .map(let values):
    let pairs = (0..<generator.below(4)).map { ("\($0)", randomValue(values, &generator)) }
    return .map(Dictionary(uniqueKeysWithValues: pairs))
  case .union(let branches):
    let branch = generator.below(branches.count)
    return .union(branch, randomValue(branches[branch], &generator))
  }
}
