import Columnar
import Foundation
import Iceberg
import Storage
import TestSupport
import Testing

/// Rows of the test table's schema: (id, ts in microseconds, x, name).
struct Row: Hashable, Comparable {
  var id: Int64
  var ts: Int64
  var x: Double?
  var name: String?

  static func < (left: Row, right: Row) -> Bool { left.id < right.id }
}

func batch(_ rows: [Row]) -> RecordBatch {
  var ids = FixedWidthBuilder<Int64>(.int64, zero: 0)
  var times = FixedWidthBuilder<Int64>(.timestamp(isUTC: true), zero: 0)
  var numbers = FixedWidthBuilder<Double>(.float64, zero: 0)
  var names = BytesBuilder(.string)
  for row in rows {
    ids.append(row.id)
    times.append(row.ts)
    if let x = row.x { numbers.append(x) } else { numbers.appendNull() }
    if let name = row.name { names.append(name) } else { names.appendNull() }
  }
  let schema = Schema([
    Field("id", .int64, isNullable: false), Field("ts", .timestamp(isUTC: true), isNullable: false),
    Field("x", .float64), Field("name", .string),
  ])
  return RecordBatch(
    schema: schema,
    columns: [ids.finish(), times.finish(), numbers.finish(), names.finish()],
    rowCount: rows.count)
}

func rows(_ batch: RecordBatch) -> [Row] {
  let (ids, times, numbers) = (batch.columns[0], batch.columns[1], batch.columns[2])
  var rows: [Row] = []
  for row in 0..<batch.rowCount {
    let id = ids.values(as: Int64.self)
    let time = times.values(as: Int64.self)
    let number = numbers.values(as: Double.self)
    rows.append(
      Row(
        id: id[row], ts: time[row], x: numbers.isNull(row) ? nil : number[row],
        name: batch.columns[3].isNull(row) ? nil : batch.columns[3].string(at: row)))
  }
  return rows
}

extension Table {
  func writing(_ rows: [Row], fileRows: Int = .max) throws -> Table {
    var files: [DataFile] = []
    var start = 0
    while start < rows.count {
      let end = min(rows.count, start + min(fileRows, rows.count))
      let writer = try DataFileWriter(self)
      try writer.write(batch(Array(rows[start..<end])))
      files += try writer.finish()
      start = end
    }
    return try newAppend(files).commit().table
  }
}

extension TableScan {
  func rows() throws -> [Row] {
    var all: [Row] = []
    for task in try planFiles().tasks {
      let scan = try batches(task)
      while let batch = try scan.next() { all += IcebergTests.rows(batch) }
    }
    return all.sorted()
  }
}

let day: Int64 = 86_400_000_000

@Suite struct ScanTests {
  @Test func whatIsWrittenIsRead() throws {
    let warehouse = try Warehouse()
    let data = (0..<1000).map { (index: Int) -> Row in
      let x: Double? = index % 7 == 0 ? nil : Double(index)
      let name: String? = index % 5 == 0 ? nil : "n\(index)"
      return Row(id: Int64(index), ts: Int64(index) * day / 100, x: x, name: name)
    }
    let table = try warehouse.table().writing(data)
    #expect(try table.newScan().rows() == data)
    var scan = table.newScan()
    scan.filter = .comparison("id", .less, .long(2000))
    scan.includesStatistics = true
    let plan = try scan.planFiles()
    let file = try #require(plan.tasks.first?.dataFile)
    #expect(file.recordCount == 1000)
    #expect(file.nullValueCounts[4] == 200)
    #expect(file.lowerBounds[1] == Literal.long(0).boundBytes)
    #expect(file.fileSizeInBytes == (try table.io.information(file.path)?.sizeBytes))
    #expect(file.path.hasPrefix(table.location + "/data/"))
  }

  @Test func columnsAreSelectedInTheOrderWanted() throws {
    let warehouse = try Warehouse()
    let table = try warehouse.table().writing([Row(id: 1, ts: 2, x: 3, name: "four")])
    var scan = table.newScan()
    scan.columns = ["name", "id"]
    scan.filter = .comparison("x", .equal, .double(3))
    let plan = try scan.planFiles()
    let task = try #require(plan.tasks.first)
    let batch = try #require(try scan.batches(task).next())
    #expect(batch.schema.fields.map(\.name) == ["name", "id"])
    #expect(batch.columns[0].string(at: 0) == "four")
    scan.columns = ["nothing"]
    #expect(throws: IcebergError.self) { try scan.schema() }
  }

