import Columnar
import FeatureModel
import FeatureStore
import FileFormats
import Foundation
import Iceberg
import Storage
import TestSupport
import Testing

/// The latest record of every key.
@Suite struct LatestTests {
  private static func rows(
    _ store: FeatureStore, _ change: (inout LatestRequest) throws -> Void = { _ in }
  ) throws -> [RandomHistory.Record] {
    var request = LatestRequest(group: "readings")
    request.columns = RandomHistory.columns
    try change(&request)
    let batches = try store.latest(request)
    var rows: [RandomHistory.Record] = []
    while let batch = try batches.next() {
      #expect(batch.rowCount > 0 && batch.schema == batches.schema)
      rows += RandomHistory.records(batch)
    }
    #expect(rows.count == batches.rowCount)
    return rows
  }

  /// By every way of reading, after every flush: no key twice, none deleted, the values of the newest record.
  @Test(arguments: 0..<40)
  func isTheNewestRecordOfEachKey(seed: UInt64) throws {
    let timeToLive = TimeToLive.microseconds(2060)
    let history = try RandomHistory(seed: seed, timeToLive: timeToLive)
    let store = history.store
    #expect(try Self.rows(store).isEmpty)
    var times: [(time: Int64, recordCount: Int)] = []
    for _ in 0..<(1 + history.random.below(5)) {
      for _ in 0..<(1 + history.random.below(4)) {
        try history.write(1 + history.random.below(12))
      }
      let flushed = history.snapshots.last?.recordCount ?? 0
      let all = Self.sets(history.records[...], timeToLive, history)
      let old = Self.sets(history.records[..<flushed], timeToLive, history)
      #expect(Set(try Self.rows(store)) == old.all, "seed \(seed)")
      #expect(
        Set(try Self.rows(store) { $0.leavesOutExpired = true }) == old.unexpired, "seed \(seed)")
      let unflushed = try Self.rows(store) { $0.includesUnflushed = true }
      #expect(Set(unflushed) == all.all && unflushed.count == all.all.count, "seed \(seed)")
      let valid = try Self.rows(store) {
        $0.includesUnflushed = true
        $0.leavesOutExpired = true
      }
      #expect(Set(valid) == all.unexpired, "seed \(seed)")
      try history.flush()
      times.append((history.clock.nowMicroseconds() / 1000 * 1000, history.records.count))
      history.clock.advance(2000)
    }
    if history.random.oneIn(2) {
      _ = try store.optimize("readings", options: ["min-input-files": "2"])
    }
    let rows = try Self.rows(store)
    #expect(Set(rows) == RandomHistory.latest(history.records) && rows.count == Set(rows).count)
    for (id, count) in history.snapshots {
      let then = try Self.rows(store) {
        $0.version = .snapshot(id)
      }
      #expect(Set(then) == RandomHistory.latest(history.records[..<count]), "seed \(seed)")
    }
  }

  private static func sets(
    _ records: ArraySlice<RandomHistory.Record>, _ timeToLive: TimeToLive, _ history: RandomHistory
  ) -> (all: Set<RandomHistory.Record>, unexpired: Set<RandomHistory.Record>) {
    (
      RandomHistory.latest(records),
      RandomHistory.latest(
        records, timeToLive: timeToLive, expiredAt: history.clock.nowMicroseconds())
    )
  }

  @Test func versionsAreNamedByTagSnapshotOrTime() throws {
    let history = try RandomHistory(seed: 1)
    let store = history.store
    var moments: [String] = []
    for number in 0..<3 {
      try history.write(20)
      try history.flush()
      moments.append(CivilTime.text(microseconds: history.clock.nowMicroseconds()))
      history.clock.advance(60_000_000)
      if number == 0 {
        var commit = try store.offlineTable("readings").newCommit()
        let id = history.snapshots[0].id
        commit.createTag("release", snapshotID: id)
        _ = try commit.commit()
      }
    }
    for (text, count) in [
      ("release", 20), (moments[0], 20), (moments[1], 40), ("\(history.snapshots[1].id)", 40),
      (moments[2], 60),
    ] {
      let version = TrainingSetRequest.TableVersion(parsing: text)
      let rows = try Self.rows(store) { $0.version = version }
      #expect(Set(rows) == RandomHistory.latest(history.records[..<count]), "\(text)")
    }
    #expect(try Self.rows(store) { $0.version = .init(parsing: "1999-01-01") }.isEmpty)
    for text in ["nonsense", "17"] {
      #expect(throws: FeatureStoreError.self) {
        _ = try Self.rows(store) { $0.version = .init(parsing: text) }
      }
    }
    // What the log has belongs to no other version than the current one.
    #expect(throws: FeatureStoreError.self) {
      _ = try Self.rows(store) {
        $0.version = .reference("release")
        $0.includesUnflushed = true
      }
    }
  }

  /// Rows that another engine has deleted are not there, so an older one is the newest.
  @Test func deletedRowsOfTheTableDoNotCount() throws {
    let history = try RandomHistory(seed: 3)
    for _ in 0..<4 {
      try history.write(30)
      try history.flush()
    }
    var delete = try DeleteRows(
      history.store.offlineTable("readings"), where: .comparison("lsn", .greater, .long(70)))
    delete.mode = .mergeOnRead
    _ = try delete.execute()
    let left = history.records.filter { $0.lsn <= 70 }
    #expect(left.count < 120 && left.count > 30)
    #expect(Set(try Self.rows(history.store)) == RandomHistory.latest(left))
  }

  @Test func columnsAreTheDefinitionsUnlessNamed() throws {
    let history = try RandomHistory(seed: 4)
    try history.write(5)
    try history.flush()
    let all = try history.store.latest(LatestRequest(group: "readings"))
    #expect(
      all.schema.fields.map(\.name)
        == ["sensor", "zone", "at", "value", "note", "write_time", "lsn"])
    var request = LatestRequest(group: "readings")
    request.columns = ["note", "sensor"]
    #expect(try history.store.latest(request).schema.fields.map(\.name) == ["note", "sensor"])
    for columns in [["nte"], [], ["note", "note"]] {
      request.columns = columns
      #expect(throws: FeatureStoreError.self) { _ = try history.store.latest(request) }
    }
    request.group = "reading"
    #expect(throws: FeatureStoreError.self) { _ = try history.store.latest(request) }
  }

  /// A version from before a feature was added does not have it.
  @Test func anOlderVersionHasItsOwnColumns() throws {
    let history = try RandomHistory(seed: 5)
    try history.write(10)
    try history.flush()
    try history.store.addFeatures([Feature("extra", .double)], to: "readings")
    try history.write(10)
    try history.flush()
    var request = LatestRequest(group: "readings")
    #expect(try history.store.latest(request).schema.index(of: "extra") == 5)
    request.version = .snapshot(history.snapshots[0].id)
    #expect(try history.store.latest(request).schema.index(of: "extra") == nil)
  }

  @Test func isWrittenInEveryFormat() throws {
    let history = try RandomHistory(seed: 6)
    for _ in 0..<3 {
      try history.write(40, keyCount: 60)
      try history.flush()
    }
    var request = LatestRequest(group: "readings")
    request.columns = RandomHistory.columns
    let expected = RandomHistory.latest(history.records)
    let folder = history.fixture.directory
    for name in ["set.parquet", "set.arrow", "set.csv"] {
      let path = folder + "/" + name
      let report = try history.store.writeLatest(request, to: path)
      #expect(report.rowCount == expected.count && report.recordCount == 120)
      let file = try POSIXFileSystem().open(path, .read)
      #expect(try file.size() == report.sizeBytes)
      if name.hasSuffix(".csv") {
        let text = try String(contentsOfFile: path, encoding: .utf8)
        #expect(text.split(separator: "\n").count == expected.count + 1)
        continue
      }
      let stream =
        name.hasSuffix(".arrow")
        ? try ArrowFileReader.open(file) : try ParquetReader(file: file).batches()
      var rows: [RandomHistory.Record] = []
      while let batch = try stream.next() { rows += RandomHistory.records(batch) }
      #expect(Set(rows) == expected && rows.count == expected.count)
      // Not replaced unless asked for, and nothing half written is left.
      #expect(throws: FeatureStoreError.self) { try history.store.writeLatest(request, to: path) }
      _ = try history.store.writeLatest(request, to: path, replacesOutput: true)
    }
    #expect(throws: FeatureStoreError.self) {
      try history.store.writeLatest(request, to: folder + "/set.txt")
    }
    let left = try FileManager.default.contentsOfDirectory(atPath: folder)
    #expect(!left.contains { $0.hasSuffix(".tmp") })
  }
}
