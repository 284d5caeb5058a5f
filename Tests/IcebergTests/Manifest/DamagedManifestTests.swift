import Avro
import Iceberg
import JSON
import TestSupport
import Testing

/// Manifests that nobody vouches for: an error or entries, never a crash.
@Suite struct DamagedManifestTests {
  private static func damage(_ bytes: [UInt8], _ generator: inout SeededGenerator) -> [UInt8] {
    var damaged = bytes
    for _ in 0...generator.below(4) {
      let index = generator.below(damaged.count)
      switch generator.below(4) {
      case 0: damaged[index] ^= 1 << UInt8(generator.below(8))
      case 1: damaged[index] = UInt8(truncatingIfNeeded: generator.next())
      case 2: damaged[index] = [0, 1, 0x7F, 0x80, 0xFF][generator.below(5)]
      default: damaged.removeSubrange(index..<min(index + 1 + generator.below(8), damaged.count))
      }
      if damaged.isEmpty { damaged = [0] }
    }
    return damaged
  }

  @Test(arguments: [UInt64(1), 2, 3, 4]) func damagedManifestsNeverCrash(seed: UInt64) throws {
    let (bytes, manifest, _) = try ManifestFixture.manifest(codec: .null)
    var generator = SeededGenerator(seed: seed)
    var outcomes: Set<Bool> = []
    for _ in 0..<400 {
      let damaged = Self.damage(bytes, &generator)
      do {
        var reader = try ManifestReader(bytes: damaged, manifest: manifest)
        outcomes.insert(try reader.readAll().count <= 64)
      } catch {
        outcomes.insert(true)
      }
    }
    #expect(outcomes == [true], "seed \(seed)")
  }

  @Test(arguments: [UInt64(5), 6]) func damagedManifestListsNeverCrash(seed: UInt64) throws {
    let (_, manifest, _) = try ManifestFixture.manifest()
    let bytes = try ManifestList.write(
      [manifest, manifest], snapshotID: 90, parentSnapshotID: nil, sequenceNumber: 9,
      codec: .null)
    var generator = SeededGenerator(seed: seed)
    var largest = 0
    for _ in 0..<600 {
      let damaged = Self.damage(bytes, &generator)
      do { largest = max(largest, try ManifestList.read(damaged).count) } catch { continue }
    }
    #expect(largest <= bytes.count, "seed \(seed)")
  }

  @Test(arguments: [AvroCodec.null, .deflate, .zstandard])
  func everyShortenedManifestIsAnErrorOrEmpty(codec: AvroCodec) throws {
    let (bytes, manifest, _) = try ManifestFixture.manifest(codec: codec)
    for length in stride(from: 0, to: bytes.count, by: 7) {
      let entries: [ManifestEntry]
      do {
        var reader = try ManifestReader(bytes: Array(bytes[..<length]), manifest: manifest)
        entries = try reader.readAll()
      } catch { continue }
      #expect(entries.isEmpty)
    }
  }

  @Test func anExistingEntryWithoutASequenceNumberIsAnError() throws {
    let (bytes, _) = try Self.rewritten { fields in
      fields[0] = .int(0)
      fields[2] = .union(0, .null)
    }
    var manifest = ManifestFile(path: "m", length: 0, partitionSpecID: 0, addedSnapshotID: 1)
    manifest.sequenceNumber = 5
    var reader = try ManifestReader(bytes: bytes, manifest: manifest)
    let error = #expect(throws: IcebergError.self) { try reader.next() }
    #expect(error?.context.contains { $0.name == "manifest" && $0.value == "m" } == true)
  }

  @Test func anUnknownStatusIsAnError() throws {
    let (bytes, manifest) = try Self.rewritten { $0[0] = .int(3) }
    var reader = try ManifestReader(bytes: bytes, manifest: manifest)
    #expect(throws: IcebergError.self) { try reader.next() }
  }

  /// A manifest of one entry, changed as a tree.
  private static func rewritten(
    _ change: (inout [AvroValue]) -> Void
  ) throws -> (bytes: [UInt8], manifest: ManifestFile) {
    let (bytes, manifest, _) = try ManifestFixture.manifest()
    var file = try AvroFileReader(bytes)
    var decoder = try #require(try file.nextBlock()).decoder
    guard case .record(var fields) = try decoder.readValue(file.schema) else {
      throw AvroError("no record")
    }
    change(&fields)
    var writer = AvroFileWriter()
    writer.append { $0.writeValue(.record(fields)) }
    let metadata = ["schema", "partition-spec", "format-version"].compactMap { key in
      file.text(key).map { (key: key, value: $0) }
    }
    return (try writer.finish(schema: file.schema, metadata: metadata), manifest)
  }
}

/// Manifests as other writers make them.
@Suite struct ForeignManifestTests {
  private static func schema(_ text: String) throws -> AvroSchema {
    try AvroSchema(json: try JSONValue(parsing: text))
  }