  @Test func rowsArePutIntoTheirPartitions() throws {
    let warehouse = try Warehouse()
    let spec = PartitionSpec(fields: [
      PartitionField(sourceID: 2, fieldID: 1000, name: "ts_day", transform: .day),
      PartitionField(sourceID: 1, fieldID: 1001, name: "id_bucket", transform: .bucket(4)),
    ])
    let data = (0..<200).map { Row(id: Int64($0), ts: Int64($0 % 3 - 1) * day, x: nil, name: nil) }
    let table = try warehouse.table(spec: spec).writing(data)
    let plan = try table.newScan().planFiles()
    #expect(plan.tasks.count == 12)
    #expect(try table.newScan().rows() == data)
    #expect(plan.tasks.contains { $0.dataFile.path.contains("/data/ts_day=1969-12-31/id_bucket=") })
    var scan = table.newScan()
    scan.filter = .comparison("ts", .less, .timestamptz(0))
    #expect(try scan.rows() == data.filter { $0.ts < 0 })
    scan.filter = .comparison("id", .equal, .long(5))
    #expect((1...3).contains(try scan.planFiles().tasks.count))
    #expect(try scan.rows() == data.filter { $0.id == 5 })
  }

  @Test func anAddedColumnReadsAsNullAndOldRowsStay() throws {
    let warehouse = try Warehouse()
    var table = try warehouse.table().writing([Row(id: 1, ts: 2, x: 3, name: "four")])
    var commit = table.newCommit()
    commit.addColumns([.optional(1, "tags", .list(element: .optional(2, "element", .string)))])
    table = try commit.commit().table
    let scan = table.newScan()
    let plan = try scan.planFiles()
    let task = try #require(plan.tasks.first)
    let batch = try #require(try scan.batches(task).next())
    #expect(batch.columns.count == 5)
    #expect(batch.columns[4].isNull(0))
    #expect(rows(batch) == [Row(id: 1, ts: 2, x: 3, name: "four")])
  }

  @Test func timeTravelReadsTheTableAsItWas() throws {
    let clock = SettableClock(milliseconds: 1000)
    let warehouse = try Warehouse(clock: clock)
    let first = Row(id: 1, ts: 1, x: 1, name: nil)
    let second = Row(id: 2, ts: 2, x: 2, name: nil)
    var table = try warehouse.table().writing([first])
    var tag = table.newCommit()
    tag.createTag("before")
    table = try tag.commit().table
    clock.set(milliseconds: 2000)
    table = try table.writing([second])
    var scan = table.newScan()
    #expect(try scan.rows() == [first, second])
    for version: TableScan.Version in [
      .asOf(milliseconds: 1999), .reference("before"),
      .snapshot(table.metadata.snapshots[0].snapshotID),
    ] {
      scan.version = version
      #expect(try scan.rows() == [first])
    }
    for version: TableScan.Version in [.asOf(milliseconds: 5), .reference("no"), .snapshot(7)] {
      scan.version = version
      let error = #expect(throws: IcebergError.self) { try scan.rows() }
      #expect(error?.kind == .notFound)
    }
  }

  @Test func anEmptyTableHasNoRows() throws {
    let warehouse = try Warehouse()
    #expect(try warehouse.table().newScan().rows() == [])
  }
}

@Suite struct ScanPruningTests {
  static let names: [String?] = ["a", "ab", "abc", "b", "é", "", nil]
  static let literals: [Double] = [-3, -0.0, 0, 1.5, 2, .infinity, .nan]

  static func randomExpression(
    _ generator: inout some RandomNumberGenerator, depth: Int = 0
  ) -> FilterExpression {
    let comparison =
      [
        FilterExpression.Comparison.less, .lessOrEqual, .equal, .notEqual, .greaterOrEqual,
        .greater,
      ].randomElement(using: &generator) ?? .equal
    switch Int.random(in: 0..<(depth < 3 ? 12 : 8), using: &generator) {
    case 0: return .comparison("id", comparison, .long(.random(in: -5..<60, using: &generator)))
    case 1:
      return .comparison(
        "ts", comparison,
        .timestamptz(.random(in: -3 * day..<4 * day, using: &generator)))
    case 2:
      return .comparison(
        "x", comparison, .double(literals.randomElement(using: &generator) ?? 0))
    case 3: return .isNull("x")
    case 4: return .isNaN("x")
    case 5:
      return .isIn(
        "id", (0..<3).map { _ in .long(.random(in: 0..<50, using: &generator)) })
    case 6:
      return .startsWith("name", ["", "a", "ab", "b", "é"].randomElement(using: &generator) ?? "")
    case 7: return .comparison("name", comparison, .string("ab"))
    case 8, 9: return .not(randomExpression(&generator, depth: depth + 1))
    case 10:
      return .and((0..<2).map { _ in randomExpression(&generator, depth: depth + 1) })
    default: return .or((0..<2).map { _ in randomExpression(&generator, depth: depth + 1) })
    }
  }

