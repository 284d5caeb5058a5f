import FeatureModel
import FeatureStore
import Foundation
import Iceberg
import JSON
import Storage
import TestSupport
import Testing

/// The query that stands for a training set gives the same rows, executed by DuckDB over the same tables.
@Suite(.enabled(if: Peer.isThere, Peer.hint)) struct TrainingSetSQLTests {
  private final class Fixture {
    let folder: String
    /// Records are written a microsecond apart all the same.
    let clock = TickingClock(Fixture.start)
    let store: FeatureStore
    var random: SeededGenerator

    init(seed: UInt64) throws {
      folder =
        FileManager.default.temporaryDirectory.appending(path: "fstore-sql-\(UUID().uuidString)")
        .path
      random = SeededGenerator(seed: seed)
      var options = FeatureStore.Options()
      options.flushesAutomatically = false
      options.isDurable = false
      try FeatureStore.create(at: folder + "/store", options: options)
      store = try FeatureStore.open(at: folder + "/store", options: options, clock: clock)
      try store.createGroup(
        FeatureGroup(
          id: 0, name: "one",
          recordIdentifiers: [Feature("sensor", .string), Feature("zone", .int)],
          eventTimeName: "at", features: [Feature("value", .long), Feature("note", .string)],
          timeToLive: random.oneIn(2) ? .infinite : .microseconds(Int64(random.below(60)))))
      try store.createGroup(
        FeatureGroup(
          id: 0, name: "two", recordIdentifiers: [Feature("zone", .int)], eventTimeName: "when",
          features: [Feature("ratio", .double), Feature("flag", .boolean)],
          dataDelayMicroseconds: Int64(random.below(2) * random.below(20))))
    }

    deinit {
      try? store.close()
      try? FileManager.default.removeItem(atPath: folder)
    }

    static let start: Int64 = 1_767_225_600_000_000

    func time() -> Int64 { Self.start + Int64(random.below(100)) }

    func write() throws {
      let (one, two) = (try store.online("one"), try store.online("two"))
      for _ in 0..<random.below(60) {
        let zone = FeatureValue.int(Int32(random.below(4)))
        let sensor = FeatureValue.string(String(repeating: "1", count: 1 + random.below(3)))
        let expiry = random.oneIn(5) ? time() : nil
        let (value, isNull) = (random.below(1000), random.oneIn(5))
        if random.oneIn(7) {
          try one.delete([one.key(sensor, zone)], eventTime: time())
        } else {
          try one.put(one.key(sensor, zone), eventTime: time(), expiresAt: expiry) { row in
            if !isNull { row.set(0, value) }
            if value % 4 > 0 { row.set(1, "it's \"\(value)\"") }
          }
        }
        if random.oneIn(9) {
          try two.delete([two.key(zone)], eventTime: time())
        } else {
          try two.put(two.key(zone), eventTime: time()) { row in
            if !isNull { row.set(0, Double(value) / 8) }
            row.set(1, value % 2 == 0)
          }
        }
      }
      try store.flush()
    }

    /// Rows with missing keys and times, keys that nobody wrote, equal rows.
    func spine(_ count: Int) throws -> String {
      let path = folder + "/spine.csv"
      var lines = ["label,Sensor Name,zone,moment,later,Other Zone"]
      for row in 0..<count {
        let sensor = random.oneIn(9) ? "" : String(repeating: "1", count: 1 + random.below(4))
        let zone = random.oneIn(9) ? "" : "\(random.below(5))"
        func moment() -> String {
          random.oneIn(9) ? "" : CivilTime.text(microseconds: time())
        }
        lines.append(
          "\(row % 7).5,\(sensor),\(zone),\(moment()),\(moment()),\((row * 3) % 5)")
        if random.oneIn(6), let last = lines.last { lines.append(last) }
      }
      try (lines.joined(separator: "\n") + "\n").write(
        toFile: path, atomically: true, encoding: .utf8)
      return path
    }
  }

  @Test(arguments: 0..<24)
  func duckDBGivesTheSameRows(seed: UInt64) throws {
    let fixture = try Fixture(seed: seed)
    let store = fixture.store
    for _ in 0..<(1 + fixture.random.below(3)) { try fixture.write() }
    let spine = try fixture.spine(fixture.random.below(80))
    let output = fixture.folder + "/set.parquet"
    var request = TrainingSetRequest(spineFile: spine, timeColumn: "moment", outputFile: output)
    request.features = ["one:note=text", "two:ratio", "one:value", "two:flag"]
    request.keyColumns["sensor"] = "Sensor Name"
    if seed % 2 == 0 { request.features.append("two:ratio=there,key=Other Zone") }
    request.visibility = fixture.random.oneIn(2) ? .event : .ingested
    request.isStrict = fixture.random.oneIn(4)
    request.excludesLate = fixture.random.oneIn(4)
    if fixture.random.oneIn(3) { request.timeColumns["two"] = "later" }
    if fixture.random.oneIn(3) {
      let view = try FeatureView(
        name: "mixed",
        features: [
          FeatureReference(group: "two", feature: "ratio", timeToLive: .microseconds(9)),
          FeatureReference(group: "one", feature: "value"),
          FeatureReference(group: "two", feature: "ratio", outputName: "any_age"),
          FeatureReference(
            group: "two", feature: "flag", outputName: "there", joinKeys: ["zone": "Other Zone"]),
        ])
      try store.createView(view)
      (request.view, request.features) = ("mixed", [])
    }
    let query = try store.trainingSetQuery(request, for: .duckdb)
    _ = try store.extractTrainingSet(request)
    let answer = try Peer.call(
      "compare_query",
      [
        "folder": .string(fixture.folder + "/store/warehouse"), "query": .string(query),
        "file": .string(output),
      ])
    #expect(answer["difference"] == .null, "seed \(seed)\n\(query)")
    #expect(answer["rows"]?.int64Value ?? -1 >= 0)
  }

  @Test func aVersionIsNamedInTheQuery() throws {
    let fixture = try Fixture(seed: 100)
    let store = fixture.store
    try fixture.write()
    let time = CivilTime.text(microseconds: fixture.clock.nowMicroseconds() + 1000)
    fixture.clock.advance(10_000)
    try store.addFeatures([Feature("extra", .long)], to: "two")
    try fixture.write()
    let output = fixture.folder + "/set.parquet"
    var request = TrainingSetRequest(
      spineFile: try fixture.spine(50), timeColumn: "moment", outputFile: output)
    request.features = ["two:extra", "two:ratio"]
    request.asOf = .init(parsing: time)
    let query = try store.trainingSetQuery(request, for: .duckdb)
    #expect(query.contains("snapshot_from_id"))
    _ = try store.extractTrainingSet(request)
    let answer = try Peer.call(
      "compare_query",
      [
        "folder": .string(fixture.folder + "/store/warehouse"), "query": .string(query),
        "file": .string(output),
      ])
    #expect(answer["difference"] == .null && answer["rows"]?.int64Value ?? 0 > 0)
  }

  /// What is printed for engines that are not here: their words for the same.
  @Test func sparkAndTrinoHaveTheirOwnWords() throws {
    let fixture = try Fixture(seed: 0)
    try fixture.write()
    var request = TrainingSetRequest(
      spineFile: try fixture.spine(3), timeColumn: "moment", outputFile: "")
    request.features = ["one:value"]
    request.keyColumns["sensor"] = "Sensor Name"
    request.visibility = .ingested
    let spark = try fixture.store.trainingSetQuery(request, for: .spark)
    for words in [
      "using csv options", "cast(spine.`Sensor Name` as string)",
      "from spine join fstore.features.`one` record",
      "record.`write_time` <= cast(spine.`moment` as timestamp)", "order by spine.fstore_row",
      "order by record.`at` desc, record.`lsn` desc nulls last",
    ] { #expect(spark.contains(words), "\(words)\n\(spark)") }
    #expect(throws: FeatureStoreError.self) {
      try fixture.store.trainingSetQuery(request, for: .trino)
    }
    let trino = try fixture.store.trainingSetQuery(
      request, for: .trino, spineTable: "hive.spines.flights")
    for words in [
      "from hive.spines.flights", "fstore.features.\"one\" record", "timestamp(6) with time zone",
    ] { #expect(trino.contains(words), "\(words)\n\(trino)") }
    request.features = ["one:nothing"]
    #expect(throws: FeatureStoreError.self) {
      try fixture.store.trainingSetQuery(request, for: .spark)
    }
    request.features = ["one:value"]
    request.timeColumn = "noon"
    #expect(throws: FeatureStoreError.self) {
      try fixture.store.trainingSetQuery(request, for: .spark)
    }
  }
}
