import Columnar
import FileFormats
import Iceberg
import Storage
import Testing

extension Table {
  /// Commits delete files as another engine would: with a delete manifest in the next snapshot.
  func deleting(_ deletes: [DataFile]) throws -> Table {
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

  /// A position delete file, written.
  func positionDeletes(_ name: String, of path: String, _ positions: [Int64]) throws -> DataFile {
    try positionDeletes(name, of: positions.map { (path, $0) })
  }

  /// The same for rows of several data files.
  func positionDeletes(_ name: String, of rows: [(String, Int64)]) throws -> DataFile {
    var paths = BytesBuilder(.string)
    var numbers = FixedWidthBuilder<Int64>(.int64, zero: 0)
    for (path, position) in rows {
      paths.append(path)
      numbers.append(position)
    }
    let schema = Schema([
      Field("file_path", .string, isNullable: false, fieldID: 2_147_483_546),
      Field("pos", .int64, isNullable: false, fieldID: 2_147_483_545),
    ])
    let location = metadata.dataFolder + "/\(name).parquet"
    let file = try io.create(location)
    let writer = try ParquetWriter(file: file, schema: schema)
    try writer.write(
      RecordBatch(
        schema: schema, columns: [paths.finish(), numbers.finish()], rowCount: rows.count))
    let size = try writer.finish().fileSizeBytes
    try io.publish(file)
    return DataFile(
      content: .positionDeletes, path: location, recordCount: Int64(rows.count),
      fileSizeInBytes: size)
  }

  /// An equality delete file on the column `id`, written.
  func equalityDeletes(_ name: String, ids: [Int64]) throws -> DataFile {
    let schema = Schema([Field("id", .int64, isNullable: false, fieldID: 1)])
    let location = metadata.dataFolder + "/\(name).parquet"
    let file = try io.create(location)
    let writer = try ParquetWriter(file: file, schema: schema)
    let column = Column(type: .int64, count: ids.count, buffers: [Buffer(copying: ids)])
    try writer.write(RecordBatch(schema: schema, columns: [column], rowCount: ids.count))
    let size = try writer.finish().fileSizeBytes
    try io.publish(file)
    var delete = DataFile(
      content: .equalityDeletes, path: location, recordCount: Int64(ids.count),
      fileSizeInBytes: size)
    delete.equalityIDs = [1]
    return delete
  }
}
