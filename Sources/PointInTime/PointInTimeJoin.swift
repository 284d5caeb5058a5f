public import Columnar

/// Finds for every spine row the newest feature row that was there at its moment.
///
/// Among the rows of the spine row's key with `t - ttl <= event time <= t`, the greatest (event time,
/// LSN) wins; if that is a tombstone, the answer is "deleted" and no older row takes its place, and so with
/// "expired" if it has an expiry of its own that lies before t.
///
/// The feature table is not sorted. Each of its rows goes to the first slot of its key at which it is
/// visible, where the greatest so far is kept; `finish()` carries each key's best forward over its
/// later slots. So the cost is one hash probe and one short search a row, the memory is 24 bytes a
/// slot whatever the table's size, and batches may come in any order.
///
/// Only keys, times and tombstone flags are consumed. What wins is a location (source, row), for which
/// the caller then decodes the feature columns (`PointInTimeResult.winningRows(of:)`).
///
/// Not thread-safe: a value that one thread feeds. Several joins can share one spine.
public struct PointInTimeJoin: Sendable {
  public enum Visibility: Hashable, Sendable {
    /// A row is visible from its event time on.
    case event
    /// A row is visible from the later of its event time and its write time on: what the online store
    /// knew then, without leaks through late data. A row without a write time is never visible.
    case ingested
  }

  public enum Bounds: Hashable, Sendable {
    /// A row that becomes visible at the label's very moment counts.
    case inclusive
    /// Only what was visible before the label's moment counts.
    case strict
  }

  /// What a slot holds: the greatest (event time, LSN), and where that row is.
  struct Best: Sendable {
    var eventTime = Int64.min
    var logSequenceNumber = Int64.min
    /// -1 while there is none.
    var source: Int32 = -1
    /// The row within the source; the highest bit tells a tombstone.
    var rowAndFlag: UInt32 = 0

    static let deletedFlag: UInt32 = 1 << 31

    /// Where the row is, as one number.
    var place: UInt64 { WordTable.pair(source, Int32(row)) }

    /// (event time, LSN) decides; source and row only make exact duplicates answer the same way
    /// whatever the order of batches.
    @inline(__always) func isNewer(than other: Best) -> Bool {
      if eventTime != other.eventTime { return eventTime > other.eventTime || other.source < 0 }
      if logSequenceNumber != other.logSequenceNumber {
        return logSequenceNumber > other.logSequenceNumber || other.source < 0
      }
      if source != other.source { return source > other.source }
      return rowAndFlag & ~Self.deletedFlag > other.rowAndFlag & ~Self.deletedFlag
    }
  }

  public let spine: Spine
  public let timeToLiveMicroseconds: Int64?
  public let visibility: Visibility
  public let bounds: Bounds
  /// Feature rows consumed so far.
  public private(set) var consumedRowCount: Int64 = 0

  private var interner: KeyInterner
  var groups: [Spine.Group]
  var best: [Best]
  var skipSummary: SkipSummary?
  private var ids: [Int32] = []
  /// By where the row is.
  private var expiries: [UInt64: Int64] = [:]

  /// - Parameter timeToLiveMicroseconds: how old an event may be at the label's moment, both ends
  ///   included; nil for any age, zero for events of that very moment only.
  public init(
    spine: Spine, timeToLiveMicroseconds: Int64? = nil, visibility: Visibility = .event,
    bounds: Bounds = .inclusive
  ) throws(PointInTimeError) {
    if let ttl = timeToLiveMicroseconds, ttl < 0 {
      throw PointInTimeError(.timeToLive, "a ttl of \(ttl) microseconds is negative")
    }
    self.spine = spine
    self.timeToLiveMicroseconds = timeToLiveMicroseconds
    self.visibility = visibility
    self.bounds = bounds
    interner = spine.interner
    groups = spine.groups
    best = Array(repeating: Best(), count: spine.slotCount)
  }

