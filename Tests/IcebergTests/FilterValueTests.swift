import Columnar
import Foundation
import Iceberg
import Testing

/// Operands of another type than their column: converted as the reference implementation does, and
/// beyond the column's range decided by that.
@Suite struct FilterValueTests {
  private static let schema = TableSchema(fields: [
    .required(1, "id", .int), .optional(2, "f", .float),
    .optional(3, "d", .decimal(precision: 9, scale: 2)), .optional(4, "day", .date),
    .optional(5, "at", .timestamptz),
  ])

  /// Six rows: the smallest and the largest values, some between, and nulls.
  private func table(_ warehouse: Warehouse) throws -> Table {
    let table = try warehouse.catalog.createTable(
      try TableIdentifier("db.t"), TableDefinition(schema: Self.schema))
    let ids: [Int32] = [Int32.min, -1, 0, 1, 2, Int32.max]
    let floats: [Float?] = [-.infinity, -1.5, 0.1, .infinity, .nan, nil]
    let decimals: [Int128?] = [-99_999, -150, 10, 11, 99_999, nil]
    let days: [Int32?] = [-719_162, -1, 0, 1, 19_723, nil]
    func column<Value: BitwiseCopyable & Sendable>(
      _ type: DataType, _ zero: Value, _ values: [Value?]
    )
      -> Column
    {
      var builder = FixedWidthBuilder<Value>(type, zero: zero)
      for value in values { if let value { builder.append(value) } else { builder.appendNull() } }
      return builder.finish()
    }
    let schema = Self.schema.columnarSchema
    let types = schema.fields.map(\.type)
    let writer = try DataFileWriter(table)
    try writer.write(
      RecordBatch(
        schema: schema,
        columns: [
          column(types[0], 0, ids), column(types[1], 0, floats), column(types[2], 0, decimals),
          column(types[3], 0, days), column(types[4], 0, days.map { $0.map { Int64($0) * day } }),
        ], rowCount: 6))
    return try table.newAppend(try writer.finish()).commit().table
  }

  /// The numbers of the rows that match, from 0.
  private func matching(_ filter: FilterExpression, _ table: Table) throws -> [Int] {
    var scan = table.newScan()
    scan.filter = filter
    scan.columns = ["_pos"]
    var found: [Int] = []
    for task in try scan.planFiles().tasks {
      let file = try scan.batches(task)
      while let batch = try file.next() {
        let column = batch.columns[0]
        let positions = column.values(as: Int64.self)
        for row in 0..<batch.rowCount { found.append(Int(positions[row])) }
      }
    }
    return found
  }

  private let all = [0, 1, 2, 3, 4, 5]

  @Test func beyondTheColumnsRangeAllOrNoneMatch() throws {
    let warehouse = try Warehouse()
    let table = try table(warehouse)
    let above = Literal.long(Int64(Int32.max) + 1)
    let below = Literal.long(.min)
    for comparison in [FilterExpression.Comparison.less, .lessOrEqual, .notEqual] {
      #expect(try matching(.comparison("id", comparison, above), table) == all)
      #expect(try matching(.not(.comparison("id", comparison, above)), table) == [])
    }
    for comparison in [FilterExpression.Comparison.greater, .greaterOrEqual, .equal] {
      #expect(try matching(.comparison("id", comparison, above), table) == [])
      #expect(try matching(.not(.comparison("id", comparison, above)), table) == all)
    }
    for comparison in [FilterExpression.Comparison.greater, .greaterOrEqual, .notEqual] {
      #expect(try matching(.comparison("id", comparison, below), table) == all)
    }
    for comparison in [FilterExpression.Comparison.less, .lessOrEqual, .equal] {
      #expect(try matching(.comparison("id", comparison, below), table) == [])
    }
    #expect(try matching(.isIn("id", [above, .long(1), below]), table) == [3])
    #expect(try matching(.isIn("id", [above, below]), table) == [])
    #expect(try matching(.not(.isIn("id", [above, below])), table) == all)
    // Nulls are unknown, whatever they are compared with.
    #expect(try matching(.comparison("day", .less, .long(1 << 40)), table) == [0, 1, 2, 3, 4])
    #expect(try matching(.comparison("d", .notEqual, .long(.max)), table) == [0, 1, 2, 3, 4])
  }

