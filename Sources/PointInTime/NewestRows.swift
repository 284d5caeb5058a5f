public import Columnar
internal import Storage

/// The newest row of every key of a table: of a key's rows the one with the greatest (event time, LSN), as
/// online; if that is a tombstone, or has expired, no older row takes its place.
///
/// Rows are consumed in batches and numbered from 0 in the order in which they come; what is found are numbers,
/// for whose rows the caller then decodes the other columns. Memory: about 60 bytes a key and its own bytes,
/// whatever the number of rows. Cost: a hash probe a row.
///
/// Not thread-safe: a value that one thread feeds.
public struct NewestRows: Sendable {
  /// What counts no more at a moment.
  public struct Expiry: Sendable {
    /// Rows whose own expiry lies before it have expired. Microseconds, as the next.
    public var moment: Int64
    /// Rows with an older event time have expired.
    public var oldestEventTime: Int64

    public init(moment: Int64, oldestEventTime: Int64) {
      self.moment = moment
      self.oldestEventTime = oldestEventTime
    }
  }

  /// The winners among the rows, and what became of the other keys.
  public struct Found: Sendable {
    /// Ascending.
    public var rows: [Int64] = []
    public var deletedKeyCount = 0
    public var expiredKeyCount = 0
  }

  private struct Row {
    var eventTime = Int64.min
    var logSequenceNumber = Int64.min
    /// The row's number, and in the two lowest bits whether it is a tombstone or has expired. -1 for none.
    var numberAndFlags: Int64 = -1

    static let deletedFlag: Int64 = 1
    static let expiredFlag: Int64 = 2
  }

  private let expiry: Expiry?
  private var interner: KeyInterner
  private var newest: [Row] = []
  public private(set) var rowCount: Int64 = 0

  public var keyCount: Int { newest.count }

  /// - Parameters:
  ///   - keyTypes: boolean, int, long, string, binary, date, timestamp or fixed bytes.
  ///   - expiry: leave out what has expired; nil for keeping it.
  public init(keyTypes: [DataType], expiry: Expiry? = nil) throws(PointInTimeError) {
    interner = try KeyInterner(types: keyTypes)
    self.expiry = expiry
  }

  /// Takes in the next rows. Those without an event time, or with a null in their key, never win.
  public mutating func consume(_ batch: PointInTimeJoin.Batch) throws(PointInTimeError) {
    try batch.check(interner)
    let ids = interner.intern(batch.keys)
    guard interner.keyCount < Int(Int32.max) else {
      throw PointInTimeError(.tooLarge, "more than \(Int32.max) keys")
    }
    newest.append(contentsOf: repeatElement(Row(), count: interner.keyCount - newest.count))
    Self.place(batch, ids: ids, firstRow: rowCount, expiry, &newest)
    rowCount += Int64(batch.eventTimes.count)
  }

  private static let lookAhead = 16

  private static func place(
    _ batch: PointInTimeJoin.Batch, ids: [Int32], firstRow: Int64, _ expiry: Expiry?,
    _ newest: inout [Row]
  ) {
    let eventTimes = batch.eventTimes.values(as: Int64.self)
    let timesHaveNulls = batch.eventTimes.nullCount > 0
    let numbersColumn = batch.logSequenceNumbers ?? batch.eventTimes
    let numbers = numbersColumn.values(as: Int64.self)
    let hasNumbers = batch.logSequenceNumbers != nil
    let numbersHaveNulls = numbersColumn.nullCount > 0
    // Bound once: a binding in the loop counts references for each row.
    let hasDeletions = batch.isDeleted != nil
    let deletions = batch.isDeleted ?? batch.eventTimes
    let isDeleted = hasDeletions ? deletions.booleans : .empty
    let expiries = batch.expiresAt.flatMap { $0.nullCount < $0.count ? $0 : nil }
    var rows = newest.mutableSpan
    for row in ids.indices {
      // Keys come in any order: their memory is asked for before it is needed.
      if row + lookAhead < ids.count {
        Prefetch.element(Int(ids[row + lookAhead]), of: rows.span)
      }
      let id = Int(ids[row])
      guard id >= 0, !(timesHaveNulls && batch.eventTimes.isNull(row)) else { continue }
      let eventTime = eventTimes[row]
      guard eventTime >= rows[id].eventTime else { continue }
      let isNullNumber = !hasNumbers || (numbersHaveNulls && numbersColumn.isNull(row))
      let number = isNullNumber ? Int64.min : numbers[row]
      // Of exact duplicates the last one.
      guard eventTime > rows[id].eventTime || number >= rows[id].logSequenceNumber else { continue }
      var flags: Int64 = 0
      if hasDeletions, !deletions.isNull(row), isDeleted[row] {
        flags = Row.deletedFlag
      } else if let expiry {
        let own = expiries.flatMap { $0.isNull(row) ? nil : $0.values(as: Int64.self)[row] }
        if eventTime < expiry.oldestEventTime || (own ?? .max) < expiry.moment {
          flags = Row.expiredFlag
        }
      }
      rows[id] = Row(
        eventTime: eventTime, logSequenceNumber: number,
        numberAndFlags: (firstRow + Int64(row)) << 2 | flags)
    }
  }

  public consuming func finish() -> Found {
    var found = Found()
    found.rows.reserveCapacity(newest.count)
    for row in newest where row.numberAndFlags >= 0 {
      if row.numberAndFlags & Row.deletedFlag != 0 {
        found.deletedKeyCount += 1
      } else if row.numberAndFlags & Row.expiredFlag != 0 {
        found.expiredKeyCount += 1
      } else {
        found.rows.append(row.numberAndFlags >> 2)
      }
    }
    found.rows.sort()
    return found
  }
}
