import Foundation
import Iceberg
import Storage
import Testing

/// Position delete files written anew.
@Suite struct RewritePositionDeletesTests {
  private func rewrite(
    _ table: Table, _ options: [String: String] = [:]
  ) throws -> RewritePositionDeletesResult {
    let job = RewritePositionDeleteFiles(
      table, options: try .init(options, tableProperties: table.properties))
    return try job.execute(job.plan())
  }

  private func deleteFiles(_ table: Table) throws -> [DataFile] {
    let deletes = try table.refresh().newScan().planFiles().tasks.flatMap(\.deletes)
    return Set(deletes.map(\.dataFile)).sorted { $0.path < $1.path }
  }

  /// Four files, in which one delete file after the other takes a row, some twice the same.
  private func table(_ fixture: MaintenanceFixture, properties: [String: String] = [:]) throws
    -> Table
  {
    var table = try fixture.table(properties: properties).appending(files: 4)
    let paths = try table.dataFiles().map(\.path)
    for index in 0..<6 {
      var delete = try table.positionDeletes(
        "d\(index)", of: paths[index % 4], [Int64(index % 5), Int64(9 - index % 2)])
      delete.referencedDataFile = paths[index % 4]
      table = try table.deleting([delete])
    }
    return table
  }

  @Test func manyDeleteFilesBecomeOneAndDeleteTheSame() throws {
    let fixture = try MaintenanceFixture()
    let table = try table(fixture)
    let rows = try table.sortedRows()
    let plan = try RewritePositionDeleteFiles(table, options: .init()).plan()
    #expect(plan.candidateCount == 6 && plan.fileCount == 6)
    let result = try rewrite(table)
    #expect(result.rewrittenCount == 6 && result.addedCount == 1, "\(result.failures)")
    #expect(try deleteFiles(table).count == 1)
    #expect(try table.sortedRows() == rows && rows.count < 32)
    let snapshot = try #require(result.table.metadata.currentSnapshot)
    #expect(
      snapshot.operation == .replace && snapshot.summary["removed-position-delete-files"] == "6")
    #expect(snapshot.summary["added-position-delete-files"] == "1")
    #expect(try rewrite(table).rewrittenCount == 0)
  }

  @Test func whereDeletesAreToBePerDataFileTheyAreMergedByDataFile() throws {
    let fixture = try MaintenanceFixture()
    let table = try table(fixture, properties: ["write.delete.granularity": "file"])
    let rows = try table.sortedRows()
    // Two data files have two delete files each.
    let result = try rewrite(table, ["min-input-files": "2"])
    #expect(result.rewrittenCount == 4 && result.addedCount == 2)
    #expect(try deleteFiles(table).allSatisfy { $0.referencedDataFile != nil })
    #expect(try deleteFiles(table).count == 4)
    #expect(try table.sortedRows() == rows)
    #expect(try rewrite(table, ["min-input-files": "2"]).rewrittenCount == 0)
  }

  @Test func whatIsSaidOfFilesThatAreGoneIsDropped() throws {
    let fixture = try MaintenanceFixture()
    var table = try fixture.table().appending(files: 2)
    let path = try #require(table.dataFiles().first?.path)
    for index in 0..<5 {
      table = try table.deleting([
        try table.positionDeletes(
          "d\(index)",
          of: [(path, Int64(index)), ("file:///gone.parquet", 1), ("file:///gone.parquet", 2)])
      ])
    }
    let rows = try table.sortedRows()
    let result = try rewrite(table)
    #expect(result.rewrittenCount == 5 && result.addedCount == 1 && result.droppedRecordCount == 10)
    let file = try #require(deleteFiles(table).first)
    #expect(file.recordCount == 5 && file.referencedDataFile == path)
    #expect(try table.sortedRows() == rows)
  }

  @Test func inATableOfVersionThreeTheyBecomeVectors() throws {
    let fixture = try MaintenanceFixture()
    var table = try table(fixture)
    var upgrade = table.newCommit()
    upgrade.upgradeFormatVersion(to: 3)
    table = try upgrade.commit().table
    let rows = try table.sortedRows()
    let result = try rewrite(table)
    #expect(result.rewrittenCount == 6 && result.addedCount == 4)
    #expect(
      try deleteFiles(table).allSatisfy { $0.isDeletionVector && $0.referencedDataFile != nil })
    #expect(try table.sortedRows() == rows)
    #expect(try rewrite(table).rewrittenCount == 0)
  }

  @Test func filesThatWentMeanwhileAreLeftOut() throws {
    let fixture = try MaintenanceFixture()
    let table = try table(fixture)
    let job = RewritePositionDeleteFiles(table, options: try .init())
    let plan = try job.plan()
    let compaction = try RewriteDataFiles(
      table, options: RewriteDataFilesOptions(["rewrite-all": "true"]))
    _ = try compaction.execute(compaction.plan())
    let rows = try table.sortedRows()
    let result = try job.execute(plan)
    #expect(result.rewrittenCount == 0 && result.failures.isEmpty)
    #expect(try table.sortedRows() == rows)
  }

  @Test func aDeleteFileThatIsMissingFailsItsGroupAndNothingChanges() throws {
    let fixture = try MaintenanceFixture()
    let table = try table(fixture)
    try FileManager.default.removeItem(
      atPath: try Location.path(of: table.location + "/data/d3.parquet"))
    let before = try fixture.files(of: table)
    let result = try rewrite(table)
    #expect(result.failures.count == 1 && result.rewrittenCount == 0)
    #expect(
      try fixture.files(of: table).filter { $0.hasPrefix("data/") }
        == before.filter { $0.hasPrefix("data/") })
  }

  @Test func unknownOptionsAreRefused() {
    let error = #expect(throws: IcebergError.self) {
      try RewritePositionDeleteFiles.Options(["delete-file-threshold": "2"])
    }
    #expect(error?.message.contains("[delete-file-threshold]") == true)
  }
}
