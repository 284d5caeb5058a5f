import FeatureModel
import FeatureStore
import Foundation
import Testing

/// Records land in the offline tables by themselves: by time, by size and on close.
@Suite struct FlushTests {
  private func store(
    _ fixture: StoreFixture, sizeBytes: Int = 64 << 20, intervalSeconds: Double = 3600
  ) throws -> FeatureStore {
    var options = FeatureStore.Options()
    options.flushSizeBytes = sizeBytes
    options.flushIntervalSeconds = intervalSeconds
    let store = try FeatureStore.open(at: fixture.directory, options: options)
    try store.createGroup(StoreFixture.group())
    return store
  }

  private func put(_ store: FeatureStore, _ sensor: String) throws -> Int64 {
    try store.put(
      "readings", fields: ["sensor": sensor, "at": "2026-01-01T00:00:00Z", "value": "1"]
    ).lastLSN
  }

  @Test func aFlushTakesWhatWasAcceptedButNotSyncedYet() throws {
    var options = FeatureStore.Options()
    options.isDurable = false
    options.flushesAutomatically = false
    let fixture = try StoreFixture(options: options)
    let store = try FeatureStore.open(at: fixture.directory, options: options)
    try store.createGroup(StoreFixture.group())
    try store.put(
      "readings", fields: ["sensor": "a", "at": "2026-01-01T00:00:00Z", "value": "1"])
    #expect(try store.flush().map(\.recordCount) == [1])
    try store.close()
  }

  @Test func timeBringsAFlush() throws {
    let fixture = try StoreFixture()
    let store = try store(fixture, intervalSeconds: 0.05)
    let lsn = try put(store, "a")
    #expect(try store.wait(forOffline: lsn, timeoutSeconds: 60))
    #expect(try StoreFixture.offlineRows(store).map(\.lsn) == [lsn])
    try store.close()
  }

  @Test func sizeBringsAFlushAndNothingElseDoes() throws {
    let fixture = try StoreFixture()
    let store = try store(fixture, sizeBytes: 4096)
    let first = try put(store, "a")
    #expect(try store.wait(forOffline: first, timeoutSeconds: 0.2) == false)
    #expect(try StoreFixture.offlineRows(store).isEmpty)
    var last = first
    for number in 0..<200 { last = try put(store, "a longer key, number \(number)") }
    #expect(try store.wait(forOffline: first, timeoutSeconds: 60))
    #expect(try StoreFixture.offlineRows(store).contains { $0.lsn == first })
    try store.close()
    let reader = try FeatureStore.open(at: fixture.directory, access: .offline)
    let lsns = try StoreFixture.offlineRows(reader).map(\.lsn)
    #expect(lsns.count == 201 && Set(lsns).count == 201 && lsns.max() == last)
  }

  @Test func closingFlushesUnlessToldOtherwise() throws {
    let fixture = try StoreFixture()
    let first = try store(fixture)
    _ = try put(first, "a")
    try first.close()
    try first.close()
    var options = FeatureStore.Options()
    options.flushesAutomatically = false
    let second = try FeatureStore.open(at: fixture.directory, options: options)
    #expect(try StoreFixture.offlineRows(second).count == 1)
    _ = try put(second, "b")
    try second.close()
    let reader = try FeatureStore.open(at: fixture.directory, access: .offline)
    #expect(try StoreFixture.offlineRows(reader).count == 1)
  }

  @Test func aFlushThatFailsIsReportedAndTriedAgain() throws {
    let fixture = try StoreFixture()
    let store = try store(fixture, intervalSeconds: 0.05)
    // A file where the table's directory should be.
    let tables = fixture.directory + "/warehouse/features"
    let aside = fixture.directory + "/aside"
    try FileManager.default.moveItem(atPath: tables, toPath: aside)
    _ = FileManager.default.createFile(atPath: tables, contents: nil)
    let lsn = try put(store, "a")
    do {
      _ = try store.wait(forOffline: lsn, timeoutSeconds: 60)
      Issue.record("flushed without a table")
    } catch { #expect(!error.message.isEmpty) }
    #expect(store.flushFailure != nil)
    // The record is online all the while.
    #expect(
      try store.get("readings", fields: ["sensor": "a"], features: ["value"])[0].value == .long(1))
    try FileManager.default.removeItem(atPath: tables)
    try FileManager.default.moveItem(atPath: aside, toPath: tables)
    let deadline = Date(timeIntervalSinceNow: 60)
    while try StoreFixture.offlineRows(store).isEmpty, Date() < deadline { usleep(10_000) }
    #expect(try StoreFixture.offlineRows(store).map(\.lsn) == [lsn])
    try store.close()
    #expect(store.flushFailure == nil)
  }

  @Test func theLogStaysSmallAndLosesNothing() throws {
    var options = FeatureStore.Options()
    options.logSegmentBytes = 64 << 10
    options.logMinimumBytes = 256 << 10
    let fixture = try StoreFixture(options: options)
    var store = try FeatureStore.open(at: fixture.directory, options: options)
    try store.createGroup(StoreFixture.group())
    let note = String(repeating: "a long note ", count: 40)
    for round in 0..<60 {
      for sensor in 0..<40 {
        try store.put(
          "readings",
          fields: [
            "sensor": "s\(sensor)", "at": "2026-01-01T00:00:\(round < 10 ? "0" : "")\(round)Z",
            "value": "\(round)", "note": note,
          ])
      }
      try store.flush()
      if round == 30 {
        try store.close()
        store = try FeatureStore.open(at: fixture.directory, options: options)
      }
    }
    #expect(store.cleaningFailure == nil)
    let statistics = try store.statistics()
    // 60 rounds of 40 records of 600 bytes are 1.4 MB.
    #expect(statistics.logBytes < 512 << 10)
    #expect(statistics.indexedKeyCount == 40)
    for sensor in 0..<40 {
      let answer = try store.get("readings", fields: ["sensor": "s\(sensor)"], features: ["value"])
      #expect(answer[0].value == .long(59))
    }
    let lsns = try StoreFixture.offlineRows(store).map(\.lsn)
    #expect(lsns.count == 2400 && Set(lsns).count == 2400)
    try store.close()
    let again = try FeatureStore.open(at: fixture.directory, options: options)
    #expect(
      try again.get("readings", fields: ["sensor": "s7"], features: ["value"])[0].value == .long(59)
    )
    #expect(try again.flush().isEmpty)
    _ = try again.verify()
    try again.close()
  }
}
