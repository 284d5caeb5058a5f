import Foundation
import Iceberg
import Storage
import Synchronization
import Testing

@Suite struct CatalogTests {
  @Test func aTableIsCreatedLoadedListedAndDropped() throws {
    let warehouse = try Warehouse()
    let catalog = warehouse.catalog
    let created = try warehouse.table()
    #expect(created.location.hasPrefix("file://" + warehouse.folder + "/warehouse/db/t-"))
    let loaded = try warehouse.another().loadTable(created.identifier)
    #expect(loaded.metadata == created.metadata)
    #expect(try catalog.listTables(try Namespace("db")) == [created.identifier])
    try catalog.dropTable(created.identifier)
    #expect(try !catalog.tableExists(created.identifier))
    #expect(try warehouse.exists(created.metadataLocation))
    let error = #expect(throws: IcebergError.self) { try catalog.loadTable(created.identifier) }
    #expect(error?.kind == .notFound)
  }

  @Test func aNameIsTakenOnce() throws {
    let warehouse = try Warehouse()
    let table = try warehouse.table()
    let error = #expect(throws: IcebergError.self) { try warehouse.table() }
    #expect(error?.kind == .alreadyExists)
    #expect(try warehouse.catalog.loadTable(table.identifier).metadata == table.metadata)
  }

  @Test func namesAreBoundAndNeverPartOfAStatement() throws {
    let warehouse = try Warehouse()
    let name = "x'; DROP TABLE iceberg_tables; --"
    let identifier = try TableIdentifier(try Namespace("db"), name)
    let table = try warehouse.catalog.createTable(
      identifier, TableDefinition(schema: Warehouse.schema))
    #expect(try warehouse.catalog.listTables(try Namespace("db")).map(\.name) == [name])
    #expect(!table.location.contains("'"))
  }

  @Test func namespacesAreCreatedListedAndDropped() throws {
    let warehouse = try Warehouse()
    let catalog = warehouse.catalog
    let inner = try Namespace("a.b")
    try catalog.createNamespace(inner, properties: ["owner": "me"])
    #expect(try catalog.listNamespaces().map(\.description) == ["a.b", "db"])
    #expect(try catalog.namespaceProperties(inner) == ["owner": "me"])
    #expect(throws: IcebergError.self) { try catalog.createNamespace(inner, properties: [:]) }
    try catalog.dropNamespace(inner)
    #expect(throws: IcebergError.self) { try catalog.namespaceProperties(inner) }
    _ = try warehouse.table()
    #expect(throws: IcebergError.self) { try catalog.dropNamespace(try Namespace("db")) }
  }

  @Test func aTableNeedsItsNamespace() throws {
    let warehouse = try Warehouse()
    let error = #expect(throws: IcebergError.self) { try warehouse.table("nowhere.t") }
    #expect(error?.kind == .notFound)
  }

