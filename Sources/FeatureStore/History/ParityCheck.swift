internal import Columnar
internal import FeatureModel
internal import Iceberg
internal import OnlineStore
internal import PointInTime
internal import Storage
internal import WriteAheadLog

/// Compares one group's keys, part by part. A part that does not fit in memory is halved.
///
/// First what offline says, by keys and times alone; then what the log says that online has beyond that; then
/// the records that answer online; last the values, of the offline rows that count. What changes meanwhile is
/// told from a difference by the LSN up to which offline was read, and by looking at the log's purges again.
struct ParityCheck {
  let store: FeatureStore
  let group: FeatureGroup
  private let unflushed: UnflushedTail
  /// Keeps the snapshot from expiry.
  private let tables: TrainingSetTables
  private let log: OnlineStore
  private let memoryBytes: Int
  private let tasks: [FileScanTask]
  private let totalBytes: Int64
  private var parts = [KeyPart()]
  private var doneBytes: Int64 = 0
  private var keys = ParityKeys()
  private var purges = Purges()
  private var counts: ParityReport.Group

  /// Purged keys, and the LSN of the last purge of each.
  private struct Purges {
    var keys = BytesTable()
    var lsns: [Int64] = []

    mutating func add(_ key: RawSpan, _ lsn: Int64) {
      let id = Int(keys.intern(key))
      if id == lsns.count { lsns.append(lsn) } else { lsns[id] = max(lsns[id], lsn) }
    }

    /// 0 for a key that was not purged.
    func lsn(_ key: RawSpan) -> Int64 {
      guard keys.count > 0 else { return 0 }
      let id = Int(keys.find(key))
      return id < 0 ? 0 : lsns[id]
    }
  }

  init(_ store: FeatureStore, _ name: String, memoryBytes: Int) throws {
    self.store = store
    self.memoryBytes = max(memoryBytes, 1 << 12)
    tables = try TrainingSetTables(store, asOf: nil, includesUnflushed: true)
    guard let unflushed = try tables.choice(store.group(name)).unflushed else {
      preconditionFailure("what is not flushed was asked for")
    }
    self.unflushed = unflushed
    group = unflushed.group
    // Behind the refresh that the tail took.
    log = try store.log(for: "compare online with offline")
    tasks = try unflushed.table.newScan().planFiles().tasks
    totalBytes = tasks.reduce(0) { $0 + $1.dataFile.fileSizeInBytes }
    counts = ParityReport.Group(name: name)
  }

  mutating func run(_ report: inout ParityReport, _ progress: (Int64, Int64) -> Void) throws {
    while let whole = parts.popLast() {
      let part = try find(whole, progress)
      counts.keyCount += keys.count
      counts.purgedCount += purges.lsns.count
      try lookForOthers(part, &report)
      try compareOrders(part)
      if keys.hasWork { try compareValues(&report) }
      noteRead(totalBytes, progress)
    }
    report.groups.append(counts)
  }

  private mutating func noteRead(_ bytes: Int64, _ progress: (Int64, Int64) -> Void) {
    doneBytes += bytes
    progress(doneBytes, max(doneBytes, doneBytes + totalBytes * 2 * Int64(parts.count)))
  }

  // MARK: The log

  /// Shows the log's entries of the part's keys, copies among them. When the log is cleaned meanwhile it begins
  /// again, so some may come twice.
  private func forEachEntry(
    _ part: KeyPart, _ body: (Int64, borrowing LogEntry.View) throws -> Void
  ) throws {
    for attempt in 1... {
      var failure: (any Error)?
      do {
        try log.log.replay(from: log.log.firstLSN) { lsn, position, payload in
          guard let entry = LogEntry.View(payload) else {
            failure = OnlineStoreError.malformedEntry(position)
            return false
          }
          guard entry.groupID == group.id, part.contains(entry.key) else { return true }
          do { try body(lsn, entry) } catch { failure = error }
          return failure == nil
        }
        if let failure { throw failure }
        return
      } catch WriteAheadLogError.removed where attempt < 16 {}
    }
  }

