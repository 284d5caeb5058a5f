/// What a vacuum may remove. Times are milliseconds since 1970, ages milliseconds.
public struct VacuumOptions: Sendable {
  /// Files younger than this may belong to a write that is not committed yet: the floor.
  public static let orphanFloorMilliseconds: Int64 = 86_400_000
  public static let defaultOrphanAgeMilliseconds: Int64 = 3 * 86_400_000

  /// Expiry; what is nil follows the table's properties.
  public var olderThanMilliseconds: Int64?
  public var retainLast: Int64?
  public var snapshotIDs: Set<Int64> = []
  /// Snapshots that a running job started from.
  public var protectedSnapshotIDs: Set<Int64> = []
  public var expiresSnapshots = true
  /// Also removes files that no snapshot ever spoke of, once they are old enough.
  public var removesOrphans = true
  /// Three days; or Athena's `vacuum_max_snapshot_age_seconds`, but not below the floor.
  public var orphanAgeMilliseconds: Int64?
  /// Lets `orphanAgeMilliseconds` go below the floor: only with the lease of the table, and only by
  /// somebody who knows that nobody writes.
  public var leaseBelowFloor: MaintenanceLease?

  /// Whether the plan says of every file why it stays or goes. Costs memory for each.
  public var explainsFiles = false

  public init() {}

  func orphanAge(
    _ properties: [String: String], _ tableUUID: String?
  ) throws(IcebergError) -> Int64 {
    guard let age = orphanAgeMilliseconds else {
      var reader = OptionReader(options: [:], properties: properties)
      let seconds = try reader.optionalInteger(
        "", properties: ["vacuum_max_snapshot_age_seconds"])
      guard let seconds else { return Self.defaultOrphanAgeMilliseconds }
      return max(seconds.multipliedSaturated(by: 1000), Self.orphanFloorMilliseconds)
    }
    guard age >= 0 else {
      throw IcebergError(.invalidArgument, "an orphan age of \(age) ms lies in the future")
    }
    guard age < Self.orphanFloorMilliseconds else { return age }
    guard let leaseBelowFloor else {
      throw IcebergError(
        .invalidArgument,
        "orphans younger than 24 hours may be files of a running write: an age of \(age) ms "
          + "needs the table's lease")
    }
    guard leaseBelowFloor.tableUUID == tableUUID else {
      throw IcebergError(.invalidArgument, "the lease is another table's")
    }
    return age
  }
}
