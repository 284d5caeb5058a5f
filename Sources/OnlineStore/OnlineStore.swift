public import Storage
public import WriteAheadLog

public struct OnlineStoreOptions: Hashable, Sendable {
  public var log = WriteAheadLogOptions()

  public init() {}
}

/// Why the online store refused or failed.
public enum OnlineStoreError: Error, Hashable, Sendable, CustomStringConvertible {
  case log(WriteAheadLogError)
  /// A key has more bytes than `LogEntry.keyLimitBytes`. Nothing was written.
  case keyTooLong(sizeBytes: Int)
  /// The log's record is whole, but no entry that this version knows, or not the one indexed.
  case malformedEntry(LogPosition)
  /// The index does not answer with this record, nor with a newer one of its key.
  case indexDisagrees(LogSequenceNumber)

  public var description: String {
    switch self {
    case .log(let error): error.description
    case .keyTooLong(let sizeBytes):
      "a key of \(sizeBytes) bytes is longer than the \(LogEntry.keyLimitBytes) allowed"
    case .indexDisagrees(let lsn): "the index lacks the record with LSN \(lsn)"
    case .malformedEntry(let position):
      "the record at byte \(position.byteOffset) of segment \(position.segment) is no valid entry"
    }
  }
}

/// The newest record of every entity: an index over the log, which holds keys and rows.
///
/// Of a key's records the one with the greatest (event time, LSN) answers; a tombstone takes part like
/// any other. The index is rebuilt from the log on opening. Thread-safe; a get costs one read of the
/// log, an append one commit.
public final class OnlineStore: Sendable {
  public let log: WriteAheadLog
  private let clock: any WallClock
  private let hasher: KeyHash
  private let shards: [Lock<IndexShard>]
  /// Keys by group, tombstones included, and how many of them are tombstones.
  private let counters = Lock<[UInt32: GroupStatistics]>([:])
  private let lastWriteTime = Lock<Int64>(.min)

  private static let shardBits: UInt64 = 6

  public static func open(
    directory: String, fileSystem: any FileSystem, clock: any WallClock,
    options: OnlineStoreOptions = .init()
  ) throws(OnlineStoreError) -> OnlineStore {
    let log: WriteAheadLog
    do {
      log = try WriteAheadLog.open(
        directory: directory, fileSystem: fileSystem, options: options.log)
    } catch { throw .log(error) }
    let store = OnlineStore(log: log, clock: clock)
    try store.rebuild()
    return store
  }

  private init(log: WriteAheadLog, clock: any WallClock) {
    self.log = log
    self.clock = clock
    hasher = KeyHash(seed: .random(in: .min ... .max))
    shards = (0..<(1 << OnlineStore.shardBits)).map { _ in Lock(IndexShard()) }
  }

  private func rebuild() throws(OnlineStoreError) {
    var failure: OnlineStoreError?
    do {
      try log.replay(from: log.firstLSN) { lsn, position, payload in
        guard let view = LogEntry.View(payload) else {
          failure = .malformedEntry(position)
          return false
        }
        let written = view.writeTime
        lastWriteTime.withLock { $0 = max($0, written) }
        do throws(OnlineStoreError) {
          try index(view, lsn: lsn, at: position)
          return true
        } catch {
          failure = error
          return false
        }
      }
    } catch { throw .log(error) }
    if let failure { throw failure }
  }