  private func purges(of part: KeyPart) throws -> Purges {
    var purges = Purges()
    try forEachEntry(part) { lsn, entry in
      if entry.kind == .purge { purges.add(entry.key, lsn) }
    }
    return purges
  }

  /// Finds the keys that answer online, and that offline does not have.
  private mutating func lookForOthers(_ part: KeyPart, _ report: inout ParityReport) throws {
    var found = keys
    var others: [[UInt8]] = []
    try forEachEntry(part) { _, entry in
      guard entry.kind.isAnswer, found.find(entry.key) < 0 else { return }
      guard let online = try answer(entry.key) else { return }
      guard online.order.lsn <= unflushed.lsn else { return }
      let isBroughtBack = online.order.lsn < purges.lsn(entry.key)
      found.add(entry.key, online.order, isBroughtBack ? .broughtBack : .settled)
      if !isBroughtBack { others.append(found.key(found.count - 1)) }
    }
    keys = found
    for key in others {
      guard let online = try answer(key.rawSpan) else { continue }
      counts.differingCount += 1
      try note(
        key, offline: nil, online: online.stored, .online,
        "offline has no record of the key: the table, and the log behind it, lack what online "
          + "answers with (lsn \(online.order.lsn))", &report)
    }
  }

  /// What answers online, with where it stands.
  private func answer(
    _ key: RawSpan
  ) throws -> (order: RecordOrder, stored: StoredEntry)? {
    guard let stored = try log.withRecord(groupID: group.id, key: key, { $0.stored }) ?? nil else {
      return nil
    }
    return (RecordOrder(eventTime: stored.entry.eventTime, lsn: stored.lsn), stored)
  }

  /// Where stands what answers online.
  private func order(_ key: RawSpan) throws -> RecordOrder? {
    try log.withRecord(groupID: group.id, key: key) {
      RecordOrder(eventTime: $0.eventTime, lsn: $0.lsn)
    }
  }

  // MARK: Offline

  private var keyCount: Int { group.recordIdentifiers.count }
  private var decisiveNames: [String] {
    group.recordIdentifiers.map(\.name) + [group.eventTimeName, OfflineTables.lsn]
  }

  /// Shows the rows of the table and of the tail.
  private func forEachBatch(
    _ names: [String], _ body: (EncodedRows, [RecordOrder], [Column]) throws -> Void
  ) throws {
    var scan = unflushed.table.newScan()
    scan.columns = names
    func show(_ columns: [Column], _ rowCount: Int) throws {
      let encoded = KeyCodec(group).encode(columns[..<keyCount], rowCount: rowCount)
      let (timeColumn, lsnColumn) = (columns[keyCount], columns[keyCount + 1])
      let times = timeColumn.values(as: Int64.self)
      let lsns = lsnColumn.values(as: Int64.self)
      var orders: [RecordOrder] = []
      orders.reserveCapacity(rowCount)
      for row in 0..<rowCount { orders.append(RecordOrder(eventTime: times[row], lsn: lsns[row])) }
      try body(encoded, orders, Array(columns[(keyCount + 2)...]))
    }
    let batches = try scan.batches(of: tasks)
    while let batch = try batches.next() { try show(batch.columns, batch.rowCount) }
    for batch in unflushed.batches {
      try show(try names.map { try batch.column(named: $0, of: group) }, batch.rowCount)
    }
  }

