import Avro
import Foundation
import Iceberg
import JSON
import Testing

/// Golden files written by Java Iceberg 1.10.2.
enum Golden {
  static func json(_ name: String) throws -> JSONValue {
    let tests = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    let url = tests.appending(components: "Golden", "iceberg", name)
    return try JSONValue(parsing: [UInt8](Data(contentsOf: url)))
  }

  /// The same value with members in alphabetical order: JSON objects have none.
  static func sorted(_ value: JSONValue) -> JSONValue {
    switch value {
    case .array(let elements): .array(elements.map(sorted))
    case .object(let object):
      .object(
        JSONObject(object.members.sorted { $0.0 < $1.0 }.map { ($0.0, sorted($0.1)) }))
    default: value
    }
  }
}

/// The table of the golden files, and files for it.
enum ManifestFixture {
  static func schema() throws -> TableSchema {
    let header = try Golden.json("java1.10.2_manifest_v2_kv.json")
    let text = try #require(header["schema"]?.stringValue)
    return try TableSchema(json: try JSONValue(parsing: text))
  }

  static let spec = PartitionSpec(
    specID: 0,
    fields: [
      PartitionField(sourceID: 4, fieldID: 1000, name: "ts_day", transform: .day),
      PartitionField(sourceID: 1, fieldID: 1001, name: "id_bucket", transform: .bucket(4)),
    ])

  static func file(_ number: Int) -> DataFile {
    var file = DataFile(
      path: "file:///t/data/\(number).parquet", specID: 0,
      partition: [number == 3 ? nil : .date(Int32(number) - 2), .int(Int32(number % 4))],
      recordCount: Int64(100 + number), fileSizeInBytes: Int64(1000 + number))
    file.columnSizes = [1: 40, 2: 50]
    file.valueCounts = [1: 100, 2: 100]
    file.nullValueCounts = [1: 0, 2: 3]
    file.nanValueCounts = [3: 1]
    file.lowerBounds = [1: Literal.long(-5).boundBytes, 2: []]
    file.upperBounds = [1: Literal.long(7).boundBytes, 2: Literal.string("z").boundBytes]
    file.splitOffsets = [4, 1000]
    file.sortOrderID = 0
    return file
  }

  static func manifest(_ formatVersion: Int = 2, codec: AvroCodec = .deflate) throws -> (
    bytes: [UInt8], manifest: ManifestFile, entries: [ManifestEntry]
  ) {
    var writer = try ManifestWriter(
      schema: try schema(), spec: spec, formatVersion: formatVersion, codec: codec)
    let entries = [
      ManifestEntry(status: .added, dataFile: file(0)),
      ManifestEntry(status: .added, sequenceNumber: 5, dataFile: file(1)),
      ManifestEntry(
        status: .existing, snapshotID: 70, sequenceNumber: 3, fileSequenceNumber: 4,
        dataFile: file(2)),
      ManifestEntry(
        status: .deleted, snapshotID: 71, sequenceNumber: 2, fileSequenceNumber: 2,
        dataFile: file(3)),
    ]
    for entry in entries { try writer.add(entry) }
    let (bytes, summary) = try writer.finish()
    var manifest = summary.manifestFile(path: "file:///t/metadata/m0.avro", addedSnapshotID: 90)
    manifest.sequenceNumber = 9
    return (bytes, manifest, entries)
  }
}

