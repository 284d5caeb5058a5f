import Columnar
import JSON

/// Field ids for files that have none: imported ones, by `schema.name-mapping.default`.
///
/// Names are literal: a mapping for `a.b` is one for a column of that name. The child of a list is
/// called `element`, those of a map `key` and `value`.
struct NameMapping {
  private struct Node {
    var fieldID: Int32?
    var children: [String: Node]
  }

  static let property = "schema.name-mapping.default"

  private let root: [String: Node]

  /// The file's schema with ids.
  ///
  /// A file in which any column has an id is left alone; one without ids in a table without a
  /// mapping is refused, because a name alone says nothing about which field it is.
  static func apply(
    _ properties: [String: String], to schema: Schema
  ) throws(IcebergError) -> Schema {
    guard !schema.fields.isEmpty, !hasIDs(schema.fields) else { return schema }
    guard let text = properties[property] else {
      throw IcebergError(
        .unsupported, "the file has no field ids and the table no schema.name-mapping.default")
    }
    let mapping = try NameMapping(text)
    return Schema(schema.fields.map { mapping.field($0, mapping.root) })
  }

  /// The names by which top-level fields are found in files without ids. None without a mapping, or with one
  /// that cannot be read: `apply` says so, of a file that needs it.
  static func names(_ properties: [String: String]) -> [Int32: [String]] {
    guard let text = properties[property] else { return [:] }
    do {
      var names: [Int32: [String]] = [:]
      for (name, node) in try NameMapping(text).root {
        if let id = node.fieldID { names[id, default: []].append(name) }
      }
      return names
    } catch { return [:] }
  }

  private init(_ text: String) throws(IcebergError) {
    let json: JSONValue
    do { json = try JSONValue(parsing: text) } catch {
      throw IcebergError(.invalidMetadata, "schema.name-mapping.default is not JSON: \(error)")
    }
    guard let elements = json.arrayValue else {
      throw json.mismatch("schema.name-mapping.default", "an array")
    }
    root = try NameMapping.nodes(elements)
  }

  /// The parser has limited how deep this goes.
  private static func nodes(_ elements: [JSONValue]) throws(IcebergError) -> [String: Node] {
    var nodes: [String: Node] = [:]
    for element in elements {
      let node = Node(
        fieldID: try element.optionalInt32("field-id"),
        children: try self.nodes(try element.optionalArray("fields") ?? []))
      for name in try element.stringArray("names")
      where nodes.updateValue(node, forKey: name) != nil {
        throw IcebergError(
          .invalidMetadata, "schema.name-mapping.default names '\(name)' twice")
      }
    }
    return nodes
  }

  private static func hasIDs(_ fields: [Field]) -> Bool {
    fields.contains { field in
      if field.fieldID != nil { return true }
      switch field.type {
      case .structure(let children): return hasIDs(children)
      case .list(let element): return hasIDs([element])
      case .map(let key, let value): return hasIDs([key, value])
      default: return false
      }
    }
  }

  private func field(_ field: Field, _ siblings: [String: Node], name: String? = nil) -> Field {
    let node = siblings[name ?? field.name]
    let below = node?.children ?? [:]
    var mapped = field
    mapped.fieldID = node?.fieldID
    switch field.type {
    case .structure(let children):
      mapped.type = .structure(children.map { self.field($0, below) })
    case .list(let element):
      mapped.type = .list(self.field(element, below, name: "element"))
    case .map(let key, let value):
      mapped.type = .map(
        key: self.field(key, below, name: "key"), value: self.field(value, below, name: "value"))
    default: break
    }
    return mapped
  }

  /// A mapping that knows the fields of a changed schema too: new names beside the old ones, since
  /// files with the old ones are still there.
  static func updated(_ text: String, for schema: TableSchema) throws(IcebergError) -> String {
    let json: JSONValue
    do { json = try JSONValue(parsing: text) } catch {
      throw IcebergError(.invalidMetadata, "\(property) is not JSON: \(error)")
    }
    guard let elements = json.arrayValue else { throw json.mismatch(property, "an array") }
    return JSONValue.array(try updated(elements, schema.fields)).text()
  }

  private static func updated(
    _ elements: [JSONValue], _ fields: [NestedField]
  ) throws(IcebergError) -> [JSONValue] {
    var result: [JSONObject] = elements.compactMap(\.objectValue)
    for field in fields {
      let id = JSONValue.integer(Int64(field.id))
      let position = result.firstIndex { $0["field-id"] == id }
      var element = position.map { result[$0] } ?? ["field-id": id, "names": []]
      var names = try JSONValue.object(element).stringArray("names")
      if !names.contains(field.name) {
        names.append(field.name)
        // Of a name that was another field's, files to come mean the new one.
        for index in result.indices where index != position {
          let others = try JSONValue.object(result[index]).stringArray("names")
          guard others.contains(field.name) else { continue }
          result[index]["names"] = .array(
            others.filter { $0 != field.name }.map { .string($0) })
        }
      }
      element["names"] = .array(names.map { .string($0) })
      if !field.type.isPrimitive {
        element["fields"] = .array(
          try updated(
            try JSONValue.object(element).optionalArray("fields") ?? [], field.type.children))
      }
      if let position { result[position] = element } else { result.append(element) }
    }
    return result.map { .object($0) }
  }
}
