import Foundation
import Iceberg
import Storage

/// A warehouse in a temporary folder, removed with the last reference.
final class MaintenanceFixture {
  let folder: String
  let catalog: SQLiteCatalog
  let clock = SettableClock()

  static let schema = TableSchema(
    fields: [
      .required(1, "id", .long), .required(2, "ts", .timestamptz), .optional(3, "x", .double),
      .optional(4, "name", .string),
    ], identifierFieldIDs: [1])

  init(fileSystem: any FileSystem = POSIXFileSystem()) throws {
    folder = FileManager.default.temporaryDirectory.path + "/fstore-vacuum-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    catalog = try SQLiteCatalog(
      databasePath: folder + "/catalog.db", name: "test", warehouse: folder + "/warehouse",
      io: try FileIO(fileSystem: fileSystem), clock: clock)
    try catalog.createNamespace(try Namespace("db"))
  }

  deinit { try? FileManager.default.removeItem(atPath: folder) }

  func table(
    _ name: String = "db.t", properties: [String: String] = [:],
    spec: PartitionSpec = .unpartitioned, location: String? = nil
  ) throws -> Table {
    try catalog.createTable(
      try TableIdentifier(name),
      TableDefinition(
        schema: Self.schema, partitionSpec: spec, properties: properties, location: location))
  }

  /// Creates a file below the table, a given number of days old.
  @discardableResult
  func write(_ name: String, in table: Table, days: Double = 0) throws -> String {
    let location = table.location + "/" + name
    let path = try Location.path(of: location)
    try FileManager.default.createDirectory(
      atPath: (path as NSString).deletingLastPathComponent, withIntermediateDirectories: true)
    try Data("content of \(name)".utf8).write(to: URL(fileURLWithPath: path))
    try age(name, in: table, days: days)
    return location
  }

  func age(_ name: String, in table: Table, days: Double) throws {
    let date = Date(timeIntervalSinceNow: -days * 86_400)
    try FileManager.default.setAttributes(
      [.modificationDate: date], ofItemAtPath: try Location.path(of: table.location + "/" + name))
  }

  /// A commit that appends a file which really is there; no commit looks inside.
  func append(_ name: String, to table: Table, rows: Int64 = 10) throws -> Table {
    clock.advance(milliseconds: 1000)
    return try table.newAppend([try file(name, in: table, rows: rows)]).commit().table
  }

  func file(_ name: String, in table: Table, rows: Int64 = 10) throws -> DataFile {
    let location = try write("data/\(name).parquet", in: table)
    return DataFile(path: location, recordCount: rows, fileSizeInBytes: 100)
  }

  func exists(_ name: String, in table: Table) throws -> Bool {
    FileManager.default.fileExists(atPath: try Location.path(of: table.location + "/" + name))
  }

  /// All files below the table, without those with hidden names.
  func files(of table: Table) throws -> Set<String> {
    let root = try Location.path(of: table.location)
    var files: Set<String> = []
    for case let name as String in FileManager.default.enumerator(atPath: root)! {
      var isDirectory: ObjCBool = false
      _ = FileManager.default.fileExists(atPath: root + "/" + name, isDirectory: &isDirectory)
      if !isDirectory.boolValue, !(name as NSString).lastPathComponent.hasPrefix(".") {
        files.insert(name)
      }
    }
    return files
  }
}

/// The real time, and what a test adds to it.
final class SettableClock: WallClock, @unchecked Sendable {
  private let lock = NSLock()
  private var offset: Int64 = 0

  func advance(milliseconds: Int64) { lock.withLock { offset += milliseconds * 1000 } }

  func nowMicroseconds() -> Int64 {
    lock.withLock { SystemClock().nowMicroseconds() + offset }
  }
}
