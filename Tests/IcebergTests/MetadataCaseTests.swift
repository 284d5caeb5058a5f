import Foundation
import Iceberg
import JSON
import Testing

/// A document's members by their way through objects (names) and arrays (numbers).
enum Step: Hashable, CustomStringConvertible {
  case name(String)
  case index(Int)

  var description: String {
    switch self {
    case .name(let name): name
    case .index(let index): "\(index)"
    }
  }
}

extension JSONValue {
  /// The same document with another value at the end of the way; nil removes the member.
  func replacing(_ way: some Collection<Step>, by value: JSONValue?) -> JSONValue {
    guard let first = way.first else { return value ?? .null }
    let rest = way.dropFirst()
    switch (self, first) {
    case (.object(var object), .name(let name)):
      object[name] = rest.isEmpty ? value : object[name]?.replacing(rest, by: value)
      return .object(object)
    case (.array(var elements), .index(let index)) where elements.indices.contains(index):
      elements[index] = elements[index].replacing(rest, by: value)
      return .array(elements)
    default: return self
    }
  }

  /// The ways to all numbers in the document.
  func numbers(_ way: [Step] = []) -> [[Step]] {
    switch self {
    case .integer, .number: [way]
    case .array(let elements):
      elements.enumerated().flatMap { $1.numbers(way + [.index($0)]) }
    case .object(let object): object.members.flatMap { $1.numbers(way + [.name($0)]) }
    default: []
    }
  }
}

/// The cases of other implementations' test resources, made anew: each required member missing or of
/// another type, the smallest documents of each format version, and values that nobody means.
@Suite struct MetadataCaseTests {
  static let schema = """
    {"type": "struct", "schema-id": 0, "identifier-field-ids": [1], "fields": [
      {"id": 1, "name": "x", "required": true, "type": "long"},
      {"id": 2, "name": "l", "required": false, "type": {"type": "list", "element-id": 3,
        "element": "string", "element-required": false}},
      {"id": 4, "name": "m", "required": false, "type": {"type": "map", "key-id": 5, "key": "string",
        "value-id": 6, "value": "int", "value-required": false}},
      {"id": 7, "name": "s", "required": false, "type": {"type": "struct", "fields": [
        {"id": 8, "name": "y", "required": false, "type": "decimal(9, 2)"}]}}]}
    """

  static let common = """
    "location": "file:///t", "last-updated-ms": 1602638573874, "last-column-id": 8,
    "properties": {"owner": "me"}, "current-snapshot-id": 12, "snapshots": [SNAPSHOTS],
    "snapshot-log": [{"snapshot-id": 11, "timestamp-ms": 1602638573000},
      {"snapshot-id": 12, "timestamp-ms": 1602638573874}],
    "metadata-log": [{"metadata-file": "file:///t/metadata/0.metadata.json", "timestamp-ms": 1602638573000}]
    """

  static let specs = """
    "partition-specs": [{"spec-id": 0, "fields": [
      {"name": "x_bucket", "transform": "bucket[4]", "source-id": 1, "field-id": 1000}]}],
    "default-spec-id": 0, "last-partition-id": 1000,
    "sort-orders": [{"order-id": 3, "fields": [
      {"transform": "identity", "source-id": 1, "direction": "asc", "null-order": "nulls-first"}]}],
    "default-sort-order-id": 3,
    "refs": {"main": {"snapshot-id": 12, "type": "branch"}, "t": {"snapshot-id": 11, "type": "tag",
      "max-ref-age-ms": 100}},
    "statistics": [{"snapshot-id": 11, "statistics-path": "file:///t/metadata/s.puffin",
      "file-size-in-bytes": 413, "file-footer-size-in-bytes": 42, "blob-metadata": []}]
    """

