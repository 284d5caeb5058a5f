public import JSON
import Storage

/// Rewrites small, large and much-deleted data files into files of the target size: compaction.
///
/// Bin-packing: rows keep their order, files are read from the oldest to the newest; or rows are sorted, or laid along
/// a Z-order curve. Inputs are never deleted here, that is `Vacuum`'s work once no snapshot speaks of them. Every
/// commit checks that as many rows went in as come out.
public struct RewriteDataFiles: Sendable {
  /// Table properties that each snapshot made here repeats in its summary, with the values of the
  /// head it is committed on: so the position of a log follower survives in every snapshot.
  public static let defaultSummaryProperties: Set<String> = ["fstore.lsn", "fstore.store-id"]

  public let table: Table
  public var options: RewriteDataFilesOptions
  /// Only files that may have matching rows are looked at; those are taken whole.
  public var filter: FilterExpression {
    get { options.filter }
    set { options.filter = newValue }
  }
  public var summaryProperties = RewriteDataFiles.defaultSummaryProperties
  /// How commits go about conflicts.
  public var commitOptions = CommitOptions()
  /// Threads that decode a group, and groups that are rewritten at a time if the options allow so many.
  public var threadCount = RewriteDataFiles.defaultThreadCount
  /// As many as there are processors, four at most: more only wait for the one that encodes.
  public static let defaultThreadCount = min(4, Processors.count)

  /// How many files a plan holds, about a kilobyte each. Of a table with more, a plan ends with the first so many
  /// files in the order of the scan of which at least half are in its groups, and says that more runs are needed;
  /// `run` makes one plan after the other.
  public var plannedFileLimit = 100_000

  /// Asked between batches; once true, what is finished is committed, and the rest is left and reported.
  public var isStopped: @Sendable () -> Bool = { false }

  public init(
    _ table: Table, options: RewriteDataFilesOptions = RewriteDataFilesOptions()
  ) throws(IcebergError) {
    try options.validate()
    self.table = table
    self.options = options
  }

  /// Chooses files of the table as it is now, which the catalog says, not the caller's handle.
  ///
  /// Memory: that of the plan, which `plannedFileLimit` bounds.
  public func plan() throws(IcebergError) -> RewriteDataFilesPlan {
    try plan(filesPerGroup: .max) { _ in true }
  }

  /// The same for some files of the table, in groups of at most so many files.
  func plan(
    filesPerGroup: Int64, where isWanted: (String) -> Bool
  ) throws(IcebergError) -> RewriteDataFilesPlan {
    let head = try table.refresh()
    guard head.metadata.formatVersion >= 2 || head.metadata.currentSnapshot == nil else {
      throw IcebergError(
        .unsupported, "tables of format version 1 are not rewritten here: upgrade the table first")
    }
    // What cannot be done is said before anything is.
    _ = try RowOrder(options, head)
    var scan = head.newScan()
    scan.filter = filter
    let stream = try scan.tasks()
    var options = options
    options.maxFileGroupInputFiles = min(options.maxFileGroupInputFiles, filesPerGroup)
    let planner = try BinPackPlanner(options)
    var deletedPaths = DeletedPaths(head.io)
    var tasks: [String: FileScanTask] = [:]
    var candidates: [RewriteCandidate] = []
    let outputSpecID = try options.outputSpec(head.metadata).specID
    // Without partial progress there is one commit, or nothing has changed.
    var limit = options.isPartialProgressEnabled ? max(1, plannedFileLimit) : .max
    var files: RewriteFilePlan?
    while let task = try stream.next() {
      guard isWanted(task.dataFile.path) else { continue }
      if candidates.count >= limit {
        var cut = planner.plan(candidates, outputSpecID: outputSpecID)
        cut.isCut = true
        // Else files that are to stay would be all that is ever looked at.
        if 2 * cut.fileCount >= candidates.count {
          files = cut
          break
        }
        limit = 2 * candidates.count
      }
      // The same path twice would be a damaged table; rewriting it would hide that.
      guard tasks.updateValue(task, forKey: task.dataFile.path) == nil else {
        throw IcebergError(
          .invalidMetadata, "'\(task.dataFile.path)' is in the table twice: it is not rewritten")
      }
      var candidate = RewriteCandidate(task)
      // Deletes of the partition that speak of other files are no reason: after the rewrite they would be one again.
      if !options.rewriteAll, planner.hasTooManyDeletes(candidate) {
        candidate.deleteFileCount = task.deletes.count {
          deletedPaths.mayApply($0.dataFile, to: candidate.path)
        }
      }
      candidates.append(candidate)
    }
    let chosen = files ?? planner.plan(candidates, outputSpecID: outputSpecID)
    try addStatistics(to: &tasks, of: chosen, scan)
    return RewriteDataFilesPlan(
      table: head, startingSnapshot: stream.snapshot, files: chosen, tasks: tasks)
  }
}

