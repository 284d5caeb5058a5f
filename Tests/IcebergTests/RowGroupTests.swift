import Columnar
import FileFormats
import Iceberg
import Storage
import TestSupport
import Testing

/// Row groups that cannot have matching rows are not read; which rows match does not change.
@Suite struct RowGroupTests {
  private let rows = Self.rows(400)

  private static func rows(_ count: Int) -> [Row] {
    (0..<count).map { index in
      let x: Double? = index % 50 == 0 ? .nan : index % 7 == 0 ? nil : Double(index % 100)
      let name: String? = index % 3 == 0 ? nil : "name \(index)"
      return Row(id: Int64(index * 2), ts: Int64(index) * day, x: x, name: name)
    }
  }

  private func table(_ warehouse: Warehouse, _ properties: [String: String] = [:]) throws -> Table {
    var properties = properties
    properties["write.parquet.row-group-limit"] = "100"
    return try warehouse.table(properties: properties).writing(rows)
  }

  private func skipped(_ table: Table, _ filter: FilterExpression) throws -> Int {
    var scan = table.newScan()
    scan.filter = filter
    var count = 0
    for task in try scan.planFiles().tasks {
      count += try scan.batches(task).skippedRowGroupCount
    }
    return count
  }

  @Test func statisticsLeaveOutRowGroups() throws {
    let warehouse = try Warehouse()
    let table = try table(warehouse)
    #expect(try skipped(table, .comparison("id", .less, .long(100))) == 3)
    #expect(try skipped(table, .comparison("ts", .greaterOrEqual, .timestamptz(399 * day))) == 3)
    #expect(try skipped(table, .comparison("x", .greater, .double(1000))) == 0, "NaN is above all")
    #expect(try skipped(table, .comparison("x", .less, .double(-1))) == 0, "no file is left")
    #expect(try skipped(table, .isIn("id", [.long(0), .long(799)])) == 3)
  }

  @Test func bloomFiltersOfIdentifiersLeaveOutMore() throws {
    let warehouse = try Warehouse()
    let table = try table(warehouse)
    // Odd ids lie between those that are there.
    #expect(try skipped(table, .comparison("id", .equal, .long(101))) == 4)
    #expect(try skipped(table, .comparison("id", .equal, .long(100))) == 3)
    let other = try warehouse.table(
      "db.other",
      properties: [
        "write.parquet.row-group-limit": "100",
        "write.parquet.bloom-filter-enabled.column.id": "false",
        "write.parquet.bloom-filter-enabled.column.name": "true",
        "write.parquet.bloom-filter-fpp.column.name": "0.001",
      ]
    ).writing(rows)
    #expect(try skipped(other, .comparison("id", .equal, .long(101))) == 3)
    #expect(try skipped(other, .comparison("name", .equal, .string("name 150 or so"))) == 4)
  }

  /// One row group, with pages of the 1,024 rows that are encoded at a time.
  private static let pages = [
    "write.parquet.row-group-limit": "100000", "write.parquet.page-size-bytes": "300",
    "write.parquet.bloom-filter-enabled.column.id": "false",
  ]

  private func skippedRows(_ table: Table, _ filter: FilterExpression) throws -> Int64 {
    var scan = table.newScan()
    scan.filter = filter
    return try scan.planFiles().tasks.reduce(0) { try $0 + scan.batches($1).skippedRowCount }
  }

  @Test func thePageIndexLeavesOutPages() throws {
    let warehouse = try Warehouse()
    let table = try warehouse.table(properties: Self.pages).writing(Self.rows(6000))
    #expect(try skipped(table, .comparison("id", .less, .long(100))) == 0)
    #expect(try skippedRows(table, .comparison("id", .less, .long(100))) == 6000 - 1024)
    #expect(try skippedRows(table, .comparison("id", .greaterOrEqual, .long(0))) == 0)
    let last = 6000 - 5 * 1024
    let ends: FilterExpression = .isIn("id", [.long(0), .long(11_998)])
    #expect(try skippedRows(table, ends) == Int64(6000 - 1024 - last))
    let either: FilterExpression = .or([
      .comparison("id", .equal, .long(0)), .comparison("ts", .equal, .timestamptz(5999 * day)),
    ])
    #expect(try skippedRows(table, either) == Int64(6000 - 1024 - last))
    let both: FilterExpression = .and([
      .comparison("id", .less, .long(100)), .comparison("ts", .greater, .timestamptz(3000 * day)),
    ])
    #expect(try skippedRows(table, both) == 6000)
    #expect(try skippedRows(table, .comparison("x", .greater, .double(1000))) == 0, "NaN")
  }

