import FeatureModel
import FeatureStore
import Foundation
import Glibc
import Storage
import TestSupport
import Testing

@Suite struct StoreRepairTests {
  /// A store with a few segments of log, half of it flushed, closed; and its writes.
  static func store(flushing: Bool = true) throws -> (StoreFixture, WriteHistory) {
    var options = BackupTests.options
    options.logSegmentBytes = 32 << 10
    // Nothing is cleaned away.
    options.logMinimumBytes = 64 << 20
    let fixture = try StoreFixture(options: options)
    let first = try FeatureStore.open(at: fixture.directory, options: options)
    try first.createGroup(StoreFixture.group())
    let history = WriteHistory()
    for number in 0..<400 { try history.put(first, "s\(number)", Int64(number)) }
    try first.close()
    let second = try FeatureStore.open(at: fixture.directory, options: options)
    if flushing { try second.flush() }
    for number in 0..<400 { try history.put(second, "t\(number)", Int64(number)) }
    try second.close()
    return (fixture, history)
  }

  /// The records that are there, by LSN, must be those that were written; the others must be `lost`.
  private func check(
    _ directory: String, _ history: WriteHistory, lost: [ClosedRange<Int64>], _ label: Comment
  ) throws {
    let store = try BackupTests.open(directory)
    for (lsn, write) in history.all {
      let answer = try store.get("readings", fields: ["sensor": write.sensor], features: ["value"])
      if lost.contains(where: { $0.contains(lsn) }) {
        #expect(answer[0].status == .neverWritten, label)
      } else {
        #expect(answer[0].value == write.value.map { .long($0) } ?? .null, label)
      }
    }
    #expect(try store.verify().damages.isEmpty, label)
    try store.close()
  }

  @Test func aWholeStoreIsLeftAlone() throws {
    let (fixture, history) = try Self.store()
    let report = try FeatureStore.repair(at: fixture.directory)
    #expect(!report.isNeeded && !report.isDone, "\(report.damages)")
    #expect(!FileManager.default.fileExists(atPath: fixture.directory + "/damaged"))
    try check(fixture.directory, history, lost: [], "whole")
  }

