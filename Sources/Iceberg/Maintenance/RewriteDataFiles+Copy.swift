import FileFormats

// Files that already are large row groups of the right kind need not be decoded to become larger files.
extension RewriteDataFiles {
  /// Copies the row groups of those files that allow it into the writer's first files; rows of the others come behind
  /// them.
  ///
  /// Not of rows that are to be sorted or that deletes may concern, nor of format version 3, where rows take their ids
  /// along; and not with `rewrite-all`, which people use to have everything encoded anew.
  ///
  /// - Returns: the copied files, and what is left to be decoded.
  func copy(
    _ tasks: [FileScanTask], of work: Work, _ order: RowOrder?, _ writer: DataFileWriter,
    _ scan: TableScan
  ) throws(IcebergError) -> (copied: [DataFile], decoded: [FileScanTask]) {
    guard mayCopy(work.plan.table, order) else { return ([], tasks) }
    var copied: [DataFile] = []
    var decoded: [FileScanTask] = []
    for task in tasks {
      if isStopped() { throw stopped }
      if try copy(task, writer, scan) { copied.append(task.dataFile) } else { decoded.append(task) }
    }
    return (copied, decoded)
  }

  private func mayCopy(_ table: Table, _ order: RowOrder?) -> Bool {
    order == nil && !options.rewriteAll && table.metadata.formatVersion == 2
  }

  /// Gives those files that may come to be copied what the table says of their columns, which it will say of their
  /// copies; of most files nobody asks for it.
  func addStatistics(
    to tasks: inout [String: FileScanTask], of files: RewriteFilePlan, _ scan: TableScan
  ) throws(IcebergError) {
    let table = scan.table
    guard mayCopy(table, try RowOrder(options, table)) else { return }
    let parquet = try ParquetProperties(table.properties, table.schema)
    var wanted: Set<String> = []
    for file in files.groups.flatMap(\.files) {
      guard let task = tasks[file.path],
        task.dataFile.hasLargeRowGroups(
          count: 1, sizeBytes: parquet.rowGroupSizeBytes, rows: parquet.options.rowGroupRows)
      else { continue }
      wanted.insert(file.path)
    }
    if wanted.isEmpty { return }
    var scan = scan
    scan.includesStatistics = true
    let stream = try scan.tasks()
    while let task = try stream.next() {
      if wanted.contains(task.dataFile.path) { tasks[task.dataFile.path] = task }
    }
  }

  private func copy(
    _ task: FileScanTask, _ writer: DataFileWriter, _ scan: TableScan
  ) throws(IcebergError) -> Bool {
    let file = task.dataFile
    // Only files that `addStatistics` took for large ones have sizes of columns; value counts have all.
    guard task.deletes.isEmpty, file.format == .parquet, file.keyMetadata == nil,
      !file.columnSizes.isEmpty
    else { return false }
    do {
      return try writer.copy(file, from: try FileScan.reader(of: file, scan))
    } catch let error as FileFormatError {
      throw IcebergError(error)
    } catch let error as IcebergError {
      throw error.adding("file", file.path)
    } catch {
      throw IcebergError(.inputOutput, "\(error)")
    }
  }
}
