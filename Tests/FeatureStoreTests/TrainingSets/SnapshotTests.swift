import FeatureModel
import FeatureStore
import Foundation
import Iceberg
import Testing

/// Which version of the tables a training set reads, and that it stays while it is read.
@Suite struct SnapshotTests {
  private typealias Fixture = TrainingSetFixture

  private func vacuum(_ fixture: Fixture) throws -> MaintenanceReport {
    var request = FeatureStore.VacuumRequest()
    request.maxSnapshotAgeMilliseconds = 0
    request.minSnapshotsToKeep = 1
    return try fixture.store.vacuum("readings", request: request)
  }

  private func dataFiles(_ fixture: Fixture) throws -> Int {
    let folder = try fixture.store.offlineTable("readings").location
      .replacing("file://", with: "")
    return try FileManager.default.contentsOfDirectory(atPath: folder + "/data").count
  }

  private func readers(_ fixture: Fixture) throws -> [String] {
    let folder = fixture.base.directory + "/jobs/readers"
    guard FileManager.default.fileExists(atPath: folder) else { return [] }
    return try FileManager.default.contentsOfDirectory(atPath: folder)
  }

  /// Three files, three snapshots.
  private func filled() throws -> (Fixture, TrainingSetRequest) {
    let fixture = try Fixture()
    for hour in 1...3 {
      try fixture.put("a", hour, hour)
      try fixture.store.flush()
    }
    let spine = try fixture.write("spine.csv", "sensor,t", "a," + Fixture.hour(9))
    return (fixture, fixture.request(.files([spine])))
  }

