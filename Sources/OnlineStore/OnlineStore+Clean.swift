internal import Storage
public import WriteAheadLog

/// What a cleaning did.
public struct CleaningReport: Hashable, Sendable {
  public var removedSegmentCount = 0
  public var removedBytes = 0
  /// Records that were still the newest of their keys, and were copied to the log's end.
  public var copiedRecordCount = 0
  public var copiedBytes = 0
  /// Keys that were dropped because their records had expired.
  public var expiredKeyCount = 0
  /// Records whose own expiry had come: their rows were dropped, their keys answer as before.
  public var expiredRecordCount = 0

  public init() {}
}

extension OnlineStore {
  /// Gives back the space of records that nobody needs: oldest segments first, as long as the log takes
  /// more than `minimumLogBytes` and more than twice what its live records take.
  ///
  /// A segment goes when every follower has passed it, its live records are copied to the log's end, and
  /// a checkpoint covers that. So at every moment the log alone gives the whole index. A copy keeps the
  /// record's LSN and times; followers do not see it. Tombstones are live: without them an older event
  /// that comes late would bring the key back.
  ///
  /// Readers and writers go on meanwhile. Each byte that is given back costs at most one byte copied; under
  /// pressure, four. On a full disk the space that is kept for maintenance is taken, and segments go one
  /// at a time.
  ///
  /// - Parameters:
  ///   - lsn: every follower has what the log holds up to here.
  ///   - pressureBytes: while the log takes more than this, it goes down to a quarter more than its live
  ///     records; nil for never.
  ///   - isExpired: whether a record of this group and event time counts no more; it is dropped, and its
  ///     key answers "never written" from then on.
  @discardableResult
  public func clean(
    upTo lsn: LogSequenceNumber, minimumLogBytes: Int, pressureBytes: Int? = nil,
    isExpired: (_ groupID: UInt32, _ eventTime: Int64) -> Bool = { _, _ in false }
  ) throws(OnlineStoreError) -> CleaningReport {
    try cleaning.withLock { _ throws(OnlineStoreError) in
      var report = CleaningReport()
      defer { if report != CleaningReport() { counters.noteCleaning(report) } }
      /// As many segments as `count`, at most; false when none had to go.
      func remove(_ count: Int) throws(OnlineStoreError) -> Bool {
        try clean(
          upTo: lsn, minimumLogBytes, pressureBytes ?? .max, segmentCount: count, isExpired,
          &report)
      }
      do throws(OnlineStoreError) {
        do throws(OnlineStoreError) { _ = try remove(.max) } catch {
          guard error.isFullDisk else { throw error }
          // What was copied is only there twice. Little is needed for one segment at a time.
          log.releaseReserve()
          defer { log.restoreReserve() }
          while try remove(1) {}
        }
      } catch {
        counters.noteFailedCleaning()
        throw error
      }
      return report
    }
  }

  private func clean(
    upTo lsn: LogSequenceNumber, _ minimumLogBytes: Int, _ pressureBytes: Int, segmentCount: Int,
    _ isExpired: (UInt32, Int64) -> Bool, _ report: inout CleaningReport
  ) throws(OnlineStoreError) -> Bool {
    var last: LogSequenceNumber?
    var removable = 0
    for segment in log.segmentList.prefix(segmentCount) where segment.isSealed {
      let liveBytes = statistics.liveBytes
      let sizeBytes = log.sizeBytes - removable
      let wantedBytes = sizeBytes > pressureBytes ? liveBytes + liveBytes / 4 : liveBytes * 2
      guard segment.lsns.upperBound - 1 <= lsn, sizeBytes > max(minimumLogBytes, wantedBytes)
      else { break }
      try copyLiveRecords(segment, isExpired, &report)
      removable += segment.sizeBytes
      last = segment.lsns.upperBound - 1
    }
    guard let last else { return false }
    checkpointer.run { () throws(OnlineStoreError) in _ = try checkpoint() }
    if let failure = checkpointer.failure { throw failure }
    do throws(WriteAheadLogError) {
      let removed = try log.removeSegments(upTo: last)
      report.removedSegmentCount += removed.count
      report.removedBytes += removed.reduce(0) { $0 + $1.sizeBytes }
    } catch { throw .log(error) }
    refreshMemory()
    return true
  }

  /// A live record on its way to the log's end.
  private struct Move {
    var tag: UInt64
    var from: LogPosition
    var entry: LogEntry
    /// How many bytes more the copy takes.
    var sizeChange: Int
    /// The copy is a tombstone, the record was none.
    var isEmptied: Bool
  }

