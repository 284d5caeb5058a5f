import Foundation
import Iceberg
import JSON
import Testing

/// Metadata files written by Java Iceberg.
func goldenFile(_ name: String, file: String = #filePath) throws -> [UInt8] {
  let tests = URL(fileURLWithPath: file).deletingLastPathComponent().deletingLastPathComponent()
  return Array(try Data(contentsOf: tests.appending(path: "Golden/iceberg/\(name)")))
}

/// The same document with the members of all objects in alphabetical order.
func sorted(_ json: JSONValue) -> JSONValue {
  switch json {
  case .array(let elements): .array(elements.map(sorted))
  case .object(let object):
    .object(JSONObject(object.members.sorted { $0.0 < $1.0 }.map { ($0, sorted($1)) }))
  default: json
  }
}

@Suite struct MetadataTests {
  static let golden = "java1.10.2_table_metadata_v2.json"

  @Test(arguments: ["java1.10.2_table_metadata_v2.json", "java1.10.2_table_metadata_v3.json"])
  func javasMetadataSurvivesARoundTrip(name: String) throws {
    let json = try JSONValue(parsing: try goldenFile(name))
    let metadata = try TableMetadata(json: json)
    #expect(sorted(metadata.json) == sorted(json))
    #expect(metadata.json.objectValue?.keys == json.objectValue?.keys)
    #expect(try TableMetadata(json: metadata.json) == metadata)
  }

  @Test func snapshotIDsBeyond53BitsAreExact() throws {
    let metadata = try TableMetadata(fileContent: try goldenFile(Self.golden))
    #expect(metadata.currentSnapshotID == 4_788_174_405_900_688_510)
    #expect(metadata.currentSnapshot?.summary["total-records"] == "59")
    #expect(metadata.currentSnapshot?.operation == .overwrite)
  }

  @Test(arguments: [
    "format-version", "table-uuid", "location", "last-sequence-number", "last-updated-ms",
    "last-column-id", "current-schema-id", "schemas", "default-spec-id", "partition-specs",
    "last-partition-id", "default-sort-order-id", "sort-orders",
  ])
  func aMissingOrMistypedMemberIsAnErrorThatNamesIt(key: String) throws {
    var object = try #require(JSONValue(parsing: try goldenFile(Self.golden)).objectValue)
    object[key] = nil
    let missing = #expect(throws: IcebergError.self) { try TableMetadata(json: .object(object)) }
    #expect(missing?.description.contains("'\(key)'") == true)
    object[key] = .bool(true)
    let mistyped = #expect(throws: IcebergError.self) { try TableMetadata(json: .object(object)) }
    #expect(mistyped?.description.contains("'\(key)'") == true)
  }

  @Test func noCurrentSnapshotIsMinusOneNullOrAbsent() throws {
    var object = try #require(JSONValue(parsing: try goldenFile(Self.golden)).objectValue)
    object["refs"] = nil
    for value: JSONValue? in [-1, .null, nil] {
      object["current-snapshot-id"] = value
      #expect(try TableMetadata(json: .object(object)).currentSnapshotID == nil)
    }
  }

  @Test func aCurrentSnapshotThatIsNotThereIsAnError() throws {
    var object = try #require(JSONValue(parsing: try goldenFile(Self.golden)).objectValue)
    object["refs"] = nil
    object["current-snapshot-id"] = 7
    #expect(throws: IcebergError.self) { try TableMetadata(json: .object(object)) }
  }

  @Test func unknownMembersAndOperationsAreAccepted() throws {
    var object = try #require(JSONValue(parsing: try goldenFile(Self.golden)).objectValue)
    object["from-the-future"] = ["x": [1, 2]]
    var snapshots = try #require(object["snapshots"]?.arrayValue)
    var snapshot = try #require(snapshots[0].objectValue)
    snapshot["summary"] = ["operation": "transmute"]
    snapshots[0] = .object(snapshot)
    object["snapshots"] = .array(snapshots)
    let metadata = try TableMetadata(json: .object(object))
    #expect(metadata.snapshots[0].operation == .other("transmute"))
  }