@Suite struct ManifestTests {
  @Test(arguments: [2, 3]) func theHeaderSchemaOfAManifestIsJavas(version: Int) throws {
    let (bytes, _, _) = try ManifestFixture.manifest(version)
    let golden = try Golden.json("java1.10.2_manifest_v\(version).avsc")
    let written = try JSONValue(
      parsing: try #require(AvroFileReader(bytes).value("avro.schema")))
    #expect(Golden.sorted(written) == Golden.sorted(golden))
  }

  @Test(arguments: [2, 3]) func theHeaderValuesOfAManifestAreJavas(version: Int) throws {
    let (bytes, _, _) = try ManifestFixture.manifest(version)
    let golden = try Golden.json("java1.10.2_manifest_v\(version)_kv.json")
    let header = try AvroFileReader(bytes)
    for (key, value) in try #require(golden.objectValue).members {
      let text = try #require(header.text(key), "\(key)")
      let expected = try #require(value.stringValue)
      if key.hasSuffix("schema") || key == "partition-spec" {
        #expect(
          Golden.sorted(try JSONValue(parsing: text))
            == Golden.sorted(try JSONValue(parsing: expected)), "\(key)")
      } else {
        #expect(text == expected, "\(key)")
      }
    }
    #expect(header.text("schema-id") == "0")
  }

  @Test(arguments: [2, 3]) func theHeaderSchemaOfAManifestListIsJavas(version: Int) throws {
    let (_, manifest, _) = try ManifestFixture.manifest(version)
    let bytes = try ManifestList.write(
      [manifest], snapshotID: 90, parentSnapshotID: nil, sequenceNumber: 9, formatVersion: version,
      firstRowID: 180)
    let header = try AvroFileReader(bytes)
    let golden = try Golden.json("java1.10.2_manifest_list_v\(version).avsc")
    let written = try JSONValue(parsing: try #require(header.value("avro.schema")))
    #expect(Golden.sorted(written) == Golden.sorted(golden))
    let values = try Golden.json("java1.10.2_manifest_list_v\(version)_kv.json")
    let keys = try #require(values.objectValue).keys
    #expect(Set(keys + ["avro.schema", "fstore.checksum"]) == Set(header.places.keys))
    #expect(
      try JSONValue(parsing: try #require(header.text("iceberg.schema")))
        == (try JSONValue(parsing: try #require(values["iceberg.schema"]?.stringValue))))
    #expect(header.text("parent-snapshot-id") == "null")
  }

  @Test(arguments: [AvroCodec.null, .deflate, .zstandard])
  func entriesComeBackWithTheirSequenceNumbersInherited(codec: AvroCodec) throws {
    let (bytes, manifest, entries) = try ManifestFixture.manifest(codec: codec)
    var reader = try ManifestReader(bytes: bytes, manifest: manifest)
    let read = try reader.readAll()
    #expect(read.map(\.dataFile) == entries.map(\.dataFile))
    #expect(read.map(\.status) == entries.map(\.status))
    #expect(read.map(\.snapshotID) == [90, 90, 70, 71])
    #expect(read.map(\.sequenceNumber) == [9, 5, 3, 2])
    #expect(read.map(\.fileSequenceNumber) == [9, 9, 4, 2])
    #expect(reader.formatVersion == 2 && reader.spec == ManifestFixture.spec)
  }

  @Test func statisticsCanBeLeftOut() throws {
    let (bytes, manifest, _) = try ManifestFixture.manifest()
    var reader = try ManifestReader(bytes: bytes, manifest: manifest, statistics: .none)
    let first = try #require(try reader.next())
    #expect(first.dataFile.lowerBounds.isEmpty && first.dataFile.nullValueCounts.isEmpty)
    #expect(first.dataFile.columnSizes.isEmpty && !first.dataFile.valueCounts.isEmpty)
    #expect(first.dataFile.recordCount == 100 && first.dataFile.splitOffsets == [4, 1000])
  }

  @Test func theSummaryCountsFilesRowsAndPartitions() throws {
    let (bytes, manifest, _) = try ManifestFixture.manifest()
    #expect(manifest.length == Int64(bytes.count))
    #expect(manifest.addedFilesCount == 2 && manifest.addedRowsCount == 201)
    #expect(manifest.existingFilesCount == 1 && manifest.existingRowsCount == 102)
    #expect(manifest.deletedFilesCount == 1 && manifest.deletedRowsCount == 103)
    #expect(manifest.minSequenceNumber == 3)
    let days = try #require(manifest.partitions?.first)
    #expect(days.containsNull && days.containsNaN == false)
    #expect(days.lowerBound == Literal.date(-2).boundBytes)
    #expect(days.upperBound == Literal.date(0).boundBytes)
  }

  @Test func aManifestListComesBackAndResolvesOpenSequenceNumbers() throws {
    var (_, manifest, _) = try ManifestFixture.manifest()
    var older = manifest
    older.path = "file:///t/metadata/m-old.avro"
    older.sequenceNumber = 4
    older.addedSnapshotID = 60
    older.content = .deletes
    older.partitions = nil
    manifest.sequenceNumber = ManifestFile.unassignedSequenceNumber
    manifest.minSequenceNumber = ManifestFile.unassignedSequenceNumber
    let bytes = try ManifestList.write(
      [manifest, older], snapshotID: 90, parentSnapshotID: 60, sequenceNumber: 12)
    let read = try ManifestList.read(bytes)
    manifest.sequenceNumber = 12
    manifest.minSequenceNumber = 12
    #expect(read == [manifest, older])
  }

  @Test func anotherCommitsManifestMayNotLackItsSequenceNumber() throws {
    var (_, manifest, _) = try ManifestFixture.manifest()
    manifest.sequenceNumber = ManifestFile.unassignedSequenceNumber
    #expect(throws: IcebergError.self) {
      try ManifestList.write(
        [manifest], snapshotID: 91, parentSnapshotID: nil, sequenceNumber: 12)
    }
  }

  @Test func rowIDsAreAssignedToDataManifestsAndInheritedByLiveFiles() throws {
    let (bytes, manifest, _) = try ManifestFixture.manifest(3)
    var deletes = manifest
    deletes.content = .deletes
    let list = try ManifestList.write(
      [manifest, deletes, manifest], snapshotID: 90, parentSnapshotID: nil, sequenceNumber: 9,
      formatVersion: 3, firstRowID: 1000)
    let read = try ManifestList.read(list)
    #expect(read.map(\.firstRowID) == [1000, nil, 1303])
    var reader = try ManifestReader(bytes: bytes, manifest: read[0])
    #expect(try reader.readAll().map(\.dataFile.firstRowID) == [1000, 1100, 1201, nil])
  }

  @Test func entriesThatReadersCouldNotInterpretAreRefused() throws {
    var writer = try ManifestWriter(
      schema: try ManifestFixture.schema(), spec: ManifestFixture.spec)
    var file = ManifestFixture.file(0)
    let existing = ManifestEntry(status: .existing, snapshotID: 1, dataFile: file)
    #expect(throws: IcebergError.self) { try writer.add(existing) }
    file.partition = [.date(1)]
    #expect(throws: IcebergError.self) {
      try writer.add(ManifestEntry(status: .added, dataFile: file))
    }
    file.partition = [.string("x"), .int(1)]
    #expect(throws: IcebergError.self) {
      try writer.add(ManifestEntry(status: .added, dataFile: file))
    }
    file = ManifestFixture.file(0)
    file.content = .positionDeletes
    #expect(throws: IcebergError.self) {
      try writer.add(ManifestEntry(status: .added, dataFile: file))
    }
    #expect(writer.entryCount == 0)
  }

  @Test func everyTypeOfPartitionValueComesBack() throws {
    let types: [(IcebergType, Literal)] = [
      (.boolean, .boolean(true)), (.int, .int(-7)), (.long, .long(Int64.min)),
      (.float, .float(.nan)), (.double, .double(-0.0)),
      (.decimal(precision: 9, scale: 2), .decimal(unscaled: -1, scale: 2)),
      (.decimal(precision: 38, scale: 10), .decimal(unscaled: 1 << 100, scale: 10)),
      (.date, .date(-1)), (.time, .time(5)), (.timestamp, .timestamp(-3)),
      (.timestamptz, .timestamptz(3)), (.timestampNs, .timestampNs(-4)),
      (.timestamptzNs, .timestamptzNs(4)), (.string, .string("")), (.uuid, .uuid(17)),
      (.uuid, .uuid(UInt128.max)), (.fixed(3), .fixed([1, 2, 3])), (.binary, .binary([])),
    ]
    let fields = types.enumerated().map { index, pair in
      NestedField.optional(Int32(index + 1), "a-\(index)", pair.0)
    }
    let spec = PartitionSpec(
      specID: 4,
      fields: fields.map {
        PartitionField(sourceID: $0.id, fieldID: $0.id + 999, name: $0.name, transform: .identity)
      })
    var writer = try ManifestWriter(schema: TableSchema(fields: fields), spec: spec)
    let file = DataFile(
      path: "p", specID: 4, partition: types.map(\.1), recordCount: 1, fileSizeInBytes: 1)
    try writer.add(ManifestEntry(status: .added, dataFile: file))
    let (bytes, summary) = try writer.finish()
    let manifest = summary.manifestFile(path: "m", addedSnapshotID: 1)
    var reader = try ManifestReader(bytes: bytes, manifest: manifest)
    #expect(try reader.readAll().map(\.dataFile.partition) == [types.map(\.1)])
    #expect(summary.partitions[3].containsNaN == true)
    #expect(summary.partitions[3].lowerBound == nil)
  }

  @Test func s41AnEmptyTextAndZeroAreValuesNotMissing() throws {
    let fields: [NestedField] = [.optional(1, "s", .string), .optional(2, "n", .int)]
    let spec = PartitionSpec(
      specID: 0,
      fields: fields.map {
        PartitionField(sourceID: $0.id, fieldID: $0.id + 999, name: $0.name, transform: .identity)
      })
    var file = DataFile(
      path: "p", partition: [.string(""), .int(0)], recordCount: 0, fileSizeInBytes: 0)
    file.lowerBounds = [1: [], 2: Literal.int(0).boundBytes]
    file.upperBounds = file.lowerBounds
    var writer = try ManifestWriter(schema: TableSchema(fields: fields), spec: spec)
    try writer.add(ManifestEntry(status: .added, sequenceNumber: 0, dataFile: file))
    let (bytes, summary) = try writer.finish()
    var reader = try ManifestReader(
      bytes: bytes, manifest: summary.manifestFile(path: "m", addedSnapshotID: 1))
    let read = try #require(try reader.next())
    #expect(read.dataFile == file && read.sequenceNumber == 0)
    #expect(read.dataFile.lowerBound(of: fields[0]) == .string(""))
    #expect(summary.partitions[0].lowerBound == [] && summary.partitions[0].upperBound == [])
  }

  @Test func aDroppedColumnsPartitionValuesKeepTheTypeThatTheFileHas() throws {
    let fields: [NestedField] = [.optional(1, "s", .string)]
    let spec = PartitionSpec(
      specID: 0,
      fields: [PartitionField(sourceID: 1, fieldID: 1000, name: "s", transform: .identity)])
    let file = DataFile(path: "p", partition: [.string("x")], recordCount: 1, fileSizeInBytes: 1)
    var writer = try ManifestWriter(schema: TableSchema(fields: fields), spec: spec)
    try writer.add(ManifestEntry(status: .added, dataFile: file))
    let (bytes, summary) = try writer.finish()
    var reader = try ManifestReader(
      bytes: bytes, manifest: summary.manifestFile(path: "m", addedSnapshotID: 1), spec: spec,
      schema: TableSchema(fields: [.optional(2, "other", .int)]))
    #expect(try reader.next()?.dataFile.partition == [.string("x")])
  }
}
