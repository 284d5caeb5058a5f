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
  private let outcomes: [Outcome]
  /// The sources that have winners, ascending.
  public let sources: [Int32]
  /// Where each source's winning rows begin in `rows`; one more than sources.
  private let starts: [Int]
  private let rows: [Int32]
  /// Each slot's place in `rows`; -1 for none.
  private let positions: [Int32]

  init(spine: Spine, best: [PointInTimeJoin.Best], outcomes: [Outcome]) {
    precondition(
      best.count == spine.slotCount && spine.slotOfRow.count == spine.rowCount,
      "a join must answer every row of the spine once")
    self.spine = spine
    self.best = best
    self.outcomes = outcomes
    var packed: [UInt64] = []
    for slot in best.indices where outcomes[slot] == .found {
      packed.append(WordTable.pair(best[slot].source, Int32(best[slot].row)))
    }
    packed.sort()
    var places = [UInt64]()
    places.reserveCapacity(packed.count)
    for place in packed where places.last != place { places.append(place) }
    var sources: [Int32] = []
    var starts: [Int] = []
    for (index, place) in places.enumerated() {
      let source = Int32(truncatingIfNeeded: place >> 32)
      if sources.last != source {
        sources.append(source)
        starts.append(index)
      }
    }
    self.sources = sources
    self.starts = starts + [places.count]
    rows = places.map { Int32(truncatingIfNeeded: $0) }
    positions = Self.positions(best, outcomes, places)
  }

  private static func positions(
    _ best: [PointInTimeJoin.Best], _ outcomes: [Outcome], _ places: [UInt64]
  ) -> [Int32] {
    var positions = [Int32](repeating: -1, count: best.count)
    for slot in best.indices where outcomes[slot] == .found {
      let wanted = WordTable.pair(best[slot].source, Int32(best[slot].row))
      // A key's slots often share a winner.
      if slot > 0, positions[slot - 1] >= 0, places[Int(positions[slot - 1])] == wanted {
        positions[slot] = positions[slot - 1]
        continue
      }
      var low = 0
      var high = places.count
      while low < high {
        let middle = (low + high) / 2
        if places[middle] < wanted { low = middle + 1 } else { high = middle }
      }
      positions[slot] = Int32(low)
    }
    return positions
  }

  /// As many as the spine has, always.
  public var rowCount: Int { spine.rowCount }

  /// How many distinct feature rows won.
  public var winnerCount: Int { rows.count }

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
  public func winningRows(of source: Int32) -> ArraySlice<Int32> {
    guard let index = sources.firstIndex(of: source) else { return [] }
    return rows[starts[index]..<starts[index + 1]]
  }

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
      let expected = starts[index + 1] - starts[index]
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

  /// One feature of a range of spine rows: the winner's value, or null.
  ///
  /// - Parameter winners: what `concatenate` gave.
  public func gather(
    _ winners: Column, rows range: Range<Int>
  ) throws(PointInTimeError) -> Column {
    guard winners.count == rows.count else {
      throw PointInTimeError(.shape, "\(winners.count) values for \(rows.count) winners")
    }
    precondition(range.lowerBound >= 0 && range.upperBound <= rowCount, "rows out of the spine")
    var taken: [Int32] = []
    taken.reserveCapacity(range.count)
    for row in range {
      let slot = Int(spine.slotOfRow[row])
      taken.append(slot < 0 ? -1 : positions[slot])
    }
    let column: Column
    do { column = try winners.take(taken) } catch { throw PointInTimeError(error) }
    precondition(column.count == range.count, "a training set must have its spine's rows")
    return column
  }

  /// One feature of every spine row.
  public func gather(_ winners: Column) throws(PointInTimeError) -> Column {
    try gather(winners, rows: 0..<rowCount)
  }
}

extension PointInTimeJoin.Best {
  var row: Int { Int(rowAndFlag & ~Self.deletedFlag) }
}

extension PointInTimeError {
  fileprivate init(_ error: ColumnSizeError) { self.init(.tooLarge, error.description) }
}
