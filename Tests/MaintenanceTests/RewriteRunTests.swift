import Iceberg
import Storage
import TestSupport
import Testing

/// Tables of more files than one plan holds.
@Suite struct RewriteRunTests {
  private func job(
    _ table: Table, _ options: [String: String] = [:], plannedFiles: Int
  ) throws -> RewriteDataFiles {
    var job = try RewriteDataFiles(table, options: RewriteDataFilesOptions(options))
    job.plannedFileLimit = plannedFiles
    return job
  }

  @Test func onePlanAfterTheOtherUntilNothingIsLeft() throws {
    let fixture = try MaintenanceFixture()
    let table = try fixture.table().appending(files: 23)
    let before = try table.sortedRows()
    let job = try job(table, plannedFiles: 6)
    let plan = try job.plan().files
    #expect(plan.isCut && plan.moreRunsNeeded && plan.fileCount == 6)
    #expect(plan.description.hasPrefix("the first 6 candidate files"))
    let seen = Lock([MaintenanceProgress]())
    let result = try job.run { progress in seen.withLock { $0.append(progress) } }
    // Each plan takes the file of the one before, too.
    #expect(result.planCount == 5 && result.commitCount == 4 && result.failures.isEmpty)
    #expect(result.rewrittenFileCount == 24 && result.addedFileCount == 4)
    #expect(try result.table.dataFiles().count == 3)
    #expect(try result.table.sortedRows() == before)
    let done = seen.withLock { $0 }.map(\.filesDone)
    #expect(done == Array(1...24))
    #expect(seen.withLock { $0 }.allSatisfy { $0.filesDone <= $0.filesTotal })
    #expect(seen.withLock { $0[0].filesTotal } == 23)
  }

  @Test func aTableThatOnePlanHoldsHasOne() throws {
    let fixture = try MaintenanceFixture()
    let table = try fixture.table().appending(files: 6)
    let job = try job(table, plannedFiles: 6)
    #expect(try !job.plan().files.isCut)
    let result = try job.run()
    #expect(result.planCount == 1 && result.rewrittenFileCount == 6)
    #expect(try job.run().commitCount == 0)
  }

  /// The least that a plan can be asked to hold.
  @Test func plansOfOneFileComeToAnEnd() throws {
    let fixture = try MaintenanceFixture()
    let table = try fixture.table().appending(files: 7)
    let result = try job(table, plannedFiles: 1).run()
    #expect(try result.table.dataFiles().count < 5)
  }

  @Test func filesThatStayDoNotHideThoseBehindThem() throws {
    let fixture = try MaintenanceFixture()
    var table = try fixture.table().appending(files: 10)
    for first in 0..<9 { table = try table.appending((0..<4000).map { Int64(first * 5000 + $0) }) }
    let sizes = try table.dataFiles().map(\.fileSizeInBytes).sorted()
    #expect(sizes[9] * 2 < sizes[10])
    let job = try job(
      table, ["target-file-size-bytes": "\(sizes[18])", "min-file-size-bytes": "\(sizes[10])"],
      plannedFiles: 4)
    let result = try job.run()
    #expect(result.rewrittenFileCount == 10 && result.planCount == 1)
  }

  @Test func aGroupThatFailedIsLeftOutOfThePlansThatFollow() throws {
    let fixture = try MaintenanceFixture()
    let table = try fixture.table().appending(files: 20)
    var job = try job(table, plannedFiles: 6)
    // Else it would go on for ever.
    let asked = Lock(0)
    job.isStopped = {
      asked.withLock {
        $0 += 1
        return $0 > 500
      }
    }
    let missing = try job.plan().files.groups[0].files[0].path
    try table.io.delete(missing)
    let result = try job.run()
    #expect(result.failures.count == 1 && result.failures[0].error.kind == .notFound)
    // Six of the other fourteen became one, and with five more another.
    #expect(result.rewrittenFileCount == 12 && result.commitCount == 2)
    #expect(try result.table.dataFiles().count == 10)
  }

  @Test func aLimitOfFilesIsOneOfAllPlans() throws {
    let fixture = try MaintenanceFixture()
    let table = try fixture.table().appending(files: 20)
    let result = try job(table, ["max-files-to-rewrite": "8"], plannedFiles: 6).run()
    #expect(result.rewrittenFileCount == 8 && result.planCount == 2)
  }

  @Test func whatIsToBeOneCommitIsOnePlan() throws {
    let fixture = try MaintenanceFixture()
    let table = try fixture.table().appending(files: 20)
    let job = try job(table, ["partial-progress.enabled": "false"], plannedFiles: 6)
    #expect(try !job.plan().files.isCut)
    let result = try job.run()
    #expect(result.rewrittenFileCount == 20 && result.commitCount == 1)
  }

  @Test func aCommitReadsTheManifestsOfItsFilesAlone() throws {
    let fileSystem = FailingFileSystem(POSIXFileSystem())
    let fixture = try MaintenanceFixture(fileSystem: fileSystem)
    let table = try fixture.table().appending(files: 20)
    let job = try job(table, plannedFiles: 6)
    let plan = try job.plan()
    let opened = Lock(Set<String>())
    fileSystem.watch { operation, path in
      if operation == "open", path.hasSuffix("-m0.avro") {
        opened.withLock { _ = $0.insert(path) }
      }
    }
    let result = try job.execute(plan)
    #expect(result.rewrittenFileCount == 6)
    // And the new one.
    #expect(opened.withLock { $0.count } == 7)
  }
}
