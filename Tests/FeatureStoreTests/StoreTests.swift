import FeatureModel
import FeatureStore
import Foundation
import Iceberg
import Testing

@Suite struct StoreTests {
  @Test func aRecordIsOnlineAtOnceAndOfflineAfterAFlush() throws {
    let fixture = try StoreFixture()
    let store = try FeatureStore.open(at: fixture.directory)
    try store.createGroup(StoreFixture.group())
    let receipt = try store.put(
      "readings",
      fields: ["sensor": "a", "at": "2026-01-01T00:00:00Z", "value": "7", "note": "naïve"])
    let answers = try store.get("readings", fields: ["sensor": "a"])
    #expect(answers.map(\.value) == [.long(7), .string("naïve")])
    #expect(answers[0].lsn == receipt.lastLSN && answers[0].eventTime == 1_767_225_600_000_000)
    #expect(try StoreFixture.offlineRows(store).isEmpty)
    let reports = try store.flush()
    #expect(reports.map(\.recordCount) == [1])
    #expect(try StoreFixture.offlineRows(store).map(\.lsn) == [receipt.lastLSN])
    #expect(try store.flush().isEmpty)
    try store.close()
  }

  @Test func theNewestEventTimeWinsOnlineAndEveryRecordIsOffline() throws {
    let fixture = try StoreFixture()
    let store = try FeatureStore.open(at: fixture.directory)
    try store.createGroup(StoreFixture.group())
    for (time, value) in [("02", "2"), ("01", "1"), ("02", "3")] {
      try store.put(
        "readings", fields: ["sensor": "a", "at": "2026-01-\(time)T00:00:00Z", "value": value])
    }
    // The later of two with an equal event time is a correction.
    #expect(
      try store.get("readings", fields: ["sensor": "a"], features: ["value"])[0].value == .long(3))
    _ = try store.flush()
    #expect(try StoreFixture.offlineRows(store).count == 3)
    try store.close()
  }

  @Test func aValueThatIsNotThereSaysWhy() throws {
    let fixture = try StoreFixture()
    let store = try FeatureStore.open(at: fixture.directory)
    try store.createGroup(StoreFixture.group(timeToLive: .microseconds(3_600_000_000)))
    func status(_ sensor: String) throws -> FeatureAnswer.Status {
      try store.get("readings", fields: ["sensor": sensor], features: ["value"])[0].status
    }
    let now = ISO8601DateFormatter().string(from: Date())
    try store.put("readings", fields: ["sensor": "fresh", "at": now, "value": "1"])
    try store.put("readings", fields: ["sensor": "null", "at": now])
    try store.put(
      "readings", fields: ["sensor": "old", "at": "2020-01-01T00:00:00Z", "value": "1"])
    try store.put(
      "readings", fields: ["sensor": "gone", "at": "2026-01-01T00:00:00Z", "value": "1"])
    try store.delete("readings", key: ["sensor": "gone"])
    #expect(try status("fresh") == .present)
    #expect(try status("null") == .null)
    #expect(try status("old") == .expired)
    #expect(try status("gone") == .deleted)
    #expect(try status("other") == .neverWritten)
    try store.close()
  }

  @Test func aPurgedKeyIsGoneOnlineAndKeptOffline() throws {
    let fixture = try StoreFixture()
    var store = try FeatureStore.open(at: fixture.directory)
    try store.createGroup(StoreFixture.group())
    for sensor in ["a", "b"] {
      try store.put(
        "readings", fields: ["sensor": sensor, "at": "2026-01-01T00:00:00Z", "value": "7"])
    }
    try store.purge("readings", key: ["sensor": "a"])
    try store.flush()
    try store.close()
    store = try FeatureStore.open(at: fixture.directory)
    #expect(try store.get("readings", fields: ["sensor": "a"])[0].status == .neverWritten)
    #expect(
      try store.get("readings", fields: ["sensor": "b"], features: ["value"])[0].value == .long(7))
    let rows = try StoreFixture.offlineRows(store)
    #expect(rows.map(\.sensor).sorted() == ["a", "b"] && rows.allSatisfy { !$0.isDeleted })
    // An older event may come after it.
    try store.put(
      "readings", fields: ["sensor": "a", "at": "2020-01-01T00:00:00Z", "value": "1"])
    #expect(
      try store.get("readings", fields: ["sensor": "a"], features: ["value"])[0].value == .long(1))
    try store.close()
  }

  @Test func aLostOnlineStoreIsMaterializedFromTheOfflineTable() throws {
    let fixture = try StoreFixture()
    var options = FeatureStore.Options()
    options.flushesAutomatically = false
    let store = try FeatureStore.open(at: fixture.directory, options: options)
    try store.createGroup(StoreFixture.group())
    func put(_ sensor: String, _ day: String, _ value: String) throws -> Int64 {
      try store.put(
        "readings",
        fields: ["sensor": sensor, "at": "2026-01-\(day)T00:00:00Z", "value": value, "note": "n"]
      ).lastLSN
    }
    _ = try put("a", "01", "1")
    let corrected = try put("a", "02", "2")
    _ = try put("a", "01", "3")
    _ = try put("b", "01", "4")
    try store.delete("readings", key: ["sensor": "b"], eventTime: "2026-01-05T00:00:00Z")
    _ = try put("c", "01", "5")
    try store.flush()
    let newest = try put("c", "07", "6")
    let nothing = try store.materialize("readings")
    #expect(nothing.broughtCount == 0 && nothing.keyCount == 3 && nothing.rowCount == 6)

    // Purging stands for the loss.
    for sensor in ["a", "b", "c"] { try store.purge("readings", key: ["sensor": sensor]) }
    #expect(try store.get("readings", fields: ["sensor": "a"])[0].status == .neverWritten)
    let report = try store.materialize("readings")
    #expect(report.broughtCount == 3)
    let answer = try store.get("readings", fields: ["sensor": "a"])
    #expect(answer.map(\.value) == [.long(2), .string("n")] && answer[0].lsn == corrected)
    #expect(try store.get("readings", fields: ["sensor": "b"])[0].status == .deleted)
    #expect(try store.get("readings", fields: ["sensor": "c"])[0].value == .long(5))
    #expect(try store.materialize("readings").broughtCount == 0)
    // Nothing lands a second time; what was not flushed yet still lands, and is materialized then.
    #expect(try store.flush().map(\.recordCount) == [1])
    #expect(try StoreFixture.offlineRows(store).count == 7)
    #expect(try store.materialize("readings").broughtCount == 1)
    let last = try store.get("readings", fields: ["sensor": "c"])
    #expect(last[0].value == .long(6) && last[0].lsn == newest)
    try store.close()
    let again = try FeatureStore.open(at: fixture.directory, options: options)
    #expect(try again.get("readings", fields: ["sensor": "a"])[0].lsn == corrected)
    try again.close()
  }

  @Test func verifyNamesEveryDamage() throws {
    let fixture = try StoreFixture()
    let store = try FeatureStore.open(at: fixture.directory)
    try store.createGroup(StoreFixture.group())
    for sensor in ["a", "b", "c"] {
      try store.put(
        "readings", fields: ["sensor": sensor, "at": "2026-01-01T00:00:00Z", "value": "7"])
      try store.flush()
    }
    let whole = try store.verify()
    #expect(whole.damages.isEmpty && whole.fileCount == 3 && whole.logRecordCount == 3)
    let paths = try store.dataFiles("readings").map {
      $0.path.replacingOccurrences(of: "file://", with: "")
    }
    try FileManager.default.removeItem(atPath: paths[0])
    let bytes = try Data(contentsOf: URL(filePath: paths[1]))
    try bytes.prefix(bytes.count - 1).write(to: URL(filePath: paths[1]))
    try store.close()

    // And one flipped bit in the log's first record: the value's.
    let log = fixture.directory + "/log/00000001.log"
    var segment = try Data(contentsOf: URL(filePath: log))
    segment[4096 + 32 + 16 + 48] ^= 1
    let reader = try FeatureStore.open(at: fixture.directory, access: .readOnly)
    try segment.write(to: URL(filePath: log + ".new"))
    let damaged = try reader.verify()
    #expect(damaged.damages.count == 2 && damaged.fileCount == 1)
    #expect(damaged.damages.contains { $0.contains(paths[0]) })
    #expect(damaged.damages.contains { $0.contains(paths[1]) && $0.contains("bytes") })
    try FileManager.default.removeItem(atPath: log)
    try FileManager.default.moveItem(atPath: log + ".new", toPath: log)
    do {
      _ = try FeatureStore.open(at: fixture.directory)
      Issue.record("opened a damaged log")
    } catch { #expect(error.code == .corrupt && error.message.contains("00000001.log")) }
  }

  @Test func statisticsAreOpenMetrics() throws {
    let fixture = try StoreFixture()
    let store = try FeatureStore.open(at: fixture.directory)
    try store.createGroup(StoreFixture.group())
    for sensor in ["a", "b", "c"] {
      try store.put("readings", fields: ["sensor": sensor, "at": "2026-01-01T00:00:00Z"])
    }
    try store.flush()
    let statistics = try store.statistics()
    #expect(statistics.activity.commitCount == 3 && statistics.activity.commits.p50 > 0)
    let lines = statistics.openMetrics.split(separator: "\n").map(String.init)
    #expect(lines.last == "# EOF")
    #expect(lines.contains("fstore_online_keys{group=\"readings\"} 3"))
    #expect(lines.contains("fstore_unflushed_records{group=\"readings\"} 0"))
    #expect(lines.contains("fstore_written_records_total 3"))
    #expect(lines.contains("fstore_commit_duration_seconds_count 3"))
    // Every sample follows its own metric's type.
    var family = ""
    for line in lines.dropLast() {
      let words = line.split(separator: " ").map(String.init)
      if words[0] == "#" {
        if words[1] == "TYPE" { family = words[2] }
        #expect(words[2] == family)
      } else {
        #expect(words[0].hasPrefix(family) && Double(words[words.count - 1]) != nil, "\(line)")
      }
    }
    try store.close()
  }

  @Test func aSecondWriterIsRefusedAndAReaderIsNot() throws {
    let fixture = try StoreFixture()
    let store = try FeatureStore.open(at: fixture.directory)
    try store.createGroup(StoreFixture.group())
    try store.put("readings", fields: ["sensor": "a", "at": "2026-01-01T00:00:00Z", "value": "7"])
    do {
      _ = try FeatureStore.open(at: fixture.directory)
      Issue.record("opened twice")
    } catch { #expect(error.code == .locked) }
    let reader = try FeatureStore.open(at: fixture.directory, access: .readOnly)
    #expect(
      try reader.get("readings", fields: ["sensor": "a"], features: ["value"])[0].value == .long(7))
    try store.put("readings", fields: ["sensor": "b", "at": "2026-01-01T00:00:00Z", "value": "8"])
    try reader.refresh()
    #expect(
      try reader.get("readings", fields: ["sensor": "b"], features: ["value"])[0].value == .long(8))
    do {
      try reader.put("readings", fields: ["sensor": "a", "at": "2026-01-01T00:00:00Z"])
      Issue.record("a reader wrote")
    } catch { #expect(error.code == .readOnly) }
    try reader.close()
    try store.close()
  }

  @Test func addedFeaturesAreNullForOlderRecordsOnlineAndOffline() throws {
    let fixture = try StoreFixture()
    let store = try FeatureStore.open(at: fixture.directory)
    try store.createGroup(StoreFixture.group())
    try store.put(
      "readings", fields: ["sensor": "old", "at": "2026-01-01T00:00:00Z", "value": "1"])
    _ = try store.flush()
    try store.addFeatures([Feature("extra", .double)], to: "readings")
    try store.put(
      "readings", fields: ["sensor": "new", "at": "2026-01-01T00:00:00Z", "extra": "2.5"])
    _ = try store.flush()
    #expect(
      try store.get("readings", fields: ["sensor": "old"], features: ["extra"])[0].status == .null)
    #expect(
      try store.get("readings", fields: ["sensor": "new"], features: ["extra"])[0].value
        == .double(2.5))
    #expect(try StoreFixture.offlineRows(store).count == 2)
    try store.close()
  }

  @Test func partitionedTablesHoldEveryRecordOnce() throws {
    let fixture = try StoreFixture()
    let store = try FeatureStore.open(at: fixture.directory)
    try store.createGroup(StoreFixture.group(partitioning: .day))
    for day in 1...9 {
      try store.put(
        "readings", fields: ["sensor": "s\(day)", "at": "2026-01-0\(day)T12:00:00Z", "value": "1"])
    }
    #expect(try store.flush().map(\.fileCount) == [9])
    #expect(try Set(StoreFixture.offlineRows(store).map(\.sensor)).count == 9)
    try store.close()
  }

  @Test func refusedRecordsAreNotWritten() throws {
    let fixture = try StoreFixture()
    let store = try FeatureStore.open(at: fixture.directory)
    try store.createGroup(StoreFixture.group())
    let wrong: [([String: String], FeatureStoreError.Code)] = [
      (["at": "2026-01-01T00:00:00Z", "value": "1"], .invalidInput),
      (["sensor": "a", "value": "1"], .invalidInput),
      (["sensor": "a", "at": "yesterday"], .invalidInput),
      (["sensor": "a", "at": "2026-01-01T00:00:00Z", "value": "seven"], .invalidInput),
      (["sensor": "a", "at": "2026-01-01T00:00:00Z", "valeu": "7"], .notFound),
    ]
    for (fields, code) in wrong {
      do {
        try store.put("readings", fields: fields)
        Issue.record("accepted \(fields)")
      } catch { #expect(error.code == code, "\(fields): \(error)") }
    }
    #expect(try store.get("readings", fields: ["sensor": "a"])[0].status == .neverWritten)
    #expect(try store.flush().isEmpty)
    try store.close()
  }

  @Test func aDirectoryThatIsNoStoreIsRefused() throws {
    let path = FileManager.default.temporaryDirectory.path
    do {
      _ = try FeatureStore.open(at: path)
      Issue.record("opened")
    } catch { #expect(error.code == .notAStore) }
    do {
      try FeatureStore.create(at: path)
      Issue.record("created in a directory that is not empty")
    } catch { #expect(error.code == .alreadyExists) }
  }
}
