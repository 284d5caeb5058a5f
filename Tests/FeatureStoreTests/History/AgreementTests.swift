import Columnar
import FeatureModel
import FeatureStore
import FileFormats
import Foundation
import Iceberg
import Storage
import TestSupport
import Testing

/// What the online store answered at a moment is what a training set has for it.
@Suite struct AgreementTests {
  private struct Question {
    var sensor: String
    var zone: Int32
    var moment: Int64
    var answers: [FeatureAnswer]
  }

  /// More of them at night.
  static let seeds = 0..<UInt64(setting("FSTORE_AGREEMENT_SEEDS", 60))

  /// A random history of puts, deletes, late events, ties, a ttl and expiries; at random moments the online store is
  /// asked, and a training set by what was ingested says the same afterwards, every value: flushed, partly
  /// flushed and compacted.
  @Test(arguments: seeds)
  func trainingSetsSayWhatTheOnlineStoreSaid(seed: UInt64) throws {
    var random = SeededGenerator(seed: seed &* 31)
    let ttl: TimeToLive =
      random.oneIn(3) ? .infinite : .microseconds(Int64(random.below(random.oneIn(4) ? 3 : 90)))
    let history = try RandomHistory(seed: seed, timeToLive: ttl)
    let store = history.store
    try history.createView("both", freshTimeToLive: .microseconds(0))
    var questions: [Question] = []
    for _ in 0..<(5 + random.below(30)) {
      try history.write(1 + random.below(5), expiresOnceIn: 1 + random.below(8))
      if random.oneIn(8) { try history.flush() }
      // At the moment of the write itself, too.
      if !random.oneIn(3) { history.clock.advance(Int64(random.below(30))) }
      for _ in 0..<random.below(5) {
        let key = random.below(13)
        let (sensor, zone) = (String(repeating: "1", count: 1 + key % 3), Int32(key / 3))
        questions.append(
          Question(
            sensor: sensor, zone: zone, moment: history.clock.nowMicroseconds(),
            answers: try store.getFeatures("both", fields: ["sensor": sensor, "zone": "\(zone)"])))
      }
      history.clock.advance(1)
    }
    let isPartial = random.oneIn(2)
    if !isPartial { try history.flush() }
    if random.oneIn(3) { _ = try store.optimize("readings", options: ["min-input-files": "2"]) }
    // Not in the order of time.
    questions.shuffle(using: &random)
    let set = try Self.trainingSet(history, questions, includesUnflushed: isPartial)
    #expect(set.count == questions.count, "seed \(seed)")
    for (values, question) in zip(set, questions) {
      #expect(
        values == question.answers.map(\.value), "seed \(seed): \(question), \(ttl)")
    }
  }

  private static func trainingSet(
    _ history: RandomHistory, _ questions: [Question], includesUnflushed: Bool
  ) throws -> [[FeatureValue]] {
    let spine = history.fixture.directory + "/../spine.csv"
    let lines = questions.map {
      "\($0.sensor),\($0.zone),\(CivilTime.text(microseconds: $0.moment))"
    }
    try (["sensor,zone,moment"] + lines).joined(separator: "\n").write(
      toFile: spine, atomically: true, encoding: .utf8)
    let output = history.fixture.directory + "/../set.parquet"
    var request = TrainingSetRequest(spineFile: spine, timeColumn: "moment", outputFile: output)
    request.view = "both"
    request.replacesOutput = true
    request.visibility = .ingested
    request.includesUnflushed = includesUnflushed
    _ = try history.store.extractTrainingSet(request)
    let stream = try ParquetReader(file: try POSIXFileSystem().open(output, .read)).batches()
    var rows: [[FeatureValue]] = []
    while let batch = try stream.next() {
      let columns = try ["text", "value", "fresh"].map { try #require(batch.column(named: $0)) }
      for row in 0..<batch.rowCount {
        rows.append(
          columns.map { column in
            if column.isNull(row) { return .null }
            if column.type == .string { return .string(column.string(at: row)) }
            return .long(column.values(as: Int64.self)[row])
          })
      }
    }
    return rows
  }

  /// With the log's tail a training set has no lag, and without it no double row.
  @Test func theTailIsPartOfATrainingSetIfAskedFor() throws {
    let history = try RandomHistory(seed: 3)
    let store = history.store
    try store.createView(
      FeatureView(
        name: "both",
        features: ["note", "value", "value"].enumerated().map { index, name in
          FeatureReference(
            group: "readings", feature: name, outputName: ["text", "value", "fresh"][index])
        }))
    try history.write(30)
    try history.flush()
    let flushed = history.records
    try history.write(30)
    history.clock.advance(100)
    for isWhole in [true, false] {
      let expected = RandomHistory.newest(isWhole ? history.records : flushed)
      let questions = expected.values.map {
        Question(
          sensor: $0.sensor, zone: $0.zone, moment: history.clock.nowMicroseconds(), answers: [])
      }
      let set = try Self.trainingSet(history, questions, includesUnflushed: isWhole)
      for (values, question) in zip(set, questions) {
        let record = try #require(expected["\(question.sensor)|\(question.zone)"])
        let isGone = record.isDeleted || (record.expiresAt ?? .max) < question.moment
        #expect(values[1] == (isGone ? .null : record.value.map { .long($0) } ?? .null))
      }
    }
  }
}
