import Columnar
import Iceberg
import JSON
import Testing

@Suite struct TableSchemaTests {
  @Test func javasSchemaComesBackUnchanged() throws {
    let header = try Golden.json("java1.10.2_manifest_v2_kv.json")
    let json = try JSONValue(parsing: try #require(header["schema"]?.stringValue))
    let schema = try TableSchema(json: json)
    #expect(schema.json == json)
    #expect(schema.field(named: "d")?.type == .decimal(precision: 9, scale: 2))
    #expect(schema.field(named: "arr.element")?.id == 9)
    #expect(schema.field(named: "m.value")?.id == 11)
    #expect(schema.field(named: "st.b")?.id == 13)
    #expect(schema.name(ofID: 13) == "st.b" && schema.parent(ofID: 13)?.name == "st")
    #expect(schema.highestFieldID == 13)
  }

  @Test func freshIDsAreTheOnesThatJavaGives() throws {
    let schema = try ManifestFixture.schema()
    let columns = Schema(schema.columnarSchema.fields.map { field in stripped(field) })
    let fresh = try TableSchema(columns)
    #expect(fresh.hasSameFields(as: schema))
    #expect(fresh.columnarSchema == schema.columnarSchema)
  }

  private func stripped(_ field: Field) -> Field {
    let type: DataType =
      switch field.type {
      case .list(let element): .list(stripped(element))
      case .map(let key, let value): .map(key: stripped(key), value: stripped(value))
      case .structure(let fields): .structure(fields.map { stripped($0) })
      default: field.type
      }
    return Field(field.name, type, isNullable: field.isNullable)
  }

  @Test func identifierFieldsFollowTheirFieldsToFreshIDs() throws {
    let schema = TableSchema(
      fields: [.required(70, "a", .long), .required(50, "b", .string)], identifierFieldIDs: [50])
    let fresh = try schema.withFreshIDs(after: 10)
    #expect(fresh.fields.map(\.id) == [11, 12] && fresh.identifierFieldIDs == [12])
  }

  @Test(arguments: [
    ("decimal(9,2)", IcebergType.decimal(precision: 9, scale: 2)),
    ("decimal( 38 , 0 )", .decimal(precision: 38, scale: 0)), ("fixed[16]", .fixed(16)),
    ("timestamp_ns", .timestampNs), ("timestamptz_ns", .timestamptzNs),
  ])
  func typesAreReadWithAndWithoutSpaces(text: String, type: IcebergType) throws {
    #expect(try IcebergType(primitiveName: text) == type)
  }

  @Test(arguments: [
    "decimal(39,0)", "decimal(9)", "decimal(2,3)", "fixed[-1]", "int32", "", "fixed[",
  ])
  func illegalTypesAreErrors(text: String) {
    #expect(throws: IcebergError.self) { try IcebergType(primitiveName: text) }
  }

  @Test func anUnknownTypeIsNamed() throws {
    let json = try JSONValue(
      parsing: """
        {"type":"struct","fields":[{"id":1,"name":"v","required":false,"type":"variant"}]}
        """)
    let error = #expect(throws: IcebergError.self) { try TableSchema(json: json) }
    #expect(error?.kind == .unsupported && error?.description.contains("'variant'") == true)
  }

  @Test func anIDThatIsUsedTwiceIsAnError() {
    let schema = TableSchema(
      fields: [
        .required(1, "a", .int), .optional(2, "s", .structure([.optional(1, "b", .int)])),
      ])
    #expect(throws: IcebergError.self) { try schema.validate() }
  }

  @Test func optionalOrFloatingFieldsCannotIdentify() {
    let fields: [NestedField] = [
      .optional(1, "a", .int), .required(2, "f", .double),
      .optional(3, "s", .structure([.required(4, "b", .int)])),
    ]
    for id: Int32 in [1, 2, 4, 9] {
      #expect(throws: IcebergError.self) {
        try TableSchema(fields: fields, identifierFieldIDs: [id]).validate()
      }
    }
  }

  @Test func partitionSpecsAreReadAsObjectsAndAsArrays() throws {
    let header = try Golden.json("java1.10.2_manifest_v2_kv.json")
    let json = try JSONValue(parsing: try #require(header["partition-spec"]?.stringValue))
    let spec = try PartitionSpec(json: json, specID: 0)
    #expect(spec == ManifestFixture.spec)
    #expect(spec.fieldsJSON == json)
    #expect(try PartitionSpec(json: spec.json) == spec)
    #expect(spec.partitionTypes(schema: try ManifestFixture.schema()) == [.date, .int])
  }

  @Test func specsThatCannotBeWrittenAreRefused() throws {
    let schema = try ManifestFixture.schema()
    let fields = [
      PartitionField(sourceID: 3, fieldID: 1000, name: "x", transform: .bucket(2)),
      PartitionField(sourceID: 9, fieldID: 1000, name: "x", transform: .identity),
      PartitionField(sourceID: 77, fieldID: 1000, name: "x", transform: .identity),
      PartitionField(sourceID: 2, fieldID: 1000, name: "x", transform: .unknown("y")),
    ]
    for field in fields {
      #expect(throws: IcebergError.self) {
        try PartitionSpec(fields: [field]).validate(schema: schema)
      }
    }
    try ManifestFixture.spec.validate(schema: schema)
  }

  @Test func sortOrdersComeBack() throws {
    let order = SortOrder(
      orderID: 1,
      fields: [
        SortField(sourceID: 1),
        SortField(
          sourceID: 4, transform: .day, direction: .descending, nullOrder: .nullsLast),
      ])
    #expect(try SortOrder(json: order.json) == order)
    #expect(
      order.fields[0].json.text()
        == #"{"transform":"identity","source-id":1,"direction":"asc","null-order":"nulls-first"}"#)
  }
}
