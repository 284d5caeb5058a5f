import Columnar
import FeatureModel
import FeatureStore
import Foundation
import Storage
import TestSupport
import Testing

/// store.json and catalog.db with every byte damaged, and definitions that change beside readers.
@Suite struct DefinitionsTests {
  private struct Definitions: Equatable {
    var storeID: String
    var groups: [FeatureGroup]
    var views: [FeatureView]

    init(_ store: FeatureStore) {
      (storeID, groups, views) = (store.storeID, store.groups, store.views)
    }
  }

  private func fixture() throws -> StoreFixture {
    let (fixture, store) = try BackupTests.store()
    try store.createGroup(
      StoreFixture.group("brief", timeToLive: .microseconds(3_600_000_000), partitioning: .day))
    try store.createView(
      FeatureView(
        name: "both",
        features: [
          FeatureReference(group: "readings", feature: "value"),
          FeatureReference(group: "brief", feature: "note", outputName: "n"),
        ]))
    try store.close()
    return fixture
  }

  @Test func everyChangedByteOfTheDefinitionsIsFoundOrHarmless() throws {
    let fixture = try fixture()
    let file = URL(filePath: fixture.directory + "/store.json")
    let whole = try [UInt8](Data(contentsOf: file))
    let expected = Definitions(try FeatureStore.open(at: fixture.directory, access: .offline))
    var found = 0
    for index in whole.indices {
      for change in [1, 4, 0x20, 0x80] as [UInt8] {
        var bytes = whole
        bytes[index] ^= change
        try Data(bytes).write(to: file)
        do {
          let store = try FeatureStore.open(at: fixture.directory, access: .offline)
          #expect(Definitions(store) == expected, "byte \(index) of \(whole.count)")
        } catch {
          #expect(error.code == .corrupt || error.code == .notAStore, "\(index): \(error)")
          found += 1
        }
      }
    }
    #expect(found > whole.count * 4 - 100)
    for end in stride(from: 0, to: whole.count, by: 7) {
      try Data(whole[..<end]).write(to: file)
      #expect(throws: FeatureStoreError.self) {
        try FeatureStore.open(at: fixture.directory, access: .offline)
      }
    }
  }

  @Test func definitionsWithoutAChecksumAreThoseOfAnOlderVersion() throws {
    let fixture = try fixture()
    let file = URL(filePath: fixture.directory + "/store.json")
    let expected = Definitions(try FeatureStore.open(at: fixture.directory, access: .offline))
    let text = try String(contentsOf: file, encoding: .utf8)
    let member = try #require(text.range(of: ",\n  \"checksum\": "))
    try (text[..<member.lowerBound] + "\n}").write(to: file, atomically: false, encoding: .utf8)
    let store = try BackupTests.open(fixture.directory)
    #expect(Definitions(store) == expected)
    // The next change writes one.
    try store.addFeatures([Feature("more", .int)], to: "readings")
    try store.close()
    #expect(try String(contentsOf: file, encoding: .utf8).contains("\"checksum\": "))
  }

  /// SQLite has no checksums of its own; what it says of a table is only where its metadata is.
  @Test func everyChangedByteOfTheCatalogIsFoundOrHarmless() throws {
    // A store that is gone has let go of its catalog.
    func sample() throws -> (StoreFixture, [Int64]) {
      let (fixture, store) = try BackupTests.store(logMinimumBytes: 64 << 20)
      for round in 0..<3 {
        try FlushedPositionsTests.put(store, 4, "\(round)")
        try store.flush()
      }
      try store.close()
      return (fixture, try StoreFixture.offlineRows(store).map(\.lsn).sorted())
    }
    let (fixture, expected) = try sample()
    let file = URL(filePath: fixture.directory + "/warehouse/catalog.db")
    let whole = try [UInt8](Data(contentsOf: file))
    let step = setting("FSTORE_DAMAGE_STEP", 7)
    var (found, harmless) = (0, 0)
    // Zeros are mostly free space; some of them are enough.
    func isHarmless(_ index: Int) throws -> Bool {
      let store = try FeatureStore.open(at: fixture.directory, access: .readOnly)
      let rows = try StoreFixture.offlineRows(store).map(\.lsn).sorted()
      if rows == expected { return true }
      #expect(try !store.verify().damages.isEmpty, "byte \(index) of \(whole.count)")
      return false
    }
    for index in whole.indices where index % (whole[index] == 0 ? step * 29 : step) == 0 {
      var bytes = whole
      bytes[index] ^= 1 << UInt8(index % 8)
      try Data(bytes).write(to: file)
      do {
        if try isHarmless(index) { harmless += 1 } else { found += 1 }
      } catch { found += 1 }
      for suffix in ["-journal", "-wal", "-shm"] {
        try? FileManager.default.removeItem(atPath: file.path + suffix)
      }
    }
    #expect(found > 0 && harmless > 0, "\(found) found, \(harmless) harmless")
    try Data(whole).write(to: file)
    let again = try BackupTests.open(fixture.directory)
    #expect(try StoreFixture.offlineRows(again).map(\.lsn).sorted() == expected)
    try again.close()
  }

  // MARK: Definitions that change

  private func put(_ store: FeatureStore, _ sensor: String, _ more: [String: String]) throws {
    let fields = ["sensor": sensor, "at": "2026-01-01T00:00:00Z", "value": "7"]
    try store.put("readings", fields: fields.merging(more) { own, _ in own })
  }

  @Test func aReaderAnswersBeforeAndAfterItHearsOfNewFeatures() throws {
    let (fixture, store) = try BackupTests.store(isDurable: true)
    try put(store, "old", [:])
    let reader = try FeatureStore.open(at: fixture.directory, access: .readOnly)
    let offline = try FeatureStore.open(at: fixture.directory, access: .offline)
    // Eight more, so that the bitmap of nulls grows, and every slot moves.
    let added = (0..<8).map { Feature("f\($0)", .double) }
    try store.addFeatures(added, to: "readings")
    try put(store, "new", ["f7": "1.5", "note": "text"])
    #expect(try reader.get("readings", fields: ["sensor": "new"])[0].status == .neverWritten)
    try reader.refresh()
    let answers = try reader.get("readings", fields: ["sensor": "new"])
    #expect(answers.count == 10 && answers[0].value == .long(7) && answers[9].value == .double(1.5))
    #expect(try reader.get("readings", fields: ["sensor": "old"])[9].value == .null)
    try offline.refresh()
    #expect(try offline.group("readings").features.count == 10)
    #expect(offline.groups == store.groups)
    try store.close()
  }

  /// A reader that knows the records and not yet the definition: what `refresh` passes through.
  @Test func recordsOfALaterDefinitionAreReadAsFarAsItIsKnown() throws {
    let (fixture, store) = try BackupTests.store(isDurable: true)
    let definitions = URL(filePath: fixture.directory + "/store.json")
    let old = try Data(contentsOf: definitions)
    try store.addFeatures((0..<8).map { Feature("f\($0)", .string) }, to: "readings")
    try put(store, "new", ["f7": "x", "note": "text"])
    try put(store, "other", ["f0": "y"])
    try store.close()
    try old.write(to: definitions)
    let reader = try FeatureStore.open(at: fixture.directory, access: .readOnly)
    let answers = try reader.get("readings", fields: ["sensor": "new"])
    #expect(answers.map(\.value) == [.long(7), .string("text")])
    let keys = FlushedPositionsTests.keys(["new", "none", "other"])
    let batch = try reader.get("readings", keys: keys)
    let (numbers, notes) = (batch.features.columns[0], batch.features.columns[1])
    let values = numbers.values(as: Int64.self)
    #expect(values[0] == 7 && values[2] == 7 && numbers.isNull(1))
    #expect(notes.string(at: 0) == "text" && notes.isNull(2))
  }

  @Test func getsGoOnWhileFeaturesAreAddedAndPut() throws {
    let (fixture, store) = try BackupTests.store()
    try put(store, "a", ["note": "text"])
    let failures = Lock<[String]>([])
    let isDone = Lock(false)
    var threads: [BackgroundThread] = []
    for number in 0..<2 {
      threads.append(
        try BackgroundThread(name: "reader-\(number)") {
          while !isDone.withLock({ $0 }) {
            do {
              let answers = try store.get("readings", fields: ["sensor": "a"])
              if answers[0].value != .long(7) || answers[1].value != .string("text") {
                failures.withLock { $0.append("\(answers)") }
              }
            } catch { failures.withLock { $0.append("\(error)") } }
          }
        })
    }
    for number in 0..<40 {
      try store.addFeatures([Feature("f\(number)", .long)], to: "readings")
      for _ in 0..<5 { try put(store, "a", ["note": "text", "f\(number)": "\(number)"]) }
    }
    isDone.withLock { $0 = true }
    for thread in threads { thread.join() }
    #expect(failures.withLock { $0 }.isEmpty, "\(failures.withLock { $0.prefix(3) })")
    #expect(try store.flush().map(\.recordCount) == [201])
    try store.close()
    withExtendedLifetime(fixture) {}
  }

  // MARK: Stale and closed

  @Test func aReaderThatFellBehindGoesOn() throws {
    let (fixture, store) = try BackupTests.store(isDurable: true)
    try put(store, "a", [:])
    let reader = try FeatureStore.open(at: fixture.directory, access: .readOnly)
    // The same keys each time: most of the log is of no use.
    for _ in 0..<20 {
      try FlushedPositionsTests.put(store, 400, "s")
      try store.flush()
    }
    let statistics = try store.statistics()
    #expect(statistics.activity.cleanedBytes > statistics.logBytes)
    #expect(try reader.get("readings", fields: ["sensor": "s-399"])[0].status == .neverWritten)
    try reader.refresh()
    #expect(try reader.get("readings", fields: ["sensor": "s-399"])[0].status == .null)
    #expect(try reader.get("readings", fields: ["sensor": "a"])[0].value == .long(7))
    #expect(try reader.verify().damages.isEmpty)
    try put(store, "b", [:])
    try reader.refresh()
    #expect(try reader.get("readings", fields: ["sensor": "b"])[0].value == .long(7))
    try reader.close()
    try store.close()
  }

  @Test func aClosedStoreSaysSo() throws {
    let (fixture, store) = try BackupTests.store()
    try put(store, "a", [:])
    try store.close()
    do {
      try put(store, "b", [:])
      Issue.record("written to")
    } catch let error as FeatureStoreError { #expect(error.code == .closed, "\(error)") }
    #expect(try store.get("readings", fields: ["sensor": "a"])[0].value == .long(7))
    withExtendedLifetime(fixture) {}
  }
}
