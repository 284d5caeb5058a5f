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

  /// What the record takes in the log, without the log's own header.
  var sizeBytes: Int { entry.bytes.byteCount }

  /// The features as `RowCodec` encodes them; empty for a tombstone.
  public var row: RawSpan {
    @_lifetime(copy self)
    get { entry.row }
  }

  func candidate(at position: LogPosition) -> OnlineStore.Candidate {
    OnlineStore.Candidate(entry, lsn: lsn, at: position)
  }

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
  @inlinable public func withRecord<Result>(
    groupID: UInt32, key: RawSpan, _ body: (RecordView) -> Result
  ) throws(OnlineStoreError) -> Result? {
    var result: Result?
    try show(groupID: groupID, key: key) { result = body($0) }
    return result
  }

  /// The same, of one type for all results: generic code that is not specialized is slow.
  @usableFromInline func show(
    groupID: UInt32, key: RawSpan, _ body: (RecordView) -> Void
  ) throws(OnlineStoreError) {
    let tag = hasher.hash(groupID: groupID, key: key)
    let (section, isTimed) = sections.beginGet()
    defer { sections.end(section) }
    let start = isTimed ? MonotonicClock.nowNanoseconds() : 0
    guard isTimed else {
      if try !show(tag, groupID: groupID, key: key, body) { sections.countMiss(section) }
      return
    }
    var sizeBytes = 0
    let isFound = try show(tag, groupID: groupID, key: key) { record in
      sizeBytes = record.sizeBytes
      body(record)
    }
    if !isFound { sections.countMiss(section) }
    counters.noteGet(since: start, sizeBytes: sizeBytes)
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
    let count = keys.count
    let (section, isTimed) = sections.beginBatch(keyCount: count)
    defer { sections.end(section) }
    let start = isTimed ? MonotonicClock.nowNanoseconds() : 0
    var sizeBytes = 0
    let memory = logMemory
    var tags: [UInt64] = []
    tags.reserveCapacity(count)
    for index in 0..<count {
      let tag = hasher.hash(groupID: groupID(index), key: keys[index])
      shard(tag).view.prefetch(tag)
      tags.append(tag)
    }
    var positions: [LogPosition] = []
    positions.reserveCapacity(count)
    for tag in tags {
      let table = shard(tag).view
      let position = table.next(tag, from: table.start(tag))?.position ?? OnlineStore.nowhere
      memory.prefetch(position)
      positions.append(position)
    }
    var misses = 0
    for index in 0..<count {
      if positions[index] == OnlineStore.nowhere {
        misses += 1
        continue
      }
      let (group, key) = (groupID(index), keys[index])
      var isShown = false
      do throws(OnlineStoreError) {
        isShown = try show(at: positions[index], groupID: group, key: key) { record in
          sizeBytes += record.sizeBytes
          body(index, record)
        }
      } catch {}
      // Another key with the same hash, or moved meanwhile, or damaged: the long way tells.
      if isShown { continue }
      if try !show(tags[index], groupID: group, key: key, { body(index, $0) }) { misses += 1 }
    }
    sections.countBatchMisses(misses, section)
    if isTimed { counters.noteBatch(of: count, since: start, sizeBytes: sizeBytes) }
  }

  /// No record lies in a segment's header.
  private static let nowhere = LogPosition(rawValue: 0)

  /// Shows the key's record if there is one; whether there is. Inside a read section.
  private func show(
    _ tag: UInt64, groupID: UInt32, key: RawSpan, _ body: (RecordView) -> Void
  ) throws(OnlineStoreError) -> Bool {
    var attempts = 0
    while true {
      do throws(OnlineStoreError) {
        let table = shard(tag).view
        var slot = table.start(tag)
        while let found = table.next(tag, from: slot) {
          if try show(at: found.position, groupID: groupID, key: key, body) { return true }
          slot = table.after(found.slot)
        }
        return false
      } catch {
        // Cleaning has moved the record between our looks at the index and at the log; the index knows
        // where it is now.
        attempts += 1
        guard case .log(.removed) = error, attempts < 16 else { throw error }
      }
    }
  }

  /// Shows the record at a position if it is the key's; whether it is. Inside a read section.
  @inline(__always) private func show(
    at position: LogPosition, groupID: UInt32, key: RawSpan, _ body: (RecordView) -> Void
  ) throws(OnlineStoreError) -> Bool {
    let memory = logMemory
    guard let record = memory.record(at: position) else {
      return try readRecord(position, groupID: groupID, key: key, body)
    }
    guard let entry = LogEntry.View(record.payload) else { throw .malformedEntry(position) }
    guard entry.groupID == groupID, entry.key.isEqual(to: key) else { return false }
    body(RecordView(lsn: record.lsn, entry: entry))
    return true
  }

  /// The same by a system call, for what is not mapped; says what is wrong with a damaged record.
  private func readRecord(
    _ position: LogPosition, groupID: UInt32, key: RawSpan, _ body: (RecordView) -> Void
  ) throws(OnlineStoreError) -> Bool {
    var failure: OnlineStoreError?
    var isShown = false
    do {
      try log.read(at: position) { lsn, payload in
        guard let entry = LogEntry.View(payload) else {
          failure = .malformedEntry(position)
          return
        }
        guard entry.groupID == groupID, entry.key.isEqual(to: key) else { return }
        body(RecordView(lsn: lsn, entry: entry))
        isShown = true
      }
    } catch { throw .log(error) }
    if let failure { throw failure }
    return isShown
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
      var answer: Found?
      _ = try show(at: found.position, groupID: groupID, key: key) { record in
        answer = Found(slot: found.slot, record: record.candidate(at: found.position))
      }
      if let answer { return answer }
      slot = table.after(found.slot)
    }
    return nil
  }
}
