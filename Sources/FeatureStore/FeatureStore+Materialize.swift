/// What a materialization did.
public struct MaterializeReport: Sendable {
  /// Rows of the offline table.
  public var rowCount: Int64 = 0
  /// Keys that were looked at: all of the table's, unless an interrupted run had done some.
  public var keyCount = 0
  /// Keys whose newest record was brought online; the others answered with it, or a newer one, already.
  public var broughtCount = 0
}

extension FeatureStore {
  /// Brings the newest record of every key of a group's offline table online, where it is not yet: after
  /// the log was lost, or for history that never passed through it (`backfill`).
  ///
  /// Records keep their LSN and times, and do not land offline a second time. May be run again at any
  /// time; after an interruption it goes on with the keys and files that were not done, if the table is
  /// still the same. Purged keys come back, for the table still has them. The table is not optimized or
  /// vacuumed meanwhile; everything else goes on.
  ///
  /// Cost: two passes over the table, keys and times first. Each key takes about 60 bytes of memory
  /// beside its own; when they take more than `memoryBytes`, the table is read twice for each part of them.
  ///
  /// - Parameters:
  ///   - memoryBytes: how much the keys may take, about.
  ///   - progress: bytes of data files read, of all that are to be read.
  /// - Throws: `.full` when the log is at its limit although everything was flushed, or the disk full;
  ///   `.locked` while the table is being maintained.
  public func materialize(
    _ groupName: String, memoryBytes: Int = 512 << 20,
    progress: (_ bytesDone: Int64, _ bytesTotal: Int64) -> Void = { _, _ in }
  ) throws(FeatureStoreError) -> MaterializeReport {
    let log = try requireWriter("materialize")
    let group = try group(groupName)
    try requireOnline(group)
    return try withMaintenanceLease(groupName, job: "materialize") { table, _ in
      var work = try Materialization(
        store: self, group: group, table: table, log: log, memoryBytes: memoryBytes)
      return try work.run(progress)
    }
  }
}
