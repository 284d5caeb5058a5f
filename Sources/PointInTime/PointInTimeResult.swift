public import Columnar

/// Which feature row, if any, each spine row gets.
///
/// Use: for every source in `sources`, decode the feature columns of `winningRows(of:)`, in that order;
/// `concatenate` them; then `gather` writes any range of the output in the spine's order.
public struct PointInTimeResult: Sendable {
  /// What a spine row gets, and if nothing, why.
  public enum Outcome: UInt8, Hashable, Sendable {
    case found
    /// No row of this key was consumed.
    case neverWritten
    /// The key's rows are all from after the moment.
    case noneBefore
    /// There are events from before the moment, but they were written after it.
    case late
    /// The newest is older than the ttl allows.
    case expired
    /// The newest is a tombstone.
    case deleted
    /// The spine row has a null in its key or time.
    case nullKey
    /// Nothing was found in what had to be read. What was not read has no value for it; it might tell
    /// whether rows of the key are too old, too new, or not there.
    case notRead
  }

  /// Where a winner is, and when and as which record it happened.
  public struct Winner: Hashable, Sendable {
    public var source: Int32
    public var row: Int
    public var eventTime: Int64
    /// `Int64.min` when the feature row has none.
    public var logSequenceNumber: Int64
  }

  private let spine: Spine
  private let best: [PointInTimeJoin.Best]
  private var outcomes: [Outcome]
  private let places: WinnerPlaces
  /// Each slot's place among the winners; -1 for none.
  private var positions: [Int32]

  init(spine: Spine, best: [PointInTimeJoin.Best], outcomes: [Outcome]) {
    precondition(
      best.count == spine.slotCount && spine.slotOfRow.count == spine.rowCount,
      "a join must answer every row of the spine once")
    self.spine = spine
    self.best = best
    self.outcomes = outcomes
    let places = WinnerPlaces(best, outcomes)
    positions = best.indices.map { outcomes[$0] == .found ? places.position(of: best[$0]) : -1 }
    self.places = places
  }

  /// The sources that have winners, ascending.
  public var sources: [Int32] { places.sources }

  /// As many as the spine has, always.
  public var rowCount: Int { spine.rowCount }

  /// How many distinct feature rows won.
  public var winnerCount: Int { places.count }

  /// How many rows have each outcome.
  public var outcomeCounts: [Outcome: Int] {
    var counts = [Int](repeating: 0, count: 256)
    for slot in spine.slotOfRow {
      let outcome = slot < 0 ? Outcome.nullKey : outcomes[Int(slot)]
      counts[Int(outcome.rawValue)] += 1
    }
    var byOutcome: [Outcome: Int] = [:]
    for (value, count) in counts.enumerated() where count > 0 {
      if let outcome = Outcome(rawValue: UInt8(value)) { byOutcome[outcome] = count }
    }
    return byOutcome
  }

  public func outcome(ofRow row: Int) -> Outcome {
    let slot = Int(spine.slotOfRow[row])
    return slot < 0 ? .nullKey : outcomes[slot]
  }

  /// Who won a spine row; nil when nobody did. A tombstone or an expired row is not a winner.
  public func winner(ofRow row: Int) -> Winner? {
    guard outcome(ofRow: row) == .found else { return nil }
    let best = best[Int(spine.slotOfRow[row])]
    return Winner(
      source: best.source, row: best.row, eventTime: best.eventTime,
      logSequenceNumber: best.logSequenceNumber)
  }

  /// The rows of `source` that won, ascending, each once; empty when none did.
  public func winningRows(of source: Int32) -> [Int32] { places.rows(of: source) }

  /// Puts the winners' values of one feature behind one another, for `gather`.
  ///
  /// - Parameters:
  ///   - taken: for every source in `sources`, in that order, the values of its winning rows.
  ///   - type: the feature's type, for when nobody won.
  public func concatenate(_ taken: [Column], type: DataType) throws(PointInTimeError) -> Column {
    guard taken.count == sources.count else {
      throw PointInTimeError(.shape, "\(taken.count) columns for \(sources.count) sources")
    }
    for index in taken.indices {
      let expected = places.count(ofSourceAt: index)
      guard taken[index].count == expected, taken[index].type == type else {
        throw PointInTimeError(
          .shape,
          "source \(sources[index]): \(taken[index].count) values of type \(taken[index].type), "
            + "not the \(expected) winners' of type \(type)")
      }
    }
    guard !taken.isEmpty else { return .empty(type) }
    do { return try Column.concatenate(taken) } catch { throw PointInTimeError(error) }
  }

