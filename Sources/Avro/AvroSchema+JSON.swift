public import JSON

extension AvroSchema {
  /// Parses a schema; references to named types are replaced by what they name.
  ///
  /// Recursive types and schemas of more than 10,000 types, references counted in full, are errors:
  /// nothing in a table needs them.
  public init(json: JSONValue) throws(AvroError) {
    var parser = AvroSchemaParser()
    self = try parser.schema(json, namespace: nil).schema
  }

  /// The schema as JSON; a named type that occurs again is written as a reference.
  public var json: JSONValue {
    var names: Set<String> = []
    return json(names: &names)
  }

  private func json(names: inout Set<String>) -> JSONValue {
    switch shape {
    case .union(let branches):
      return .array(branches.map { $0.json(names: &names) })
    case .record(let name, _), .fixed(let name, _), .enumeration(let name, _):
      if !names.insert(name).inserted { return .string(name) }
    default: break
    }
    var object = members(names: &names)
    if object.count == 1, attributes.isEmpty { return object["type"] ?? .null }
    for (key, value) in attributes.members { object[key] = value }
    return .object(object)
  }

  private func members(names: inout Set<String>) -> JSONObject {
    switch shape {
    case .null: ["type": "null"]
    case .boolean: ["type": "boolean"]
    case .int: ["type": "int"]
    case .long: ["type": "long"]
    case .float: ["type": "float"]
    case .double: ["type": "double"]
    case .bytes: ["type": "bytes"]
    case .string: ["type": "string"]
    case .fixed(let name, let size):
      ["type": "fixed", "name": .string(name), "size": .integer(Int64(size))]
    case .enumeration(let name, let symbols):
      ["type": "enum", "name": .string(name), "symbols": .array(symbols.map { .string($0) })]
    case .record(let name, let fields):
      [
        "type": "record", "name": .string(name),
        "fields": .array(
          fields.map { field in
            var object: JSONObject = [
              "name": .string(field.name), "type": field.schema.json(names: &names),
            ]
            for (key, value) in field.attributes.members { object[key] = value }
            return .object(object)
          }),
      ]
    case .array(let items): ["type": "array", "items": items.json(names: &names)]
    case .map(let values): ["type": "map", "values": values.json(names: &names)]
    case .union: [:]
    }
  }
}

/// Parses schemas; remembers named types, and how large each is when written out.
private struct AvroSchemaParser {
  typealias Sized = (schema: AvroSchema, size: Int)

  private static let maximumSize = 10_000
  private static let simple: [String: AvroSchema] = [
    "null": .null, "boolean": .boolean, "int": .int, "long": .long, "float": .float,
    "double": .double, "bytes": .bytes, "string": .string,
  ]

  private var named: [String: Sized] = [:]

  mutating func schema(_ json: JSONValue, namespace: String?) throws(AvroError) -> Sized {
    switch json {
    case .string(let name): return try reference(name, namespace: namespace)
    case .array(let elements):
      var branches: [AvroSchema] = []
      var size = 1
      for element in elements {
        let branch = try schema(element, namespace: namespace)
        branches.append(branch.schema)
        size = try sum(size, branch.size)
      }
      guard !branches.isEmpty else { throw AvroError("a union has no types") }
      return (AvroSchema(.union(branches)), size)
    case .object(let object): return try type(object, namespace: namespace)
    default: throw AvroError("a schema cannot be \(json.kind)")
    }
  }

  private func reference(_ name: String, namespace: String?) throws(AvroError) -> Sized {
    if let simple = AvroSchemaParser.simple[name] { return (simple, 1) }
    if let namespace, let known = named["\(namespace).\(name)"] { return known }
    if let known = named[name] { return known }
    throw AvroError("unknown type '\(name)', or a recursive one")
  }

  private mutating func type(_ object: JSONObject, namespace: String?) throws(AvroError) -> Sized {
    guard let type = object["type"] else { throw AvroError("a schema has no type") }
    guard let kind = type.stringValue else {
      return try schema(type, namespace: namespace)
    }
    if let simple = AvroSchemaParser.simple[kind] {
      return (AvroSchema(simple.shape, attributes: object.without(["type"])), 1)
    }
    switch kind {
    case "array":
      let items = try schema(object["items"] ?? .null, namespace: namespace)
      let rest = object.without(["type", "items"])
      return (AvroSchema(.array(items.schema), attributes: rest), try sum(1, items.size))
    case "map":
      let values = try schema(object["values"] ?? .null, namespace: namespace)
      let rest = object.without(["type", "values"])
      return (AvroSchema(.map(values.schema), attributes: rest), try sum(1, values.size))
    case "record", "fixed", "enum": return try namedType(kind, object, namespace: namespace)
    default: return try reference(kind, namespace: namespace)
    }
  }

  private mutating func namedType(
    _ kind: String, _ object: JSONObject, namespace: String?
  ) throws(AvroError) -> Sized {
    guard let name = object["name"]?.stringValue else {
      throw AvroError("a \(kind) has no name")
    }
    var space = object["namespace"]?.stringValue ?? namespace
    if let dot = name.lastIndex(of: ".") { space = String(name[..<dot]) }
    var result: Sized
    switch kind {
    case "fixed":
      guard let wide = object["size"]?.int64Value, let size = Int(exactly: wide), size >= 0,
        size <= Int(Int32.max)
      else { throw AvroError("fixed '\(name)' has no legal size") }
      let rest = object.without(["type", "name", "size"])
      result = (AvroSchema(.fixed(name: name, size: size), attributes: rest), 1)
    case "enum":
      let symbols = object["symbols"]?.arrayValue?.compactMap(\.stringValue) ?? []
      let rest = object.without(["type", "name", "symbols"])
      result = (AvroSchema(.enumeration(name: name, symbols: symbols), attributes: rest), 1)
    default: result = try record(name, object, namespace: space)
    }
    let fullName = name.contains(".") ? name : space.map { "\($0).\(name)" } ?? name
    guard named.updateValue(result, forKey: fullName) == nil else {
      throw AvroError("type '\(name)' is defined twice")
    }
    return result
  }

  private mutating func record(
    _ name: String, _ object: JSONObject, namespace: String?
  ) throws(AvroError) -> Sized {
    guard let elements = object["fields"]?.arrayValue else {
      throw AvroError("record '\(name)' has no fields")
    }
    var fields: [AvroField] = []
    var size = 1
    for element in elements {
      guard let member = element.objectValue, let fieldName = member["name"]?.stringValue,
        let type = member["type"]
      else { throw AvroError("a field of record '\(name)' has no name or no type") }
      let parsed = try schema(type, namespace: namespace)
      size = try sum(size, parsed.size)
      let rest = member.without(["name", "type"])
      fields.append(AvroField(fieldName, parsed.schema, attributes: rest))
    }
    let rest = object.without(["type", "name", "fields"])
    return (AvroSchema(.record(name: name, fields: fields), attributes: rest), size)
  }

  private func sum(_ left: Int, _ right: Int) throws(AvroError) -> Int {
    guard left + right <= AvroSchemaParser.maximumSize else {
      throw AvroError("the schema has more than \(AvroSchemaParser.maximumSize) types")
    }
    return left + right
  }
}

extension JSONObject {
  fileprivate func without(_ keys: [String]) -> JSONObject {
    JSONObject(members.filter { !keys.contains($0.0) }.map { ($0.0, $0.1) })
  }
}
