internal import Columnar
internal import FeatureModel
internal import Iceberg
internal import OnlineStore
internal import Storage
internal import WriteAheadLog

/// The records of a group that its offline table lacks, and the table that lacks them: together exactly what
/// was acknowledged when the tail was taken, nothing twice.
///
/// A table says in the metadata that names its snapshot how far it has followed the log, so the table that was
/// loaded and the log after that place fit together whatever is flushed meanwhile:
///
///     table (snapshot and position p are one)   log   ... p | p + 1 ... end
///
/// Only cleaning could take away what lies between: then the table is loaded again, for it has it by now.
struct UnflushedTail {
  /// As of the table's schema.
  let group: FeatureGroup
  /// Its current snapshot has every record of the group that the batches lack.
  let table: Table
  /// Table and batches together have every record of the group up to here, and none that is later.
  let lsn: Int64
  /// In the table's columns, in the order of the log.
  let batches: [RecordBatch]

  var rowCount: Int { batches.reduce(0) { $0 + $1.rowCount } }

  /// Encoded rows that are made one batch.
  private static let batchBytes = 16 << 20
  private static let attempts = 16

  /// Takes the tail as of now. A store that was opened for reading is refreshed.
  ///
  /// Memory: that of the tail, which a service that flushes keeps at `FeatureStore.Options.flushSizeBytes`.
  /// Throws `.readOnly` for a store that was opened for its offline tables only, `.stale` when the log is cleaned
  /// faster than it can be read.
  ///
  /// - Parameter key: only the records of this one, encoded.
  static func take(
    _ groupName: String, of store: FeatureStore, key: [UInt8]? = nil
  ) throws -> UnflushedTail {
    for _ in 0..<attempts {
      if let tail = try takeOnce(groupName, store, key) { return tail }
    }
    throw FeatureStoreError(
      .stale, "the log is cleaned faster than the unflushed records of '\(groupName)' are read")
  }

  /// nil when the log was cleaned meanwhile.
  private static func takeOnce(
    _ groupName: String, _ store: FeatureStore, _ key: [UInt8]?
  ) throws -> UnflushedTail? {
    // What was acknowledged is in the log first, then in the table: so first the log, then the table. And what
    // is in the log was written under a definition that is known by now, which the table has the columns of.
    try store.refresh()
    let log = try store.log(for: "read what is not flushed")
    let end = log.log.lastLSN
    let group = try store.group(groupName)
    let table = try store.tables.load(group)
    let position = try OfflinePosition.check(table.metadata, storeID: store.storeID, group: group)
      .lsn
    let first = try firstUnflushed(position, table, group, store)
    let firstKept = log.log.firstLSN
    let start = max(first, firstKept)
    guard start <= end else {
      return UnflushedTail(group: group, table: table, lsn: max(end, position), batches: [])
    }
    var rows = OfflineRows(group)
    var batches: [RecordBatch] = []
    var failure: (any Error)?
    // What is appended and not acknowledged yet is not shown.
    let next: Int64
    do {
      next = try log.forEachRecord(from: start) { record in
        guard record.groupID == group.id, record.lsn <= end, failure == nil,
          let stored = record.stored, key == nil || stored.entry.key == key
        else { return }
        rows.append(stored)
        guard rows.sizeBytes >= batchBytes else { return }
        do { batches.append(try rows.batch(table.schema)) } catch { failure = error }
        rows = OfflineRows(group)
      }
    } catch {
      guard case .log(.removed) = error else { throw error }
      return nil
    }
    if let failure { throw failure }
    if !rows.isEmpty { batches.append(try rows.batch(table.schema)) }
    // What was cleaned away before it was read: none of it was the group's, or the table has moved on since.
    if firstKept > first {
      let now = try OfflinePosition.check(
        store.tables.load(group).metadata, storeID: store.storeID, group: group)
      if now.lsn != position { return nil }
    }
    return UnflushedTail(
      group: group, table: table, lsn: max(position, min(end, next - 1)), batches: batches)
  }

  /// From where on the log may have records that the table lacks: behind the table's own position, or where the
  /// last flush found that nothing of the group was left.
  private static func firstUnflushed(
    _ position: Int64, _ table: Table, _ group: FeatureGroup, _ store: FeatureStore
  ) throws -> Int64 {
    let flushed = try FlushedPositions.read(
      directory: store.directory, storeID: store.storeID, fileSystem: store.fileSystem)
    let place = FlushedPositions.Table(
      groupID: group.id, uuid: table.metadata.tableUUID ?? "", lsn: position)
    guard let flushed, flushed.holds(for: [place]) else { return position + 1 }
    return max(position, flushed.lsn) + 1
  }
}