  /// A reference model: three-valued logic, one row at a time.
  static func holds(_ expression: FilterExpression, _ row: Row) -> Bool? {
    func order(_ left: Double, _ right: Double) -> Int {
      if left.isNaN || right.isNaN { return (left.isNaN ? 1 : 0) - (right.isNaN ? 1 : 0) }
      return left < right ? -1 : left > right ? 1 : 0
    }
    func compare(_ comparison: FilterExpression.Comparison, _ order: Int) -> Bool {
      switch comparison {
      case .less: order < 0
      case .lessOrEqual: order <= 0
      case .equal: order == 0
      case .notEqual: order != 0
      case .greaterOrEqual: order >= 0
      case .greater: order > 0
      }
    }
    switch expression {
    case .alwaysTrue: return true
    case .alwaysFalse: return false
    case .comparison("id", let comparison, .long(let value)):
      return compare(comparison, row.id < value ? -1 : row.id > value ? 1 : 0)
    case .comparison("ts", let comparison, .timestamptz(let value)):
      return compare(comparison, row.ts < value ? -1 : row.ts > value ? 1 : 0)
    case .comparison("x", let comparison, .double(let value)):
      return row.x.map { compare(comparison, order($0, value)) }
    case .comparison(_, let comparison, .string(let value)):
      return row.name.map { name in
        compare(
          comparison,
          name.utf8.lexicographicallyPrecedes(value.utf8)
            ? -1 : value.utf8.lexicographicallyPrecedes(name.utf8) ? 1 : 0)
      }
    case .comparison: return nil
    case .isIn(_, let values): return values.contains(.long(row.id))
    case .isNull: return row.x == nil
    case .isNaN: return row.x.map(\.isNaN)
    case .startsWith(_, let prefix): return row.name.map { $0.utf8.starts(with: prefix.utf8) }
    case .not(let inner): return holds(inner, row).map { !$0 }
    case .and(let operands):
      let answers = operands.map { holds($0, row) }
      return answers.contains(false) ? false : answers.contains(nil) ? nil : true
    case .or(let operands):
      let answers = operands.map { holds($0, row) }
      return answers.contains(true) ? true : answers.contains(nil) ? nil : false
    }
  }

  @Test(arguments: [1, 2, 3, 4])
  func s34AScanReturnsExactlyTheMatchingRows(kind: Int) throws {
    let seed = UInt64.random(in: 0...UInt64.max)
    var generator = SeededGenerator(seed: seed)
    let specs: [[PartitionField]] = [
      [], [PartitionField(sourceID: 2, fieldID: 1000, name: "d", transform: .day)],
      [
        PartitionField(sourceID: 1, fieldID: 1000, name: "b", transform: .bucket(3)),
        PartitionField(sourceID: 4, fieldID: 1001, name: "t", transform: .truncate(1)),
      ],
      [
        PartitionField(sourceID: 3, fieldID: 1000, name: "x", transform: .identity),
        PartitionField(sourceID: 1, fieldID: 1001, name: "i", transform: .truncate(10)),
      ],
    ]
    let warehouse = try Warehouse()
    var table = try warehouse.table(spec: PartitionSpec(fields: specs[kind - 1]))
    var data: [Row] = []
    for _ in 0..<3 {
      var some: [Row] = []
      for _ in 0..<15 {
        some.append(
          Row(
            id: Int64(data.count + some.count),
            ts: .random(in: -2 * day..<3 * day, using: &generator),
            x: generator.oneIn(2) ? Self.literals[generator.below(7)] : nil,
            name: Self.names[generator.below(7)]))
      }
      table = try table.writing(some, fileRows: 4)
      data += some
    }
    var skipped = 0
    for _ in 0..<25 {
      let expression = Self.randomExpression(&generator)
      var scan = table.newScan()
      scan.filter = expression
      let expected = data.filter { Self.holds(expression, $0) == true }
      let found = try scan.rows()
      #expect(found.map(\.id) == expected.map(\.id), "seed \(seed), filter \(expression)")
      skipped += try scan.planFiles().skippedFileCount
    }
    #expect(skipped > 0)
  }
}
