import Columnar
import FeatureModel
import FeatureStore
import Foundation
import Iceberg
import OnlineStore
import Storage
import TestSupport
import Testing

/// Online compared with offline, key by key and value by value.
@Suite struct ParityTests {
  private static func check(
    _ store: FeatureStore, memoryBytes: Int = 512 << 20
  ) throws -> ParityReport.Group {
    let report = try store.verifyParity(memoryBytes: memoryBytes)
    #expect(report.differences.isEmpty, "\(report.differences.prefix(3))")
    let group = try #require(report.groups.first)
    #expect(group.differingCount == 0 && group.changedCount == 0)
    #expect(group.equalCount + group.expiredCount >= group.keyCount - group.purgedCount)
    return group
  }

  /// Random histories with deletes, expiries, a ttl, purges, cleaning and records that come back: no difference, with
  /// all keys in memory at once and with few.
  @Test(arguments: 0..<12)
  func nothingDiffers(seed: UInt64) throws {
    let history = try RandomHistory(
      seed: seed, timeToLive: seed % 3 == 0 ? .microseconds(4000) : .infinite)
    let store = history.store
    var purgedKeys = 0
    for round in 0..<4 {
      for _ in 0..<40 { try history.write(1 + history.random.below(12), keyCount: 90) }
      if history.random.oneIn(2) { try history.flush() }
      for _ in 0..<history.random.below(3) {
        let number = history.random.below(90)
        let key = try history.group.key(
          .string(String(repeating: "1", count: 1 + number % 3)), .int(Int32(number / 3)))
        try history.group.purge([key])
        purgedKeys += 1
      }
      if history.random.oneIn(3) { _ = try store.materialize("readings") }
      let found = try Self.check(store)
      #expect(found.keyCount > 0 && found.equalCount > 0)
      let parts = try Self.check(store, memoryBytes: 1)
      #expect(parts.keyCount == found.keyCount && parts.equalCount == found.equalCount)
      #expect(parts.purgedCount == found.purgedCount && found.purgedCount <= purgedKeys)
      if round == 3 {
        let reader = try FeatureStore.open(
          at: history.fixture.directory, access: .readOnly, options: RandomHistory.options,
          clock: history.clock)
        _ = try Self.check(reader)
        try reader.close()
      }
    }
  }

  /// Keys that cleaning dropped, and records that it emptied, because they had expired.
  @Test func whatExpiredAndWasCleanedDoesNotDiffer() throws {
    var options = RandomHistory.options
    options.logSegmentBytes = 16 << 10
    options.logMinimumBytes = 16 << 10
    let fixture = try StoreFixture(options: options)
    let clock = TickingClock(RandomHistory.start)
    let store = try FeatureStore.open(at: fixture.directory, options: options, clock: clock)
    try store.createGroup(StoreFixture.group(timeToLive: .microseconds(1_000_000)))
    let group = try store.online("readings")
    func put(_ key: String, expiresAt: Int64? = nil) throws {
      clock.advance(1)
      let now = clock.nowMicroseconds()
      try group.put(group.key(key), eventTime: now, expiresAt: expiresAt) { row in
        row.set(1, String(repeating: "x", count: 200))
      }
    }
    for number in 0..<100 { try put("old\(number)") }
    clock.advance(2_000_000)
    for number in 0..<100 { try put("short\(number)", expiresAt: clock.nowMicroseconds() + 5) }
    clock.advance(100_000)
    for number in 0..<400 { try put("new\(number % 4)") }
    try store.flush()
    let activity = try store.statistics().activity
    #expect(activity.cleanedSegmentCount > 0)
    #expect(try store.get("readings", fields: ["sensor": "old1"])[0].status == .neverWritten)
    let found = try Self.check(store)
    #expect(found.keyCount == 204 && found.expiredCount > 0)
    #expect(found.equalCount + found.expiredCount == 204)
    try store.close()
  }

  // MARK: Planted differences

