internal import FeatureModel
internal import JSON
internal import Storage

// The maintenance policies of a store, in `jobs/policies.json`.
extension FeatureStore {
  private var jobsDirectory: String { StoragePath.join(directory, "jobs") }

  private var policiesPath: String {
    StoragePath.join(jobsDirectory, MaintenancePolicies.fileName)
  }

  var jobHistory: JobHistory {
    JobHistory(
      directory: StoragePath.join(jobsDirectory, JobHistory.directoryName), fileSystem: fileSystem)
  }

  /// The policy of a group; nil when it has none.
  public func maintenancePolicy(
    _ groupName: String
  ) throws(FeatureStoreError) -> MaintenancePolicy? {
    _ = try group(groupName)
    return try maintenancePolicies().entries[groupName]?.policy
  }

  /// The groups that have a policy, in order.
  public func groupsWithMaintenancePolicy() throws(FeatureStoreError) -> [String] {
    try maintenancePolicies().entries.keys.sorted()
  }

  func maintenancePolicies() throws(FeatureStoreError) -> MaintenancePolicies {
    do {
      guard try fileSystem.information(policiesPath) != nil else { return MaintenancePolicies() }
      let bytes = try fileSystem.readFile(policiesPath, limitBytes: 16 << 20)
      return try MaintenancePolicies(parsing: bytes, path: policiesPath)
    } catch { throw FeatureStoreError(error) }
  }

  /// Gives a group a policy, in place of the one it has; nil takes it away. Schedules count from now.
  ///
  /// Throws `.invalidArgument` for jobs that could never run, `.locked` while another process changes
  /// policies.
  public func setMaintenancePolicy(
    _ policy: MaintenancePolicy?, for groupName: String
  ) throws(FeatureStoreError) {
    let group = try group(groupName)
    guard group.isOffline || policy == nil else {
      throw FeatureStoreError(
        .invalidArgument, "feature group '\(groupName)' is online only: it has nothing to maintain")
    }
    let operations = policy?.jobs.map(\.operation) ?? []
    guard Set(operations).count == operations.count else {
      throw FeatureStoreError(.invalidArgument, "a policy has one job for each operation")
    }
    for job in policy?.jobs ?? [] { try job.validate() }
    do {
      try fileSystem.createDirectory(jobsDirectory, withIntermediates: true)
      let lock = try fileSystem.lock(
        StoragePath.join(jobsDirectory, ".policies.lock"), holder: "change of policies")
      defer { lock.release() }
      var policies = try maintenancePolicies()
      policies.entries[groupName] = policy.map {
        .init(policy: $0, sinceMicroseconds: clock.nowMicroseconds())
      }
      try savePolicies(policies)
    } catch { throw FeatureStoreError(error) }
  }

  func savePolicies(_ policies: MaintenancePolicies) throws(StorageError) {
    try fileSystem.publish(policies.json.utf8(pretty: true), at: policiesPath, replacing: true)
  }

  /// The newest runs of jobs, newest first, and how many records of runs could not be read.
  public func jobRuns(
    last count: Int = 100, group: String? = nil
  ) throws(FeatureStoreError) -> (runs: [JobRun], unreadableCount: Int) {
    do {
      return try jobHistory.runs(last: count) { group == nil || $0.group == group }
    } catch { throw FeatureStoreError(error) }
  }
}