  /// About as much as one commit takes.
  private static let copyBytes = 256 << 10

  private func copyLiveRecords(
    _ segment: LogSegment, _ isExpired: (UInt32, Int64) -> Bool, _ report: inout CleaningReport
  ) throws(OnlineStoreError) {
    var next = segment.lsns.lowerBound
    let now = clock.nowMicroseconds()
    while next < segment.lsns.upperBound {
      next = try copying.withLock { _ throws(OnlineStoreError) in
        try copyLiveRecords(segment, from: next, now: now, isExpired, &report)
      }
    }
  }

  /// As much as one commit takes; returns where to go on.
  private func copyLiveRecords(
    _ segment: LogSegment, from start: LogSequenceNumber, now: Int64,
    _ isExpired: (UInt32, Int64) -> Bool, _ report: inout CleaningReport
  ) throws(OnlineStoreError) -> LogSequenceNumber {
    var next = start
    var moves: [Move] = []
    var gathered = 0
    var expired: [Move] = []
    var failure: OnlineStoreError?
    do {
      next = try log.replay(from: next) { lsn, position, payload in
        guard lsn < segment.lsns.upperBound else { return false }
        guard let view = LogEntry.View(payload) else {
          failure = .malformedEntry(position)
          return false
        }
        guard view.kind.isAnswer else { return true }
        let tag = hasher.hash(groupID: view.groupID, key: view.key)
        guard isCurrent(tag, position), var entry = LogEntry(decoding: payload) else {
          return true
        }
        entry.originalLSN = entry.originalLSN ?? lsn
        let isPut = entry.kind == .put
        if isPut, let expiry = entry.expiresAt, expiry < now {
          // Dropped altogether, it could give way to an older record that has not expired.
          entry.kind = .tombstone
          entry.row = []
          report.expiredRecordCount += 1
        }
        let move = Move(
          tag: tag, from: position, entry: entry, sizeChange: entry.sizeBytes - payload.byteCount,
          isEmptied: isPut && entry.kind == .tombstone)
        if isPut, isExpired(entry.groupID, entry.eventTime) {
          expired.append(move)
        } else {
          moves.append(move)
          gathered += payload.byteCount
        }
        return gathered < OnlineStore.copyBytes
      }
    } catch { throw .log(error) }
    if let failure { throw failure }
    for move in expired where drop(move) { report.expiredKeyCount += 1 }
    try copy(moves)
    report.copiedRecordCount += moves.count
    report.copiedBytes += gathered
    return next
  }

  private func isCurrent(_ tag: UInt64, _ position: LogPosition) -> Bool {
    let section = sections.begin()
    defer { sections.end(section) }
    return slot(tag, position) != nil
  }

  /// The slot that holds this very record. Inside a read section, or with the shard's lock held.
  private func slot(_ tag: UInt64, _ position: LogPosition) -> Int? {
    let table = shard(tag).view
    var slot = table.start(tag)
    while let found = table.next(tag, from: slot) {
      if found.position == position { return found.slot }
      slot = table.after(found.slot)
    }
    return nil
  }

  private func copy(_ moves: [Move]) throws(OnlineStoreError) {
    guard !moves.isEmpty else { return }
    let inside = appending.begin()
    defer { appending.end(inside) }
    let batch = WriteBatch(moves.map(\.entry))
    let receipt: AppendReceipt
    do { receipt = try log.append(batch.records, isMaintenance: true) } catch { throw .log(error) }
    cover(receipt.positions[receipt.positions.count - 1])
    for (move, position) in zip(moves, receipt.positions) {
      shard(move.tag).withLock { state in
        // Unless something newer came meanwhile.
        guard let slot = slot(move.tag, move.from) else { return }
        state.table.replace(slot, with: position.rawValue)
        state.liveBytes += move.sizeChange
        if move.isEmptied { state.groups[move.entry.groupID, default: .init()].add(0, 1) }
      }
    }
  }

  /// Removes a key whose record is still this one.
  private func drop(_ move: Move) -> Bool {
    let shard = shard(move.tag)
    return shard.withLock { state in
      guard let slot = slot(move.tag, move.from) else { return false }
      shard.remove(slot, from: &state)
      state.liveBytes -= move.entry.sizeBytes - move.sizeChange
      // Whatever the copy were to be, the record was a put.
      state.groups[move.entry.groupID, default: .init()].add(-1, 0)
      return true
    }
  }
}
