import Columnar
import PointInTime
import TestSupport
import Testing

/// The rules one by one.
@Suite struct PointInTimeJoinTests {
  private func outcome(
    at time: Int64, _ events: [Event], _ rules: Rules = Rules()
  ) throws -> (PointInTimeResult.Outcome, Int64?) {
    let spine = try Spine(keys: [strings(["k"])], times: longs([time]))
    var join = PointInTimeJoin(spine: spine, rules: try rules.forJoin())
    try join.consume(batch(events[...], .string), source: 0)
    let result = join.finish()
    return (result.outcome(ofRow: 0), result.winner(ofRow: 0)?.logSequenceNumber)
  }

  private func event(
    _ eventTime: Int64, _ number: Int64, isDeleted: Bool = false, writeTime: Int64? = nil,
    expiresAt: Int64? = nil
  ) -> Event {
    Event(
      key: ["k"], eventTime: eventTime, number: number, isDeleted: isDeleted,
      writeTime: writeTime ?? eventTime, expiresAt: expiresAt)
  }

  @Test func aCorrectionWithAnEqualEventTimeWins() throws {
    let answer = try outcome(at: 10, [event(5, 1), event(5, 2), event(4, 3)])
    #expect(answer == (.found, 2))
  }

  @Test func anEventAtTheLabelsMomentCountsUnlessStrict() throws {
    #expect(try outcome(at: 10, [event(10, 1)]) == (.found, 1))
    #expect(try outcome(at: 10, [event(10, 1)], Rules(bounds: .strict)) == (.noneBefore, nil))
  }

