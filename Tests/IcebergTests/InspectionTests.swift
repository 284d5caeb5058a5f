import Iceberg
import JSON
import Testing

@Suite struct InspectionTests {
  private func table(_ warehouse: Warehouse) throws -> Table {
    let spec = PartitionSpec(fields: [
      PartitionField(sourceID: 1, fieldID: 1000, name: "b", transform: .bucket(2))
    ])
    var table = try warehouse.table(
      properties: ["write.delete.mode": "merge-on-read"], spec: spec)
    for start in [Int64(0), 10] {
      table = try table.writing(
        (start..<(start + 10)).map { Row(id: $0, ts: 0, x: Double($0), name: nil) })
    }
    return try table.deleteRows(where: .comparison("id", .equal, .long(3))).table
  }

  @Test func partitionsCountFilesRowsAndDeletes() throws {
    let warehouse = try Warehouse()
    let table = try table(warehouse)
    let partitions = try TableInspection(table).partitions()
    #expect(partitions.map(\.values) == [[.int(0)], [.int(1)]])
    #expect(partitions.map(\.recordCount).reduce(0, +) == 20)
    #expect(partitions.map(\.dataFileCount) == [2, 2])
    #expect(partitions.map(\.positionDeleteRecordCount).reduce(0, +) == 1)
    let newest = try #require(
      partitions.first { $0.positionDeleteFileCount == 1 })
    #expect(newest.lastUpdatedSnapshotID == table.metadata.currentSnapshotID)
  }

  @Test func theFilesOfAVersionAreListedWithTheirColumns() throws {
    let warehouse = try Warehouse()
    let table = try table(warehouse)
    var inspection = TableInspection(table)
    #expect(try inspection.files().map(\.content.rawValue).sorted() == [0, 0, 0, 0, 1])
    #expect(try inspection.manifests().count == 3)
    inspection.version = .snapshot(table.metadata.snapshots[0].snapshotID)
    let files = try inspection.files()
    #expect(files.count == 2)
    let json = inspection.json(files[0])
    #expect(json["columns"]?["id"]?["nulls"]?.int64Value == 0)
    #expect(json["columns"]?["x"]?["upper"]?.doubleValue != nil)
    #expect(json["partition"]?["b"]?.int64Value != nil)
  }

  @Test func removedFilesAreEntriesButNoFiles() throws {
    let warehouse = try Warehouse()
    var table = try warehouse.table().writing([Row(id: 1, ts: 0, x: nil, name: nil)])
    table = try table.deleteRows(where: .alwaysTrue).table
    let inspection = TableInspection(table)
    #expect(try inspection.entries().map(\.status) == [.deleted])
    #expect(try inspection.files().isEmpty)
    #expect(try inspection.json(inspection.entries()[0])["status"]?.int64Value == 2)
  }

  @Test func historySaysWhatWasRolledBack() throws {
    let warehouse = try Warehouse()
    var table = try warehouse.table()
    for id in Int64(0)..<3 { table = try table.writing([Row(id: id, ts: 0, x: nil, name: nil)]) }
    let ids = table.metadata.snapshots.map(\.snapshotID)
    var commit = table.newCommit()
    commit.rollBack(to: ids[0])
    commit.createTag("t", snapshotID: ids[1])
    let inspection = TableInspection(try commit.commit().table)
    #expect(inspection.history.map(\.snapshotID) == ids + [ids[0]])
    #expect(inspection.history.map(\.isCurrentAncestor) == [true, false, false, true])
    #expect(inspection.references.map(\.name) == ["main", "t"])
    #expect(inspection.json(inspection.references[1])["type"]?.stringValue == "tag")
    #expect(inspection.metadataLog.map(\.snapshot?.snapshotID) == [nil] + ids + [ids[0]])
    #expect(inspection.metadataLog.last?.file == inspection.table.metadataLocation)
  }

  @Test func anEmptyTableHasNothing() throws {
    let warehouse = try Warehouse()
    let inspection = TableInspection(try warehouse.table())
    #expect(try inspection.files().isEmpty && inspection.partitions().isEmpty)
    #expect(inspection.history.isEmpty && inspection.metadataLog.count == 1)
  }
}
