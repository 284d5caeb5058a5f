import Foundation
import Iceberg
import JSON
import Storage
import TestSupport
import Testing

/// Vacuum on real tables: what goes, what stays, what is refused. Tests named after a rule of the
/// list of known ways to lose data carry its number.
@Suite struct VacuumTests {
  private func expiringAll() -> VacuumOptions {
    var options = VacuumOptions()
    options.olderThanMilliseconds = .max
    return options
  }

  /// Three snapshots: a added, b added, a removed.
  private func history(_ fixture: MaintenanceFixture) throws -> Table {
    var table = try fixture.table()
    let first = try fixture.file("a", in: table)
    table = try table.newAppend([first]).commit().table
    table = try fixture.append("b", to: table)
    fixture.clock.advance(milliseconds: 1000)
    var commit = table.newCommit()
    commit.overwrite([first], with: [])
    return try commit.commit().table
  }

  @Test func exactlyWhatOnlyExpiredSnapshotsReachedIsDeleted() throws {
    let fixture = try MaintenanceFixture()
    let table = try history(fixture)
    let before = try fixture.files(of: table)
    let vacuum = Vacuum(table, options: expiringAll())
    let plan = try vacuum.plan()
    #expect(plan.expiry?.expiredSnapshotIDs.count == 2)
    let result = try vacuum.execute(plan)
    #expect(result.failure == nil && result.expiredSnapshotCount == 2)
    let after = try fixture.files(of: table)
    #expect(!after.contains("data/a.parquet") && after.contains("data/b.parquet"))
    #expect(before.subtracting(after) == Set(plan.files.map(\.name)))
    #expect(result.deletedFileCount == plan.files.count && result.deleted[.data]?.files == 1)
    #expect(result.deleted[.manifestList]?.files == 2)
    #expect(result.table.metadata.snapshots.count == 1)
    // What is left is a whole table.
    #expect(try Vacuum(result.table, options: expiringAll()).plan().isEmpty)
  }

  @Test func aDryRunChangesNothing() throws {
    let fixture = try MaintenanceFixture()
    let table = try history(fixture)
    let before = try fixture.files(of: table)
    let plan = try Vacuum(table, options: expiringAll()).plan()
    #expect(plan.json["files"]?.int64Value == Int64(plan.files.count) && !plan.isEmpty)
    #expect(plan.description.contains("2 snapshots expire"))
    #expect(try fixture.files(of: table) == before)
    #expect(try table.refresh().metadataLocation == table.metadataLocation)
  }

  @Test func nothingYoungExpiresByDefault() throws {
    let fixture = try MaintenanceFixture()
    let table = try history(fixture)
    #expect(try Vacuum(table).plan().isEmpty)
  }

  @Test func progressGoesUpToTheTotal() throws {
    let fixture = try MaintenanceFixture()
    let vacuum = Vacuum(try history(fixture), options: expiringAll())
    let plan = try vacuum.plan()
    let seen = Seen()
    _ = try vacuum.execute(plan) { seen.append($0) }
    #expect(seen.values.map(\.filesDone) == Array(1...plan.files.count))
    #expect(seen.values.last?.bytesDone == plan.sizeBytes)
  }

