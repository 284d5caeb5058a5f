internal import OnlineStore
internal import Storage
internal import WriteAheadLog

/// How far each offline table is behind the log: the records that it lacks, and since when.
///
/// Found by reading the log, each part of it once, when somebody asks; so it costs nothing while records
/// are written, and a reader in another process finds the same.
final class FollowerLag: Sendable {
  struct Group: Hashable {
    /// The table has every record of the group up to here.
    var position: Int64
    /// The group's last record that is known.
    var lastLSN: Int64
    /// Records after the position, and when the oldest of them was written.
    var recordCount = 0
    var oldestWriteTime: Int64?

    init(position: Int64) {
      self.position = position
      lastLSN = position
    }

    /// For how long the oldest record has waited.
    func seconds(at now: Int64) -> Double {
      oldestWriteTime.map { max(0, Double(now - $0) / 1e6) } ?? 0
    }
  }

  private struct State {
    var groups: [UInt32: Group] = [:]
    var countedLSN: Int64 = 0
  }

  private let state = Lock(State())

  /// Counts on up to the log's end.
  ///
  /// - Parameters:
  ///   - positions: of the tables, by group.
  ///   - landedLSN: no table lacks a record up to here.
  func update(
    _ log: OnlineStore, positions: [UInt32: Int64], landedLSN: Int64
  ) throws(OnlineStoreError) -> [UInt32: Group] {
    try state.withLock { state throws(OnlineStoreError) in
      var groups = state.groups.filter { positions[$0.key] == $0.value.position }
      // A table that moved has taken some of what was counted, so its group is counted again.
      let moved = Set(positions.keys.filter { groups[$0] == nil })
      for id in moved { groups[id] = Group(position: positions[id] ?? 0) }
      let counted = state.countedLSN
      let first = min(counted, moved.compactMap { positions[$0] }.min() ?? counted) + 1
      let next = try log.forEachRecord(from: max(first, landedLSN + 1, log.log.firstLSN)) {
        let id = $0.groupID
        guard $0.lsn > counted || moved.contains(id), var group = groups[id] else { return }
        group.lastLSN = max(group.lastLSN, $0.lsn)
        if $0.lsn > group.position {
          group.recordCount += 1
          group.oldestWriteTime = group.oldestWriteTime ?? $0.writeTime
        }
        groups[id] = group
      }
      state.groups = groups
      state.countedLSN = max(counted, next - 1)
      return groups
    }
  }
}
