import Avro
import Columnar
import FileFormats
import Iceberg
import JSON
import Storage
import TestSupport

/// Inputs to begin with for the targets of the table format.
enum TableSeeds {
  private static let schema = TableSchema(
    fields: [
      .required(1, "id", .long), .optional(2, "at", .timestamptz), .optional(3, "name", .string),
      .optional(4, "amount", .decimal(precision: 9, scale: 2)),
    ], identifierFieldIDs: [1])
  private static let spec = PartitionSpec(fields: [
    PartitionField(sourceID: 2, fieldID: 1000, name: "day", transform: .day),
    PartitionField(sourceID: 1, fieldID: 1001, name: "part", transform: .bucket(4)),
  ])

  static func metadata() throws -> [[UInt8]] {
    try [2, 3].map { version in
      let system = SimulatedFileSystem()
      let catalog = InMemoryCatalog(
        name: "s", warehouse: "/w", io: try FileIO(fileSystem: system), clock: SystemClock())
      let identifier = try TableIdentifier("db.t")
      try catalog.createNamespace(identifier.namespace)
      var table = try catalog.createTable(
        identifier,
        TableDefinition(schema: schema, partitionSpec: spec, formatVersion: version))
      for number in 0..<2 {
        var file = DataFile(
          path: table.location + "/data/\(number).parquet", recordCount: 3, fileSizeInBytes: 300)
        file.partition = [.date(20_000), .int(1)]
        table = try table.newAppend([file]).commit().table
      }
      var commit = table.newCommit()
      commit.createTag("t")
      commit.createBranch("b")
      return try commit.commit().table.metadata.json.utf8()
    }
  }

  static func manifests() throws -> [[UInt8]] {
    var inputs: [[UInt8]] = []
    for version in [2, 3] {
      for codec in [AvroCodec.null, .deflate] {
        var writer = try ManifestWriter(
          schema: schema, spec: spec, formatVersion: version, codec: codec)
        for status in [ManifestEntry.Status.added, .existing, .deleted] {
          var file = DataFile(
            path: "file:///w/data/\(status).parquet", specID: 0,
            partition: [.date(20_000), nil], recordCount: 5, fileSizeInBytes: 500)
          file.valueCounts = [1: 5, 3: 5]
          file.nullValueCounts = [1: 0, 3: 2]
          file.lowerBounds = [1: [1, 0, 0, 0, 0, 0, 0, 0], 3: [97]]
          file.upperBounds = [1: [9, 0, 0, 0, 0, 0, 0, 0], 3: [122]]
          file.splitOffsets = [4]
          try writer.add(
            ManifestEntry(
              status: status, snapshotID: 9, sequenceNumber: 2, fileSequenceNumber: 2,
              dataFile: file))
        }
        let (bytes, summary) = try writer.finish(location: "file:///m.avro")
        inputs.append([0] + bytes)
        let manifest = summary.manifestFile(path: "file:///m.avro", addedSnapshotID: 9)
        inputs.append(
          [1]
            + (try ManifestList.write(
              [manifest, manifest], snapshotID: 9, parentSnapshotID: 8, sequenceNumber: 3,
              formatVersion: version, firstRowID: 0, codec: codec)))
      }
    }
    return inputs
  }

  static func puffin() throws -> [[UInt8]] {
    let few = try PositionBitmap([0, 5, 70_000, 1 << 33])
    let many = try PositionBitmap((0..<9000).map { $0 * 3 })
    let runs = try PositionBitmap((100..<4000).map { $0 })
    let blob = DeletionVector.encode(few)
    let footer = """
      {"blobs":[{"type":"deletion-vector-v1","fields":[2147483545],"snapshot-id":-1,
      "sequence-number":-1,"offset":4,"length":\(blob.count),"properties":{"cardinality":"4"}}]}
      """
    let payload = Array(footer.utf8)
    let size = (0..<4).map { UInt8(truncatingIfNeeded: payload.count >> ($0 * 8)) }
    let magic = Array("PFA1".utf8)
    let file = magic + blob + magic + payload + size + [0, 0, 0, 0] + magic
    return [[0] + file]
      + [few, many, runs].map { [1] + DeletionVector.encode($0).dropFirst(8).dropLast(4) }
  }

  static func parquet() throws -> [[UInt8]] {
    let compressions: [ParquetWriterOptions.Compression] = [
      .none, .zstandard(level: 1), .snappy,
    ]
    let fields = [
      Field("n", .int64, isNullable: false, fieldID: 1), Field("s", .string, fieldID: 2),
      Field("l", .list(Field("element", .int64)), fieldID: 3),
    ]
    func integers(_ values: [Int64]) -> Column {
      Column(type: .int64, count: values.count, buffers: [Buffer(copying: values)])
    }
    return try compressions.map { compression in
      let rows = 12
      let list = Column(
        type: .list(Field("element", .int64)), count: rows,
        buffers: [Buffer(copying: (0...rows).map { Int32($0) })],
        children: [integers((0..<rows).map { Int64($0) })])
      var texts = BytesBuilder(.string)
      for _ in 0..<rows { texts.append("aa") }
      let batch = RecordBatch(
        schema: Schema(fields),
        columns: [
          integers((0..<rows).map { Int64($0) }),
          texts.finish(), list,
        ], rowCount: rows)
      let system = SimulatedFileSystem()
      let file = try system.open("/f.parquet", .create)
      var options = ParquetWriterOptions()
      options.compression = compression
      options.rowGroupRows = 8
      let writer = try ParquetWriter(file: file, schema: Schema(fields), options: options)
      try writer.write(batch)
      _ = try writer.finish()
      return system.bytes(of: "/f.parquet") ?? []
    }
  }

  static let filters: [[UInt8]] = [
    "a = 1 and (b in ('x', 'it''s') or c is null) and not d >= timestamp '2026-01-01T00:00:00'",
    "starts_with(\"a b\", 'x') or a.b is not nan and c not between -1.5e3 and 2",
    "u = uuid '01234567-89ab-cdef-0123-456789abcdef' and x <> x'00ff' or d < date '2020-02-29'",
    "not (not true or false) and t >= time '10:00:00.5' and p != decimal '-12.30'",
    "z < timestamptz '2026-01-01T00:00:00+01:00' and f = float 'nan' or g = double '-inf'",
  ].map { Array($0.utf8) }
}
