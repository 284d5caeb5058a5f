internal import Columnar
internal import FeatureModel
internal import Iceberg
internal import OnlineStore
internal import Storage

/// What a materialization did.
public struct MaterializeReport: Sendable {
  /// Rows of the offline table that were read.
  public var rowCount: Int64 = 0
  /// Keys in the offline table.
  public var keyCount = 0
  /// Keys whose newest record was brought online; the others answered with it, or a newer one, already.
  public var broughtCount = 0
}

extension FeatureStore {
  /// Brings the newest record of every key of a group's offline table online, where it is not yet: after
  /// the log was lost, or for history that never passed through it.
  ///
  /// Records keep their LSN and times, and do not land offline a second time. May be run again at any
  /// time and goes on where it was interrupted. Purged keys come back, for the table still has them.
  ///
  /// Cost: two passes over the table, keys and times first; memory for each key of the table.
  ///
  /// - Parameter progress: bytes of data files read, of all that are read in both passes.
  public func materialize(
    _ groupName: String, progress: (Int64, Int64) -> Void = { _, _ in }
  ) throws(FeatureStoreError) -> MaterializeReport {
    let log = try requireWriter("materialize")
    let group = try group(groupName)
    try requireOnline(group)
    do {
      var pass = try Materialization(
        group: group, table: tables.load(group), storeID: storeID, log: log)
      return try pass.run(progress)
    } catch { throw FeatureStoreError(error) }
  }
}

private struct Materialization {
  let group: FeatureGroup
  let table: Table
  let log: OnlineStore
  private var report = MaterializeReport()
  /// The newest (event time, LSN) of each key that has to be brought.
  private var newest: [[UInt8]: Order] = [:]

  private struct Order: Comparable {
    var eventTime: Int64
    var lsn: Int64

    static func < (left: Order, right: Order) -> Bool {
      (left.eventTime, left.lsn) < (right.eventTime, right.lsn)
    }
  }

  init(group: FeatureGroup, table: Table, storeID: String, log: OnlineStore) throws {
    self.group = group
    self.table = table
    self.log = log
    try OfflinePosition.check(table.metadata, storeID: storeID, group: group)
  }

  mutating func run(_ progress: (Int64, Int64) -> Void) throws -> MaterializeReport {
    let keys = group.recordIdentifiers.map(\.name)
    let system = [group.eventTimeName, OfflineTables.lsn]
    let total = try table.newScan().planFiles().tasks.reduce(0) {
      $0 + $1.dataFile.fileSizeInBytes
    }
    var done: Int64 = 0
    func read(_ bytes: Int64) {
      done += bytes
      progress(done, total * 2)
    }
    var work = self
    try forEachBatch(keys + system, read) { try work.find($0) }
    work.report.keyCount = work.newest.count
    try work.leaveOutWhatAnswers()
    let columns =
      keys + system + [OfflineTables.writeTime, OfflineTables.isDeleted]
      + group.features.map(\.name) + (hasExpiry ? [OfflineTables.expiresAt] : [])
    if !work.newest.isEmpty {
      try forEachBatch(columns, read) { try work.bring($0) }
    }
    return work.report
  }

  private func forEachBatch(
    _ columns: [String], _ read: (Int64) -> Void, _ body: (RecordBatch) throws -> Void
  ) throws {
    var scan = table.newScan()
    scan.columns = columns
    for task in try scan.planFiles().tasks {
      let batches = try scan.batches(task)
      while let batch = try batches.next() { try body(batch) }
      read(task.dataFile.fileSizeInBytes)
    }
  }

  private var hasExpiry: Bool {
    group.hasExpiryColumn && table.schema.field(named: OfflineTables.expiresAt) != nil
  }

  private var keyCount: Int { group.recordIdentifiers.count }

  /// The keys' bytes and the order of each row.
  private func keys(_ batch: RecordBatch) -> (EncodedRows, [Order]) {
    let encoded = KeyCodec(group).encode(batch.columns[..<keyCount], rowCount: batch.rowCount)
    let (timeColumn, lsnColumn) = (batch.columns[keyCount], batch.columns[keyCount + 1])
    let times = timeColumn.values(as: Int64.self)
    let lsns = lsnColumn.values(as: Int64.self)
    var orders: [Order] = []
    orders.reserveCapacity(batch.rowCount)
    for row in 0..<batch.rowCount { orders.append(Order(eventTime: times[row], lsn: lsns[row])) }
    return (encoded, orders)
  }

  private mutating func find(_ batch: RecordBatch) throws {
    let (encoded, orders) = keys(batch)
    report.rowCount += Int64(batch.rowCount)
    for (row, order) in orders.enumerated() {
      let key = encoded.array(row)
      if let known = newest[key], known >= order { continue }
      newest[key] = order
    }
  }

  private mutating func leaveOutWhatAnswers() throws {
    for (key, order) in newest {
      let isThere = try log.withRecord(groupID: group.id, key: key.rawSpan) { record in
        Order(eventTime: record.eventTime, lsn: record.lsn) >= order
      }
      if isThere == true { newest[key] = nil }
    }
  }

  private mutating func bring(_ batch: RecordBatch) throws {
    let (encoded, orders) = keys(batch)
    let wanted = orders.indices.filter { newest[encoded.array($0)] == orders[$0] }
    guard !wanted.isEmpty else { return }
    let rest = batch.columns[(keyCount + 4)...]
    let rows = RowCodec(group).encode(
      rest.prefix(group.features.count), rowCount: batch.rowCount)
    let expiries = hasExpiry ? rest.last : nil
    let (timeColumn, flags) = (batch.columns[keyCount + 2], batch.columns[keyCount + 3])
    let writeTimes = timeColumn.values(as: Int64.self)
    var entries: [LogEntry] = []
    for row in wanted {
      let isDeleted = flags.boolean(at: row)
      entries.append(
        LogEntry(
          isDeleted ? .tombstone : .put, groupID: group.id, schemaVersion: group.version,
          eventTime: orders[row].eventTime, writeTime: writeTimes[row],
          originalLSN: orders[row].lsn, expiresAt: expiries.flatMap { Self.time($0, row) },
          key: encoded.array(row),
          row: isDeleted ? [] : rows.array(row)))
      if entries.count == FeatureStore.maximumBatchRows {
        _ = try log.append(entries)
        entries.removeAll(keepingCapacity: true)
      }
    }
    if !entries.isEmpty { _ = try log.append(entries) }
    report.broughtCount += wanted.count
  }

  private static func time(_ column: Column, _ row: Int) -> Int64? {
    column.isNull(row) ? nil : column.values(as: Int64.self)[row]
  }
}
