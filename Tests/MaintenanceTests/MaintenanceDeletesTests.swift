import Foundation
import Iceberg
import JSON
import Storage
import Testing

/// Maintenance of tables in which others deleted rows, and other things that we do not write.
@Suite struct MaintenanceDeletesTests {
  private func scoped(_ file: DataFile, to path: String) -> DataFile {
    var file = file
    file.referencedDataFile = path
    return file
  }

  private func rewrite(
    _ table: Table, _ options: [String: String] = [:]
  ) throws -> RewriteDataFilesResult {
    let job = try RewriteDataFiles(table, options: RewriteDataFilesOptions(options))
    return try job.execute(job.plan())
  }

  @Test func s52DeletedRowsAreLeftOutAndCounted() throws {
    let fixture = try MaintenanceFixture()
    var table = try fixture.table().appending(files: 6)
    let files = try table.dataFiles()
    table = try table.deleting([
      try table.positionDeletes("d1", of: files[0].path, [0, 9]),
      try table.positionDeletes("d2", of: files[3].path, [5]),
    ])
    let before = try table.sortedRows()
    #expect(before.count == 57)
    let result = try rewrite(table)
    #expect(result.removedRowCount == 3 && result.rowCount == 57 && result.failures.isEmpty)
    #expect(try table.sortedRows() == before)
  }

  @Test func aWellSizedFileWithManyDeletedRowsIsRewritten() throws {
    let fixture = try MaintenanceFixture()
    var table = try fixture.table().appending(Array(0..<10))
    let file = try #require(table.dataFiles().first)
    let options = [
      "target-file-size-bytes": "\(file.fileSizeInBytes)", "min-file-size-bytes": "1",
    ]
    let deletes = try table.positionDeletes("d", of: file.path, [1, 2])
    table = try table.deleting([scoped(deletes, to: file.path)])
    let few = try RewriteDataFiles(table, options: RewriteDataFilesOptions(options)).plan()
    #expect(few.files.isEmpty)
    let more = try table.positionDeletes("more", of: file.path, [3])
    table = try table.deleting([scoped(more, to: file.path)])
    let result = try rewrite(table, options)
    #expect(result.rewrittenFileCount == 1 && result.removedRowCount == 3)
    #expect(try table.sortedRows().map(\.id) == [0, 4, 5, 6, 7, 8, 9])
  }

  /// Delete files that speak of several data files, all of one commit, so as old as the rewrite's rows.
  private func withDeletesOfThePartition(_ fixture: MaintenanceFixture) throws -> Table {
    let table = try fixture.table(properties: ["optimize_rewrite_delete_file_threshold": "2"])
      .appending(files: 2)
    let paths = try table.dataFiles().map(\.path).sorted()
    return try table.deleting([
      try table.positionDeletes("d1", of: paths.map { ($0, 0) }),
      try table.positionDeletes("d2", of: paths.map { ($0, 1) }),
    ])
  }

  @Test func deletesOfOtherFilesAreNoReasonToRewriteAFileAgain() throws {
    let fixture = try MaintenanceFixture()
    let table = try withDeletesOfThePartition(fixture)
    let before = try table.sortedRows()
    let options = try RewriteDataFilesOptions(
      ["remove-dangling-deletes": "false"], tableProperties: table.properties)
    let job = try RewriteDataFiles(table, options: options)
    #expect(try job.execute(job.plan()).rewrittenFileCount == 2)
    // The new file has the number of the snapshot that brought the deletes, so by their age they apply to it.
    let task = try #require(table.refresh().newScan().planFiles().tasks.first)
    #expect(task.deletes.count == 2)
    #expect(try job.plan().files.isEmpty)
    #expect(try table.sortedRows() == before && before.count == 16)
  }

