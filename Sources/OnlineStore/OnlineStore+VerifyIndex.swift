internal import Storage
internal import WriteAheadLog

/// Comparing the index with the log, both ways, while others write.
///
/// What is compared is what the log had at one moment, with an index that is later. Between the two a key
/// may have been purged, dropped because it expired, or moved; so what looks wrong is looked at again,
/// with what was purged since, before it is called damage.
extension OnlineStore {
  struct PurgedKey: Hashable {
    var groupID: UInt32
    var key: [UInt8]
  }

  /// Purged keys, with the LSN of the purge.
  typealias Purges = [PurgedKey: LogSequenceNumber]

  /// Returns how many records were read.
  func inspectIndex(
    _ isExpired: (_ groupID: UInt32, _ eventTime: Int64) -> Bool,
    _ report: inout OnlineVerification
  ) throws(OnlineStoreError) -> Int {
    var count = 0
    var suspects: Set<LogSequenceNumber> = []
    let end = settledLSN()
    let purges = try purges(upTo: end)
    try replayAll(upTo: end) { lsn, position, payload in
      count += 1
      // More are not looked at again, nor listed.
      guard damage(lsn, position, payload, purges, isExpired) != nil,
        suspects.count < OnlineVerification.listedDamageLimit
      else { return }
      suspects.insert(lsn)
    }
    if !suspects.isEmpty {
      let end = settledLSN()
      let purges = try self.purges(upTo: end)
      try replayAll(upTo: end) { lsn, position, payload in
        guard suspects.contains(lsn) else { return }
        if let damage = damage(lsn, position, payload, purges, isExpired) { report.note(damage) }
      }
    }
    try inspectPlaces(purges, &report)
    return count
  }

  /// Up to which LSN every record is indexed, and every purge carried out.
  private func settledLSN() -> LogSequenceNumber {
    if isReadOnly { return indexedLSN.withLock { $0 } }
    let lsn = log.readableLSN
    appending.waitForThoseInside()
    // A purge is held by this from its record on until its key is gone.
    copying.withLock { _ in }
    return lsn
  }

  private func replayAll(
    upTo end: LogSequenceNumber, _ body: (LogSequenceNumber, LogPosition, RawSpan) -> Void
  ) throws(OnlineStoreError) {
    for attempt in 1... {
      do throws(WriteAheadLogError) {
        try log.replay(from: log.firstLSN) { lsn, position, payload in
          if lsn <= end { body(lsn, position, payload) }
          return lsn < end
        }
        return
      } catch {
        // The first segment went between the two looks at it; nothing was shown yet.
        guard case .removed = error, attempt < 16 else { throw .log(error) }
      }
    }
  }

  private func purges(upTo end: LogSequenceNumber) throws(OnlineStoreError) -> Purges {
    var purges: Purges = [:]
    try replayAll(upTo: end) { lsn, _, payload in
      if let entry = LogEntry.View(payload), entry.kind == .purge {
        purges[PurgedKey(groupID: entry.groupID, key: entry.key.copy())] = lsn
      }
    }
    return purges
  }

  private func damage(
    _ lsn: LogSequenceNumber, _ position: LogPosition, _ payload: RawSpan, _ purges: Purges,
    _ isExpired: (UInt32, Int64) -> Bool
  ) -> OnlineVerification.Damage? {
    guard let entry = LogEntry.View(payload) else { return .malformedEntry(position) }
    guard entry.kind.isAnswer else { return nil }
    // What was brought back after a purge counts, though the LSN of its original is smaller.
    if isPurged(entry, lsn, purges) { return nil }
    let own = (entry.eventTime, entry.originalLSN ?? lsn)
    do throws(OnlineStoreError) {
      let isAnswered = try withRecord(groupID: entry.groupID, key: entry.key) { answer in
        (answer.eventTime, answer.lsn) >= own
      }
      // Cleaning drops such keys, and their records stay until their segments go.
      if isAnswered == nil, isExpired(entry.groupID, entry.eventTime) { return nil }
      return isAnswered == true ? nil : .indexLacks(lsn)
    } catch { return .unreadableAnswer(lsn, error) }
  }

  private func isPurged(
    _ entry: borrowing LogEntry.View, _ lsn: LogSequenceNumber, _ purges: Purges
  ) -> Bool {
    if purges.isEmpty { return false }
    let key = PurgedKey(groupID: entry.groupID, key: entry.key.copy())
    return purges[key].map { lsn < $0 } ?? false
  }

  // MARK: From the index to the log

