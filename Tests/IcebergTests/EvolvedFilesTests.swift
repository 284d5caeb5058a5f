import Columnar
import FileFormats
import Iceberg
import JSON
import Storage
import Testing

/// Files that do not look like the table's schema: older, imported, or of format version 1.
@Suite struct EvolvedFilesTests {
  private func parquet(_ table: Table, _ name: String, _ batch: RecordBatch) throws -> DataFile {
    let location = table.metadata.dataFolder + "/\(name).parquet"
    let file = try table.io.create(location)
    let writer = try ParquetWriter(file: file, schema: batch.schema)
    try writer.write(batch)
    let size = try writer.finish().fileSizeBytes
    try table.io.publish(file)
    return DataFile(path: location, recordCount: Int64(batch.rowCount), fileSizeInBytes: size)
  }

  @Test func missingColumnsHaveTheirInitialDefaults() throws {
    let warehouse = try Warehouse()
    let created = try warehouse.catalog.createTable(
      try TableIdentifier("db.t"), TableDefinition(schema: Warehouse.schema, formatVersion: 3))
    let table = try created.writing([Row(id: 1, ts: 0, x: nil, name: nil)])
    var number = NestedField.required(5, "number", .int)
    number.initialDefault = 0
    var text = NestedField.optional(8, "text", .string)
    text.initialDefault = ""
    var holder = NestedField.optional(
      6, "holder", .structure([.optional(7, "inner", .date), text]))
    holder.initialDefault = .object(JSONObject())
    let fields = Warehouse.schema.fields + [number, holder, .optional(9, "none", .date)]
    var commit = table.newCommit()
    commit.update { _ throws(IcebergError) in
      [.addSchema(TableSchema(fields: fields), lastColumnID: 9), .setCurrentSchema(id: nil)]
    }
    var scan = try commit.commit().table.newScan()
    scan.filter = .comparison("holder.text", .equal, .string(""))
    let task = try #require(try scan.planFiles().tasks.first)
    let batch = try #require(try scan.batches(task).next())
    #expect(batch.columns[4].int32s[0] == 0)
    #expect(batch.columns[5].nullCount == 0)
    #expect(batch.columns[5].children[0].isNull(0))
    #expect(batch.columns[5].children[1].string(at: 0) == "")
    #expect(batch.columns[6].isNull(0))
  }

  @Test func namesStandForMissingIDsAtEveryDepth() throws {
    let warehouse = try Warehouse()
    let schema = TableSchema(fields: [
      .optional(1, "a", .structure([.optional(3, "b", .long), .optional(4, "c", .long)])),
      .optional(
        2, "l",
        .list(
          element: .optional(
            5, "element",
            .structure([
              .optional(6, "d", .long)
            ])))),
    ])
    let mapping = """
      [{"field-id": 1, "names": ["old_a", "a"], "fields": [
         {"field-id": 3, "names": ["b"]}, {"field-id": 4, "names": ["old.c"]}]},
       {"field-id": 2, "names": ["l"], "fields": [
         {"field-id": 5, "names": ["element"], "fields": [{"field-id": 6, "names": ["d"]}]}]},
       {"names": ["unknown"]}]
      """
    let table = try warehouse.catalog.createTable(
      try TableIdentifier("db.t"),
      TableDefinition(schema: schema, properties: ["schema.name-mapping.default": mapping]))
    let inner = [Field("b", .int64), Field("old.c", .int64)]
    let element = [Field("d", .int64)]
    let file = Schema([
      Field("unknown", .int64), Field("old_a", .structure(inner)),
      Field("l", .list(Field("element", .structure(element)))),
    ])
    let a = Column(
      type: .structure(inner), count: 2, buffers: [], children: [longs([1, nil]), longs([3, 4])])
    let l = Column(
      type: .list(Field("element", .structure(element))), count: 2,
      buffers: [Buffer(copying: [Int32(0), 1, 3])],
      children: [
        Column(type: .structure(element), count: 3, buffers: [], children: [longs([7, 8, 9])])
      ])
    let data = try parquet(
      table, "imported", RecordBatch(schema: file, columns: [longs([0, 0]), a, l], rowCount: 2))
    let scan = try table.newAppend([data]).commit().table.newScan()
    let task = try #require(try scan.planFiles().tasks.first)
    let batch = try #require(try scan.batches(task).next())
    #expect(batch.columns[0].children[0].isNull(1))
    #expect(batch.columns[0].children[1].int64s[1] == 4)
    #expect(batch.columns[1].children[0].children[0].int64s[2] == 9)
    #expect(batch.schema == schema.columnarSchema)
  }