  @Test func fieldsAreFoundByIDWhateverTheirNamesAndOrder() throws {
    // Format version 1: no content, no sequence numbers, other names, another order, and a field
    // that nobody knows.
    let schema = try Self.schema(
      """
      {"type":"record","name":"manifest_entry","fields":[
        {"name":"file","field-id":2,"type":{"type":"record","name":"r2","fields":[
          {"name":"size","type":"long","field-id":104},
          {"name":"later","type":{"type":"map","values":"double"},"field-id":9999},
          {"name":"rows","type":"int","field-id":103},
          {"name":"tuple","field-id":102,"type":{"type":"record","name":"r102","fields":[
            {"name":"d","type":["int","null"],"field-id":1000}]}},
          {"name":"block_size_in_bytes","type":"long","field-id":105},
          {"name":"kind","type":"string","field-id":101},
          {"name":"where","type":"string","field-id":100}]}},
        {"name":"snap","type":["null","long"],"field-id":1},
        {"name":"state","type":"int","field-id":0}]}
      """)
    var writer = AvroFileWriter(codec: .zstandard)
    writer.append { encoder in
      encoder.writeValue(
        .record([
          .record([
            .long(77), .map(["a": .double(1), "b": .double(2)]), .int(5),
            .record([.union(0, .int(17_486))]), .long(67_108_864), .string("parquet"),
            .string("s3://b/f"),
          ]),
          .union(1, .long(42)), .int(1),
        ]))
    }
    let spec = PartitionSpec(
      fields: [PartitionField(sourceID: 4, fieldID: 1000, name: "ts_day", transform: .day)])
    let bytes = try writer.finish(schema: schema, metadata: [])
    var manifest = ManifestFile(path: "m", length: 0, partitionSpecID: 0, addedSnapshotID: 9)
    manifest.sequenceNumber = 0
    var reader = try ManifestReader(
      bytes: bytes, manifest: manifest, spec: spec, schema: try ManifestFixture.schema())
    let entry = try #require(try reader.next())
    #expect(reader.formatVersion == 1 && entry.status == .added)
    #expect(entry.snapshotID == 42 && entry.sequenceNumber == 0 && entry.fileSequenceNumber == 0)
    #expect(entry.dataFile.path == "s3://b/f" && entry.dataFile.format == .parquet)
    #expect(entry.dataFile.recordCount == 5 && entry.dataFile.fileSizeInBytes == 77)
    #expect(entry.dataFile.partition == [.date(17_486)] && entry.dataFile.content == .data)
    #expect(try reader.next() == nil)
  }

  @Test func namesWithoutIDsAreNotEnough() throws {
    let schema = try Self.schema(
      """
      {"type":"record","name":"manifest_entry","fields":[{"name":"status","type":"int"},
        {"name":"data_file","type":{"type":"record","name":"r2","fields":[]}}]}
      """)
    let bytes = try AvroFileWriter().finish(schema: schema, metadata: [])
    let manifest = ManifestFile(path: "m", length: 0, partitionSpecID: 0, addedSnapshotID: 9)
    #expect(throws: IcebergError.self) {
      try ManifestReader(
        bytes: bytes, manifest: manifest, spec: .unpartitioned, schema: TableSchema(fields: []))
    }
  }

  @Test func oldManifestListsHaveOtherNamesAndLackCounts() throws {
    let schema = try Self.schema(
      """
      {"type":"record","name":"manifest_file","fields":[
        {"name":"manifest_path","type":"string","field-id":500},
        {"name":"manifest_length","type":"long","field-id":501},
        {"name":"partition_spec_id","type":"int","field-id":502},
        {"name":"added_snapshot_id","type":["null","long"],"field-id":503},
        {"name":"added_data_files_count","type":["null","int"],"field-id":504},
        {"name":"partitions","field-id":507,"type":["null",{"type":"array","element-id":508,
          "items":{"type":"record","name":"r508","fields":[
            {"name":"contains_null","type":"boolean","field-id":509},
            {"name":"lower_bound","type":["null","bytes"],"field-id":510}]}}]}]}
      """)
    var writer = AvroFileWriter()
    writer.append { encoder in
      encoder.writeValue(
        .record([
          .string("m"), .long(10), .int(2), .union(1, .long(3)), .union(0, .null),
          .union(1, .array([.record([.boolean(false), .union(1, .bytes([]))])])),
        ]))
    }
    let read = try ManifestList.read(try writer.finish(schema: schema, metadata: []))
    let manifest = try #require(read.first)
    #expect(manifest.sequenceNumber == 0 && manifest.minSequenceNumber == 0)
    #expect(manifest.content == .data && manifest.addedSnapshotID == 3)
    #expect(manifest.addedFilesCount == nil && manifest.hasAddedFiles && manifest.hasDeletedFiles)
    #expect(manifest.partitions == [PartitionFieldSummary(containsNull: false, lowerBound: [])])
  }

  @Test func partitionFieldNamesThatAvroForbidsAreReplaced() throws {
    let fields: [NestedField] = [.optional(1, "1 a-é", .int)]
    let spec = PartitionSpec(
      fields: [PartitionField(sourceID: 1, fieldID: 1000, name: "1 a-é", transform: .identity)])
    var writer = try ManifestWriter(schema: TableSchema(fields: fields), spec: spec)
    try writer.add(
      ManifestEntry(
        status: .added,
        dataFile: DataFile(path: "p", partition: [.int(1)], recordCount: 1, fileSizeInBytes: 1)))
    let schema = try AvroFileReader(try writer.finish().bytes).schema.json.text()
    #expect(schema.contains(#""name":"_1_x20a_x2D_xE9""#))
    #expect(schema.contains(#""iceberg-field-name":"1 a-é""#))
  }
}
