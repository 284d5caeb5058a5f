public import Columnar

/// The rows that a training set is for: an entity key and a moment each, grouped by key.
///
/// Each distinct (key, time) is one slot; a key's slots lie next to each other, ordered by time:
///
///     groups   k0 ------------- k1 ------ k2 ...
///     slots    t0 t1 t5         t2 t9     t3 ...      a row knows its slot, or -1
///
/// A row with a null in its key or time has no slot; it stays, and gets nulls. Immutable once built,
/// so several joins (one a feature group) may share one. Memory: 4 bytes a row, 8 bytes a slot and
/// about 60 bytes a key.
public struct Spine: Sendable {
  /// A key's slots, and what the join has seen of the key.
  struct Group: Sendable {
    /// The oldest event time seen, visible or not; what tells "late" from "not yet".
    var oldestEventTime = Int64.max
    var firstSlot: Int32 = 0
    var slotCount: Int32 = 0
    var isSeen = false
  }

  public let rowCount: Int
  var interner: KeyInterner
  let groups: [Group]
  let slotTimes: [Int64]
  let slotOfRow: [Int32]
  /// The first and the last moment asked for; nil when no row has one.
  public let timeRange: ClosedRange<Int64>?

  public var slotCount: Int { slotTimes.count }
  public var keyCount: Int { groups.count }

  /// - Parameters:
  ///   - keys: the key's columns: boolean, int, long, string, binary, date, timestamp or fixed bytes.
  ///   - times: microseconds since 1970, as timestamps or as plain 64-bit integers.
  public init(keys: [Column], times: Column) throws(PointInTimeError) {
    let rowCount = times.count
    guard rowCount < Int(Int32.max) else {
      throw PointInTimeError(.tooLarge, "a spine of \(rowCount) rows; cut it into parts")
    }
    try times.checkTime("the spine's time column", rowCount: rowCount)
    var interner = try KeyInterner(types: keys.map(\.type))
    try interner.check(keys, rowCount: rowCount)
    var ids = interner.intern(keys)
    if times.nullCount > 0 { for row in ids.indices where times.isNull(row) { ids[row] = -1 } }
    self.rowCount = rowCount
    let built = Self.group(ids, times.values(as: Int64.self), keyCount: interner.keyCount)
    self.interner = interner
    groups = built.groups
    slotTimes = built.slotTimes
    slotOfRow = built.slotOfRow
    if let first = slotTimes.min(), let last = slotTimes.max() {
      timeRange = first...last
    } else {
      timeRange = nil
    }
  }

  /// Counts the rows of each key, lays them out by key, sorts each key's by time, and makes a slot of
  /// each distinct time.
  private static func group(
    _ ids: [Int32], _ times: Span<Int64>, keyCount: Int
  ) -> (groups: [Group], slotTimes: [Int64], slotOfRow: [Int32]) {
    var ends = [Int](repeating: 0, count: keyCount + 1)
    for id in ids where id >= 0 { ends[Int(id) + 1] += 1 }
    for key in 0..<keyCount { ends[key + 1] += ends[key] }
    let starts = ends
    var rows = [TimedRow](repeating: TimedRow(time: 0, row: 0), count: ends[keyCount])
    for row in ids.indices where ids[row] >= 0 {
      let id = Int(ids[row])
      rows[ends[id]] = TimedRow(time: times[row], row: Int32(row))
      ends[id] += 1
    }
    var groups: [Group] = []
    groups.reserveCapacity(keyCount)
    var slotTimes: [Int64] = []
    var slotOfRow = [Int32](repeating: -1, count: ids.count)
    for key in 0..<keyCount {
      let range = starts[key]..<starts[key + 1]
      sortByTime(&rows, range)
      let firstSlot = slotTimes.count
      for place in range {
        if slotTimes.count == firstSlot || slotTimes[slotTimes.count - 1] != rows[place].time {
          slotTimes.append(rows[place].time)
        }
        slotOfRow[Int(rows[place].row)] = Int32(slotTimes.count - 1)
      }
      groups.append(
        Group(firstSlot: Int32(firstSlot), slotCount: Int32(slotTimes.count - firstSlot)))
    }
    return (groups, slotTimes, slotOfRow)
  }

  private struct TimedRow {
    var time: Int64
    var row: Int32
  }

  /// Most keys have a handful of rows, for which insertion beats everything.
  private static func sortByTime(_ rows: inout [TimedRow], _ range: Range<Int>) {
    guard range.count <= 24 else {
      rows[range].sort { $0.time < $1.time }
      return
    }
    for place in range.dropFirst() {
      let moving = rows[place]
      var hole = place
      while hole > range.lowerBound, rows[hole - 1].time > moving.time {
        rows[hole] = rows[hole - 1]
        hole -= 1
      }
      rows[hole] = moving
    }
  }
}

extension Column {
  /// Checks for 64-bit microseconds.
  func checkTime(_ name: String, rowCount: Int) throws(PointInTimeError) {
    switch type {
    case .int64, .timestamp: break
    default:
      throw PointInTimeError(.type, "\(name) must hold microseconds, not values of type \(type)")
    }
    guard count == rowCount else {
      throw PointInTimeError(.shape, "\(name) has \(count) values of \(rowCount)")
    }
  }
}
