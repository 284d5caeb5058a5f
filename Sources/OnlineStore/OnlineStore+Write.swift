internal import FeatureModel
internal import Storage
public import WriteAheadLog

/// On what a write depends: what answers for its key when it comes.
public enum WriteCondition: Hashable, Sendable {
  case always
  /// Only if it has a later event time than what answers, be it a tombstone, or if nothing does.
  case newer
  /// Only if what answers, be it a tombstone, has this event time; nil: if nothing does.
  case eventTime(Int64?)

  func holds(eventTime: Int64, current: Int64?) -> Bool {
    switch self {
    case .always: true
    case .newer: current.map { eventTime > $0 } ?? true
    case .eventTime(let expected): expected == current
    }
  }
}

/// What became of one entry of a write.
public enum WriteOutcome: Hashable, Sendable {
  /// It is in the log. `isAnswer`: it answers for its key; otherwise one with a later event time does.
  case written(LogSequenceNumber, isAnswer: Bool)
  /// The condition did not hold, and nothing was written; with the event time of what answers.
  case refused(currentEventTime: Int64?)
}

extension OnlineStore {
  /// Writes the entries whose condition holds, as one atomic commit, and says of each what became of it.
  /// An entry sees those before it.
  ///
  /// Conditional writes of a key follow one another: of two that expect the same event time one is
  /// refused. Against an unconditional write of the same key that has not returned yet, a condition may
  /// be checked as if that came later. Costs a read and a lock a key more than `append`.
  public func write(
    _ entries: [LogEntry], if condition: WriteCondition = .always
  ) throws(OnlineStoreError) -> [WriteOutcome] {
    try write(WriteBatch(entries), if: condition)
  }

  /// The same for records that are encoded already.
  public func write(
    _ batch: WriteBatch, if condition: WriteCondition = .always
  ) throws(OnlineStoreError) -> [WriteOutcome] {
    if condition == .always { return try write(all: batch) }
    let stripes = Set((0..<batch.count).map { stripe(batch.view($0)) }).sorted()
    return try withStripes(stripes[...]) { () throws(OnlineStoreError) in
      try writeHolding(batch, condition)
    }
  }

  private func stripe(_ entry: borrowing LogEntry.View) -> Int {
    let tag = hasher.hash(groupID: entry.groupID, key: entry.key)
    return Int(truncatingIfNeeded: tag % UInt64(conditions.count))
  }

  /// Always in ascending order, so that two writers never wait for each other.
  private func withStripes<Result>(
    _ stripes: ArraySlice<Int>, _ body: () throws(OnlineStoreError) -> Result
  ) throws(OnlineStoreError) -> Result {
    guard let first = stripes.first else { return try body() }
    return try conditions[first].withLock { _ throws(OnlineStoreError) in
      try withStripes(stripes.dropFirst(), body)
    }
  }

  private func writeHolding(
    _ batch: WriteBatch, _ condition: WriteCondition
  ) throws(OnlineStoreError) -> [WriteOutcome] {
    var outcomes: [WriteOutcome] = []
    var accepted = WriteBatch()
    var places: [Int] = []
    /// What answers once the accepted entries are written.
    var answering: [EntityKey: Int64] = [:]
    for index in 0..<batch.count {
      let entry = batch.view(index)
      let entity = EntityKey(groupID: entry.groupID, bytes: entry.key.copy())
      var current = answering[entity]
      if current == nil {
        current = try withRecord(groupID: entry.groupID, key: entry.key) { $0.eventTime }
      }
      outcomes.append(.refused(currentEventTime: current))
      guard condition.holds(eventTime: entry.eventTime, current: current) else { continue }
      accepted.append(entry)
      places.append(index)
      answering[entity] = max(entry.eventTime, current ?? .min)
    }
    counters.noteRefused(batch.count - accepted.count)
    for (place, outcome) in zip(places, try write(all: accepted)) { outcomes[place] = outcome }
    return outcomes
  }

  private func write(all batch: WriteBatch) throws(OnlineStoreError) -> [WriteOutcome] {
    if batch.isEmpty { return [] }
    var isAnswer = [Bool](repeating: false, count: batch.count)
    let lsns = try commit(batch) { isAnswer[$0] = $1 }
    return isAnswer.enumerated().map { offset, isAnswer in
      .written(lsns.lowerBound + Int64(offset), isAnswer: isAnswer)
    }
  }

  /// Takes a key out of the online store: it answers "never written" from now on, and any event time may
  /// come next. Followers hear nothing of it, so the offline table keeps its rows. The bytes go with
  /// the segments that hold them, when the log is cleaned.
  ///
  /// Returns the LSN up to which the key's records are gone. Waits for a checkpoint that runs.
  @discardableResult
  public func purge(
    groupID: UInt32, key: [UInt8]
  ) throws(OnlineStoreError) -> LogSequenceNumber {
    try purge(groupID: groupID, keys: [key]).upperBound
  }

  /// The same for several keys, in one atomic commit.
  ///
  /// - Precondition: there is at least one key.
  @discardableResult
  public func purge(
    groupID: UInt32, keys: [[UInt8]]
  ) throws(OnlineStoreError) -> ClosedRange<LogSequenceNumber> {
    // A checkpoint that covers the purge must not have the keys.
    try checkpointing.withLock { _ throws(OnlineStoreError) in
      try copying.withLock { _ throws(OnlineStoreError) in
        let lsns = try append(keys.map { LogEntry(.purge, groupID: groupID, key: $0) })
        // Records with smaller LSNs that are written but not indexed yet would come back.
        appending.waitForThoseInside()
        do throws(OnlineStoreError) {
          for (offset, key) in keys.enumerated() {
            let lsn = lsns.lowerBound + Int64(offset)
            try remove(groupID: groupID, key: key.rawSpan, before: lsn)
          }
        } catch { throw noteIndexFailure(error) }
        return lsns
      }
    }
  }

  /// Lets a key go unless a record after `lsn` answers for it.
  func remove(
    groupID: UInt32, key: RawSpan, before lsn: LogSequenceNumber
  ) throws(OnlineStoreError) {
    let tag = hasher.hash(groupID: groupID, key: key)
    let shard = shard(tag)
    try shard.withLock { state throws(OnlineStoreError) in
      guard let found = try find(tag, groupID: groupID, key: key), found.record.lsn < lsn else {
        return
      }
      shard.remove(found.slot, from: &state)
      state.liveBytes -= found.record.sizeBytes
      state.groups[groupID, default: .init()].add(-1, found.record.isTombstone ? -1 : 0)
    }
  }
}