  @Test func aPageHasAsManyRowsAsThePropertyLetsIt() throws {
    let warehouse = try Warehouse()
    var properties = Self.pages
    properties["write.parquet.page-size-bytes"] = nil
    properties["write.parquet.page-row-limit"] = "700"
    let table = try warehouse.table(properties: properties).writing(Self.rows(6000))
    #expect(try skippedRows(table, .comparison("id", .less, .long(100))) == 6000 - 700)
    #expect(try table.newScan().rows().count == 6000)
  }

  @Test func aDictionaryEndsWhereThePropertySays() throws {
    let warehouse = try Warehouse()
    let rows = (0..<6000).map { (index: Int) in
      Row(
        id: Int64(index), ts: 0, x: nil,
        name: String(repeating: "name ", count: 20) + "\(index % 100)")
    }
    func bytes(_ limit: String) throws -> Int64 {
      try warehouse.table(
        "db.t\(limit)",
        properties: [
          "write.parquet.dict-size-bytes": limit, "write.parquet.compression-codec": "none",
        ]
      ).writing(rows).onlyFile().fileSizeInBytes
    }
    #expect(try bytes("1000") > 5 * bytes("100000"))
  }

  @Test func pagesOfNullsAreFound() throws {
    let warehouse = try Warehouse()
    let rows = (0..<6000).map { (index: Int) in
      Row(id: Int64(index), ts: 0, x: index < 3000 ? nil : Double(index), name: nil)
    }
    let table = try warehouse.table(properties: Self.pages).writing(rows)
    // Nulls take no room: the first page ends in the 1,024 rows that have the first value.
    #expect(try skippedRows(table, .isNull("x")) == 6000 - 3 * 1024)
    #expect(try skippedRows(table, .not(.isNull("x"))) == 0)
    var scan = table.newScan()
    scan.filter = .isNull("x")
    #expect(try scan.rows().count == 3000)
    scan.filter = .isNull("name")
    #expect(try scan.rows().count == 6000)
  }

  @Test(arguments: [[:], pages])
  func whichRowsMatchIsTheSameWithAndWithoutSkipping(properties: [String: String]) throws {
    let warehouse = try Warehouse()
    let rows = Self.rows(properties.isEmpty ? 400 : 6000)
    let table =
      properties.isEmpty
      ? try table(warehouse) : try warehouse.table(properties: properties).writing(rows)
    let compared: [FilterExpression.Comparison] = [
      .less, .lessOrEqual, .equal, .notEqual, .greaterOrEqual, .greater,
    ]
    var random = SeededGenerator(seed: 4)
    for round in 0..<60 {
      let id = Int64.random(in: -10...Int64(rows.count * 2 + 10), using: &random)
      let number = Double.random(in: -10...110, using: &random).rounded()
      let first = compared[round % 6]
      let second = compared[(round / 6) % 6]
      let filter: FilterExpression =
        round % 2 == 0
        ? .and([.comparison("id", first, .long(id)), .comparison("x", second, .double(number))])
        : .or([
          .comparison("id", first, .long(id)), .isIn("x", [.double(number), .double(.nan)]),
          .not(.startsWith("name", "name 1")),
        ])
      let expected = rows.filter { row in
        func holds(_ comparison: FilterExpression.Comparison, _ order: Int) -> Bool {
          switch comparison {
          case .less: order < 0
          case .lessOrEqual: order <= 0
          case .equal: order == 0
          case .notEqual: order != 0
          case .greaterOrEqual: order >= 0
          case .greater: order > 0
          }
        }
        let byID = holds(first, row.id < id ? -1 : row.id == id ? 0 : 1)
        let x = row.x
        if round % 2 == 0 {
          guard let x else { return false }
          return byID && holds(second, x.isNaN || x > number ? 1 : x == number ? 0 : -1)
        }
        let isIn = x.map { $0 == number || $0.isNaN } ?? false
        return byID || isIn || row.name.map { !$0.hasPrefix("name 1") } ?? false
      }
      var scan = table.newScan()
      scan.filter = filter
      let found = try scan.rows()
      #expect(found.map(\.id) == expected.map(\.id), "round \(round)")
    }
  }