  /// Appends the entries as one atomic commit; they can be read when it returns. Every entry gets the
  /// same write time, later than that of every append before.
  public func append(
    _ entries: [LogEntry]
  ) throws(OnlineStoreError) -> ClosedRange<LogSequenceNumber> {
    let writeTime = nextWriteTime()
    var records = LogRecords()
    for entry in entries {
      guard entry.key.count <= LogEntry.keyLimitBytes else {
        throw .keyTooLong(sizeBytes: entry.key.count)
      }
      var stamped = entry
      stamped.writeTime = writeTime
      records.append { stamped.encode(into: &$0) }
    }
    let receipt: AppendReceipt
    do { receipt = try log.append(records) } catch { throw .log(error) }
    for (offset, entry) in entries.enumerated() where entry.kind != .control {
      try index(
        groupID: entry.groupID, key: entry.key.rawSpan, eventTime: entry.eventTime,
        isTombstone: entry.kind == .tombstone, lsn: receipt.lsns.lowerBound + Int64(offset),
        at: receipt.positions[offset])
    }
    return receipt.lsns
  }

  private func nextWriteTime() -> Int64 {
    let now = clock.nowMicroseconds()
    return lastWriteTime.withLock { last in
      // The wall clock may stand still or go back; the order of writes must not.
      last = last == .min ? now : max(now, last &+ 1)
      return last
    }
  }

  /// The entry that answers for this key: a put, a tombstone, or nil when nothing was ever written.
  public func get(groupID: UInt32, key: [UInt8]) throws(OnlineStoreError) -> StoredEntry? {
    let tag = hasher.hash(groupID: groupID, key: key.rawSpan)
    return try shard(tag).withLock { shard throws(OnlineStoreError) in
      var answer: StoredEntry?
      var failure: OnlineStoreError?
      _ = shard.find(tag) { position in
        do throws(WriteAheadLogError) {
          return try log.read(at: position) { lsn, payload in
            guard let view = LogEntry.View(payload) else {
              failure = .malformedEntry(position)
              return true
            }
            guard view.groupID == groupID, view.key.isEqual(to: key.rawSpan) else { return false }
            answer = LogEntry(decoding: payload).map { StoredEntry(lsn: lsn, entry: $0) }
            return true
          }
        } catch {
          failure = .log(error)
          return true
        }
      }
      if let failure { throw failure }
      return answer
    }
  }

  /// The same for several keys, in their order.
  public func getBatch(
    groupID: UInt32, keys: [[UInt8]]
  ) throws(OnlineStoreError) -> [StoredEntry?] {
    var answers: [StoredEntry?] = []
    answers.reserveCapacity(keys.count)
    for key in keys { answers.append(try get(groupID: groupID, key: key)) }
    return answers
  }

  /// The acknowledged entries from `lsn` on, in order, until about `limitBytes` of them are gathered:
  /// at least one if there is one. `next` is where to go on.
  public func follow(
    from lsn: LogSequenceNumber, limitBytes: Int
  ) throws(OnlineStoreError) -> (entries: [StoredEntry], next: LogSequenceNumber) {
    var entries: [StoredEntry] = []
    var gathered = 0
    var failure: OnlineStoreError?
    let next: LogSequenceNumber
    do {
      next = try log.replay(from: lsn) { lsn, position, payload in
        guard let entry = LogEntry(decoding: payload) else {
          failure = .malformedEntry(position)
          return false
        }
        entries.append(StoredEntry(lsn: lsn, entry: entry))
        gathered += payload.byteCount
        return gathered < limitBytes
      }
    } catch { throw .log(error) }
    if let failure { throw failure }
    return (entries, next)
  }

  public func close() throws(OnlineStoreError) {
    do { try log.close() } catch { throw .log(error) }
  }

  private func shard(_ tag: UInt64) -> Lock<IndexShard> {
    // The low bits choose the slot in the shard.
    shards[Int(truncatingIfNeeded: tag >> (64 - OnlineStore.shardBits))]
  }

  private func index(
    _ view: borrowing LogEntry.View, lsn: LogSequenceNumber, at position: LogPosition
  ) throws(OnlineStoreError) {
    if view.kind == .control { return }
    try index(
      groupID: view.groupID, key: view.key, eventTime: view.eventTime,
      isTombstone: view.kind == .tombstone, lsn: lsn, at: position)
  }