  @Test func aNewerFormatVersionIsRefused() throws {
    var object = try #require(JSONValue(parsing: try goldenFile(Self.golden)).objectValue)
    object["format-version"] = 4
    let error = #expect(throws: IcebergError.self) { try TableMetadata(json: .object(object)) }
    #expect(error?.kind == .unsupported)
  }

  @Test func formatVersionOneIsRead() throws {
    let text = """
      {"format-version": 1, "location": "s3://b/t/", "last-updated-ms": 1602638573874,
       "last-column-id": 1, "schema": {"type": "struct", "fields": [
         {"id": 1, "name": "x", "required": true, "type": "long"}]},
       "partition-spec": [{"name": "x", "transform": "identity", "source-id": 1}],
       "properties": {}, "current-snapshot-id": -1, "snapshots": [
         {"snapshot-id": 5, "timestamp-ms": 1, "manifests": ["s3://b/m.avro"]}]}
      """
    let metadata = try TableMetadata(json: try JSONValue(parsing: text))
    #expect(metadata.location == "s3://b/t")
    #expect(metadata.lastPartitionID == 1000)
    #expect(metadata.lastSequenceNumber == 0)
    #expect(metadata.snapshots[0].manifests == ["s3://b/m.avro"])
    #expect(metadata.currentSchema.fields.map(\.name) == ["x"])
  }

  @Test func gzipMetadataIsRecognisedByItsContent() throws {
    // gzip -9 of the text {"format-version": 9}
    let bytes: [UInt8] = Array(
      Data(
        base64Encoded:
          "H4sIAAAAAAACA6tWSssvyk0s0S1LLSrOzM9TslKwrAUA6AgMERUAAAA=")!)
    let error = #expect(throws: IcebergError.self) { try TableMetadata(fileContent: bytes) }
    #expect(error?.description.contains("format version 9") == true)
    let cut = #expect(throws: IcebergError.self) {
      try TableMetadata(fileContent: Array(bytes.dropLast(12)))
    }
    #expect(cut?.kind == .invalidMetadata)
  }

  @Test func everyPrefixOfAMetadataFileIsAnErrorAndNoCrash() throws {
    let bytes = try goldenFile(Self.golden)
    for count in stride(from: 0, to: bytes.count - 2, by: 97) {
      #expect(throws: IcebergError.self) { try TableMetadata(fileContent: Array(bytes[..<count])) }
    }
  }
}

@Suite struct MetadataUpdateTests {
  static func table(_ properties: [String: String] = [:]) throws -> TableMetadata {
    try TableMetadata.new(
      schema: TableSchema(fields: [.required(1, "id", .long), .optional(2, "x", .double)]),
      location: "file:///t", properties: properties, nowMilliseconds: 1000)
  }

  static func snapshot(
    _ id: Int64, parent: Int64?, sequence: Int64, time: Int64
  ) -> [TableUpdate] {
    [
      .addSnapshot(
        Snapshot(
          snapshotID: id, parentSnapshotID: parent, sequenceNumber: sequence,
          timestampMilliseconds: time, manifestList: "file:///t/\(id).avro", operation: .append,
          schemaID: 0)),
      .setReference(name: "main", SnapshotReference(snapshotID: id, kind: .branch)),
    ]
  }

  static func history() throws -> TableMetadata {
    var metadata = try table()
    for (index, id) in ([11, 12, 13, 14] as [Int64]).enumerated() {
      metadata = try metadata.applying(
        snapshot(
          id, parent: index == 0 ? nil : id - 1, sequence: Int64(index + 1), time: id * 1000),
        nowMilliseconds: id * 1000, previousLocation: "file:///t/metadata/\(index).metadata.json")
    }
    return metadata
  }

  @Test func reservedPropertiesAreNotStored() throws {
    let metadata = try Self.table(["uuid": "x", "owner": "me"])
    #expect(metadata.properties == ["owner": "me"])
  }

  @Test func lastUpdatedNeverGoesBackwards() throws {
    let later = try Self.table().applying(
      [.setProperties(["a": "b"])], nowMilliseconds: 5, previousLocation: nil)
    #expect(later.lastUpdatedMilliseconds == 1000)
  }

