import Columnar
import FeatureModel
import FeatureStore
import Foundation
import Storage
import TestSupport
import Testing

/// Training sets of random stores, through log, flush, Parquet, pruning and join, against nested loops over what was
/// put.
@Suite struct RandomTrainingSetTests {
  private struct Put {
    var sensor: String
    var eventTime: Int64
    var writeTime: Int64
    var value: Int64?
    var isDeleted: Bool
    var expiresAt: Int64?
  }

  private struct Rules {
    var groupTTL: Int64?
    var ownTTL: Int64?
    var isIngested = false
    var isStrict = false
    var excludesLate = false
    var delay: Int64 = 0
    var reasons = TrainingSetRequest.NullReasons.ifCheap
  }

  private enum Answer: Hashable {
    case value(Int64?)
    case neverWritten, onlyLater, late, expired, deleted, noKey
  }

  private static let sensors = ["a", "b", "c", "dd"]
  private static let second: Int64 = 1_000_000

  private static func answer(
    _ sensor: String?, _ time: Int64?, _ puts: [Put], _ rules: Rules, ttl: Int64?
  ) -> Answer {
    guard let sensor, let time else { return .noKey }
    let isBefore = { (instant: Int64) in rules.isStrict ? instant < time : instant <= time }
    let own = puts.filter { $0.sensor == sensor }
    if own.isEmpty { return .neverWritten }
    let known = own.filter { isBefore($0.eventTime + rules.delay) }
    if known.isEmpty { return .onlyLater }
    let visible = known.filter { !rules.isIngested || isBefore($0.writeTime) }
    // Of equal event times the later put wins: they are in the order of their LSN.
    var best: Put?
    for put in visible where best.map({ put.eventTime >= $0.eventTime }) ?? true { best = put }
    guard let best else { return .late }
    if best.isDeleted { return .deleted }
    if let expiresAt = best.expiresAt, expiresAt < time { return .expired }
    if let ttl, best.eventTime < time - ttl { return .expired }
    if rules.excludesLate, best.writeTime > time { return .late }
    return .value(best.value)
  }

  private static func times(_ values: [Int64?]) -> Column {
    var builder = FixedWidthBuilder<Int64>(.timestamp(isUTC: true), zero: 0)
    for value in values { if let value { builder.append(value) } else { builder.appendNull() } }
    return builder.finish()
  }

  private static func texts(_ values: [String?]) -> Column {
    var builder = BytesBuilder(.string)
    for value in values { if let value { builder.append(value) } else { builder.appendNull() } }
    return builder.finish()
  }

