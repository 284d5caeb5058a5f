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
