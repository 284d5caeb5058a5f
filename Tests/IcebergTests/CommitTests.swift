import Dispatch
import Foundation
import Iceberg
import Storage
import Synchronization
import Testing

/// The live files of a table's current snapshot, by reading its manifests as anybody would.
func liveEntries(_ table: Table) throws -> [ManifestEntry] {
  guard let snapshot = table.metadata.currentSnapshot, let list = snapshot.manifestList else {
    return []
  }
  var entries: [ManifestEntry] = []
  for manifest in try ManifestList.read(try table.io.readAll(list)) {
    var reader = try ManifestReader(bytes: try table.io.readAll(manifest.path), manifest: manifest)
    entries += try reader.readAll().filter(\.isLive)
  }
  return entries
}

func liveNames(_ table: Table) throws -> [String] {
  try liveEntries(table).map { Location.lastComponent(of: $0.dataFile.path) }.sorted()
}

extension Table {
  @discardableResult
  func appending(_ names: String..., rows: Int64 = 10) throws -> Table {
    try newAppend(names.map { fakeFile($0, rows: rows, in: self) }).commit().table
  }
}

@Suite struct CommitTests {
  @Test func anAppendAddsFilesAndCountsThem() throws {
    let warehouse = try Warehouse()
    let table = try warehouse.table().appending("a", "b").appending("c")
    #expect(try liveNames(table) == ["a.parquet", "b.parquet", "c.parquet"])
    let snapshot = try #require(table.metadata.currentSnapshot)
    #expect(snapshot.operation == .append)
    #expect(snapshot.sequenceNumber == 2)
    #expect(snapshot.summary["added-data-files"] == "1")
    #expect(snapshot.summary["total-data-files"] == "3")
    #expect(snapshot.summary["total-records"] == "30")
    #expect(snapshot.parentSnapshotID == table.metadata.snapshots[0].snapshotID)
    #expect(try liveEntries(table).map(\.sequenceNumber) == [2, 1, 1])
    #expect(try table.refresh().metadata == table.metadata)
  }

  @Test func aPropertyIsSetInTheSameCommitAsTheSnapshot() throws {
    let warehouse = try Warehouse()
    let table = try warehouse.table()
    var commit = table.newAppend([fakeFile("a", in: table)])
    commit.setProperties(["fstore.lsn": "7"])
    commit.summary["fstore.lsn"] = "7"
    let result = try commit.commit()
    #expect(result.table.properties["fstore.lsn"] == "7")
    #expect(result.table.metadata.currentSnapshot?.summary["fstore.lsn"] == "7")
    #expect(result.table.metadata.metadataLog.count == 1)
    #expect(result.snapshotID == result.table.metadata.currentSnapshotID)
  }

