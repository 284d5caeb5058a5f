import Columnar
import FileFormats

/// Rows that are deleted because they equal a row of a delete file in certain columns.
///
/// Null equals null and NaN equals NaN here; -0.0 and 0.0 differ.
struct EqualityDeletes {
  /// The columns compared, ascending by id.
  let columns: [NestedField]
  /// The top-level fields in which they are.
  let topLevelFields: [NestedField]
  /// One column of integers, the usual case, needs no list of values a row.
  private var numbers: Set<Int64> = []
  private var hasNullNumber = false
  private var keys: Set<[Literal?]> = []
  private let isNumeric: Bool

  init(
    ids: [Int32], files: [DataFile], _ table: Table, _ options: ParquetReaderOptions
  ) throws(IcebergError) {
    guard !ids.isEmpty else {
      throw IcebergError(
        .invalidMetadata, "an equality delete file names no columns",
        context: files.map { .init("delete file", $0.path) })
    }
    var columns: [NestedField] = []
    var topLevel: [NestedField] = []
    for id in ids {
      let (column, top) = try EqualityDeletes.field(id, table.metadata)
      columns.append(column)
      if !topLevel.contains(where: { $0.id == top.id }) { topLevel.append(top) }
    }
    self.columns = columns
    topLevelFields = topLevel
    isNumeric = columns.count == 1 && columns[0].type.isWholeNumber
    for file in files {
      do throws(IcebergError) { try add(file, table, options) } catch {
        throw error.adding("delete file", file.path)
      }
    }
  }

  /// A column by its id: of the current schema, else of the newest that has it, because a column may
  /// have been dropped since.
  private static func field(
    _ id: Int32, _ metadata: TableMetadata
  ) throws(IcebergError) -> (column: NestedField, topLevel: NestedField) {
    let schemas =
      [metadata.currentSchema] + metadata.schemas.sorted { $0.schemaID > $1.schemaID }
    for schema in schemas {
      guard let column = schema.field(id: id) else { continue }
      guard column.type.isPrimitive else {
        throw IcebergError(.invalidMetadata, "equality deletes compare '\(column.name)'")
      }
      var top = column
      while let parent = schema.parent(ofID: top.id) {
        guard case .structure = parent.type else {
          throw IcebergError(.invalidMetadata, "equality deletes compare inside '\(parent.name)'")
        }
        top = parent
      }
      return (column, top)
    }
    throw IcebergError(.invalidMetadata, "equality deletes compare the unknown field \(id)")
  }

  private mutating func add(
    _ file: DataFile, _ table: Table, _ options: ParquetReaderOptions
  ) throws(IcebergError) {
    guard file.format == .parquet else {
      throw IcebergError(
        .unsupported, "equality deletes as \(file.format.name) are not read, only as Parquet")
    }
    do {
      let reader = try ParquetReader(
        file: try table.io.open(file.path), options: options)
      let projection = try ColumnProjection(
        topLevelFields,
        file: try NameMapping.apply(table.properties, to: reader.schema), constants: [:])
      let stream = try reader.batches(columns: projection.fileColumns)
      while let batch = try stream.next() { try collect(try projection.project(batch)) }
    } catch { throw IcebergError(reading: error) }
  }

  private mutating func collect(_ batch: RecordBatch) throws(IcebergError) {
    let values = try columns(of: batch)
    if isNumeric {
      let column = values[0]
      for row in 0..<batch.rowCount {
        if column.isNull(row) {
          hasNullNumber = true
        } else {
          numbers.insert(column.wholeNumber(at: row))
        }
      }
    } else {
      for row in 0..<batch.rowCount { keys.insert(key(values, row)) }
    }
  }

  private func columns(of batch: RecordBatch) throws(IcebergError) -> [Column] {
    var values: [Column] = []
    for column in columns {
      guard let found = batch.column(ofFieldID: column.id) else {
        throw IcebergError(.invalidMetadata, "the column '\(column.name)' is missing")
      }
      values.append(found)
    }
    return values
  }

  private func key(_ values: [Column], _ row: Int) -> [Literal?] {
    var key: [Literal?] = []
    key.reserveCapacity(values.count)
    for (column, field) in zip(values, columns) {
      key.append(column.literal(at: row, type: field.type))
    }
    return key
  }

  /// Clears the flags of the rows that are deleted.
  func clear(_ batch: RecordBatch, in keep: inout [Bool]) {
    let values = columns.compactMap { batch.column(ofFieldID: $0.id) }
    precondition(values.count == columns.count, "the batch lacks a column that deletes compare")
    if isNumeric {
      let column = values[0]
      for row in 0..<batch.rowCount where keep[row] {
        keep[row] =
          column.isNull(row) ? !hasNullNumber : !numbers.contains(column.wholeNumber(at: row))
      }
    } else {
      for row in 0..<batch.rowCount where keep[row] {
        keep[row] = !keys.contains(key(values, row))
      }
    }
  }
}

extension IcebergType {
  fileprivate var isWholeNumber: Bool {
    switch self {
    case .int, .long, .date, .time, .timestamp, .timestamptz, .timestampNs, .timestamptzNs: true
    default: false
    }
  }
}

extension Column {
  fileprivate func wholeNumber(at row: Int) -> Int64 {
    type.byteWidth == 4 ? Int64(values(as: Int32.self)[row]) : values(as: Int64.self)[row]
  }
}

extension RecordBatch {
  /// The column of a field at any depth of structs; null where a struct around it is.
  func column(ofFieldID id: Int32) -> Column? {
    for (field, column) in zip(schema.fields, columns) {
      if let found = column.descendant(field, id, count: rowCount) { return found }
    }
    return nil
  }
}

extension Column {
  fileprivate func descendant(_ field: Field, _ id: Int32, count: Int) -> Column? {
    if field.fieldID == id { return self }
    guard case .structure(let fields) = type else { return nil }
    for (child, column) in zip(fields, children) {
      let own = column.slice(offset..<(offset + count))
      guard let found = own.descendant(child, id, count: count) else { continue }
      return found.masked(by: self)
    }
    return nil
  }

  /// The same values, null also where the struct around them is.
  private func masked(by holder: Column) -> Column {
    guard holder.nullCount > 0 else { return self }
    var bits = BitmapBuilder()
    bits.append(repeating: false, count: offset)
    for row in 0..<count { bits.append(!isNull(row) && !holder.isNull(row)) }
    return Column(
      type: type, count: count, offset: offset, validity: bits.buffer(), buffers: buffers,
      children: children)
  }
}