  private static func sample() throws -> (StoreFixture, FeatureStore) {
    let fixture = try StoreFixture(options: RandomHistory.options)
    let store = try FeatureStore.open(at: fixture.directory, options: RandomHistory.options)
    try store.createGroup(StoreFixture.group())
    for (sensor, second) in [("a", 1), ("a", 2), ("b", 3), ("c", 4), ("d", 4)] {
      try store.put(
        "readings",
        fields: [
          "sensor": sensor, "at": "2026-01-01T00:00:0\(second)Z", "value": "\(second)", "note": "n",
        ])
    }
    try store.flush()
    _ = try check(store)
    return (fixture, store)
  }

  /// Removes rows from the table, and puts some back changed.
  private static func alter(
    _ store: FeatureStore, lsn: Int64, _ change: (([String: Column]) -> [String: Column])? = nil
  ) throws {
    let table = try store.offlineTable("readings")
    var scan = table.newScan()
    scan.filter = .comparison("lsn", .equal, .long(lsn))
    var changed: [RecordBatch] = []
    for task in try scan.planFiles().tasks {
      let batches = try scan.batches(task)
      while let batch = try batches.next() {
        guard let change else { continue }
        let columns = change(
          Dictionary(uniqueKeysWithValues: zip(batch.schema.fields.map(\.name), batch.columns)))
        changed.append(
          RecordBatch(
            schema: batch.schema, columns: batch.schema.fields.map { columns[$0.name]! },
            rowCount: batch.rowCount))
      }
    }
    _ = try DeleteRows(table, where: scan.filter).execute()
    guard !changed.isEmpty else { return }
    let now = try store.offlineTable("readings")
    let writer = try DataFileWriter(now)
    for batch in changed { try writer.write(batch) }
    _ = try now.newAppend(writer.finish()).commit()
  }

  private static func longs(_ value: Int64, _ type: DataType = .int64) -> Column {
    Column(type: type, count: 1, nullCount: 0, buffers: [Buffer(copying: [value])])
  }

  private static func difference(_ store: FeatureStore) throws -> ParityReport.Difference {
    let report = try store.verifyParity(["readings"])
    #expect(report.differingCount == 1 && report.groups[0].equalCount == 3)
    return try #require(report.differences.first)
  }

  @Test func anOtherValueOfTheSameRecordIsFound() throws {
    let (fixture, store) = try Self.sample()
    try Self.alter(store, lsn: 3) { columns in
      var columns = columns
      columns["value"] = Self.longs(33)
      return columns
    }
    let found = try Self.difference(store)
    #expect(found.key == [.string("b")] && found.feature == "value" && found.newer == .neither)
    #expect(found.offline == .long(33) && found.online == .long(3))
    _ = fixture
  }

  @Test func aTableThatLacksTheNewestRecordIsFound() throws {
    let (fixture, store) = try Self.sample()
    try Self.alter(store, lsn: 2)
    let found = try Self.difference(store)
    #expect(found.key == [.string("a")] && found.feature == "value" && found.newer == .online)
    #expect(found.offline == .long(1) && found.online == .long(2))
    #expect(found.reason.contains("2026-01-01T00:00:02Z instead of 2026-01-01T00:00:01Z"))
    _ = fixture
  }

  @Test func aKeyThatTheTableLacksIsFound() throws {
    let (fixture, store) = try Self.sample()
    try Self.alter(store, lsn: 4)
    let report = try store.verifyParity()
    #expect(report.differingCount == 1 && report.groups[0].equalCount == 3)
    // One line for each feature.
    #expect(report.differences.map(\.feature) == ["value", "note"])
    #expect(report.differences.map(\.online) == [.long(4), .string("n")])
    #expect(report.differences.allSatisfy { $0.newer == .online && $0.offline == .null })
    _ = fixture
  }

  @Test func aTableThatHasNewerRecordsIsFound() throws {
    let (fixture, store) = try Self.sample()
    // By event time, and of one event time by LSN.
    for (lsn, time, change) in [
      (Int64(3), Int64(1_767_225_609_000_000), "event time 2026-01-01T00:00:09Z"),
      (2, nil, "lsn 5"),
    ] {
      try Self.alter(store, lsn: lsn) { columns in
        var columns = columns
        if let time { columns["at"] = Self.longs(time, .timestamp(isUTC: true)) }
        if time == nil { columns["lsn"] = Self.longs(5) }
        return columns
      }
      let report = try store.verifyParity()
      let found = try #require(report.differences.first { $0.reason.contains(change) })
      #expect(found.newer == .offline && found.feature == nil, "\(found)")
    }
    _ = fixture
  }