  private struct Current {
    var lsn: LogSequenceNumber
    var eventTime: Int64
    var isTombstone: Bool
  }

  /// Lets the record answer for its key if it is the newest.
  private func index(
    groupID: UInt32, key: RawSpan, eventTime: Int64, isTombstone: Bool, lsn: LogSequenceNumber,
    at position: LogPosition
  ) throws(OnlineStoreError) {
    let tag = hasher.hash(groupID: groupID, key: key)
    let lock = shard(tag)
    let change: (keys: Int, tombstones: Int) = try lock.withLock {
      shard throws(OnlineStoreError) in
      var current: Current?
      var failure: WriteAheadLogError?
      let slot = shard.find(tag) { candidate in
        do throws(WriteAheadLogError) {
          current = try log.read(at: candidate) { lsn, payload in
            guard let view = LogEntry.View(payload), view.groupID == groupID,
              view.key.isEqual(to: key)
            else { return nil }
            return Current(
              lsn: lsn, eventTime: view.eventTime, isTombstone: view.kind == .tombstone)
          }
          return current != nil
        } catch {
          failure = error
          return true
        }
      }
      if let failure { throw .log(failure) }
      guard let slot, let current else {
        shard.insert(tag, position)
        return (1, isTombstone ? 1 : 0)
      }
      guard (eventTime, lsn) > (current.eventTime, current.lsn) else { return (0, 0) }
      shard.replace(slot, with: position)
      return (0, (isTombstone ? 1 : 0) - (current.isTombstone ? 1 : 0))
    }
    guard change.keys != 0 || change.tombstones != 0 else { return }
    counters.withLock { $0[groupID, default: .init()].add(change.keys, change.tombstones) }
  }
}

extension OnlineStore {
  public struct GroupStatistics: Hashable, Sendable {
    /// Keys that answer with a row.
    public internal(set) var liveKeys = 0
    /// Keys that answer "deleted".
    public internal(set) var deletedKeys = 0

    mutating func add(_ keys: Int, _ tombstones: Int) {
      liveKeys += keys - tombstones
      deletedKeys += tombstones
    }
  }

  public struct Statistics: Hashable, Sendable {
    public var groups: [UInt32: GroupStatistics]
    public var indexedKeys: Int
    public var indexBytes: Int
    public var lastLSN: LogSequenceNumber
    public var durableLSN: LogSequenceNumber
    public var segmentCount: Int
    public var logBytes: Int
  }

  public var statistics: Statistics {
    var (keys, bytes) = (0, 0)
    for shard in shards {
      shard.withLock {
        keys += $0.count
        bytes += $0.sizeBytes
      }
    }
    return Statistics(
      groups: counters.withLock { $0 }, indexedKeys: keys, indexBytes: bytes,
      lastLSN: log.lastLSN, durableLSN: log.durableLSN, segmentCount: log.segmentCount,
      logBytes: log.sizeBytes)
  }

  /// Reads every record again, checks every checksum, and that the index answers each key with its
  /// newest record. Returns how many records were read; throws on the first damage. To be called while
  /// nobody appends: a record that its writer has not indexed yet looks like a missing one.
  @discardableResult public func verify() throws(OnlineStoreError) -> Int {
    var count = 0
    var failure: OnlineStoreError?
    do {
      try log.replay(from: log.firstLSN) { lsn, position, payload in
        count += 1
        guard let entry = LogEntry(decoding: payload) else {
          failure = .malformedEntry(position)
          return false
        }
        if entry.kind == .control { return true }
        do throws(OnlineStoreError) {
          let answer = try get(groupID: entry.groupID, key: entry.key)
          if let answer, (answer.entry.eventTime, answer.lsn) >= (entry.eventTime, lsn) {
            return true
          }
          failure = .indexDisagrees(lsn)
        } catch { failure = error }
        return failure == nil
      }
    } catch { throw .log(error) }
    if let failure { throw failure }
    return count
  }
}
