import Columnar
import PointInTime
import TestSupport
import Testing

/// The engine against the slow model, on random tables made to collide. `FSTORE_JOIN_SEEDS` sets how many.
@Suite struct RandomJoinTests {
  static let seedCount =
    setting("FSTORE_JOIN_SEEDS", 2000)

  struct Case {
    var shape: KeyShape
    var moments: [Moment]
    var events: [Event]
    var rules: Rules
  }

  static func makeCase(_ seed: Int) -> Case {
    var random = SeededGenerator(seed: UInt64(seed))
    let shape = KeyShape.allCases.randomElement(using: &random) ?? .string
    let extremes: [Int64] = [.min, .min + 1, -1, 0, 1, .max - 1, .max]
    let isExtreme = Int.random(in: 0..<5, using: &random) == 0
    let span = Int64.random(in: 1...20, using: &random)
    func time() -> Int64 {
      isExtreme
        ? extremes.randomElement(using: &random) ?? 0 : Int64.random(in: 0...span, using: &random)
    }
    let isSameKey = Int.random(in: 0..<6, using: &random) == 0
    func key() -> [String?] {
      shape.parts.map { part in
        if isSameKey { return part[0] }
        return Int.random(in: 0..<25, using: &random) == 0
          ? nil : part.randomElement(using: &random)
      }
    }
    let momentCount = Int.random(in: 0...14, using: &random)
    let moments = (0..<momentCount).map { _ in
      Moment(key: key(), time: Int.random(in: 0..<25, using: &random) == 0 ? nil : time())
    }
    let eventCount = Int.random(in: 0...30, using: &random)
    let numbers = Array(0..<Int64(eventCount)).shuffled(using: &random)
    let events = (0..<eventCount).map { index in
      Event(
        key: key(), eventTime: Int.random(in: 0..<30, using: &random) == 0 ? nil : time(),
        number: isExtreme && index == 0 ? .max : numbers[index],
        isDeleted: Int.random(in: 0..<5, using: &random) == 0,
        writeTime: Int.random(in: 0..<30, using: &random) == 0 ? nil : time(),
        expiresAt: Int.random(in: 0..<4, using: &random) == 0 ? time() : nil)
    }
    let ttls: [Int64?] = [nil, nil, 0, 1, span / 2, .max]
    return Case(
      shape: shape, moments: moments, events: events,
      rules: Rules(
        ttl: ttls.randomElement(using: &random) ?? nil,
        visibility: Bool.random(using: &random) ? .event : .ingested,
        bounds: Int.random(in: 0..<4, using: &random) == 0 ? .strict : .inclusive,
        offset: Int.random(in: 0..<3, using: &random) == 0
          ? Int64.random(in: 0...span, using: &random) : 0))
  }

  static func join(_ example: Case) throws -> PointInTimeJoin {
    // In two parts, of which the first may be empty.
    let cut = example.moments.count / 3
    var builder = try SpineBuilder(keyTypes: example.shape.columns([]).map(\.type))
    for part in [example.moments[..<cut], example.moments[cut...]] {
      try builder.append(
        keys: example.shape.columns(part.map(\.key)), times: longs(part.map(\.time), timestamps))
    }
    return PointInTimeJoin(spine: builder.finish(), rules: try example.rules.forJoin())
  }

  /// Events cut into batches at random, in random order; source = where the batch begins.
  static func cuts(_ count: Int, _ random: inout SeededGenerator) -> [Range<Int>] {
    var ranges: [Range<Int>] = []
    var start = 0
    while start < count {
      let end = min(count, start + Int.random(in: 1...10, using: &random))
      ranges.append(start..<end)
      start = end
    }
    return ranges.shuffled(using: &random)
  }

  @Test(arguments: 0..<8) func everyAnswerEqualsTheSlowModels(part: Int) throws {
    for seed in stride(from: part, to: Self.seedCount, by: 8) {
      let example = Self.makeCase(seed)
      var random = SeededGenerator(seed: UInt64(seed + 1_000_000))
      var join = try Self.join(example)
      for range in Self.cuts(example.events.count, &random) {
        try join.consume(
          batch(example.events[range], example.shape), source: Int32(range.lowerBound), firstRow: 3)
      }
      let result = join.finish()
      #expect(result.rowCount == example.moments.count, "seed \(seed)")
      for (row, moment) in example.moments.enumerated() {
        let expected = slowAnswer(moment, example.events, example.rules)
        #expect(result.outcome(ofRow: row) == expected.outcome, "seed \(seed), row \(row)")
        let found = result.winner(ofRow: row).map { Int($0.source) + $0.row - 3 }
        #expect(found == expected.winner, "seed \(seed), row \(row)")
      }
    }
  }

  @Test func theOrderOfBatchesNeverMatters() throws {
    for seed in 5000..<5100 {
      let example = Self.makeCase(seed)
      var random = SeededGenerator(seed: UInt64(seed))
      // Exact duplicates too: the same rows under two sources.
      let ranges = Self.cuts(example.events.count, &random)
      let feeds = ranges.map { ($0, Int32($0.lowerBound)) } + ranges.map { ($0, Int32(100)) }
      var answers: [[PointInTimeResult.Winner?]] = []
      for _ in 0..<3 {
        var join = try Self.join(example)
        for (range, source) in feeds.shuffled(using: &random) {
          try join.consume(
            batch(example.events[range], example.shape), source: source, firstRow: range.lowerBound)
        }
        let result = join.finish()
        answers.append(example.moments.indices.map { result.winner(ofRow: $0) })
      }
      #expect(answers[0] == answers[1] && answers[1] == answers[2], "seed \(seed)")
    }
  }

  @Test func whatMayBeSkippedChangesNoValue() throws {
    var skipped = 0
    var unknown = 0
    for seed in 7000..<7400 {
      var hidesReasons = false
      let example = Self.makeCase(seed)
      var random = SeededGenerator(seed: UInt64(seed))
      var join = try Self.join(example)
      let ranges = Self.cuts(example.events.count, &random).sorted { first, second in
        let newest = { (range: Range<Int>) in
          example.events[range].compactMap(\.eventTime).max() ?? .min
        }
        return newest(first) > newest(second)
      }
      for range in ranges {
        let times = example.events[range].compactMap(\.eventTime)
        let source = Int32(range.lowerBound)
        if let first = times.min(), let last = times.max() {
          let skipping = join.canSkip(eventTimes: first...last)
          if skipping != .no {
            skipped += 1
            hidesReasons = hidesReasons || skipping == .hidesReasons
            continue
          }
        }
        try join.consume(batch(example.events[range], example.shape), source: source)
      }
      let result = join.finish(hidesReasons: hidesReasons)
      for (row, moment) in example.moments.enumerated() {
        let expected = slowAnswer(moment, example.events, example.rules)
        let found = result.winner(ofRow: row).map { Int($0.source) + $0.row }
        #expect(found == expected.winner, "seed \(seed), row \(row)")
        // What is said of a null is right, or that it is not known.
        let outcome = result.outcome(ofRow: row)
        let isKnown = outcome == expected.outcome
        #expect(
          isKnown || (hidesReasons && outcome == .notRead),
          "seed \(seed), row \(row): \(outcome), not \(expected.outcome) \(example.rules)")
        if outcome == .notRead { unknown += 1 }
      }
    }
    #expect(skipped > 100 && unknown > 20)
  }
}
