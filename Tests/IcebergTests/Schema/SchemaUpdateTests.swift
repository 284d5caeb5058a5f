import Iceberg
import JSON
import Testing

@Suite struct SchemaUpdateTests {
  static let schema = TableSchema(
    fields: [
      .required(1, "id", .long), .optional(2, "n", .int), .optional(3, "d", .date),
      .optional(4, "s", .structure([.optional(6, "a", .float), .optional(7, "b", .string)])),
      .optional(
        5, "m",
        .map(
          key: .required(8, "key", .structure([.required(10, "k", .int)])),
          value: .optional(9, "value", .structure([.optional(11, "v", .int)])))),
    ], identifierFieldIDs: [1])

  private func metadata(
    formatVersion: Int = 2, spec: PartitionSpec = .unpartitioned, order: SortOrder = .unsorted
  ) throws -> TableMetadata {
    try TableMetadata.new(
      schema: Self.schema, partitionSpec: spec, sortOrder: order, location: "/t",
      formatVersion: formatVersion, nowMilliseconds: 1)
  }

  private func apply(
    formatVersion: Int = 2, _ change: (inout SchemaUpdate) -> Void
  ) throws -> TableSchema {
    var update = SchemaUpdate()
    change(&update)
    let result = try update.apply(to: metadata(formatVersion: formatVersion))
    #expect(result.lastColumnID >= result.schema.highestFieldID && result.lastColumnID >= 11)
    return result.schema
  }

  private func refusal(
    formatVersion: Int = 2, _ change: (inout SchemaUpdate) -> Void
  ) -> String {
    var update = SchemaUpdate()
    change(&update)
    do {
      _ = try update.apply(to: metadata(formatVersion: formatVersion))
      return "accepted"
    } catch { return "\(error)" }
  }

  @Test func columnsAreAddedWithFreshIDsAtEveryDepth() throws {
    let schema = try apply { update in
      update.add(.optional(1, "new", .list(element: .optional(1, "element", .long))))
      update.add(.optional(1, "c", .double), to: "s")
      update.add(.optional(1, "w", .double), to: "m")
    }
    #expect(schema.field(named: "new")?.id == 12)
    #expect(schema.field(named: "new.element")?.id == 13)
    #expect(schema.field(named: "s.c")?.id == 14)
    #expect(schema.field(named: "m.value.w")?.id == 15)
    #expect(schema.identifierFieldIDs == [1])
  }

  @Test func anIDIsNeverUsedAgain() throws {
    var update = SchemaUpdate()
    update.add(.optional(1, "new", .long))
    update.drop("new")
    let result = try update.apply(to: metadata())
    #expect(result.lastColumnID == 12 && result.schema.highestFieldID == 11)
  }

  @Test func columnsAreRenamedDroppedAndMovedWithTheirIDs() throws {
    let schema = try apply { update in
      update.rename("n", to: "number")
      update.drop("s.a")
      update.move("d", .first)
      update.move("m", .before("number"))
      update.setDocumentation("number", "how many")
      update.makeOptional("m.value.v")
    }
    #expect(schema.fields.map(\.name) == ["d", "id", "m", "number", "s"])
    #expect(schema.field(named: "number")?.id == 2)
    #expect(schema.field(named: "number")?.doc == "how many")
    #expect(schema.field(named: "s")?.type.children.map(\.name) == ["b"])
  }

