internal import FeatureModel
internal import Iceberg
internal import OnlineStore
internal import Storage
internal import WriteAheadLog

/// Follows the log and lands its records in the offline tables, each exactly once.
///
/// Where to go on is what the tables themselves record (`OfflinePosition`), set in the commit that brings
/// the records and checked again in every attempt of it. So a kill at any step, a repeated flush and an
/// unknown outcome all end the same way: the next flush asks the table and goes on there.
///
/// `log/offline-position` remembers up to where no table needs the log any more, only so that a flush
/// need not read the log from the start for a group that rarely gets records.
struct OfflineWriter {
  let store: FeatureStore
  let log: OnlineStore

  /// What is gathered for one group, and where its table stands. A class, so that rows are gathered in
  /// place.
  private final class Follower {
    var rows: OfflineRows
    var table: Table
    /// The table has every record of the group up to here.
    var position: Int64

    init(_ group: FeatureGroup, _ table: Table, position: Int64) {
      rows = OfflineRows(group)
      self.table = table
      self.position = position
    }
  }

  /// Entries read from the log at a time.
  private static let readSizeBytes = 4 << 20

  /// Lands everything that was acknowledged when the flush began. One commit a group, or more where
  /// its records take more than the flush size. The tables then hold every record up to `lsn`.
  func flush() throws(FeatureStoreError) -> (reports: [FlushReport], lsn: Int64) {
    var reports: [FlushReport] = []
    do {
      let followers = try self.followers()
      let end = log.log.durableLSN
      guard !followers.isEmpty else { return ([], end) }
      let inOrder = followers.sorted { $0.key < $1.key }.map(\.value)
      let slowest = followers.values.map(\.position).min() ?? end
      // What was cleaned away every table had passed.
      var next = max(max(slowest, try hint()) + 1, log.log.firstLSN)
      while next <= end {
        let (entries, following) = try log.follow(from: next, limitBytes: Self.readSizeBytes)
        for entry in entries where entry.lsn <= end {
          guard entry.entry.kind.isAnswer, let follower = followers[entry.entry.groupID],
            entry.lsn > follower.position
          else { continue }
          follower.rows.append(entry)
        }
        guard following > next else {
          // To claim more than was read would lose what lies between.
          throw FeatureStoreError(
            .corrupt, "the log cannot be read from lsn \(next) on, and is durable up to \(end)")
        }
        next = following
        for follower in inOrder where follower.rows.sizeBytes >= store.options.flushSizeBytes {
          reports.append(try commit(follower))
        }
      }
      for follower in inOrder where !follower.rows.isEmpty {
        reports.append(try commit(follower))
      }
      try saveHint(end)
      return (reports, end)
    } catch { throw FeatureStoreError(error) }
  }

  /// The offline groups by id. A group whose table is not there (a crash in its creation) gets one.
  private func followers() throws -> [UInt32: Follower] {
    var followers: [UInt32: Follower] = [:]
    for group in store.groups where group.isOffline {
      let table = try store.tables.load(group)
      let position = try OfflinePosition.check(
        table.metadata, storeID: store.storeID, group: group)
      guard position.lsn <= log.log.lastLSN else {
        throw FeatureStoreError(
          .corrupt,
          "the offline table of '\(group.name)' has records up to lsn \(position.lsn), the log ends "
            + "at \(log.log.lastLSN): the log was replaced by an older one")
      }
      followers[group.id] = Follower(group, table, position: position.lsn)
    }
    return followers
  }

  /// Writes one group's rows to a file and commits it together with the position reached.
  private func commit(_ follower: Follower) throws -> FlushReport {
    let rows = follower.rows
    guard let last = rows.lastLSN else {
      preconditionFailure("a follower without rows is not committed")
    }
    let group = rows.group
    let batch = try rows.batch(follower.table.schema)
    let writer = try DataFileWriter(follower.table)
    try writer.write(batch)
    let files = try writer.finish()
    var append = follower.table.newAppend(files)
    let position = OfflinePosition(lsn: last, storeID: store.storeID)
    append.setProperties(position.properties)
    append.summary = position.properties
    let expected = OfflinePosition(lsn: follower.position, storeID: store.storeID)
    append.validate { metadata throws(IcebergError) in
      guard try OfflinePosition(metadata) == expected else {
        throw IcebergError(
          .validationFailed, "the offline table of '\(group.name)' was filled by somebody else")
      }
    }
    let result: CommitResult
    do {
      result = try append.commit()
    } catch {
      // Unless it is proven not to have happened, something may refer to the files.
      if error.kind != .commitStateUnknown { follower.table.io.deleteAll(files.map(\.path)) }
      throw error
    }
    follower.rows = OfflineRows(group)
    follower.table = result.table
    follower.position = last
    return FlushReport(
      group: group.name, recordCount: rows.count, fileCount: files.count,
      sizeBytes: files.reduce(0) { $0 + $1.fileSizeInBytes },
      snapshotID: result.snapshotID ?? 0, lsn: last)
  }

  // MARK: The hint

  private var hintPath: String {
    StoragePath.join(StoragePath.join(store.directory, "jobs"), "offline-position")
  }

  func hint() throws(StorageError) -> Int64 {
    guard try store.fileSystem.information(hintPath) != nil else { return 0 }
    let bytes = try store.fileSystem.readFile(hintPath, limitBytes: 64)
    // Anything odd only means that more of the log is read than need be.
    let parts = String(decoding: bytes, as: UTF8.self).split(separator: " ")
    guard parts.count == 2, parts[0] == store.storeID, let lsn = Int64(parts[1]),
      lsn <= log.log.lastLSN
    else { return 0 }
    return lsn
  }

  private func saveHint(_ lsn: Int64) throws(StorageError) {
    try store.fileSystem.publish(
      Array("\(store.storeID) \(lsn)".utf8), at: hintPath, replacing: true)
  }
}