/// What a rewrite will do: the choice of files, and the version of the table that they were chosen
/// from.
public struct RewriteDataFilesPlan: Sendable {
  public let table: Table
  /// nil for an empty table.
  public let startingSnapshot: Snapshot?
  public let files: RewriteFilePlan
  /// By the path of the data file.
  let tasks: [String: FileScanTask]

  /// The plan for a dry run.
  public var json: JSONValue {
    var object = files.json.objectValue ?? JSONObject()
    object["snapshot"] = startingSnapshot.map { .integer($0.snapshotID) } ?? .null
    return .object(object)
  }
}

extension RewriteDataFilesPlan: CustomStringConvertible {
  public var description: String { files.description }
}

/// What a rewrite did.
public struct RewriteDataFilesResult: Sendable {
  /// A group that was not rewritten, and why. Its inputs are untouched.
  public struct Failure: Sendable {
    public var group: RewriteFileGroup
    public var error: IcebergError
    /// Whether another run may succeed: somebody else changed the same files.
    public var isConflict: Bool { error.kind == .validationFailed || error.isRetryable }
  }

  /// The table after the last commit.
  public var table: Table
  /// How many plans were made, one after the other.
  public var planCount = 1
  public var rewrittenFileCount = 0
  public var rewrittenBytes: Int64 = 0
  /// Of the rewritten files those whose row groups were copied, without decoding them.
  public var copiedFileCount = 0
  public var copiedBytes: Int64 = 0
  public var addedFileCount = 0
  public var addedBytes: Int64 = 0
  public var rowCount: Int64 = 0
  /// Rows left out because delete files had removed them.
  public var removedRowCount: Int64 = 0
  public var commitCount = 0
  /// Groups that were planned again because somebody else had changed their files.
  public var replannedGroupCount = 0
  public var failures: [Failure] = []
  /// Delete files that were taken out because they apply to nothing any more, beside those that went with
  /// their data files.
  public var removedDeleteFileCount = 0
  /// Why those could not be taken out. Nothing depends on it: another run tries again.
  public var danglingDeletesError: IcebergError?
  /// A commit's outcome is not known: nothing that it wrote was removed.
  public var unknownCommit: IcebergError?

  public var failedFileCount: Int { failures.reduce(0) { $0 + $1.group.files.count } }

  public init(table: Table) { self.table = table }

  /// Takes in what was done after this by another plan of the same job.
  mutating func add(_ other: RewriteDataFilesResult) {
    table = other.table
    planCount += other.planCount
    rewrittenFileCount += other.rewrittenFileCount
    rewrittenBytes = rewrittenBytes.addingSaturated(other.rewrittenBytes)
    copiedFileCount += other.copiedFileCount
    copiedBytes = copiedBytes.addingSaturated(other.copiedBytes)
    addedFileCount += other.addedFileCount
    addedBytes = addedBytes.addingSaturated(other.addedBytes)
    rowCount = rowCount.addingSaturated(other.rowCount)
    removedRowCount = removedRowCount.addingSaturated(other.removedRowCount)
    commitCount += other.commitCount
    replannedGroupCount += other.replannedGroupCount
    failures += other.failures
    unknownCommit = unknownCommit ?? other.unknownCommit
  }

  /// Whether more plans would fare no better: the disk is full or not writable, or too many commits failed.
  var isHopeless: Bool {
    failures.contains { $0.error.kind == .cancelled || $0.error.saysDiskIsUnusable }
  }

  public var json: JSONValue {
    [
      "rewritten-files": .integer(Int64(rewrittenFileCount)),
      "rewritten-bytes": .integer(rewrittenBytes),
      "copied-files": .integer(Int64(copiedFileCount)), "copied-bytes": .integer(copiedBytes),
      "added-files": .integer(Int64(addedFileCount)), "added-bytes": .integer(addedBytes),
      "rows": .integer(rowCount), "removed-rows": .integer(removedRowCount),
      "plans": .integer(Int64(planCount)), "commits": .integer(Int64(commitCount)),
      "replanned-groups": .integer(Int64(replannedGroupCount)),
      "failed-files": .integer(Int64(failedFileCount)),
      "failures": .array(failures.map { .string($0.error.description) }),
      "removed-delete-files": .integer(Int64(removedDeleteFileCount)),
      "dangling-deletes-error": danglingDeletesError.map { .string($0.description) } ?? .null,
      "unknown-commit": unknownCommit.map { .string($0.description) } ?? .null,
    ]
  }
}

extension RewriteCandidate {
  fileprivate init(_ task: FileScanTask) {
    let file = task.dataFile
    self.init(
      path: file.path, sizeBytes: file.fileSizeInBytes, recordCount: file.recordCount,
      specID: file.specID, partition: file.partition, deleteFileCount: task.deletes.count)
    for delete in task.deletes
    where delete.dataFile.content == .positionDeletes
      && DeleteFileIndex.referencedPath(delete.dataFile) != nil
    {
      fileScopedDeletedRecordCount = fileScopedDeletedRecordCount.addingSaturated(
        delete.dataFile.recordCount)
    }
  }
}
