/// Columns of equal length under a schema.
public struct RecordBatch: Sendable {
  public let schema: Schema
  public let columns: [Column]
  public let rowCount: Int

  /// - Precondition: one column a field, of the field's type, each with `rowCount` values.
  public init(schema: Schema, columns: [Column], rowCount: Int) {
    precondition(schema.fields.count == columns.count, "one column a field")
    for (field, column) in zip(schema.fields, columns) {
      precondition(column.type == field.type, "\(field.name): \(column.type), not \(field.type)")
      precondition(column.count == rowCount, "\(field.name) has another number of values")
    }
    self.schema = schema
    self.columns = columns
    self.rowCount = rowCount
  }

  /// The column with this name; linear in the number of columns.
  public func column(named name: String) -> Column? { schema.index(of: name).map { columns[$0] } }

  /// The rows of `range`, sharing memory.
  public func slice(_ range: Range<Int>) -> RecordBatch {
    RecordBatch(schema: schema, columns: columns.map { $0.slice(range) }, rowCount: range.count)
  }
}