  @Test func typesAreWidened() throws {
    let schema = try apply { update in
      update.promote("n", to: .long)
      update.promote("s.a", to: .double)
      update.promote("m.value.v", to: .long)
    }
    #expect(schema.field(named: "n")?.type == .long)
    #expect(schema.field(named: "s.a")?.type == .double)
    #expect(schema.field(named: "m.value.v")?.type == .long)
    #expect(
      try apply(formatVersion: 3) { $0.promote("d", to: .timestampNs) }
        .field(named: "d")?.type == .timestampNs)
  }

  @Test func whatCannotBeIsRefusedByName() {
    #expect(refusal { $0.add(.required(1, "x", .int)) }.contains("'x' must be optional"))
    #expect(refusal { $0.add(.optional(1, "n", .int)) }.contains("already is a column 'n'"))
    #expect(refusal { $0.add(.optional(1, "x", .int), to: "n") }.contains("'n' of type int"))
    #expect(refusal { $0.drop("id") }.contains("identifies rows"))
    #expect(refusal { $0.makeOptional("id") }.contains("identifies rows"))
    #expect(refusal { $0.drop("none") }.contains("no column 'none'"))
    #expect(refusal { $0.drop("m.key") }.contains("part of a list or a map"))
    #expect(refusal { $0.rename("n", to: "d") }.contains("already is a column 'd'"))
    #expect(refusal { $0.promote("n", to: .string) }.contains("cannot become string"))
    #expect(refusal { $0.promote("d", to: .timestamp) }.contains("format version 3"))
    #expect(refusal { $0.promote("m.key.k", to: .long) }.contains("key of a map"))
    #expect(refusal { $0.move("s.a", .before("n")) }.contains("next to it"))
    #expect(refusal { $0.setWriteDefault("n", .int(1)) }.contains("format version 3"))
    #expect(refusal { $0.setIdentifierColumns(["n"]) }.contains("must be required"))
    #expect(
      refusal(formatVersion: 3) { $0.setWriteDefault("n", .string("x")) }.contains("no value"))
  }

  @Test func defaultsOfVersionThreeFillOldRowsAndNewOnes() throws {
    var field = NestedField.required(1, "x", .int)
    field.initialDefault = 0
    let added = field
    var update = SchemaUpdate()
    update.add(added)
    update.setWriteDefault("x", .int(7))
    let schema = try update.apply(to: metadata(formatVersion: 3)).schema
    // Zero is a default like any other.
    #expect(try schema.field(named: "x")?.initialLiteral() == .int(0))
    #expect(try schema.field(named: "x")?.writeLiteral() == .int(7))
    #expect(refusal { $0.add(added) }.contains("format version 3"))
  }

  @Test func columnsOfThePartitionSpecAndTheSortOrderStay() throws {
    let spec = PartitionSpec(fields: [
      PartitionField(sourceID: 2, fieldID: 1000, name: "n", transform: .identity),
      PartitionField(sourceID: 3, fieldID: 1001, name: "d_b", transform: .bucket(4)),
    ])
    let order = SortOrder(orderID: 1, fields: [SortField(sourceID: 7)])
    let metadata = try metadata(formatVersion: 3, spec: spec, order: order)
    for (column, text) in [("n", "'n'"), ("s.b", "sorted")] {
      var update = SchemaUpdate()
      update.drop(column)
      let error = #expect(throws: IcebergError.self) { try update.apply(to: metadata) }
      #expect(error?.description.contains(text) == true)
    }
    // A bucket of a date is not the bucket of the timestamp that it becomes.
    var update = SchemaUpdate()
    update.promote("d", to: .timestamp)
    let error = #expect(throws: IcebergError.self) { try update.apply(to: metadata) }
    #expect(error?.description.contains("'d_b'") == true)
  }

  @Test func theNameMappingLearnsNewNamesAndKeepsOldOnes() throws {
    let warehouse = try Warehouse()
    let mapping =
      #"[{"field-id":1,"names":["id"]},{"field-id":3,"names":["x"]},{"field-id":4,"names":["name"]}]"#
    let table = try warehouse.table(properties: ["schema.name-mapping.default": mapping])
    var update = SchemaUpdate()
    update.rename("x", to: "y")
    update.rename("name", to: "x")
    update.add(.optional(1, "s", .structure([.optional(2, "z", .int)])))
    var commit = table.newCommit()
    commit.updateSchema(update)
    let text = try commit.commit().table.properties["schema.name-mapping.default"] ?? ""
    let json = try JSONValue(parsing: text)
    func element(_ id: Int64) -> JSONValue? {
      json.arrayValue?.first { $0["field-id"]?.int64Value == id }
    }
    #expect(element(3)?["names"] == ["y"] && element(4)?["names"] == ["name", "x"])
    #expect(element(2)?["names"] == ["ts"])
    #expect(element(5)?["fields"] == [["field-id": 6, "names": ["z"]]])
  }
}

@Suite struct EvolutionTests {
  let rows = (0..<10).map { Row(id: Int64($0), ts: Int64($0) * day, x: nil, name: nil) }

