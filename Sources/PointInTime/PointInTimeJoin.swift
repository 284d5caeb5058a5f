public import Columnar
import Storage

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
/// A value for one thread at a time. Several threads can find candidates (`JoinCandidates`) and take turns to
/// apply them. Several joins can share one spine.
public struct PointInTimeJoin: Sendable {
  /// What a slot holds: the greatest (event time, LSN), and where that row is.
  struct Best: BitwiseCopyable {
    var eventTime = Int64.min
    var logSequenceNumber = Int64.min
    /// -1 while there is none.
    var source: Int32 = -1
    /// The row within the source; the highest bit tells a tombstone.
    var rowAndFlag: UInt32 = 0

    static let deletedFlag: UInt32 = 1 << 31

    var row: Int { Int(rowAndFlag & ~Self.deletedFlag) }
    var isDeleted: Bool { rowAndFlag & Self.deletedFlag != 0 }

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
  public let rules: JoinRules
  /// Feature rows consumed so far.
  public private(set) var consumedRowCount: Int64 = 0

  var best: [Best]
  var skipSummary: SkipSummary?
  private var ownCandidates: JoinCandidates
  /// Of every key: whether rows were met that no slot can see.
  private var hasUnplaced: [Bool]
  /// Of every key, the moment from which on its oldest event is known. Kept only where it may differ from
  /// what slots tell: when rows become visible by their write time.
  private var oldestKnown: [Int64?] = []
  /// Each slot's expiry of its own, `.max` for none; empty until a row has one.
  private var expiries: [Int64] = []

  public init(spine: Spine, rules: JoinRules) {
    self.spine = spine
    self.rules = rules
    best = Array(repeating: Best(), count: spine.slotCount)
    hasUnplaced = Array(repeating: false, count: spine.keyCount)
    if rules.visibility == .ingested {
      oldestKnown = Array(repeating: nil, count: spine.keyCount)
    }
    ownCandidates = JoinCandidates(spine: spine, rules: rules)
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
    try ownCandidates.find(batch)
    let candidates = ownCandidates
    try apply(candidates, of: batch, source: source, firstRow: firstRow)
  }

  /// Takes in what was found in one batch by candidates for this join's spine and rules.
  ///
  /// - Returns: the rows of the batch that win so far, ascending. No others of it can win in the end.
  @discardableResult
  public mutating func apply(
    _ candidates: JoinCandidates, of batch: Batch, source: Int32, firstRow: Int = 0
  ) throws(PointInTimeError) -> [Int32] {
    let rowCount = batch.eventTimes.count
    guard source >= 0, firstRow >= 0, rowCount < Int(Best.deletedFlag),
      firstRow <= Int(Best.deletedFlag) - rowCount
    else {
      throw PointInTimeError(.tooLarge, "source \(source) has rows beyond \(Int32.max)")
    }
    consumedRowCount += Int64(rowCount)
    for id in candidates.unplacedKeys { hasUnplaced[Int(id)] = true }
    if !oldestKnown.isEmpty { noteKnown(candidates.ids, batch.eventTimes.values(as: Int64.self)) }
    if expiries.isEmpty, batch.expiresAt.map({ $0.nullCount < $0.count }) ?? false {
      expiries = Array(repeating: .max, count: spine.slotCount)
    }
    let placed = Self.place(
      batch, candidates, from: Best(source: source, rowAndFlag: UInt32(firstRow)), best: &best,
      expiries: &expiries)
    // What was placed may have lost its place to a later row of the batch.
    var winning: [Int32] = []
    winning.reserveCapacity(placed.count)
    for index in placed {
      let held = best[Int(candidates.slots[Int(index)])]
      let row = candidates.rows[Int(index)]
      if held.row == firstRow + Int(row), !held.isDeleted { winning.append(row) }
    }
    return winning
  }

  private mutating func noteKnown(_ ids: [Int32], _ eventTimes: Span<Int64>) {
    for row in ids.indices where ids[row] >= 0 {
      guard let known = rules.knownFrom(eventTimes[row]) else { continue }
      let id = Int(ids[row])
      if oldestKnown[id].map({ known < $0 }) ?? true { oldestKnown[id] = known }
    }
  }

  private static let blockRows = 256