  /// A document with every member that a format version has.
  static func document(_ version: Int) throws -> JSONValue {
    func snapshot(_ id: Int, _ more: String) -> String {
      """
      {"snapshot-id": \(id), \(id == 11 ? "" : #""parent-snapshot-id": 11,"#)
       "timestamp-ms": 1602638573\(id == 11 ? "000" : "874"), "schema-id": 0,
       "summary": {"operation": "append", "added-records": "3"},
       "manifest-list": "file:///t/metadata/\(id).avro"\(more)}
      """
    }
    var text = #"{"format-version": \#(version), "#
    switch version {
    case 1:
      text +=
        #""schema": \#(schema), "partition-spec": [{"name": "x", "transform": "identity", "#
        + #""source-id": 1, "field-id": 1000}], "#
      text += common.replacing(
        "SNAPSHOTS",
        with: [11, 12].map { snapshot($0, "") }
          .joined(separator: ","))
    default:
      text += #""table-uuid": "9c12d441-03fe-4693-9a96-a0705ddf69c1", "last-sequence-number": 2, "#
      text += #""schemas": [\#(schema)], "current-schema-id": 0, \#(specs), "#
      if version == 3 { text += #""next-row-id": 6, "# }
      text += common.replacing(
        "SNAPSHOTS",
        with: [11, 12].map { id in
          let rows = version == 3 ? #", "first-row-id": \#((id - 11) * 3), "added-rows": 3"# : ""
          return snapshot(id, #", "sequence-number": \#(id - 10)"# + rows)
        }.joined(separator: ","))
    }
    return try JSONValue(parsing: text + "}")
  }

  /// What a document must have, as names and positions separated by slashes.
  static func required(_ version: Int) -> [String] {
    let always = [
      "format-version", "location", "last-updated-ms", "last-column-id",
      "snapshots/0/snapshot-id", "snapshots/1/timestamp-ms", "snapshots/0/summary/operation",
      "snapshot-log/0/snapshot-id", "snapshot-log/1/timestamp-ms", "metadata-log/0/metadata-file",
      "metadata-log/0/timestamp-ms",
    ]
    let schema = version == 1 ? "schema" : "schemas/0"
    let fields = [
      "fields", "fields/0/id", "fields/0/name", "fields/0/required", "fields/0/type",
      "fields/1/type/type", "fields/1/type/element-id", "fields/1/type/element",
      "fields/1/type/element-required", "fields/2/type/key-id", "fields/2/type/key",
      "fields/2/type/value-id", "fields/2/type/value", "fields/2/type/value-required",
      "fields/3/type/fields", "fields/3/type/fields/0/id", "fields/3/type/fields/0/type",
    ].map { schema + "/" + $0 }
    if version == 1 {
      return always.filter { !$0.hasSuffix("operation") } + fields + [
        "schema", "partition-spec", "partition-spec/0/name", "partition-spec/0/transform",
        "partition-spec/0/source-id",
      ]
    }
    return always + fields + (version == 3 ? ["next-row-id"] : []) + [
      "table-uuid", "last-sequence-number", "schemas", "current-schema-id", "partition-specs",
      "default-spec-id", "last-partition-id", "sort-orders", "default-sort-order-id",
      "partition-specs/0/spec-id", "partition-specs/0/fields", "partition-specs/0/fields/0/name",
      "partition-specs/0/fields/0/transform", "partition-specs/0/fields/0/source-id",
      "sort-orders/0/order-id", "sort-orders/0/fields", "sort-orders/0/fields/0/transform",
      "sort-orders/0/fields/0/source-id", "sort-orders/0/fields/0/direction",
      "sort-orders/0/fields/0/null-order", "snapshots/0/manifest-list", "refs/t/snapshot-id",
      "refs/t/type", "statistics/0/snapshot-id", "statistics/0/statistics-path",
    ]
  }

  static func way(_ text: String) -> [Step] {
    text.split(separator: "/").map { part in
      Int(part).map { .index($0) } ?? .name(String(part))
    }
  }

  @Test(arguments: [1, 2, 3]) func everyMemberIsReadAndWrittenAgain(version: Int) throws {
    let metadata = try TableMetadata(json: try Self.document(version))
    #expect(metadata.formatVersion == version && metadata.snapshots.count == 2)
    #expect(metadata.currentSnapshot?.parentSnapshotID == 11)
    #expect(metadata.snapshotLog.count == 2 && metadata.metadataLog.count == 1)
    #expect(metadata.currentSchema.field(named: "m.value")?.type == .int)
    #expect(metadata.defaultPartitionSpec.fields.count == 1)
    #expect(metadata.nextRowID == (version == 3 ? 6 : nil))
    #expect(metadata.snapshots[1].firstRowID == (version == 3 ? 3 : nil))
    #expect(try TableMetadata(json: metadata.json) == metadata)
    if version > 1 { #expect(metadata.references["t"]?.maxReferenceAgeMilliseconds == 100) }
  }

  @Test(arguments: [1, 2, 3]) func eachRequiredMemberMissingIsAnErrorThatNamesIt(
    version: Int
  ) throws {
    let document = try Self.document(version)
    for member in Self.required(version) {
      let way = Self.way(member)
      for value: JSONValue? in [nil, .null] {
        let error = #expect(throws: IcebergError.self, "\(member)") {
          try TableMetadata(json: document.replacing(way, by: value))
        }
        guard let last = way.last else { continue }
        #expect(
          error?.description.contains("\(last)") == true, "\(member): \(error?.message ?? "")")
      }
    }
  }

  @Test(arguments: [1, 2, 3]) func eachMemberOfAnotherTypeIsAnErrorThatNamesIt(
    version: Int
  ) throws {
    let document = try Self.document(version)
    var members =
      Self.required(version) + [
        "properties", "properties/owner", "current-snapshot-id", "snapshots", "snapshots/0/summary",
        "snapshots/1/parent-snapshot-id", "snapshots/0/summary/added-records", "snapshot-log",
        "metadata-log", "snapshots/0/schema-id", "snapshots/0/manifest-list",
      ]
    if version > 1 { members += ["refs", "refs/t", "refs/t/max-ref-age-ms", "statistics"] }
    for member in members {
      let way = Self.way(member)
      for value: JSONValue in [.bool(true), [[1]], ["a": [1]], .number("1.5"), .number("1e400")] {
        // A type may be an object, a boolean is one.
        if case .bool = value, member.hasSuffix("required") { continue }
        #expect(throws: IcebergError.self, "\(member): \(value)") {
          try TableMetadata(json: document.replacing(way, by: value))
        }
      }
    }
  }

