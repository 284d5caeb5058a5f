internal import Columnar
internal import FeatureModel
internal import Iceberg
internal import OnlineStore
internal import Storage
internal import WriteAheadLog

/// Fills the online store from one snapshot of a group's table.
///
/// For each part of the keys: read keys and times of all rows, and find each key's newest record; leave out
/// what answers already; read all of the rows that won, and append them as copies, which followers pass
/// over. A part that does not fit in memory is halved on the way.
struct Materialization {
  private let store: FeatureStore
  private let group: FeatureGroup
  private let table: Table
  private let log: OnlineStore
  private let memoryBytes: Int
  private var tasks: [FileScanTask] = []
  private var mark: MaterializationMark
  private var report = MaterializeReport()
  private var newest = NewestRecords()
  /// Bytes of files that were read, or need not be: of parts that are done, and of this one.
  private var doneBytes: Int64 = 0
  private var partBytes: Int64 = 0

  /// How many bytes of files are read between two marks.
  private static let markBytes: Int64 = 64 << 20
  /// About as much as one commit takes.
  private static let commitBytes = 1 << 20

  init(
    store: FeatureStore, group: FeatureGroup, table: Table, log: OnlineStore, memoryBytes: Int
  ) throws {
    self.store = store
    self.group = group
    self.table = table
    self.log = log
    self.memoryBytes = max(memoryBytes, 1 << 12)
    try OfflinePosition.check(table.metadata, storeID: store.storeID, group: group)
    mark = MaterializationMark(
      tableUUID: table.metadata.tableUUID ?? "",
      snapshotID: table.metadata.currentSnapshotID ?? -1)
    if let found = try MaterializationMark(store, group.id), found.tableUUID == mark.tableUUID,
      found.snapshotID == mark.snapshotID
    {
      mark = found
    }
  }

  mutating func run(_ progress: (Int64, Int64) -> Void) throws -> MaterializeReport {
    // An order that is the same in the next run.
    tasks = try table.newScan().planFiles().tasks.sorted { $0.dataFile.path < $1.dataFile.path }
    report.rowCount = tasks.reduce(0) { $0 + $1.dataFile.recordCount }
    while let part = mark.parts.last {
      newest = NewestRecords()
      partBytes = 0
      try find(part, progress)
      report.keyCount += newest.count
      try leaveOutWhatAnswers()
      if newest.wantedCount > 0 { try bring(progress) }
      mark.parts.removeLast()
      mark.filesDone = 0
      doneBytes += totalBytes * 2
      try saveMark()
    }
    try MaterializationMark.remove(store, group.id)
    progress(doneBytes, doneBytes)
    return report
  }

  private var totalBytes: Int64 { tasks.reduce(0) { $0 + $1.dataFile.fileSizeInBytes } }

  private mutating func noteRead(_ bytes: Int64, _ progress: (Int64, Int64) -> Void) {
    partBytes += bytes
    progress(doneBytes + partBytes, doneBytes + totalBytes * 2 * Int64(mark.parts.count))
  }

  /// What was brought is on disk before the mark says so.
  private func saveMark() throws {
    try log.log.synchronize()
    try mark.save(store, group.id)
  }

  private var hasExpiry: Bool {
    group.hasExpiryColumn && table.schema.field(named: OfflineTables.expiresAt) != nil
  }

  private static func time(_ column: Column, _ row: Int) -> Int64? {
    column.isNull(row) ? nil : column.values(as: Int64.self)[row]
  }

  private var keyNames: [String] { group.recordIdentifiers.map(\.name) }
  private var keyCount: Int { group.recordIdentifiers.count }

  private func scan(_ columns: [String]) -> TableScan {
    var scan = table.newScan()
    scan.columns = columns
    return scan
  }

  /// The keys' bytes and the order of each row.
  private func keys(_ batch: RecordBatch) -> (EncodedRows, [RecordOrder]) {
    let encoded = KeyCodec(group).encode(batch.columns[..<keyCount], rowCount: batch.rowCount)
    let (timeColumn, lsnColumn) = (batch.columns[keyCount], batch.columns[keyCount + 1])
    let times = timeColumn.values(as: Int64.self)
    let lsns = lsnColumn.values(as: Int64.self)
    var orders: [RecordOrder] = []
    orders.reserveCapacity(batch.rowCount)
    for row in 0..<batch.rowCount {
      orders.append(RecordOrder(eventTime: times[row], lsn: lsns[row]))
    }
    return (encoded, orders)
  }

