import Columnar
import FileFormats

/// The rows of one data file that position delete files remove.
struct DeletedPositions {
  /// Field ids of a position delete file's columns.
  private static let pathID: Int32 = 2_147_483_546
  private static let positionID: Int32 = 2_147_483_545

  /// Ascending, without repetition.
  private let positions: [Int64]

  /// - Returns: nil when nothing is deleted.
  /// - Throws: `unsupported` for deletion vectors and equality deletes: rows that somebody deleted
  ///   must not be served.
  init?(_ task: FileScanTask, io: FileIO) throws(IcebergError) {
    guard !task.deletes.isEmpty else { return nil }
    var positions: Set<Int64> = []
    for delete in task.deletes {
      let file = delete.dataFile
      guard file.content == .positionDeletes, file.format == .parquet else {
        let kind = file.content == .equalityDeletes ? "equality deletes" : "a deletion vector"
        throw IcebergError(
          .unsupported,
          "rows of '\(task.dataFile.path)' were deleted by \(kind)"
            + " ('\(file.path)'), which cannot be applied yet")
      }
      try DeletedPositions.read(file, of: task.dataFile, io, into: &positions)
    }
    self.positions = positions.sorted()
  }

  private static func read(
    _ delete: DataFile, of file: DataFile, _ io: FileIO, into positions: inout Set<Int64>
  ) throws(IcebergError) {
    let path = Array(file.path.utf8)
    do {
      let reader = try ParquetReader(file: try io.open(delete.path))
      let stream = try reader.batches(fieldIDs: [pathID, positionID])
      while let batch = try stream.next() {
        guard batch.columns[0].type == .string, batch.columns[1].type == .int64 else {
          throw IcebergError(.invalidMetadata, "'\(delete.path)' is no position delete file")
        }
        collect(batch, path, into: &positions)
      }
    } catch let error as FileFormatError {
      throw IcebergError(error)
    } catch let error as IcebergError {
      throw error
    } catch {
      throw IcebergError(.inputOutput, "\(error)")
    }
  }

  private static func collect(
    _ batch: RecordBatch, _ path: [UInt8], into positions: inout Set<Int64>
  ) {
    let paths = batch.columns[0]
    let rows = batch.columns[1]
    for row in 0..<batch.rowCount where !paths.isNull(row) && !rows.isNull(row) {
      let name = paths.bytes(at: row)
      let isSame = unsafe name.withUnsafeBytes { unsafe $0.elementsEqual(path) }
      if isSame { positions.insert(rows.values(as: Int64.self)[row]) }
    }
  }

  /// Which of `count` rows from `start` are still there; nil when all are.
  func survivors(start: Int64, count: Int) -> [Bool]? {
    let end = start + Int64(count)
    var index = positions.partitioningIndex { $0 >= start }
    guard index < positions.count, positions[index] < end else { return nil }
    var keep = [Bool](repeating: true, count: count)
    while index < positions.count, positions[index] < end {
      keep[Int(positions[index] - start)] = false
      index += 1
    }
    return keep
  }
}

extension Array {
  /// The first index whose element fulfils a condition that all later ones fulfil, too.
  fileprivate func partitioningIndex(_ isAfter: (Element) -> Bool) -> Int {
    var low = 0
    var high = count
    while low < high {
      let middle = (low + high) / 2
      if isAfter(self[middle]) { high = middle } else { low = middle + 1 }
    }
    return low
  }
}
