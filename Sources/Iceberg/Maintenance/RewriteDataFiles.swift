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
  public func plan() throws(IcebergError) -> RewriteDataFilesPlan {
    try plan(only: nil, filesPerGroup: .max)
  }

  /// The same for some files of the table, in groups of at most so many files.
  func plan(
    only paths: Set<String>?, filesPerGroup: Int64
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
    let planned = try scan.planFiles()
    var options = options
    options.maxFileGroupInputFiles = min(options.maxFileGroupInputFiles, filesPerGroup)
    let planner = try BinPackPlanner(options)
    var deletedPaths = DeletedPaths(head.io)
    var tasks: [String: FileScanTask] = [:]
    var candidates: [RewriteCandidate] = []
    for task in planned.tasks where paths?.contains(task.dataFile.path) ?? true {
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
    let files = planner.plan(
      candidates, outputSpecID: try options.outputSpec(head.metadata).specID)
    try addStatistics(to: &tasks, of: files, scan)
    return RewriteDataFilesPlan(
      table: head, startingSnapshot: planned.snapshot, files: files, tasks: tasks)
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

  public var json: JSONValue {
    [
      "rewritten-files": .integer(Int64(rewrittenFileCount)),
      "rewritten-bytes": .integer(rewrittenBytes),
      "copied-files": .integer(Int64(copiedFileCount)), "copied-bytes": .integer(copiedBytes),
      "added-files": .integer(Int64(addedFileCount)), "added-bytes": .integer(addedBytes),
      "rows": .integer(rowCount), "removed-rows": .integer(removedRowCount),
      "commits": .integer(Int64(commitCount)),
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
