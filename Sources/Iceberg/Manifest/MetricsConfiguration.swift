/// What is kept in manifests about a column's values.
public enum MetricsMode: Hashable, Sendable {
  case none
  /// Counts of values, nulls and NaNs, without bounds.
  case counts
  /// Bounds of texts and binaries shortened to so many code points or bytes, always outwards.
  case truncate(Int)
  case full

  /// A mode as table properties write it: `none`, `counts`, `truncate(16)`, `full`.
  public init?(text: String) {
    switch text.lowercased() {
    case "none": self = .none
    case "counts": self = .counts
    case "full": self = .full
    case let lowered:
      guard let length = lowered.between("truncate(", ")").flatMap({ Int($0) }), length > 0 else {
        return nil
      }
      self = .truncate(length)
    }
  }
}

/// The mode of every column of a table.
public struct MetricsConfiguration: Hashable, Sendable {
  /// Iceberg's default: 16 code points distinguish most texts.
  public static let defaultMode = MetricsMode.truncate(16)

  /// The mode of columns that `columnModes` does not name.
  public var defaultMode: MetricsMode
  public var columnModes: [Int32: MetricsMode]

  public init(
    defaultMode: MetricsMode = MetricsConfiguration.defaultMode,
    columnModes: [Int32: MetricsMode] = [:]
  ) {
    self.defaultMode = defaultMode
    self.columnModes = columnModes
  }

  public func mode(ofID id: Int32) -> MetricsMode { columnModes[id] ?? defaultMode }

  /// The modes that a table's properties ask for.
  ///
  /// Without `write.metadata.metrics.default`, only the first
  /// `write.metadata.metrics.max-inferred-column-defaults` (100) columns get the default mode, the
  /// others none. Columns of the sort order keep bounds unless they are set to something else. An
  /// unknown mode counts as the default, as in Java.
  public init(
    properties: [String: String], schema: TableSchema, sortOrder: SortOrder = .unsorted
  ) {
    let prefix = "write.metadata.metrics."
    self.init()
    if let text = properties[prefix + "default"] {
      defaultMode = MetricsMode(text: text) ?? MetricsConfiguration.defaultMode
    } else {
      let limit = properties[prefix + "max-inferred-column-defaults"].flatMap { Int($0) } ?? 100
      let leaves = MetricsConfiguration.leaves(schema.fields)
      if leaves.count > max(limit, 0) {
        for id in leaves.prefix(max(limit, 0)) { columnModes[id] = defaultMode }
        defaultMode = .none
      }
    }
    for field in sortOrder.fields {
      let mode = mode(ofID: field.sourceID)
      if mode == .none || mode == .counts {
        columnModes[field.sourceID] = MetricsConfiguration.defaultMode
      }
    }
    for (key, text) in properties where key.hasPrefix(prefix + "column.") {
      let name = String(key.dropFirst(prefix.count + "column.".count))
      guard let field = schema.field(named: name) else { continue }
      columnModes[field.id] = MetricsMode(text: text) ?? MetricsConfiguration.defaultMode
    }
  }

  /// The columns that may have metrics, in the order of the schema.
  private static func leaves(_ fields: [NestedField]) -> [Int32] {
    fields.flatMap { field -> [Int32] in
      if case .structure(let children) = field.type { return leaves(children) }
      return field.type.isPrimitive ? [field.id] : []
    }
  }
}
