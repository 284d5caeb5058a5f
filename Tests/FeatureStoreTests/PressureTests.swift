import FeatureModel
import FeatureStore
import Foundation
import Testing

/// A log that the offline tables cannot follow is bounded: writes are refused, the error says why, and they go
/// on by themselves.
@Suite struct PressureTests {
  static func options(_ change: (inout FeatureStore.Options) -> Void = { _ in })
    -> FeatureStore.Options
  {
    var options = FeatureStore.Options()
    options.logSegmentBytes = 64 << 10
    options.logMinimumBytes = 128 << 10
    options.logLimitBytes = 1 << 20
    options.flushesAutomatically = false
    options.flushIntervalSeconds = 3600
    change(&options)
    return options
  }

  static let note = String(repeating: "a long note ", count: 80)

  @discardableResult
  static func put(_ store: FeatureStore, _ sensor: String, _ number: Int) throws -> Int64 {
    try store.put(
      "readings",
      fields: [
        "sensor": sensor, "at": "2026-01-01T00:00:00.\(100_000 + number)Z", "value": "\(number)",
        "note": note,
      ]
    ).lastLSN
  }

  /// Puts records of twenty keys until one is refused.
  static func fill(_ store: FeatureStore) throws -> (count: Int, error: FeatureStoreError?) {
    for number in 0..<4000 {
      do { try put(store, "s\(number % 20)", number) } catch {
        return (number, error as? FeatureStoreError)
      }
    }
    return (4000, nil)
  }

  /// A file where the tables' directory should be, while `body` runs.
  static func withoutTables(_ directory: String, _ body: () throws -> Void) throws {
    let tables = directory + "/warehouse/features"
    try FileManager.default.moveItem(atPath: tables, toPath: directory + "-aside")
    _ = FileManager.default.createFile(atPath: tables, contents: nil)
    try body()
    try FileManager.default.removeItem(atPath: tables)
    try FileManager.default.moveItem(atPath: directory + "-aside", toPath: tables)
  }

  @Test func theErrorNamesTheTableThatHoldsTheLogUp() throws {
    let options = Self.options()
    let fixture = try StoreFixture(options: options)
    let store = try FeatureStore.open(at: fixture.directory, options: options)
    try store.createGroup(StoreFixture.group("idle"))
    try store.createGroup(StoreFixture.group())
    try store.put("idle", fields: ["sensor": "a", "at": "2026-01-01T00:00:00Z", "value": "1"])
    try store.flush()
    var count = 0
    try Self.withoutTables(fixture.directory) {
      #expect(throws: FeatureStoreError.self) {
        try Self.put(store, "s0", 0)
        try store.flush()
      }
      let filled = try Self.fill(store)
      count = filled.count + 1
      let error = try #require(filled.error)
      #expect(error.code == .full && count > 500, "\(error)")
      #expect(error.message.contains("its limit is \(1 << 20)"), "\(error)")
      #expect(error.message.contains("'readings' is farthest behind"), "\(error)")
      #expect(error.message.contains("by \(count) records"), "\(error)")
      #expect(error.message.contains("the last flush failed"), "\(error)")
      #expect(try Self.fill(store).count == 0)
      // Reads go on.
      let answer = try store.get("readings", fields: ["sensor": "s0"], features: ["note"])
      #expect(answer[0].value == .string(Self.note))
    }
    let statistics = try store.statistics()
    #expect(statistics.activity.refusedWriteCount >= 2 && statistics.logLimitBytes == 1 << 20)
    #expect(statistics.flushFailure != nil && statistics.activity.flushFailureCount == 1)
    #expect(statistics.groups.map(\.unflushedRecordCount) == [0, count])
    // A flush makes room.
    #expect(try store.flush().map(\.recordCount).reduce(0, +) == count)
    try Self.put(store, "s0", 4000)
    #expect(try store.statistics().logBytes < 512 << 10)
    try store.close()
  }

  @Test func closeToTheLimitTheFlusherIsWoken() throws {
    let options = Self.options { $0.flushesAutomatically = true }
    let fixture = try StoreFixture(options: options)
    let store = try FeatureStore.open(at: fixture.directory, options: options)
    try store.createGroup(StoreFixture.group())
    // The interval is an hour and the flush size 64 MiB.
    var last: Int64 = 0
    for number in 0..<850 { last = try Self.put(store, "s\(number % 20)", number) }
    #expect(try store.wait(forOffline: last - 200, timeoutSeconds: 60))
    // And who is refused all the same is not refused for long.
    var refusals = 0
    let deadline = Date(timeIntervalSinceNow: 120)
    var number = 850
    while number < 4000, Date() < deadline {
      do {
        try Self.put(store, "s\(number % 20)", number)
        number += 1
      } catch let error as FeatureStoreError where error.code == .full {
        refusals += 1
        usleep(10_000)
      }
    }
    #expect(number == 4000, "\(refusals) refusals")
    try store.close()
    let reader = try FeatureStore.open(at: fixture.directory, access: .offline)
    #expect(try StoreFixture.offlineRows(reader).count == 4000)
  }

  @Test func aLimitBelowTheLiveRecordsIsSaidToBeTooLow() throws {
    let options = Self.options()
    let fixture = try StoreFixture(options: options)
    let store = try FeatureStore.open(at: fixture.directory, options: options)
    try store.createGroup(StoreFixture.group())
    var error: FeatureStoreError?
    for number in 0..<2000 where error == nil {
      do { try Self.put(store, "a key of its own \(number)", number) } catch let failure {
        error = failure as? FeatureStoreError
      }
    }
    #expect(error?.code == .full)
    try store.flush()
    error = try Self.fill(store).error
    #expect(error?.message.contains("raise the limit") == true, "\(String(describing: error))")
    try store.close()
  }

  @Test func settingsAreKeptInTheStore() throws {
    let fixture = try StoreFixture()
    var store = try FeatureStore.open(at: fixture.directory)
    #expect(store.settings == StoreSettings())
    var statistics = try store.statistics()
    #expect(statistics.logLimitBytes == 16 << 30)
    #expect(statistics.reserveBytes == 128 << 20 && statistics.hasReserve)
    #expect(throws: FeatureStoreError.self) {
      try store.configure(StoreSettings(logLimitBytes: 1 << 20))
    }
    #expect(throws: FeatureStoreError.self) {
      try store.configure(StoreSettings(logReserveBytes: -1))
    }
    try store.configure(StoreSettings(logLimitBytes: 1 << 30, logReserveBytes: 0))
    #expect(try store.statistics().logLimitBytes == 1 << 30)
    try store.close()
    store = try FeatureStore.open(at: fixture.directory)
    statistics = try store.statistics()
    #expect(statistics.logLimitBytes == 1 << 30 && statistics.reserveBytes == 0)
    try store.configure(StoreSettings(logLimitBytes: 0))
    #expect(try store.statistics().logLimitBytes == nil)
    try store.close()
    // For one process options say otherwise.
    var options = FeatureStore.Options()
    options.logLimitBytes = 5 << 20
    store = try FeatureStore.open(at: fixture.directory, options: options)
    #expect(try store.statistics().logLimitBytes == 5 << 20 && store.settings.logLimitBytes == 0)
    try store.close()
  }
}
