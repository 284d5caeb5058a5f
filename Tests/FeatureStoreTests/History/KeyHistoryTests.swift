import FeatureModel
import FeatureStore
import Foundation
import Iceberg
import TestSupport
import Testing

/// What was written of a key, and what was known of it at a moment.
@Suite struct KeyHistoryTests {
  private typealias Record = RandomHistory.Record

  private static func records(
    _ records: [HistoryRecord], _ sensor: String, _ zone: Int32
  ) -> [Record] {
    records.map { record in
      func long(_ value: FeatureValue) -> Int64? {
        if case .long(let value) = value { value } else { nil }
      }
      func string(_ value: FeatureValue) -> String? {
        if case .string(let value) = value { value } else { nil }
      }
      return Record(
        sensor: sensor, zone: zone, eventTime: record.eventTime, writeTime: record.writeTime ?? -1,
        lsn: record.lsn, isDeleted: record.isDeleted, expiresAt: record.expiresAt,
        value: long(record.values[0]), note: string(record.values[1]))
    }
  }

  private static func request(_ sensor: String, _ zone: Int32) -> HistoryRequest {
    HistoryRequest(group: "readings", fields: ["sensor": sensor, "zone": "\(zone)"])
  }

  /// Each key's records by every option, with a part of them in the log only.
  @Test(arguments: 0..<10)
  func aKeysRecordsAreThoseThatWereWritten(seed: UInt64) throws {
    let history = try RandomHistory(seed: seed)
    let store = history.store
    for number in 0..<4 {
      for _ in 0..<3 { try history.write(1 + history.random.below(20)) }
      if number < 3 { try history.flush() }
    }
    if history.random.oneIn(2) {
      _ = try store.optimize("readings", options: ["min-input-files": "2"])
    }
    let flushed = try #require(history.snapshots.last).recordCount
    let live = Set(try store.dataFiles("readings").map(\.path))
    for number in 0..<12 {
      let (sensor, zone) = (String(repeating: "1", count: 1 + number % 3), Int32(number / 3))
      let key = "\(sensor)|\(zone)"
      let all = history.records.filter { $0.key == key }.sorted { $0.order > $1.order }
      let found = try store.history(Self.request(sensor, zone))
      #expect(Self.records(found, sensor, zone) == all, "seed \(seed)")
      for record in found {
        let isFlushed = history.records[..<flushed].contains { $0.lsn == record.lsn }
        #expect((record.file != nil) == isFlushed && (record.snapshotID != nil) == isFlushed)
        if let file = record.file { #expect(live.contains(file)) }
      }
      let last = history.random.below(6)
      var request = Self.request(sensor, zone)
      request.last = last
      #expect(
        Self.records(try store.history(request), sensor, zone) == Array(all.prefix(last)),
        "seed \(seed), last \(last)")
      let from = RandomHistory.start + Int64(history.random.below(40))
      request.eventTimes = from...(from + Int64(history.random.below(40)))
      let within = all.filter { request.eventTimes.contains($0.eventTime) }
      #expect(
        Self.records(try store.history(request), sensor, zone) == Array(within.prefix(last)),
        "seed \(seed)")
      request = Self.request(sensor, zone)
      request.includesUnflushed = false
      let lsns = Set(history.records[..<flushed].map(\.lsn))
      #expect(
        Self.records(try store.history(request), sensor, zone)
          == all.filter { lsns.contains($0.lsn) }, "seed \(seed)")
      request.version = .snapshot(history.snapshots[0].id)
      let first = Set(history.records[..<history.snapshots[0].recordCount].map(\.lsn))
      #expect(
        Self.records(try store.history(request), sensor, zone)
          == all.filter { first.contains($0.lsn) }, "seed \(seed)")
    }
    #expect(try store.history(Self.request("nobody", 0)).isEmpty)
  }

  /// What `get` said online, asked later for every moment at which it was asked.
  @Test(arguments: 0..<10)
  func whatWasKnownIsWhatWasAnswered(seed: UInt64) throws {
    let timeToLive = TimeToLive.microseconds(50)
    let history = try RandomHistory(seed: seed, timeToLive: timeToLive)
    let store = history.store
    struct Question: Hashable {
      var fields: [String: String]
      var moment: Int64
    }
    var answers: [Question: [FeatureAnswer]] = [:]
    for number in 0..<30 {
      try history.write(1 + history.random.below(4))
      if number % 7 == 6 { try history.flush() }
      history.clock.advance(Int64(history.random.below(20)))
      for _ in 0..<3 {
        let key = history.random.below(12)
        let fields = ["sensor": String(repeating: "1", count: 1 + key % 3), "zone": "\(key / 3)"]
        let question = Question(fields: fields, moment: history.clock.nowMicroseconds())
        answers[question] = try store.get("readings", fields: fields)
      }
      history.clock.advance(1)
    }
    for (question, answer) in answers {
      let then = try store.get("readings", fields: question.fields, at: question.moment)
      #expect(then == answer, "seed \(seed): \(question)")
      // By event time alone: by the definition.
      let key = "\(question.fields["sensor"] ?? "")|\(question.fields["zone"] ?? "")"
      let happened = history.records.filter {
        $0.key == key && $0.eventTime <= question.moment
      }.max { $0.order < $1.order }
      let known = try store.get(
        "readings", fields: question.fields, features: ["value"], at: question.moment,
        visibility: .event)
      #expect(known[0].lsn == happened?.lsn, "seed \(seed)")
    }
    #expect(Set(answers.values.map { $0[0].status }).count >= 4)
  }

  /// Bounds and bloom filters keep files closed that cannot have the key, and files too old for the last ones.
  @Test func filesThatCannotHaveTheKeyAreNotRead() throws {
    let fixture = try StoreFixture(options: RandomHistory.options)
    let store = try FeatureStore.open(at: fixture.directory, options: RandomHistory.options)
    try store.createGroup(StoreFixture.group())
    for file in 0..<6 {
      for row in 0..<20 {
        // Each key is in one file of two; bounds alone cannot tell.
        let sensor = row == 0 ? "a" : row == 19 ? "z" : "s\(row * 2 + file % 2)"
        try store.put(
          "readings",
          fields: ["sensor": sensor, "at": "2026-01-0\(file + 1)T00:00:00Z", "value": "1"])
      }
      try store.flush()
    }
    var scan = try store.offlineTable("readings").newScan()
    let files = try scan.planFiles().tasks.map(\.dataFile.path)
    #expect(files.count == 6)
    scan.filter = .comparison("sensor", .equal, .string("s4"))
    #expect(
      try scan.planFiles().tasks.count { try scan.batches($0).skippedRowGroupCount == 1 } == 3)
    // Only what may have the key, or is new enough, is opened: the others may as well be gone.
    func remove(_ isGone: (HistoryRecord) -> Bool) throws -> [String] {
      var request = HistoryRequest(group: "readings", fields: ["sensor": "a"])
      request.includesUnflushed = false
      let paths = try store.history(request).filter(isGone).compactMap(\.file)
      for path in paths {
        try FileManager.default.removeItem(atPath: path.replacing("file://", with: ""))
      }
      return paths
    }
    #expect(
      try store.history(HistoryRequest(group: "readings", fields: ["sensor": "a"])).count == 6)
    let old = try FeatureStore.moment("2026-01-04T00:00:00Z")
    #expect(try remove { $0.eventTime < old }.count == 3)
    var request = HistoryRequest(group: "readings", fields: ["sensor": "a"])
    #expect(throws: FeatureStoreError.self) { try store.history(request) }
    request.last = 2
    #expect(try store.history(request).count == 2)
    request.last = nil
    request.eventTimes = old ... .max
    #expect(try store.history(request).count == 3)
    let then = try store.get(
      "readings", fields: ["sensor": "a"], at: old + 1, visibility: .event)
    #expect(then[0].value == .long(1))
    try store.close()
  }

  @Test func aViewIsAskedInItsOwnOrder() throws {
    let fixture = try StoreFixture(options: RandomHistory.options)
    let clock = TickingClock(RandomHistory.start)
    let store = try FeatureStore.open(
      at: fixture.directory, options: RandomHistory.options, clock: clock)
    for name in ["one", "two"] {
      try store.createGroup(StoreFixture.group(name))
      for value in 1...2 {
        clock.advance(1_000_000)
        try store.put(
          name,
          fields: [
            "sensor": "a", "at": "2026-01-01T00:00:00Z", "value": "\(value)", "note": name,
          ])
        if name == "one" { try store.flush() }
      }
    }
    try store.createView(
      FeatureView(
        name: "both",
        features: store.featureReferences(["two:note", "one:value=first", "two:value"])))
    let now = try store.getFeatures(
      "both", fields: ["sensor": "a"], at: clock.nowMicroseconds())
    #expect(now == (try store.getFeatures("both", fields: ["sensor": "a"])))
    #expect(now.map(\.value) == [.string("two"), .long(2), .long(2)])
    let before = try store.getFeatures(
      "both", fields: ["sensor": "a"], at: RandomHistory.start + 1_500_000)
    #expect(before.map(\.status) == [.neverWritten, .present, .neverWritten])
    #expect(before[1].value == .long(1))
    try store.close()
  }
}
