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
/// `FlushedPositions` remembers up to where no table needs the log any more, only so that a flush need not
/// read the log from the start for a group that rarely gets records.
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

    /// Where the table stands.
    var place: FlushedPositions.Table {
      FlushedPositions.Table(
        groupID: rows.group.id, uuid: table.metadata.tableUUID ?? "", lsn: position)
    }

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
      // Before the groups are looked up: a group that is created, or gets features, after that has its
      // records beyond.
      let end = log.log.durableLSN
      let followers = try self.followers()
      guard !followers.isEmpty else { return ([], end) }
      let inOrder = followers.sorted { $0.key < $1.key }.map(\.value)
      var next = try firstNeeded(inOrder)
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
      try FlushedPositions(storeID: store.storeID, lsn: end, tables: inOrder.map(\.place))
        .publish(directory: store.directory, fileSystem: store.fileSystem)
      return (reports, end)
    } catch { throw FeatureStoreError(error) }
  }

  /// Where to begin to read: no table needs what is before.
  private func firstNeeded(_ followers: [Follower]) throws -> Int64 {
    let flushed = try FlushedPositions.read(
      directory: store.directory, storeID: store.storeID, fileSystem: store.fileSystem)
    let firstLSN = log.log.firstLSN
    var next = (followers.map(\.position).min() ?? 0) + 1
    if let flushed {
      for follower in followers where follower.position < firstLSN - 1 {
        guard let lsn = flushed.lsn(before: follower.place) else { continue }
        // To go on would hide the loss for ever.
        throw FeatureStoreError(
          .corrupt,
          FlushedPositions.lossMessage(
            follower.rows.group.name, follower.position, before: lsn, firstLSN: firstLSN)
            + "; put the table back to where it was, or delete "
            + "'\(FlushedPositions.path(store.directory))' to go on without them")
      }
      if flushed.lsn <= log.log.lastLSN, flushed.holds(for: followers.map(\.place)) {
        next = max(next, flushed.lsn + 1)
      }
    }
    // What was cleaned away every table had passed.
    return max(next, firstLSN)
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
}
