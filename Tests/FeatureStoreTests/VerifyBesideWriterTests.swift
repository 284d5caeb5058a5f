import FeatureModel
import FeatureStore
import Foundation
import Storage
import TestSupport
import Testing

/// A check of a store that is in use finds nothing, for nothing is wrong.
@Suite struct VerifyBesideWriterTests {
  private static var options: FeatureStore.Options {
    var options = BackupTests.options
    options.logSegmentBytes = 16 << 10
    return options
  }

  /// What a service and its maintenance do, a little of each.
  private static func work(_ store: FeatureStore, _ generator: inout SeededGenerator) throws {
    for _ in 0..<8 {
      let sensor = "s\(generator.below(200))"
      switch generator.below(12) {
      case 0: try store.purge("readings", key: ["sensor": sensor])
      case 1: try store.delete("readings", key: ["sensor": sensor])
      case 2:
        // Expired, and so dropped by the next cleaning.
        try store.put("brief", fields: ["sensor": sensor, "at": "2020-01-01T00:00:00Z"])
      default:
        try store.put(
          "readings",
          fields: [
            "sensor": sensor, "at": "2026-01-01T00:00:\(10 + generator.below(50))Z",
            "value": "\(generator.below(1000))", "note": String(repeating: "n", count: 200),
          ])
      }
    }
    switch generator.below(8) {
    case 0...3: try store.flush()
    case 4: _ = try store.optimize("readings", options: ["min-input-files": "2"])
    case 5:
      var request = FeatureStore.VacuumRequest()
      request.maxSnapshotAgeMilliseconds = 0
      request.minSnapshotsToKeep = 1
      _ = try store.vacuum("readings", request: request)
    case 6: _ = try store.materialize("readings")
    default: break
    }
  }

  /// Runs `check` while a thread works with the store, for some seconds.
  private func check(
    _ store: FeatureStore, _ check: () throws -> VerifyReport
  ) throws -> Int {
    let isDone = Lock(false)
    let failure = Lock<String?>(nil)
    let thread = try BackgroundThread(name: "worker") {
      var generator = SeededGenerator(seed: 7)
      do {
        while !isDone.withLock({ $0 }) { try Self.work(store, &generator) }
      } catch { failure.withLock { $0 = "\(error)" } }
    }
    defer {
      isDone.withLock { $0 = true }
      thread.join()
    }
    let seconds = ProcessInfo.processInfo.environment["FSTORE_VERIFY_SECONDS"].flatMap(Double.init)
    let deadline = Date(timeIntervalSinceNow: seconds ?? 6)
    var checks = 0
    while Date() < deadline || checks < 3 {
      let report = try check()
      #expect(report.damages.isEmpty, "check \(checks): \(report.damages.prefix(5))")
      checks += 1
    }
    #expect(failure.withLock { $0 } == nil)
    return checks
  }

  private func store() throws -> (StoreFixture, FeatureStore) {
    let fixture = try StoreFixture(options: Self.options)
    let store = try FeatureStore.open(at: fixture.directory, options: Self.options)
    try store.createGroup(StoreFixture.group())
    try store.createGroup(StoreFixture.group("brief", timeToLive: .microseconds(1)))
    for number in 0..<400 {
      try store.put(
        "readings",
        fields: ["sensor": "s\(number % 200)", "at": "2026-01-01T00:00:00Z", "value": "\(number)"])
    }
    try store.flush()
    return (fixture, store)
  }

  @Test func aCheckInTheWritersProcessFindsNothing() throws {
    let (fixture, store) = try store()
    #expect(try check(store) { try store.verify() } >= 3)
    // It was cleaned meanwhile.
    #expect(try store.statistics().activity.cleanedBytes > 0)
    try store.close()
    withExtendedLifetime(fixture) {}
  }

  @Test func aCheckByAReaderFindsNothing() throws {
    let (fixture, store) = try store()
    let reader = try FeatureStore.open(
      at: fixture.directory, access: .readOnly, options: Self.options)
    #expect(try check(store) { try reader.verify() } >= 3)
    #expect(try store.statistics().activity.cleanedBytes > 0)
    // And one that opens it each time, as the command does.
    let count = try check(store) {
      let reader = try FeatureStore.open(
        at: fixture.directory, access: .readOnly, options: Self.options)
      return try reader.verify()
    }
    #expect(count >= 3)
    try store.close()
  }
}
