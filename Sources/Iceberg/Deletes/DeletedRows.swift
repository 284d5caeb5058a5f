import Columnar
import FileFormats

/// The rows of one data file that its delete files remove: by position, and by value.
struct DeletedRows {
  private let positions: PositionBitmap
  private let equality: [EqualityDeletes]

  /// - Returns: nil when nothing is deleted.
  init?(_ task: FileScanTask, _ scan: TableScan) throws(IcebergError) {
    guard !task.deletes.isEmpty else { return nil }
    var positions = PositionBitmap()
    var byColumns: [[Int32]: [DataFile]] = [:]
    for delete in task.deletes {
      let file = delete.dataFile
      do throws(IcebergError) {
        guard file.keyMetadata == nil else {
          throw IcebergError(.unsupported, "it is encrypted, which is not supported")
        }
        if file.content == .equalityDeletes {
          byColumns[file.equalityIDs.sorted(), default: []].append(file)
        } else if file.isDeletionVector {
          positions.formUnion(try DeletionVector.read(file, scan.table.io))
        } else if let found = try scan.cache.positions(
          of: file, in: scan.table.io, scan.readerOptions)[task.dataFile.path]
        {
          positions.formUnion(found)
        }
      } catch { throw error.adding("delete file", file.path) }
    }
    self.positions = positions
    var equality: [EqualityDeletes] = []
    for (ids, files) in byColumns.sorted(by: { $0.key.lexicographicallyPrecedes($1.key) }) {
      equality.append(
        try scan.cache.equality(ids: ids, files: files, scan.table, scan.readerOptions))
    }
    self.equality = equality
  }

  /// The columns that equality deletes compare: a batch given to `clear` must have them.
  var fields: [NestedField] {
    var fields: [NestedField] = []
    for delete in equality {
      for field in delete.topLevelFields where !fields.contains(where: { $0.id == field.id }) {
        fields.append(field)
      }
    }
    return fields
  }

  /// Clears the flags of the deleted rows of a batch.
  ///
  /// - Parameter rows: where in the file the batch's rows are, in their order.
  func clear(_ rows: [Range<Int64>], _ batch: RecordBatch, in keep: inout [Bool]) {
    var start = 0
    for range in rows {
      positions.clear(range, in: &keep, start: start)
      start += range.count
    }
    for delete in equality { delete.clear(batch, in: &keep) }
  }
}

/// The rows that position delete files name, by the path of the data file.
enum PositionDeleteFile {
  static func read(
    _ file: DataFile, _ io: FileIO, _ options: ParquetReaderOptions
  ) throws(IcebergError) -> [String: PositionBitmap] {
    guard file.format == .parquet else {
      throw IcebergError(
        .unsupported, "position deletes as \(file.format.name) are not read, only as Parquet")
    }
    var found: [String: PositionBitmap] = [:]
    do {
      let reader = try ParquetReader(file: try io.open(file.path), options: options)
      let ids = [MetadataColumn.deletedPath.rawValue, MetadataColumn.deletedPosition.rawValue]
      let stream = try reader.batches(fieldIDs: ids)
      while let batch = try stream.next() {
        guard batch.columns[0].type == .string, batch.columns[1].type == .int64 else {
          throw IcebergError(.invalidMetadata, "it is no position delete file")
        }
        try collect(batch, into: &found)
      }
    } catch { throw IcebergError(reading: error) }
    return found
  }

  /// Rows come sorted by path, so a path is looked up once a run.
  private static func collect(
    _ batch: RecordBatch, into found: inout [String: PositionBitmap]
  ) throws(IcebergError) {
    let paths = batch.columns[0]
    let numbers = batch.columns[1]
    guard paths.nullCount == 0, numbers.nullCount == 0 else {
      throw IcebergError(.invalidMetadata, "a position delete file has a null")
    }
    let rows = numbers.values(as: Int64.self)
    var row = 0
    while row < batch.rowCount {
      let path = paths.string(at: row)
      var end = row + 1
      while end < batch.rowCount, paths.hasSameBytes(end, as: row) { end += 1 }
      var positions = found.removeValue(forKey: path) ?? PositionBitmap()
      for index in row..<end { try positions.insert(rows[index]) }
      found[path] = positions
      row = end
    }
  }
}

extension Column {
  /// Whether two values of a column of texts are equal.
  func hasSameBytes(_ index: Int, as other: Int) -> Bool {
    let left = bytes(at: index)
    let right = bytes(at: other)
    guard left.byteCount == right.byteCount else { return false }
    return unsafe left.withUnsafeBytes { left in
      unsafe right.withUnsafeBytes { right in unsafe left.elementsEqual(right) }
    }
  }
}