  @Test func whatIsBeingReadSurvivesAVacuum() throws {
    let (fixture, request) = try filled()
    var set: TrainingSetBatches? = try fixture.store.trainingSet(request)
    let read = try #require(set?.report.groups.first?.snapshotID)
    #expect(try readers(fixture).filter { $0.hasSuffix(".pin") }.count == 1)
    _ = try fixture.store.optimize("readings", options: ["rewrite-all": "true"])
    _ = try vacuum(fixture)
    #expect(
      try fixture.store.offlineTable("readings").metadata.snapshots.map(\.snapshotID)
        .contains(read))
    #expect(try dataFiles(fixture) == 4)
    #expect(try Fixture.rows(#require(set)) == ["a 2026-01-02T09:00:00Z 3"])
    set = nil
    #expect(try readers(fixture).isEmpty)
    _ = try vacuum(fixture)
    #expect(try dataFiles(fixture) == 1)
    // An extraction pins nothing once it is over.
    _ = try fixture.store.extractTrainingSet(request)
    #expect(try readers(fixture).isEmpty)
  }

  /// The moment that pins alone do not cover: one that is set after the vacuum has made its plan.
  @Test func aReaderThatComesBetweenPlanAndCommitKeepsItsFiles() throws {
    let (fixture, request) = try filled()
    let table = try fixture.store.offlineTable("readings")
    let old = try #require(table.metadata.currentSnapshotID)
    _ = try fixture.store.optimize("readings", options: ["rewrite-all": "true"])
    var options = VacuumOptions()
    options.olderThanMilliseconds = .max
    options.retainLast = 1
    options.orphanAgeMilliseconds = 86_400_000
    var vacuum = Vacuum(try fixture.store.offlineTable("readings"), options: options)
    let plan = try vacuum.plan()
    #expect(plan.expiry?.expiredSnapshotIDs.contains(old) == true)
    vacuum.snapshotsInUse = { [old] }
    let result = try vacuum.execute(plan)
    #expect(result.failure == nil && result.sparedCount > 0)
    #expect(try dataFiles(fixture) == 4, "gone from the table, and still there to be read")
    // What belongs to the snapshot looks like orphans, to the next vacuum too.
    let folder =
      try fixture.store.offlineTable("readings").location
      .replacing("file://", with: "") + "/data"
    for name in try FileManager.default.contentsOfDirectory(atPath: folder) {
      try FileManager.default.setAttributes(
        [.modificationDate: Date(timeIntervalSinceNow: -10 * 86_400)],
        ofItemAtPath: folder + "/" + name)
    }
    #expect(try vacuum.plan().files.filter { $0.kind == .data }.isEmpty)
    vacuum.snapshotsInUse = { [] }
    #expect(try vacuum.plan().files.filter { $0.kind == .data }.count == 3)
    #expect(try Fixture.rows(fixture.store.trainingSet(request)) == ["a 2026-01-02T09:00:00Z 3"])
  }

  @Test func theDeadPinNothing() throws {
    let (fixture, request) = try filled()
    let table = try fixture.store.offlineTable("readings")
    _ = try fixture.store.extractTrainingSet(request)
    let folder = fixture.base.directory + "/jobs/readers"
    let uuid = try #require(table.metadata.tableUUID)
    let snapshot = try #require(table.metadata.currentSnapshotID)
    for name in [".dead.lock", "dead.\(uuid).\(snapshot).pin", "dead.\(uuid).17.pin", "notes.pin"] {
      try Data().write(to: URL(filePath: folder + "/" + name))
    }
    _ = try fixture.store.optimize("readings", options: ["rewrite-all": "true"])
    _ = try vacuum(fixture)
    #expect(try dataFiles(fixture) == 1)
    #expect(try readers(fixture) == ["notes.pin"])
  }

  @Test func tablesAreReadAsTheyWere() throws {
    let (fixture, request) = try filled()
    let metadata = try fixture.store.offlineTable("readings").metadata
    let snapshots = metadata.snapshots
    func value(_ version: TrainingSetRequest.TableVersion) throws -> String {
      var request = request
      request.asOf = version
      let row = try #require(try fixture.rows(request).first)
      return String(row.split(separator: " ")[2])
    }
    for (index, snapshot) in snapshots.enumerated() {
      #expect(try value(.snapshot(snapshot.snapshotID)) == "\(index + 1)")
      // Its millisecond counts as a whole.
      let time = snapshot.timestampMilliseconds * 1000
      let isAlone = !snapshots.dropFirst(index + 1)
        .contains { $0.timestampMilliseconds == snapshot.timestampMilliseconds }
      if isAlone {
        #expect(try value(.time(time)) == "\(index + 1)")
        #expect(try value(.time(time + 999)) == "\(index + 1)")
      }
    }
    var commit = try fixture.store.offlineTable("readings").newCommit()
    commit.createTag("second", snapshotID: snapshots[1].snapshotID)
    _ = try commit.commit()
    #expect(try value(.reference("second")) == "2")
    #expect(try value(.reference("main")) == "3")
    for version in [
      TrainingSetRequest.TableVersion.snapshot(1), .reference("nothing"),
    ] {
      do {
        _ = try value(version)
        Issue.record("read \(version)")
      } catch { #expect((error as? FeatureStoreError)?.code == .notFound) }
    }
    #expect(TrainingSetRequest.TableVersion(parsing: "17") == .snapshot(17))
    #expect(TrainingSetRequest.TableVersion(parsing: "1970-01-01T00:00:01Z") == .time(1_000_000))
    #expect(TrainingSetRequest.TableVersion(parsing: "second") == .reference("second"))
  }

  @Test func aTableThatIsYoungerHasNoValues() throws {
    let (fixture, request) = try filled()
    var request2 = request
    request2.features = ["readings:value", "others:value=other"]
    try fixture.put("a", 1, 10, "others")
    let before =
      try fixture.store.offlineTable("readings").metadata.snapshots
      .map(\.timestampMilliseconds).max() ?? 0
    // Past the millisecond in which `readings` was written.
    Thread.sleep(forTimeInterval: 0.005)
    try fixture.store.flush()
    request2.asOf = .time(before * 1000)
    var set = try fixture.store.trainingSet(request2)
    #expect(try Fixture.rows(set) == ["a 2026-01-02T09:00:00Z 3 -"])
    #expect(set.report.groups.map(\.isYounger) == [false, true])
    #expect(set.report.groups[1].neverWrittenCount == 1)
    // Before 1970 as well, and to the microsecond.
    for time in [Int64.min, -1, -1_000, 0, before * 1000 - 86_400_000_000] {
      request2.asOf = .time(time)
      set = try fixture.store.trainingSet(request2)
      #expect(try Fixture.rows(set) == ["a 2026-01-02T09:00:00Z - -"])
      #expect(set.report.groups.map(\.isYounger) == [true, true])
    }
    // One group's version is its own.
    request2.asOfByGroup = ["others": .reference("main")]
    #expect(try fixture.rows(request2) == ["a 2026-01-02T09:00:00Z - 10"])
    request2.asOfByGroup = ["nobody": .reference("main")]
    #expect(throws: FeatureStoreError.self) { try fixture.rows(request2) }
  }

  @Test func whatHasExpiredIsNotTakenForYounger() throws {
    let (fixture, request) = try filled()
    let first = try #require(try fixture.store.offlineTable("readings").metadata.snapshots.first)
    _ = try vacuum(fixture)
    var past = request
    past.asOf = .time(first.timestampMilliseconds * 1000)
    do {
      _ = try fixture.rows(past)
      Issue.record("read what has expired")
    } catch {
      let error = try #require(error as? FeatureStoreError)
      #expect(error.code == .notFound && error.message.contains("expired"), "\(error)")
    }
  }
}