  @Test func aValidationSeesTheHeadOfEachAttemptAndEndsTheCommit() throws {
    let warehouse = try Warehouse()
    let table = try warehouse.table()
    var first = table.newCommit()
    first.setProperties(["fstore.lsn": "5"])
    _ = try first.commit()
    // Built on the old handle: the validation must see what was committed since.
    var second = table.newAppend([fakeFile("a", in: table)])
    second.validate { metadata throws(IcebergError) in
      guard metadata.properties["fstore.lsn"] == nil else {
        throw IcebergError(
          .validationFailed, "already at \(metadata.properties["fstore.lsn"] ?? "")")
      }
    }
    let error = #expect(throws: IcebergError.self) { try second.commit() }
    #expect(error?.kind == .validationFailed)
    #expect(try liveNames(try table.refresh()) == [])
    #expect(
      try warehouse.names(table.metadata.metadataFolder).allSatisfy { !$0.hasSuffix(".avro") })
  }

  @Test func s30AFileAddedTwiceInOneCommitIsRefused() throws {
    let warehouse = try Warehouse()
    let table = try warehouse.table()
    let error = #expect(throws: IcebergError.self) { try table.appending("a", "a") }
    #expect(error?.kind == .invalidArgument)
  }

  @Test func s44AFileBothAddedAndRemovedIsRefused() throws {
    let warehouse = try Warehouse()
    let table = try warehouse.table().appending("a")
    var commit = table.newCommit()
    let file = fakeFile("a", in: table)
    commit.replace(
      [file], with: [file], startingSnapshotID: try #require(table.metadata.currentSnapshotID))
    let error = #expect(throws: IcebergError.self) { try commit.commit() }
    #expect(error?.kind == .invalidArgument)
  }

  @Test func aReplacementSwapsFilesAndKeepsTheOthersAsTheyWere() throws {
    let warehouse = try Warehouse()
    let table = try warehouse.table().appending("a", "b", "c").appending("d")
    var commit = table.newCommit()
    commit.replace(
      [fakeFile("a", in: table), fakeFile("d", in: table)],
      with: [fakeFile("ad", rows: 20, in: table)],
      startingSnapshotID: try #require(table.metadata.currentSnapshotID), dataSequenceNumber: 2)
    let replaced = try commit.commit().table
    #expect(try liveNames(replaced) == ["ad.parquet", "b.parquet", "c.parquet"])
    let snapshot = try #require(replaced.metadata.currentSnapshot)
    #expect(snapshot.operation == .replace)
    #expect(snapshot.summary["deleted-data-files"] == "2")
    #expect(snapshot.summary["total-records"] == "40")
    let entries = try liveEntries(replaced)
    let added = try #require(entries.first { $0.dataFile.path.hasSuffix("/ad.parquet") })
    #expect(added.sequenceNumber == 2)
    #expect(added.fileSequenceNumber == 3)
    let kept = try #require(entries.first { $0.dataFile.path.hasSuffix("/b.parquet") })
    #expect(kept.sequenceNumber == 1)
    #expect(kept.fileSequenceNumber == 1)
    #expect(kept.snapshotID == table.metadata.snapshots[0].snapshotID)
    #expect(kept.status == .existing)
  }

  @Test func s26AReplacedFileThatIsGoneFailsTheWholeCommit() throws {
    let warehouse = try Warehouse()
    let table = try warehouse.table().appending("a", "b")
    let start = try #require(table.metadata.currentSnapshotID)
    var delete = table.newCommit()
    delete.overwrite([fakeFile("a", in: table)], with: [])
    let after = try delete.commit().table
    #expect(after.metadata.currentSnapshot?.operation == .delete)
    // The tombstone of `a` must not count as the live file.
    var commit = table.newCommit()
    commit.replace(
      [fakeFile("a", in: table), fakeFile("b", in: table)],
      with: [fakeFile("ab", rows: 20, in: table)], startingSnapshotID: start)
    let error = #expect(throws: IcebergError.self) { try commit.commit() }
    #expect(error?.kind == .validationFailed)
    #expect(try liveNames(try table.refresh()) == ["b.parquet"])
  }

  @Test func s52AReplacementThatChangesTheNumberOfRowsIsRefused() throws {
    let warehouse = try Warehouse()
    let table = try warehouse.table().appending("a", "b")
    var commit = table.newCommit()
    commit.replace(
      [fakeFile("a", in: table), fakeFile("b", in: table)],
      with: [fakeFile("ab", rows: 19, in: table)],
      startingSnapshotID: try #require(table.metadata.currentSnapshotID))
    let error = #expect(throws: IcebergError.self) { try commit.commit() }
    #expect(error?.kind == .validationFailed)
  }

  @Test func s31AStartingSnapshotThatIsGoneFailsTheReplacement() throws {
    let warehouse = try Warehouse()
    var table = try warehouse.table().appending("a")
    let start = try #require(table.metadata.currentSnapshotID)
    table = try table.appending("b")
    var expire = table.newCommit()
    expire.removeSnapshots([start])
    table = try expire.commit().table
    var commit = table.newCommit()
    commit.replace(
      [fakeFile("a", in: table)], with: [fakeFile("x", in: table)], startingSnapshotID: start)
    let error = #expect(throws: IcebergError.self) { try commit.commit() }
    #expect(error?.description.contains("cannot determine the history") == true)
  }

  @Test func s58SnapshotTimesGrowWhateverTheClockDoes() throws {
    let clock = SettableClock(milliseconds: 1_000_000)
    let warehouse = try Warehouse(clock: clock)
    var table = try warehouse.table().appending("a")
    clock.set(milliseconds: 500)
    table = try table.appending("b").appending("c")
    #expect(
      table.metadata.snapshots.map(\.timestampMilliseconds) == [1_000_000, 1_000_001, 1_000_002])
    #expect(table.metadata.lastUpdatedMilliseconds == 1_000_002)
  }

  @Test func manifestsAreMergedWhenThereAreEnough() throws {
    let warehouse = try Warehouse()
    var table = try warehouse.table(properties: ["commit.manifest.min-count-to-merge": "5"])
    for index in 0..<12 { table = try table.appending("f\(index)", rows: Int64(index + 1)) }
    let snapshot = try #require(table.metadata.currentSnapshot)
    let list = try ManifestList.read(try table.io.readAll(try #require(snapshot.manifestList)))
    #expect(list.count < 5)
    let entries = try liveEntries(table)
    #expect(entries.count == 12)
    for entry in entries {
      // Merging keeps where each file came from.
      let number = try #require(entry.sequenceNumber)
      #expect(entry.dataFile.recordCount == number)
      #expect(entry.fileSequenceNumber == number)
      #expect(
        entry.snapshotID
          == table.metadata.snapshots.first { $0.sequenceNumber == number }?.snapshotID)
    }
  }

  @Test func aFastAppendLeavesManifestsAlone() throws {
    let warehouse = try Warehouse()
    var table = try warehouse.table(properties: ["commit.manifest.min-count-to-merge": "2"])
    for index in 0..<6 {
      table = try table.newAppend([fakeFile("f\(index)", in: table)], mergesManifests: false)
        .commit().table
    }
    let list = try #require(table.metadata.currentSnapshot?.manifestList)
    #expect(try ManifestList.read(try table.io.readAll(list)).count == 6)
  }

  @Test func s22ABranchHasItsOwnHeadAndKeepsItsRetention() throws {
    let warehouse = try Warehouse()
    var table = try warehouse.table().appending("a")
    var branching = table.newCommit()
    branching.createBranch("b")
    branching.update { metadata throws(IcebergError) in
      guard var reference = metadata.references["main"] else { return [] }
      reference.minSnapshotsToKeep = 3
      return [.setReference(name: "b", reference)]
    }
    table = try branching.commit().table
    table = try table.appending("on-main")
    var commit = table.newAppend([fakeFile("on-b", in: table)])
    commit.branch = "b"
    table = try commit.commit().table
    let head = try #require(table.metadata.snapshot(reference: "b"))
    #expect(head.parentSnapshotID == table.metadata.snapshots[0].snapshotID)
    #expect(table.metadata.references["b"]?.minSnapshotsToKeep == 3)
    #expect(try liveNames(table) == ["a.parquet", "on-main.parquet"])
    #expect(head.summary["total-data-files"] == "2")
  }

  @Test func tagsAreMadeAndRemovedAndKeepTheirSnapshot() throws {
    let warehouse = try Warehouse()
    var table = try warehouse.table().appending("a")
    let first = try #require(table.metadata.currentSnapshotID)
    var tag = table.newCommit()
    tag.createTag("training-1")
    table = try tag.commit().table.appending("b")
    #expect(table.metadata.references["training-1"]?.snapshotID == first)
    var expire = table.newCommit()
    expire.removeSnapshots([first])
    let error = #expect(throws: IcebergError.self) { try expire.commit() }
    #expect(error?.kind == .validationFailed)
    var both = table.newCommit()
    both.removeSnapshots([first], references: ["training-1"])
    table = try both.commit().table
    #expect(table.metadata.snapshots.count == 1)
    #expect(table.metadata.references.keys.sorted() == ["main"])
  }

  @Test func aColumnIsAddedOnceWithAFreshID() throws {
    let warehouse = try Warehouse()
    let table = try warehouse.table()
    for _ in 0..<2 {
      var commit = table.newCommit()
      commit.addColumns([.optional(1, "y", .float)])
      _ = try commit.commit()
    }
    let schema = try table.refresh().schema
    #expect(schema.field(named: "y")?.id == 5)
    #expect(schema.schemaID == 1)
    #expect(schema.identifierFieldIDs == [1])
    var wrong = table.newCommit()
    wrong.addColumns([.optional(1, "y", .string)])
    #expect(throws: IcebergError.self) { try wrong.commit() }
  }

  @Test func formatVersionThreeAssignsRowIDs() throws {
    let warehouse = try Warehouse()
    var table = try warehouse.table().appending("old", rows: 5)
    var upgrade = table.newCommit()
    upgrade.upgradeFormatVersion(to: 3)
    table = try upgrade.commit().table.appending("new", rows: 7)
    let snapshot = try #require(table.metadata.currentSnapshot)
    #expect(snapshot.firstRowID == 0)
    #expect(table.metadata.nextRowID == 12)
    let ranges = try liveEntries(table).map { entry in
      let first = try #require(entry.dataFile.firstRowID)
      return first..<(first + entry.dataFile.recordCount)
    }
    #expect(ranges.count == 2)
    #expect(!ranges[0].overlaps(ranges[1]))
  }
}

@Suite struct CommitRaceTests {
  @Test func s47ConcurrentAppendsLoseAndDoubleNothing() throws {
    let warehouse = try Warehouse()
    // Merging at every third manifest, so that conflicts meet merges.
    let table = try warehouse.table(properties: ["commit.manifest.min-count-to-merge": "3"])
    let failures = Mutex<[String]>([])
    DispatchQueue.concurrentPerform(iterations: 4) { thread in
      do {
        let own = try warehouse.another().loadTable(table.identifier)
        for index in 0..<8 {
          var commit = own.newAppend([fakeFile("\(thread)-\(index)", in: own)])
          commit.options.retryCount = 1000
          commit.options.minimumWaitMilliseconds = 1
          commit.options.maximumWaitMilliseconds = 10
          _ = try commit.commit()
        }
      } catch { failures.withLock { $0.append("\(error)") } }
    }
    #expect(failures.withLock { $0 } == [])
    let final = try table.refresh()
    let expected = (0..<4).flatMap { thread in (0..<8).map { "\(thread)-\($0).parquet" } }.sorted()
    #expect(try liveNames(final) == expected)
    #expect(final.metadata.snapshots.count == 32)
    #expect(final.metadata.ancestors(of: final.metadata.currentSnapshotID).count == 32)
    #expect(Set(final.metadata.snapshots.map(\.sequenceNumber)) == Set(1...32))
    #expect(final.metadata.currentSnapshot?.summary["total-records"] == "320")
    // Nothing of lost attempts stays behind, and nothing that a snapshot needs is missing.
    var needed: Set<String> = []
    for snapshot in final.metadata.snapshots {
      let list = try #require(snapshot.manifestList)
      needed.insert(Location.lastComponent(of: list))
      for manifest in try ManifestList.read(try final.io.readAll(list)) {
        needed.insert(Location.lastComponent(of: manifest.path))
      }
    }
    let names = try warehouse.names(final.metadata.metadataFolder).filter { $0.hasSuffix(".avro") }
    #expect(Set(names) == needed)
  }
}

/// A catalog whose commits report something else than what they did.
final class LyingCatalog: ForwardingCatalog, @unchecked Sendable {
  enum Lie { case unknownThoughCommitted, unknownAndLost, conflictThoughCommitted, conflict }

  private let lies: Mutex<[Lie]>
  /// What others do once a commit has happened, or not, that is lied about.
  var afterwards: () throws -> Void = {}

  init(_ catalog: SQLiteCatalog, _ lies: [Lie]) {
    self.lies = Mutex(lies)
    super.init(catalog)
  }

  override func commit(_ changes: [TableChange]) throws(IcebergError) -> [TableState] {
    let lie = lies.withLock { $0.isEmpty ? nil : $0.removeFirst() }
    if lie != .unknownAndLost, lie != .conflict {
      let states = try super.commit(changes)
      if lie == nil { return states }
    }
    do { try afterwards() } catch { Issue.record(error) }
    let isConflict = lie == .conflictThoughCommitted || lie == .conflict
    throw IcebergError(isConflict ? .commitConflict : .commitStateUnknown, "a lie")
  }
}

@Suite struct CommitOutcomeTests {
  func commit(_ lies: [LyingCatalog.Lie], _ warehouse: Warehouse) throws -> CommitResult {
    let identifier = try TableIdentifier("db.t")
    let table = try LyingCatalog(warehouse.catalog, lies).loadTable(identifier)
    var commit = table.newAppend([fakeFile("x", in: table)])
    commit.options.pause = { _ in }
    return try commit.commit()
  }

  @Test func s19AnUnknownOutcomeThatIsFoundInTheTableIsSuccess() throws {
    let warehouse = try Warehouse()
    _ = try warehouse.table().appending("a")
    let result = try commit([.unknownThoughCommitted], warehouse)
    #expect(try liveNames(result.table) == ["a.parquet", "x.parquet"])
    #expect(result.table.metadata.snapshots.count == 2)
  }

  @Test func s19AConflictThatIsTheEchoOfOurOwnSuccessIsSuccess() throws {
    let warehouse = try Warehouse()
    _ = try warehouse.table().appending("a")
    let result = try commit([.conflictThoughCommitted], warehouse)
    #expect(try liveNames(result.table) == ["a.parquet", "x.parquet"])
    #expect(result.table.metadata.snapshots.count == 2)
  }

  @Test func s19TheEchoIsRecognisedAfterTheLastAttemptToo() throws {
    let warehouse = try Warehouse()
    _ = try warehouse.table(properties: ["commit.retry.num-retries": "0"])
    let result = try commit([.conflictThoughCommitted], warehouse)
    #expect(try liveNames(result.table) == ["x.parquet"])
  }

  /// What became of our success before we looked: a retry could write the rows twice, or bring back what was undone.
  enum Fate: CaseIterable { case builtUpon, rolledBack, rolledBackAndLeft }

  @Test(arguments: Fate.allCases)
  func s19AnEchoWhoseTracesWereExpiredIsUnknownAndNothingIsDeleted(fate: Fate) throws {
    let warehouse = try Warehouse()
    _ = try warehouse.table().appending("a")
    let identifier = try TableIdentifier("db.t")
    let lying = LyingCatalog(warehouse.catalog, [.conflictThoughCommitted])
    lying.afterwards = {
      var table = try warehouse.catalog.loadTable(identifier)
      let ours = try #require(table.metadata.currentSnapshot)
      if fate != .builtUpon {
        var rollback = table.newCommit()
        rollback.rollBack(to: try #require(ours.parentSnapshotID))
        table = try rollback.commit().table
      }
      if fate != .rolledBackAndLeft { table = try table.appending("b") }
      var expiry = table.newCommit()
      expiry.removeSnapshots(
        fate == .builtUpon
          ? table.metadata.snapshots.dropLast().map(\.snapshotID) : [ours.snapshotID])
      _ = try expiry.commit()
    }
    let table = try lying.loadTable(identifier)
    var commit = table.newAppend([fakeFile("x", in: table)])
    commit.options.pause = { _ in }
    let error = #expect(throws: IcebergError.self) { try commit.commit() }
    #expect(error?.kind == .commitStateUnknown)
    let now = try warehouse.catalog.loadTable(identifier)
    let left = fate == .rolledBackAndLeft ? [] : ["b.parquet"]
    #expect(
      try liveNames(now) == ["a.parquet"] + left + (fate == .builtUpon ? ["x.parquet"] : []))
  }

  /// What others committed, and nobody expired, is no reason for doubt.
  @Test func aConflictAfterOthersCommittedIsTriedAgain() throws {
    let warehouse = try Warehouse()
    _ = try warehouse.table().appending("a")
    let identifier = try TableIdentifier("db.t")
    let refusing = LyingCatalog(warehouse.catalog, [.conflict])
    refusing.afterwards = { _ = try warehouse.catalog.loadTable(identifier).appending("b") }
    let table = try refusing.loadTable(identifier)
    var commit = table.newAppend([fakeFile("x", in: table)])
    commit.options.pause = { _ in }
    let result = try commit.commit()
    #expect(result.attemptCount == 2)
    #expect(try liveNames(result.table) == ["a.parquet", "b.parquet", "x.parquet"])
  }

  @Test func s18AfterAnUnknownOutcomeNothingIsDeleted() throws {
    let warehouse = try Warehouse()
    let table = try warehouse.table()
    let error = #expect(throws: IcebergError.self) { try commit([.unknownAndLost], warehouse) }
    #expect(error?.kind == .commitStateUnknown)
    let names = try warehouse.names(table.metadata.metadataFolder)
    #expect(names.count { $0.hasPrefix("snap-") } == 1)
    #expect(names.count { $0.hasSuffix("-m0.avro") } == 1)
  }

  @Test func aConflictThatLastsIsReportedAndCleanedUp() throws {
    let warehouse = try Warehouse()
    let table = try warehouse.table()
    var commit = table.newCommit()
    commit.options.pause = { _ in }
    commit.append([fakeFile("x", in: table)])
    // Somebody else always commits between the refresh and the commit.
    commit.update { [catalog = warehouse.catalog] _ throws(IcebergError) in
      let state = try catalog.loadState(table.identifier)
      _ = try catalog.commit(
        table.identifier, base: state, requirements: [], updates: [.setProperties(["n": "1"])])
      return []
    }
    let error = #expect(throws: IcebergError.self) { try commit.commit() }
    #expect(error?.kind == .commitConflict)
    let after = try table.refresh()
    #expect(after.metadata.metadataLog.count == 5)
    #expect(after.metadata.snapshots.isEmpty)
    #expect(
      try warehouse.names(table.metadata.metadataFolder).allSatisfy { !$0.hasSuffix(".avro") })
  }

  @Test func aConflictIsGivenUpWhenTimeRunsOut() throws {
    let clock = SettableClock(milliseconds: 1_000_000)
    let warehouse = try Warehouse(clock: clock)
    let table = try warehouse.table(properties: [
      "commit.retry.num-retries": "1000", "commit.retry.total-timeout-ms": "5000",
      "commit.retry.min-wait-ms": "1000", "commit.retry.max-wait-ms": "1000",
    ])
    var commit = table.newAppend([fakeFile("x", in: table)])
    let waits = Mutex<[Int64]>([])
    commit.options.pause = { milliseconds in
      waits.withLock { $0.append(milliseconds) }
      clock.set(milliseconds: clock.nowMicroseconds() / 1000 + 1000)
    }
    commit.update { [catalog = warehouse.catalog] _ throws(IcebergError) in
      let state = try catalog.loadState(table.identifier)
      _ = try catalog.commit(
        table.identifier, base: state, requirements: [], updates: [.setProperties(["n": "1"])])
      return []
    }
    let error = #expect(throws: IcebergError.self) { try commit.commit() }
    #expect(error?.kind == .commitConflict)
    #expect(waits.withLock { $0.count } == 5)
    #expect(waits.withLock { $0 }.allSatisfy { (500...1000).contains($0) })
  }

  @Test func anUnknownOutcomeIsLookedUpAsOftenAsThePropertiesSay() throws {
    let warehouse = try Warehouse()
    _ = try warehouse.table(properties: [
      "commit.status-check.num-retries": "4", "commit.status-check.min-wait-ms": "10",
      "commit.status-check.max-wait-ms": "30",
    ])
    let table = try LyingCatalog(warehouse.catalog, [.unknownAndLost])
      .loadTable(try TableIdentifier("db.t"))
    var commit = table.newAppend([fakeFile("x", in: table)])
    let waits = Mutex<[Int64]>([])
    commit.options.pause = { milliseconds in waits.withLock { $0.append(milliseconds) } }
    let error = #expect(throws: IcebergError.self) { try commit.commit() }
    #expect(error?.kind == .commitStateUnknown)
    #expect(waits.withLock { $0 } == [10, 20, 30, 30])
  }
}