  @Test func floatingPointOperandsAreRoundedToTheColumn() throws {
    let warehouse = try Warehouse()
    let table = try table(warehouse)
    #expect(try matching(.comparison("f", .equal, .double(0.1)), table) == [2])
    #expect(try matching(.isIn("f", [.double(0.1), .double(-1.5)]), table) == [1, 2])
    #expect(try matching(.comparison("f", .less, .int(0)), table) == [0, 1])
    #expect(try matching(.comparison("f", .greater, .long(1 << 60)), table) == [3, 4])
    // Between the largest float and infinity; NaN is above all.
    let huge = Literal.double(1e300)
    #expect(try matching(.comparison("f", .less, huge), table) == [0, 1, 2])
    #expect(try matching(.comparison("f", .lessOrEqual, huge), table) == [0, 1, 2])
    #expect(try matching(.comparison("f", .greater, huge), table) == [3, 4])
    #expect(try matching(.comparison("f", .greaterOrEqual, huge), table) == [3, 4])
    #expect(try matching(.comparison("f", .equal, huge), table) == [])
    #expect(try matching(.comparison("f", .notEqual, huge), table) == [0, 1, 2, 3, 4])
    #expect(try matching(.comparison("f", .less, .double(-1e300)), table) == [0])
    #expect(try matching(.comparison("f", .greater, .double(-1e300)), table) == [1, 2, 3, 4])
    #expect(try matching(.comparison("f", .equal, .double(.infinity)), table) == [3])
    #expect(try matching(.comparison("f", .equal, .double(.nan)), table) == [4])
  }

  @Test func numbersBecomeDecimalsRoundedHalfUp() throws {
    let warehouse = try Warehouse()
    let table = try table(warehouse)
    #expect(try matching(.comparison("d", .less, .int(0)), table) == [0, 1])
    #expect(try matching(.comparison("d", .equal, .double(0.1)), table) == [2])
    #expect(try matching(.comparison("d", .equal, .float(0.1)), table) == [2])
    #expect(try matching(.comparison("d", .equal, .double(0.105)), table) == [3])
    #expect(try matching(.comparison("d", .equal, .double(0.1049)), table) == [2])
    #expect(try matching(.comparison("d", .equal, .double(-1.495)), table) == [1])
    #expect(try matching(.comparison("d", .equal, .double(9.9999e2)), table) == [4])
    #expect(try matching(.comparison("d", .less, .double(1e300)), table) == [0, 1, 2, 3, 4])
    #expect(try matching(.comparison("d", .less, .double(-1e300)), table) == [])
    #expect(try matching(.comparison("d", .greater, .double(1e-300)), table) == [2, 3, 4])
    #expect(
      try matching(.comparison("d", .equal, .decimal(unscaled: 1, scale: 1)), table) == [2])
    #expect(try matching(.comparison("d", .equal, .string("-1.50")), table) == [1])
  }

  @Test func textsAndNumbersBecomeTimes() throws {
    let warehouse = try Warehouse()
    let table = try table(warehouse)
    #expect(try matching(.comparison("day", .equal, .string("2024-01-01")), table) == [4])
    #expect(try matching(.comparison("day", .less, .long(0)), table) == [0, 1])
    #expect(
      try matching(.comparison("at", .equal, .string("2024-01-01T00:00:00+00:00")), table) == [4])
    #expect(try matching(.comparison("at", .greater, .long(day)), table) == [4])
  }

  @Test func whatCannotBeComparedIsAnError() throws {
    let warehouse = try Warehouse()
    let table = try table(warehouse)
    let wrong: [(String, Literal)] = [
      ("id", .string("1")), ("id", .double(1)), ("f", .string("1")), ("d", .double(.nan)),
      ("d", .string("x")), ("day", .string("yesterday")), ("at", .boolean(true)),
      ("d", .decimal(unscaled: 1, scale: 3)),
    ]
    for (column, value) in wrong {
      let error = #expect(throws: IcebergError.self, "\(column) \(value)") {
        try matching(.comparison(column, .equal, value), table)
      }
      #expect(error?.kind == .invalidArgument)
    }
  }
}
