public import Storage
internal import Synchronization
public import WriteAheadLog

public struct OnlineStoreOptions: Hashable, Sendable {
  public var log = WriteAheadLogOptions()

  public init() {}
}

/// The newest record of every entity: an index over the log, which holds keys and rows.
///
/// Of a key's records the one with the greatest (event time, LSN) answers; a tombstone takes part like
/// any other. The index is rebuilt from the log on opening.
///
/// Thread-safe. Reads take no lock and make no system call; they never wait for writers. A write costs one
/// commit of the log.
public final class OnlineStore: Sendable {
  public let log: WriteAheadLog
  let clock: any WallClock
  let hasher: KeyHash
  let shards: [IndexShard]
  let sections = ReadSections()
  private let lastWriteTime = Lock<Int64>(.min)
  /// The log's segments as memory, and where readers find them.
  private let memory: Lock<LogMemory>
  private let memoryView: Atomic<UInt>

  private static let shardCount: UInt64 = 64

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
    shards = (0..<OnlineStore.shardCount).map { _ in IndexShard() }
    let memory = log.memory()
    self.memory = Lock(memory)
    memoryView = unsafe Atomic(UInt(bitPattern: memory.view))
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
    cover(receipt.positions[receipt.positions.count - 1])
    for (offset, entry) in entries.enumerated() where entry.kind != .control {
      let candidate = Candidate(
        groupID: entry.groupID, eventTime: entry.eventTime, isTombstone: entry.kind == .tombstone,
        lsn: receipt.lsns.lowerBound + Int64(offset), position: receipt.positions[offset])
      try index(candidate, key: entry.key.rawSpan)
    }
    sections.reclaim()
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
        // Followers had the original.
        if entry.originalLSN == nil { entries.append(StoredEntry(lsn: lsn, entry: entry)) }
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

  // MARK: The index

  func shard(_ tag: UInt64) -> IndexShard {
    // The high bits choose the slot in the shard.
    shards[Int(truncatingIfNeeded: tag & (OnlineStore.shardCount - 1))]
  }

  /// The log as memory. Only inside a read section, and valid until its end.
  @inline(__always) var logMemory: LogMemory.View {
    let address = memoryView.load(ordering: .acquiring)
    guard let pointer = unsafe UnsafePointer<LogMemory.View>(bitPattern: address) else {
      preconditionFailure("the log's memory is there from the beginning")
    }
    return unsafe pointer.pointee
  }

  /// Makes the position's segment readable as memory.
  private func cover(_ position: LogPosition) {
    memory.withLock { memory in
      guard unsafe !memory.view.pointee.covers(position) else { return }
      let old = memory
      memory = log.memory()
      unsafe memoryView.store(UInt(bitPattern: memory.view), ordering: .sequentiallyConsistent)
      sections.retire(old)
    }
  }

  /// A record that wants to answer for its key.
  struct Candidate {
    var groupID: UInt32
    var eventTime: Int64
    var isTombstone: Bool
    var lsn: LogSequenceNumber
    var position: LogPosition
  }

  private func index(
    _ view: borrowing LogEntry.View, lsn: LogSequenceNumber, at position: LogPosition
  ) throws(OnlineStoreError) {
    if view.kind == .control { return }
    let candidate = Candidate(
      groupID: view.groupID, eventTime: view.eventTime, isTombstone: view.kind == .tombstone,
      lsn: view.originalLSN ?? lsn, position: position)
    try index(candidate, key: view.key)
  }

  /// Lets the record answer for its key if it is the newest.
  private func index(_ candidate: Candidate, key: RawSpan) throws(OnlineStoreError) {
    let tag = hasher.hash(groupID: candidate.groupID, key: key)
    let shard = shard(tag)
    try shard.withLock { state throws(OnlineStoreError) in
      let change: (keys: Int, tombstones: Int)
      if let found = try find(tag, groupID: candidate.groupID, key: key) {
        let current = found.record
        // A copy takes the place of its original.
        guard (candidate.eventTime, candidate.lsn) >= (current.eventTime, current.lsn) else {
          return
        }
        state.table.replace(found.slot, with: candidate.position.rawValue)
        change = (0, (candidate.isTombstone ? 1 : 0) - (current.isTombstone ? 1 : 0))
      } else {
        shard.insert(tag, candidate.position, into: &state, sections)
        change = (1, candidate.isTombstone ? 1 : 0)
      }
      if change.keys != 0 || change.tombstones != 0 {
        state.groups[candidate.groupID, default: .init()].add(change.keys, change.tombstones)
      }
    }
  }
}
