import Columnar
import FeatureModel
import FeatureStore
import Foundation
import Testing

/// What a flush believes of `jobs/offline-position`: a wrong number there would make it pass over records, and
/// the next one would say that the table has them.
@Suite struct FlushedPositionsTests {
  static func hint(_ fixture: StoreFixture) -> URL {
    URL(filePath: fixture.directory + "/jobs/offline-position")
  }

  /// Puts records of keys that no other call names.
  static func put(_ store: FeatureStore, _ count: Int, _ name: String) throws {
    var sensors = BytesBuilder(.string)
    var times = FixedWidthBuilder(.timestamp(isUTC: true), zero: Int64(0))
    for number in 0..<count {
      sensors.append("\(name)-\(number)")
      times.append(1_767_225_600_000_000)
    }
    let columns = [sensors.finish(), times.finish()]
    let schema = Schema([Field("sensor", columns[0].type), Field("at", columns[1].type)])
    try store.put("readings", RecordBatch(schema: schema, columns: columns, rowCount: count))
  }

  static func keys(_ sensors: [String]) -> RecordBatch {
    var builder = BytesBuilder(.string)
    for sensor in sensors { builder.append(sensor) }
    let column = builder.finish()
    return RecordBatch(
      schema: Schema([Field("sensor", column.type)]), columns: [column], rowCount: sensors.count)
  }

  static func offlineCount(_ store: FeatureStore) throws -> Int64 {
    try store.statistics().groups.first { $0.name == "readings" }?.offlineRecordCount ?? -1
  }

  /// Flushes some records with the file as it is, then more with it changed.
  private func checkChanges(
    _ changes: (_ bytes: [UInt8]) -> [(index: Int, byte: UInt8)]
  ) throws {
    let (fixture, store) = try BackupTests.store()
    let file = Self.hint(fixture)
    try Self.put(store, 1000, "first")
    try store.flush()
    var total: Int64 = 1000
    // The file grows no longer: LSNs keep their four digits.
    for change in changes(try [UInt8](Data(contentsOf: file))) {
      var bytes = try [UInt8](Data(contentsOf: file))
      bytes[change.index] = change.byte
      try Data(bytes).write(to: file)
      try Self.put(store, 20, "\(change)")
      total += 20
      #expect(try store.flush().map(\.recordCount) == [20], "\(change)")
    }
    #expect(total > 3000 && total < 9900)
    #expect(try Self.offlineCount(store) == total)
    #expect(Set(try StoreFixture.offlineRows(store).map(\.lsn)).count == Int(total))
    try store.close()
  }

  @Test func withAnyByteChangedNoRecordIsPassedOver() throws {
    try checkChanges { bytes in bytes.indices.map { ($0, bytes[$0] ^ 1) } }
  }

  @Test func withAnyDigitOfAnLSNChangedNoRecordIsPassedOver() throws {
    try checkChanges { bytes in
      let digits = UInt8(ascii: "0")...UInt8(ascii: "9")
      var changes: [(Int, UInt8)] = []
      for start in bytes.indices where bytes[start...].starts(with: "\"lsn\":".utf8) {
        for index in bytes[start...].indices.dropFirst(6).prefix(4) {
          #expect(digits.contains(bytes[index]))
          // What it was, another one may be by then.
          changes += digits.map { (index, $0) }
        }
      }
      #expect(changes.count == 80)
      return changes + changes
    }
  }

  @Test func withoutTheFileOrWithAnOlderVersionsNoRecordIsPassedOver() throws {
    let (fixture, store) = try BackupTests.store()
    let file = Self.hint(fixture)
    try Self.put(store, 10, "first")
    try store.flush()
    try FileManager.default.removeItem(at: file)
    try Self.put(store, 10, "without")
    #expect(try store.flush().map(\.recordCount) == [10])
    try Data("\(store.storeID) 500".utf8).write(to: file)
    try Self.put(store, 1100, "older")
    #expect(try store.flush().map(\.recordCount) == [1100])
    try store.close()
  }

