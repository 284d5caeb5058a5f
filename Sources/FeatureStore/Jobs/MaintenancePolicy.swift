/// What maintenance a group gets, and when: one job for each operation.
///
/// A pure value; `FeatureStore.setMaintenancePolicy` keeps it with the store.
public struct MaintenancePolicy: Hashable, Sendable {
  public enum Operation: String, Hashable, Sendable, CaseIterable {
    // Due jobs run in the order of these words: what makes work for another one comes before it.

    /// Compacts small files.
    case optimize
    /// Writes manifests anew.
    case rewriteManifests = "rewrite-manifests"
    /// Puts few position delete files in the place of many.
    case rewritePositionDeletes = "rewrite-position-deletes"
    /// Expires snapshots and deletes what nothing refers to.
    case vacuum
  }

  /// When the state of a table asks for a job; each is one condition, and any of them is enough.
  public enum Threshold: String, Hashable, Sendable, CaseIterable {
    /// Files that `optimize` would rewrite.
    case smallFiles = "small-files"
    /// Records of delete files per hundred records of data files.
    case deletePercent = "delete-percent"
    case snapshots
    /// Manifests of the current snapshot.
    case manifests
    /// Delete files that apply to data files.
    case deleteFiles = "delete-files"
    /// Bytes of the current metadata file.
    case metadataBytes = "metadata-bytes"
  }

  /// One job of a group.
  public struct Job: Hashable, Sendable {
    public var operation: Operation
    /// Due at these times; a time that was missed is made up for once.
    public var schedule: CronExpression?
    /// Due when any of these is reached.
    public var thresholds: [Threshold: Int64]
    /// Options of the operation by the names that its command has: `target-file-size-bytes` and others of
    /// Iceberg's for optimize and rewrite-position-deletes; `spec-id`, `sort-by` and `target-size-bytes` for
    /// rewrite-manifests; `max-snapshot-age-ms`, `min-snapshots-to-keep` and `older-than-ms` for vacuum.
    public var options: [String: String]
    /// How often a failed run is tried again at once, with growing pauses.
    public var retryCount: Int
    /// A run that takes longer is ended after its current step; nil: no limit.
    public var timeoutSeconds: Int64?

    public init(
      operation: Operation, schedule: CronExpression? = nil, thresholds: [Threshold: Int64] = [:],
      options: [String: String] = [:], retryCount: Int = 2, timeoutSeconds: Int64? = nil
    ) {
      self.operation = operation
      self.schedule = schedule
      self.thresholds = thresholds
      self.options = options
      self.retryCount = retryCount
      self.timeoutSeconds = timeoutSeconds
    }
  }

  public var jobs: [Job]

  public init(jobs: [Job]) { self.jobs = jobs }
}
