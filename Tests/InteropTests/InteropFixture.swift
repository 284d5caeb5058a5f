import Columnar
import Foundation
import Iceberg
import JSON
import Storage
import Testing

/// A warehouse that both sides open, in a temporary folder that goes with the last reference.
final class InteropFixture: Sendable {
  let folder: String
  let catalog: SQLiteCatalog

  init() throws {
    folder = FileManager.default.temporaryDirectory.path + "/fstore-interop-\(UUID().uuidString)"
    try FileManager.default.createDirectory(
      atPath: folder + "/warehouse", withIntermediateDirectories: true)
    catalog = try Self.open(folder)
    try catalog.createNamespace(try Namespace("db"))
  }

  deinit { try? FileManager.default.removeItem(atPath: folder) }

  /// Another connection to the same catalog.
  static func open(_ folder: String) throws -> SQLiteCatalog {
    try SQLiteCatalog(
      databasePath: folder + "/catalog.db", name: "test", warehouse: folder + "/warehouse",
      io: try FileIO(fileSystem: POSIXFileSystem()), clock: SystemClock())
  }

  func load(_ name: String) throws -> Table { try catalog.loadTable(try TableIdentifier(name)) }

  /// A table that we create.
  func create(
    _ name: String, _ schema: TableSchema, spec: PartitionSpec = .unpartitioned,
    properties: [String: String] = [:], formatVersion: Int = 2
  ) throws -> Table {
    try catalog.createTable(
      try TableIdentifier(name),
      TableDefinition(
        schema: schema, partitionSpec: spec, properties: properties, formatVersion: formatVersion))
  }

  /// A table that PyIceberg creates.
  func createByPeer(
    _ name: String, _ schema: TableSchema, partitions: [(Int32, Transform)] = [],
    properties: [String: String] = [:]
  ) throws {
    try call(
      "create", name,
      [
        "schema": schema.json,
        "partitions": .array(
          partitions.map { .array([.integer(Int64($0.0)), .string($0.1.text)]) }),
        "properties": .object(JSONObject(properties.map { ($0, .string($1)) })),
      ])
  }

  func appendByPeer(_ name: String, _ rows: [JSONValue]) throws {
    try call("append", name, ["rows": .array(rows)])
  }

  /// Calls a function of the peers with the folder and a table of it.
  @discardableResult
  func call(_ function: String, _ table: String, _ arguments: JSONObject = [:]) throws -> JSONValue
  {
    var arguments = arguments
    arguments["folder"] = .string(folder)
    arguments["table"] = .string(table)
    return try Peer.call(function, arguments)
  }

  func read(
    _ engine: String, _ table: String, _ arguments: JSONObject = [:]
  ) throws -> [JSONValue] {
    var arguments = arguments
    arguments["engine"] = .string(engine)
    return try call("read", table, arguments).arrayValue ?? []
  }

  /// Expects these rows from every engine: ours, PyIceberg and DuckDB.
  ///
  /// - Parameter columns: those of `AllTypes` that the table has.
  func expectRows(
    _ name: String, _ expected: [JSONValue], _ comment: String = "",
    columns: [AllTypes.Sample] = [], sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    let place = "\(name) \(comment)"
    expectSame(try load(name).rows(), expected, "\(place): ours", sourceLocation)
    expectSame(
      try read("pyiceberg", name), AllTypes.asPyIcebergHasThem(expected, columns),
      "\(place): PyIceberg", sourceLocation)
    expectSame(try read("duckdb", name), expected, "\(place): DuckDB", sourceLocation)
  }

  /// Compacts everything that can be, whatever its size.
  @discardableResult
  func optimize(_ name: String) throws -> RewriteDataFilesResult {
    let options = try RewriteDataFilesOptions(["rewrite-all": "true"])
    let job = try RewriteDataFiles(try load(name), options: options)
    let result = try job.execute(job.plan())
    #expect(result.failures.isEmpty && result.unknownCommit == nil)
    return result
  }

  /// Expires all but the current snapshot, and deletes what only the others spoke of.
  @discardableResult
  func vacuum(_ name: String) throws -> VacuumResult {
    var options = VacuumOptions()
    options.olderThanMilliseconds = SystemClock().nowMicroseconds() / 1000 + 1000
    options.retainLast = 1
    let job = Vacuum(try load(name), options: options)
    let result = try job.execute(job.plan())
    #expect(result.failure == nil)
    return result
  }
}

/// Equal rows in any order; the first differences are reported.
func expectSame(
  _ found: [JSONValue], _ expected: [JSONValue], _ comment: String,
  _ sourceLocation: SourceLocation
) {
  var counts: [String: Int] = [:]
  for row in expected { counts[row.text(), default: 0] += 1 }
  for row in found { counts[row.text(), default: 0] -= 1 }
  let missing = counts.filter { $0.value > 0 }.map(\.key).sorted()
  let foreign = counts.filter { $0.value < 0 }.map(\.key).sorted()
  #expect(
    missing.isEmpty && foreign.isEmpty,
    """
    \(comment): \(found.count) rows, expected \(expected.count); \(missing.count) missing, \
    \(foreign.count) too many
    missing: \(missing.prefix(3).joined(separator: "\n"))
    too many: \(foreign.prefix(3).joined(separator: "\n"))
    """, sourceLocation: sourceLocation)
}

extension Table {
  /// Appends rows of canonical values, in one commit.
  @discardableResult
  func appending(_ rows: [JSONValue]) throws -> Table {
    try newAppend(try writing(rows)).commit().table
  }

  /// Data files with rows of canonical values, which no commit has yet.
  func writing(_ rows: [JSONValue]) throws -> [DataFile] {
    let writer = try DataFileWriter(self)
    try writer.write(try Canonical.batch(rows, schema.columnarSchema))
    return try writer.finish()
  }

  /// All rows that a scan of the table finds.
  func rows(_ adjust: (inout TableScan) -> Void = { _ in }) throws -> [JSONValue] {
    var scan = newScan()
    adjust(&scan)
    var rows: [JSONValue] = []
    for task in try scan.planFiles().tasks {
      let file = try scan.batches(task)
      while let batch = try file.next() { rows += Canonical.rows(batch) }
    }
    return rows
  }
}
