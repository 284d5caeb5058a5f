import Iceberg
import Storage
import TestSupport
import Testing

/// The catalog without a database keeps the rules of the others.
@Suite struct InMemoryCatalogTests {
  private func catalog(_ system: SimulatedFileSystem) throws -> InMemoryCatalog {
    let catalog = InMemoryCatalog(
      name: "m", warehouse: "/w", io: try FileIO(fileSystem: system), clock: SystemClock())
    try catalog.createNamespace(try Namespace("db"))
    return catalog
  }

  private let definition = TableDefinition(schema: Warehouse.schema)

  @Test func whatIsRegisteredIsCheckedLikeWhatIsLoaded() throws {
    let system = SimulatedFileSystem()
    let table = try catalog(system).createTable(try TableIdentifier("db.t"), definition)
    let path = try Location.path(of: table.metadataLocation)
    let bytes = try #require(system.bytes(of: path))
    let other = try catalog(system)
    // A changed letter, and the file under another's name.
    var damaged = bytes
    let place = try #require(damaged.firstIndex(of: UInt8(ascii: "x")))
    damaged[place] = UInt8(ascii: "y")
    system.overwrite(path, with: damaged)
    let changed = #expect(throws: IcebergError.self) {
      try other.registerTable(table.identifier, metadataLocation: path)
    }
    #expect(changed?.description.contains("checksum") == true)
    let renamed = Location.parent(of: path) + "/00007-other.metadata.json"
    try table.io.write(renamed, bytes)
    let misplaced = #expect(throws: IcebergError.self) {
      try other.registerTable(table.identifier, metadataLocation: renamed)
    }
    #expect(misplaced?.description.contains("another one") == true)
    system.overwrite(path, with: bytes)
    let registered = try other.registerTable(table.identifier, metadataLocation: path)
    #expect(registered.metadata == table.metadata)
  }

  @Test func s59ATableAtAboveOrBelowAnotherIsRefusedWithoutADatabaseToo() throws {
    let system = SimulatedFileSystem()
    let catalog = try catalog(system)
    let first = try catalog.createTable(try TableIdentifier("db.a"), definition)
    for location in [
      first.location, first.location + "/data", "/w", "file:" + first.location + "/./x",
    ] {
      var second = definition
      second.location = location
      let error = #expect(throws: IcebergError.self, "\(location)") {
        try catalog.createTable(try TableIdentifier("db.b"), second)
      }
      #expect(error?.kind == .invalidArgument)
    }
    let again = #expect(throws: IcebergError.self) {
      try catalog.registerTable(
        try TableIdentifier("db.b"), metadataLocation: first.metadataLocation)
    }
    #expect(again?.kind == .invalidArgument)
    let same = #expect(throws: IcebergError.self) {
      try catalog.registerTable(first.identifier, metadataLocation: first.metadataLocation)
    }
    #expect(same?.kind == .alreadyExists)
    #expect(try catalog.listTables(try Namespace("db")) == [first.identifier])
  }
}
