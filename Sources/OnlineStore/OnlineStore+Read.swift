public import FeatureModel
internal import Storage
public import WriteAheadLog

/// A record read in place: nothing is copied before it is asked for.
public struct RecordView: ~Escapable {
  /// Where it stands in the order of events.
  public let lsn: LogSequenceNumber
  private let entry: LogEntry.View

  @_lifetime(copy entry)
  init(lsn: LogSequenceNumber, entry: consuming LogEntry.View) {
    self.lsn = entry.originalLSN ?? lsn
    self.entry = entry
  }

  public var isTombstone: Bool { entry.kind == .tombstone }
  public var groupID: UInt32 { entry.groupID }
  /// The version of the group's definition under which the row was written.
  public var schemaVersion: UInt32 { entry.schemaVersion }
  /// Microseconds since 1970-01-01T00:00:00Z, as the next.
  public var eventTime: Int64 { entry.eventTime }
  public var writeTime: Int64 { entry.writeTime }
  /// The last moment at which it counts, whatever its group's ttl; nil for no limit of its own.
  public var expiresAt: Int64? { entry.expiresAt }

  /// The features as `RowCodec` encodes them; empty for a tombstone.
  public var row: RawSpan {
    @_lifetime(copy self)
    get { entry.row }
  }

  var sizeBytes: Int { entry.bytes.byteCount }

  /// A copy that outlives the read.
  public var stored: StoredEntry? {
    LogEntry(decoding: entry.bytes).map { StoredEntry(lsn: lsn, entry: $0) }
  }
}

extension OnlineStore {
  /// Shows the record that answers for this key: a put or a tombstone. Returns nil when nothing was ever
  /// written.
  ///
  /// Cost: two or three cache misses and a checksum. No allocation, no lock, no system call where the log
  /// can be mapped. `body` may do anything but should be short: memory that writers have replaced is
  /// kept meanwhile.
  public func withRecord<Result>(
    groupID: UInt32, key: RawSpan, _ body: (RecordView) -> Result
  ) throws(OnlineStoreError) -> Result? {
    let tag = hasher.hash(groupID: groupID, key: key)
    let section = sections.begin()
    defer { sections.end(section) }
    return try withRecord(tag, groupID: groupID, key: key, body)
  }

  /// The entry that answers for this key: a put, a tombstone, or nil when nothing was ever written.
  public func get(groupID: UInt32, key: [UInt8]) throws(OnlineStoreError) -> StoredEntry? {
    try withRecord(groupID: groupID, key: key.rawSpan) { $0.stored } ?? nil
  }

  /// The same for several keys, in their order.
  public func getBatch(
    groupID: UInt32, keys: [[UInt8]]
  ) throws(OnlineStoreError) -> [StoredEntry?] {
    var encoded = EncodedRows()
    for key in keys { encoded.append(key) }
    var answers: [StoredEntry?] = Array(repeating: nil, count: keys.count)
    try withRecords(groupID: groupID, keys: encoded) { answers[$0] = $1.stored }
    return answers
  }

  /// Shows the records of many keys of a group, in their order, by the key's index; those of keys that
  /// were never written are left out.
  ///
  /// Much cheaper than one by one, because the cache misses of all keys overlap: all keys are hashed,
  /// then all slots are read, then the first lines of all records, and only then are they used.
  public func withRecords(
    groupID: UInt32, keys: EncodedRows, _ body: (Int, RecordView) -> Void
  ) throws(OnlineStoreError) {
    try withRecords(keys, groupID: { _ in groupID }, body)
  }

  /// The same for keys of several groups: `groupIDs` says of each key to which group it belongs.
  ///
  /// - Precondition: there are as many group ids as keys.
  public func withRecords(
    groupIDs: [UInt32], keys: EncodedRows, _ body: (Int, RecordView) -> Void
  ) throws(OnlineStoreError) {
    precondition(groupIDs.count == keys.count, "one group a key")
    try withRecords(keys, groupID: { groupIDs[$0] }, body)
  }

