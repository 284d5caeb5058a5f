import Columnar
import JSON

/// Field ids for files that have none: imported ones, by `schema.name-mapping.default`.
enum NameMapping {
  /// The file's schema with ids on its top-level columns.
  ///
  /// A file in which any column has an id is left alone; one without ids in a table without a
  /// mapping is refused, because a name alone says nothing about which field it is.
  static func apply(
    _ properties: [String: String], to schema: Schema
  ) throws(IcebergError) -> Schema {
    guard !schema.fields.contains(where: { $0.fieldID != nil }), !schema.fields.isEmpty else {
      return schema
    }
    guard let text = properties["schema.name-mapping.default"] else {
      throw IcebergError(
        .unsupported, "the file has no field ids and the table no schema.name-mapping.default")
    }
    let mapping: JSONValue
    do { mapping = try JSONValue(parsing: text) } catch {
      throw IcebergError(.invalidMetadata, "schema.name-mapping.default is not JSON: \(error)")
    }
    var ids: [String: Int32] = [:]
    for element in mapping.arrayValue ?? [] {
      guard let id = try element.optionalInt32("field-id") else { continue }
      for name in try element.stringArray("names") where ids[name] == nil { ids[name] = id }
    }
    return Schema(
      schema.fields.map { field in
        var field = field
        // Nested ids are not mapped: such a column stays unknown rather than half known.
        switch field.type {
        case .structure, .list, .map: field.fieldID = nil
        default: field.fieldID = ids[field.name]
        }
        return field
      })
  }
}
