import FeatureModel
import FeatureStore
import Foundation
import JSON
import Testing

/// A disk without a free byte: reads go on, writes are refused, and maintenance works with what is kept in
/// reserve, until there is room to write again.
@Suite(.enabled(if: SmallDisk.isAllowed)) struct FullDiskTests {
  static var options: FeatureStore.Options {
    var options = FeatureStore.Options()
    options.logSegmentBytes = 1 << 20
    options.logMinimumBytes = 2 << 20
    options.flushSizeBytes = 1 << 20
    options.flushesAutomatically = false
    options.logReserveBytes = 10 << 20
    return options
  }

  private func open(_ disk: SmallDisk) throws -> FeatureStore {
    let directory = disk.path + "/store"
    if !FileManager.default.fileExists(atPath: directory) {
      // The reserve is a setting, so that commands keep it too.
      try FeatureStore.create(
        at: directory, options: Self.options,
        settings: StoreSettings(logReserveBytes: Self.options.logReserveBytes))
      let store = try FeatureStore.open(at: directory, options: Self.options)
      try store.createGroup(
        FeatureGroup(
          id: 0, name: "readings", recordIdentifiers: [Feature("sensor", .string)],
          eventTimeName: "at", features: [Feature("value", .long), Feature("note", .string)]))
      return store
    }
    return try FeatureStore.open(at: directory, options: Self.options)
  }

  private func put(_ store: FeatureStore, _ number: Int) throws {
    // Parquet makes it small, so a flush and a cleaning give space back.
    let note = String(repeating: "note \(number) ", count: 700)
    try store.put(
      "readings",
      fields: [
        "sensor": "s\(number % 50)", "at": "2026-01-01T00:00:00.\(100_000 + number)Z",
        "value": "\(number)", "note": note,
      ])
  }

  /// Puts records until one is refused; how many were not, and why.
  private func putUntilRefused(
    _ store: FeatureStore, from first: Int
  ) throws -> (count: Int, error: FeatureStoreError?) {
    for number in first..<first + 20_000 {
      do { try put(store, number) } catch {
        return (number - first, error as? FeatureStoreError)
      }
    }
    return (20_000, nil)
  }

  private func value(_ store: FeatureStore, _ number: Int) throws -> FeatureValue {
    try store.get("readings", fields: ["sensor": "s\(number % 50)"], features: ["value"])[0].value
  }

  @Test func maintenanceWorksWithNoByteFreeAndWritesResume() throws {
    let disk = try #require(try SmallDisk(megabytes: 48))
    let store = try open(disk)
    for number in 0..<2500 { try put(store, number) }
    #expect(try store.statistics().hasReserve)
    try disk.fillUp()
    let (more, error) = try putUntilRefused(store, from: 2500)
    let count = 2500 + more
    let refusal = try #require(error)
    #expect(refusal.code == .full && refusal.message.contains("full"), "\(refusal)")
    #expect(disk.freeBytes < 1 << 20)
    #expect(try value(store, count - 1) == .long(Int64(count - 1)))
    // Writing nothing changes nothing.
    #expect(try putUntilRefused(store, from: count).count == 0)
    // What others free is not for them to keep: they take it.
    try disk.takeRest()

    let flushed = try store.flush()
    #expect(flushed.map(\.recordCount).reduce(0, +) == count)
    #expect(store.cleaningFailure == nil)
    let statistics = try store.statistics()
    #expect(statistics.activity.cleanedSegmentCount > 0 && statistics.logBytes < 4 << 20)
    #expect(try store.vacuum("readings").isPartial == false)
    // With the filler still there.
    for number in count..<count + 200 { try put(store, number) }
    #expect(try value(store, count + 199) == .long(Int64(count + 199)))
    try store.flush()
    #expect(try store.verify().damages.isEmpty)
    try store.close()
    let reader = try FeatureStore.open(at: disk.path + "/store", access: .readOnly)
    let total = try reader.statistics()
    #expect(total.groups[0].offlineRecordCount == Int64(count + 200))
    #expect(total.groups[0].unflushedRecordCount == 0)
    try reader.close()
  }

  @Test func commandsWorkOnAFullDiskToo() throws {
    let disk = try #require(try SmallDisk(megabytes: 64))
    let fixture = try CommandFixture(store: disk.path + "/store")
    var store = try open(disk)
    for round in 0..<6 {
      for number in round * 100..<round * 100 + 100 { try put(store, number) }
      try store.flush()
    }
    try store.close()
    try disk.fillUp()
    let answer = try fixture.run("get", "readings", "sensor=s49", "--json")
    #expect(answer.status == 0, "\(answer.errors)")
    #expect(try answer.json().arrayValue?.first?["value"]?.int64Value == 599)
    let stats = try fixture.run("stats", "--json")
    #expect(stats.status == 0, "\(stats.errors)")
    #expect(try stats.json()["has_reserve"]?.boolValue == true)
    let optimized = try fixture.run("optimize", "readings", "--json")
    #expect(optimized.status == 0, "\(optimized.errors)")
    #expect(!FileManager.default.fileExists(atPath: disk.path + "/store/log/RESERVE"))
    #expect(try fixture.run("stats").output.contains("the reserve of"))
    try disk.free()
    store = try open(disk)
    #expect(try store.statistics().hasReserve)
    try store.close()
  }

  @Test func afterACrashAFullDiskIsRecoveredWithTheReserve() throws {
    let disk = try #require(try SmallDisk(megabytes: 32))
    do {
      let store = try open(disk)
      for number in 0..<300 { try put(store, number) }
      try disk.fillUp()
      // Let go of without closing, as a crash does.
    }
    let store = try open(disk)
    #expect(try value(store, 299) == .long(299))
    #expect(try store.flush().map(\.recordCount).reduce(0, +) == 300)
    try store.close()
  }
}