  @Test func aCommitThatChangesNothingMakesNoVersion() throws {
    let warehouse = try Warehouse()
    let table = try warehouse.table()
    var commit = table.newCommit()
    commit.updateSchema(SchemaUpdate())
    commit.updatePartitionSpec(PartitionSpecUpdate())
    #expect(try commit.commit().table.metadataLocation == table.metadataLocation)
  }

  @Test func aNewColumnCanBePartitionedByInTheSameCommit() throws {
    let warehouse = try Warehouse()
    var table = try warehouse.table().writing(rows)
    var schema = SchemaUpdate()
    schema.add(.optional(1, "region", .string))
    var spec = PartitionSpecUpdate()
    spec.add("region", .identity)
    spec.add("ts", .day)
    var commit = table.newCommit()
    commit.updateSchema(schema)
    commit.updatePartitionSpec(spec)
    commit.replaceSortOrder([
      (column: "ts", transform: .hour, direction: .descending, nullOrder: .nullsLast)
    ])
    table = try commit.commit().table
    #expect(table.metadata.defaultPartitionSpec.fields.map(\.name) == ["region", "ts_day"])
    #expect(table.metadata.defaultPartitionSpec.fields.map(\.fieldID) == [1000, 1001])
    #expect(table.metadata.defaultSortOrder.orderID == 1)
    // Old files go on to be found, also under the new spec.
    var scan = table.newScan()
    scan.columns = ["id"]
    scan.filter = .comparison("ts", .less, .timestamptz(2 * day))
    #expect(try scan.planFiles().tasks.count == 1)
  }

  @Test func aPartitionFieldThatComesBackHasItsIDAgain() throws {
    let warehouse = try Warehouse()
    var table = try warehouse.table()
    for step in 0..<3 {
      var spec = PartitionSpecUpdate()
      if step == 1 { spec.remove("ts_day") } else { spec.add("ts", .day) }
      if step == 1 { spec.add("id", .bucket(4)) }
      var commit = table.newCommit()
      commit.updatePartitionSpec(spec)
      table = try commit.commit().table
    }
    #expect(table.metadata.defaultPartitionSpec.fields.map(\.fieldID) == [1001, 1000])
    #expect(table.metadata.partitionSpecs.count == 4 && table.metadata.lastPartitionID == 1001)
  }

  @Test func aSpecOfBeforeIsUsedAgain() throws {
    let warehouse = try Warehouse()
    var table = try warehouse.table()
    for step in 0..<2 {
      var spec = PartitionSpecUpdate()
      if step == 0 { spec.add("ts", .day) } else { spec.remove("ts_day") }
      var commit = table.newCommit()
      commit.updatePartitionSpec(spec)
      table = try commit.commit().table
    }
    #expect(table.metadata.defaultSpecID == 0 && table.metadata.partitionSpecs.count == 2)
  }

  @Test func partitionFieldsThatSayNothingNewOrHaveAColumnsNameAreRefused() throws {
    let warehouse = try Warehouse()
    let table = try warehouse.table()
    let changes: [(inout PartitionSpecUpdate) -> Void] = [
      {
        $0.add("ts", .day)
        $0.add("ts", .hour)
      },
      { $0.add("id", .bucket(4), name: "name") },
      { $0.add("x", .bucket(4)) },
      { $0.add("none", .identity) },
      { $0.remove("none") },
      { $0.add("id", .void) },
    ]
    for (index, change) in changes.enumerated() {
      var update = PartitionSpecUpdate()
      change(&update)
      #expect(throws: IcebergError.self, "change \(index)") {
        try update.apply(to: table.metadata)
      }
    }
  }

  @Test func aTableGoesFromVersionToVersionButNeverBack() throws {
    let warehouse = try Warehouse()
    var table = try warehouse.table().writing(rows)
    var commit = table.newCommit()
    commit.upgradeFormatVersion(to: 3)
    table = try commit.commit().table
    #expect(table.metadata.formatVersion == 3 && table.metadata.nextRowID == 0)
    commit = table.newCommit()
    commit.upgradeFormatVersion(to: 2)
    #expect(throws: IcebergError.self) { try commit.commit() }
  }
}
