import FeatureModel
import FeatureStore
import Foundation
import Iceberg
import Testing

/// History that goes past the log, straight to the offline table.
@Suite struct BackfillTests {
  private func file(_ fixture: StoreFixture, _ name: String, _ rows: [String]) throws -> String {
    let path = fixture.directory + "-" + name
    let text = (["sensor,at,value,note"] + rows).joined(separator: "\n") + "\n"
    try text.write(toFile: path, atomically: true, encoding: .utf8)
    return path
  }

  private func history(_ fixture: StoreFixture, count: Int = 5000) throws -> String {
    try file(
      fixture, "history.csv",
      (0..<count).map { "s\($0 % 100),2025-01-01T00:00:\(10 + $0 % 50)Z,\($0),old" })
  }

  @Test func historyIsOfflineOnceAndMaterializedOnline() throws {
    let fixture = try StoreFixture(options: MaterializeTests.options)
    let store = try FeatureStore.open(at: fixture.directory, options: MaterializeTests.options)
    try store.createGroup(StoreFixture.group())
    // One key has a newer record, one an older one.
    let newer = try store.put(
      "readings", fields: ["sensor": "s1", "at": "2026-01-01T00:00:00Z", "value": "7"])
    try store.put(
      "readings", fields: ["sensor": "s2", "at": "2024-01-01T00:00:00Z", "value": "8"])
    let path = try history(fixture)
    var progress: [IngestProgress] = []
    let report = try store.backfill("readings", file: path) { progress.append($0) }
    #expect(report.acceptedCount == 5000 && !report.wasDoneBefore)
    #expect(report.firstLSN == 3 && report.lastLSN == 5002)
    #expect(progress.last?.bytesRead == progress.last?.totalBytes)
    // The log knows nothing of the rows, and goes on after them.
    #expect(try store.get("readings", fields: ["sensor": "s0"])[0].status == .neverWritten)
    let next = try store.put(
      "readings", fields: ["sensor": "s3", "at": "2024-01-01T00:00:00Z", "value": "9"])
    #expect(next.lastLSN == 5003)
    #expect(try store.flush().map(\.recordCount) == [3])
    let rows = try StoreFixture.offlineRows(store)
    #expect(rows.count == 5003 && Set(rows.map(\.lsn)) == Set(1...5003))
    let snapshot = try #require(
      try store.offlineTable("readings").metadata.snapshots.first {
        $0.summary["fstore.backfill-lsns"] != nil
      })
    #expect(snapshot.summary["fstore.backfill-lsns"] == "3-5002")

    // Again it is done already; unless it is wanted.
    let again = try store.backfill("readings", file: path)
    #expect(again.wasDoneBefore && again.acceptedCount == 0)
    #expect(again.firstLSN == 3 && again.lastLSN == 5002)
    #expect(try StoreFixture.offlineRows(store).count == 5003)