  @Test func aDeletionOnOneSideOnlyIsFound() throws {
    let (fixture, store) = try Self.sample()
    try Self.alter(store, lsn: 5) { columns in
      var columns = columns
      var flags = BooleanBuilder()
      flags.append(true)
      columns["is_deleted"] = flags.finish()
      return columns
    }
    let found = try Self.difference(store)
    #expect(found.key == [.string("d")] && found.reason.contains("deleted offline, not online"))
    _ = fixture
  }

  @Test func keysThatOnlineLacksAreFound() throws {
    let fixture = try StoreFixture(options: MaterializeTests.options)
    let before = try MaterializeTests.fill(fixture.directory)
    try MaterializeTests.loseLog(fixture.directory)
    let store = try FeatureStore.open(at: fixture.directory, options: MaterializeTests.options)
    let report = try store.verifyParity()
    let keyCount = before.count { $0.values[0].status != .neverWritten }
    #expect(report.groups[0].keyCount == keyCount && report.differingCount == keyCount)
    #expect(report.differences.count == ParityReport.listedDifferenceLimit)
    #expect(report.differences.allSatisfy { $0.newer == .offline && $0.online == .null })
    #expect(report.differences[0].reason.contains("materialize"))
    _ = try store.materialize("readings")
    #expect(try store.verifyParity().differingCount == 0)
    try store.close()
  }

  /// Keys of which the log may not say any more that they were purged: then it cannot be told from a loss.
  private struct Purged {
    /// Now.
    var now = Set<String>()
    /// At any moment since a check began.
    var meanwhile = Set<String>()
  }

  /// Writers, purges, flushes and cleaning meanwhile are no differences.
  @Test func whatChangesMeanwhileIsNoDifference() throws {
    var options = RandomHistory.options
    options.logSegmentBytes = 32 << 10
    let fixture = try StoreFixture(options: options)
    let store = try FeatureStore.open(at: fixture.directory, options: options)
    try store.createGroup(StoreFixture.group())
    let group = try store.online("readings")
    let keys = try (0..<200).map { try group.key("s\($0)") }
    let purged = Lock(Purged())
    let (isDone, failure) = (Lock(false), Lock<String?>(nil))
    let state = Lock((random: SeededGenerator(seed: 5), time: Int64(1)))
    let writer = try BackgroundThread(name: "fstore-test") {
      do {
        while !isDone.withLock({ $0 }) {
          let (key, kind, time) = state.withLock { state in
            state.time += 1
            return (state.random.below(200), state.random.below(40), state.time)
          }
          switch kind {
          case 0:
            purged.withLock { purged in
              purged.now.insert("s\(key)")
              purged.meanwhile.insert("s\(key)")
            }
            try group.purge([keys[key]])
            continue
          case 1: try store.flush()
          case 2: try group.delete([keys[key]], eventTime: time)
          default:
            try group.put(keys[key], eventTime: time - Int64(kind)) { row in
              row.set(0, Int(time))
              row.set(1, String(repeating: "x", count: kind))
            }
          }
          if kind > 1 { purged.withLock { _ = $0.now.remove("s\(key)") } }
        }
      } catch { failure.withLock { $0 = "\(error)" } }
    }
    let end = ContinuousClock.now + .seconds(6)
    var runs = 0
    while ContinuousClock.now < end, failure.withLock({ $0 }) == nil {
      purged.withLock { $0.meanwhile = $0.now }
      let differences = try store.verifyParity().differences.filter { difference in
        guard case .string(let key) = difference.key[0] else { return true }
        return !difference.reason.contains("purged before the log was cleaned")
          || !purged.withLock { $0.meanwhile.contains(key) }
      }
      #expect(differences.isEmpty, "\(differences.prefix(2))")
      runs += 1
    }
    isDone.withLock { $0 = true }
    writer.join()
    #expect(failure.withLock { $0 } == nil)
    #expect(runs > 1)
    #expect(try store.verifyParity().groups[0].equalCount > 100)
    try store.close()
  }
}
