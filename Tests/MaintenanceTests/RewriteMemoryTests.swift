import Columnar
import Foundation
import Iceberg
import Storage
import TestSupport
import Testing

/// What a rewrite holds in memory, measured as the peak of a process of its own.
@Suite(.serialized) struct RewriteMemoryTests {
  static let rowsPerFile = 4096
  /// `FSTORE_MEMORY_FILES` of 8 MB each.
  static let chosenFileCount =
    ProcessInfo.processInfo.environment["FSTORE_MEMORY_FILES"].flatMap { Int($0) }
  static let fileCount = chosenFileCount ?? 25
  static let textBytes = 2048
  static let manyFileCount = 600
  static let manyRowsPerFile = 300

  /// A table of 200 MB, once it is decoded.
  static func fill(_ folder: String) throws {
    let catalog = try open(folder)
    let table = try catalog.createTable(
      try TableIdentifier("db.t"),
      TableDefinition(
        schema: TableSchema(fields: [.required(1, "id", .long), .optional(2, "text", .binary)])))
    try append(fileCount, rowsPerFile, textBytes, to: table, seed: 1)
    // As many rows in a thousand small files.
    let many = try catalog.createTable(
      try TableIdentifier("db.many"), TableDefinition(schema: table.schema))
    try append(manyFileCount, manyRowsPerFile, 512, to: many, seed: 2)
    // Like them, but small.
    let small = try catalog.createTable(
      try TableIdentifier("db.small"), TableDefinition(schema: table.schema))
    for _ in 0..<2 {
      let writer = try DataFileWriter(small)
      let columns = [
        Column(type: .int64, count: 2, buffers: [Buffer(copying: [Int64(2), 1])]),
        Column.nulls(.binary, count: 2),
      ]
      try writer.write(
        RecordBatch(schema: small.schema.columnarSchema, columns: columns, rowCount: 2))
      _ = try small.refresh().newAppend(try writer.finish()).commit()
    }
  }

  /// Files of rows whose text does not compress.
  private static func append(
    _ fileCount: Int, _ rowCount: Int, _ textBytes: Int, to table: Table, seed: UInt64
  ) throws {
    var random = SeededGenerator(seed: seed)
    let noise = (0..<(1 << 18)).map { _ in UInt8(truncatingIfNeeded: random.next()) }
    var files: [DataFile] = []
    for _ in 0..<fileCount {
      var ids = FixedWidthBuilder<Int64>(.int64, zero: 0)
      var texts = BytesBuilder(.binary)
      for _ in 0..<rowCount {
        ids.append(Int64(random.below(1 << 40)))
        let start = random.below(noise.count - textBytes)
        noise.withUnsafeBytes {
          texts.append(UnsafeRawBufferPointer(rebasing: $0[start..<(start + textBytes)]))
        }
      }
      let writer = try DataFileWriter(table)
      try writer.write(
        RecordBatch(
          schema: table.schema.columnarSchema, columns: [ids.finish(), texts.finish()],
          rowCount: rowCount))
      files += try writer.finish()
    }
    _ = try table.newAppend(files).commit()
  }

  static func open(_ folder: String) throws -> SQLiteCatalog {
    try SQLiteCatalog(
      databasePath: folder + "/catalog.db", name: "test", warehouse: folder + "/warehouse",
      io: try FileIO(fileSystem: POSIXFileSystem()), clock: SystemClock())
  }

  /// Resident memory in MiB: now, and at most since the last reset.
  static func memory() throws -> (now: Int, peak: Int) {
    let text = try String(contentsOfFile: "/proc/self/status", encoding: .utf8)
    func value(_ name: String) -> Int {
      let line = text.split(separator: "\n").first { $0.hasPrefix(name + ":") } ?? ""
      return (Int(line.split(separator: " ").dropFirst().first ?? "") ?? 0) / 1024
    }
    return (value("VmRSS"), value("VmHWM"))
  }

  /// Rewrites all, sorted or not, and writes to a file by how many MiB memory grew at most.
  static func run(
    _ folder: String, _ name: String, _ sortOrder: String, _ limitBytes: Int64
  ) throws {
    var options = ["rewrite-all": "true", "max-memory-bytes": "\(limitBytes)"]
    if !sortOrder.isEmpty { options["sort-order"] = sortOrder }
    func job(_ name: String) throws -> RewriteDataFiles {
      let table = try open(folder).loadTable(try TableIdentifier(name))
      return try RewriteDataFiles(table, options: RewriteDataFilesOptions(options))
    }
    // The pages of the libraries' code count as memory, too: they are there after this.
    let small = try job("db.small")
    _ = try small.execute(try small.plan())
    let job = try job(name)
    let plan = try job.plan()
    try "5".write(toFile: "/proc/self/clear_refs", atomically: false, encoding: .utf8)
    let before = try memory().now
    let result = try job.execute(plan)
    let grown = try memory().peak - before
    let rows =
      name == "db.t" ? rowsPerFile * fileCount : manyFileCount * manyRowsPerFile
    guard result.rowCount == rows, result.failures.isEmpty else { abort() }
    try "\(grown)".write(toFile: folder + "/grown", atomically: true, encoding: .utf8)
  }

  @Test func theMemoryBoundHoldsForATableFarLargerThanIt() async throws {
    let fixture = try MaintenanceFixture()
    let folder = fixture.folder
    try Self.fill(folder)
    var cases = [("db.t", ""), ("db.t", "text, id"), ("db.many", "id")]
    if Self.chosenFileCount != nil { cases += [("db.t", "id"), ("db.many", "")] }
    for (name, sortOrder) in cases {
      await #expect(processExitsWith: .success) {
        [folder = folder as String, name = name as String, sortOrder = sortOrder as String] in
        try RewriteMemoryTests.run(folder, name, sortOrder, 128 << 20)
      }
      let grown = try #require(Int(String(contentsOfFile: folder + "/grown", encoding: .utf8)))
      #expect(grown <= 128, "\(name) sorted by '\(sortOrder)'")
      print("a rewrite of \(name) sorted by '\(sortOrder)' took \(grown) of 128 MiB")
    }
  }
}
