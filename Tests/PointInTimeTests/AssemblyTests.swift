import Columnar
import PointInTime
import Testing

/// From winners to output columns.
@Suite struct AssemblyTests {
  /// Spine rows 0...4: found in source 9, nothing, found in source 2, the same again, null key.
  private func result() throws -> PointInTimeResult {
    let spine = try Spine(
      keys: [strings(["a", "none", "b", "b", nil])], times: longs([10, 10, 10, 10, 10]))
    var join = try PointInTimeJoin(spine: spine)
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
    let join = try PointInTimeJoin(spine: spine)
    let result = join.finish()
    for type in [DataType.int64, .string, .boolean, .list(Field("element", .float32))] {
      let column = try result.gather(result.concatenate([], type: type))
      #expect(column.count == 2 && column.nullCount == 2 && column.type == type)
    }
  }

  @Test func anEmptySpineGivesEmptyColumns() throws {
    let spine = try Spine(keys: [longs([])], times: longs([]))
    var join = try PointInTimeJoin(spine: spine)
    let isNeeded = !join.canSkip(eventTimes: 0...1)
    #expect(!isNeeded)
    try join.consume(.init(keys: [longs([1])], eventTimes: longs([4])), source: 0)
    let result = join.finish()
    #expect(try result.gather(result.concatenate([], type: .int64)).count == 0)
  }

  private func floatLists(_ lists: [[Float]?]) -> Column {
    var offsets: [Int32] = [0]
    var present = BitmapBuilder()
    var values = FixedWidthBuilder<Float>(.float32, zero: 0)
    for list in lists {
      for value in list ?? [] { values.append(value) }
      offsets.append(Int32(values.count))
      present.append(list != nil)
    }
    return Column(
      type: .list(Field("element", .float32)), count: lists.count, validity: present.validity(),
      buffers: [Buffer(copying: offsets)], children: [values.finish()])
  }

  @Test func embeddingsAreTakenWhole() throws {
    let first = floatLists([[0], [1, 2], nil, [3, 4, 5]]).slice(1..<4)
    let both = try Column.concatenate([first, floatLists([[], [6]])], type: first.type)
    let taken = try both.taking([4, 2, -1, 0, 1, 3])
    #expect((0..<6).map { taken.isNull($0) } == [false, false, true, false, true, false])
    let offsets = (0..<7).map { taken.offset(at: $0) }
    #expect(offsets == [0, 1, 4, 4, 6, 6, 6])
    let values = taken.children[0]
    #expect((0..<6).map { values.value(at: $0, as: Float.self) } == [6, 3, 4, 5, 1, 2])
  }

  @Test func structuresKeepTheirOffsets() throws {
    let fields = [Field("a", .int64), Field("b", .string)]
    let whole = Column(
      type: .structure(fields), count: 3, buffers: [],
      children: [longs([1, 2, 3]), strings(["x", nil, "z"])])
    let joined = try Column.concatenate([whole.slice(1..<3), whole.slice(0..<1)], type: whole.type)
    let taken = try joined.slice(1..<3).taking([1, 0, -1])
    #expect(taken.children[0].value(at: 0, as: Int64.self) == 1)
    #expect(taken.children[1].string(at: 1) == "z" && taken.isNull(2))
  }

  @Test func everyFixedWidthSurvives() throws {
    var wide = FixedWidthBuilder<Int128>(.decimal(precision: 38, scale: 2), zero: 0)
    wide.append(.max)
    wide.append(-1)
    let decimals = try wide.finish().taking([1, -1, 0])
    #expect(
      decimals.value(at: 0, as: Int128.self) == -1 && decimals.value(at: 2, as: Int128.self) == .max
    )
    let flags = try Column.concatenate([booleans([true, nil]), booleans([false])], type: .boolean)
    #expect(flags.boolean(at: 0) && flags.isNull(1) && !flags.boolean(at: 2))
    var fixed = BytesBuilder(.fixedSizeBinary(3))
    fixed.append([1, 2, 3])
    fixed.append([4, 5, 6])
    let taken = try fixed.finish().taking([1, 1])
    #expect(taken.count == 2 && taken.nullCount == 0 && taken.buffers[0].count == 6)
  }
}

extension Column {
  fileprivate func value<Element: BitwiseCopyable>(at index: Int, as _: Element.Type) -> Element {
    values(as: Element.self)[index]
  }

  fileprivate func offset(at index: Int) -> Int { Int(offsets[index]) }
}
