public import JSON

/// A field of a table, at the top level or inside a nested type; the id is what identifies it.
public struct NestedField: Hashable, Sendable {
  public var id: Int32
  public var name: String
  public var isRequired: Bool
  public var type: IcebergType
  public var doc: String?
  /// What rows written before the field was added have (format version 3), in the
  /// specification's JSON form; `initialLiteral` has the value.
  public var initialDefault: JSONValue?
  /// What writers store when no value is given (format version 3).
  public var writeDefault: JSONValue?

  public init(
    id: Int32, name: String, isRequired: Bool, type: IcebergType, doc: String? = nil,
    initialDefault: JSONValue? = nil, writeDefault: JSONValue? = nil
  ) {
    self.id = id
    self.name = name
    self.isRequired = isRequired
    self.type = type
    self.doc = doc
    self.initialDefault = initialDefault
    self.writeDefault = writeDefault
  }

  public static func required(
    _ id: Int32, _ name: String, _ type: IcebergType, doc: String? = nil
  ) -> NestedField {
    NestedField(id: id, name: name, isRequired: true, type: type, doc: doc)
  }

  public static func optional(
    _ id: Int32, _ name: String, _ type: IcebergType, doc: String? = nil
  ) -> NestedField {
    NestedField(id: id, name: name, isRequired: false, type: type, doc: doc)
  }

  /// The initial default of a primitive field; nil when there is none.
  public func initialLiteral() throws(IcebergError) -> Literal? {
    guard let initialDefault, initialDefault != .null else { return nil }
    return try Literal(json: initialDefault, type: type)
  }

  /// The write default of a primitive field; nil when there is none.
  public func writeLiteral() throws(IcebergError) -> Literal? {
    guard let writeDefault, writeDefault != .null else { return nil }
    return try Literal(json: writeDefault, type: type)
  }
}

extension NestedField: CustomStringConvertible {
  public var description: String {
    "\(id): \(name): \(isRequired ? "required" : "optional") \(type)"
  }
}

// The wire form.
extension NestedField {
  public init(json: JSONValue) throws(IcebergError) {
    let name = try json.requiredString("name")
    do {
      self.init(
        id: try json.requiredInt32("id"), name: name,
        isRequired: try json.requiredBool("required"),
        type: try IcebergType(json: try json.required("type")),
        doc: try json.optionalString("doc"), initialDefault: json.optional("initial-default"),
        writeDefault: json.optional("write-default"))
    } catch {
      throw error.adding("field", name)
    }
  }

  /// The `fields` of a struct.
  static func fields(json: JSONValue) throws(IcebergError) -> [NestedField] {
    var fields: [NestedField] = []
    for element in try json.requiredArray("fields") {
      fields.append(try NestedField(json: element))
    }
    return fields
  }

  public var json: JSONValue {
    var object: JSONObject = [
      "id": .integer(Int64(id)), "name": .string(name), "required": .bool(isRequired),
      "type": type.json,
    ]
    if let doc { object["doc"] = .string(doc) }
    if let initialDefault { object["initial-default"] = initialDefault }
    if let writeDefault { object["write-default"] = writeDefault }
    return .object(object)
  }
}