  /// The newest record of each key since its last purge; returns the part, as small as it had to be made.
  private mutating func find(
    _ whole: KeyPart, _ progress: (Int64, Int64) -> Void
  ) throws -> KeyPart {
    var part = whole
    let purges = try purges(of: whole)
    var found = ParityKeys()
    var rest: [KeyPart] = []
    try forEachBatch(decisiveNames) { encoded, orders, _ in
      for (row, order) in orders.enumerated() where part.contains(encoded[row]) {
        if order.lsn > purges.lsn(encoded[row]) { found.add(encoded[row], order) }
      }
      while found.sizeBytes > memoryBytes, part.bitCount < KeyPart.bitLimit {
        let halves = part.halves
        part = halves.0
        found.keep(part)
        rest.append(halves.1)
      }
    }
    keys = found
    parts += rest
    self.purges = part == whole ? purges : try self.purges(of: part)
    noteRead(totalBytes, progress)
    return part
  }

  // MARK: Comparing

  private mutating func compareOrders(_ part: KeyPart) throws {
    let oldest = group.timeToLive.oldestEventTime(at: store.clock.nowMicroseconds())
    for id in 0..<keys.count where keys.states[id] == .same {
      let expected = keys.orders[id]
      let key = keys.key(id)
      guard let online = try order(key.rawSpan) else {
        if expected.eventTime < oldest {
          keys.states[id] = .settled
          counts.expiredCount += 1
        } else {
          keys.states[id] = .missing
        }
        continue
      }
      if online == expected { continue }
      if online.lsn > unflushed.lsn {
        keys.states[id] = .settled
        counts.changedCount += 1
      } else if online.lsn < purges.lsn(key.rawSpan) {
        keys.expect(online, of: id, .broughtBack)
      } else {
        keys.states[id] = online < expected ? .offlineNewer : .onlineNewer
      }
    }
    guard keys.states.contains(where: { $0 == .missing || $0 == .offlineNewer }) else { return }
    // Perhaps they were purged meanwhile.
    let purges = try purges(of: part)
    for id in 0..<keys.count where [.missing, .offlineNewer].contains(keys.states[id]) {
      let key = keys.key(id)
      if purges.lsn(key.rawSpan) > self.purges.lsn(key.rawSpan) {
        keys.states[id] = .settled
        counts.changedCount += 1
      }
    }
  }

  private mutating func compareValues(_ report: inout ParityReport) throws {
    let known = Set(try unflushed.table.newScan().schema().fields.map(\.name))
    let hasExpiry = group.hasExpiryColumn && known.contains(OfflineTables.expiresAt)
    let names =
      decisiveNames + [OfflineTables.isDeleted, OfflineTables.writeTime]
      + group.features.map(\.name) + (hasExpiry ? [OfflineTables.expiresAt] : [])
    var (keys, counts) = (keys, counts)
    self.keys = ParityKeys()
    try forEachBatch(names) { encoded, orders, columns in
      var wanted: [(row: Int, id: Int)] = []
      for (row, order) in orders.enumerated() {
        let id = keys.find(encoded[row])
        guard id >= 0, keys.states[id] != .settled, keys.orders[id] == order else { continue }
        wanted.append((row, id))
      }
      guard !wanted.isEmpty else { return }
      let features = columns[2..<(2 + group.features.count)]
      for (feature, column) in zip(group.features, features)
      where !KeyReader.hasLayout(column.type, of: feature.type.dataType) {
        throw FeatureStoreError(
          .conflict,
          "the column '\(feature.name)' of '\(group.name)' is \(column.type) in its table")
      }
      let rows = RowCodec(group).encode(features, rowCount: orders.count)
      for (row, id) in wanted where keys.states[id] != .settled {
        let isDeleted = !columns[0].isNull(row) && columns[0].boolean(at: row)
        let expiry = hasExpiry ? columns[columns.count - 1] : nil
        let expiresAt = expiry.flatMap { $0.isNull(row) ? nil : $0.values(as: Int64.self)[row] }
        let state = keys.states[id]
        keys.states[id] = .settled
        if state == .same, !isDeleted,
          try isSame(encoded[row], orders[row], rows[row], expiresAt: expiresAt)
        {
          counts.equalCount += 1
          continue
        }
        let entry = LogEntry(
          isDeleted ? .tombstone : .put, groupID: group.id, eventTime: orders[row].eventTime,
          expiresAt: expiresAt, row: isDeleted ? [] : rows.array(row))
        let offline = StoredEntry(lsn: orders[row].lsn, entry: entry)
        try compare(keys.key(id), state, offline, &counts, &report)
      }
    }
    for id in 0..<keys.count where keys.states[id] != .settled {
      guard let online = try answer(keys.key(id).rawSpan), online.order == keys.orders[id] else {
        counts.changedCount += 1
        continue
      }
      counts.differingCount += 1
      try note(
        keys.key(id), offline: nil, online: online.stored, .online,
        "offline has no such record, although online answers with it (lsn \(online.order.lsn))",
        &report)
    }
    (self.keys, self.counts) = (keys, counts)
  }

