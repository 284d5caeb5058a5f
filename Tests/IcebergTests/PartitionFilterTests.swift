import Columnar
import Iceberg
import Testing

/// Filters on partitioned columns find the rows at the ends of the types, where derived values wrap.
@Suite struct PartitionFilterTests {
  private static let schema = TableSchema(fields: [
    .required(1, "id", .long), .required(2, "number", .int), .required(3, "at", .timestamptz),
  ])

  /// One row a number and time, each in its own file.
  private func table(
    _ warehouse: Warehouse, _ transform: Transform, of source: Int32, _ rows: [(Int32, Int64)]
  ) throws -> Table {
    let spec = PartitionSpec(fields: [
      PartitionField(sourceID: source, fieldID: 1000, name: "part", transform: transform)
    ])
    let table = try warehouse.catalog.createTable(
      try TableIdentifier("db.t"), TableDefinition(schema: Self.schema, partitionSpec: spec))
    var files: [DataFile] = []
    for (id, row) in rows.enumerated() {
      var ids = FixedWidthBuilder<Int64>(.int64, zero: 0)
      var numbers = FixedWidthBuilder<Int32>(.int32, zero: 0)
      var times = FixedWidthBuilder<Int64>(.timestamp(isUTC: true), zero: 0)
      ids.append(Int64(id))
      numbers.append(row.0)
      times.append(row.1)
      let writer = try DataFileWriter(table)
      try writer.write(
        RecordBatch(
          schema: table.schema.columnarSchema,
          columns: [ids.finish(), numbers.finish(), times.finish()], rowCount: 1))
      files += try writer.finish()
    }
    return try table.newAppend(files).commit().table
  }

  private func ids(_ table: Table, _ filter: FilterExpression) throws -> [Int64] {
    var scan = table.newScan()
    scan.filter = filter
    var ids: [Int64] = []
    for task in try scan.planFiles().tasks {
      let batches = try scan.batches(task)
      while let batch = try batches.next() {
        let column = batch.columns[0]
        let values = column.values(as: Int64.self)
        for row in 0..<batch.rowCount { ids.append(values[row]) }
      }
    }
    return ids.sorted()
  }

  /// Java's truncation of the lowest integers wraps to the highest, and so everybody's does.
  @Test func theLowestIntegersAreFoundAmongTruncatedOnes() throws {
    let warehouse = try Warehouse()
    let table = try table(
      warehouse, .truncate(10), of: 2, [(.min, 0), (.min + 1, 0), (-5, 0), (0, 0), (.max, 0)])
    func ids(_ comparison: FilterExpression.Comparison, _ value: Int32) throws -> [Int64] {
      try self.ids(table, .comparison("number", comparison, .int(value)))
    }
    #expect(try ids(.less, 0) == [0, 1, 2])
    #expect(try ids(.lessOrEqual, .min + 1) == [0, 1])
    #expect(try ids(.less, .min) == [])
    #expect(try ids(.greater, .min) == [1, 2, 3, 4])
    #expect(try ids(.greaterOrEqual, .min) == [0, 1, 2, 3, 4])
    #expect(try ids(.equal, .min) == [0])
    #expect(try ids(.greaterOrEqual, .max) == [4])
  }

  /// "Up to the end of time" must not come out as before its beginning.
  @Test func theEndsOfTimeBoundHoursRightly() throws {
    let warehouse = try Warehouse()
    let table = try table(
      warehouse, .hour, of: 3, [(0, .min), (0, -1), (0, 0), (0, 1_767_225_600_000_000), (0, .max)])
    func ids(_ comparison: FilterExpression.Comparison, _ value: Int64) throws -> [Int64] {
      try self.ids(table, .comparison("at", comparison, .timestamptz(value)))
    }
    #expect(try ids(.lessOrEqual, .max) == [0, 1, 2, 3, 4])
    #expect(try ids(.less, .max) == [0, 1, 2, 3])
    #expect(try ids(.greaterOrEqual, .min) == [0, 1, 2, 3, 4])
    #expect(try ids(.greater, 0) == [3, 4])
    #expect(try ids(.less, 0) == [0, 1])
    #expect(try ids(.equal, .max) == [4])
  }

  @Test func filesAreStillSkippedWhereNothingWraps() throws {
    let warehouse = try Warehouse()
    let table = try table(warehouse, .truncate(10), of: 2, [(-25, 0), (0, 0), (35, 0)])
    var scan = table.newScan()
    scan.filter = .comparison("number", .less, .int(-20))
    #expect(try scan.planFiles().skippedFileCount == 2)
  }
}