  // MARK: The newest records

  private mutating func find(_ first: KeyPart, _ progress: (Int64, Int64) -> Void) throws {
    var part = first
    let scan = scan(keyNames + [group.eventTimeName, OfflineTables.lsn])
    for task in tasks {
      let batches = try scan.batches(task)
      while let batch = try batches.next() {
        let (encoded, orders) = keys(batch)
        for (row, order) in orders.enumerated() where part.contains(encoded[row]) {
          newest.add(encoded[row], order)
        }
        while newest.sizeBytes > memoryBytes, part.bitCount < KeyPart.bitLimit {
          let halves = part.halves
          part = halves.0
          newest.keep(part)
          mark.parts.removeLast()
          mark.parts += [halves.1, halves.0]
        }
      }
      noteRead(task.dataFile.fileSizeInBytes, progress)
    }
    // How many files were done of the whole part holds for its first half alone.
    if part != first { mark.filesDone = 0 }
  }

  private mutating func leaveOutWhatAnswers() throws {
    let (log, groupID) = (log, group.id)
    try newest.drop { (key, order) throws(OnlineStoreError) in
      try log.withRecord(groupID: groupID, key: key.rawSpan) { record in
        RecordOrder(eventTime: record.eventTime, lsn: record.lsn) >= order
      } ?? false
    }
  }

  // MARK: Bringing them

  private mutating func bring(_ progress: (Int64, Int64) -> Void) throws {
    let scan = scan(
      keyNames + [group.eventTimeName, OfflineTables.lsn, OfflineTables.writeTime]
        + [OfflineTables.isDeleted] + group.features.map(\.name)
        + (hasExpiry ? [OfflineTables.expiresAt] : []))
    var unmarkedBytes: Int64 = 0
    for (index, task) in tasks.enumerated() {
      let sizeBytes = task.dataFile.fileSizeInBytes
      if index >= mark.filesDone {
        let batches = try scan.batches(task)
        while let batch = try batches.next() { try bring(batch) }
        unmarkedBytes += sizeBytes
        if unmarkedBytes >= Self.markBytes {
          mark.filesDone = index + 1
          try saveMark()
          unmarkedBytes = 0
        }
      }
      noteRead(sizeBytes, progress)
    }
  }

  private mutating func bring(_ batch: RecordBatch) throws {
    let (encoded, orders) = keys(batch)
    let wanted = orders.indices.filter { newest.wants(encoded[$0], orders[$0]) }
    guard !wanted.isEmpty else { return }
    let rest = batch.columns[(keyCount + 4)...]
    let rows = RowCodec(group).encode(
      rest.prefix(group.features.count), rowCount: batch.rowCount)
    let expiries = hasExpiry ? rest.last : nil
    let (timeColumn, flags) = (batch.columns[keyCount + 2], batch.columns[keyCount + 3])
    let writeTimes = timeColumn.values(as: Int64.self)
    var entries: [LogEntry] = []
    var sizeBytes = 0
    for row in wanted {
      let isDeleted = flags.boolean(at: row)
      let entry = LogEntry(
        isDeleted ? .tombstone : .put, groupID: group.id, schemaVersion: group.version,
        eventTime: orders[row].eventTime, writeTime: writeTimes[row],
        originalLSN: orders[row].lsn, expiresAt: expiries.flatMap { Self.time($0, row) },
        key: encoded.array(row),
        row: isDeleted ? [] : rows.array(row))
      entries.append(entry)
      sizeBytes += entry.key.count + entry.row.count
      if sizeBytes >= Self.commitBytes || entries.count == FeatureStore.maximumBatchRows {
        try append(entries)
        entries.removeAll(keepingCapacity: true)
        sizeBytes = 0
      }
    }
    if !entries.isEmpty { try append(entries) }
  }

  private mutating func append(_ entries: [LogEntry]) throws {
    do { _ = try log.append(entries) } catch {
      guard case .log(.limitReached) = error else { throw error }
      // What is brought is part of the log, too. What the tables have not got yet makes room.
      try store.flush()
      do { _ = try log.append(entries) } catch { throw store.refusal(error) }
    }
    report.broughtCount += entries.count
  }
}
