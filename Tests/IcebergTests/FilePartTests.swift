import Columnar
import FileFormats
import Iceberg
import TestSupport
import Testing

/// A file that is read in parts, each by a thread: every row is in one of them.
@Suite struct FilePartTests {
  /// The last column is of a type that is read by whole row groups only.
  private static let schema = TableSchema(
    fields: [
      .required(1, "id", .long), .optional(2, "text", .string), .optional(3, "code", .fixed(4)),
    ],
    identifierFieldIDs: [1])

  private static let count = 6000

  /// All rows, those of some row groups and pages, and single ones.
  private static let filters: [FilterExpression] = [
    .alwaysTrue, .comparison("id", .greaterOrEqual, .long(2500)),
    .isIn("id", [.long(17), .long(4321)]),
  ]

  private func table(_ warehouse: Warehouse, _ properties: [String: String]) throws -> Table {
    var properties = properties
    properties["write.parquet.page-size-bytes"] = "300"
    properties["write.parquet.bloom-filter-enabled.column.id"] = "false"
    properties["write.delete.mode"] = "merge-on-read"
    let table = try warehouse.catalog.createTable(
      try TableIdentifier("db.t"), TableDefinition(schema: Self.schema, properties: properties))
    var text = BytesBuilder(.string)
    for id in 0..<Self.count {
      if id % 5 == 0 { text.appendNull() } else { text.append("text \(id)") }
    }
    let columns = [
      Column(
        type: .int64, count: Self.count,
        buffers: [Buffer(copying: (0..<Self.count).map { Int64($0) })]),
      text.finish(),
      Column(
        type: .fixedSizeBinary(4), count: Self.count,
        buffers: [Buffer(copying: (0..<Self.count).map { UInt32($0) })]),
    ]
    let writer = try DataFileWriter(table)
    try writer.write(
      RecordBatch(
        schema: Schema(Self.schema.fields.map(\.columnarField)), columns: columns,
        rowCount: Self.count))
    return try table.newAppend(try writer.finish()).commit().table
  }

  @Test(arguments: ["1000000", "1000", "370"], [1, 2, 3, 7, 13, 40])
  func everyRowIsInOnePart(rowGroupRows: String, parts: Int) throws {
    let warehouse = try Warehouse()
    let whole = try table(warehouse, ["write.parquet.row-group-limit": rowGroupRows])
    let gone: [Int64] = [0, 2999, 3000, 5999]
    let table = try whole.deleteRows(where: .isIn("id", gone.map { .long($0) })).table
    for columns in [["id", "_pos"], ["id", "_pos", "text"], ["id", "_pos", "text", "code"]] {
      for filter in Self.filters {
        var scan = table.newScan()
        scan.columns = columns
        scan.filter = filter
        var expected: [Int64] = []
        let task = try #require(try scan.planFiles().tasks.first)
        let all = try scan.batches(task)
        while let batch = try all.next() { expected += batch.columns[0].int64s }
        var (found, sizes): ([Int64], [Int64]) = ([], [])
        for unit in TableScan.units(of: task, parts: parts) {
          let reader = ScanUnitReader(scan)
          let before = found.count
          try reader.read(unit) { batch in
            #expect(batch.columns[0].int64s == batch.columns[1].int64s)
            found += batch.columns[0].int64s
          }
          sizes.append(Int64(found.count - before) + reader.skippedRowCount)
        }
        #expect(found == expected)
        // About as many in each, but for those that are gone.
        guard filter == .alwaysTrue, rowGroupRows == "1000000" else { continue }
        let share = Int64(Self.count / parts)
        #expect(sizes.allSatisfy { (share - 4...share + 1).contains($0) }, "\(sizes)")
      }
    }
  }

  /// Rows are named by their numbers in a unit and read again by them, in other columns, too.
  @Test(arguments: ["1000000", "1000", "370"], [false, true])
  func aRowHasOneNumberWhateverColumnsAreRead(rowGroupRows: String, hasDeletes: Bool) throws {
    let warehouse = try Warehouse()
    var table = try table(warehouse, ["write.parquet.row-group-limit": rowGroupRows])
    if hasDeletes {
      let gone: [Literal] = [0, 2999, 3000, 5999].map { .long($0) }
      table = try table.deleteRows(where: .isIn("id", gone)).table
    }
    var random = SeededGenerator(seed: 3)
    for filter in Self.filters {
      var scan = table.newScan()
      scan.filter = filter
      scan.appliesResidual = false
      let task = try #require(try scan.planFiles().tasks.first)
      for unit in scan.units([task]) + [1, 7].flatMap({ TableScan.units(of: task, parts: $0) }) {
        scan.columns = ["id"]
        let ids = try Self.ids { try ScanUnitReader(scan).read(unit, $0) }
        for columns in [["id"], ["id", "text"], ["id", "code"], ["id", "text", "code"]] {
          scan.columns = columns
          let reader = ScanUnitReader(scan)
          #expect(try Self.ids { try reader.read(unit, $0) } == ids)
          let numbers = ids.indices.filter { _ in random.oneIn(9) }.map { Int64($0) }
          let found = try Self.ids { try reader.read(unit, rows: numbers[...], $0) }
          #expect(found == numbers.map { ids[Int($0)] })
          let beyond = Int64(ids.count)
          #expect(throws: IcebergError.self) { try reader.read(unit, rows: [beyond][...]) { _ in } }
        }
      }
    }
  }

  private static func ids(_ read: ((RecordBatch) throws -> Void) throws -> Void) rethrows -> [Int64]
  {
    var ids: [Int64] = []
    try read { ids += $0.columns[0].int64s }
    return ids
  }

  /// So that no thread waits for the one that has the last file.
  @Test(arguments: [(2, 4), (3, 3), (4, 6)])
  func theLastOfFewFilesIsCut(threads: Int, unitCount: Int) throws {
    let warehouse = try Warehouse()
    let schema = TableSchema(fields: [.required(1, "a", .long), .required(2, "b", .long)])
    var table = try warehouse.catalog.createTable(
      try TableIdentifier("db.t"), TableDefinition(schema: schema))
    var random = SeededGenerator(seed: 9)
    let count = 150_000
    for _ in 0..<3 {
      let columns = (0..<2).map { (_: Int) in
        Column(
          type: .int64, count: count,
          buffers: [
            Buffer(copying: (0..<count).map { _ in Int64.random(in: 0...(.max), using: &random) })
          ])
      }
      let writer = try DataFileWriter(table)
      try writer.write(
        RecordBatch(
          schema: Schema(schema.fields.map(\.columnarField)), columns: columns, rowCount: count))
      table = try table.newAppend(try writer.finish()).commit().table
    }
    var scan = table.newScan()
    scan.concurrentFileCount = threads
    let tasks = try scan.planFiles().tasks
    let units = scan.units(tasks, splitsRowGroups: true)
    #expect(units.count == unitCount)
    #expect(scan.units(tasks).count == 3)
    let reader = ScanUnitReader(scan)
    var found: [Int64] = []
    for unit in units { try reader.read(unit) { found += $0.columns[0].int64s } }
    var expected: [Int64] = []
    let all = try scan.batches(of: tasks)
    while let batch = try all.next() { expected += batch.columns[0].int64s }
    #expect(found == expected)
  }
}
