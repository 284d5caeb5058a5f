import Avro
import FeatureModel
import JSON
import Storage
import TestSupport

/// Inputs to begin with, of the shapes that each target understands: `fuzz --seeds TARGET DIRECTORY`.
/// What fuzzing made of them is in Corpus.
enum Seeds {
  static func write(_ target: String, to directory: String) throws {
    for (index, bytes) in try inputs(target).enumerated() {
      let file = try POSIXFileSystem().open("\(directory)/seed-\(index)", .create)
      try file.write(bytes, at: 0)
      try file.close()
    }
  }

  private static func inputs(_ target: String) throws -> [[UInt8]] {
    var generator = SeededGenerator(seed: 1)
    switch target {
    case "log", "repair": return logs()
    case "rows": return try rows(&generator)
    case "avro": return try avroFiles()
    case "metadata": return try TableSeeds.metadata()
    case "manifest": return try TableSeeds.manifests()
    case "puffin": return try TableSeeds.puffin()
    case "parquet": return try TableSeeds.parquet()
    case "filter": return TableSeeds.filters
    case "json":
      return [
        #"{"a":[1,-2.5e3,true,null,"\u00e9\ud83d\ude00\n"],"b":{"c":9223372036854775807}}"#,
        "[[],{},\"\",0,1e400,-0,12345678901234567890]",
      ].map { Array($0.utf8) }
    default:
      return (0..<12).map { index in
        [UInt8(index * 23)] + (0..<20 + index * 10).map { _ in UInt8(generator.below(256)) }
      }
    }
  }

  private static func logs() -> [[UInt8]] {
    func frame(_ kind: UInt32, _ lsn: Int64, _ durable: Int64, _ sizes: [Int]) -> [UInt8] {
      var bytes = [UInt8](repeating: 0, count: 32)
      for size in sizes {
        var record: [UInt8] = []
        record.appendLittleEndian(UInt32(size))
        record += [UInt8](repeating: 0, count: 12)
        // As an entry of a store would be: a put of a group with a short key.
        record += [1, 0, 0, 0, 7, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0]
        record += [UInt8](repeating: UInt8(size), count: max(0, size - 16))
        record += [UInt8](repeating: 0, count: (8 - record.count & 7) & 7)
        bytes += record
      }
      if kind == 2 { bytes.appendLittleEndian(Int64(5)) }
      bytes.storeLittleEndian(UInt32(bytes.count), at: 0)
      bytes.storeLittleEndian(lsn, at: 8)
      bytes.storeLittleEndian(UInt32(sizes.count), at: 16)
      bytes.storeLittleEndian(kind, at: 20)
      bytes.storeLittleEndian(durable, at: 24)
      return bytes
    }
    let frames = frame(1, 1, 0, [40]) + frame(1, 2, 1, [33, 50]) + frame(2, 4, 3, [])
    let closed = frames + frame(1, 9, 8, [48]) + frame(3, 10, 9, [])
    let split = UInt16(frames.count)
    return [
      [1, 0] + frames, [1 | 4 | 16, 3] + closed, [1 | 8 | 16 | 32, 0] + closed,
      [1 | 2 | 4 | 8 | 16 | 32, 9, UInt8(split & 0xFF), UInt8(split >> 8)] + closed,
      [1 | 16, 0] + frames + [200, 0, 0, 0] + [UInt8](repeating: 9, count: 60),
    ]
  }

  private static func rows(_ generator: inout SeededGenerator) throws -> [[UInt8]] {
    try RowSchemas.all.enumerated().flatMap { number, group -> [[UInt8]] in
      try (0..<3).map { _ in
        var columns: [ValueColumnBuilder] = group.features.map { ValueColumnBuilder($0.type) }
        for (index, feature) in group.features.enumerated() {
          let isNull = generator.oneIn(4)
          try columns[index].append(isNull ? .null : value(feature.type, &generator))
        }
        let encoded = RowCodec(group).encode(
          columns.indices.map { columns[$0].finish() }, rowCount: 1)
        return [UInt8(number)] + encoded.bytes
      }
    }
  }

  private static func value(
    _ type: FeatureType, _ generator: inout SeededGenerator
  ) -> FeatureValue {
    switch type {
    case .boolean: .boolean(generator.oneIn(2))
    case .int: .int(Int32(generator.below(1 << 30)))
    case .long: .long(Int64(generator.below(1 << 40)))
    case .float: .float(1.5)
    case .double: .double(-2.5)
    case .string: .string(String(repeating: "ä", count: generator.below(5)))
    case .binary: .binary([UInt8](repeating: 7, count: generator.below(5)))
    case .date: .date(20_000)
    case .timestamp: .timestamp(1)
    case .decimal: .decimal(unscaled: -12_345)
    case .uuid: .uuid([UInt8](repeating: 3, count: 16))
    case .list(let element, let dimension):
      .list((0..<(dimension ?? generator.below(4))).map { _ in value(element, &generator) })
    }
  }

  private static func avroFiles() throws -> [[UInt8]] {
    let schema = """
      {"type":"record","name":"r","fields":[{"name":"a","type":["null","long"]},{"name":"b",
      "type":{"type":"array","items":"string"}},{"name":"c","type":{"type":"map","values":"bytes"}},
      {"name":"d","type":{"type":"fixed","name":"f","size":3}},{"name":"e","type":"double"},
      {"name":"g","type":{"type":"enum","name":"n","symbols":["x","y"]}}]}
      """
    let value = AvroValue.record([
      .union(1, .long(-5)), .array([.string("p"), .string("")]), .map(["k": .bytes([1, 2])]),
      .fixed([1, 2, 3]), .double(0.5), .enumeration(1),
    ])
    return try [AvroCodec.null, .deflate, .zstandard].map { codec in
      var writer = AvroFileWriter(codec: codec)
      for _ in 0..<3 { writer.append { $0.writeValue(value) } }
      return try writer.finish(
        schema: AvroSchema(json: JSONValue(parsing: schema)), metadata: [])
    }
  }
}
