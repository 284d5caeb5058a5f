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

// Maintenance of the offline tables, one lease a table. On a full disk it takes the store's reserve.
extension FeatureStore {
  /// Compacts the small files of a group's table (Iceberg's rewrite_data_files, bin-pack).
  ///
  /// - Parameters:
  ///   - options: by Iceberg's option names, `target-file-size-bytes` for example; what is not given
  ///     follows the table's properties, then Iceberg's defaults.
  ///   - isDryRun: report the plan and do nothing.
  ///   - isStopped: asked between batches; once true, what is finished is committed and the rest left.
  ///
  /// Writers may go on. Throws `.locked` when the table is being maintained by somebody else.
  public func optimize(
    _ groupName: String, options: [String: String] = [:], isDryRun: Bool = false,
    progress: MaintenanceProgress.Report? = nil,
    isStopped: @escaping @Sendable () -> Bool = { false }
  ) throws(FeatureStoreError) -> MaintenanceReport {
    try withReserve { isLast throws(FeatureStoreError) in
      try withMaintenanceLease(groupName, job: "optimize") { table, _ in
        var rewrite = try RewriteDataFiles(
          table,
          options: RewriteDataFilesOptions(options, tableProperties: table.properties))
        rewrite.isStopped = isStopped
        let plan = try rewrite.plan()
        if isDryRun {
          return MaintenanceReport(
            group: groupName, json: plan.json, text: plan.description, isPartial: false)
        }
        let result = try rewrite.execute(plan, progress: progress)
        if let unknown = result.unknownCommit { throw unknown }
        // With the reserve what failed for want of space may succeed.
        let full = result.failures.first { $0.error.storageError?.kind == .full }
        if let full, !isLast { throw full.error }
        // Nothing was done, and the status is that of the disk.
        if result.commitCount == 0, let error = result.failures.first?.error,
          [.full, .readOnly].contains(error.storageError?.kind)
        {
          throw error
        }
        let text =
          "\(result.rewrittenFileCount) files (\(result.rewrittenBytes) bytes) became "
          + "\(result.addedFileCount) (\(result.addedBytes) bytes), \(result.rowCount) rows"
        let failures = result.failures.map { "\n  not rewritten: \($0.error)" }.joined()
        return MaintenanceReport(
          group: groupName, json: result.json, text: text + failures,
          isPartial: !result.failures.isEmpty)
      }
    }
  }

  public struct VacuumRequest: Sendable {
    /// Snapshots older than this expire; nil follows the table's properties, five days by default.
    public var maxSnapshotAgeMilliseconds: Int64?
    /// How many snapshots every branch keeps at least.
    public var minSnapshotsToKeep: Int64?
    /// Files that no snapshot speaks of go when they are older than this; three days by default, never
    /// less than one.
    public var orphanAgeMilliseconds: Int64?
    public var isDryRun = false

    public init() {}
  }

  /// Expires snapshots and deletes the files that no snapshot reaches any more, orphans and old
  /// metadata included. What a training set is being made of stays.
  public func vacuum(
    _ groupName: String, request: VacuumRequest = VacuumRequest(),
    progress: MaintenanceProgress.Report? = nil,
    isStopped: @escaping @Sendable () -> Bool = { false }
  ) throws(FeatureStoreError) -> MaintenanceReport {
    try withReserve { isLast throws(FeatureStoreError) in
      try withMaintenanceLease(groupName, job: "vacuum") { table, _ in
        var options = VacuumOptions()
        if let age = request.maxSnapshotAgeMilliseconds {
          options.olderThanMilliseconds = clock.nowMicroseconds() / 1000 - age
        }
        options.retainLast = request.minSnapshotsToKeep
        options.orphanAgeMilliseconds = request.orphanAgeMilliseconds
        var vacuum = Vacuum(table, options: options)
        vacuum.isStopped = isStopped
        vacuum.snapshotsInUse = { () throws(IcebergError) in
          do throws(StorageError) {
            return try SnapshotPins.pinned(of: table, in: self)
          } catch { throw IcebergError(error) }
        }
        let plan = try vacuum.plan()
        if request.isDryRun {
          return MaintenanceReport(
            group: groupName, json: plan.json, text: plan.description, isPartial: false)
        }
        let result = try vacuum.execute(plan, progress: progress)
        if let failure = result.failure, failure.storageError?.kind == .full, !isLast {
          throw failure
        }
        var text =
          "\(result.expiredSnapshotCount) snapshots expired, \(result.deletedFileCount) files "
          + "(\(result.deletedBytes) bytes) deleted"
        if let failure = result.failure { text += "\n  not all deleted: \(failure)" }
        return MaintenanceReport(
          group: groupName, json: result.json, text: text, isPartial: result.failure != nil)
      }
    }
  }
}
