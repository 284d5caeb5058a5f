internal import Columnar
internal import FeatureModel
internal import PointInTime

/// The columns of an offline table that decide which record of a key counts.
struct DecisiveColumns: Sendable {
  let names: [String]
  private let keyCount: Int
  private let hasWriteTime: Bool
  private let hasExpiry: Bool

  /// - Parameters:
  ///   - known: the columns of the version that is read.
  ///   - hasWriteTime: whether it also counts when a record was written.
  init(_ group: FeatureGroup, _ known: Set<String>, hasWriteTime: Bool = false) {
    keyCount = group.recordIdentifiers.count
    self.hasWriteTime = hasWriteTime
    hasExpiry = group.hasExpiryColumn && known.contains(OfflineTables.expiresAt)
    names =
      group.recordIdentifiers.map(\.name)
      + [group.eventTimeName, OfflineTables.lsn, OfflineTables.isDeleted]
      + (hasWriteTime ? [OfflineTables.writeTime] : [])
      + (hasExpiry ? [OfflineTables.expiresAt] : [])
  }

  /// - Parameter columns: those of `names`, in their order.
  func batch(_ columns: [Column]) -> PointInTimeJoin.Batch {
    PointInTimeJoin.Batch(
      keys: Array(columns[..<keyCount]), eventTimes: columns[keyCount],
      logSequenceNumbers: columns[keyCount + 1], isDeleted: columns[keyCount + 2],
      writeTimes: hasWriteTime ? columns[keyCount + 3] : nil,
      expiresAt: hasExpiry ? columns[columns.count - 1] : nil)
  }

  /// The same of rows that have other columns, too.
  func batch(
    _ rows: RecordBatch, of group: FeatureGroup
  ) throws(FeatureStoreError) -> PointInTimeJoin.Batch {
    var columns: [Column] = []
    for name in names { columns.append(try rows.column(named: name, of: group)) }
    return batch(columns)
  }

  func expiry(_ group: FeatureGroup, at moment: Int64) -> NewestRows.Expiry {
    NewestRows.Expiry(
      moment: moment, oldestEventTime: group.timeToLive.oldestEventTime(at: moment))
  }
}

extension RecordBatch {
  /// A column that rows of a group's offline table must have; throws `.conflict` when somebody took it away.
  func column(named name: String, of group: FeatureGroup) throws(FeatureStoreError) -> Column {
    guard let column = column(named: name) else {
      throw FeatureStoreError(
        .conflict, "the offline table of '\(group.name)' has lost its column '\(name)'")
    }
    return column
  }
}
