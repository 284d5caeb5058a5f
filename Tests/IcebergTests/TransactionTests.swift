import Iceberg
import Testing

/// Commits of several tables at once, and tables replaced as a whole.
@Suite struct CatalogTransactionTests {
  private func two(_ warehouse: Warehouse) throws -> (Table, Table) {
    (try warehouse.table("db.a"), try warehouse.table("db.b"))
  }

  private func append(_ name: String, to table: Table) -> TableCommit {
    table.newAppend([fakeFile(name, in: table)])
  }

  private func transaction(_ commits: [TableCommit]) -> CatalogTransaction {
    var transaction = CatalogTransaction(commits)
    transaction.options.pause = { _ in }
    return transaction
  }

  @Test func twoTablesChangeTogether() throws {
    let warehouse = try Warehouse()
    let (a, b) = try two(warehouse)
    var commit = append("y", to: b)
    commit.setProperties(["k": "v"])
    let results = try transaction([append("x", to: a), commit]).commit()
    #expect(results.map(\.attemptCount) == [1, 1])
    #expect(try results.map { try liveNames($0.table) } == [["x.parquet"], ["y.parquet"]])
    let other = try warehouse.another()
    let loaded = try other.loadTable(try TableIdentifier("db.b"))
    #expect(try liveNames(loaded) == ["y.parquet"] && loaded.properties["k"] == "v")
    #expect(results[1].snapshotID == loaded.metadata.currentSnapshotID)
  }

  @Test func aConflictOfOneBuildsAllAnew() throws {
    let warehouse = try Warehouse()
    let (a, b) = try two(warehouse)
    let interloper = Interloper(warehouse.catalog) { _ = try b.appending("z") }
    let results = try transaction([
      append("x", to: try interloper.loadTable(a.identifier)),
      append("y", to: try interloper.loadTable(b.identifier)),
    ]).commit()
    #expect(results.map(\.attemptCount) == [2, 2])
    #expect(try liveNames(try a.refresh()) == ["x.parquet"])
    #expect(try liveNames(try b.refresh()) == ["y.parquet", "z.parquet"])
    #expect(try a.refresh().metadata.snapshots.count == 1)
    // What the first attempt wrote is gone.
    let manifests = try warehouse.names(a.metadata.metadataFolder).filter {
      $0.hasSuffix(".avro")
    }
    #expect(manifests.count == 2)
  }

  @Test func whenOneTableMayNotChangeNoneDoes() throws {
    let warehouse = try Warehouse()
    let (a, b) = try two(warehouse)
    var refused = append("y", to: b)
    refused.validate { _ throws(IcebergError) in throw IcebergError(.validationFailed, "no") }
    let error = #expect(throws: IcebergError.self) {
      try transaction([append("x", to: a), refused]).commit()
    }
    #expect(error?.kind == .validationFailed)
    #expect(try a.refresh().metadata == a.metadata && b.refresh().metadata == b.metadata)
    for table in [a, b] {
      let names = try warehouse.names(table.metadata.metadataFolder)
      #expect(
        names.count { $0.hasSuffix(".json") } == 1 && !names.contains { $0.hasSuffix(".avro") })
    }
  }

  @Test(arguments: [
    LyingCatalog.Lie.unknownThoughCommitted, .conflictThoughCommitted,
  ])
  func s19AnUnclearAnswerIsLookedUpInTheTables(lie: LyingCatalog.Lie) throws {
    let warehouse = try Warehouse()
    let (a, b) = try two(warehouse)
    let liar = LyingCatalog(warehouse.catalog, [lie])
    let results = try transaction([
      append("x", to: try liar.loadTable(a.identifier)),
      append("y", to: try liar.loadTable(b.identifier)),
    ]).commit()
    #expect(try results.map { try liveNames($0.table) } == [["x.parquet"], ["y.parquet"]])
    #expect(try b.refresh().metadata.snapshots.count == 1)
  }

  @Test func s18ALostTransactionStaysUnknownAndNothingIsDeleted() throws {
    let warehouse = try Warehouse()
    let (a, b) = try two(warehouse)
    let liar = LyingCatalog(warehouse.catalog, [.unknownAndLost])
    let error = #expect(throws: IcebergError.self) {
      try transaction([
        append("x", to: try liar.loadTable(a.identifier)),
        append("y", to: try liar.loadTable(b.identifier)),
      ]).commit()
    }
    #expect(error?.kind == .commitStateUnknown)
    for table in [a, b] {
      let names = try warehouse.names(table.metadata.metadataFolder)
      #expect(names.contains { $0.hasSuffix(".avro") })
    }
  }

  @Test func oneTableTwiceOrTablesOfTwoCatalogsAreRefused() throws {
    let warehouse = try Warehouse()
    let (a, b) = try two(warehouse)
    let twice = #expect(throws: IcebergError.self) {
      try transaction([append("x", to: a), append("y", to: a)]).commit()
    }
    #expect(twice?.kind == .invalidArgument)
    let stranger = try warehouse.another().loadTable(b.identifier)
    let apart = #expect(throws: IcebergError.self) {
      try transaction([append("x", to: a), append("y", to: stranger)]).commit()
    }
    #expect(apart?.kind == .invalidArgument)
    #expect(try transaction([]).commit().isEmpty)
    #expect(try a.refresh().metadata == a.metadata)
  }
}

/// Somebody else acts just before the first commit arrives.
private final class Interloper: ForwardingCatalog, @unchecked Sendable {
  // Unchecked: used by one test.
  private var act: (() throws -> Void)?

