import Columnar
import FeatureModel
import FeatureStore
import Foundation
import Storage
import TestSupport
import Testing

/// Offline reads with what the log has not flushed: no lag and no double row, whatever is flushed and cleaned
/// meanwhile.
@Suite struct UnflushedTests {
  /// What a writer has acknowledged, and when to stop.
  private final class Progress: Sendable {
    let acknowledged = Lock<[Int64]>([])
    let isDone = Lock(false)
    let failure = Lock<String?>(nil)
  }

  private static var options: FeatureStore.Options {
    var options = RandomHistory.options
    options.logSegmentBytes = 16 << 10
    options.logMinimumBytes = 32 << 10
    // Other processes see what is on disk, so that must be what was acknowledged.
    options.isDurable = true
    return options
  }

  private static func run(
    _ progress: Progress, _ body: @escaping @Sendable () throws -> Void
  ) throws -> BackgroundThread {
    try BackgroundThread(name: "fstore-test") {
      do {
        while !progress.isDone.withLock({ $0 }) { try body() }
      } catch { progress.failure.withLock { $0 = "\(error)" } }
    }
  }

  @Test(arguments: [FeatureStore.Access.readWrite, .readOnly])
  func flushesMeanwhileNeitherHideNorDoubleRecords(access: FeatureStore.Access) throws {
    let fixture = try StoreFixture(options: Self.options)
    let store = try FeatureStore.open(at: fixture.directory, options: Self.options)
    try store.createGroup(StoreFixture.group())
    try store.createGroup(StoreFixture.group("other"))
    let reader =
      access == .readWrite
      ? store : try FeatureStore.open(at: fixture.directory, access: access, options: Self.options)
    let progress = Progress()
    let (readings, other) = (try store.online("readings"), try store.online("other"))
    let keys = try (0..<3).map { try readings.key("s\($0)") }
    let number = Lock(0)
    let writer = try Self.run(progress) {
      let next = number.withLock { number in
        number += 1
        return number
      }
      let lsn = try readings.put(keys[next % 3], eventTime: Int64(next)) { $0.set(0, next) }.lastLSN
      progress.acknowledged.withLock { $0.append(lsn) }
      // Others' records move the log on, so that it is cleaned.
      for filler in 0..<3 {
        try other.put(other.key("k\(filler)"), eventTime: Int64(next)) { row in
          row.set(1, String(repeating: "x", count: 300))
        }
      }
    }
    let flusher = try Self.run(progress) { try store.flush() }
    defer {
      progress.isDone.withLock { $0 = true }
      for thread in [writer, flusher] { thread.join() }
    }
    var withTail = 0
    let end = ContinuousClock.now + .seconds(6)
    while ContinuousClock.now < end, progress.failure.withLock({ $0 }) == nil {
      let before = progress.acknowledged.withLock { $0 }
      var request = LatestRequest(group: "readings")
      request.includesUnflushed = true
      let latest = try reader.latest(request)
      withTail += latest.unflushedRecordCount > 0 ? 1 : 0
      #expect(Int(latest.recordCount) >= before.count)
      // Of each three records in a row the last one is each key's newest.
      var values: [Int64] = []
      while let batch = try latest.next() {
        let column = try #require(batch.column(named: "value"))
        for row in 0..<batch.rowCount { values.append(column.values(as: Int64.self)[row]) }
      }
      let newest = values.max() ?? 0
      #expect(
        values.sorted() == Array(max(1, newest - 2)...max(1, newest)).filter { _ in newest > 0 })
      #expect(Int(latest.recordCount) == Int(newest), "every record once")
      // One key's history: all that was acknowledged before, each once.
      let history = try reader.history(HistoryRequest(group: "readings", fields: ["sensor": "s1"]))
      let lsns = history.map(\.lsn).sorted()
      #expect(Set(lsns).count == lsns.count)
      let known = progress.acknowledged.withLock { $0 }.enumerated().filter { $0.offset % 3 == 0 }
        .map(\.element)
      #expect(known.starts(with: lsns) || lsns.dropLast().elementsEqual(known))
      #expect(lsns.count >= (before.count + 2) / 3)
    }
    progress.isDone.withLock { $0 = true }
    for thread in [writer, flusher] { thread.join() }
    #expect(progress.failure.withLock { $0 } == nil)
    #expect(withTail > 0)
    #expect(try store.statistics().activity.cleanedSegmentCount > 0)
    if access != .readWrite { try reader.close() }
    try store.close()
  }

  @Test func aStoreOpenedForItsTablesOnlyHasNoLog() throws {
    let history = try RandomHistory(seed: 1)
    try history.write(5)
    try history.store.close()
    let store = try FeatureStore.open(
      at: history.fixture.directory, access: .offline, options: RandomHistory.options)
    var request = LatestRequest(group: "readings")
    #expect(try store.latest(request).rowCount == 0)
    request.includesUnflushed = true
    let error = #expect(throws: FeatureStoreError.self) { try store.latest(request) }
    #expect(error?.code == .readOnly)
  }

  /// The records of a rarely written group are found behind those of others that were flushed and cleaned.
  @Test func aQuietGroupHasItsTailBehindWhatWasCleaned() throws {
    let fixture = try StoreFixture(options: Self.options)
    let store = try FeatureStore.open(at: fixture.directory, options: Self.options)
    for name in ["readings", "other"] { try store.createGroup(StoreFixture.group(name)) }
    let readings = try store.online("readings")
    try readings.put(readings.key("a"), eventTime: 1) { $0.set(0, 1) }
    try store.flush()
    let other = try store.online("other")
    for number in 0..<600 {
      try other.put(other.key("k"), eventTime: Int64(number)) { row in
        row.set(1, String(repeating: "x", count: 300))
      }
      if number % 200 == 199 { try store.flush() }
    }
    #expect(try store.statistics().activity.cleanedSegmentCount > 0)
    try readings.put(readings.key("b"), eventTime: 2) { $0.set(0, 2) }
    var request = LatestRequest(group: "readings")
    request.includesUnflushed = true
    let latest = try store.latest(request)
    #expect(latest.rowCount == 2 && latest.unflushedRecordCount == 1)
    // Also without what says up to where all was flushed.
    try FileManager.default.removeItem(atPath: fixture.directory + "/jobs/offline-position")
    #expect(try store.latest(request).rowCount == 2)
    try store.close()
  }
}