    #expect(try store.materialize("readings").broughtCount == 99)
    func value(_ sensor: String) throws -> FeatureValue {
      try store.get("readings", fields: ["sensor": sensor], features: ["value"])[0].value
    }
    // Of equal times the last row, which has the greatest LSN.
    #expect(try value("s0") == .long(4900) && value("s99") == .long(4999))
    #expect(try value("s1") == .long(7) && value("s2") == .long(4902))
    #expect(
      try store.get("readings", fields: ["sensor": "s1"])[0].lsn == newer.lastLSN)
    #expect(try store.flush().isEmpty)
    #expect(try store.verify().damages.isEmpty)
    let repeated = try store.backfill("readings", file: path, repeats: true)
    #expect(repeated.acceptedCount == 5000)
    #expect(try StoreFixture.offlineRows(store).count == 10_003)
    try store.close()
  }

  @Test func rowsThatDoNotFitAreLeftOutOrEndItWithNothingWritten() throws {
    let fixture = try StoreFixture(options: MaterializeTests.options)
    let store = try FeatureStore.open(at: fixture.directory, options: MaterializeTests.options)
    try store.createGroup(StoreFixture.group())
    let path = try file(
      fixture, "rows.csv",
      [
        "a,2025-01-01T00:00:00Z,1,x", "b,2025-01-01T00:00:00Z,no number,x",
        ",2025-01-01T00:00:00Z,3,x",
        "d,2025-01-01T00:00:00Z,4,x",
      ])
    let stopped = try store.backfill("readings", file: path)
    #expect(stopped.wasStopped && stopped.acceptedCount == 0 && stopped.lastLSN == nil)
    #expect(stopped.refusedRows.map(\.line) == [3])
    #expect(try StoreFixture.offlineRows(store).isEmpty)
    #expect(try store.dataFiles("readings").isEmpty)
    var options = IngestOptions()
    options.onError = .skip
    let skipped = try store.backfill("readings", file: path, options: options)
    #expect(skipped.acceptedCount == 2 && skipped.refusedCount == 2)
    #expect(skipped.refusedRows.map(\.line) == [3, 4])
    #expect(try StoreFixture.offlineRows(store).map(\.sensor).sorted() == ["a", "d"])
    do {
      _ = try store.backfill("readings", file: path + ".missing.csv")
      Issue.record("a file that is not there")
    } catch { #expect(error.code == .notFound) }
    try store.close()
  }

  /// Killed anywhere, and run until it says that it is done: every row is there once.
  @Test func killsLeaveEveryRowOnceOrNot() async throws {
    let fixture = try StoreFixture(options: MaterializeTests.options)
    let setup = try FeatureStore.open(at: fixture.directory, options: MaterializeTests.options)
    try setup.createGroup(StoreFixture.group())
    try setup.close()
    let directory = fixture.directory
    var done = 0
    for round in 0..<8 {
      let path = try file(
        fixture, "part\(round).csv",
        (0..<2000).map { "r\(round)s\($0),2025-01-01T00:00:00Z,\($0),old" })
      await #expect(processExitsWith: .signal(SIGKILL)) {
        [directory = directory as String, path = path as String, round = round as Int] in
        do {
          let store = try FeatureStore.open(at: directory, options: MaterializeTests.options)
          // Some while it is read, some while it is written and committed, some after.
          if round > 1 {
            Thread.detachNewThread {
              usleep(UInt32(round * round) * 700)
              kill(getpid(), SIGKILL)
            }
          }
          _ = try store.backfill("readings", file: path) { _ in
            if round < 2 { kill(getpid(), SIGKILL) }
          }
        } catch {}
        kill(getpid(), SIGKILL)
      }
      let store = try FeatureStore.open(at: directory, options: MaterializeTests.options)
      let report = try store.backfill("readings", file: path)
      if report.wasDoneBefore { done += 1 }
      let rows = try StoreFixture.offlineRows(store)
      #expect(rows.count == 2000 * (round + 1), "round \(round)")
      #expect(Set(rows.map(\.sensor)).count == rows.count)
      #expect(Set(rows.map(\.lsn)).count == rows.count)
      try store.close()
    }
    #expect(done < 8)
  }

  @Test func aRepairedLogNeverGivesTheLSNsOfHistoryAgain() throws {
    let fixture = try StoreFixture(options: MaterializeTests.options)
    let store = try FeatureStore.open(at: fixture.directory, options: MaterializeTests.options)
    try store.createGroup(StoreFixture.group())
    let last = try #require(
      try store.backfill("readings", file: history(fixture, count: 300)).lastLSN)
    try store.close()
    try MaterializeTests.loseLog(fixture.directory)
    let repaired = try FeatureStore.open(
      at: fixture.directory, options: MaterializeTests.options)
    #expect(try repaired.materialize("readings").broughtCount == 100)
    let receipt = try repaired.put(
      "readings", fields: ["sensor": "new", "at": "2026-01-01T00:00:00Z", "value": "1"])
    #expect(receipt.firstLSN > last)
    try repaired.flush()
    let lsns = try StoreFixture.offlineRows(repaired).map(\.lsn)
    #expect(lsns.count == 301 && Set(lsns).count == 301)
    try repaired.close()
  }
}