  /// Whether what answers online is this record, byte for byte: what nearly all are, found without a copy.
  private func isSame(
    _ key: RawSpan, _ order: RecordOrder, _ row: RawSpan, expiresAt: Int64?
  ) throws -> Bool {
    try log.withRecord(groupID: group.id, key: key) { record in
      record.eventTime == order.eventTime && record.lsn == order.lsn && !record.isTombstone
        && record.expiresAt == expiresAt && Self.areEqual(record.row, row)
    } ?? false
  }

  private static func areEqual(_ left: RawSpan, _ right: RawSpan) -> Bool {
    guard left.byteCount == right.byteCount else { return false }
    let wordsEnd = left.byteCount & ~7
    for offset in stride(from: 0, to: wordsEnd, by: 8)
    where left.loadLittleEndian(UInt64.self, at: offset)
      != right.loadLittleEndian(UInt64.self, at: offset)
    {
      return false
    }
    for offset in wordsEnd..<left.byteCount
    where left.loadLittleEndian(UInt8.self, at: offset)
      != right.loadLittleEndian(UInt8.self, at: offset)
    {
      return false
    }
    return true
  }

  /// Compares a key's record now with the offline row that counts.
  private func compare(
    _ key: [UInt8], _ state: ParityKeys.State, _ offline: StoredEntry,
    _ counts: inout ParityReport.Group, _ report: inout ParityReport
  ) throws {
    let expected = RecordOrder(eventTime: offline.entry.eventTime, lsn: offline.lsn)
    let online = try answer(key.rawSpan)
    // What was right a moment ago was written, purged or dropped since.
    guard let online else {
      guard state == .missing else {
        counts.changedCount += 1
        return
      }
      counts.differingCount += 1
      let first = log.log.firstLSN
      let cause =
        expected.lsn < first
        ? "purged before the log was cleaned up to lsn \(first), never brought online, or lost"
        : "never brought online, or lost"
      try note(
        key, offline: offline, online: nil, .offline,
        "online has no record of the key: \(cause) ('fstore materialize \(group.name)' brings it)",
        &report)
      return
    }
    if online.order == expected {
      let problem = difference(offline, online.stored)
      if let problem {
        counts.differingCount += 1
        try note(key, offline: offline, online: online.stored, .neither, problem, &report)
      } else {
        counts.equalCount += 1
      }
      return
    }
    guard online.order.lsn <= unflushed.lsn, state == .onlineNewer || state == .offlineNewer else {
      counts.changedCount += 1
      return
    }
    counts.differingCount += 1
    let isOnline = expected < online.order
    let (newer, older) = isOnline ? (online.order, expected) : (expected, online.order)
    let why =
      newer.eventTime != older.eventTime
      ? "event time \(time(newer.eventTime)) instead of \(time(older.eventTime))"
      : "lsn \(newer.lsn) instead of \(older.lsn) at event time \(time(newer.eventTime))"
    try note(
      key, offline: offline, online: online.stored, isOnline ? .online : .offline,
      "\(isOnline ? "online" : "offline") has a newer record: \(why)", &report)
  }
}