  /// Where among the winners the values of a range of spine rows are; -1 for null. What `gather` takes.
  ///
  /// - Parameter timeToLiveMicroseconds: of the feature, where it is shorter than the join's.
  public func winners(
    ofRows range: Range<Int>, timeToLiveMicroseconds: Int64? = nil
  ) -> [Int32] {
    precondition(range.lowerBound >= 0 && range.upperBound <= rowCount, "rows out of the spine")
    var taken: [Int32] = []
    taken.reserveCapacity(range.count)
    for row in range {
      let slot = Int(spine.slotOfRow[row])
      taken.append(slot < 0 ? -1 : positions[slot])
    }
    guard let ttl = timeToLiveMicroseconds else { return taken }
    for row in range where taken[row - range.lowerBound] >= 0 {
      let slot = Int(spine.slotOfRow[row])
      if best[slot].eventTime < JoinRules.oldest(ttl, at: spine.slotTimes[slot]) {
        taken[row - range.lowerBound] = -1
      }
    }
    return taken
  }

  /// How many spine rows have a winner that was written after the row's own moment: late or backfilled.
  ///
  /// - Parameter writeTimes: the winners' write times, as `concatenate` gave them.
  public func rowsWrittenLater(_ writeTimes: Column) throws(PointInTimeError) -> Int {
    let isLater = try slotsWrittenLater(writeTimes)
    return spine.slotOfRow.reduce(0) { $0 + ($1 >= 0 && isLater[Int($1)] ? 1 : 0) }
  }

  /// Takes their winners from these rows, which become `.late`. Returns how many they are.
  public mutating func excludeWrittenLater(_ writeTimes: Column) throws(PointInTimeError) -> Int {
    let isLater = try slotsWrittenLater(writeTimes)
    for slot in isLater.indices where isLater[slot] {
      positions[slot] = -1
      outcomes[slot] = .late
    }
    return spine.slotOfRow.reduce(0) { $0 + ($1 >= 0 && isLater[Int($1)] ? 1 : 0) }
  }

  private func slotsWrittenLater(_ writeTimes: Column) throws(PointInTimeError) -> [Bool] {
    try writeTimes.checkTime("the write time", rowCount: winnerCount)
    let written = writeTimes.values(as: Int64.self)
    var isLater = [Bool](repeating: false, count: best.count)
    for slot in best.indices where positions[slot] >= 0 {
      let place = Int(positions[slot])
      isLater[slot] = !writeTimes.isNull(place) && written[place] > spine.slotTimes[slot]
    }
    return isLater
  }

  /// One feature of a range of spine rows: the winner's value, or null.
  ///
  /// - Parameters:
  ///   - winners: what `concatenate` gave.
  ///   - places: what `winners(ofRows:)` gave.
  public func gather(_ winners: Column, at places: [Int32]) throws(PointInTimeError) -> Column {
    guard winners.count == winnerCount else {
      throw PointInTimeError(.shape, "\(winners.count) values for \(winnerCount) winners")
    }
    let column: Column
    do { column = try winners.take(places) } catch { throw PointInTimeError(error) }
    precondition(column.count == places.count, "a training set must have its spine's rows")
    return column
  }

  /// One feature of a range of spine rows.
  public func gather(
    _ winners: Column, rows range: Range<Int>
  ) throws(PointInTimeError) -> Column {
    try gather(winners, at: self.winners(ofRows: range))
  }

  /// One feature of every spine row.
  public func gather(_ winners: Column) throws(PointInTimeError) -> Column {
    try gather(winners, rows: 0..<rowCount)
  }
}

extension PointInTimeError {
  fileprivate init(_ error: ColumnSizeError) { self.init(.tooLarge, error.description) }
}
