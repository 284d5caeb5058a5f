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

  private let root: [String: Node]

  /// The file's schema with ids.
  ///
  /// A file in which any column has an id is left alone; one without ids in a table without a
  /// mapping is refused, because a name alone says nothing about which field it is.
  static func apply(
    _ properties: [String: String], to schema: Schema
  ) throws(IcebergError) -> Schema {
    guard !schema.fields.isEmpty, !hasIDs(schema.fields) else { return schema }
    guard let text = properties["schema.name-mapping.default"] else {
      throw IcebergError(
        .unsupported, "the file has no field ids and the table no schema.name-mapping.default")
    }
    let mapping = try NameMapping(text)
    return Schema(schema.fields.map { mapping.field($0, mapping.root) })
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
}
