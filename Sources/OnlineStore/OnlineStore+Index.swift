internal import FeatureModel
internal import Storage
internal import WriteAheadLog

/// How records get into the index: on commit, and when the log is read.
extension OnlineStore {
  /// A record that wants to answer for its key.
  struct Candidate {
    var groupID: UInt32
    var eventTime: Int64
    var isTombstone: Bool
    var lsn: LogSequenceNumber
    var position: LogPosition
    /// Of its payload.
    var sizeBytes: Int

    init(_ entry: borrowing LogEntry.View, lsn: LogSequenceNumber, at position: LogPosition) {
      groupID = entry.groupID
      eventTime = entry.eventTime
      isTombstone = entry.kind == .tombstone
      self.lsn = entry.originalLSN ?? lsn
      self.position = position
      sizeBytes = entry.bytes.byteCount
    }
  }

  /// Records on their way into the index. They go many at once, so that their cache misses overlap.
  private struct Queue {
    static let limit = 64
    var tags: [UInt64] = []
    var candidates: [Candidate] = []
    var keys = EncodedRows()

    mutating func removeAll() {
      tags.removeAll(keepingCapacity: true)
      candidates.removeAll(keepingCapacity: true)
      keys.removeAll()
    }
  }

  /// Indexes the log's records from `lsn` on; returns where to go on.
  @discardableResult
  func replay(from lsn: LogSequenceNumber) throws(OnlineStoreError) -> LogSequenceNumber {
    var queue = Queue()
    var failure: OnlineStoreError?
    var (recordCount, sizeBytes, latestWrite) = (0, 0, Int64.min)
    let next: LogSequenceNumber
    do {
      next = try log.replay(from: lsn) { lsn, position, payload in
        guard let entry = LogEntry.View(payload) else {
          failure = .malformedEntry(position)
          return false
        }
        recordCount += 1
        sizeBytes += payload.byteCount
        latestWrite = max(latestWrite, entry.writeTime)
        do throws(OnlineStoreError) {
          try enqueue(entry, lsn: lsn, at: position, &queue)
          return true
        } catch {
          failure = error
          return false
        }
      }
    } catch { throw .log(error) }
    if let failure { throw failure }
    try index(&queue)
    checkpointer.noteAppended(bytes: sizeBytes)
    lastWriteTime.withLock { $0 = max($0, latestWrite) }
    counters.noteReplayed(recordCount)
    return next
  }

  private func enqueue(
    _ entry: borrowing LogEntry.View, lsn: LogSequenceNumber, at position: LogPosition,
    _ queue: inout Queue
  ) throws(OnlineStoreError) {
    if entry.kind == .purge {
      try index(&queue)
      return try remove(groupID: entry.groupID, key: entry.key, before: lsn)
    }
    guard entry.kind.isAnswer else { return }
    let tag = hasher.hash(groupID: entry.groupID, key: entry.key)
    prefetchSlot(tag)
    queue.tags.append(tag)
    queue.candidates.append(Candidate(entry, lsn: lsn, at: position))
    queue.keys.append(entry.key)
    if queue.tags.count == Queue.limit { try index(&queue) }
  }

  private func index(_ queue: inout Queue) throws(OnlineStoreError) {
    prefetchRecords(queue.tags)
    for (offset, tag) in queue.tags.enumerated() {
      _ = try index(queue.candidates[offset], tag, key: queue.keys[offset])
    }
    queue.removeAll()
  }

  /// Indexes what was appended; `outcome` hears of each entry whether it answers for its key now.
  func index(
    _ receipt: AppendReceipt, _ outcome: (Int, Bool) -> Void
  ) throws(OnlineStoreError) {
    let positions = receipt.positions
    cover(positions[positions.count - 1])
    var tags: [UInt64] = []
    tags.reserveCapacity(positions.count)
    for (offset, position) in positions.enumerated() {
      guard let entry = LogEntry.View(receipt.payload(offset)) else {
        throw .malformedEntry(position)
      }
      let tag = hasher.hash(groupID: entry.groupID, key: entry.key)
      prefetchSlot(tag)
      tags.append(tag)
    }
    if tags.count > 1 { prefetchRecords(tags) }
    var failure: OnlineStoreError?
    for (offset, position) in positions.enumerated() {
      guard let entry = LogEntry.View(receipt.payload(offset)), entry.kind.isAnswer else {
        continue
      }
      let candidate = Candidate(
        entry, lsn: receipt.lsns.lowerBound + Int64(offset), at: position)
      do throws(OnlineStoreError) {
        outcome(offset, try index(candidate, tags[offset], key: entry.key))
      } catch { failure = failure ?? error }
    }
    if let failure { throw noteIndexFailure(failure) }
  }

  /// The log has what the index lacks from now on, until it is read again.
  func noteIndexFailure(_ failure: OnlineStoreError) -> OnlineStoreError {
    indexFailure.withLock { $0 = $0 ?? failure }
    return failure
  }

  private func prefetchSlot(_ tag: UInt64) {
    let section = sections.begin()
    defer { sections.end(section) }
    shard(tag).view.prefetch(tag)
  }

  /// Asks for the records that answer for these keys now.
  private func prefetchRecords(_ tags: [UInt64]) {
    let section = sections.begin()
    defer { sections.end(section) }
    let memory = logMemory
    for tag in tags {
      let table = shard(tag).view
      if let found = table.next(tag, from: table.start(tag)) { memory.prefetch(found.position) }
    }
  }

  /// Lets the record answer for its key if it is the newest; whether it is.
  private func index(
    _ candidate: Candidate, _ tag: UInt64, key: RawSpan
  ) throws(OnlineStoreError) -> Bool {
    let shard = shard(tag)
    return try shard.withLock { state throws(OnlineStoreError) -> Bool in
      let change: (keys: Int, tombstones: Int)
      if let found = try find(tag, groupID: candidate.groupID, key: key) {
        let current = found.record
        // A copy takes the place of its original.
        guard (candidate.eventTime, candidate.lsn) >= (current.eventTime, current.lsn) else {
          return false
        }
        state.table.replace(found.slot, with: candidate.position.rawValue)
        state.liveBytes += candidate.sizeBytes - current.sizeBytes
        change = (0, (candidate.isTombstone ? 1 : 0) - (current.isTombstone ? 1 : 0))
      } else {
        shard.insert(tag, candidate.position, into: &state, sections)
        state.liveBytes += candidate.sizeBytes
        change = (1, candidate.isTombstone ? 1 : 0)
      }
      if change.keys != 0 || change.tombstones != 0 {
        state.groups[candidate.groupID, default: .init()].add(change.keys, change.tombstones)
      }
      return true
    }
  }
}
