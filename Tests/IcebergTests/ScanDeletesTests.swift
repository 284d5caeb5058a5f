import Columnar
import FileFormats
import Foundation
import Iceberg
import Storage
import Testing

extension Table {
  /// Commits delete files as another engine would: with a delete manifest in the next snapshot.
  func deleting(_ deletes: [DataFile]) throws -> Table {
    var writer = try ManifestWriter(
      schema: schema, spec: metadata.partitionSpec(id: deletes[0].specID) ?? .unpartitioned,
      content: .deletes, formatVersion: metadata.formatVersion)
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
        sequenceNumber: sequenceNumber, formatVersion: metadata.formatVersion,
        firstRowID: metadata.nextRowID))
    var snapshot = Snapshot(
      snapshotID: id, parentSnapshotID: head.snapshotID, sequenceNumber: sequenceNumber,
      timestampMilliseconds: metadata.lastUpdatedMilliseconds + 1, manifestList: list,
      operation: .delete, schemaID: metadata.currentSchemaID)
    snapshot.firstRowID = metadata.nextRowID
    snapshot.addedRows = metadata.nextRowID.map { _ in 0 }
    var commit = newCommit()
    let added = snapshot
    commit.update { _ throws(IcebergError) in
      [
        .addSnapshot(added),
        .setReference(name: "main", SnapshotReference(snapshotID: id, kind: .branch)),
      ]
    }
    return try commit.commit().table
  }

  /// A position delete file, written.
  func positionDeletes(_ name: String, of path: String, _ positions: [Int64]) throws -> DataFile {
    var paths = BytesBuilder(.string)
    var numbers = FixedWidthBuilder<Int64>(.int64, zero: 0)
    for position in positions {
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
        schema: schema, columns: [paths.finish(), numbers.finish()], rowCount: positions.count))
    let size = try writer.finish().fileSizeBytes
    try io.publish(file)
    return DataFile(
      content: .positionDeletes, path: location, recordCount: Int64(positions.count),
      fileSizeInBytes: size)
  }

  func onlyFile() throws -> DataFile {
    let plan = try newScan().planFiles()
    return try #require(plan.tasks.first).dataFile
  }
}

@Suite struct ScanDeletesTests {
  let rows = (0..<20).map { Row(id: Int64($0), ts: 0, x: nil, name: nil) }

  @Test func deletedPositionsAreLeftOut() throws {
    let warehouse = try Warehouse()
    var table = try warehouse.table().writing(rows)
    let file = try table.onlyFile()
    table = try table.deleting([
      try table.positionDeletes("d1", of: file.path, [0, 7, 19]),
      try table.positionDeletes("d2", of: file.path + "x", [1, 2]),
      try table.positionDeletes("d3", of: file.path, [7, 8]),
    ])
    #expect(try table.newScan().rows().map(\.id) == (1...18).filter { $0 != 7 && $0 != 8 })
    var scan = table.newScan()
    scan.filter = .comparison("id", .less, .long(9))
    #expect(try scan.rows().map(\.id) == [1, 2, 3, 4, 5, 6])
  }

  @Test func deletesDoNotReachRowsThatAreNewer() throws {
    let warehouse = try Warehouse()
    var table = try warehouse.table().writing(rows)
    let old = try table.onlyFile()
    table = try table.deleting([try table.positionDeletes("d", of: old.path, [0])])
    table = try table.writing([Row(id: 100, ts: 0, x: nil, name: nil)])
    let plan = try table.newScan().planFiles()
    #expect(plan.tasks.map { $0.deletes.count } == [0, 1])
    #expect(try table.newScan().rows().count == 20)
  }

  @Test func deletesThatCannotBeAppliedAreAnErrorAndNoServedRows() throws {
    let warehouse = try Warehouse()
    var table = try warehouse.table().writing(rows)
    var delete = DataFile(
      content: .equalityDeletes, path: table.location + "/data/e.avro", format: .avro,
      recordCount: 1, fileSizeInBytes: 1)
    delete.equalityIDs = [1]
    table = try table.deleting([delete])
    let error = #expect(throws: IcebergError.self) { try table.newScan().rows() }
    #expect(error?.kind == .unsupported)
    #expect(error?.description.contains("equality deletes as AVRO") == true)
    #expect(error?.description.contains("e.avro") == true)
  }

  @Test func s24AReplacementOfAFileWithNewDeletesFails() throws {
    let warehouse = try Warehouse()
    let table = try warehouse.table().writing(rows)
    let file = try table.onlyFile()
    let start = try #require(table.metadata.currentSnapshotID)
    _ = try table.deleting([try table.positionDeletes("d", of: file.path, [3])])
    var replacement = fakeFile("new", rows: 20, in: table)
    replacement.recordCount = 20
    var commit = table.newCommit()
    commit.replace([file], with: [replacement], startingSnapshotID: start, dataSequenceNumber: 1)
    let error = #expect(throws: IcebergError.self) { try commit.commit() }
    #expect(error?.kind == .validationFailed)
    #expect(try table.refresh().newScan().rows().count == 19)
  }

  @Test func s25EqualityDeletesAreNoConflictForRowsThatKeepTheirSequenceNumber() throws {
    let warehouse = try Warehouse()
    let table = try warehouse.table().writing(rows)
    let file = try table.onlyFile()
    let start = try #require(table.metadata.currentSnapshotID)
    var delete = DataFile(
      content: .equalityDeletes, path: table.location + "/data/e.parquet", recordCount: 1,
      fileSizeInBytes: 1)
    delete.equalityIDs = [1]
    _ = try table.deleting([delete])
    for number: Int64? in [nil, 1] {
      var commit = table.newCommit()
      commit.replace(
        [file], with: [fakeFile("new", rows: 20, in: table)], startingSnapshotID: start,
        dataSequenceNumber: number)
      if number == nil {
        let error = #expect(throws: IcebergError.self) { try commit.commit() }
        #expect(error?.kind == .validationFailed)
      } else {
        let replaced = try commit.commit().table
        // The delete still applies to the compacted file.
        #expect(try replaced.newScan().planFiles().tasks.map(\.deletes.count) == [1])
      }
    }
  }

  @Test func aColumnOfUUIDsIsMarkedAndReadBack() throws {
    let warehouse = try Warehouse()
    let table = try warehouse.catalog.createTable(
      try TableIdentifier("db.u"),
      TableDefinition(schema: TableSchema(fields: [.required(1, "u", .uuid)])))
    let writer = try DataFileWriter(table)
    var builder = BytesBuilder(.fixedSizeBinary(16))
    builder.append([UInt8](0..<16))
    let schema = Schema([Field("u", .fixedSizeBinary(16), isNullable: false)])
    try writer.write(RecordBatch(schema: schema, columns: [builder.finish()], rowCount: 1))
    let files = try writer.finish()
    let committed = try table.newAppend(files).commit().table
    let plan = try committed.newScan().planFiles()
    let task = try #require(plan.tasks.first)
    let batch = try #require(try committed.newScan().batches(task).next())
    #expect(batch.columns[0].type == .fixedSizeBinary(16))
    let reader = try ParquetReader(file: try table.io.open(task.dataFile.path))
    #expect(reader.rowCount == 1)
  }
}
