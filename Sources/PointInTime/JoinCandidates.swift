internal import Columnar
import Storage

/// The rows of a batch that may win: those whose key the spine has, each with the first slot at which it is
/// visible.
///
/// To find them is most of a join's work and changes nothing that is shared: each thread has candidates of its
/// own, and hands one batch's after the other to the join. A value for one thread at a time; its memory is used
/// again for the next batch.
public struct JoinCandidates: Sendable {
  let spine: Spine
  let rules: JoinRules
  /// Each row's key; -1 for rows that cannot count.
  private(set) var ids: [Int32] = []
  private var scratch: [Int32] = []
  /// Ascending rows of the batch, and their slots.
  private(set) var rows: [Int32] = []
  private(set) var slots: [Int32] = []
  /// Keys of rows that no slot can see.
  private(set) var unplacedKeys: [Int32] = []

  /// Rows worked on at once: while the memory of one is fetched, others are computed.
  private static let blockRows = 256

  public init(spine: Spine, rules: JoinRules) {
    self.spine = spine
    self.rules = rules
  }

  /// How many rows may win.
  public var count: Int { rows.count }

  /// Replaces what was found before.
  public mutating func find(_ batch: PointInTimeJoin.Batch) throws(PointInTimeError) {
    try batch.check(spine.interner)
    if rules.visibility == .ingested, batch.writeTimes == nil {
      throw PointInTimeError(.shape, "visibility 'ingested' needs the write times")
    }
    let room = spine.slotCount > 0 ? batch.eventTimes.count : 0
    rows.resize(to: room)
    slots.resize(to: room)
    unplacedKeys.resize(to: room)
    guard spine.slotCount > 0 else {
      ids.removeAll(keepingCapacity: true)
      return
    }
    spine.interner.find(batch.keys, into: &ids, scratch: &scratch)
    if batch.eventTimes.nullCount > 0 {
      // Rows without an event time are as good as not there.
      for row in ids.indices where batch.eventTimes.isNull(row) { ids[row] = -1 }
    }
    let count = Self.place(
      ids, batch, spine, rules, rows: &rows, slots: &slots, unplacedKeys: &unplacedKeys)
    rows.resize(to: count.placed)
    slots.resize(to: count.placed)
    unplacedKeys.resize(to: count.unplaced)
  }

  /// - Returns: how many rows may win, and how many no slot can see. The arrays have room for all.
  private static func place(
    _ ids: [Int32], _ batch: PointInTimeJoin.Batch, _ spine: Spine, _ rules: JoinRules,
    rows: inout [Int32], slots: inout [Int32], unplacedKeys: inout [Int32]
  ) -> (placed: Int, unplaced: Int) {
    let eventTimes = batch.eventTimes.values(as: Int64.self)
    let writesColumn = rules.visibility == .ingested ? batch.writeTimes : nil
    let writesHaveNulls = (writesColumn?.nullCount ?? 0) > 0
    let writesOrEvents = writesColumn ?? batch.eventTimes
    let writes = writesOrEvents.values(as: Int64.self)
    let hasOffset = rules.offsetMicroseconds > 0
    let isStrict = rules.bounds == .strict
    let firstSlots = spine.firstSlots.span
    let slotTimes = spine.slotTimes.span
    let found = ids.span
    var placedRows = rows.mutableSpan
    var placedSlots = slots.mutableSpan
    var unplaced = unplacedKeys.mutableSpan
    var (placedCount, unplacedCount) = (0, 0)
    var first = 0
    while first < found.count {
      let end = min(first + blockRows, found.count)
      for row in first..<end where found[row] >= 0 {
        Prefetch.element(Int(found[row]), of: firstSlots)
      }
      for row in first..<end where found[row] >= 0 {
        Prefetch.element(Int(firstSlots[Int(found[row])]), of: slotTimes)
      }
      for row in first..<end {
        let id = Int(found[row])
        guard id >= 0 else { continue }
        var visibleFrom = eventTimes[row]
        var isNever = writesHaveNulls && writesOrEvents.isNull(row)
        if hasOffset {
          if let known = rules.knownFrom(visibleFrom) {
            visibleFrom = known
          } else {
            isNever = true
          }
        }
        visibleFrom = max(visibleFrom, writes[row])
        let start = Int(firstSlots[id])
        let last = Int(firstSlots[id + 1])
        // The first slot that can see the row. Halved without branches: which way it goes cannot be foreseen.
        var low = start
        var count = isNever ? 0 : last - start
        while count > 1 {
          let half = count >> 1
          low &+= sees(slotTimes[low + half - 1], visibleFrom, isStrict) ? 0 : half
          count -= half
        }
        if count == 1 { low &+= sees(slotTimes[low], visibleFrom, isStrict) ? 0 : 1 }
        let isPlaced = low < last && !isNever
        placedRows[placedCount] = Int32(truncatingIfNeeded: row)
        placedSlots[placedCount] = Int32(truncatingIfNeeded: low)
        unplaced[unplacedCount] = Int32(truncatingIfNeeded: id)
        placedCount &+= isPlaced ? 1 : 0
        unplacedCount &+= isPlaced ? 0 : 1
      }
      first = end
    }
    return (placedCount, unplacedCount)
  }

  /// Whether a moment sees what is visible from another one on.
  @inline(__always) private static func sees(
    _ time: Int64, _ visibleFrom: Int64, _ isStrict: Bool
  ) -> Bool {
    isStrict ? time > visibleFrom : time >= visibleFrom
  }
}

extension PointInTimeJoin.Batch {
  /// Throws when a column cannot stand for what it is given as.
  func check(_ interner: KeyInterner) throws(PointInTimeError) {
    let rowCount = eventTimes.count
    try interner.check(keys, rowCount: rowCount)
    try eventTimes.checkTime("the event time", rowCount: rowCount)
    try logSequenceNumbers?.checkTime("the LSN", rowCount: rowCount)
    try writeTimes?.checkTime("the write time", rowCount: rowCount)
    try expiresAt?.checkTime("the expiry", rowCount: rowCount)
    if let isDeleted {
      guard isDeleted.type == .boolean, isDeleted.count == rowCount else {
        throw PointInTimeError(.type, "tombstone flags must be \(rowCount) booleans")
      }
    }
  }
}
