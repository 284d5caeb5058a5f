public import Columnar

/// A column without children of its own: what Parquet stores and has figures for.
public struct SchemaLeaf: Hashable, Sendable {
  /// The names from the top level down; a list's element and a map's key and value count as names.
  public var path: [String]
  public var field: Field
  /// The position of the top-level field that it is part of.
  public var topLevelIndex: Int
  /// Whether a row may have any number of values, because a list or a map is above.
  public var isRepeated: Bool
}

extension Schema {
  /// The leaf columns, depth first: the order of Parquet's columns.
  public var leaves: [SchemaLeaf] {
    var leaves: [SchemaLeaf] = []
    func visit(_ field: Field, path: [String], top: Int, isRepeated: Bool) {
      switch field.type {
      case .list(let element):
        visit(element, path: path + [element.name], top: top, isRepeated: true)
      case .structure(let fields):
        for child in fields {
          visit(child, path: path + [child.name], top: top, isRepeated: isRepeated)
        }
      case .map(let key, let value):
        visit(key, path: path + [key.name], top: top, isRepeated: true)
        visit(value, path: path + [value.name], top: top, isRepeated: true)
      default:
        leaves.append(
          SchemaLeaf(path: path, field: field, topLevelIndex: top, isRepeated: isRepeated))
      }
    }
    for (index, field) in fields.enumerated() {
      visit(field, path: [field.name], top: index, isRepeated: false)
    }
    return leaves
  }
}
