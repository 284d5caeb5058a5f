import Columnar
import Storage

// One group: its files are read, from the oldest to the newest, and written anew.
extension RewriteDataFiles {
  /// A group to rewrite, and the plan that it is of.
  struct Work: Sendable {
    var group: RewriteFileGroup
    var plan: RewriteDataFilesPlan
    var replanCount = 0
  }

  /// A group's new files, written but not committed.
  struct Written: Sendable {
    var work: Work
    var removed: [DataFile]
    var added: [DataFile]
    var removedRowCount: Int64
  }

  func rewrite(_ work: Work, _ meter: ProgressMeter) throws(IcebergError) -> Written {
    if isStopped() { throw stopped }
    let table = work.plan.table
    var writing = DataFileWriter.Options()
    writing.targetFileSizeBytes = min(
      work.group.inputSplitSizeBytes, work.group.maxOutputFileSizeBytes)
    // Rows stay the same rows: they take their ids along.
    writing.writesRowLineage = table.metadata.formatVersion >= 3
    let writer = try DataFileWriter(table, options: writing)
    do throws(IcebergError) {
      var read: Int64 = 0
      var removedRows: Int64 = 0
      let tasks = try tasks(of: work)
      let rows = try ReadAheadScan(scan(table), tasks, threadCount: threadCount)
      while let event = try rows.next() {
        if isStopped() { throw stopped }
        switch event {
        case .batch(let batch): try writer.write(batch)
        case .end(let files):
          for (task, rowCount) in files {
            try check(task, rowCount)
            read = read.addingSaturated(rowCount)
            removedRows = removedRows.addingSaturated(task.dataFile.recordCount - rowCount)
            if work.replanCount == 0 { meter.add(task.dataFile) }
          }
        }
      }
      let added = try writer.finish()
      let written = added.reduce(Int64(0)) { $0.addingSaturated($1.recordCount) }
      guard written == read else {
        throw IcebergError(
          .validationFailed, "\(read) rows were read but \(written) written: nothing is committed")
      }
      return Written(
        work: work, removed: tasks.map(\.dataFile), added: added, removedRowCount: removedRows)
    } catch {
      writer.abandon()
      throw error
    }
  }

  /// From the oldest to the newest, so that rows keep the order in which they came.
  private func tasks(of work: Work) throws(IcebergError) -> [FileScanTask] {
    var tasks: [FileScanTask] = []
    for file in work.group.files {
      guard let task = work.plan.tasks[file.path] else {
        throw IcebergError(.invalidArgument, "'\(file.path)' is not of this plan's table")
      }
      tasks.append(task)
    }
    return tasks.enumerated()
      .sorted {
        ($0.element.sequenceNumber, $0.offset) < ($1.element.sequenceNumber, $1.offset)
      }
      .map(\.element)
  }

  private func scan(_ table: Table) -> TableScan {
    var scan = table.newScan()
    if table.metadata.formatVersion >= 3 { scan.columns = scan.columnsWithLineage }
    return scan
  }

  /// Throws when a file had fewer rows than its metadata and its deletes allow.
  private func check(_ task: FileScanTask, _ count: Int64) throws(IcebergError) {
    let file = task.dataFile
    let missing = file.recordCount - count
    let byPosition = task.deletes.filter { $0.dataFile.content == .positionDeletes }
    var mostDeleted = byPosition.reduce(Int64(0)) { $0.addingSaturated($1.dataFile.recordCount) }
    // How many rows an equality delete removes cannot be told from outside.
    if byPosition.count < task.deletes.count { mostDeleted = .max }
    guard missing >= 0, missing <= mostDeleted else {
      throw IcebergError(
        .validationFailed,
        "the table says that '\(file.path)' has \(file.recordCount) rows, of which \(count) were "
          + "read: nothing is committed")
    }
  }
}

/// Adds up what several threads have done, and reports it, one call at a time.
final class ProgressMeter: Sendable {
  private let state: Lock<MaintenanceProgress>
  private let report: MaintenanceProgress.Report?

  init(_ plan: RewriteFilePlan, _ report: MaintenanceProgress.Report?) {
    self.report = report
    state = Lock(
      MaintenanceProgress(
        filesDone: 0, filesTotal: plan.fileCount, bytesDone: 0, bytesTotal: plan.sizeBytes))
  }

  func add(_ file: DataFile) {
    state.withLock { state in
      state.filesDone += 1
      state.bytesDone = state.bytesDone.addingSaturated(file.fileSizeInBytes)
      report?(state)
    }
  }
}