  @Test func aMappingThatNamesAColumnTwiceIsRefused() throws {
    let warehouse = try Warehouse()
    let mapping = #"[{"field-id": 1, "names": ["id"]}, {"field-id": 3, "names": ["id"]}]"#
    let table = try warehouse.table(properties: ["schema.name-mapping.default": mapping])
    let schema = Schema([Field("id", .int64)])
    let data = try parquet(
      table, "f", RecordBatch(schema: schema, columns: [longs([1])], rowCount: 1))
    let scan = try table.newAppend([data]).commit().table.newScan()
    let task = try #require(try scan.planFiles().tasks.first)
    let error = #expect(throws: IcebergError.self) { try scan.batches(task) }
    #expect(error?.description.contains("names 'id' twice") == true)
  }

  @Test func aRequiredColumnWithoutADefaultIsAnErrorThatNamesIt() throws {
    let warehouse = try Warehouse()
    let table = try warehouse.table()
    let schema = Schema([Field("id", .int64, fieldID: 1)])
    let data = try parquet(
      table, "f", RecordBatch(schema: schema, columns: [longs([1])], rowCount: 1))
    let scan = try table.newAppend([data]).commit().table.newScan()
    let task = try #require(try scan.planFiles().tasks.first)
    let error = #expect(throws: IcebergError.self) { try scan.batches(task) }
    #expect(error?.description.contains("'ts'") == true)
  }

  /// The table as a writer of format version 1 leaves it: snapshots that name their manifests, or a
  /// list that knows no counts.
  private func versionOne(
    _ table: Table, embedded: Bool
  ) throws -> (metadata: String, rows: [Row]) {
    let head = try #require(table.metadata.currentSnapshot)
    let manifests = try ManifestList.read(
      try table.io.readAll(try #require(head.manifestList)))
    var json = table.metadata.json.objectValue ?? JSONObject()
    json["format-version"] = 1
    json["last-sequence-number"] = nil
    json["refs"] = nil
    json["schema"] = table.schema.json
    json["partition-spec"] = []
    var snapshot = head.json(formatVersion: 1).objectValue ?? JSONObject()
    if embedded {
      snapshot["manifest-list"] = nil
      snapshot["manifests"] = .array(manifests.map { .string($0.path) })
    }
    json["snapshots"] = [.object(snapshot)]
    json["snapshot-log"] = []
    json["metadata-log"] = []
    let location = table.metadata.metadataFolder + "/v1-\(embedded).metadata.json"
    try table.io.write(location, JSONValue.object(json).utf8())
    return (location, try table.newScan().rows())
  }

  @Test func s21EmbeddedManifestsAreReadAndSurviveTheNextCommit() throws {
    let warehouse = try Warehouse()
    let data = (0..<10).map { Row(id: Int64($0), ts: 0, x: nil, name: nil) }
    let source = try warehouse.table("db.source").writing(data)
    let (location, rows) = try versionOne(source, embedded: true)
    let id = try TableIdentifier("db.old")
    try warehouse.catalog.dropTable(try TableIdentifier("db.source"))
    var table = try warehouse.catalog.registerTable(id, metadataLocation: location)
    #expect(table.metadata.formatVersion == 1)
    #expect(table.metadata.currentSnapshot?.manifestList == nil)
    #expect(try table.newScan().rows() == rows)
    var commit = table.newCommit()
    commit.upgradeFormatVersion(to: 2)
    table = try commit.commit().table
    #expect(try table.newScan().rows() == rows)
    let old = try #require(table.metadata.currentSnapshotID)
    table = try table.writing([Row(id: 10, ts: 0, x: nil, name: nil)])
    #expect(try table.newScan().rows().map(\.id) == (0...10).map { Int64($0) })
    let head = try #require(table.metadata.currentSnapshot)
    let counts = try ManifestList.read(try table.io.readAll(try #require(head.manifestList)))
    #expect(counts.map(\.addedFilesCount) == [1, 1] && counts.map(\.addedRowsCount) == [1, 10])
    var scan = table.newScan()
    scan.version = .snapshot(old)
    #expect(try scan.rows() == rows)
  }
}
