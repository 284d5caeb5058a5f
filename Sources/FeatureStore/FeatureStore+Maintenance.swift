public import Iceberg
public import JSON
internal import Storage

/// What a maintenance job of one group planned or did.
public struct MaintenanceReport: Sendable {
  public var group: String
  /// The plan, or the result, as JSON.
  public var json: JSONValue
  /// A few lines to read.
  public var text: String
  /// Whether something was left undone: a group of files or a deletion failed.
  public var isPartial: Bool
}

// Maintenance of the offline tables, one lease a table; a dry run takes none. On a full disk it takes the store's
// reserve.
extension FeatureStore {
  /// Compacts the small files of a group's table (Iceberg's rewrite_data_files): bin-packed, sorted, or along a Z-order
  /// curve.
  ///
  /// - Parameters:
  ///   - options: by Iceberg's option names, `target-file-size-bytes` for example, and `strategy`, `sort-order`,
  ///     `z-order`, `where` and `max-memory-bytes`; what is not given follows the table's properties, then Iceberg's
  ///     defaults.
  ///   - threads: how many decode, and how many groups of files are rewritten at a time; nil: as many as there are
  ///     processors, four at most.
  ///   - isDryRun: report the plan and do nothing.
  ///   - isStopped: asked between batches; once true, what is finished is committed and the rest left.
  ///
  /// Writers may go on. Throws `.locked` when the table is being maintained by somebody else.
  public func optimize(
    _ groupName: String, options: [String: String] = [:], threads: Int? = nil,
    isDryRun: Bool = false, progress: MaintenanceProgress.Report? = nil,
    isStopped: @escaping @Sendable () -> Bool = { false }
  ) throws(FeatureStoreError) -> MaintenanceReport {
    func rewrite(_ table: Table) throws -> RewriteDataFiles {
      var rewrite = try RewriteDataFiles(
        table, options: RewriteDataFilesOptions(options, tableProperties: table.properties))
      rewrite.isStopped = isStopped
      if let threads { rewrite.threadCount = max(1, threads) }
      return rewrite
    }
    guard !isDryRun else {
      return try dryRun(groupName) { table in
        let plan = try rewrite(table).plan()
        return (plan.json, plan.description)
      }
    }
    return try withReserve { isLast throws(FeatureStoreError) in
      try withMaintenanceLease(groupName, job: "optimize") { table, _ in
        let result = try rewrite(table).run(progress: progress)
        if let unknown = result.unknownCommit { throw unknown }
        // With the reserve what failed for want of space may succeed.
        let full = result.failures.first { $0.error.storageError?.kind == .full }
        if let full, !isLast { throw full.error }
        // Nothing was done, and the status is that of the disk.
        if result.commitCount == 0, let error = result.failures.first?.error,
          error.saysDiskIsUnusable
        {
          throw error
        }
        return Self.report(groupName, table, result)
      }
    }
  }

  /// The plan of a job, which is made and not carried out.
  func dryRun(
    _ groupName: String, _ plan: (Table) throws -> (json: JSONValue, text: String)
  ) throws(FeatureStoreError) -> MaintenanceReport {
    do {
      let (json, text) = try plan(offlineTable(groupName))
      return MaintenanceReport(group: groupName, json: json, text: text, isPartial: false)
    } catch { throw FeatureStoreError(error) }
  }

  private static func report(
    _ groupName: String, _ table: Table, _ result: RewriteDataFilesResult
  ) -> MaintenanceReport {
    let before = LiveFiles(table)
    let after = LiveFiles(result.table)
    var text =
      "\(result.rewrittenFileCount) files (\(result.rewrittenBytes) bytes) became "
      + "\(result.addedFileCount) (\(result.addedBytes) bytes), \(result.rowCount) rows"
    if result.copiedFileCount > 0 {
      text += "; \(result.copiedFileCount) files copied without decoding"
    }
    if result.removedDeleteFileCount > 0 {
      text += "; \(result.removedDeleteFileCount) delete files that applied to nothing taken out"
    }
    if let before, let after {
      text +=
        "\n\(before.count) live files (\(before.bytes) bytes) before, \(after.count) "
        + "(\(after.bytes) bytes) after"
    }
    if result.rewrittenFileCount > 0 {
      text += "; the old ones are held by older snapshots until vacuum expires those"
    }
    text += result.failures.map { "\n  not rewritten: \($0.error)" }.joined()
    if let error = result.danglingDeletesError {
      text += "\n  delete files that apply to nothing are left for another run: \(error)"
    }
    var json = result.json.objectValue ?? JSONObject()
    json["before"] = before?.json ?? .null
    json["after"] = after?.json ?? .null
    json["held"] = [
      [
        "by": "older snapshots, until vacuum expires them",
        "files": .integer(Int64(result.rewrittenFileCount)),
        "bytes": .integer(result.rewrittenBytes),
      ]
    ]
    return MaintenanceReport(
      group: groupName, json: .object(json), text: text, isPartial: !result.failures.isEmpty)
  }