  @Test func aTableIsRenamed() throws {
    let warehouse = try Warehouse()
    let table = try warehouse.table()
    let new = try TableIdentifier("db.u")
    try warehouse.catalog.renameTable(table.identifier, to: new)
    #expect(try warehouse.catalog.loadTable(new).metadata.tableUUID == table.metadata.tableUUID)
    #expect(try !warehouse.catalog.tableExists(table.identifier))
    _ = try warehouse.table()
    let error = #expect(throws: IcebergError.self) {
      try warehouse.catalog.renameTable(table.identifier, to: new)
    }
    #expect(error?.kind == .alreadyExists)
  }

  @Test func aTableIsRegistered() throws {
    let warehouse = try Warehouse()
    let table = try warehouse.table()
    try warehouse.catalog.dropTable(table.identifier)
    let again = try warehouse.catalog.registerTable(
      try TableIdentifier("db.again"), metadataLocation: table.metadataLocation)
    #expect(again.metadata == table.metadata)
  }

  @Test func s59ASecondTableAtAboveOrBelowAnotherIsRefused() throws {
    let warehouse = try Warehouse()
    let table = try warehouse.table()
    for location in [
      table.location, table.location + "/data/x", Location.parent(of: table.location),
    ] {
      #expect(throws: IcebergError.self) {
        try warehouse.catalog.createTable(
          try TableIdentifier("db.other"),
          TableDefinition(schema: Warehouse.schema, location: location))
      }
    }
    #expect(throws: IcebergError.self) {
      try warehouse.catalog.registerTable(
        try TableIdentifier("db.other"), metadataLocation: table.metadataLocation)
    }
  }

  @Test func aCommitOnAnOldStateIsAConflictAndLeavesNoFile() throws {
    let warehouse = try Warehouse()
    let table = try warehouse.table()
    _ = try warehouse.another().commit(
      table.identifier, base: table.state, requirements: [], updates: [.setProperties(["a": "1"])])
    let before = try warehouse.names(table.metadata.metadataFolder)
    let error = #expect(throws: IcebergError.self) {
      try warehouse.catalog.commit(
        table.identifier, base: table.state, requirements: [], updates: [.setProperties(["b": "2"])]
      )
    }
    #expect(error?.kind == .commitConflict)
    #expect(try warehouse.names(table.metadata.metadataFolder) == before)
    #expect(try table.refresh().properties["a"] == "1")
    #expect(try table.refresh().properties["b"] == nil)
  }

  @Test func theVersionHintNamesTheCurrentMetadataFile() throws {
    let warehouse = try Warehouse()
    var commit = try warehouse.table().newCommit()
    commit.setProperties(["a": "b"])
    let table = try commit.commit().table
    let hint = try String(
      contentsOfFile: try warehouse.path(table.metadata.metadataFolder) + "/version-hint.text",
      encoding: .utf8)
    #expect(table.metadataLocation.hasSuffix("/\(hint).metadata.json"))
    #expect(hint.hasPrefix("00001-"))
  }

  @Test func oldMetadataFilesAreDeletedAfterCommits() throws {
    let warehouse = try Warehouse()
    var table = try warehouse.table(properties: ["write.metadata.previous-versions-max": "2"])
    for index in 0..<6 {
      var commit = table.newCommit()
      commit.setProperties(["n": "\(index)"])
      table = try commit.commit().table
    }
    let names = try warehouse.names(table.metadata.metadataFolder)
    #expect(names.count { $0.hasSuffix(".metadata.json") } == 3)
    #expect(try warehouse.exists(table.metadataLocation))
  }

  @Test func s20ATableThatWasDroppedAndCreatedAgainIsAnotherOne() throws {
    let warehouse = try Warehouse()
    let table = try warehouse.table()
    try warehouse.catalog.dropTable(table.identifier)
    _ = try warehouse.table()
    let error = #expect(throws: IcebergError.self) { try table.refresh() }
    #expect(error?.kind == .validationFailed)
  }

  @Test func typesOfFormatVersionThreeAreRefusedInVersionTwo() throws {
    let warehouse = try Warehouse()
    var definition = TableDefinition(
      schema: TableSchema(fields: [.optional(1, "t", .timestamptzNs)]))
    #expect(throws: IcebergError.self) {
      try warehouse.catalog.createTable(try TableIdentifier("db.n"), definition)
    }
    definition.formatVersion = 3
    let table = try warehouse.catalog.createTable(try TableIdentifier("db.n"), definition)
    #expect(table.metadata.formatVersion == 3)
  }

  @Test func s16ConcurrentCommitsLoseNothing() throws {
    let warehouse = try Warehouse()
    let table = try warehouse.table()
    let failures = Mutex<[String]>([])
    DispatchQueue.concurrentPerform(iterations: 4) { thread in
      do {
        let own = try warehouse.another().loadTable(table.identifier)
        for index in 0..<8 {
          var commit = own.newCommit()
          commit.options.retryCount = 1000
          commit.options.minimumWaitMilliseconds = 1
          commit.options.maximumWaitMilliseconds = 10
          commit.setProperties(["\(thread)-\(index)": "x"])
          _ = try commit.commit()
        }
      } catch { failures.withLock { $0.append("\(error)") } }
    }
    #expect(failures.withLock { $0 } == [])
    let final = try table.refresh()
    #expect(final.properties.values.count { $0 == "x" } == 32)
    #expect(final.metadata.metadataLog.count == 32)
  }
}