  @Test func theSmallestDocumentsAreRead() throws {
    let first = """
      {"format-version": 1, "location": "s3://b/t", "last-updated-ms": 1, "last-column-id": 1,
       "schema": {"type": "struct", "fields": [
         {"id": 1, "name": "x", "required": true, "type": "long"}]}, "partition-spec": []}
      """
    let second = """
      {"format-version": 2, "table-uuid": "u", "location": "s3://b/t", "last-sequence-number": 0,
       "last-updated-ms": 1, "last-column-id": 0, "current-schema-id": 0,
       "schemas": [{"type": "struct", "schema-id": 0, "fields": []}], "default-spec-id": 0,
       "partition-specs": [{"spec-id": 0, "fields": []}], "last-partition-id": 999,
       "default-sort-order-id": 0, "sort-orders": [{"order-id": 0, "fields": []}]}
      """
    let third = second.replacing(
      #""format-version": 2"#, with: #""format-version": 3, "next-row-id": 0"#)
    for (version, text) in zip(1..., [first, second, third]) {
      let metadata = try TableMetadata(json: try JSONValue(parsing: text))
      #expect(metadata.formatVersion == version && metadata.currentSnapshotID == nil)
      #expect(metadata.snapshots.isEmpty && metadata.references.isEmpty)
      #expect(metadata.defaultPartitionSpec.isUnpartitioned && metadata.defaultSortOrder.isUnsorted)
      #expect(metadata.lastPartitionID == 999 && metadata.properties.isEmpty)
      #expect(metadata.nextRowID == (version == 3 ? 0 : nil))
      #expect(try TableMetadata(json: metadata.json).currentSchema == metadata.currentSchema)
    }
  }

  /// Found by fuzzing: what such a snapshot said was lost when the metadata was written.
  @Test func aSummaryWithoutAnOperationIsKept() throws {
    let text = """
      {"format-version": 1, "location": "s3://b/t", "last-updated-ms": 1, "last-column-id": 1,
       "schema": {"type": "struct", "fields": [
         {"id": 1, "name": "x", "required": true, "type": "long"}]}, "partition-spec": [],
       "snapshots": [{"snapshot-id": 5, "timestamp-ms": 1, "manifests": [],
         "summary": {"added-records": "3"}}]}
      """
    let metadata = try TableMetadata(json: try JSONValue(parsing: text))
    #expect(metadata.snapshots.first?.operation == nil)
    #expect(metadata.snapshots.first?.summary == ["added-records": "3"])
    #expect(try TableMetadata(json: metadata.json) == metadata)
  }

  @Test(arguments: [1, 2, 3]) func absurdNumbersAreErrorsOrHarmless(version: Int) throws {
    let document = try Self.document(version)
    let numbers: [Int64] = [
      .max, .max - 1, .min, -1, 0, Int64(Int32.max), Int64(Int32.max) - 1, Int64(Int32.max) + 1,
      Int64(Int32.min), .max / 1000, .max / 1001, .min / 1000,
    ]
    var refused = 0
    for way in document.numbers() {
      for number in numbers {
        let metadata: TableMetadata
        do {
          metadata = try TableMetadata(json: document.replacing(way, by: .integer(number)))
        } catch {
          refused += 1
          continue
        }
        try use(metadata)
      }
    }
    #expect(refused > 100)
  }

  /// Everything that a commit may do to metadata: errors are fine, traps are not.
  private func use(_ metadata: TableMetadata) throws {
    _ = metadata.ancestors(of: metadata.currentSnapshotID).count
    _ = metadata.snapshot(asOfMilliseconds: .max)
    var field = PartitionField(sourceID: 1, fieldID: 1, name: "n", transform: .identity)
    field.fieldID = metadata.lastPartitionID
    var snapshot = Snapshot(
      snapshotID: 99, parentSnapshotID: metadata.currentSnapshotID,
      sequenceNumber: metadata.lastSequenceNumber, timestampMilliseconds: 5, manifestList: "x",
      operation: .append, schemaID: 0)
    snapshot.firstRowID = metadata.nextRowID
    snapshot.addedRows = 5
    let changes: [[TableUpdate]] = [
      [
        .addSchema(
          TableSchema(fields: [.optional(1, "z", .int)]), lastColumnID: metadata.lastColumnID),
        .setCurrentSchema(id: nil),
      ],
      [.addPartitionSpec(PartitionSpec(fields: [field])), .setDefaultPartitionSpec(id: nil)],
      [
        .addSortOrder(SortOrder(orderID: 9, fields: [SortField(sourceID: 8)])),
        .setDefaultSortOrder(id: nil),
      ],
      [.addSnapshot(snapshot), .setReference(name: "main", .init(snapshotID: 99, kind: .branch))],
      [.removeSnapshots(ids: [11])], [.upgradeFormatVersion(3)], [.setProperties(["a": "b"])],
    ]
    for updates in changes {
      do {
        let changed = try metadata.applying(
          updates, nowMilliseconds: 7, previousLocation: "file:///t/metadata/1.metadata.json")
        #expect(changed != metadata)
      } catch { #expect(!error.message.isEmpty) }
    }
  }

  @Test func aTableAtTheEndOfItsNumbersTakesNoMoreCommits() throws {
    let warehouse = try Warehouse()
    let table = try warehouse.table().appending("a")
    var endings: [(String, (inout TableMetadata) -> Void)] = []
    endings.append(("sequence number", { $0.lastSequenceNumber = .max - 1 }))
    endings.append(("schema id", { $0.schemas = [$0.schemas[0].withID(.max - 1)] }))
    endings.append(("time", { $0.snapshots[0].timestampMilliseconds = .max / 1001 }))
    for (what, end) in endings {
      var metadata = table.metadata
      end(&metadata)
      metadata.currentSchemaID = metadata.schemas[0].schemaID
      let ended = Table(
        identifier: table.identifier,
        state: TableState(metadata: metadata, metadataLocation: table.metadataLocation),
        catalog: EndedCatalog(warehouse.catalog, metadata), io: table.io, clock: table.clock)
      var commit = ended.newCommit()
      if what == "schema id" {
        var update = SchemaUpdate()
        update.add(.optional(1, "extra", .int))
        commit.updateSchema(update)
      } else {
        commit.append([fakeFile("b", in: table)])
      }
      let error = #expect(throws: IcebergError.self, "\(what)") { try commit.commit() }
      #expect(error?.kind != .commitStateUnknown && error?.kind != .commitConflict, "\(what)")
    }
    #expect(try table.refresh().metadataLocation == table.metadataLocation)
  }

  @Test func metadataThatNobodyCouldReadIsNotWritten() throws {
    let warehouse = try Warehouse()
    let table = try warehouse.table()
    var commit = table.newCommit()
    commit.setProperties(["huge": String(repeating: "a", count: 65 << 20)])
    let error = #expect(throws: IcebergError.self) { try commit.commit() }
    #expect(error?.kind == .validationFailed)
    #expect(try table.refresh().metadataLocation == table.metadataLocation)
  }
}

/// A catalog that says that a table is as it is not.
private final class EndedCatalog: ForwardingCatalog, @unchecked Sendable {
  // Unchecked: nothing of it changes.
  private let metadata: TableMetadata

  init(_ catalog: SQLiteCatalog, _ metadata: TableMetadata) {
    self.metadata = metadata
    super.init(catalog)
  }

  override func loadState(_ identifier: TableIdentifier) throws(IcebergError) -> TableState {
    TableState(
      metadata: metadata, metadataLocation: try super.loadState(identifier).metadataLocation)
  }
}
