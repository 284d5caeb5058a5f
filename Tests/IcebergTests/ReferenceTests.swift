import Iceberg
import Testing

/// Branches, tags, rollback and picking.
@Suite struct ReferenceTests {
  private func row(_ id: Int64) -> Row { Row(id: id, ts: 0, x: nil, name: nil) }

  private func history(_ warehouse: Warehouse) throws -> (Table, [Int64]) {
    var table = try warehouse.table()
    for id in Int64(1)...3 { table = try table.writing([row(id)]) }
    return (table, table.metadata.snapshots.map(\.snapshotID))
  }

  private func commit(
    _ table: Table, _ change: (inout TableCommit) throws -> Void
  ) throws -> Table {
    var commit = table.newCommit()
    try change(&commit)
    return try commit.commit().table
  }

  private func ids(_ table: Table) throws -> [Int64] { try table.newScan().rows().map(\.id) }

  @Test func theTableIsRolledBackToAnAncestor() throws {
    let warehouse = try Warehouse()
    var (table, snapshots) = try history(warehouse)
    table = try commit(table) { $0.rollBack(to: snapshots[0]) }
    #expect(try ids(table) == [1])
    // What came after is no ancestor any more, but still there.
    #expect(throws: IcebergError.self) { try commit(table) { $0.rollBack(to: snapshots[2]) } }
    table = try commit(table) { $0.setCurrentSnapshot(snapshots[2]) }
    #expect(try ids(table) == [1, 2, 3])
    #expect(
      table.metadata.snapshotLog.map(\.snapshotID) == snapshots + [snapshots[0], snapshots[2]])
    #expect(throws: IcebergError.self) { try commit(table) { $0.rollBack(to: 12345) } }
  }

  @Test func theTableIsRolledBackToATime() throws {
    let warehouse = try Warehouse()
    var (table, snapshots) = try history(warehouse)
    let time = table.metadata.snapshots[1].timestampMilliseconds
    #expect(throws: IcebergError.self) { try commit(table) { $0.rollBack(beforeMilliseconds: 1) } }
    table = try commit(table) { $0.rollBack(beforeMilliseconds: time) }
    #expect(table.metadata.currentSnapshotID == snapshots[0])
  }

  @Test func aBranchIsWrittenAndMainIsMovedForwardToIt() throws {
    let warehouse = try Warehouse()
    var (table, snapshots) = try history(warehouse)
    table = try commit(table) { $0.createBranch("audit") }
    let writer = try DataFileWriter(table)
    try writer.write(batch([row(4)]))
    let files = try writer.finish()
    table = try commit(table) {
      $0.branch = "audit"
      $0.append(files)
    }
    #expect(try ids(table) == [1, 2, 3])
    table = try commit(table) { $0.fastForward("main", to: "audit") }
    #expect(try ids(table) == [1, 2, 3, 4])
    table = try commit(table) { $0.rollBack(to: snapshots[0]) }
    table = try table.writing([row(9)])
    let error = #expect(throws: IcebergError.self) {
      try commit(table) { $0.fastForward("main", to: "audit") }
    }
    #expect(error?.kind == .validationFailed)
    table = try commit(table) { $0.fastForward("copy", to: "main") }
    #expect(table.metadata.references["copy"]?.snapshotID == table.metadata.currentSnapshotID)
  }

  @Test func referencesAreReplacedRenamedAndKeepTheirRetention() throws {
    let warehouse = try Warehouse()
    var (table, snapshots) = try history(warehouse)
    table = try commit(table) {
      $0.createTag("t", snapshotID: snapshots[0], maxReferenceAgeMilliseconds: 1000)
      $0.createBranch("b", snapshotID: snapshots[0])
    }
    table = try commit(table) {
      $0.setRetention("b", minSnapshotsToKeep: 2, maxSnapshotAgeMilliseconds: 5)
      $0.replaceTag("t", snapshotID: snapshots[1])
      $0.replaceBranch("b", snapshotID: snapshots[2])
      $0.renameBranch("b", to: "c")
    }
    #expect(
      table.metadata.references["t"]
        == SnapshotReference(
          snapshotID: snapshots[1], kind: .tag, maxReferenceAgeMilliseconds: 1000))
    #expect(
      table.metadata.references["c"]
        == SnapshotReference(
          snapshotID: snapshots[2], kind: .branch, minSnapshotsToKeep: 2,
          maxSnapshotAgeMilliseconds: 5))
    #expect(table.metadata.references["b"] == nil)
    let refused: [(inout TableCommit) -> Void] = [
      { $0.replaceBranch("t", snapshotID: snapshots[0]) },
      { $0.replaceTag("t", snapshotID: 77) },
      { $0.renameBranch("main", to: "x") },
      { $0.setRetention("t", minSnapshotsToKeep: 1) },
      { $0.setRetention("c", minSnapshotsToKeep: 0) },
      { $0.setRetention("main", maxReferenceAgeMilliseconds: 1) },
      { $0.setRetention("none") },
      { $0.fastForward("t", to: "c") },
    ]
    for (index, change) in refused.enumerated() {
      #expect(throws: IcebergError.self, "change \(index)") { try commit(table, change) }
    }
  }

  @Test(arguments: [2, 3]) func s13AStagedCommitIsPickedOnce(formatVersion: Int) throws {
    let warehouse = try Warehouse()
    var table = try warehouse.catalog.createTable(
      try TableIdentifier("db.t"),
      TableDefinition(schema: Warehouse.schema, formatVersion: formatVersion)
    ).writing([row(1)])
    let writer = try DataFileWriter(table)
    try writer.write(batch([row(2)]))
    let files = try writer.finish()
    table = try commit(table) {
      $0.append(files)
      $0.isStaged = true
      $0.summary["wap.id"] = "w1"
    }
    #expect(try ids(table) == [1])
    let staged = try #require(table.metadata.snapshots.last?.snapshotID)
    table = try table.writing([row(3)])
    table = try commit(table) { try $0.cherryPick(staged) }
    #expect(try ids(table) == [1, 2, 3])
    let summary = try #require(table.metadata.currentSnapshot).summary
    #expect(summary["source-snapshot-id"] == String(staged) && summary["published-wap-id"] == "w1")
    let again = #expect(throws: IcebergError.self) {
      try commit(table) { try $0.cherryPick(staged) }
    }
    #expect(again?.description.contains("already") == true)
    if formatVersion == 3 {
      #expect(Set(try table.lineage().values.map(\.rowID)).count == 3)
    }
  }

  @Test func aStagedChildOfTheCurrentSnapshotBecomesCurrentItself() throws {
    let warehouse = try Warehouse()
    var table = try warehouse.table().writing([row(1)])
    let writer = try DataFileWriter(table)
    try writer.write(batch([row(2)]))
    let files = try writer.finish()
    table = try commit(table) {
      $0.append(files)
      $0.isStaged = true
    }
    let staged = try #require(table.metadata.snapshots.last?.snapshotID)
    table = try commit(table) { try $0.cherryPick(staged) }
    #expect(table.metadata.currentSnapshotID == staged && table.metadata.snapshots.count == 2)
    #expect(try ids(table) == [1, 2])
  }

  @Test func whatDidMoreThanAppendIsNotPicked() throws {
    let warehouse = try Warehouse()
    var table = try warehouse.table().writing([row(1), row(2)])
    table = try table.deleteRows(where: .comparison("id", .equal, .long(1))).table
    let deletion = try #require(table.metadata.currentSnapshotID)
    table = try commit(table) { $0.rollBack(to: table.metadata.snapshots[0].snapshotID) }
    let error = #expect(throws: IcebergError.self) {
      try commit(table) { try $0.cherryPick(deletion) }
    }
    #expect(error?.kind == .unsupported)
  }
}
