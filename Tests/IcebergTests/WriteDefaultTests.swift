import Columnar
import Iceberg
import JSON
import Testing

/// Columns that a writer leaves out, and columns of no type yet (format version 3).
@Suite struct WriteDefaultTests {
  private func names(_ values: [String]) -> Column {
    var builder = BytesBuilder(.string)
    for value in values { builder.append(value) }
    return builder.finish()
  }

  private func table(_ warehouse: Warehouse, _ fields: [NestedField]) throws -> Table {
    try warehouse.catalog.createTable(
      try TableIdentifier("db.t"),
      TableDefinition(schema: TableSchema(fields: fields), formatVersion: 3))
  }

  private func writing(
    _ table: Table, _ columns: [(Field, Column)], rowCount: Int
  ) throws -> Table {
    let writer = try DataFileWriter(table)
    do {
      try writer.write(
        RecordBatch(
          schema: Schema(columns.map(\.0)), columns: columns.map(\.1), rowCount: rowCount))
      return try table.newAppend(try writer.finish()).commit().table
    } catch {
      writer.abandon()
      throw error
    }
  }

  private func onlyBatch(_ table: Table, _ filter: FilterExpression = .alwaysTrue) throws
    -> RecordBatch
  {
    var scan = table.newScan()
    scan.filter = filter
    let task = try #require(try scan.planFiles().tasks.last)
    return try #require(try scan.batches(task).next())
  }

  @Test func columnsThatAreLeftOutHaveTheirWriteDefaults() throws {
    let warehouse = try Warehouse()
    var level = NestedField.required(2, "level", .int)
    level.writeDefault = 7
    var text = NestedField.optional(3, "text", .string)
    text.writeDefault = ""
    var inner = NestedField.optional(6, "inner", .date)
    inner.writeDefault = "1970-01-02"
    var holder = NestedField.optional(5, "holder", .structure([inner]))
    holder.writeDefault = .object(JSONObject())
    let table = try table(
      warehouse, [.required(1, "id", .long), level, text, .optional(4, "none", .double), holder])
    let written = try writing(
      table, [(Field("id", .int64, isNullable: false), longs([1, 2]))], rowCount: 2)
    let batch = try onlyBatch(written)
    #expect(Array(batch.columns[1].int32s) == [7, 7])
    #expect(batch.columns[2].nullCount == 0 && batch.columns[2].string(at: 1) == "")
    #expect(batch.columns[3].nullCount == 2)
    #expect(Array(batch.columns[4].children[0].int32s) == [1, 1])
    // They are values like others: metrics and filters know them.
    #expect(try TableInspection(written).files()[0].nullValueCounts[4] == 2)
    let found = try onlyBatch(written, .comparison("level", .equal, .int(7)))
    #expect(found.rowCount == 2)
  }

  @Test func columnsAreFoundByNameInAnyOrder() throws {
    let warehouse = try Warehouse()
    let table = try table(
      warehouse, [.required(1, "id", .long), .optional(2, "name", .string)])
    let written = try writing(
      table, [(Field("name", .string), names(["a"])), (Field("id", .int64), longs([5]))],
      rowCount: 1)
    let batch = try onlyBatch(written)
    #expect(batch.columns[0].int64s[0] == 5 && batch.columns[1].string(at: 0) == "a")
  }

  @Test func whatTheTableHasNotOrRequiresIsAnError() throws {
    let warehouse = try Warehouse()
    let table = try table(
      warehouse, [.required(1, "id", .long), .optional(2, "name", .string)])
    let id = (Field("id", .int64), longs([5]))
    let cases: [([(Field, Column)], String)] = [
      ([(Field("name", .string), names(["a"]))], "'id'"),
      ([id, (Field("nome", .string), names(["a"]))], "'nome'"),
      ([id, (Field("name", .int64), longs([5]))], "'name'"), ([id, id], "two columns"),
    ]
    for (columns, text) in cases {
      let error = #expect(throws: IcebergError.self, "\(text)") {
        try writing(table, columns, rowCount: 1)
      }
      #expect(error?.kind == .invalidArgument && error?.description.contains(text) == true)
    }
    #expect(try table.refresh().metadata.snapshots.isEmpty)
  }

  @Test func aColumnOfUnknownTypeIsAlwaysNull() throws {
    let warehouse = try Warehouse()
    let fields: [NestedField] = [.required(1, "id", .long), .optional(2, "later", .unknown)]
    var table = try table(warehouse, fields)
    #expect(try TableMetadata(json: table.metadata.json).currentSchema == table.schema)
    table = try writing(
      table, [(Field("id", .int64, isNullable: false), longs([1, 2, 3]))], rowCount: 3)
    let batch = try onlyBatch(table)
    #expect(batch.columns[1].nullCount == 3 && batch.schema.fields[1].name == "later")
    #expect(try onlyBatch(table, .isNull("later")).rowCount == 3)
    var scan = table.newScan()
    scan.filter = .notNull("later")
    let tasks = try scan.planFiles().tasks
    for task in tasks { #expect(try scan.batches(task).next() == nil) }
    // Rewritten as it is, and null still when it gets a type.
    var rewrite = table.newCommit()
    let writer = try DataFileWriter(table)
    try writer.write(batch)
    let file = try table.onlyFile()
    rewrite.replace(
      [file], with: try writer.finish(),
      startingSnapshotID: try #require(table.metadata.currentSnapshotID))
    table = try rewrite.commit().table
    #expect(try TableInspection(table).files()[0].columnSizes.keys.sorted() == [1])
    var update = SchemaUpdate()
    update.promote("later", to: .string)
    var commit = table.newCommit()
    commit.updateSchema(update)
    let typed = try onlyBatch(try commit.commit().table)
    #expect(typed.columns[1].type == .string && typed.columns[1].nullCount == 3)
  }

  @Test func anUnknownTypeNeedsVersionThreeAndNoValue() throws {
    let warehouse = try Warehouse()
    var filled = NestedField.optional(2, "u", .unknown)
    filled.initialDefault = 1
    for field in [NestedField.required(2, "u", .unknown), filled] {
      #expect(throws: IcebergError.self) {
        try table(warehouse, [.required(1, "id", .long), field])
      }
    }
    #expect(throws: IcebergError.self) {
      try warehouse.catalog.createTable(
        try TableIdentifier("db.t"),
        TableDefinition(schema: TableSchema(fields: [.optional(1, "u", .unknown)])))
    }
    let nested = try table(
      warehouse, [.optional(1, "s", .structure([.optional(2, "u", .unknown)]))])
    let error = #expect(throws: IcebergError.self) { try DataFileWriter(nested) }
    #expect(error?.kind == .unsupported)
    #expect(Transform.identity.resultType(of: .unknown) == nil)
    #expect(Transform.bucket(4).resultType(of: .unknown) == nil)
  }
}
