import Columnar
import FileFormats
import Iceberg
import JSON
import Testing

/// Tables with position delete files, which we read and compact but never write: all engines leave out the
/// same rows.
@Suite(.enabled(if: Peer.isThere, Peer.hint)) struct RowDeletesTests {
  private static let columns = Array(AllTypes.primitives.prefix(4))

  private func appended(_ spec: PartitionSpec) throws -> (InteropFixture, Table, [JSONValue]) {
    let fixture = try InteropFixture()
    var table = try fixture.create("db.t", AllTypes.schema(Self.columns), spec: spec)
    var all: [JSONValue] = []
    for append in Int64(0)..<3 {
      let rows = AllTypes.random(
        10, firstID: append * 10, seed: UInt64(append + 51), Self.columns)
      table = try table.appending(rows)
      all += rows
    }
    return (fixture, table, all)
  }

  private func id(_ row: JSONValue) -> Int64 { row.arrayValue?[0].int64Value ?? -1 }

  @Test(arguments: [false, true])
  func positionDeletesLeaveOutTheSameRows(isPartitioned: Bool) throws {
    let spec = PartitionSpec(
      fields: isPartitioned
        ? [PartitionField(sourceID: 1, fieldID: 1000, name: "part", transform: .bucket(2))] : [])
    let (fixture, table, all) = try appended(spec)
    let files = try table.newScan().planFiles().tasks.map(\.dataFile)
    #expect(files.count == (isPartitioned ? 6 : 3))
    // The first and the third row of every file, all of a partition in one delete file.
    var deletes: [DataFile] = []
    var deleted: Set<Int64> = []
    for (partition, files) in Dictionary(grouping: files, by: \.partition) {
      var rows: [JSONValue] = []
      for file in files.sorted(by: { $0.path < $1.path }) {
        rows += [[.string(file.path), 0], [.string(file.path), 2]]
        let ids = try table.ids(in: file)
        deleted.formUnion([ids[0], ids[2]])
      }
      var file = try table.positionDeletes(rows)
      file.partition = partition
      deletes.append(file)
    }
    let kept = all.filter { !deleted.contains(id($0)) }
    #expect(kept.count == 30 - 2 * files.count)
    _ = try table.deleting(deletes)
    try fixture.expectRows("db.t", kept, "with position deletes")
    for sample in Self.columns {
      try fixture.expectSameAnswers("db.t", Condition.some(5, sample, seed: 27))
    }
    let result = try fixture.optimize("db.t")
    #expect(result.removedRowCount == Int64(deleted.count))
    try fixture.expectRows("db.t", kept, "after the compaction")
    try fixture.vacuum("db.t")
    try fixture.expectRows("db.t", kept, "after the vacuum")
  }
}

extension Table {
  /// The ids of a file's rows, in their order.
  fileprivate func ids(in file: DataFile) throws -> [Int64] {
    let batches = try newScan().batches(FileScanTask(dataFile: file, sequenceNumber: 1))
    var ids: [Int64] = []
    while let batch = try batches.next() {
      ids += Canonical.values(batch.columns[0]).compactMap(\.int64Value)
    }
    return ids
  }

  /// A position delete file with these rows (path, position), written.
  fileprivate func positionDeletes(_ rows: [JSONValue]) throws -> DataFile {
    let schema = Schema([
      Field("file_path", .string, isNullable: false, fieldID: 2_147_483_546),
      Field("pos", .int64, isNullable: false, fieldID: 2_147_483_545),
    ])
    let location =
      metadata.dataFolder + "/deletes-\(rows.count)-\(UInt64.random(in: 0...(.max))).parquet"
    let file = try io.create(location)
    let writer = try ParquetWriter(file: file, schema: schema)
    try writer.write(try Canonical.batch(rows, schema))
    let size = try writer.finish().fileSizeBytes
    try io.publish(file)
    return DataFile(
      content: .positionDeletes, path: location, recordCount: Int64(rows.count),
      fileSizeInBytes: size)
  }

  /// Commits delete files as another engine would: with a delete manifest in the next snapshot.
  fileprivate func deleting(_ deletes: [DataFile]) throws -> Table {
    var writer = try ManifestWriter(
      schema: schema, spec: metadata.defaultPartitionSpec, content: .deletes)
    let id = Int64(metadata.snapshots.count + 1000)
    for file in deletes {
      try writer.add(ManifestEntry(status: .added, snapshotID: id, dataFile: file))
    }
    let (bytes, summary) = try writer.finish()
    let path = metadata.metadataFolder + "/deletes-\(id).avro"
    try io.write(path, bytes)
    let head = try #require(metadata.currentSnapshot)
    let manifests =
      try ManifestList.read(try io.readAll(try #require(head.manifestList)))
      + [summary.manifestFile(path: path, addedSnapshotID: id)]
    let sequenceNumber = metadata.lastSequenceNumber + 1
    let list = metadata.metadataFolder + "/snap-\(id).avro"
    try io.write(
      list,
      try ManifestList.write(
        manifests, snapshotID: id, parentSnapshotID: head.snapshotID,
        sequenceNumber: sequenceNumber))
    let snapshot = Snapshot(
      snapshotID: id, parentSnapshotID: head.snapshotID, sequenceNumber: sequenceNumber,
      timestampMilliseconds: metadata.lastUpdatedMilliseconds + 1, manifestList: list,
      operation: .delete, schemaID: metadata.currentSchemaID)
    var commit = newCommit()
    commit.update { _ throws(IcebergError) in
      [
        .addSnapshot(snapshot),
        .setReference(name: "main", SnapshotReference(snapshotID: id, kind: .branch)),
      ]
    }
    return try commit.commit().table
  }
}
