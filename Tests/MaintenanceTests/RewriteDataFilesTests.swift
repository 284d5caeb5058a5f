import Foundation
import Iceberg
import JSON
import Storage
import Testing

/// Compaction of real tables.
@Suite struct RewriteDataFilesTests {
  private func rewrite(
    _ table: Table, _ options: [String: String] = [:],
    progress: MaintenanceProgress.Report? = nil
  ) throws -> RewriteDataFilesResult {
    let job = try RewriteDataFiles(table, options: RewriteDataFilesOptions(options))
    return try job.execute(job.plan(), progress: progress)
  }

  @Test func theRowsAreTheSameBeforeAndAfter() throws {
    let fixture = try MaintenanceFixture()
    let table = try fixture.table().appending(files: 12)
    let before = try table.sortedRows()
    let result = try rewrite(table)
    #expect(result.rewrittenFileCount == 12 && result.addedFileCount == 1)
    #expect(result.rowCount == 120 && result.failures.isEmpty && result.commitCount == 1)
    #expect(try table.dataFiles().count == 1)
    #expect(try table.sortedRows() == before)
    #expect(result.table.metadata.currentSnapshot?.operation == .replace)
  }

  /// What other engines look for conflicts by stays where rows are gone, and where files live on.
  @Test func replacedFilesAloneKeepNoStatistics() throws {
    let fixture = try MaintenanceFixture()
    let appended = try fixture.table(properties: ["commit.manifest.min-count-to-merge": "2"])
      .appending(files: 6)
    let table = try rewrite(appended, ["max-file-group-input-files": "5"]).table
    let replaced = try TableInspection(table).entries().filter { $0.status == .deleted }
    #expect(replaced.count == 5)
    for entry in replaced {
      let file = entry.dataFile
      #expect(file.valueCounts.isEmpty && file.lowerBounds.isEmpty && file.columnSizes.isEmpty)
      #expect(file.recordCount == 10 && file.fileSizeInBytes > 0 && entry.sequenceNumber != nil)
    }
    let files = try TableInspection(table).files()
    #expect(files.count == 2)
    #expect(files.allSatisfy { !$0.valueCounts.isEmpty && !$0.lowerBounds.isEmpty })
    let all = try table.deleteRows(where: .comparison("id", .greaterOrEqual, .long(0))).table
    let gone = try TableInspection(all).entries().filter { $0.status == .deleted }
    #expect(!gone.isEmpty && gone.allSatisfy { !$0.dataFile.lowerBounds.isEmpty })
  }

  @Test func rowsKeepTheOrderInWhichTheyCame() throws {
    let fixture = try MaintenanceFixture()
    let table = try fixture.table().appending(files: 7)
    _ = try rewrite(table)
    #expect(try table.allRows().map(\.id) == Array(0..<70))
  }

  /// Small files that are coalesced, of two schemas, between ones with deleted rows and one that fills many
  /// batches, read by several threads.
  @Test(arguments: [1, 2, 5])
  func filesOfAllKindsKeepTheirOrder(threadCount: Int) throws {
    let fixture = try MaintenanceFixture()
    var table = try fixture.table(properties: ["write.delete.mode": "merge-on-read"])
    var (next, expected): (Int64, [Int64]) = (0, [])
    func append(_ count: Int64) throws {
      let ids = Array(next..<(next + count))
      table = try table.appending(ids)
      next += count
      expected += ids
    }
    for _ in 0..<9 { try append(3) }
    table = try table.deleteRows(where: .comparison("id", .equal, .long(13))).table
    expected.removeAll { $0 == 13 }
    for _ in 0..<4 { try append(2) }
    try append(150_000)
    for _ in 0..<5 { try append(1) }
    var evolution = table.newCommit()
    evolution.addColumns([.optional(99, "extra", .string)])
    table = try evolution.commit().table
    #expect(try table.newScan().planFiles().tasks.contains { !$0.deletes.isEmpty })
    var job = try RewriteDataFiles(
      table, options: RewriteDataFilesOptions(["rewrite-all": "true"]))
    job.threadCount = threadCount
    let result = try job.execute(job.plan())
    #expect(result.rewrittenFileCount == 19 && result.removedRowCount == 1)
    #expect(try table.allRows().map(\.id) == expected)
  }

