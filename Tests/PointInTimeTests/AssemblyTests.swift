import Columnar
import PointInTime
import Testing

/// From winners to output columns.
@Suite struct AssemblyTests {
  /// Spine rows 0...4: found in source 9, nothing, found in source 2, the same again, null key.
  private func result() throws -> PointInTimeResult {
    let spine = try Spine(
      keys: [strings(["a", "none", "b", "b", nil])], times: longs([10, 10, 10, 10, 10]))
    var join = try PointInTimeJoin(spine: spine, rules: JoinRules())
    try join.consume(
      .init(keys: [strings(["x", "a", "x"])], eventTimes: longs([1, 5, 9])), source: 9)
    try join.consume(
      .init(keys: [strings(["b", "b"])], eventTimes: longs([4, 3])), source: 2, firstRow: 100)
    return join.finish()
  }

  @Test func everySourceListsItsWinningRowsOnce() throws {
    let result = try result()
    #expect(result.sources == [2, 9])
    #expect(Array(result.winningRows(of: 2)) == [100])
    #expect(Array(result.winningRows(of: 9)) == [1])
    #expect(result.winningRows(of: 5).isEmpty)
  }

  @Test func longsStayLongsAroundNulls() throws {
    let result = try result()
    let winners = try result.concatenate([longs([.max]), longs([7])], type: .int64)
    let column = try result.gather(winners)
    #expect(column.type == .int64 && column.count == 5)
    #expect((0..<5).map { column.isNull($0) } == [false, true, false, false, true])
    #expect(column.value(at: 0, as: Int64.self) == 7 && column.value(at: 3, as: Int64.self) == .max)
  }

  @Test func aRangeOfRowsIsAssembledAlone() throws {
    let result = try result()
    let winners = try result.concatenate([strings(["two"]), strings(["nine"])], type: .string)
    let column = try result.gather(winners, rows: 2..<4)
    #expect(column.count == 2 && column.string(at: 0) == "two" && column.string(at: 1) == "two")
  }

  @Test func theWrongNumberOfTakenRowsIsRefused() throws {
    let result = try result()
    #expect(throws: PointInTimeError.self) {
      try result.concatenate([longs([1, 2]), longs([7])], type: .int64)
    }
    #expect(throws: PointInTimeError.self) { try result.concatenate([longs([1])], type: .int64) }
    #expect(throws: PointInTimeError.self) { try result.gather(longs([1])) }
  }

  @Test func nobodyWinningGivesAColumnOfNulls() throws {
    let spine = try Spine(keys: [longs([1, 2])], times: longs([5, 5]))
    let join = try PointInTimeJoin(spine: spine, rules: JoinRules())
    let result = join.finish()
    for type in [DataType.int64, .string, .boolean, .list(Field("element", .float32))] {
      let column = try result.gather(result.concatenate([], type: type))
      #expect(column.count == 2 && column.nullCount == 2 && column.type == type)
    }
  }

  @Test func anEmptySpineGivesEmptyColumns() throws {
    let spine = try Spine(keys: [longs([])], times: longs([]))
    var join = try PointInTimeJoin(spine: spine, rules: JoinRules())
    let isNeeded = join.canSkip(eventTimes: 0...1) == .no
    #expect(!isNeeded)
    try join.consume(.init(keys: [longs([1])], eventTimes: longs([4])), source: 0)
    let result = join.finish()
    #expect(try result.gather(result.concatenate([], type: .int64)).count == 0)
  }
}

extension Column {
  fileprivate func value<Element: BitwiseCopyable>(at index: Int, as _: Element.Type) -> Element {
    values(as: Element.self)[index]
  }
}
