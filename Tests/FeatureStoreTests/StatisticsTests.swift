import FeatureModel
import FeatureStore
import Foundation
import JSON
import Storage
import TestSupport
import Testing

@Suite struct StatisticsTests {
  private func put(_ store: FeatureStore, _ group: String, _ count: Int) throws {
    for number in 0..<count {
      try store.put(group, fields: ["sensor": "s\(number)", "at": "2026-01-01T00:00:00Z"])
    }
  }

  private func store(_ fixture: StoreFixture, clock: TickingClock) throws -> FeatureStore {
    var options = FeatureStore.Options()
    options.flushesAutomatically = false
    let store = try FeatureStore.open(at: fixture.directory, options: options, clock: clock)
    for name in ["busy", "idle"] { try store.createGroup(StoreFixture.group(name)) }
    return store
  }

  @Test func everyFigureIsInJSONAndInOpenMetrics() throws {
    let fixture = try StoreFixture()
    let store = try store(fixture, clock: TickingClock(1_767_225_600_000_000))
    try put(store, "busy", 3)
    try store.flush()
    let statistics = try store.statistics()
    let metrics = Set(statistics.openMetrics.split(separator: "\n").map(String.init))
    func check(_ subject: Any, _ figures: [Figure], _ json: JSONValue?, others: Set<String>) {
      let properties = Set(Mirror(reflecting: subject).children.compactMap(\.label))
      #expect(properties.count > 5)
      #expect(properties == Set(figures.map(\.property)).union(others))
      for figure in figures {
        #expect(json?[figure.jsonName] != nil, "\(figure.jsonName)")
        let types = ["gauge", "counter", "summary"]
        let isThere = types.contains { type in
          metrics.contains("# TYPE fstore_\(figure.metric) \(type)")
            || metrics.contains("# TYPE fstore_\(figure.metric)_seconds \(type)")
        }
        #expect(isThere, "\(figure.metric)")
      }
    }
    let json = statistics.json
    check(statistics, statistics.figures, json, others: ["groups", "activity"])
    check(
      statistics.groups[0], statistics.groups[0].figures, json["groups"]?.arrayValue?[0],
      others: ["name"])
    check(statistics.activity, statistics.activity.figures, json["activity"], others: [])
    // Every name stands for one thing.
    let figures =
      statistics.figures + statistics.groups[0].figures + statistics.activity.figures
    #expect(Set(figures.map(\.metric)).count == figures.count)
    #expect(json["activity"]?["commit_nanoseconds"]?["count"]?.int64Value == 3)
    for name in ["p50", "p99", "p999", "max", "sum"] {
      #expect(json["activity"]?["sync_nanoseconds"]?[name]?.int64Value ?? 0 > 0, "\(name)")
    }
    #expect(metrics.contains("# TYPE fstore_batch_size summary"))
    try store.close()
  }

  @Test func theLagIsThatOfEachTableAlone() throws {
    let clock = TickingClock(1_767_225_600_000_000)
    let fixture = try StoreFixture()
    let store = try store(fixture, clock: clock)
    func groups(_ store: FeatureStore) throws -> [StoreStatistics.Group] {
      try store.statistics().groups
    }
    try put(store, "busy", 10)
    clock.advance(30_000_000)
    try put(store, "busy", 5)
    clock.advance(12_000_000)
    var now = try groups(store)
    #expect(now.map(\.unflushedRecordCount) == [15, 0])
    #expect(now[0].lagSeconds > 41.9 && now[0].lagSeconds <= 42 && now[1].lagSeconds == 0)
    #expect(now.map(\.lastLSN) == [15, 0])
    // A reader in another process finds the same.
    let reader = try FeatureStore.open(at: fixture.directory, access: .readOnly, clock: clock)
    now = try groups(reader)
    #expect(now.map(\.unflushedRecordCount) == [15, 0] && now[0].lagSeconds > 41.9)
    try store.flush()
    #expect(try groups(store).map(\.unflushedRecordCount) == [0, 0])
    #expect(try groups(reader).map(\.unflushedRecordCount) == [0, 0])
    try put(store, "idle", 2)
    try put(store, "busy", 4)
    try reader.refresh()
    for some in [store, reader] {
      now = try groups(some)
      #expect(now.map(\.unflushedRecordCount) == [4, 2])
      #expect(now.map(\.lastLSN) == [21, 17] && now.map(\.offlineLSN) == [15, 0])
    }
    // Purges and copies are no records that a table lacks.
    try store.purge("busy", key: ["sensor": "s0"])
    try store.delete("idle", key: ["sensor": "s0"])
    #expect(try groups(store).map(\.unflushedRecordCount) == [4, 3])
    try store.flush()
    #expect(try groups(store).map(\.lagSeconds) == [0, 0])
    try reader.close()
    try store.close()
  }

  @Test func whatWasDoneIsCounted() throws {
    let clock = TickingClock(1_767_225_600_000_000)
    var options = FeatureStore.Options()
    options.flushesAutomatically = false
    options.logSegmentBytes = 64 << 10
    options.logMinimumBytes = 128 << 10
    let fixture = try StoreFixture(options: options)
    let store = try FeatureStore.open(at: fixture.directory, options: options, clock: clock)
    try store.createGroup(StoreFixture.group())
    for number in 0..<800 { try PressureTests.put(store, "s\(number % 20)", number) }
    #expect(try store.statistics().checkpointAgeSeconds == nil)
    try store.flush()
    for _ in 0..<200 { _ = try store.get("readings", fields: ["sensor": "s1"]) }
    clock.advance(7_000_000)
    let statistics = try store.statistics()
    let activity = statistics.activity
    #expect(activity.flushCount == 1 && activity.flushes.count == 1 && activity.flushes.p50 > 0)
    #expect(activity.flushedRecordCount == 800 && activity.flushedBytes > 0)
    #expect(activity.cleaningCount == 1 && activity.cleanedSegmentCount > 5)
    #expect(activity.cleanedBytes >= activity.cleanedSegmentCount * 65_536)
    #expect(activity.copiedRecordCount <= 20 && activity.checkpointCount >= 1)
    #expect(statistics.checkpointAgeSeconds == 7)
    // Some thousand bytes a record, and estimated.
    #expect(activity.readBytes > 200 * 500 && activity.readBytes < 400 * 2000)
    #expect(activity.writtenBytes > 800 * 1000 && activity.pageFaultCount > 0)
    #expect(activity.syncs.p999 >= activity.syncs.p50 && activity.syncs.sum > 0)
    #expect(statistics.mappedBytes >= statistics.logBytes && statistics.residentBytes > 0)
    #expect(statistics.residentBytes <= statistics.mappedBytes)
    #expect(statistics.logDiskBytes > statistics.logBytes && statistics.availableBytes > 0)
    #expect(statistics.durableLSN == statistics.lastLSN && statistics.firstLSN > 1)
    try store.close()
  }
}
