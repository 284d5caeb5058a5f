import Foundation
import Iceberg
import JSON
import Testing

/// Our manifests and manifest lists in a foreign Avro library, beside those that PyIceberg writes for
/// the same rows.
@Suite(.enabled(if: Peer.isThere, Peer.hint)) struct ManifestReadingTests {
  private static let columns = AllTypes.primitives.filter { $0.type != .time && $0.type != .uuid }

  /// A partition field of every type that a partition value can have; PyIceberg takes one a column.
  private static let partitions: [(Int32, Transform)] = {
    let transforms: [String: Transform] = [
      "c_long": .bucket(8), "c_date": .month, "c_timestamp": .day, "c_timestamptz": .hour,
      "c_decimal18": .truncate(50), "c_string": .truncate(2),
    ]
    return columns.enumerated().map { index, sample in
      (Int32(index + 2), transforms[sample.name] ?? .identity)
    }
  }()

  private struct Written {
    var list: JSONValue
    var manifests: [JSONValue]
  }

  private func written(_ table: Table) throws -> Written {
    let snapshot = try #require(table.metadata.currentSnapshot)
    let list = try Peer.call("avro", ["path": .string(snapshot.manifestList ?? "")])
    let manifests = try (list["records"]?.arrayValue ?? []).map {
      try Peer.call("avro", ["path": $0["manifest_path"] ?? .null])
    }
    return Written(list: list, manifests: manifests)
  }

  /// The same rows under the same spec, as we write them and as PyIceberg does.
  private func bothWritten() throws -> (ours: Table, theirs: Table, fixture: InteropFixture) {
    let fixture = try InteropFixture()
    let schema = AllTypes.schema(Self.columns)
    // Of such rows PyIceberg can make partitions: it finds none of NaN.
    let rows = AllTypes.random(3, seed: 41, Self.columns).map { row in
      JSONValue.array((row.arrayValue ?? []).map { $0 == "nan" ? .null : $0 })
    }
    try fixture.createByPeer("db.theirs", schema, partitions: Self.partitions)
    let theirs = try fixture.load("db.theirs")
    let ours = try fixture.create(
      "db.ours", schema, spec: theirs.metadata.defaultPartitionSpec)
    try fixture.appendByPeer("db.theirs", rows)
    return (try ours.appending(rows), try theirs.refresh(), fixture)
  }

  @Test func headersAreThoseOfTheSpecification() throws {
    let (table, _, fixture) = try bothWritten()
    defer { withExtendedLifetime(fixture) {} }
    let written = try written(table)
    let snapshot = try #require(table.metadata.currentSnapshot)
    let list = try #require(written.list["metadata"]?.objectValue)
    #expect(list["format-version"] == "2")
    #expect(list["snapshot-id"] == .string("\(snapshot.snapshotID)"))
    #expect(list["sequence-number"] == "1")
    #expect(list["parent-snapshot-id"] == "null")
    let header = try #require(written.manifests.first?["metadata"]?.objectValue)
    #expect(header["format-version"] == "2" && header["content"] == "data")
    #expect(header["partition-spec-id"] == "0" && header["schema-id"] == "0")
    let schema = try JSONValue(parsing: header["schema"]?.stringValue ?? "")
    #expect(try TableSchema(json: schema).hasSameFields(as: table.schema))
    let spec = try JSONValue(parsing: header["partition-spec"]?.stringValue ?? "")
    #expect(try PartitionSpec(json: spec).hasSameFields(as: table.metadata.defaultPartitionSpec))
  }

  @Test func fieldsHaveTheIDsNamesAndTypesThatPyIcebergGivesThem() throws {
    let (table, other, fixture) = try bothWritten()
    defer { withExtendedLifetime(fixture) {} }
    let ours = try written(table)
    let theirs = try written(other)
    let pairs = [(ours.list, theirs.list), (ours.manifests[0], theirs.manifests[0])]
    for (own, peer) in pairs {
      let fields = try #require(peer["fields"]?.objectValue)
      #expect(fields.count > 10)
      for (id, field) in fields.members {
        #expect(own["fields"]?[id] == field, "field \(id)")
      }
    }
  }

  @Test func recordsSayWhatTheFilesAre() throws {
    let (table, other, fixture) = try bothWritten()
    defer { withExtendedLifetime(fixture) {} }
    let records = try written(table).manifests.flatMap { $0["records"]?.arrayValue ?? [] }
    let files = try table.newScan().planFiles().tasks.map(\.dataFile)
    #expect(records.count == files.count && files.count == 3)
    for file in files {
      let record = try #require(
        records.first { $0["data_file"]?["file_path"] == .string(file.path) }?.objectValue)
      #expect(record["status"] == 1 && record["data_file"]?["content"] == 0)
      #expect(record["data_file"]?["record_count"] == 1)
      #expect(record["data_file"]?["file_size_in_bytes"] == .integer(file.fileSizeInBytes))
      let size =
        try FileManager.default.attributesOfItem(
          atPath: try Location.path(of: file.path))[.size] as? Int64
      #expect(size == file.fileSizeInBytes)
    }
    // Partition values, bounds and counts are the same numbers that PyIceberg writes.
    let theirs = try written(other).manifests.flatMap { $0["records"]?.arrayValue ?? [] }
    for key in [
      "partition", "value_counts", "null_value_counts", "lower_bounds", "upper_bounds",
    ] {
      expectSame(
        records.compactMap { $0["data_file"]?[key] }, theirs.compactMap { $0["data_file"]?[key] },
        key, #_sourceLocation)
    }
  }

  /// Of top-level columns: of what is in lists and maps PyIceberg counts more, of what is in
  /// structures we do.
  @Test(arguments: UInt64(1)...3)
  func boundsAndCountsAreThoseThatPyIcebergWrites(_ seed: UInt64) throws {
    let fixture = try InteropFixture()
    defer { withExtendedLifetime(fixture) {} }
    let schema = AllTypes.schema(AllTypes.primitives)
    let rows = AllTypes.random(12, seed: seed, AllTypes.primitives)
    try fixture.createByPeer("db.theirs", schema)
    try fixture.appendByPeer("db.theirs", rows)
    let ours = try fixture.create("db.ours", schema).appending(rows)
    let own = try written(ours).manifests[0]["records"]?.arrayValue?.first?["data_file"]
    let peer = try written(try fixture.load("db.theirs")).manifests[0]["records"]?.arrayValue?
      .first?["data_file"]
    let keys = [
      "record_count", "value_counts", "null_value_counts", "lower_bounds", "upper_bounds",
    ]
    for key in keys {
      let elements = peer?[key]?.arrayValue ?? [peer?[key] ?? .null]
      let found = own?[key]?.arrayValue ?? [own?[key] ?? .null]
      #expect(!elements.isEmpty)
      expectSame(found, elements, key, #_sourceLocation)
    }
  }
}