  @Test func lostRecordsAreNamedAndThoseInTheTableComeBack() throws {
    let (fixture, history) = try Self.store()
    let segment = fixture.directory + "/log/00000001.log"
    // In the first record, behind the headers of segment, frame and record.
    try BackupTests.flip(segment, at: 4096 + 32 + 16 + 4)
    #expect(throws: FeatureStoreError.self) {
      let store = try BackupTests.open(fixture.directory)
      defer { try? store.close() }
      let damages = try store.verify().damages
      if !damages.isEmpty { throw FeatureStoreError(.corrupt, damages[0]) }
    }
    let plan = try FeatureStore.repair(at: fixture.directory, isDryRun: true)
    #expect(plan.isNeeded && !plan.isDone && plan.lostCount == 1)
    #expect(plan.damages.contains { $0.contains("00000001.log") })
    let report = try FeatureStore.repair(at: fixture.directory)
    #expect(report.lost == plan.lost && report.isDone)
    #expect(report.remainingDamages.isEmpty, "\(report.remainingDamages)")
    #expect(report.groupsToMaterialize == ["readings"] && report.groupsWithLosses.isEmpty)
    let kept = try #require(report.keptIn)
    let names = try FileManager.default.contentsOfDirectory(atPath: kept)
    #expect(names.contains("00000001.log") && names.contains("report.json"))
    try check(fixture.directory, history, lost: report.lost, "repaired")
    let store = try BackupTests.open(fixture.directory)
    #expect(try store.materialize("readings").broughtCount == 1)
    // Also exactly once offline, with what was not flushed before.
    try history.check(store, upTo: .max)
    try history.put(store, "new", 1)
    try history.check(store, upTo: .max)
    #expect(try store.verify().damages.isEmpty)
    try store.close()
    #expect(try !FeatureStore.repair(at: fixture.directory).isNeeded)
  }

  @Test func recordsThatWereInNoTableAreGoneAndTheirGroupIsNamed() throws {
    let (fixture, history) = try Self.store(flushing: false)
    let log = fixture.directory + "/log"
    try FileManager.default.removeItem(atPath: log + "/00000002.log")
    let report = try FeatureStore.repair(at: fixture.directory)
    #expect(report.lostCount > 100 && report.groupsWithLosses == ["readings"])
    #expect(report.groupsToMaterialize.isEmpty)
    try check(fixture.directory, history, lost: report.lost, "repaired")
    let store = try BackupTests.open(fixture.directory)
    try store.flush()
    let rows = try StoreFixture.offlineRows(store)
    let left = history.lsns.filter { lsn in !report.lost.contains { $0.contains(lsn) } }
    #expect(Set(rows.map(\.lsn)) == left && rows.count == left.count)
    try store.close()
  }

  @Test(arguments: ["INDEX", "START", "DURABLE"], ["flip", "remove", "empty", "zero"])
  func damageToASmallFileLosesNothing(name: String, damage: String) throws {
    let (fixture, history) = try Self.store()
    let path = fixture.directory + "/log/" + name
    do {
      let store = try BackupTests.open(fixture.directory)
      // So that there is a checkpoint.
      try store.flush()
      try store.close()
      let repair = try FeatureStore.repair(at: fixture.directory)
      #expect(!repair.isNeeded)
    }
    if name == "INDEX", !FileManager.default.fileExists(atPath: path) {
      try Data(count: 100).write(to: URL(filePath: path))
    }
    let size = try Data(contentsOf: URL(filePath: path)).count
    switch damage {
    case "flip": try BackupTests.flip(path, at: size / 2)
    case "remove": try FileManager.default.removeItem(atPath: path)
    case "empty": try Data().write(to: URL(filePath: path))
    default: try Data(count: size).write(to: URL(filePath: path))
    }
    let report = try FeatureStore.repair(at: fixture.directory)
    #expect(report.isNeeded == (name != "INDEX" || damage != "remove"), "\(report.damages)")
    #expect(report.lost.isEmpty && report.remainingDamages.isEmpty)
    try check(fixture.directory, history, lost: [], "\(name), \(damage)")
    let again = try FeatureStore.repair(at: fixture.directory)
    #expect(!again.isNeeded, "\(again.damages)")
  }

  @Test func aCheckpointOfAnotherTimeIsReplaced() throws {
    let (fixture, history) = try Self.store()
    let index = fixture.directory + "/log/INDEX"
    // A repair of another damage makes a checkpoint.
    try FileManager.default.removeItem(atPath: fixture.directory + "/log/START")
    _ = try FeatureStore.repair(at: fixture.directory)
    let early = try Data(contentsOf: URL(filePath: index))
    let store = try BackupTests.open(fixture.directory)
    for number in 0..<300 { try history.put(store, "u\(number)", Int64(number)) }
    try store.close()
    // Its end is cut off together with the records that it covers: they were never there.
    let backups = fixture.directory + "-backups"
    _ = try store.backup(to: backups)
    try FileManager.default.removeItem(atPath: fixture.directory)
    _ = try FeatureStore.restore(backups, to: fixture.directory)
    try early.write(to: URL(filePath: index))
    let report = try FeatureStore.repair(at: fixture.directory)
    #expect(report.lost.isEmpty && report.remainingDamages.isEmpty)
    try check(fixture.directory, history, lost: [], "early checkpoint")
  }

  @Test func aLogThatIsOlderThanItsTableGoesOnBehindIt() throws {
    let (fixture, history) = try Self.store()
    let log = fixture.directory + "/log"
    try FileManager.default.copyItem(atPath: log, toPath: log + "-old")
    let store = try BackupTests.open(fixture.directory)
    for number in 0..<50 { try history.put(store, "late\(number)", Int64(number)) }
    try store.close()
    let again = try BackupTests.open(fixture.directory)
    try again.flush()
    try again.close()
    try FileManager.default.removeItem(atPath: log)
    try FileManager.default.moveItem(atPath: log + "-old", toPath: log)
    #expect(throws: FeatureStoreError.self) {
      let store = try BackupTests.open(fixture.directory)
      defer { try? store.close() }
      try store.flush()
    }
    let report = try FeatureStore.repair(at: fixture.directory)
    #expect(report.lostCount >= 50 && report.groupsToMaterialize == ["readings"])
    let repaired = try BackupTests.open(fixture.directory)
    #expect(try repaired.materialize("readings").broughtCount == 50)
    try history.put(repaired, "new", 1)
    try repaired.close()
    let last = try BackupTests.open(fixture.directory)
    try history.check(last, upTo: .max)
    #expect(try last.verify().damages.isEmpty)
    try last.close()
  }

  @Test func aStoreThatIsInUseOrHasNoDefinitionsIsRefused() throws {
    let (fixture, _) = try Self.store()
    func code() -> FeatureStoreError.Code? {
      do { _ = try FeatureStore.repair(at: fixture.directory) } catch { return error.code }
      return nil
    }
    let store = try BackupTests.open(fixture.directory)
    #expect(code() == .locked)
    try store.close()
    #expect(code() == nil)
    let path = fixture.directory + "/store.json"
    try BackupTests.flip(path, at: 0)
    #expect(code() == .corrupt)
    try FileManager.default.removeItem(atPath: path)
    #expect(code() == .notAStore)
  }

  /// kill -9 of a repairing process, some microseconds after it began.
  @Test func aKilledRepairCanBeMadeAgain() async throws {
    let (fixture, history) = try Self.store()
    let segment = fixture.directory + "/log/00000001.log"
    try BackupTests.flip(segment, at: 4096 + 32 + 16 + 4)
    try BackupTests.flip(segment, at: 20_000)
    let expected = try FeatureStore.repair(at: fixture.directory, isDryRun: true).lost
    #expect(!expected.isEmpty)
    var generator = SystemRandomNumberGenerator()
    for round in 0..<10 {
      let copy = fixture.directory + "-\(round)"
      try FileManager.default.copyItem(atPath: fixture.directory, toPath: copy)
      // Offline tables record where they are: of this copy only the log counts.
      let delay = UInt32.random(in: 0...60_000, using: &generator)
      await #expect(processExitsWith: .signal(SIGKILL)) {
        [copy = copy as String, delay = delay as UInt32] in
        Thread.detachNewThread {
          usleep(delay)
          kill(getpid(), SIGKILL)
        }
        _ = try FeatureStore.repair(at: copy)
        sleep(1)
        kill(getpid(), SIGKILL)
      }
      let report = try FeatureStore.repair(at: copy)
      if report.isNeeded { #expect(report.remainingDamages.isEmpty, "\(report.remainingDamages)") }
      try check(copy, history, lost: expected, "killed after \(delay) us")
    }
  }

  /// Cleaning drops a key whose newest record has expired; an older record that came late stays in the log.
  @Test func keysThatCleaningDroppedAreNoDamage() throws {
    let fixture = try StoreFixture(options: BackupTests.options)
    let store = try BackupTests.open(fixture.directory)
    try store.createGroup(StoreFixture.group(timeToLive: .microseconds(1)))
    func put(_ sensor: String, _ at: String) throws {
      try store.put("readings", fields: ["sensor": sensor, "at": at, "value": "1"])
    }
    for number in 0..<1000 { try put("s\(number)", "2020-01-02T00:00:00Z") }
    for number in 0..<20 { try put("s\(number)", "2020-01-01T00:00:00Z") }
    try store.close()
    let again = try BackupTests.open(fixture.directory)
    try again.flush()
    #expect(try again.statistics().indexedKeyCount < 1000)
    let report = try again.verify()
    #expect(report.damages.isEmpty, "\(report.damages.prefix(3))")
    try again.close()
    #expect(try !FeatureStore.repair(at: fixture.directory).isNeeded)
  }
}