  /// Several threads delete: manifests before data, and what is left after a stop is left for another run.
  @Test func manyFilesAreDeletedAtATime() throws {
    let fixture = try MaintenanceFixture()
    let table = try history(fixture)
    let before = try fixture.files(of: table)
    for number in 0..<400 {
      for name in ["data/x/orphan-\(number).parquet", "metadata/orphan-\(number)-m0.avro"] {
        _ = try fixture.write(name, in: table, days: 30)
      }
    }
    var vacuum = Vacuum(table)
    let plan = try vacuum.plan()
    #expect(plan.files.count == 800)
    let seen = Seen()
    vacuum.isStopped = { (seen.values.last?.filesDone ?? 0) >= 500 }
    let stopped = try vacuum.execute(plan) { seen.append($0) }
    #expect(stopped.failure?.kind == .cancelled)
    #expect(stopped.deleted[.manifest]?.files == 400)
    #expect(100..<400 ~= stopped.deleted[.data]?.files ?? 0)
    vacuum.isStopped = { false }
    let rest = try vacuum.execute(plan) { seen.append($0) }
    #expect(rest.failure == nil && rest.sparedCount == 0)
    #expect(rest.alreadyGoneCount == stopped.deletedFileCount)
    #expect(rest.deletedFileCount == 800 - stopped.deletedFileCount)
    #expect(seen.values.last?.filesDone == 800 && seen.values.last?.bytesDone == plan.sizeBytes)
    #expect(try fixture.files(of: table) == before)
  }

  @Test func theFirstFileOfManyThatCannotBeDeletedEndsTheRun() throws {
    let disk = FailingFileSystem(POSIXFileSystem())
    let fixture = try MaintenanceFixture(fileSystem: disk)
    let table = try history(fixture)
    for number in 0..<300 {
      _ = try fixture.write("metadata/orphan-\(number)-m0.avro", in: table, days: 30)
      _ = try fixture.write("data/orphan-\(number).parquet", in: table, days: 30)
    }
    let vacuum = Vacuum(table)
    let plan = try vacuum.plan()
    disk.inject(.init(call: 300, kind: .inputOutput, lasts: true))
    let failed = try vacuum.execute(plan)
    #expect(failed.failure?.kind == .inputOutput)
    #expect(1..<300 ~= failed.deleted[.manifest]?.files ?? 0)
    // Nothing refers to what is gone.
    #expect(failed.deleted[.data] == nil)
    disk.inject(nil)
    #expect(try vacuum.execute(plan).deleted[.data]?.files == 300)
  }

  @Test func runningAgainAfterAStopEndsInTheSamePlace() throws {
    let fixture = try MaintenanceFixture()
    let table = try history(fixture)
    let vacuum = Vacuum(table, options: expiringAll())
    let plan = try vacuum.plan()
    // As if an earlier run had been killed after the commit and a few deletions.
    for file in plan.files.prefix(2) {
      try FileManager.default.removeItem(
        atPath: Location.path(of: table.location + "/" + file.name))
    }
    let result = try vacuum.execute(plan)
    #expect(result.failure == nil && result.alreadyGoneCount == 2)
    #expect(result.deletedFileCount == plan.files.count - 2)
  }

  @Test func s54MissingFilesOfAnExpiredSnapshotAreNoError() throws {
    let fixture = try MaintenanceFixture()
    let table = try history(fixture)
    let list = try #require(table.metadata.snapshots.first?.manifestList)
    try FileManager.default.removeItem(atPath: Location.path(of: list))
    let vacuum = Vacuum(table, options: expiringAll())
    #expect(try vacuum.execute(vacuum.plan()).failure == nil)
  }

  @Test func s15AnUnreadableManifestDeletesNothing() throws {
    let fixture = try MaintenanceFixture()
    let table = try history(fixture)
    try fixture.write("data/old.parquet", in: table, days: 10)
    let list = try #require(table.metadata.currentSnapshot?.manifestList)
    try Data("garbage".utf8).write(to: URL(fileURLWithPath: Location.path(of: list)))
    let before = try fixture.files(of: table)
    let error = #expect(throws: IcebergError.self) { try Vacuum(table).plan() }
    #expect(error?.message.contains("nothing is deleted") == true)
    #expect(try fixture.files(of: table) == before)
  }

  @Test func s54AMissingManifestOfARetainedSnapshotDeletesNothing() throws {
    let fixture = try MaintenanceFixture()
    let table = try history(fixture)
    let list = try #require(table.metadata.currentSnapshot?.manifestList)
    try FileManager.default.removeItem(atPath: Location.path(of: list))
    #expect(throws: IcebergError.self) { try Vacuum(table, options: expiringAll()).plan() }
  }