  init(_ catalog: SQLiteCatalog, _ act: @escaping () throws -> Void) {
    self.act = act
    super.init(catalog)
  }

  override func commit(_ changes: [TableChange]) throws(IcebergError) -> [TableState] {
    let act = act
    self.act = nil
    do { try act?() } catch { Issue.record(error) }
    return try super.commit(changes)
  }
}

@Suite struct TableReplacementTests {
  private func definition(
    _ fields: [NestedField], spec: PartitionSpec = .unpartitioned, formatVersion: Int = 2
  ) -> TableDefinition {
    TableDefinition(
      schema: TableSchema(fields: fields), partitionSpec: spec, properties: ["new": "1"],
      formatVersion: formatVersion)
  }

  @Test func aReplacedTableStartsAnewAndKeepsItsPast() throws {
    let warehouse = try Warehouse()
    let rows = (0..<10).map { Row(id: $0, ts: 0, x: 1, name: "a") }
    let old = try warehouse.table(properties: ["old": "1"]).writing(rows)
    let before = try #require(old.metadata.currentSnapshotID)
    // Other ids in the definition: names decide. `x` becomes text, `extra` is new.
    var commit = try old.newReplacement(
      definition([
        .optional(7, "name", .string), .required(8, "id", .long), .required(9, "ts", .timestamptz),
        .optional(10, "extra", .long), .optional(11, "x", .double),
      ]))
    #expect(commit.table.schema.fields.map(\.id) == [4, 1, 2, 5, 3])
    commit.append([fakeFile("new", in: commit.table)])
    let result = try commit.commit()
    let table = result.table
    #expect(try liveNames(table) == ["new.parquet"])
    #expect(table.metadata.tableUUID == old.metadata.tableUUID && table.location == old.location)
    #expect(table.properties["old"] == "1" && table.properties["new"] == "1")
    #expect(table.metadata.lastColumnID == 5)
    let snapshot = try #require(table.metadata.currentSnapshot)
    #expect(snapshot.parentSnapshotID == nil && snapshot.sequenceNumber == 2)
    // The past can be read, and come back.
    var scan = table.newScan()
    scan.version = .snapshot(before)
    #expect(try scan.rows() == rows)
    var back = table.newCommit()
    back.setCurrentSnapshot(before)
    _ = try back.commit()
    #expect(try liveEntries(try table.refresh()).count == 1)
    #expect(try liveNames(try table.refresh()) != ["new.parquet"])
  }

  @Test func aTableReplacedWithoutRowsIsEmpty() throws {
    let warehouse = try Warehouse()
    let old = try warehouse.table().appending("a")
    let table = try old.newReplacement(definition([.required(1, "k", .long)])).commit().table
    #expect(table.metadata.currentSnapshotID == nil && table.metadata.snapshots.count == 1)
    #expect(table.schema.fields.map(\.id) == [5])
    #expect(try table.newScan().rows().isEmpty)
    // And goes on as any table.
    #expect(try liveNames(try table.appending("b")) == ["b.parquet"])
  }

  @Test func partitionFieldsThatComeBackKeepTheirIDs() throws {
    let warehouse = try Warehouse()
    let spec = PartitionSpec(fields: [
      PartitionField(sourceID: 1, fieldID: 1000, name: "id_bucket", transform: .bucket(4))
    ])
    let old = try warehouse.table(spec: spec)
    let other = PartitionSpec(fields: [
      PartitionField(sourceID: 21, fieldID: 1000, name: "day", transform: .day),
      PartitionField(sourceID: 20, fieldID: 1001, name: "id_bucket", transform: .bucket(4)),
    ])
    let table = try old.newReplacement(
      definition([.required(20, "id", .long), .required(21, "ts", .timestamptz)], spec: other)
    ).commit().table
    let fields = table.metadata.defaultPartitionSpec.fields
    #expect(fields.map(\.fieldID) == [1001, 1000] && fields.map(\.sourceID) == [2, 1])
    #expect(table.metadata.lastPartitionID == 1001 && table.metadata.partitionSpecs.count == 2)
  }

  @Test func rowsOfOthersAreReplacedTooButNotTheirColumns() throws {
    let warehouse = try Warehouse()
    let old = try warehouse.table().appending("a")
    var commit = try old.newReplacement(definition([.required(1, "k", .long)]))
    commit.append([fakeFile("new", in: commit.table)])
    _ = try old.appending("b")
    #expect(try liveNames(try commit.commit().table) == ["new.parquet"])

    commit = try old.newReplacement(definition([.required(1, "l", .long)]))
    var evolution = try old.refresh().newCommit()
    var update = SchemaUpdate()
    update.add(.optional(1, "m", .string))
    evolution.updateSchema(update)
    _ = try evolution.commit()
    let error = #expect(throws: IcebergError.self) { try commit.commit() }
    #expect(error?.kind == .validationFailed)
    #expect(try liveNames(try old.refresh()) == ["new.parquet"])
  }

  @Test func aTableIsReplacedByANewerFormatOnly() throws {
    let warehouse = try Warehouse()
    let fields: [NestedField] = [.required(1, "k", .long)]
    let table = try warehouse.table().newReplacement(definition(fields, formatVersion: 3)).commit()
      .table
    #expect(table.metadata.formatVersion == 3)
    let error = #expect(throws: IcebergError.self) {
      try table.newReplacement(definition(fields, formatVersion: 2))
    }
    #expect(error?.kind == .invalidArgument)
    var elsewhere = definition(fields, formatVersion: 3)
    elsewhere.location = "file:///elsewhere"
    #expect(throws: IcebergError.self) { try table.newReplacement(elsewhere) }
  }
}
