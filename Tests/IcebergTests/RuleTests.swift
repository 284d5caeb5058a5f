import Columnar
import Foundation
import Iceberg
import Storage
import TestSupport
import Testing

/// Rules that other implementations learned by losing data; each test is named after its number.
@Suite struct RuleTests {
  private func row(_ id: Int64) -> Row { Row(id: id, ts: 0, x: nil, name: nil) }

  private func vacuumed(_ table: Table) throws -> VacuumResult {
    var options = VacuumOptions()
    options.olderThanMilliseconds = .max
    options.retainLast = 1
    let vacuum = Vacuum(table, options: options)
    return try vacuum.execute(vacuum.plan())
  }

  @Test func s11WhatATagOrABranchReachesStays() throws {
    let warehouse = try Warehouse()
    var table = try warehouse.table().writing([row(1)])
    var commit = table.newCommit()
    commit.createTag("t")
    commit.createBranch("b")
    table = try commit.commit().table
    table = try table.deleteRows(where: .alwaysTrue).table
    table = try table.writing([row(2)])
    #expect(try vacuumed(table).failure == nil)
    for reference in ["t", "b"] {
      var scan = try table.refresh().newScan()
      scan.version = .reference(reference)
      #expect(try scan.rows().map(\.id) == [1], "\(reference)")
    }
  }

  @Test func s14AFileThatIsAddedAgainStays() throws {
    let warehouse = try Warehouse()
    var table = try warehouse.table().writing([row(1)])
    let file = try table.onlyFile()
    table = try table.deleteRows(where: .alwaysTrue).table
    table = try table.newAppend([file]).commit().table
    #expect(try vacuumed(table).failure == nil)
    #expect(try table.refresh().newScan().rows().map(\.id) == [1])
  }

  @Test func s17TheVersionHintIsOnlyAHint() throws {
    let warehouse = try Warehouse()
    var table = try warehouse.table().writing([row(1)])
    let hint = try warehouse.path(table.metadata.metadataFolder) + "/version-hint.text"
    try Data("99999999-nothing".utf8).write(to: URL(filePath: hint))
    table = try warehouse.another().loadTable(table.identifier)
    #expect(try table.newScan().rows().count == 1)
    table = try table.writing([row(2)])
    let text = try String(contentsOfFile: hint, encoding: .utf8)
    #expect(table.metadataLocation.contains(text))
  }

  @Test func s27AVectorGoesWithItsFileAndItsSiblingsStay() throws {
    let warehouse = try Warehouse()
    var table = try warehouse.catalog.createTable(
      try TableIdentifier("db.t"),
      TableDefinition(
        schema: Warehouse.schema, properties: ["write.delete.mode": "merge-on-read"],
        formatVersion: 3)
    ).writing((0..<20).map { row($0) }, fileRows: 10)
    // Both vectors are in one Puffin file.
    table = try table.deleteRows(where: .isIn("id", [.long(1), .long(11)])).table
    let vectors = try TableInspection(table).files().filter(\.isDeletionVector)
    #expect(vectors.count == 2 && Set(vectors.map(\.path)).count == 1)
    table = try table.deleteRows(where: .comparison("id", .less, .long(10))).table
    let left = try TableInspection(table).files().filter(\.isDeletionVector)
    #expect(left.map(\.referencedDataFile) == [try table.onlyFile().path])
    #expect(try table.newScan().rows().map(\.id) == [10] + (12..<20).map { Int64($0) })
  }

  @Test func s29MergedManifestsKeepNumbersAndStatus() throws {
    let warehouse = try Warehouse()
    var table = try warehouse.table(properties: ["commit.manifest.min-count-to-merge": "3"])
    for id in Int64(0)..<3 { table = try table.writing([row(id)]) }
    let inspection = TableInspection(table)
    let manifests = try inspection.manifests()
    #expect(manifests.count == 1)
    #expect(manifests[0].addedFilesCount == 1 && manifests[0].existingFilesCount == 2)
    #expect(manifests[0].minSequenceNumber == 1)
    let entries = try inspection.entries()
    #expect(entries.map(\.sequenceNumber) == [3, 2, 1])
    #expect(entries.map(\.fileSequenceNumber) == [3, 2, 1])
    #expect(entries.map(\.snapshotID) == table.metadata.snapshots.reversed().map(\.snapshotID))
  }