  /// The columns of one batch of feature rows that decide who wins.
  public struct Batch: Sendable {
    public var keys: [Column]
    /// Microseconds. A row without an event time is never visible.
    public var eventTimes: Column
    /// Ties of event time go to the greater; null or absent counts as the least.
    public var logSequenceNumbers: Column?
    /// Absent or null means not deleted.
    public var isDeleted: Column?
    /// Microseconds; needed for `Visibility.ingested` only.
    public var writeTimes: Column?
    /// Microseconds: the last moment at which the row counts. Absent or null means no limit of its own.
    public var expiresAt: Column?

    public init(
      keys: [Column], eventTimes: Column, logSequenceNumbers: Column? = nil,
      isDeleted: Column? = nil, writeTimes: Column? = nil, expiresAt: Column? = nil
    ) {
      self.keys = keys
      self.eventTimes = eventTimes
      self.logSequenceNumbers = logSequenceNumbers
      self.isDeleted = isDeleted
      self.writeTimes = writeTimes
      self.expiresAt = expiresAt
    }
  }

  /// Takes in one batch. `source` (not negative) and `firstRow` say where its rows are: whatever the
  /// caller can find them by again, a file's number and the row's position in it for example.
  public mutating func consume(
    _ batch: Batch, source: Int32, firstRow: Int = 0
  ) throws(PointInTimeError) {
    let rowCount = batch.eventTimes.count
    try check(batch, rowCount: rowCount)
    guard source >= 0, firstRow >= 0, rowCount < Int(Best.deletedFlag),
      firstRow <= Int(Best.deletedFlag) - rowCount
    else {
      throw PointInTimeError(.tooLarge, "source \(source) has rows beyond \(Int32.max)")
    }
    consumedRowCount += Int64(rowCount)
    guard spine.slotCount > 0 else { return }
    interner.find(batch.keys, into: &ids)
    hideRows(batch)
    let origin = Best(source: source, rowAndFlag: UInt32(firstRow))
    Self.place(
      batch, from: origin, ids: ids, spine: spine, visibility, bounds, groups: &groups,
      best: &best, expiries: &expiries)
  }

  private func check(_ batch: Batch, rowCount: Int) throws(PointInTimeError) {
    try interner.check(batch.keys, rowCount: rowCount)
    try batch.eventTimes.checkTime("the event time", rowCount: rowCount)
    try batch.logSequenceNumbers?.checkTime("the LSN", rowCount: rowCount)
    if visibility == .ingested {
      guard let writeTimes = batch.writeTimes else {
        throw PointInTimeError(.shape, "visibility 'ingested' needs the write times")
      }
      try writeTimes.checkTime("the write time", rowCount: rowCount)
    }
    try batch.expiresAt?.checkTime("the expiry", rowCount: rowCount)
    if let isDeleted = batch.isDeleted {
      guard isDeleted.type == .boolean, isDeleted.count == rowCount else {
        throw PointInTimeError(.type, "tombstone flags must be \(rowCount) booleans")
      }
    }
  }

  /// Rows without an event time are as good as not there.
  private mutating func hideRows(_ batch: Batch) {
    guard batch.eventTimes.nullCount > 0 else { return }
    for row in ids.indices where batch.eventTimes.isNull(row) { ids[row] = -1 }
  }

