import Columnar
import Storage

/// Rows with types of their own (of Parquet, of Arrow, in memory), under the schema asked for. Rows whose values
/// do not fit are refused by their number, counted from 1.
final class TypedSource: TabularSource {
  let schema: Schema
  let unusedColumns: [String]
  private let path: String
  private let nextBatch: () throws(FileFormatError) -> RecordBatch?
  /// For each field the position in the stream.
  private let positions: [Int?]
  private let names: [String]
  private let casts: [ColumnCast]
  private var firstRow = 1

  /// - Parameter open: the batches of the columns at these positions of `found`, in this order.
  init(
    _ found: Schema, options: TabularOptions, path: String,
    open: ([Int]) throws(FileFormatError) -> () throws(FileFormatError) -> RecordBatch?
  ) throws(FileFormatError) {
    let wanted =
      options.schema
      ?? Schema(
        found.fields.map {
          var field = $0
          field.name = options.renames[field.name] ?? field.name
          return field
        })
    let mapping = try ColumnMapping(
      names: found.fields.map(\.name), schema: wanted, options: options, path: path)
    for (field, source) in zip(wanted.fields, mapping.sources) {
      guard let source else { continue }
      let type = found.fields[source].type
      guard ColumnCast.isPossible(from: type, to: field.type) else {
        throw FileFormatError(
          .invalidArgument, path: path,
          message: "column '\(found.fields[source].name)' is \(type), which cannot become"
            + " \(field.type)")
      }
    }
    let sources = mapping.sources.compactMap(\.self)
    var next = 0
    positions = mapping.sources.map { source in
      guard source != nil else { return nil }
      defer { next += 1 }
      return next
    }
    names = mapping.sources.map { $0.map { found.fields[$0].name } ?? "" }
    casts = wanted.fields.map { ColumnCast(to: $0.type, epochUnit: options.epochUnit) }
    schema = wanted
    unusedColumns = mapping.unused
    nextBatch = try open(sources)
    self.path = path
  }

  func next() throws(FileFormatError) -> TabularBatch? {
    guard let batch = try nextBatch() else { return nil }
    let first = firstRow
    firstRow += batch.rowCount
    var refused: [Int: RowError] = [:]
    var columns: [Column] = []
    for (index, field) in schema.fields.enumerated() {
      guard let position = positions[index] else {
        columns.append(.nulls(field.type, count: batch.rowCount))
        continue
      }
      let source = batch.columns[position]
      let name = names[index]
      let column = casts[index].cast(source) { row, value, why in
        if refused[row] == nil {
          refused[row] = RowError(line: first + row, column: name, value: value, message: why)
        }
      }
      if !field.isNullable, source.nullCount > 0 {
        for row in 0..<batch.rowCount where source.isNull(row) && refused[row] == nil {
          refused[row] = RowError(line: first + row, column: name, message: "must not be null")
        }
      }
      columns.append(column)
    }
    let whole = RecordBatch(schema: schema, columns: columns, rowCount: batch.rowCount)
    if refused.isEmpty {
      return TabularBatch(
        batch: whole, lineNumbers: Array(first..<firstRow), errors: [])
    }
    let kept = (0..<batch.rowCount).filter { refused[$0] == nil }
    do {
      return TabularBatch(
        batch: try whole.take(kept), lineNumbers: kept.map { first + $0 },
        errors: refused.values.sorted { $0.line < $1.line })
    } catch {
      throw FileFormatError(.unsupported, path: path, message: error.description)
    }
  }
}