  @Test func aTombstoneWinsOverOlderRowsAndLosesToNewerOnes() throws {
    #expect(try outcome(at: 10, [event(5, 1), event(6, 2, isDeleted: true)]) == (.deleted, nil))
    #expect(
      try outcome(at: 10, [event(6, 2, isDeleted: true), event(7, 3)]) == (.found, 3))
  }

  @Test func aTombstoneOfTheFutureErasesNothing() throws {
    #expect(try outcome(at: 10, [event(5, 1), event(11, 2, isDeleted: true)]) == (.found, 1))
  }

  @Test func bothEndsOfTheTimeToLiveAreInside() throws {
    #expect(try outcome(at: 10, [event(7, 1)], Rules(ttl: 3)) == (.found, 1))
    #expect(try outcome(at: 10, [event(6, 1)], Rules(ttl: 3)) == (.expired, nil))
  }

  @Test func zeroTimeToLiveMeansThatMomentOnly() throws {
    #expect(try outcome(at: 10, [event(10, 1)], Rules(ttl: 0)) == (.found, 1))
    #expect(try outcome(at: 10, [event(9, 1)], Rules(ttl: 0)) == (.expired, nil))
  }

  @Test func anExpiredWinnerDoesNotFallBackToAnOlderRow() throws {
    #expect(try outcome(at: 10, [event(1, 9), event(2, 1)], Rules(ttl: 3)) == (.expired, nil))
  }

  @Test func aRecordCountsUpToItsOwnExpiryAndNoOlderOneTakesItsPlace() throws {
    #expect(try outcome(at: 10, [event(5, 1, expiresAt: 10)]) == (.found, 1))
    #expect(try outcome(at: 11, [event(5, 1, expiresAt: 10)]) == (.expired, nil))
    #expect(try outcome(at: 11, [event(4, 1), event(5, 2, expiresAt: 10)]) == (.expired, nil))
    #expect(try outcome(at: 11, [event(5, 1, expiresAt: 10), event(5, 2)]) == (.found, 2))
    // The group's ttl still holds, and a tombstone is a tombstone.
    #expect(try outcome(at: 9, [event(5, 1, expiresAt: 10)], Rules(ttl: 3)) == (.expired, nil))
    #expect(
      try outcome(at: 11, [event(5, 1, isDeleted: true, expiresAt: 10)]) == (.deleted, nil))
  }

  @Test func lateDataIsInvisibleUntilItWasWritten() throws {
    let rules = Rules(visibility: .ingested)
    #expect(try outcome(at: 10, [event(5, 1, writeTime: 11)], rules) == (.late, nil))
    #expect(
      try outcome(at: 10, [event(5, 2, writeTime: 11), event(3, 1)], rules) == (.found, 1))
    #expect(try outcome(at: 10, [event(5, 1, writeTime: 10)], rules) == (.found, 1))
  }

  @Test func lateDataNeverReplacesANewerEvent() throws {
    let rules = Rules(visibility: .ingested)
    let events = [event(5, 1), event(3, 2, writeTime: 8)]
    #expect(try outcome(at: 10, events, rules) == (.found, 1))
  }

  @Test func theEndsOfTimeDoNotOverflow() throws {
    #expect(try outcome(at: .min, [event(.min, 1)], Rules(ttl: .max)) == (.found, 1))
    #expect(try outcome(at: .max, [event(.min, 1)], Rules(ttl: .max)) == (.expired, nil))
    #expect(try outcome(at: .max, [event(.max, 1)], Rules(ttl: 0)) == (.found, 1))
  }

  @Test func equalLabelsEachGetTheirRow() throws {
    let spine = try Spine(keys: [longs([1, 1, 1])], times: longs([5, 5, 5]))
    var join = try PointInTimeJoin(spine: spine, rules: JoinRules())
    try join.consume(.init(keys: [longs([1])], eventTimes: longs([4])), source: 7)
    let result = join.finish()
    #expect((0..<3).allSatisfy { result.winner(ofRow: $0)?.source == 7 })
    #expect(result.winnerCount == 1 && result.rowCount == 3)
  }

  @Test func textPartsNeverRunIntoEachOther() throws {
    let spine = try Spine(keys: [strings(["a"]), strings(["bc"])], times: longs([5]))
    var join = try PointInTimeJoin(spine: spine, rules: JoinRules())
    try join.consume(
      .init(keys: [strings(["ab"]), strings(["c"])], eventTimes: longs([4])), source: 0)
    let result = join.finish()
    #expect(result.outcome(ofRow: 0) == .neverWritten)
  }

  @Test func integersOfBothWidthsMeet() throws {
    var narrow = FixedWidthBuilder<Int32>(.int32, zero: 0)
    narrow.append(-3)
    let spine = try Spine(keys: [longs([-3])], times: longs([5]))
    var join = try PointInTimeJoin(spine: spine, rules: JoinRules())
    try join.consume(.init(keys: [narrow.finish()], eventTimes: longs([4])), source: 0)
    let result = join.finish()
    #expect(result.outcome(ofRow: 0) == .found)
  }

  @Test func slicesOfColumnsAreReadFromTheirOwnStart() throws {
    let spine = try Spine(keys: [strings(["b", "c", "d"]).slice(1..<3)], times: longs([5, 6]))
    var join = try PointInTimeJoin(spine: spine, rules: JoinRules())
    try join.consume(
      .init(
        keys: [strings(["x", "y", "d"]).slice(2..<3)], eventTimes: longs([9, 4]).slice(1..<2)),
      source: 0)
    let result = join.finish()
    #expect(result.outcome(ofRow: 0) == .neverWritten)
    #expect(result.winner(ofRow: 1)?.row == 0)
  }

  @Test func keysOfAnotherTypeAreRefused() throws {
    let spine = try Spine(keys: [strings(["1"])], times: longs([5]))
    var join = try PointInTimeJoin(spine: spine, rules: JoinRules())
    #expect(throws: PointInTimeError.self) {
      try join.consume(.init(keys: [longs([1])], eventTimes: longs([4])), source: 0)
    }
    #expect(throws: PointInTimeError.self) {
      try join.consume(.init(keys: [], eventTimes: longs([4])), source: 0)
    }
  }

  @Test func ingestedVisibilityNeedsWriteTimes() throws {
    let spine = try Spine(keys: [longs([1])], times: longs([5]))
    var join = try PointInTimeJoin(spine: spine, rules: JoinRules(visibility: .ingested))
    #expect(throws: PointInTimeError.self) {
      try join.consume(.init(keys: [longs([1])], eventTimes: longs([4])), source: 0)
    }
  }

  @Test func negativeLengthsOfTimeAreRefused() throws {
    #expect(throws: PointInTimeError.self) { _ = try JoinRules(timeToLiveMicroseconds: -1) }
    #expect(throws: PointInTimeError.self) { _ = try JoinRules(offsetMicroseconds: -1) }
  }

  @Test func anOffsetDelaysWhatIsKnownAndNotItsAge() throws {
    let events = [event(5, 1), event(8, 2)]
    #expect(try outcome(at: 9, events, Rules(offset: 2)).1 == 1)
    #expect(try outcome(at: 10, events, Rules(offset: 2)).1 == 2)
    #expect(try outcome(at: 6, events, Rules(offset: 2)).0 == .noneBefore)
    // Known since 7, and five old.
    #expect(try outcome(at: 10, [event(5, 1)], Rules(ttl: 5, offset: 2)).0 == .found)
    #expect(try outcome(at: 11, [event(5, 1)], Rules(ttl: 5, offset: 2)).0 == .expired)
  }

  @Test func manyKeysGrowTheTables() throws {
    let keys = (0..<20_000).map { Int64($0) &* 0x10_0000_0001 }
    let spine = try Spine(keys: [longs(keys)], times: longs(keys.map { _ in 5 }))
    var join = try PointInTimeJoin(spine: spine, rules: JoinRules())
    try join.consume(
      .init(keys: [longs(keys.reversed())], eventTimes: longs(keys.map { _ in 4 })), source: 0)
    let result = join.finish()
    #expect(keys.indices.allSatisfy { result.winner(ofRow: $0)?.row == keys.count - 1 - $0 })
  }

  @Test func manyMomentsOfOneKeyAreSorted() throws {
    var random = SeededGenerator(seed: UInt64(3))
    let times = (0..<1000).map { _ in Int64.random(in: 0..<500, using: &random) }
    let spine = try Spine(keys: [longs(times.map { _ in 1 })], times: longs(times))
    var join = try PointInTimeJoin(spine: spine, rules: JoinRules())
    let events = (0..<500).map { Int64($0) }
    try join.consume(
      .init(keys: [longs(events.map { _ in 1 })], eventTimes: longs(events)), source: 0)
    let result = join.finish()
    #expect(times.indices.allSatisfy { result.winner(ofRow: $0)?.eventTime == times[$0] })
  }
}
