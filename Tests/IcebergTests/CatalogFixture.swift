import Foundation
import Iceberg
import Storage

/// A warehouse in a temporary folder, removed with the last reference.
final class Warehouse: Sendable {
  let folder: String
  let catalog: SQLiteCatalog

  static let schema = TableSchema(
    fields: [
      .required(1, "id", .long), .required(2, "ts", .timestamptz), .optional(3, "x", .double),
      .optional(4, "name", .string),
    ], identifierFieldIDs: [1])

  init(clock: any WallClock = SystemClock()) throws {
    folder = FileManager.default.temporaryDirectory.path + "/fstore-iceberg-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    catalog = try Self.open(folder, clock)
    try catalog.createNamespace(try Namespace("db"))
  }

  /// Another connection to the same catalog, as another process has it.
  func another() throws -> SQLiteCatalog { try Self.open(folder, SystemClock()) }

  private static func open(_ folder: String, _ clock: any WallClock) throws -> SQLiteCatalog {
    try SQLiteCatalog(
      databasePath: folder + "/catalog.db", name: "test", warehouse: folder + "/warehouse",
      io: try FileIO(fileSystem: POSIXFileSystem()), clock: clock)
  }

  func table(
    _ name: String = "db.t", properties: [String: String] = [:],
    spec: PartitionSpec = .unpartitioned
  ) throws -> Table {
    try catalog.createTable(
      try TableIdentifier(name),
      TableDefinition(schema: Self.schema, partitionSpec: spec, properties: properties))
  }

  func path(_ location: String) throws -> String { try Location.path(of: location) }

  func exists(_ location: String) throws -> Bool {
    FileManager.default.fileExists(atPath: try path(location))
  }

  /// The names in a folder of a table.
  func names(_ location: String) throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: try path(location)).sorted()
  }

  deinit { try? FileManager.default.removeItem(atPath: folder) }
}

/// A clock that the test sets.
final class SettableClock: WallClock, @unchecked Sendable {
  private let lock = NSLock()
  private var now: Int64

  init(milliseconds: Int64) { now = milliseconds * 1000 }

  func set(milliseconds: Int64) { lock.withLock { now = milliseconds * 1000 } }
  func nowMicroseconds() -> Int64 { lock.withLock { now } }
}

/// A data file that is only spoken of: no commit opens data files.
func fakeFile(_ name: String, rows: Int64 = 10, in table: Table) -> DataFile {
  DataFile(
    path: table.location + "/data/\(name).parquet", recordCount: rows, fileSizeInBytes: rows * 100)
}

/// A catalog that hands everything on, for tests to come in between.
class ForwardingCatalog: Catalog, @unchecked Sendable {
  // Unchecked for those who inherit; it has no state of its own.
  private let catalog: SQLiteCatalog

  init(_ catalog: SQLiteCatalog) { self.catalog = catalog }

  var name: String { catalog.name }

  func commit(_ changes: [TableChange]) throws(IcebergError) -> [TableState] {
    try catalog.commit(changes)
  }

  func loadTable(_ identifier: TableIdentifier) throws(IcebergError) -> Table {
    let table = try catalog.loadTable(identifier)
    return Table(
      identifier: identifier, state: table.state, catalog: self, io: table.io, clock: table.clock)
  }

  func loadState(_ identifier: TableIdentifier) throws(IcebergError) -> TableState {
    try catalog.loadState(identifier)
  }

  func createNamespace(
    _ namespace: Namespace, properties: [String: String]
  ) throws(IcebergError) { try catalog.createNamespace(namespace, properties: properties) }

  func listNamespaces() throws(IcebergError) -> [Namespace] { try catalog.listNamespaces() }

  func namespaceProperties(_ namespace: Namespace) throws(IcebergError) -> [String: String] {
    try catalog.namespaceProperties(namespace)
  }

  func dropNamespace(_ namespace: Namespace) throws(IcebergError) {
    try catalog.dropNamespace(namespace)
  }

  func listTables(_ namespace: Namespace) throws(IcebergError) -> [TableIdentifier] {
    try catalog.listTables(namespace)
  }

  func tableExists(_ identifier: TableIdentifier) throws(IcebergError) -> Bool {
    try catalog.tableExists(identifier)
  }

  func createTable(
    _ identifier: TableIdentifier, _ definition: TableDefinition
  ) throws(IcebergError) -> Table { try catalog.createTable(identifier, definition) }

  func dropTable(_ identifier: TableIdentifier) throws(IcebergError) {
    try catalog.dropTable(identifier)
  }

  func renameTable(
    _ identifier: TableIdentifier, to newIdentifier: TableIdentifier
  ) throws(IcebergError) { try catalog.renameTable(identifier, to: newIdentifier) }

  func registerTable(
    _ identifier: TableIdentifier, metadataLocation: String
  ) throws(IcebergError) -> Table {
    try catalog.registerTable(identifier, metadataLocation: metadataLocation)
  }
}
