import Columnar

/// The order in which a rewrite lays rows: gives each a key, and rows are sorted by the keys' bytes.
struct RowOrder: Sendable {
  private struct Key {
    var field: NestedField
    var transform: Transform
    var isDescending: Bool
    var nullsFirst: Bool
  }

  private enum Kind {
    case sorted([Key])
    case zOrder([NestedField], textBytes: Int, maximumBytes: Int)
  }

  private let kind: Kind
  /// The table's id for the order, where it has one.
  let sortOrderID: Int32?

  /// nil when rows stay as they come.
  ///
  /// - Throws: `invalidArgument` for a column that is not there or has no order, and for a table without a sort order
  ///   where that is asked for.
  init?(_ options: RewriteDataFilesOptions, _ table: Table) throws(IcebergError) {
    switch options.strategy {
    case .binPack: return nil
    case .sort(let keys):
      let order = keys.isEmpty ? table.metadata.defaultSortOrder : try Self.order(keys, table)
      guard !order.isUnsorted else {
        throw IcebergError(
          .invalidArgument,
          "Cannot sort data without a valid sort order, table '\(table.identifier)' is unsorted "
            + "and no sort order is provided")
      }
      var fields: [Key] = []
      for field in order.fields { fields.append(try Self.key(field, table.schema)) }
      kind = .sorted(fields)
      sortOrderID = table.metadata.sortOrders.first { $0.fields == order.fields }?.orderID
    case .zOrder(let names):
      var fields: [NestedField] = []
      for name in names {
        let field = try Self.field(name, table.schema)
        guard !fields.contains(field) else {
          throw IcebergError(.invalidArgument, "the Z-order names '\(name)' twice")
        }
        fields.append(field)
      }
      guard !fields.isEmpty else {
        throw IcebergError(
          .invalidArgument, "Cannot ZOrder when no columns are specified")
      }
      kind = .zOrder(
        fields, textBytes: Int(clamping: min(options.variableLengthContribution, 1 << 16)),
        maximumBytes: Int(clamping: options.maxZValueBytes))
      sortOrderID = nil
    }
  }

  private static func order(_ keys: [SortKey], _ table: Table) throws(IcebergError) -> SortOrder {
    var fields: [SortField] = []
    for key in keys {
      fields.append(
        SortField(
          sourceID: try field(key.column, table.schema).id, transform: key.transform,
          direction: key.direction, nullOrder: key.nullOrder))
    }
    return SortOrder(orderID: 0, fields: fields)
  }

  private static func field(
    _ name: String, _ schema: TableSchema
  ) throws(IcebergError) -> NestedField {
    guard let field = schema.fields.first(where: { $0.name == name }) else {
      throw IcebergError(.invalidArgument, "the table has no column '\(name)' to sort by")
    }
    guard SortColumn.hasOrder(field.type.dataType), field.type != .unknown else {
      throw IcebergError(.invalidArgument, "column '\(name)' of \(field.type) has no order")
    }
    return field
  }

  private static func key(_ field: SortField, _ schema: TableSchema) throws(IcebergError) -> Key {
    guard let source = schema.fields.first(where: { $0.id == field.sourceID }),
      let result = field.transform.resultType(of: source.type),
      SortColumn.hasOrder(result.dataType)
    else {
      throw IcebergError(
        .unsupported,
        "rows cannot be sorted by \(field.transform) of field \(field.sourceID): it is no column "
          + "of the schema, or has no such order")
    }
    return Key(
      field: source, transform: field.transform, isDescending: field.direction == .descending,
      nullsFirst: field.nullOrder == .nullsFirst)
  }

  /// The keys of a batch's rows, a binary column.
  func keys(of batch: RecordBatch) throws(IcebergError) -> Column {
    func column(_ field: NestedField) throws(IcebergError) -> Column {
      guard let column = batch.column(ofFieldID: field.id) else {
        throw IcebergError(.invalidArgument, "a batch lacks the column '\(field.name)'")
      }
      return column
    }
    switch kind {
    case .sorted(let keys):
      var columns: [SortColumn] = []
      for key in keys {
        columns.append(
          SortColumn(
            try key.transform.apply(try column(key.field), type: key.field.type),
            isDescending: key.isDescending, nullsFirst: key.nullsFirst))
      }
      do { return try .sortKeys(columns, rowCount: batch.rowCount) } catch {
        throw IcebergError(.unsupported, "\(error)")
      }
    case .zOrder(let fields, let textBytes, let maximumBytes):
      var columns: [Column] = []
      for field in fields { columns.append(try column(field)) }
      do {
        return try .zOrderKeys(
          columns, rowCount: batch.rowCount, textBytes: textBytes, maximumBytes: maximumBytes)
      } catch { throw IcebergError(.unsupported, "\(error)") }
    }
  }
}