  @Test func s33OldMetadataFilesStayForThoseWhoReadThem() throws {
    let warehouse = try Warehouse()
    var table = try warehouse.table()
    let first = table.metadataLocation
    for id in Int64(0)..<5 { table = try table.writing([row(id)]) }
    #expect(try warehouse.exists(first))
    #expect(table.properties["write.metadata.previous-versions-max"] == "100")
  }

  @Test func s35NullsInARequiredColumnAreRefused() throws {
    let warehouse = try Warehouse()
    let table = try warehouse.table()
    let good = batch([row(1)])
    let columns = [longs([nil])] + good.columns.dropFirst()
    let writer = try DataFileWriter(table)
    let error = #expect(throws: IcebergError.self) {
      try writer.write(RecordBatch(schema: good.schema, columns: columns, rowCount: 1))
    }
    #expect(error?.description.contains("'id'") == true)
    writer.abandon()
  }

  @Test func s36AnUpgradeDuringACommitEndsIt() throws {
    let warehouse = try Warehouse()
    let table = try warehouse.table()
    var commit = table.newAppend([fakeFile("x", in: table)])
    commit.options.pause = { _ in }
    commit.update { [catalog = warehouse.catalog] metadata throws(IcebergError) in
      guard metadata.formatVersion == 2 else { return [] }
      _ = try catalog.commit(
        table.identifier, base: try catalog.loadState(table.identifier), requirements: [],
        updates: [.upgradeFormatVersion(3)])
      return []
    }
    let error = #expect(throws: IcebergError.self) { try commit.commit() }
    #expect(error?.kind == .validationFailed)
    #expect(error?.description.contains("format version") == true)
    #expect(try table.refresh().metadata.snapshots.isEmpty)
  }

  @Test func s37ChoicesForOneJobAreNotAnothers() throws {
    let warehouse = try Warehouse()
    var table = try warehouse.table().writing([row(1)])
    let first = try #require(table.metadata.currentSnapshotID)
    table = try table.writing([row(2)])
    var options = VacuumOptions()
    options.snapshotIDs = [first]
    let chosen = Vacuum(table, options: options)
    let standard = Vacuum(table)
    #expect(try chosen.plan().expiry?.expiredSnapshotIDs == [first])
    #expect(try standard.plan().expiry?.expiredSnapshotIDs.isEmpty == true)
    #expect(try chosen.plan().expiry?.expiredSnapshotIDs == [first])
  }

  @Test func s46WhatCannotBeDeletedAfterACommitDoesNotUndoIt() throws {
    let warehouse = try Warehouse()
    var table = try warehouse.table(properties: ["write.metadata.previous-versions-max": "1"])
    let first = table.metadataLocation
    table = try table.writing([row(1)])
    // A folder in the file's place cannot be removed as a file.
    try FileManager.default.removeItem(atPath: warehouse.path(first))
    try FileManager.default.createDirectory(
      atPath: warehouse.path(first) + "/x", withIntermediateDirectories: true)
    table = try table.writing([row(2)])
    #expect(try warehouse.exists(first))
    #expect(!table.metadata.metadataLog.contains { $0.metadataFile == first })
    #expect(try table.refresh().newScan().rows().map(\.id) == [1, 2])
  }

  @Test func s55RenamingDroppingAndRegisteringOverwriteNoCommit() throws {
    let warehouse = try Warehouse()
    let catalog = warehouse.catalog
    let table = try warehouse.table().writing([row(1)])
    let old = table.metadataLocation
    let newer = try table.writing([row(2)])
    // Over a name that is taken, with a table that lies elsewhere.
    let elsewhere = try warehouse.table("db.v")
    try catalog.dropTable(elsewhere.identifier)
    let taken = #expect(throws: IcebergError.self) {
      try catalog.registerTable(
        table.identifier, metadataLocation: elsewhere.metadataLocation)
    }
    #expect(taken?.kind == .alreadyExists)
    #expect(try catalog.loadState(table.identifier).metadataLocation == newer.metadataLocation)
    // Under a name that has gone.
    let other = try TableIdentifier("db.u")
    try catalog.renameTable(table.identifier, to: other)
    #expect(throws: IcebergError.self) { try newer.writing([row(3)]) }
    #expect(try catalog.loadTable(other).newScan().rows().map(\.id) == [1, 2])
    // On a table that was dropped and comes back as it was before.
    try catalog.dropTable(other)
    _ = try catalog.registerTable(table.identifier, metadataLocation: old)
    let conflict = #expect(throws: IcebergError.self) {
      try catalog.commit(
        table.identifier, base: newer.state, requirements: [],
        updates: [.setProperties(["a": "b"])])
    }
    #expect(conflict?.kind == .commitConflict)
    #expect(try catalog.loadTable(table.identifier).newScan().rows().map(\.id) == [1])
  }

  @Test func s39AFailedRewriteLeavesNoFiles() throws {
    let warehouse = try Warehouse()
    let table = try warehouse.table().writing((0..<20).map { row($0) }, fileRows: 2)
    let job = try RewriteDataFiles(
      table,
      options: try RewriteDataFilesOptions([
        "rewrite-all": "true", "partial-progress.enabled": "false",
      ]))
    let plan = try job.plan()
    let changed = try table.deleteRows(where: .comparison("id", .equal, .long(3))).table
    let before = try warehouse.names(table.location + "/data")
    #expect(throws: IcebergError.self) { try job.execute(plan) }
    #expect(try warehouse.names(table.location + "/data") == before)
    #expect(try changed.refresh().newScan().rows().count == 19)
  }

  @Test func s43ReadersAndWritersOfTheCatalogDoNotWaitForEachOther() throws {
    let warehouse = try Warehouse()
    _ = try warehouse.table()
    let header = try Data(contentsOf: URL(filePath: warehouse.folder + "/catalog.db")).prefix(20)
    // Bytes 18 and 19 of an SQLite file: 2 for a write-ahead log.
    #expect(header[18] == 2 && header[19] == 2)
  }

  @Test func s48ReferrersGoBeforeWhatTheyReferTo() throws {
    let warehouse = try Warehouse()
    var table = try warehouse.table().writing([row(1)])
    table = try table.deleteRows(where: .alwaysTrue).table
    table = try table.writing([row(2)])
    var options = VacuumOptions()
    options.olderThanMilliseconds = .max
    options.retainLast = 1
    let kinds = try Vacuum(table, options: options).plan().files.map(\.kind)
    let order: [TableFileKind] = [.manifestList, .manifest, .data]
    #expect(kinds.filter { order.contains($0) } == kinds && Set(kinds) == Set(order))
    let places = kinds.compactMap { order.firstIndex(of: $0) }
    #expect(places == places.sorted())
  }

  @Test func s50SpellingsOfOneLocationAreOne() throws {
    var random = SeededGenerator(seed: 50)
    for _ in 0..<500 {
      let names = (0..<(1 + random.below(4))).map { _ in
        ["a", "b c", "%2e", "..x", "é", "x=1"][random.below(6)]
      }
      let plain = "/" + names.joined(separator: "/")
      var spelled = ["", "file:", "file://", "file://localhost"][random.below(4)]
      for name in names {
        spelled += ["/", "//", "/./"][random.below(3)] + name
      }
      // After a scheme, two slashes would begin an authority.
      guard !spelled.hasPrefix("file://localhost//"), !spelled.hasPrefix("file:////"),
        !spelled.hasPrefix("file://."),
        !(spelled.hasPrefix("file://") && !spelled.hasPrefix("file:///")
          && !spelled.hasPrefix("file://localhost/"))
      else { continue }
      spelled += ["", "/", "//"][random.below(3)]
      #expect(try Location.comparable(spelled) == plain, "\(spelled)")
    }
  }

  @Test func s53WhatWasAcknowledgedSurvivesALossOfPower() throws {
    for seed in UInt64(1)...10 {
      let system = SimulatedFileSystem()
      let catalog = InMemoryCatalog(
        name: "s", warehouse: "/w", io: try FileIO(fileSystem: system), clock: SystemClock())
      let identifier = try TableIdentifier("db.t")
      try catalog.createNamespace(identifier.namespace)
      var table = try catalog.createTable(
        identifier, TableDefinition(schema: Warehouse.schema))
      for id in Int64(0)..<3 { table = try table.writing([row(id)]) }
      let io = try FileIO(fileSystem: system.crashed(seed: seed))
      let metadata = try TableMetadata(fileContent: try io.readAll(table.metadataLocation))
      let after = Table(
        identifier: identifier,
        state: TableState(metadata: metadata, metadataLocation: table.metadataLocation),
        catalog: catalog, io: io, clock: SystemClock())
      #expect(try after.newScan().rows().count == 3, "seed \(seed)")
    }
  }
}
