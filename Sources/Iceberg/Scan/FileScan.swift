public import Columnar
import FileFormats

/// The matching rows of one data file, batch by batch, as columns of the scan's schema.
///
/// Deleted rows are left out; a file whose deletes cannot be applied is refused when it is opened.
/// Memory is that of a batch, and of the positions of deleted rows. Used by one thread at a time.
public final class FileScan {
  /// The columns of the batches, with field ids.
  public let schema: Schema
  private let projection: ColumnProjection
  private let outputCount: Int
  private let stream: RecordBatchStream
  private let filter: RowFilter?
  private let deleted: DeletedPositions?
  private var position: Int64 = 0
  private let path: String

  init(_ task: FileScanTask, _ scan: TableScan) throws(IcebergError) {
    path = task.dataFile.path
    let wanted = try scan.schema().fields
    let expression = try BoundExpression(scan.filter, schema: try scan.tableSchema())
    filter = expression == .constant(true) ? nil : RowFilter(expression: expression)
    // Columns that only the filter needs are read behind the wanted ones and dropped again.
    var fields = wanted
    let schema = try scan.tableSchema()
    for id in expression.fieldIDs.sorted() where !fields.contains(where: { $0.id == id }) {
      guard let field = schema.fields.first(where: { $0.id == id }) else {
        throw IcebergError(
          .unsupported, "filters on nested columns only choose files, they cannot choose rows")
      }
      fields.append(field)
    }
    outputCount = wanted.count
    self.schema = Schema(wanted.map(\.columnarField))
    let file = task.dataFile
    guard file.format == .parquet else {
      throw IcebergError(.unsupported, "'\(path)' is \(file.format.name); only Parquet is read")
    }
    guard file.keyMetadata == nil else {
      throw IcebergError(.unsupported, "'\(path)' is encrypted, which is not supported")
    }
    do {
      let reader = try ParquetReader(file: try scan.table.io.open(path))
      let names = try NameMapping.apply(scan.table.properties, to: reader.schema)
      projection = try ColumnProjection(
        fields, file: names,
        constants: FileScan.constants(file, scan.table.metadata.partitionSpec(id: file.specID)))
      stream = try reader.batches(columns: projection.fileColumns)
      deleted = try DeletedPositions(task, io: scan.table.io)
    } catch let error as FileFormatError {
      throw IcebergError(error)
    } catch let error as IcebergError {
      throw error.adding("file", task.dataFile.path)
    } catch {
      throw IcebergError(.inputOutput, "\(error)")
    }
  }

  /// The next batch that has rows; nil at the end.
  public func next() throws(IcebergError) -> RecordBatch? {
    do {
      while let batch = try stream.next() {
        let start = position
        position += Int64(batch.rowCount)
        var columns = try projection.project(batch)
        var keep = deleted?.survivors(start: start, count: batch.rowCount)
        if let filter {
          let matches = filter.matches(columns)
          keep = keep.map { kept in zip(kept, matches).map { $0 && $1 } } ?? matches
        }
        if let keep, keep.contains(false) { columns = try columns.filter(keep) }
        if columns.rowCount > 0 { return output(columns) }
      }
      return nil
    } catch let error as FileFormatError {
      throw IcebergError(error)
    } catch let error as IcebergError {
      throw error.adding("file", path)
    } catch {
      throw IcebergError(.inputOutput, "\(error)", context: [.init("file", path)])
    }
  }

  private func output(_ batch: RecordBatch) -> RecordBatch {
    guard batch.columns.count > outputCount else { return batch }
    return RecordBatch(
      schema: schema, columns: Array(batch.columns.prefix(outputCount)), rowCount: batch.rowCount)
  }

  /// Values of columns that files partitioned by identity may lack.
  private static func constants(_ file: DataFile, _ spec: PartitionSpec?) -> [Int32: Literal] {
    var constants: [Int32: Literal] = [:]
    guard let spec, spec.fields.count == file.partition.count else { return [:] }
    for (field, value) in zip(spec.fields, file.partition) where field.transform == .identity {
      constants[field.sourceID] = value
    }
    return constants
  }
}

extension TableScan {
  /// Opens a file of the plan.
  public func batches(_ task: FileScanTask) throws(IcebergError) -> FileScan {
    try FileScan(task, self)
  }
}

extension IcebergError {
  /// A file that could not be read or written.
  init(_ error: FileFormatError) {
    let kind: Kind =
      switch error.kind {
      case .malformed: .invalidMetadata
      case .unsupported: .unsupported
      case .invalidArgument: .invalidArgument
      case .memoryLimit, .storage: .inputOutput
      }
    self.init(kind, error.description, storageError: error.storageError)
  }
}