  @inline(__always) private func withRecords(
    _ keys: EncodedRows, groupID: (Int) -> UInt32, _ body: (Int, RecordView) -> Void
  ) throws(OnlineStoreError) {
    let section = sections.begin()
    defer { sections.end(section) }
    let memory = logMemory
    var tags: [UInt64] = []
    tags.reserveCapacity(keys.count)
    for index in 0..<keys.count {
      tags.append(hasher.hash(groupID: groupID(index), key: keys[index]))
    }
    var sum: UInt64 = 0
    var positions: [UInt64] = []
    positions.reserveCapacity(keys.count)
    for tag in tags {
      let table = shard(tag).view
      positions.append(table.next(tag, from: table.start(tag))?.position.rawValue ?? 0)
    }
    for position in positions { sum &+= memory.touch(LogPosition(rawValue: position)) }
    for (index, tag) in tags.enumerated() {
      _ = try withRecord(tag, groupID: groupID(index), key: keys[index]) { body(index, $0) }
    }
    OnlineStore.keep(sum)
  }

  @inline(never) private static func keep(_ value: UInt64) {}

  private func withRecord<Result>(
    _ tag: UInt64, groupID: UInt32, key: RawSpan, _ body: (RecordView) -> Result
  ) throws(OnlineStoreError) -> Result? {
    var attempts = 0
    while true {
      do throws(OnlineStoreError) {
        let table = shard(tag).view
        var slot = table.start(tag)
        while let found = table.next(tag, from: slot) {
          if let result = try withRecord(at: found.position, groupID: groupID, key: key, body) {
            return result
          }
          slot = table.after(found.slot)
        }
        return nil
      } catch {
        // Cleaning has moved the record between our looks at the index and at the log; the index knows
        // where it is now.
        attempts += 1
        guard case .log(.removed) = error, attempts < 16 else { throw error }
      }
    }
  }

  /// The record at a position if it is the key's. Inside a read section.
  @inline(__always) private func withRecord<Result>(
    at position: LogPosition, groupID: UInt32, key: RawSpan, _ body: (RecordView) -> Result
  ) throws(OnlineStoreError) -> Result? {
    let memory = logMemory
    guard let record = memory.record(at: position) else {
      return try readRecord(position, groupID: groupID, key: key, body)
    }
    guard let entry = LogEntry.View(record.payload) else { throw .malformedEntry(position) }
    guard entry.groupID == groupID, entry.key.isEqual(to: key) else { return nil }
    return body(RecordView(lsn: record.lsn, entry: entry))
  }

  /// The same by a system call, for what is not mapped; says what is wrong with a damaged record.
  private func readRecord<Result>(
    _ position: LogPosition, groupID: UInt32, key: RawSpan, _ body: (RecordView) -> Result
  ) throws(OnlineStoreError) -> Result? {
    var failure: OnlineStoreError?
    let result: Result?
    do {
      result = try log.read(at: position) { lsn, payload in
        guard let entry = LogEntry.View(payload) else {
          failure = .malformedEntry(position)
          return nil
        }
        guard entry.groupID == groupID, entry.key.isEqual(to: key) else { return nil }
        return body(RecordView(lsn: lsn, entry: entry))
      }
    } catch { throw .log(error) }
    if let failure { throw failure }
    return result
  }

  /// What the index says of a key at this moment.
  struct Found {
    var slot: Int
    var record: Candidate
  }

  /// The key's slot and record; with the shard's lock held.
  func find(
    _ tag: UInt64, groupID: UInt32, key: RawSpan
  ) throws(OnlineStoreError) -> Found? {
    let section = sections.begin()
    defer { sections.end(section) }
    let table = shard(tag).view
    var slot = table.start(tag)
    while let found = table.next(tag, from: slot) {
      let record = try withRecord(at: found.position, groupID: groupID, key: key) { record in
        Candidate(
          groupID: groupID, eventTime: record.eventTime, isTombstone: record.isTombstone,
          lsn: record.lsn, position: found.position, sizeBytes: record.sizeBytes)
      }
      if let record { return Found(slot: found.slot, record: record) }
      slot = table.after(found.slot)
    }
    return nil
  }
}
