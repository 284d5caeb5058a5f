import FeatureModel
import FeatureStore
import Foundation
import Iceberg
import JSON
import TestSupport
import Testing

/// Where the semantics coincide, a training set is what DuckDB's ASOF JOIN and Polars' `join_asof` give: of records
/// that nobody deleted and that have no expiry of their own, no two of a key with the same event time.
@Suite(.enabled(if: Peer.isThere, Peer.hint)) struct AsOfJoinTests {
  private static let start: Int64 = 1_767_225_600_000_000

  private struct Example {
    var random: SeededGenerator
    /// Microseconds in which everything happens.
    let span: Int
    /// How old, in microseconds, a value may be since it was known.
    let tolerance: Int64?
    let delay: Int64
    let isStrict: Bool

    init(seed: UInt64) {
      random = SeededGenerator(seed: seed)
      span = 1 + random.below(300)
      tolerance = random.oneIn(2) ? nil : Int64(random.below(span))
      delay = Int64(random.oneIn(3) ? random.below(20) : 0)
      isStrict = random.oneIn(3)
    }

    mutating func makeStore(_ folder: String) throws -> FeatureStore {
      var options = FeatureStore.Options()
      options.flushesAutomatically = false
      options.isDurable = false
      try FeatureStore.create(at: folder, options: options)
      let store = try FeatureStore.open(
        at: folder, options: options, clock: TickingClock(AsOfJoinTests.start))
      try store.createGroup(
        FeatureGroup(
          id: 0, name: "readings",
          recordIdentifiers: [Feature("sensor", .string), Feature("zone", .int)],
          eventTimeName: "at", features: [Feature("value", .long), Feature("note", .string)],
          // It goes by the event time.
          timeToLive: tolerance.map { .microseconds($0 + delay) } ?? .infinite,
          dataDelayMicroseconds: delay))
      let readings = try store.online("readings")
      var taken = Set<[Int]>()
      for _ in 0..<(1 + random.below(3)) {
        for _ in 0..<random.below(200) {
          let (sensor, zone, time) = (random.below(4), random.below(3), random.below(span))
          guard taken.insert([sensor, zone, time]).inserted else { continue }
          let hasValue = !random.oneIn(6)
          try readings.put(
            readings.key(.string(String(repeating: "s", count: sensor)), .int(Int32(zone))),
            eventTime: AsOfJoinTests.start + Int64(time)
          ) { row in
            if hasValue { row.set(0, time) }
            row.set(1, "\(sensor), \(zone), \(time)")
          }
        }
        try store.flush()
      }
      return store
    }

    /// Missing keys and times, keys that nobody wrote, equal rows.
    mutating func writeSpine(_ path: String) throws {
      var lines = ["row,sensor,zone,moment"]
      var label = ""
      for row in 0..<random.below(150) {
        if label.isEmpty || !random.oneIn(6) {
          let sensor = String(repeating: "s", count: 1 + random.below(4))
          let time = AsOfJoinTests.start + Int64(random.below(span + 40)) - 20
          label = random.oneIn(9) ? "," : "\(sensor),"
          label += random.oneIn(9) ? "," : "\(random.below(4)),"
          if !random.oneIn(9) { label += CivilTime.text(microseconds: time) }
        }
        lines.append("\(row),\(label)")
      }
      try (lines.joined(separator: "\n") + "\n").write(
        toFile: path, atomically: true, encoding: .utf8)
    }
  }

  @Test func trainingSetsEqualAsOfJoins() throws {
    let seedCount = UInt64(setting("FSTORE_TRAINING_SET_SEEDS", 40))
    var answered: Int64 = 0
    for seed in 0..<seedCount {
      try withTemporaryDirectory { folder in
        var example = Example(seed: seed)
        let store = try example.makeStore(folder + "/store")
        try example.writeSpine(folder + "/spine.csv")
        let output = folder + "/set.parquet"
        var request = TrainingSetRequest(
          spineFile: folder + "/spine.csv", timeColumn: "moment", outputFile: output)
        request.features = ["readings:value", "readings:note"]
        request.isStrict = example.isStrict
        _ = try store.extractTrainingSet(request)
        let table = try store.offlineTable("readings").metadataLocation
        try store.close()
        var arguments: JSONObject = [
          "table": .string(table), "file": .string(output),
          "keys": [.string("sensor"), .string("zone")], "time": .string("moment"),
          "event_time": .string("at"), "features": [.string("value"), .string("note")],
          "is_strict": .bool(example.isStrict), "delay": .integer(example.delay),
          "tolerance": .null,
        ]
        if let tolerance = example.tolerance { arguments["tolerance"] = .integer(tolerance) }
        let answer = try Peer.call("compare_asof", arguments)
        #expect(answer["difference"] == .null, "seed \(seed)")
        answered += answer["answered"]?.int64Value ?? 0
      }
    }
    #expect(answered > Int64(seedCount) * 5)
  }
}