  @Test func theMetadataLogIsCutToItsLength() throws {
    var metadata = try Self.table(["write.metadata.previous-versions-max": "3"])
    for index in 0..<5 {
      metadata = try metadata.applying(
        [.setProperties(["n": "\(index)"])], nowMilliseconds: 2000, previousLocation: "m\(index)")
    }
    #expect(metadata.metadataLog.map(\.metadataFile) == ["m2", "m3", "m4"])
  }

  @Test func s57TheSnapshotLogStartsAnewAfterAnExpiredEntry() throws {
    let metadata = try Self.history().applying(
      [.removeSnapshots(ids: [12])], nowMilliseconds: 20_000, previousLocation: nil)
    #expect(metadata.snapshotLog.map(\.snapshotID) == [13, 14])
    #expect(metadata.snapshots.map(\.snapshotID) == [11, 13, 14])
  }

  @Test func removingASnapshotRemovesItsTagsAndStatistics() throws {
    var metadata = try Self.history().applying(
      [.setReference(name: "t", SnapshotReference(snapshotID: 11, kind: .tag))],
      nowMilliseconds: 20_000, previousLocation: nil)
    #expect(metadata.references.keys.sorted() == ["main", "t"])
    metadata = try metadata.applying(
      [.removeSnapshots(ids: [11])], nowMilliseconds: 20_000, previousLocation: nil)
    #expect(metadata.references.keys.sorted() == ["main"])
  }

  @Test func s32TheSnapshotAsOfATimeIsTheLatestEntryWhateverTheLogsOrder() throws {
    var metadata = try Self.history()
    metadata.snapshotLog.swapAt(0, 2)
    #expect(metadata.snapshot(asOfMilliseconds: 12_500)?.snapshotID == 12)
    #expect(metadata.snapshot(asOfMilliseconds: 14_000)?.snapshotID == 14)
    #expect(metadata.snapshot(asOfMilliseconds: 10_999) == nil)
  }

  @Test func aSequenceNumberThatIsNotNewIsAConflict() throws {
    let metadata = try Self.history()
    let error = #expect(throws: IcebergError.self) {
      try metadata.applying(
        Self.snapshot(15, parent: 14, sequence: 4, time: 15_000), nowMilliseconds: 15_000,
        previousLocation: nil)
    }
    #expect(error?.kind == .commitConflict)
  }

  @Test func anEqualSchemaIsUsedAgain() throws {
    let metadata = try Self.table()
    let wider = TableSchema(
      fields: metadata.currentSchema.fields + [.optional(3, "y", .string)])
    var next = try metadata.applying(
      [.addSchema(wider, lastColumnID: 3), .setCurrentSchema(id: nil)], nowMilliseconds: 2000,
      previousLocation: nil)
    #expect(next.currentSchemaID == 1)
    next = try next.applying(
      [.addSchema(metadata.currentSchema, lastColumnID: 3), .setCurrentSchema(id: nil)],
      nowMilliseconds: 2000, previousLocation: nil)
    #expect(next.currentSchemaID == 0)
    #expect(next.schemas.count == 2)
  }

  @Test func lastColumnIDCannotGoBack() throws {
    let metadata = try Self.table()
    #expect(throws: IcebergError.self) {
      try metadata.applying(
        [.addSchema(metadata.currentSchema, lastColumnID: 1)], nowMilliseconds: 1,
        previousLocation: nil)
    }
  }

  @Test func requirementsAreConflicts() throws {
    let metadata = try Self.history()
    try TableRequirement.referenceSnapshotID(name: "main", 14).check(metadata)
    try TableRequirement.referenceSnapshotID(name: "other", nil).check(metadata)
    for requirement: TableRequirement in [
      .referenceSnapshotID(name: "main", 13), .tableUUID("x"), .currentSchemaID(4),
    ] {
      let error = #expect(throws: IcebergError.self) { try requirement.check(metadata) }
      #expect(error?.kind == .commitConflict)
    }
  }
}