  /// The loop that everything else exists for: no allocation, no call per row.
  private static func place(
    _ batch: Batch, from origin: Best, ids found: [Int32], spine: Spine,
    _ visibility: Visibility, _ bounds: Bounds, groups: inout [Spine.Group], best: inout [Best],
    expiries: inout [UInt64: Int64]
  ) {
    let expiryColumn = batch.expiresAt.flatMap { $0.nullCount < $0.count ? $0 : nil }
    let eventTimes = batch.eventTimes.values(as: Int64.self)
    let numbersColumn = batch.logSequenceNumbers ?? batch.eventTimes
    let numbers = numbersColumn.values(as: Int64.self)
    let hasNumbers = batch.logSequenceNumbers != nil
    let numbersHaveNulls = numbersColumn.nullCount > 0
    let writesColumn = visibility == .ingested ? batch.writeTimes : nil
    let writesOrEvents = writesColumn ?? batch.eventTimes
    let writes = writesOrEvents.values(as: Int64.self)
    let writesHaveNulls = (writesColumn?.nullCount ?? 0) > 0
    let isStrict = bounds == .strict
    let slotTimes = spine.slotTimes.span
    var slots = best.mutableSpan
    var keys = groups.mutableSpan
    for row in found.indices {
      let id = Int(found[row])
      guard id >= 0 else { continue }
      let eventTime = eventTimes[row]
      if !keys[id].isSeen || eventTime < keys[id].oldestEventTime {
        keys[id].isSeen = true
        keys[id].oldestEventTime = eventTime
      }
      if writesHaveNulls, writesOrEvents.isNull(row) { continue }
      let visibleFrom = max(eventTime, writes[row])
      var low = Int(keys[id].firstSlot)
      let end = low + Int(keys[id].slotCount)
      var count = end - low
      while count > 0 {
        let half = count >> 1
        let time = slotTimes[low + half]
        if time < visibleFrom || (isStrict && time == visibleFrom) {
          low += half + 1
          count -= half + 1
        } else {
          count = half
        }
      }
      guard low < end, eventTime >= slots[low].eventTime else { continue }
      let isNullNumber = !hasNumbers || (numbersHaveNulls && numbersColumn.isNull(row))
      let isDeleted = batch.isDeleted.map { !$0.isNull(row) && $0.boolean(at: row) } ?? false
      let candidate = Best(
        eventTime: eventTime, logSequenceNumber: isNullNumber ? Int64.min : numbers[row],
        source: origin.source,
        rowAndFlag: (origin.rowAndFlag + UInt32(row)) | (isDeleted ? Best.deletedFlag : 0))
      guard candidate.isNewer(than: slots[low]) else { continue }
      slots[low] = candidate
      if let expiryColumn, !expiryColumn.isNull(row) {
        expiries[candidate.place] = expiryColumn.values(as: Int64.self)[row]
      }
    }
  }

  /// Carries each key's newest forward over its slots, applies tombstones and ttl, and answers.
  public consuming func finish() -> PointInTimeResult {
    var outcomes = [PointInTimeResult.Outcome](repeating: .found, count: best.count)
    for group in groups {
      var carried = Best()
      let first = Int(group.firstSlot)
      for slot in first..<(first + Int(group.slotCount)) {
        if best[slot].source >= 0, best[slot].isNewer(than: carried) { carried = best[slot] }
        best[slot] = carried
        outcomes[slot] = outcome(of: carried, group, at: spine.slotTimes[slot])
      }
    }
    return PointInTimeResult(spine: spine, best: best, outcomes: outcomes)
  }

  private func outcome(
    of best: Best, _ group: Spine.Group, at time: Int64
  ) -> PointInTimeResult.Outcome {
    guard best.source >= 0 else {
      guard group.isSeen else { return .neverWritten }
      let isPast = group.oldestEventTime < time
      let isNow = group.oldestEventTime == time && bounds == .inclusive
      return isPast || isNow ? .late : .noneBefore
    }
    if best.rowAndFlag & Best.deletedFlag != 0 { return .deleted }
    if !expiries.isEmpty, let expiresAt = expiries[best.place], expiresAt < time {
      return .expired
    }
    guard let ttl = timeToLiveMicroseconds else { return .found }
    // Below the least time there is nothing, so an overflow means that everything is young enough.
    let (oldest, overflow) = time.subtractingReportingOverflow(ttl)
    return overflow || best.eventTime >= oldest ? .found : .expired
  }
}