  /// A store whose catalog is put back to what it was before the second of two flushes.
  private func putBack(isCleaned: Bool) throws -> (StoreFixture, FeatureStore) {
    let minimum = isCleaned ? 0 : 64 << 20
    // A store that is gone has let go of its catalog.
    func first() throws -> StoreFixture {
      let (fixture, store) = try BackupTests.store(logMinimumBytes: minimum)
      try Self.put(store, 50, "first")
      try store.flush()
      try store.close()
      return fixture
    }
    func second(_ directory: String) throws {
      let store = try BackupTests.open(directory, logMinimumBytes: minimum)
      // The same keys each time: most of the log is of no use.
      for _ in 0..<30 { try Self.put(store, 200, "second") }
      try store.flush()
      #expect(try Self.offlineCount(store) == 6050)
      try store.close()
    }
    let fixture = try first()
    let catalog = fixture.directory + "/warehouse/catalog.db"
    let old = try Data(contentsOf: URL(filePath: catalog))
    try second(fixture.directory)
    try old.write(to: URL(filePath: catalog))
    return (fixture, try BackupTests.open(fixture.directory, logMinimumBytes: minimum))
  }

  @Test func aTableThatWasPutBackGetsItsRecordsAgain() throws {
    let (fixture, store) = try putBack(isCleaned: false)
    #expect(try Self.offlineCount(store) == 50)
    let damages = try store.verify().damages
    #expect(damages.count == 1 && damages[0].contains("put back"), "\(damages)")
    try Self.put(store, 7, "third")
    try store.flush()
    let lsns = try StoreFixture.offlineRows(store).map(\.lsn)
    #expect(lsns.count == 6057 && Set(lsns).count == 6057)
    #expect(try store.verify().damages.isEmpty)
    try store.close()
    withExtendedLifetime(fixture) {}
  }

  @Test func aTableThatWasPutBackFurtherThanTheLogReachesIsNotFilled() throws {
    let (fixture, store) = try putBack(isCleaned: true)
    let damages = try store.verify().damages
    #expect(damages.count == 1 && damages[0].contains("lacks records"), "\(damages)")
    try Self.put(store, 7, "third")
    do {
      try store.flush()
      Issue.record("flushed")
    } catch {
      #expect(error.code == .corrupt && error.message.contains("offline-position"), "\(error)")
    }
    #expect(try Self.offlineCount(store) == 50)
    // Whoever accepts the loss says so.
    try FileManager.default.removeItem(at: Self.hint(fixture))
    try store.flush()
    #expect(try StoreFixture.offlineRows(store).count { $0.sensor.hasPrefix("third") } == 7)
    #expect(try store.verify().damages.isEmpty)
    try store.close()
  }

  /// Its LSNs would be given a second time, and what the new records with them say would never land.
  @Test func aLogThatEndsBeforeWhatWasFlushedIsNotWrittenTo() throws {
    let (fixture, store) = try BackupTests.store(logMinimumBytes: 64 << 20)
    // Of a group whose table knows nothing of this.
    try store.createGroup(StoreFixture.group("idle"))
    var online = try StoreFixture.group("online")
    online.isOffline = false
    try store.createGroup(online)
    try store.close()
    let log = fixture.directory + "/log"
    try FileManager.default.copyItem(atPath: log, toPath: log + "-old")
    let second = try BackupTests.open(fixture.directory, logMinimumBytes: 64 << 20)
    for number in 0..<50 {
      try second.put(
        "online", fields: ["sensor": "s\(number)", "at": "2026-01-01T00:00:00Z", "value": "1"])
    }
    try second.flush()
    try second.close()
    try FileManager.default.removeItem(atPath: log)
    try FileManager.default.moveItem(atPath: log + "-old", toPath: log)
    do {
      _ = try BackupTests.open(fixture.directory, logMinimumBytes: 64 << 20)
      Issue.record("opened")
    } catch let error as FeatureStoreError {
      #expect(error.code == .corrupt && error.message.contains("repair"), "\(error)")
    }
    let reader = try FeatureStore.open(at: fixture.directory, access: .readOnly)
    #expect(try reader.verify().damages.contains { $0.contains("was flushed up to") })
    #expect(try FeatureStore.repair(at: fixture.directory).lostCount >= 50)
    let repaired = try BackupTests.open(fixture.directory, logMinimumBytes: 64 << 20)
    try Self.put(repaired, 3, "new")
    #expect(try repaired.flush().map(\.recordCount) == [3])
    #expect(try repaired.verify().damages.isEmpty)
    try repaired.close()
  }
}