  @Test func aSecondRunFindsNothingToDo() throws {
    let fixture = try MaintenanceFixture()
    let table = try fixture.table().appending(files: 6)
    let first = try rewrite(table)
    let again = try RewriteDataFiles(first.table).plan()
    #expect(again.files.isEmpty)
    let second = try rewrite(first.table)
    #expect(
      second.commitCount == 0 && second.table.metadataLocation == first.table.metadataLocation)
  }

  @Test func aDryRunChangesNothing() throws {
    let fixture = try MaintenanceFixture()
    let table = try fixture.table().appending(files: 6)
    let before = try fixture.files(of: table)
    let plan = try RewriteDataFiles(table).plan()
    #expect(plan.files.fileCount == 6 && plan.description.contains("6 to rewrite"))
    #expect(plan.json.objectValue?["snapshot"] != nil)
    #expect(try fixture.files(of: table) == before)
  }

  @Test func s45InputsAreNeverDeletedHere() throws {
    let fixture = try MaintenanceFixture()
    let table = try fixture.table().appending(files: 6)
    let before = try fixture.files(of: table).filter { $0.hasPrefix("data/") }
    _ = try rewrite(table)
    #expect(try fixture.files(of: table).isSuperset(of: before))
  }

  @Test func s45AnOldHandleRewritesTheTableAsItIsNow() throws {
    let fixture = try MaintenanceFixture()
    let old = try fixture.table().appending(files: 5)
    let new = try old.appending([100, 101])
    let before = try new.sortedRows()
    let result = try rewrite(old)
    #expect(result.rewrittenFileCount == 6)
    #expect(try new.sortedRows() == before)
  }

  @Test func vacuumAfterwardsLeavesOnlyTheNewFile() throws {
    let fixture = try MaintenanceFixture()
    let table = try fixture.table().appending(files: 6)
    let before = try table.sortedRows()
    let result = try rewrite(table)
    var options = VacuumOptions()
    options.olderThanMilliseconds = .max
    let vacuum = Vacuum(result.table, options: options)
    let cleaned = try vacuum.execute(vacuum.plan())
    #expect(cleaned.failure == nil && cleaned.deleted[.data]?.files == 6)
    #expect(try fixture.files(of: table).filter { $0.hasPrefix("data/") }.count == 1)
    #expect(try table.sortedRows() == before)
  }

  @Test func anAppendDuringTheRewriteSurvivesWithIt() throws {
    let fixture = try MaintenanceFixture()
    let table = try fixture.table().appending(files: 6)
    let job = try RewriteDataFiles(table)
    let plan = try job.plan()
    let appended = try table.appending([1000, 1001])
    let before = try appended.sortedRows()
    let result = try job.execute(plan)
    #expect(result.failures.isEmpty && result.commitCount == 1)
    #expect(try table.sortedRows() == before)
    #expect(try table.dataFiles().count == 2)
  }

  @Test func s26AFileThatIsGoneMeanwhileIsAConflictAndNothingChanges() throws {
    let fixture = try MaintenanceFixture()
    let table = try fixture.table().appending(files: 6)
    let job = try RewriteDataFiles(
      table, options: RewriteDataFilesOptions(["partial-progress.enabled": "false"]))
    let plan = try job.plan()
    var removal = table.newCommit()
    removal.overwrite([try #require(table.dataFiles().first)], with: [])
    _ = try removal.commit()
    let before = try table.sortedRows()
    let files = try fixture.files(of: table).filter { $0.hasPrefix("data/") }
    let error = #expect(throws: IcebergError.self) { try job.execute(plan) }
    #expect(error?.kind == .validationFailed)
    #expect(try table.sortedRows() == before)
    // And what was written for nothing is gone.
    #expect(try fixture.files(of: table).filter { $0.hasPrefix("data/") } == files)
  }

  @Test func withPartialProgressOneConflictDoesNotHoldUpOtherGroups() throws {
    let fixture = try MaintenanceFixture()
    let table = try fixture.table().appending(files: 6)
    let size = try #require(table.dataFiles().map(\.fileSizeInBytes).max())
    let job = try RewriteDataFiles(
      table,
      options: RewriteDataFilesOptions([
        "max-file-group-size-bytes": "\(size * 2)", "min-input-files": "2",
        "partial-progress.max-commits": "1",
      ]))
    let plan = try job.plan()
    #expect(plan.files.groups.count == 3)
    var removal = table.newCommit()
    removal.overwrite([try #require(table.dataFiles().last)], with: [])
    _ = try removal.commit()
    let before = try table.sortedRows()
    let result = try job.execute(plan)
    #expect(result.commitCount == 2 && result.failures.isEmpty && result.replannedGroupCount == 1)
    // One file is left of the group that was changed: not worth a rewrite.
    #expect(result.rewrittenFileCount == 4)
    #expect(try table.sortedRows() == before)
  }

  @Test func whatAConflictInvalidatedIsPlannedAgainOnTheNewHead() throws {
    let fixture = try MaintenanceFixture()
    let table = try fixture.table().appending(files: 12)
    let job = try RewriteDataFiles(table)
    let plan = try job.plan()
    var removal = table.newCommit()
    removal.overwrite([try #require(table.dataFiles().first)], with: [])
    _ = try removal.commit()
    let before = try table.sortedRows()
    let result = try job.execute(plan)
    #expect(result.failures.isEmpty && result.replannedGroupCount == 1)
    // In groups of half the size, so that the next conflict costs less.
    #expect(result.rewrittenFileCount == 11 && result.addedFileCount == 2)
    #expect(try table.sortedRows() == before)
    let files = try fixture.files(of: table).filter { $0.hasPrefix("data/") }
    #expect(files.count == 12 + 2)
  }

  /// Somebody deletes rows of every file again and again: what cannot be rewritten is left, the rest is.
  @Test func somebodyWhoAlwaysChangesAFileHoldsUpItsGroupAlone() throws {
    let fixture = try MaintenanceFixture()
    let table = try fixture.table(properties: ["write.delete.mode": "merge-on-read"])
      .appending(files: 40)
    var job = try RewriteDataFiles(table)
    let calls = Lock<Int64>(0)
    // While a group is read, one more row of the first file goes.
    job.isStopped = {
      let call = calls.withLock { value in
        defer { value += 1 }
        return value
      }
      if call % 3 == 1, call / 3 < 9 {
        let filter = FilterExpression.comparison("id", .equal, .long(call / 3))
        do { _ = try table.refresh().deleteRows(where: filter) } catch { Issue.record(error) }
      }
      return false
    }
    let plan = try job.plan()
    let result = try job.execute(plan)
    #expect(result.rewrittenFileCount >= 30, "\(result.json)")
    #expect(result.failedFileCount <= 10 && result.replannedGroupCount >= 1)
    let deleted = min(9, (calls.withLock { $0 } + 1) / 3)
    #expect(try table.sortedRows().count == 400 - Int(deleted))
  }

  @Test(arguments: [1, 2, 4])
  func groupsAreRewrittenSideBySide(threadCount: Int) throws {
    let fixture = try MaintenanceFixture()
    let table = try fixture.table().appending(files: 24)
    let size = try #require(table.dataFiles().map(\.fileSizeInBytes).max())
    var job = try RewriteDataFiles(
      table,
      options: RewriteDataFilesOptions([
        "max-file-group-size-bytes": "\(size * 3)", "min-input-files": "2",
        "max-concurrent-file-group-rewrites": "3", "partial-progress.max-commits": "4",
      ]))
    job.threadCount = threadCount
    let seen = Seen()
    let before = try table.sortedRows()
    let result = try job.execute(job.plan()) { seen.append($0) }
    #expect(result.rewrittenFileCount == 24 && result.addedFileCount == 8)
    #expect(result.commitCount == 4 && result.failures.isEmpty)
    #expect(seen.values.map(\.filesDone) == Array(1...24))
    #expect(try table.sortedRows() == before)
  }

  @Test func aRewriteThatIsStoppedKeepsWhatItFinishedAndReportsTheRest() throws {
    let fixture = try MaintenanceFixture()
    let table = try fixture.table().appending(files: 12)
    let size = try #require(table.dataFiles().map(\.fileSizeInBytes).max())
    var job = try RewriteDataFiles(
      table,
      options: RewriteDataFilesOptions([
        "max-file-group-size-bytes": "\(size * 3)", "min-input-files": "2",
        "max-concurrent-file-group-rewrites": "1",
      ]))
    let seen = Seen()
    job.isStopped = { (seen.values.last?.filesDone ?? 0) >= 6 }
    let before = try table.sortedRows()
    let result = try job.execute(job.plan()) { seen.append($0) }
    #expect(result.rewrittenFileCount + result.failedFileCount == 12)
    #expect(result.rewrittenFileCount >= 3 && result.failedFileCount >= 6, "\(result.json)")
    #expect(result.failures.allSatisfy { $0.error.kind == .cancelled })
    #expect(try table.sortedRows() == before)
    // Nothing is left of what was not finished.
    let data = try fixture.files(of: table).filter { $0.hasPrefix("data/") }
    #expect(data.count == 12 + result.addedFileCount)
  }

  @Test func withoutPartialProgressAConflictThrows() throws {
    let fixture = try MaintenanceFixture()
    let table = try fixture.table().appending(files: 6)
    let job = try RewriteDataFiles(
      table, options: RewriteDataFilesOptions(["partial-progress.enabled": "false"]))
    let plan = try job.plan()
    var removal = table.newCommit()
    removal.overwrite([try #require(table.dataFiles().first)], with: [])
    _ = try removal.commit()
    #expect(throws: IcebergError.self) { try job.execute(plan) }
  }

  @Test func commitsAreSpreadOverTheGroups() throws {
    let fixture = try MaintenanceFixture()
    let table = try fixture.table().appending(files: 10)
    let size = try #require(table.dataFiles().map(\.fileSizeInBytes).max())
    let result = try rewrite(
      table,
      [
        "max-file-group-size-bytes": "\(size * 2)", "min-input-files": "2",
        "partial-progress.max-commits": "3",
      ])
    #expect(result.commitCount == 3 && result.rewrittenFileCount == 10)
    #expect(try table.sortedRows().map(\.id) == Array(0..<100))
  }

  @Test func aMissingInputFailsItsGroupAlone() throws {
    let fixture = try MaintenanceFixture()
    let table = try fixture.table().appending(files: 6)
    let path = try #require(table.dataFiles().first?.path)
    let bytes = try Data(contentsOf: URL(fileURLWithPath: Location.path(of: path)))
    try FileManager.default.removeItem(atPath: Location.path(of: path))
    let result = try rewrite(table)
    #expect(result.commitCount == 0 && result.failures.count == 1)
    try bytes.write(to: URL(fileURLWithPath: Location.path(of: path)))
    #expect(try table.sortedRows().count == 60)
  }

  @Test func s23AFileWithOtherRowsThanTheTableSaysIsNotRewritten() throws {
    let fixture = try MaintenanceFixture()
    var table = try fixture.table().appending(files: 5)
    var lying = try table.writeFiles([[500, 501, 502]])
    lying[0].recordCount = 4
    table = try table.newAppend(lying).commit().table
    let result = try rewrite(table)
    #expect(result.commitCount == 0 && result.failures.count == 1)
    // Nor read: rows that the table counts on are not there.
    #expect(throws: IcebergError.self) { try table.sortedRows() }
  }

  @Test func largeFilesAreSplit() throws {
    let fixture = try MaintenanceFixture()
    var table = try fixture.table()
    let writer = try DataFileWriter(table)
    // Several batches, since a file ends between batches.
    for start in stride(from: Int64(0), to: 80_000, by: 4000) {
      try writer.write(recordBatch((start..<(start + 4000)).map { TableRow($0) }))
    }
    table = try table.newAppend(try writer.finish()).commit().table
    let size = try #require(table.dataFiles().first?.fileSizeInBytes)
    let before = try table.sortedRows()
    let result = try rewrite(table, ["target-file-size-bytes": "\(size / 4)"])
    #expect(result.addedFileCount > 1)
    #expect(try table.sortedRows() == before)
  }

  @Test func partitionsStayApart() throws {
    let fixture = try MaintenanceFixture()
    let spec = PartitionSpec(fields: [
      PartitionField(sourceID: 2, fieldID: 1000, name: "ts_day", transform: .day)
    ])
    var table = try fixture.table(spec: spec)
    for index in 0..<6 as Range<Int64> {
      table = try table.appending((0..<4).map { $0 * 24 + index })
    }
    let before = try table.sortedRows()
    let result = try rewrite(table)
    #expect(result.rewrittenFileCount == 24 && result.addedFileCount == 4)
    #expect(try Set(table.dataFiles().map(\.partition)).count == 4)
    #expect(try table.sortedRows() == before)
  }

  @Test func aFilterChoosesFiles() throws {
    let fixture = try MaintenanceFixture()
    let table = try fixture.table().appending(files: 12)
    var job = try RewriteDataFiles(table)
    job.filter = .comparison("id", .less, .long(60))
    let result = try job.execute(job.plan())
    #expect(result.rewrittenFileCount == 6)
    #expect(try table.sortedRows().map(\.id) == Array(0..<120))
  }

  @Test func thePositionOfALogFollowerIsCarriedOn() throws {
    let fixture = try MaintenanceFixture()
    var table = try fixture.table().appending(files: 6)
    let job = try RewriteDataFiles(table)
    let plan = try job.plan()
    // A flush meanwhile moves it on.
    var commit = table.newCommit()
    commit.append(try table.writeFiles([[900]]))
    commit.setProperties(["fstore.lsn": "77", "fstore.store-id": "s"])
    table = try commit.commit().table
    let result = try job.execute(plan)
    #expect(result.table.properties["fstore.lsn"] == "77")
    let snapshot = try #require(result.table.metadata.currentSnapshot)
    #expect(snapshot.summary["fstore.lsn"] == "77" && snapshot.summary["fstore.store-id"] == "s")
  }

  @Test func progressGoesUpToTheTotal() throws {
    let fixture = try MaintenanceFixture()
    let table = try fixture.table().appending(files: 6)
    let seen = Seen()
    _ = try rewrite(table) { seen.append($0) }
    #expect(seen.values.map(\.filesDone) == Array(1...6))
    #expect(seen.values.last?.bytesDone == seen.values.last?.bytesTotal)
  }

  @Test func addedColumnsAndOldFilesGoTogether() throws {
    let fixture = try MaintenanceFixture()
    var table = try fixture.table().appending(files: 5)
    var evolution = table.newCommit()
    evolution.addColumns([.optional(99, "extra", .string)])
    table = try evolution.commit().table
    let result = try rewrite(table)
    #expect(result.rewrittenFileCount == 5)
    #expect(try table.sortedRows().map(\.id) == Array(0..<50))
  }

  @Test func anEmptyTableNeedsNothing() throws {
    let fixture = try MaintenanceFixture()
    let table = try fixture.table()
    let result = try rewrite(table)
    #expect(result.commitCount == 0 && result.table.metadata.currentSnapshot == nil)
  }

  @Test func s31ExpiringTheStartingSnapshotIsAClearFailure() throws {
    let fixture = try MaintenanceFixture()
    var table = try fixture.table().appending(files: 6)
    let job = try RewriteDataFiles(table)
    let plan = try job.plan()
    fixture.clock.advance(milliseconds: 1000)
    table = try table.appending([900])
    var alone = try RewriteDataFiles(
      table, options: RewriteDataFilesOptions(["partial-progress.enabled": "false"]))
    alone.commitOptions = job.commitOptions
    var expiry = table.newCommit()
    expiry.removeSnapshots(table.metadata.snapshots.dropLast().map(\.snapshotID))
    _ = try expiry.commit()
    let error = #expect(throws: IcebergError.self) { try alone.execute(plan) }
    #expect(error?.kind == .validationFailed)
    // With partial progress it is planned again.
    let result = try job.execute(plan)
    #expect(result.failures.isEmpty && result.replannedGroupCount == 1)
    #expect(try table.sortedRows().count == 61)
  }
}