  private func inspectPlaces(
    _ purges: Purges, _ report: inout OnlineVerification
  ) throws(OnlineStoreError) {
    var counted = OnlineVerification.IndexCounts()
    var found = OnlineVerification.IndexCounts()
    var isWrong = false
    for number in shards.indices {
      var shard = try inspectPlaces(shard: number, purges)
      for _ in 0..<16 where shard.isOutdated { shard = try inspectPlaces(shard: number, purges) }
      for damage in shard.damages { report.note(damage) }
      // What cannot be read cannot be counted either, and is named.
      if !shard.damages.isEmpty || shard.counted == shard.found { continue }
      isWrong = true
      counted.add(shard.counted)
      found.add(shard.found)
    }
    if isWrong { report.note(.miscounted(counted: counted, found: found)) }
  }

  /// What a shard says, and what its places lead to.
  private struct ShardContent {
    var counted = OnlineVerification.IndexCounts()
    var found = OnlineVerification.IndexCounts()
    var damages: [OnlineVerification.Damage] = []
    /// A record has moved since its place was noted.
    var isOutdated = false
  }

  private func inspectPlaces(
    shard number: Int, _ purges: Purges
  ) throws(OnlineStoreError) -> ShardContent {
    var content = ShardContent()
    // What is mapped now stays so, also when its segment is removed.
    let section = sections.begin()
    defer { sections.end(section) }
    let memory = logMemory
    let noted = shards[number].withLock { state in
      content.counted.keys = state.count
      return CheckpointFile.Shard(state)
    }
    content.counted.liveBytes = noted.liveBytes
    content.counted.groups = noted.groups.filter { $0.value != .init() }
    var places = stride(from: 0, to: noted.entries.count, by: 2).map { index in
      (tag: noted.entries[index], position: LogPosition(rawValue: noted.entries[index + 1]))
    }
    places.sort { ($0.tag, $0.position) < ($1.tag, $1.position) }
    /// Of the places with the same hash before.
    var keys: Set<PurgedKey> = []
    for (index, place) in places.enumerated() {
      if content.damages.count >= OnlineVerification.listedDamageLimit { break }
      let isAlone =
        (index == 0 || places[index - 1].tag != place.tag)
        && (index + 1 == places.count || places[index + 1].tag != place.tag)
      if index == 0 || places[index - 1].tag != place.tag { keys.removeAll() }
      var damage: OnlineVerification.Damage?
      do throws(OnlineStoreError) {
        try withEntry(at: place.position, memory) { lsn, entry in
          damage = self.damage(place, number, lsn, entry, purges)
          if !isAlone, damage == nil {
            let key = PurgedKey(groupID: entry.groupID, key: entry.key.copy())
            if !keys.insert(key).inserted { damage = .indexHasTwice(place.position) }
          }
          content.found.keys += 1
          content.found.liveBytes += entry.bytes.byteCount
          content.found.groups[entry.groupID, default: .init()].add(
            1, entry.kind == .tombstone ? 1 : 0)
        }
      } catch {
        if case .log(.removed) = error { content.isOutdated = true }
        damage = .indexNames(place.position, reason: error.description)
      }
      if let damage { content.damages.append(damage) }
    }
    return content
  }

  private func damage(
    _ place: (tag: UInt64, position: LogPosition), _ shard: Int, _ lsn: LogSequenceNumber,
    _ entry: borrowing LogEntry.View, _ purges: Purges
  ) -> OnlineVerification.Damage? {
    guard entry.kind.isAnswer else {
      return .indexNames(place.position, reason: "a record that answers for no key")
    }
    guard hasher.hash(groupID: entry.groupID, key: entry.key) == place.tag,
      Int(truncatingIfNeeded: place.tag & UInt64(OnlineStore.shardCount - 1)) == shard
    else { return .indexNames(place.position, reason: "the record of another key") }
    return isPurged(entry, lsn, purges) ? .purgedAnswers(lsn) : nil
  }

  /// Shows the record at a position: from memory, or by a system call where it is not mapped.
  private func withEntry(
    at position: LogPosition, _ memory: LogMemory.View,
    _ body: (LogSequenceNumber, borrowing LogEntry.View) -> Void
  ) throws(OnlineStoreError) {
    if let record = memory.record(at: position) {
      guard let entry = LogEntry.View(record.payload) else { throw .malformedEntry(position) }
      return body(record.lsn, entry)
    }
    var isEntry = false
    do throws(WriteAheadLogError) {
      try log.read(at: position) { lsn, payload in
        guard let entry = LogEntry.View(payload) else { return }
        isEntry = true
        body(lsn, entry)
      }
    } catch { throw .log(error) }
    if !isEntry { throw .malformedEntry(position) }
  }
}