  @Test func s3OldOrphansGoAndYoungOnesStay() throws {
    let fixture = try MaintenanceFixture()
    let table = try history(fixture)
    try fixture.write("data/old.parquet", in: table, days: 4)
    try fixture.write("data/deep/er/old.parquet", in: table, days: 4)
    try fixture.write("data/young.parquet", in: table, days: 2)
    try fixture.write("metadata/old-m0.avro", in: table, days: 4)
    let vacuum = Vacuum(table)
    let plan = try vacuum.plan()
    #expect(
      Set(plan.files.map(\.name)) == [
        "data/old.parquet", "data/deep/er/old.parquet", "metadata/old-m0.avro",
      ])
    #expect(plan.files.first?.kind == .manifest && plan.files.allSatisfy { $0.reason == .orphan })
    #expect(plan.keptCounts[.young] == 1)
    #expect(try vacuum.execute(plan).deletedFileCount == 3)
    #expect(try fixture.exists("data/young.parquet", in: table))
  }

  @Test func s3AnAgeBelowTheFloorNeedsTheLease() throws {
    let fixture = try MaintenanceFixture()
    let table = try history(fixture)
    try fixture.write("data/orphan.parquet", in: table, days: 0.5)
    var options = VacuumOptions()
    options.orphanAgeMilliseconds = 3_600_000
    #expect(throws: IcebergError.self) { try Vacuum(table, options: options).plan() }
    guard case .acquired(let lease) = try MaintenanceLease.acquire(table, holder: "test") else {
      Issue.record("the lease is free")
      return
    }
    options.leaseBelowFloor = lease
    #expect(try Vacuum(table, options: options).plan().files.map(\.name) == ["data/orphan.parquet"])
  }

  @Test func s3AFutureCutoffIsRefused() throws {
    let fixture = try MaintenanceFixture()
    let table = try history(fixture)
    var options = VacuumOptions()
    options.orphanAgeMilliseconds = -1
    #expect(throws: IcebergError.self) { try Vacuum(table, options: options).plan() }
  }

  @Test func s3AClockThatRunsAheadMakesNothingOld() throws {
    let fixture = try MaintenanceFixture()
    let table = try history(fixture)
    try fixture.write("data/inflight.parquet", in: table)
    fixture.clock.advance(milliseconds: 30 * 86_400_000)
    let plan = try Vacuum(table).plan()
    #expect(!plan.files.contains { $0.reason == .orphan } && plan.keptCounts[.young] == 1)
  }

  @Test func s49AFileFromTheFutureOrWithoutATimeIsYoung() throws {
    let fixture = try MaintenanceFixture()
    let table = try history(fixture)
    try fixture.write("data/future.parquet", in: table, days: -5)
    try fixture.write("data/epoch.parquet", in: table)
    try FileManager.default.setAttributes(
      [.modificationDate: Date(timeIntervalSince1970: 0)],
      ofItemAtPath: Location.path(of: table.location + "/data/epoch.parquet"))
    let plan = try Vacuum(table).plan()
    #expect(plan.files.isEmpty && plan.keptCounts[.young] == 2)
  }

  @Test func s6TheHintTheLogAndStatisticsStay() throws {
    let fixture = try MaintenanceFixture()
    let table = try history(fixture)
    for name in try fixture.files(of: table) { try fixture.age(name, in: table, days: 30) }
    let before = try fixture.files(of: table)
    #expect(before.contains("metadata/version-hint.text"))
    #expect(try Vacuum(table).plan().files.isEmpty)
    #expect(before.filter { $0.hasSuffix(".metadata.json") }.count == 4)
  }

  @Test func metadataFilesThatFellOutOfTheLogGo() throws {
    let fixture = try MaintenanceFixture()
    var table = try fixture.table(properties: [
      "write.metadata.previous-versions-max": "1",
      "write.metadata.delete-after-commit.enabled": "false",
    ])
    for name in ["a", "b", "c"] { table = try fixture.append(name, to: table) }
    for name in try fixture.files(of: table) { try fixture.age(name, in: table, days: 30) }
    let plan = try Vacuum(table).plan()
    #expect(plan.files.count == 2 && plan.files.allSatisfy { $0.kind == .metadata })
  }

  @Test func s7DeletedEntriesAreNoReferences() throws {
    let fixture = try MaintenanceFixture()
    let table = try history(fixture)
    // The current snapshot's manifest still lists a.parquet, as deleted.
    let plan = try Vacuum(table, options: expiringAll()).plan()
    #expect(plan.files.contains { $0.name == "data/a.parquet" && $0.reason == .expired })
  }

  @Test func s10FilesThatOtherSnapshotsUseStay() throws {
    let fixture = try MaintenanceFixture()
    var table = try history(fixture)
    let first = try #require(table.metadata.snapshots.first?.snapshotID)
    var commit = table.newCommit()
    commit.createTag("keep", snapshotID: first)
    table = try commit.commit().table
    let vacuum = Vacuum(table, options: expiringAll())
    let plan = try vacuum.plan()
    #expect(plan.expiry?.expiredSnapshotIDs.count == 1)
    #expect(!plan.files.contains { $0.name == "data/a.parquet" })
    _ = try vacuum.execute(plan)
    #expect(try fixture.exists("data/a.parquet", in: table))
  }

  @Test func s8AnotherTablesMetadataInTheLocationIsRefused() throws {
    let fixture = try MaintenanceFixture()
    let table = try history(fixture)
    let other = try fixture.append("x", to: try fixture.table("db.other"))
    try FileManager.default.copyItem(
      atPath: Location.path(of: other.metadataLocation),
      toPath: Location.path(of: table.location + "/metadata/00009-foreign.metadata.json"))
    #expect(throws: IcebergError.self) { try Vacuum(table, options: expiringAll()).plan() }
  }

  @Test func s8UnreadableMetadataInTheLocationIsRefused() throws {
    let fixture = try MaintenanceFixture()
    let table = try history(fixture)
    try fixture.write("metadata/v7.metadata.json", in: table, days: 9)
    #expect(throws: IcebergError.self) { try Vacuum(table).plan() }
  }

  /// What a crash leaves of a metadata file that no catalog was told of: nothing, zeros, or its beginning,
  /// perhaps with zeros behind it. It goes when it is old, like other orphans.
  @Test func s8AMetadataFileThatWasNeverFinishedIsAnOrphan() throws {
    let fixture = try MaintenanceFixture()
    let table = try history(fixture)
    let text = try table.io.readAll(table.metadataLocation)
    let zeros = [UInt8](repeating: 0, count: 100)
    for (index, bytes) in [[], zeros, Array(text.dropLast()), text.prefix(40) + zeros].enumerated()
    {
      let name = "metadata/0009\(index)-x.metadata.json"
      let path = try Location.path(of: table.location + "/" + name)
      try Data(bytes).write(to: URL(filePath: path))
      try fixture.age(name, in: table, days: 9)
      let result = try Vacuum(table).execute(try Vacuum(table).plan())
      #expect(result.failure == nil && result.deletedFileCount == 1)
      #expect(try !fixture.exists(name, in: table))
    }
  }

  @Test func s9ForeignFoldersAndHiddenNamesAreLeftAlone() throws {
    let fixture = try MaintenanceFixture()
    let table = try history(fixture)
    let names = [
      "checkpoints/1/offsets", "_inflight/x", "data/_temporary/x.parquet", "data/.hidden",
      "metadata/.a.crc", "readme.txt",
    ]
    for name in names { try fixture.write(name, in: table, days: 90) }
    let plan = try Vacuum(table).plan()
    #expect(plan.files.isEmpty && plan.skippedCount >= 3)
  }

  @Test func s2LinksAreNotFollowed() throws {
    let fixture = try MaintenanceFixture()
    let table = try history(fixture)
    let outside = fixture.folder + "/precious"
    try FileManager.default.createDirectory(atPath: outside, withIntermediateDirectories: true)
    try Data("x".utf8).write(to: URL(fileURLWithPath: outside + "/file.parquet"))
    try FileManager.default.setAttributes(
      [.modificationDate: Date(timeIntervalSince1970: 1000)],
      ofItemAtPath: outside + "/file.parquet")
    try FileManager.default.createSymbolicLink(
      atPath: Location.path(of: table.location + "/data/link"), withDestinationPath: outside)
    #expect(try Vacuum(table).plan().files.isEmpty)
  }

  @Test func s1EverySpellingOfALiveFileIsTheFile() throws {
    let fixture = try MaintenanceFixture()
    var table = try fixture.table()
    let root = try Location.path(of: table.location)
    let link = fixture.folder + "/link"
    try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: root)
    let spellings = [
      "file:\(root)/data/a.parquet", "\(root)//data/./b.parquet",
      "file://localhost\(root)/data/c.parquet", "file://\(link)/data/d.parquet",
    ]
    for name in ["a", "b", "c", "d"] {
      try fixture.write("data/\(name).parquet", in: table, days: 30)
    }
    let files = spellings.map { DataFile(path: $0, recordCount: 1, fileSizeInBytes: 1) }
    table = try table.newAppend(files).commit().table
    #expect(try Vacuum(table).plan().files.isEmpty)
  }

  @Test func s1AnUnknownSchemeIsRefused() throws {
    let fixture = try MaintenanceFixture()
    var table = try fixture.table()
    let file = DataFile(path: "s3://bucket/a.parquet", recordCount: 1, fileSizeInBytes: 1)
    table = try table.newAppend([file]).commit().table
    try fixture.write("data/old.parquet", in: table, days: 30)
    #expect(throws: IcebergError.self) { try Vacuum(table).plan() }
  }

  @Test func s4AFileCommittedAfterThePlanIsSpared() throws {
    let fixture = try MaintenanceFixture()
    let table = try history(fixture)
    // A slow writer: its file is old when it is committed, after the plan.
    let location = try fixture.write("data/slow.parquet", in: table, days: 10)
    let vacuum = Vacuum(table)
    let plan = try vacuum.plan()
    #expect(plan.files.map(\.name) == ["data/slow.parquet"])
    let slow = DataFile(path: location, recordCount: 1, fileSizeInBytes: 1)
    _ = try table.newAppend([slow]).commit()
    let result = try vacuum.execute(plan)
    #expect(result.sparedCount == 1 && result.deletedFileCount == 0)
    #expect(try fixture.exists("data/slow.parquet", in: table))
  }

  @Test func s38AFileThatChangedSinceThePlanIsSpared() throws {
    let fixture = try MaintenanceFixture()
    let table = try history(fixture)
    try fixture.write("data/old.parquet", in: table, days: 10)
    let vacuum = Vacuum(table)
    let plan = try vacuum.plan()
    try fixture.write("data/old.parquet", in: table)
    try fixture.write("data/another.parquet", in: table, days: 10)
    let result = try vacuum.execute(plan)
    #expect(result.sparedCount == 1 && result.deletedFileCount == 0)
    #expect(try fixture.exists("data/another.parquet", in: table))
  }

  @Test func s42TablesWithoutGarbageCollectionAreRefused() throws {
    let fixture = try MaintenanceFixture()
    let table = try fixture.table(properties: ["gc.enabled": "false"])
    let error = #expect(throws: IcebergError.self) { try Vacuum(table).plan() }
    #expect(error?.message.contains("gc.enabled") == true)
  }

  @Test func s5WhatANewerMetadataFileSpeaksOfStays() throws {
    let fixture = try MaintenanceFixture()
    let table = try history(fixture)
    let newer = try fixture.append("acknowledged", to: table)
    for name in try fixture.files(of: table) { try fixture.age(name, in: table, days: 30) }
    // The catalog comes back from an older copy: it does not know the newest commit.
    try fixture.catalog.dropTable(table.identifier)
    let copy = try fixture.catalog.registerTable(
      try TableIdentifier("db.copy"), metadataLocation: table.metadataLocation)
    let plan = try Vacuum(copy).plan()
    #expect(plan.files.isEmpty)
    #expect(try fixture.exists("data/acknowledged.parquet", in: newer))
  }

  enum ReferenceChange: CaseIterable {
    case tagElsewhere
    case tagThatStaysForEver
    case branchThatKeepsMore
  }

  @Test(arguments: ReferenceChange.allCases)
  func aReferenceThatChangedSinceThePlanStopsTheExpiry(change: ReferenceChange) throws {
    let fixture = try MaintenanceFixture()
    var table = try history(fixture)
    let ids = table.metadata.snapshots.map(\.snapshotID)
    var tagging = table.newCommit()
    tagging.createTag("t", snapshotID: ids[0], maxReferenceAgeMilliseconds: 1)
    table = try tagging.commit().table
    fixture.clock.advance(milliseconds: 10_000)
    let vacuum = Vacuum(table, options: expiringAll())
    let plan = try vacuum.plan()
    #expect(plan.expiry?.removedReferences == ["t"])
    if change == .branchThatKeepsMore {
      var keeping = table.newCommit()
      keeping.setRetention("main", minSnapshotsToKeep: 100)
      table = try keeping.commit().table
    } else {
      var removing = table.newCommit()
      removing.removeReference("t")
      table = try removing.commit().table
      var creating = table.newCommit()
      creating.createTag("t", snapshotID: change == .tagElsewhere ? ids[1] : ids[0])
      _ = try creating.commit()
    }
    let error = #expect(throws: IcebergError.self) { try vacuum.execute(plan) }
    #expect(error?.kind == .validationFailed)
    #expect(try fixture.exists("data/a.parquet", in: table))
    #expect(try table.refresh().metadata.snapshots.map(\.snapshotID) == ids)
  }

  /// A table that goes on growing is still cleaned.
  @Test func aBranchThatMovedOnSinceThePlanDoesNotStopTheExpiry() throws {
    let fixture = try MaintenanceFixture()
    let table = try history(fixture)
    fixture.clock.advance(milliseconds: 10_000)
    let vacuum = Vacuum(table, options: expiringAll())
    let plan = try vacuum.plan()
    let newer = try fixture.append("newer", to: table)
    #expect(try vacuum.execute(plan).expiredSnapshotCount > 0)
    #expect(try fixture.exists("data/newer.parquet", in: newer))
  }

  @Test func aPlanForAnotherTableIsRefused() throws {
    let fixture = try MaintenanceFixture()
    let plan = try Vacuum(try history(fixture), options: expiringAll()).plan()
    let other = try fixture.table("db.other")
    #expect(throws: IcebergError.self) { try Vacuum(other).execute(plan) }
  }

  @Test func storePropertiesSurviveAVacuum() throws {
    let fixture = try MaintenanceFixture()
    var table = try history(fixture)
    var commit = table.newCommit()
    commit.setProperties(["fstore.lsn": "42"])
    table = try commit.commit().table
    let vacuum = Vacuum(table, options: expiringAll())
    #expect(try vacuum.execute(vacuum.plan()).table.properties["fstore.lsn"] == "42")
  }
}

/// What a progress report said.
final class Seen: @unchecked Sendable {
  private let lock = NSLock()
  private var reports: [MaintenanceProgress] = []

  func append(_ report: MaintenanceProgress) { lock.withLock { reports.append(report) } }
  var values: [MaintenanceProgress] { lock.withLock { reports } }
}
