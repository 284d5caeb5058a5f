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
    /// What was read, and is to be removed.
    var tasks: [FileScanTask]
    var added: [DataFile]
    /// Those of the removed files whose row groups were copied.
    var copied: [DataFile]
    var removedRowCount: Int64
  }

  func rewrite(
    _ work: Work, _ memory: RewriteMemory, _ bound: ResidentBound, _ meter: ProgressMeter
  ) throws(IcebergError) -> Written {
    if isStopped() { throw stopped }
    let table = work.plan.table
    let order = try RowOrder(options, table)
    let writer = try writer(work, order, memory)
    do throws(IcebergError) {
      var read: Int64 = 0
      var removedRows: Int64 = 0
      let tasks = try tasks(of: work)
      let (copied, decoded) = try copy(tasks, of: work, order, writer, scan(table, memory))
      for file in copied {
        read = read.addingSaturated(file.recordCount)
        if work.replanCount == 0 { meter.add(file) }
      }
      let sort = order.map { ExternalSort(table, $0, memoryBytes: memory.sortBytes) }
      let rows = try GroupRows(scan(table, memory), decoded, memory.decoding(work.group))
      while let event = try rows.next() {
        if isStopped() { throw stopped }
        bound.keep()
        switch event {
        case .batch(let batch): if let sort { try sort.add(batch) } else { try writer.write(batch) }
        case .end(let files):
          for (task, rowCount) in files {
            try check(task, rowCount)
            read = read.addingSaturated(rowCount)
            removedRows = removedRows.addingSaturated(task.dataFile.recordCount - rowCount)
            if work.replanCount == 0 { meter.add(task.dataFile) }
          }
        }
      }
      rows.cancel()
      try sort?.finish { batch throws(IcebergError) in
        if isStopped() { throw stopped }
        bound.keep()
        try writer.write(batch)
      }
      let added = try writer.finish()
      let written = added.reduce(Int64(0)) { $0.addingSaturated($1.recordCount) }
      guard written == read else {
        throw IcebergError(
          .validationFailed, "\(read) rows were read but \(written) written: nothing is committed")
      }
      return Written(
        work: work, tasks: tasks, added: added, copied: copied,
        removedRowCount: removedRows)
    } catch {
      writer.abandon()
      throw error
    }
  }

  private func writer(
    _ work: Work, _ order: RowOrder?, _ memory: RewriteMemory
  ) throws(IcebergError) -> DataFileWriter {
    let table = work.plan.table
    let spec = try options.outputSpec(table.metadata)
    var writing = DataFileWriter.Options()
    writing.specID = spec.specID
    writing.sortOrderID = order?.sortOrderID
    writing.targetFileSizeBytes = min(
      work.group.inputSplitSizeBytes, work.group.maxOutputFileSizeBytes)
    // Rows stay the same rows: they take their ids along.
    writing.writesRowLineage = table.metadata.formatVersion >= 3
    // Files of another spec come to lie in partitions that come mixed.
    let isMixed = !spec.isUnpartitioned && work.group.files.contains { $0.specID != spec.specID }
    writing.maximumOpenFiles = isMixed ? 8 : 2
    writing.maximumRowGroupSizeBytes = memory.rowGroupBytes / (isMixed ? 8 : 1)
    return try DataFileWriter(table, options: writing)
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

  private func scan(_ table: Table, _ memory: RewriteMemory) -> TableScan {
    var scan = table.newScan()
    scan.memoryLimitBytes = memory.decodingBytes
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

/// The rows of a group's files, in their order.
final class GroupRows {
  private let scan: TableScan
  private let decoding: RewriteMemory.Decoding
  /// What no reader has yet.
  private var tasks: ArraySlice<FileScanTask>
  private var ahead: ReadAheadScan?
  private var file: (task: FileScanTask, scan: FileScan, rowCount: Int64)?

  init(
    _ scan: TableScan, _ tasks: [FileScanTask], _ decoding: RewriteMemory.Decoding
  ) throws(IcebergError) {
    self.scan = scan
    self.tasks = tasks[...]
    self.decoding = decoding
  }

  /// nil after the last file.
  func next() throws(IcebergError) -> ReadAheadScan.Event? {
    guard decoding != .oneByOne else { return try nextOfFile() }
    while true {
      if let event = try ahead?.next() { return event }
      guard !tasks.isEmpty else { return nil }
      if case .ahead(let threads) = decoding {
        ahead = try ReadAheadScan(scan, Array(tasks), threadCount: threads)
        tasks = []
      } else {
        ahead = try ReadAheadScan(scan, nextChunk(), threadCount: 1)
      }
    }
  }

  /// Files that together make one small batch.
  private func nextChunk() -> [FileScanTask] {
    var (bytes, rows): (Int64, Int64) = (0, 0)
    let count = tasks.prefix { task in
      defer {
        bytes = bytes.addingSaturated(task.dataFile.fileSizeInBytes)
        rows = rows.addingSaturated(task.dataFile.recordCount)
      }
      return bytes < 1 << 20 && rows < 16_384
    }.count
    defer { tasks = tasks.dropFirst(count) }
    return Array(tasks.prefix(count))
  }

  private func nextOfFile() throws(IcebergError) -> ReadAheadScan.Event? {
    if file == nil {
      guard let task = tasks.popFirst() else { return nil }
      file = (task, try scan.batches(task), 0)
    }
    guard let current = file else { return nil }
    if let batch = try current.scan.next() {
      file?.rowCount += Int64(batch.rowCount)
      return .batch(batch)
    }
    file = nil
    return .end([(current.task, current.rowCount)])
  }

  /// Ends the threads, and lets go of what they hold.
  func cancel() { ahead?.cancel() }
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