  @Test func deletesMeetTheirRowsWhateverPagesAreLeftOut() throws {
    let warehouse = try Warehouse()
    var properties = Self.pages
    properties["write.delete.mode"] = "merge-on-read"
    let table = try warehouse.table(properties: properties).writing(Self.rows(6000))
    let gone: [Literal] = [.long(2), .long(5000), .long(11_910)]
    let deleted = try table.deleteRows(where: .isIn("id", gone)).table
    var scan = deleted.newScan()
    scan.columns = ["_pos", "id"]
    scan.filter = .or([
      .comparison("id", .greaterOrEqual, .long(11_900)), .comparison("id", .less, .long(5)),
    ])
    var positions: [Int64] = []
    for task in try scan.planFiles().tasks {
      let file = try scan.batches(task)
      #expect(file.skippedRowCount > 3000)
      while let batch = try file.next() {
        positions += batch.columns[0].int64s
        #expect(batch.columns[1].int64s == batch.columns[0].int64s.map { $0 * 2 })
      }
    }
    #expect(positions == [0, 2] + (5950..<6000).filter { $0 != 5955 })
  }

  @Test func positionsAreThoseOfTheFileWhateverIsLeftOut() throws {
    let warehouse = try Warehouse()
    let table = try table(warehouse, ["write.delete.mode": "merge-on-read"])
    let deleted = try table.deleteRows(where: .isIn("id", [.long(2), .long(502), .long(700)])).table
    var scan = deleted.newScan()
    scan.columns = ["_pos", "id"]
    scan.filter = .comparison("id", .greaterOrEqual, .long(500))
    var positions: [Int64] = []
    for task in try scan.planFiles().tasks {
      let file = try scan.batches(task)
      #expect(file.skippedRowGroupCount == 2)
      while let batch = try file.next() {
        positions += batch.columns[0].int64s
        #expect(batch.columns[1].int64s == batch.columns[0].int64s.map { $0 * 2 })
      }
    }
    #expect(positions == (250..<400).filter { $0 != 251 && $0 != 350 })
  }

  @Test func s51RowIDsSpanRowGroups() throws {
    let warehouse = try Warehouse()
    let table = try warehouse.catalog.createTable(
      try TableIdentifier("db.t"),
      TableDefinition(
        schema: Warehouse.schema,
        properties: [
          "write.parquet.row-group-limit": "100", "write.delete.mode": "copy-on-write",
        ], formatVersion: 3)
    ).writing(rows)
    let before = try table.lineage()
    #expect(before.allSatisfy { $0.value.rowID == $0.key / 2 })
    let after = try table.deleteRows(where: .comparison("id", .equal, .long(300))).table.lineage()
    #expect(after == before.filter { $0.key != 300 })
  }

  @Test func propertiesSayHowFilesAreWritten() throws {
    let warehouse = try Warehouse()
    func bytes(_ properties: [String: String]) throws -> Int64 {
      let name = "db.t\(Int.random(in: 0..<(.max)))"
      let table = try warehouse.table(name, properties: properties).writing(rows)
      return try table.onlyFile().fileSizeInBytes
    }
    let plain = try bytes(["write.parquet.compression-codec": "uncompressed"])
    #expect(try bytes([:]) < plain)
    #expect(try bytes(["write.parquet.compression-codec": "snappy"]) < plain)
    let table = try warehouse.table(properties: ["write.parquet.row-group-size-bytes": "1"])
    let writer = try DataFileWriter(table)
    for start in [0, 100, 200] { try writer.write(batch(Array(rows[start..<(start + 100)]))) }
    #expect(try writer.finish()[0].splitOffsets.count == 3)
  }

  @Test func propertiesThatMakeNoSenseAreNamed() throws {
    let warehouse = try Warehouse()
    let wrong = [
      "compression-codec": "lzo", "compression-level": "99", "row-group-size-bytes": "much",
      "page-size-bytes": "0", "page-row-limit": "0", "dict-size-bytes": "-1",
      "bloom-filter-enabled.column.x": "perhaps",
    ]
    for (index, property) in wrong.sorted(by: { $0.key < $1.key }).enumerated() {
      let name = "write.parquet." + property.key
      let table = try warehouse.table("db.t\(index)", properties: [name: property.value])
      let error = #expect(throws: IcebergError.self) { try DataFileWriter(table) }
      #expect(error?.description.contains(name) == true)
      #expect(error?.description.contains(property.value) == true)
    }
  }
}