  /// The loop that is run by one thread at a time: no call per row.
  ///
  /// - Returns: which candidates took a place.
  private static func place(
    _ batch: Batch, _ candidates: JoinCandidates, from origin: Best, best: inout [Best],
    expiries: inout [Int64]
  ) -> [Int32] {
    var placed: [Int32] = []
    let deletions = batch.isDeleted ?? batch.eventTimes
    let hasDeletions = batch.isDeleted?.hasTrue ?? false
    let isDeletedColumn = hasDeletions ? deletions.booleans : .empty
    let eventTimes = batch.eventTimes.values(as: Int64.self)
    let numbersColumn = batch.logSequenceNumbers ?? batch.eventTimes
    let numbers = numbersColumn.values(as: Int64.self)
    let hasNumbers = batch.logSequenceNumbers != nil
    let numbersHaveNulls = numbersColumn.nullCount > 0
    let rows = candidates.rows.span
    let places = candidates.slots.span
    let hasExpiries = !expiries.isEmpty
    var own = expiries.mutableSpan
    var first = 0
    while first < rows.count {
      let end = min(first + blockRows, rows.count)
      prefetch(places, first..<end, best.span)
      var slots = best.mutableSpan
      for index in first..<end {
        let row = Int(rows[index])
        let slot = Int(places[index])
        let eventTime = eventTimes[row]
        guard eventTime >= slots[slot].eventTime else { continue }
        let isNullNumber = !hasNumbers || (numbersHaveNulls && numbersColumn.isNull(row))
        let isDeleted = hasDeletions && !deletions.isNull(row) && isDeletedColumn[row]
        let candidate = Best(
          eventTime: eventTime, logSequenceNumber: isNullNumber ? Int64.min : numbers[row],
          source: origin.source,
          rowAndFlag: (origin.rowAndFlag + UInt32(row)) | (isDeleted ? Best.deletedFlag : 0))
        guard candidate.isNewer(than: slots[slot]) else { continue }
        slots[slot] = candidate
        placed.append(Int32(truncatingIfNeeded: index))
        if hasExpiries { own[slot] = batch.expiresAt?.time(at: row) ?? .max }
      }
      first = end
    }
    return placed
  }

  @inline(__always) private static func prefetch(
    _ places: Span<Int32>, _ range: Range<Int>, _ best: Span<Best>
  ) {
    for index in range { Prefetch.element(Int(places[index]), of: best) }
  }

  /// Carries each key's newest forward over its slots, applies tombstones and ttl, and answers.
  ///
  /// - Parameter hidesReasons: whether something was skipped that may hide reasons; then a null of which
  ///   nothing was found is `.notRead`.
  public consuming func finish(hidesReasons: Bool = false) -> PointInTimeResult {
    var outcomes = [PointInTimeResult.Outcome](repeating: .found, count: best.count)
    for key in 0..<spine.keyCount {
      let slots = spine.slots(ofKey: key)
      var isMet = hasUnplaced[key]
      for slot in slots where best[slot].source >= 0 { isMet = true }
      var carried = Best()
      var expiresAt = Int64.max
      for slot in slots {
        if best[slot].source >= 0, best[slot].isNewer(than: carried) {
          carried = best[slot]
          if !expiries.isEmpty { expiresAt = expiries[slot] }
        }
        best[slot] = carried
        let time = spine.slotTimes[slot]
        // What is too old may not be the newest of what is too old, and that might be deleted.
        let isHidden =
          hidesReasons
          && (carried.source < 0
            || carried.eventTime < JoinRules.oldest(rules.timeToLiveMicroseconds, at: time))
        outcomes[slot] = isHidden ? .notRead : outcome(carried, expiresAt, isMet, key, at: time)
      }
    }
    return PointInTimeResult(spine: spine, best: best, outcomes: outcomes)
  }

  private func outcome(
    _ best: Best, _ expiresAt: Int64, _ isMet: Bool, _ key: Int, at time: Int64
  ) -> PointInTimeResult.Outcome {
    guard best.source >= 0 else {
      guard isMet else { return .neverWritten }
      // Where rows are visible as soon as they are known, none can be known and not visible.
      guard !oldestKnown.isEmpty, let known = oldestKnown[key] else { return .noneBefore }
      return rules.isBefore(known, time) ? .late : .noneBefore
    }
    if best.isDeleted { return .deleted }
    if expiresAt < time { return .expired }
    return best.eventTime >= JoinRules.oldest(rules.timeToLiveMicroseconds, at: time)
      ? .found : .expired
  }
}

extension Column {
  /// Whether any value of a boolean column is true; nulls may be taken for it.
  fileprivate var hasTrue: Bool { booleans.trueCount > 0 }

  /// A time, nil for null.
  fileprivate func time(at row: Int) -> Int64? { isNull(row) ? nil : values(as: Int64.self)[row] }
}