  @Test func anyTrainingSetIsWhatNestedLoopsGive() throws {
    var (unread, late) = (0, 0)
    for seed in 0..<setting("FSTORE_TRAINING_SET_SEEDS", 60) {
      var random = SeededGenerator(seed: UInt64(seed))
      let span = Int64.random(in: 2...40, using: &random)
      func length() -> Int64 { Int64.random(in: 0...span, using: &random) * Self.second }
      func maybe<Value>(_ value: Value) -> Value? { Bool.random(using: &random) ? value : nil }
      var rules = Rules()
      rules.groupTTL = maybe(length())
      rules.ownTTL = maybe(length())
      rules.isIngested = Int.random(in: 0..<3, using: &random) == 0
      rules.isStrict = Int.random(in: 0..<4, using: &random) == 0
      rules.excludesLate = Int.random(in: 0..<3, using: &random) == 0
      rules.delay = Int.random(in: 0..<3, using: &random) == 0 ? length() : 0
      rules.reasons = [.always, .never].randomElement(using: &random) ?? .always

      let clock = TickingClock(0)
      let fixture = try StoreFixture()
      let store = try FeatureStore.open(
        at: fixture.directory, options: OnlineGroupTests.manual, clock: clock)
      try store.createGroup(
        StoreFixture.group(timeToLive: rules.groupTTL.map { .microseconds($0) } ?? .infinite))
      let readings = try store.online("readings")
      var puts: [Put] = []
      for _ in 0..<Int.random(in: 0...4, using: &random) {
        for _ in 0..<Int.random(in: 1...12, using: &random) {
          // No two are written at the same time.
          clock.advance(Int64.random(in: 1...3, using: &random) * Self.second)
          let put = Put(
            sensor: Self.sensors.randomElement(using: &random) ?? "a", eventTime: length(),
            writeTime: clock.nowMicroseconds(),
            value: Int.random(in: 0..<6, using: &random) == 0 ? nil : Int64(puts.count),
            isDeleted: Int.random(in: 0..<6, using: &random) == 0,
            expiresAt: Int.random(in: 0..<5, using: &random) == 0 ? length() : nil)
          if put.isDeleted {
            try readings.delete([readings.key(put.sensor)], eventTime: put.eventTime)
          } else {
            try readings.put(
              readings.key(put.sensor), eventTime: put.eventTime, expiresAt: put.expiresAt
            ) { row in if let value = put.value { row.set(0, value) } }
          }
          puts.append(put)
        }
        _ = try store.flush()
      }
      // A tombstone has no expiry.
      for index in puts.indices where puts[index].isDeleted { puts[index].expiresAt = nil }

      let rows = (0..<Int.random(in: 0...15, using: &random)).map { _ -> (String?, Int64?) in
        (
          Int.random(in: 0..<12, using: &random) == 0
            ? nil : (Self.sensors + ["unknown"]).randomElement(using: &random),
          Int.random(in: 0..<12, using: &random) == 0 ? nil : length()
        )
      }
      let spine = RecordBatch(
        schema: Schema([Field("sensor", .string), Field("t", .timestamp(isUTC: true))]),
        columns: [Self.texts(rows.map(\.0)), Self.times(rows.map(\.1))], rowCount: rows.count)
      var request = TrainingSetRequest(
        spine: .batches([spine]), timeColumn: "t", output: .standardOutput(.csv))
      request.features = ["readings:value"]
      if let own = rules.ownTTL { request.features.append("readings:value=own,ttl=\(own)us") }
      request.visibility = rules.isIngested ? .ingested : .event
      request.isStrict = rules.isStrict
      request.excludesLate = rules.excludesLate
      request.dataDelays = ["readings": rules.delay]
      request.nullReasons = rules.reasons
      let set = try store.trainingSet(request)
      var found: [[Int64?]] = Array(repeating: [], count: request.features.count)
      while let batch = try set.next() {
        for place in found.indices {
          let column = batch.columns[2 + place]
          let values = column.values(as: Int64.self)
          for row in 0..<batch.rowCount {
            found[place].append(column.isNull(row) ? nil : values[row])
          }
        }
      }
      let answers = rows.map {
        Self.answer($0.0, $0.1, puts, rules, ttl: rules.groupTTL)
      }
      let values = answers.map { if case .value(let value) = $0 { value } else { Int64?.none } }
      #expect(found[0] == values, "seed \(seed) \(rules)")
      if let ttl = rules.ownTTL {
        let own = rows.map { Self.answer($0.0, $0.1, puts, rules, ttl: ttl) }
        let values = own.map { if case .value(let value) = $0 { value } else { Int64?.none } }
        #expect(found[1] == values, "seed \(seed), own ttl \(rules)")
      }
      let report = try #require(set.report.groups.first)
      unread += report.notReadCount
      late += report.writtenLaterCount
      let widest = rules.ownTTL.map { own in rules.groupTTL.map { max($0, own) } } ?? rules.groupTTL
      let reasons = rows.map { Self.answer($0.0, $0.1, puts, rules, ttl: widest) }
      let counts = Dictionary(
        reasons.map { answer -> (Answer, Int) in
          if case .value = answer { return (.value(0), 1) }
          return (answer, 1)
        }, uniquingKeysWith: +)
      #expect(report.foundCount == counts[.value(0), default: 0], "seed \(seed) \(rules)")
      #expect(report.noKeyCount == counts[.noKey, default: 0], "seed \(seed)")
      if rules.reasons == .always {
        #expect(report.notReadCount == 0)
        #expect(report.neverWrittenCount == counts[.neverWritten, default: 0], "seed \(seed)")
        #expect(report.onlyLaterCount == counts[.onlyLater, default: 0], "seed \(seed) \(rules)")
        #expect(report.lateCount == counts[.late, default: 0], "seed \(seed) \(rules)")
        #expect(report.expiredCount == counts[.expired, default: 0], "seed \(seed) \(rules)")
        #expect(report.deletedCount == counts[.deleted, default: 0], "seed \(seed)")
      }
      try store.close()
    }
    #expect(unread > 5 && late > 5)
  }
}
