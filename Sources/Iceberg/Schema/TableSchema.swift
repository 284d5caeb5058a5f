public import JSON

/// The fields of a table under one schema id.
///
/// Every field, nested ones too, has an id that is unique in the schema and never used again.
public struct TableSchema: Sendable {
  public let schemaID: Int32
  public let fields: [NestedField]
  /// Fields that together identify a row; ascending.
  public let identifierFieldIDs: [Int32]

  private let fieldsByID: [Int32: NestedField]
  private let parentIDs: [Int32: Int32]
  private let idsByName: [String: Int32]
  private let namesByID: [Int32: String]

  /// Ids and names are the caller's promise; `validate` checks them.
  public init(schemaID: Int32 = 0, fields: [NestedField], identifierFieldIDs: [Int32] = []) {
    self.schemaID = schemaID
    self.fields = fields
    self.identifierFieldIDs = identifierFieldIDs.sorted()
    var index = SchemaIndex()
    index.add(fields, prefix: "", parent: nil)
    fieldsByID = index.fieldsByID
    parentIDs = index.parentIDs
    idsByName = index.idsByName
    namesByID = index.namesByID
  }

  /// The field with this id, at any depth.
  public func field(id: Int32) -> NestedField? { fieldsByID[id] }

  /// The field with this full name: `a`, `a.b`, `list.element`, `map.key`, `map.value`.
  public func field(named name: String) -> NestedField? {
    idsByName[name].flatMap { fieldsByID[$0] }
  }

  /// The full name of the field with this id.
  public func name(ofID id: Int32) -> String? { namesByID[id] }

  /// The field that holds this one; nil for a top-level or an unknown one.
  public func parent(ofID id: Int32) -> NestedField? {
    parentIDs[id].flatMap { fieldsByID[$0] }
  }

  /// The position of a top-level field.
  public func index(ofID id: Int32) -> Int? { fields.firstIndex { $0.id == id } }

  /// The ids of all fields, nested ones too, in no particular order.
  public var allFieldIDs: some Collection<Int32> { fieldsByID.keys }

  /// The highest id in use; 0 for an empty schema.
  public var highestFieldID: Int32 { fieldsByID.keys.max() ?? 0 }

  /// The same fields under another id.
  public func withID(_ schemaID: Int32) -> TableSchema {
    TableSchema(schemaID: schemaID, fields: fields, identifierFieldIDs: identifierFieldIDs)
  }

  /// Whether both have the same fields and identifier fields, whatever their schema ids.
  public func hasSameFields(as other: TableSchema) -> Bool {
    fields == other.fields && identifierFieldIDs == other.identifierFieldIDs
  }
}

extension TableSchema: Hashable {
  public static func == (left: TableSchema, right: TableSchema) -> Bool {
    left.schemaID == right.schemaID && left.hasSameFields(as: right)
  }

  public func hash(into hasher: inout Hasher) {
    hasher.combine(schemaID)
    hasher.combine(fields)
    hasher.combine(identifierFieldIDs)
  }
}

// What every schema must fulfil.
extension TableSchema {
  /// Checks that ids and sibling names are unique and that identifier fields may identify.
  public func validate() throws(IcebergError) {
    var seen: Set<Int32> = []
    try validate(fields, seen: &seen)
    for id in identifierFieldIDs { try validateIdentifier(id) }
  }

  private func validate(_ fields: [NestedField], seen: inout Set<Int32>) throws(IcebergError) {
    var names: Set<[UInt8]> = []
    for field in fields {
      guard seen.insert(field.id).inserted else {
        throw IcebergError(.invalidMetadata, "field id \(field.id) is used twice")
      }
      guard names.insert(Array(field.name.utf8)).inserted else {
        throw IcebergError(.invalidMetadata, "two fields are named '\(field.name)'")
      }
      let hasDefault = [field.initialDefault, field.writeDefault].contains {
        ($0 ?? .null) != .null
      }
      guard field.type != .unknown || !field.isRequired && !hasDefault else {
        throw IcebergError(
          .invalidMetadata,
          "'\(field.name)' has no type yet: it must be optional, without a default")
      }
      try validate(field.type.children, seen: &seen)
    }
  }

  private func validateIdentifier(_ id: Int32) throws(IcebergError) {
    guard let field = field(id: id) else {
      throw IcebergError(.invalidMetadata, "identifier field \(id) is not in the schema")
    }
    guard field.isRequired, field.type.isPrimitive, field.type != .unknown, field.type != .float,
      field.type != .double
    else {
      throw IcebergError(
        .invalidMetadata,
        "'\(field.name)' cannot identify rows: it must be required and primitive,"
          + " and no floating-point number")
    }
    var ancestor = parent(ofID: id)
    while let holder = ancestor {
      guard holder.isRequired, case .structure = holder.type else {
        throw IcebergError(
          .invalidMetadata,
          "'\(field.name)' cannot identify rows: '\(holder.name)' around it"
            + " is no required struct")
      }
      ancestor = parent(ofID: holder.id)
    }
  }
}

// The wire form.
extension TableSchema {
  /// A schema from metadata JSON; without `schema-id` (format version 1) it is 0.
  public init(json: JSONValue) throws(IcebergError) {
    if let type = try json.optionalString("type"), type != "struct" {
      throw IcebergError(.invalidMetadata, "a schema must be a struct, found '\(type)'")
    }
    self.init(
      schemaID: try json.optionalInt32("schema-id") ?? 0,
      fields: try NestedField.fields(json: json),
      identifierFieldIDs: try json.optionalInt32Array("identifier-field-ids") ?? [])
    try validate()
  }

  public var json: JSONValue {
    var object: JSONObject = ["type": "struct", "schema-id": .integer(Int64(schemaID))]
    if !identifierFieldIDs.isEmpty {
      object["identifier-field-ids"] = .array(identifierFieldIDs.map { .integer(Int64($0)) })
    }
    object["fields"] = .array(fields.map(\.json))
    return .object(object)
  }
}

/// Collects what the lookups need; of equal full names the first one counts.
private struct SchemaIndex {
  var fieldsByID: [Int32: NestedField] = [:]
  var parentIDs: [Int32: Int32] = [:]
  var idsByName: [String: Int32] = [:]
  var namesByID: [Int32: String] = [:]

  mutating func add(_ fields: [NestedField], prefix: String, parent: Int32?) {
    for field in fields {
      let name = prefix + field.name
      fieldsByID[field.id] = field
      namesByID[field.id] = name
      if idsByName[name] == nil { idsByName[name] = field.id }
      if let parent { parentIDs[field.id] = parent }
    }
    for field in fields where !field.type.isPrimitive {
      add(field.type.children, prefix: prefix + field.name + ".", parent: field.id)
    }
  }
}