  @Test func danglingDeletesAreTakenOutAndOthersStay() throws {
    let fixture = try MaintenanceFixture()
    var table = try withDeletesOfThePartition(fixture)
    // A file that no rewrite touches, with deletes that apply to it, and one that applies to nothing.
    table = try table.appending(Array(100..<110))
    let newest = try #require(
      table.newScan().planFiles().tasks.max { $0.sequenceNumber < $1.sequenceNumber })
    table = try table.deleting([
      try table.positionDeletes("live", of: [(newest.dataFile.path, 3)]),
      try table.positionDeletes("dead", of: [("file:///nowhere/else.parquet", 3)]),
      scoped(
        try table.positionDeletes("gone", of: "file:///nowhere/gone.parquet", [1]),
        to: "file:///nowhere/gone.parquet"),
    ])
    let before = try table.sortedRows()
    #expect(before.count == 25)
    var job = try RewriteDataFiles(
      table, options: RewriteDataFilesOptions([:], tableProperties: table.properties))
    job.filter = .comparison("id", .less, .long(50))
    let result = try job.execute(job.plan())
    #expect(result.rewrittenFileCount == 2 && result.removedDeleteFileCount == 4)
    #expect(result.danglingDeletesError == nil)
    let left = try result.table.newScan().planFiles().tasks.flatMap(\.deletes).map(\.dataFile.path)
    #expect(Set(left).count == 1 && left.allSatisfy { $0.contains("live") })
    #expect(try table.sortedRows() == before)
    #expect(result.table.metadata.currentSnapshot?.operation == .replace)
    #expect(
      result.table.metadata.currentSnapshot?.summary["removed-position-delete-files"] == "4")
    // And another run finds nothing.
    let again = try job.execute(job.plan())
    #expect(again.removedDeleteFileCount == 0 && again.commitCount == 0)
  }

  @Test func deletesGoOnlyWhileNothingButYoungerDataCame() throws {
    let fixture = try MaintenanceFixture()
    var table = try fixture.table().appending(files: 3)
    let dead = try table.positionDeletes("dead", of: [("file:///a", 1), ("file:///b", 1)])
    table = try table.deleting([dead])
    let start = try #require(table.metadata.currentSnapshotID)
    func commit() throws -> Table {
      var commit = table.newCommit()
      commit.removeUnusedDeletes([dead], startingSnapshotID: start)
      return try commit.commit().table
    }
    // A compaction adds files with the sequence numbers of others.
    let other = try table.appending(Array(50..<60))
    let compaction = try RewriteDataFiles(
      other,
      options: RewriteDataFilesOptions(["rewrite-all": "true", "remove-dangling-deletes": "false"]))
    let before = try #require(
      compaction.execute(compaction.plan()).table.metadata.currentSnapshotID)
    let error = #expect(throws: IcebergError.self) { try commit() }
    #expect(error?.kind == .validationFailed)
    #expect(try table.refresh().metadata.currentSnapshotID == before)
    // Appends and deletes alone are no obstacle.
    var undo = try table.refresh().newCommit()
    undo.setCurrentSnapshot(try #require(other.metadata.currentSnapshotID))
    _ = try undo.commit()
    #expect(
      try commit().metadata.currentSnapshot?.summary["removed-position-delete-files"] == "1")
  }

  @Test func equalityDeletesThatNoOlderRowIsLeftForAreTakenOut() throws {
    let fixture = try MaintenanceFixture()
    var table = try fixture.table().appending(files: 6)
    table = try table.deleting([try table.equalityDeletes("e", ids: [3, 14, 15])])
    let before = try table.sortedRows()
    #expect(before.count == 57)
    let result = try rewrite(table)
    #expect(result.removedDeleteFileCount == 1 && result.removedRowCount == 3)
    #expect(try table.sortedRows() == before)
    let summary = try #require(result.table.metadata.currentSnapshot?.summary)
    #expect(summary["total-delete-files"] == nil || summary["total-delete-files"] == "0")
    #expect(summary["removed-equality-delete-files"] == "1")
  }

  @Test func aDeleteFileThatCannotBeReadStays() throws {
    let fixture = try MaintenanceFixture()
    var table = try fixture.table().appending(files: 1)
    let path = try #require(table.dataFiles().first?.path)
    let delete = try table.positionDeletes("d", of: [(path, 0), ("file:///x.parquet", 0)])
    table = try table.deleting([delete])
    try FileManager.default.removeItem(atPath: try Location.path(of: delete.path))
    let result = try rewrite(table)
    #expect(result.removedDeleteFileCount == 0 && result.danglingDeletesError == nil)
    #expect(try result.table.newScan().planFiles().tasks.first?.deletes.count == 1)
  }

  @Test func s24DeletesCommittedDuringTheRewriteMakeItFail() throws {
    let fixture = try MaintenanceFixture()
    let table = try fixture.table().appending(files: 6)
    let job = try RewriteDataFiles(
      table, options: RewriteDataFilesOptions(["partial-progress.enabled": "false"]))
    let plan = try job.plan()
    let file = try #require(table.dataFiles().first)
    let changed = try table.deleting([try table.positionDeletes("d", of: file.path, [0])])
    let before = try changed.sortedRows()
    let error = #expect(throws: IcebergError.self) { try job.execute(plan) }
    #expect(error?.kind == .validationFailed)
    #expect(try table.sortedRows() == before)
    // With partial progress it is planned again, and then applies them.
    let result = try RewriteDataFiles(table).execute(plan)
    #expect(result.replannedGroupCount == 1 && result.removedRowCount == 1)
    #expect(try table.sortedRows() == before)
  }

  @Test func s24DeletesThatWereRewrittenDuringTheRewriteStillMakeItFail() throws {
    let fixture = try MaintenanceFixture()
    let table = try fixture.table(properties: ["write.delete.mode": "merge-on-read"])
      .appending(files: 6)
    let job = try RewriteDataFiles(table)
    let plan = try job.plan()
    for id in Int64(3)..<9 {
      _ = try table.deleteRows(where: .comparison("id", .equal, .long(id)))
    }
    let before = try table.refresh().sortedRows()
    // Now it is a replacement that the delete file comes from, as a job of another engine may commit it.
    let deletes = RewritePositionDeleteFiles(
      table, options: try .init(["min-input-files": "2"], tableProperties: [:]))
    #expect(try deletes.execute(deletes.plan()).addedCount == 1)
    let result = try job.execute(plan)
    #expect(result.replannedGroupCount == 1 && result.removedRowCount == 6)
    #expect(try table.refresh().sortedRows() == before)
  }

  @Test func s25NewFilesKeepTheStartingSequenceNumber() throws {
    let fixture = try MaintenanceFixture()
    let table = try fixture.table().appending(files: 6)
    let start = try #require(table.metadata.currentSnapshot?.sequenceNumber)
    let result = try rewrite(table)
    let tasks = try result.table.newScan().planFiles().tasks
    #expect(tasks.map(\.sequenceNumber) == [start])
    let other = try fixture.table("db.other").appending(files: 6)
    let newer = try rewrite(other, ["use-starting-sequence-number": "false"])
    #expect(try newer.table.newScan().planFiles().tasks.map(\.sequenceNumber) == [7])
  }

  @Test func filesWhoseDeletesCannotBeAppliedStayAsTheyAre() throws {
    let fixture = try MaintenanceFixture()
    var table = try fixture.table().appending(files: 6)
    var delete = DataFile(
      content: .equalityDeletes, path: table.location + "/data/e.parquet", recordCount: 1,
      fileSizeInBytes: 1)
    delete.equalityIDs = [1]
    table = try table.deleting([delete])
    let files = try fixture.files(of: table).filter { $0.hasPrefix("data/") }
    let result = try rewrite(table)
    #expect(result.commitCount == 0 && result.failures.count == 1)
    #expect(try fixture.files(of: table).filter { $0.hasPrefix("data/") } == files)
  }

  @Test func s28TablesOfFormatVersionThreeAreRewritten() throws {
    let fixture = try MaintenanceFixture()
    var table = try fixture.table().appending(files: 6)
    var upgrade = table.newCommit()
    upgrade.upgradeFormatVersion(to: 3)
    table = try upgrade.commit().table
    let before = try table.sortedRows()
    #expect(try rewrite(table).rewrittenFileCount == 6)
    #expect(try table.sortedRows() == before)
  }

  @Test func s49LiveDeleteFilesAreNoOrphans() throws {
    let fixture = try MaintenanceFixture()
    var table = try fixture.table().appending(Array(0..<10))
    let file = try #require(table.dataFiles().first)
    table = try table.deleting([try table.positionDeletes("d", of: file.path, [0])])
    for name in try fixture.files(of: table) { try fixture.age(name, in: table, days: 30) }
    #expect(try Vacuum(table).plan().files.isEmpty)
  }

  @Test func s6StatisticsStayWithTheirSnapshotAndGoWithIt() throws {
    let fixture = try MaintenanceFixture()
    var table = try fixture.table().appending(files: 2)
    let ids = table.metadata.snapshots.map(\.snapshotID)
    var updates: [TableUpdate] = []
    for (index, id) in ids.enumerated() {
      let path = try fixture.write("metadata/\(index).stats", in: table, days: 30)
      let json: JSONValue = [
        "snapshot-id": .integer(id), "statistics-path": .string(path),
        "file-size-in-bytes": 1, "file-footer-size-in-bytes": 1, "blob-metadata": [],
      ]
      updates.append(.setStatistics(StatisticsFile(snapshotID: id, path: path, json: json)))
    }
    var commit = table.newCommit()
    let added = updates
    commit.update { _ throws(IcebergError) in added }
    table = try commit.commit().table
    #expect(try Vacuum(table).plan().files.isEmpty)
    var options = VacuumOptions()
    options.olderThanMilliseconds = .max
    let vacuum = Vacuum(table, options: options)
    let result = try vacuum.execute(vacuum.plan())
    #expect(result.deleted[.statistics]?.files == 1)
    #expect(try !fixture.exists("metadata/0.stats", in: table))
    #expect(try fixture.exists("metadata/1.stats", in: table))
  }
}
