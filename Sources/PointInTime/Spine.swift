public import Columnar

/// The rows that a training set is for: an entity key and a moment each, grouped by key.
///
/// Each distinct (key, time) is one slot; a key's slots lie next to each other, ordered by time:
///
///     keys     k0 ------------- k1 ------ k2 ...
///     slots    t0 t1 t5         t2 t9     t3 ...      a row knows its slot, or -1
///
/// A row with a null in its key or time has no slot; it stays, and gets nulls. Immutable once built,
/// so several joins (one a feature group) and threads may share one. Memory: 4 bytes a row, 8 bytes a slot
/// and about 40 bytes a key, of text its bytes besides.
public struct Spine: Sendable {
  public let rowCount: Int
  let interner: KeyInterner
  /// Where each key's slots begin; one more than keys.
  let firstSlots: [Int32]
  let slotTimes: [Int64]
  let slotOfRow: [Int32]
  /// The first and the last moment asked for; nil when no row has one.
  public let timeRange: ClosedRange<Int64>?

  public var slotCount: Int { slotTimes.count }
  public var keyCount: Int { firstSlots.count - 1 }

  /// - Parameters:
  ///   - keys: the key's columns: boolean, int, long, string, binary, date, timestamp or fixed bytes.
  ///   - times: microseconds since 1970, as timestamps or as plain 64-bit integers.
  public init(keys: [Column], times: Column) throws(PointInTimeError) {
    var builder = try SpineBuilder(keyTypes: keys.map(\.type))
    try builder.append(keys: keys, times: times)
    self = builder.finish()
  }

  /// - Parameter ids: of the rows' keys; negative without one, or without a time.
  fileprivate init(_ interner: KeyInterner, _ ids: [Int32], _ times: [Int64]) {
    rowCount = ids.count
    self.interner = interner
    (firstSlots, slotTimes, slotOfRow) = Self.group(ids, times.span, keyCount: interner.keyCount)
    if let first = slotTimes.min(), let last = slotTimes.max() {
      timeRange = first...last
    } else {
      timeRange = nil
    }
  }

  func slots(ofKey id: Int) -> Range<Int> { Int(firstSlots[id])..<Int(firstSlots[id + 1]) }

  /// Counts the rows of each key, lays them out by key, sorts each key's by time, and makes a slot of
  /// each distinct time.
  private static func group(
    _ ids: [Int32], _ times: Span<Int64>, keyCount: Int
  ) -> (firstSlots: [Int32], slotTimes: [Int64], slotOfRow: [Int32]) {
    var ends = [Int32](repeating: 0, count: keyCount + 1)
    for id in ids where id >= 0 { ends[Int(id) + 1] += 1 }
    for key in 0..<keyCount { ends[key + 1] += ends[key] }
    let starts = ends
    var rows = [TimedRow](repeating: TimedRow(time: 0, row: 0), count: Int(ends[keyCount]))
    for row in ids.indices where ids[row] >= 0 {
      let id = Int(ids[row])
      rows[Int(ends[id])] = TimedRow(time: times[row], row: Int32(row))
      ends[id] += 1
    }
    var firstSlots: [Int32] = [0]
    firstSlots.reserveCapacity(keyCount + 1)
    var slotTimes: [Int64] = []
    slotTimes.reserveCapacity(rows.count)
    var slotOfRow = [Int32](repeating: -1, count: ids.count)
    for key in 0..<keyCount {
      let range = Int(starts[key])..<Int(starts[key + 1])
      sortByTime(&rows, range)
      let firstSlot = slotTimes.count
      for place in range {
        if slotTimes.count == firstSlot || slotTimes[slotTimes.count - 1] != rows[place].time {
          slotTimes.append(rows[place].time)
        }
        slotOfRow[Int(rows[place].row)] = Int32(slotTimes.count - 1)
      }
      firstSlots.append(Int32(slotTimes.count))
    }
    return (firstSlots, slotTimes, slotOfRow)
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

/// Makes a spine from batches of its rows. Memory: 12 bytes a row, and the keys.
public struct SpineBuilder {
  private var interner: KeyInterner
  private var ids: [Int32] = []
  private var times: [Int64] = []

  /// - Parameter keyTypes: of the key's columns.
  public init(keyTypes: [DataType]) throws(PointInTimeError) {
    interner = try KeyInterner(types: keyTypes)
  }

  /// Adds rows, after those that were added before.
  ///
  /// - Throws: for columns of other types, and beyond 2^31 - 2 rows.
  public mutating func append(keys: [Column], times new: Column) throws(PointInTimeError) {
    let rowCount = ids.count + new.count
    guard rowCount < Int(Int32.max) else {
      throw PointInTimeError(.tooLarge, "a spine of \(rowCount) rows; cut it into parts")
    }
    try new.checkTime("the spine's time column", rowCount: new.count)
    try interner.check(keys, rowCount: new.count)
    var found = interner.intern(keys)
    if new.nullCount > 0 { for row in found.indices where new.isNull(row) { found[row] = -1 } }
    ids += found
    let values = new.values(as: Int64.self)
    for row in 0..<values.count { times.append(values[row]) }
  }

  public consuming func finish() -> Spine { Spine(interner, ids, times) }
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
