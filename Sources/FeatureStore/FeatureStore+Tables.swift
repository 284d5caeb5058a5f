internal import FeatureModel
public import Iceberg

// The offline tables, for those who look at them or maintain them.
extension FeatureStore {
  /// The Iceberg table of a group, as it is now.
  public func offlineTable(_ groupName: String) throws(FeatureStoreError) -> Table {
    try tables.load(try group(groupName))
  }

  /// The names of the groups that have an offline table.
  public var offlineGroupNames: [String] { groups.filter(\.isOffline).map(\.name) }

  /// The data files of a group's current snapshot.
  public func dataFiles(_ groupName: String) throws(FeatureStoreError) -> [DataFile] {
    do {
      var scan = try offlineTable(groupName).newScan()
      scan.includesStatistics = true
      return try scan.planFiles().tasks.map(\.dataFile)
    } catch { throw FeatureStoreError(error) }
  }

  /// Runs `body` while nobody else maintains the group's table; throws `.locked` at once if somebody
  /// does.
  public func withMaintenanceLease<Result>(
    _ groupName: String, job: String, _ body: (Table, MaintenanceLease) throws -> Result
  ) throws(FeatureStoreError) -> Result {
    do {
      let table = try offlineTable(groupName)
      switch try MaintenanceLease.acquire(table, holder: job) {
      case .locked(let holder):
        throw FeatureStoreError(
          .locked, "the table of '\(groupName)' is being maintained by somebody else: \(holder)")
      case .acquired(let lease):
        defer { lease.release() }
        return try body(try table.refresh(), lease)
      }
    } catch { throw FeatureStoreError(error) }
  }
}