  /// Data and delete files of a table's current snapshot, as that counts them.
  private struct LiveFiles {
    let count: Int64
    let bytes: Int64

    /// nil when whoever made the snapshot has left out its totals.
    init?(_ table: Table) {
      guard let summary = table.metadata.currentSnapshot?.summary,
        let files = summary["total-data-files"].flatMap({ Int64($0) }),
        let bytes = summary["total-files-size"].flatMap({ Int64($0) })
      else { return nil }
      let deletes = summary["total-delete-files"].flatMap { Int64($0) } ?? 0
      let (sum, overflow) = files.addingReportingOverflow(deletes)
      count = overflow ? .max : sum
      self.bytes = bytes
    }

    var json: JSONValue { ["files": .integer(count), "bytes": .integer(bytes)] }
  }

  public struct VacuumRequest: Sendable {
    /// Snapshots older than this expire; nil follows the table's properties, five days by default.
    public var maxSnapshotAgeMilliseconds: Int64?
    /// How many snapshots every branch keeps at least.
    public var minSnapshotsToKeep: Int64?
    /// Snapshots to expire whatever their age; the head of a branch, or a tag's, is refused.
    public var snapshotIDs: Set<Int64> = []
    /// Whether files that no snapshot ever spoke of go, too.
    public var removesOrphans = true
    /// Files that no snapshot speaks of go when they are older than this; three days by default, never
    /// less than one.
    public var orphanAgeMilliseconds: Int64?
    public var isDryRun = false
    /// A dry run that says of every file why it stays or goes.
    public var explainsFiles = false

    public init() {}
  }

  /// Expires snapshots and deletes the files that no snapshot reaches any more, orphans and old
  /// metadata included. What a training set is being made of stays.
  public func vacuum(
    _ groupName: String, request: VacuumRequest = VacuumRequest(),
    progress: MaintenanceProgress.Report? = nil,
    isStopped: @escaping @Sendable () -> Bool = { false }
  ) throws(FeatureStoreError) -> MaintenanceReport {
    var options = VacuumOptions()
    if let age = request.maxSnapshotAgeMilliseconds {
      options.olderThanMilliseconds = clock.nowMicroseconds() / 1000 - age
    }
    options.retainLast = request.minSnapshotsToKeep
    options.snapshotIDs = request.snapshotIDs
    options.removesOrphans = request.removesOrphans
    options.orphanAgeMilliseconds = request.orphanAgeMilliseconds
    options.explainsFiles = request.explainsFiles
    let chosen = options
    guard !request.isDryRun, !request.explainsFiles else {
      return try dryRun(groupName) { table in
        var vacuum = Vacuum(table, options: chosen)
        vacuum.snapshotsInUse = snapshotsInUse(table)
        let plan = try vacuum.plan()
        let lines = plan.explanations.map { file in
          "\n\(file.stays ? "stays" : "goes")\t\(file.sizeBytes)\t\(file.name)\t\(file.why)"
        }
        return (plan.json, plan.description + lines.joined())
      }
    }
    return try withReserve { isLast throws(FeatureStoreError) in
      try withMaintenanceLease(groupName, job: "vacuum") { table, _ in
        var vacuum = Vacuum(table, options: chosen)
        vacuum.isStopped = isStopped
        vacuum.snapshotsInUse = snapshotsInUse(table)
        let result = try vacuum.execute(vacuum.plan(), progress: progress)
        if let failure = result.failure, failure.storageError?.kind == .full, !isLast {
          throw failure
        }
        var text =
          "\(result.expiredSnapshotCount) snapshots expired, \(result.deletedFileCount) files "
          + "(\(result.deletedBytes) bytes) deleted\n" + result.use.description(after: result.after)
        if let failure = result.failure { text += "\n  not all deleted: \(failure)" }
        return MaintenanceReport(
          group: groupName, json: result.json, text: text, isPartial: result.failure != nil)
      }
    }
  }

  /// What training sets that are being made read.
  private func snapshotsInUse(
    _ table: Table
  ) -> @Sendable () throws(IcebergError) -> Set<Int64> {
    { () throws(IcebergError) in
      do throws(StorageError) {
        return try SnapshotPins.pinned(of: table, in: self)
      } catch { throw IcebergError(error) }
    }
  }
}
