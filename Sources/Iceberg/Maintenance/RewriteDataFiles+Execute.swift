import Columnar

extension RewriteDataFiles {
  /// A group's new files, written but not committed.
  private struct Written {
    var group: RewriteFileGroup
    var removed: [DataFile]
    var added: [DataFile]
    var removedRowCount: Int64
  }

  /// Does what the plan says, group by group.
  ///
  /// With partial progress (the default) a group that fails, or that somebody else changed
  /// meanwhile, is left as it was and reported, and the others are committed. Without it there is one
  /// commit at the end, and any failure ends the job with nothing changed.
  ///
  /// Memory: a few batches for each thread, and the row group that the writer has open.
  ///
  /// - Throws: without partial progress, whatever made the job fail; its files are removed, unless
  ///   the commit's outcome is unknown.
  public func execute(
    _ plan: RewriteDataFilesPlan, progress: MaintenanceProgress.Report? = nil
  ) throws(IcebergError) -> RewriteDataFilesResult {
    var result = RewriteDataFilesResult(table: plan.table)
    let groups = plan.files.groups
    guard let start = plan.startingSnapshot, !groups.isEmpty else { return result }
    var state = MaintenanceProgress(
      filesDone: 0, filesTotal: plan.files.fileCount, bytesDone: 0,
      bytesTotal: plan.files.sizeBytes)
    let groupsPerCommit = groupsPerCommit(groups.count)
    var failedCommits: Int64 = 0
    var waiting: [Written] = []
    for (index, group) in groups.enumerated() {
      do {
        waiting.append(
          try rewrite(group, plan) { file in
            state.filesDone += 1
            state.bytesDone = state.bytesDone.addingSaturated(file.fileSizeInBytes)
            progress?(state)
          })
      } catch {
        guard options.isPartialProgressEnabled else {
          remove(waiting, plan)
          throw error
        }
        result.failures.append(.init(group: group, error: error))
      }
      guard !waiting.isEmpty else { continue }
      if waiting.count == groupsPerCommit || index == groups.count - 1 {
        failedCommits += try commit(waiting, start, plan, &result)
        waiting = []
        let isOver = failedCommits > options.partialProgressMaxFailedCommits
        if isOver || result.unknownCommit != nil {
          let error = IcebergError(
            .cancelled,
            isOver ? "\(failedCommits) commits failed" : "whether a commit happened is not known")
          result.failures += groups[(index + 1)...].map { .init(group: $0, error: error) }
          return result
        }
      }
    }
    return result
  }

  private var stopped: IcebergError {
    IcebergError(.cancelled, "the rewrite was stopped before it came to its end")
  }

  private func groupsPerCommit(_ count: Int) -> Int {
    guard options.isPartialProgressEnabled else { return count }
    let commits = Int(clamping: max(options.partialProgressMaxCommits, 1))
    return (count + min(commits, count) - 1) / min(commits, count)
  }

  private func remove(_ written: [Written], _ plan: RewriteDataFilesPlan) {
    plan.table.io.deleteAll(written.flatMap { $0.added.map(\.path) })
  }
}

// Rewriting.
extension RewriteDataFiles {
  private func rewrite(
    _ group: RewriteFileGroup, _ plan: RewriteDataFilesPlan, done: (DataFile) -> Void
  ) throws(IcebergError) -> Written {
    var writing = DataFileWriter.Options()
    writing.targetFileSizeBytes = min(group.inputSplitSizeBytes, group.maxOutputFileSizeBytes)
    // Rows stay the same rows: they take their ids along.
    writing.writesRowLineage = plan.table.metadata.formatVersion >= 3
    let writer = try DataFileWriter(plan.table, options: writing)
    do throws(IcebergError) {
      var read: Int64 = 0
      var removedRows: Int64 = 0
      let tasks = try tasks(of: group, plan)
      let rows = try ReadAheadScan(scan(plan.table), tasks, threadCount: threadCount)
      while let event = try rows.next() {
        if isStopped() { throw stopped }
        switch event {
        case .batch(let batch): try writer.write(batch)
        case .end(let files):
          for (task, rowCount) in files {
            try check(task, rowCount)
            read = read.addingSaturated(rowCount)
            removedRows = removedRows.addingSaturated(task.dataFile.recordCount - rowCount)
            done(task.dataFile)
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
        group: group, removed: tasks.map(\.dataFile), added: added, removedRowCount: removedRows)
    } catch {
      writer.abandon()
      throw error
    }
  }

  /// From the oldest to the newest, so that rows keep the order in which they came.
  private func tasks(
    of group: RewriteFileGroup, _ plan: RewriteDataFilesPlan
  ) throws(IcebergError) -> [FileScanTask] {
    var tasks: [FileScanTask] = []
    for file in group.files {
      guard let task = plan.tasks[file.path] else {
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

// Committing.
extension RewriteDataFiles {
  /// Commits groups together; if the table's state forbids that, each alone, so that one group that
  /// somebody changed does not hold up the others.
  ///
  /// - Returns: how many commits failed.
  private func commit(
    _ written: [Written], _ start: Snapshot, _ plan: RewriteDataFilesPlan,
    _ result: inout RewriteDataFilesResult
  ) throws(IcebergError) -> Int64 {
    do {
      try commitOnce(written, start, plan, &result)
      return 0
    } catch {
      if error.kind == .commitStateUnknown {
        guard options.isPartialProgressEnabled else { throw error }
        result.unknownCommit = error
        return 1
      }
      guard options.isPartialProgressEnabled else {
        remove(written, plan)
        throw error
      }
      guard written.count > 1, error.kind == .validationFailed else {
        remove(written, plan)
        result.failures += written.map { .init(group: $0.group, error: error) }
        return 1
      }
    }
    var failed: Int64 = 1
    for (index, one) in written.enumerated() {
      failed += try commit([one], start, plan, &result)
      guard result.unknownCommit == nil else {
        remove(Array(written[(index + 1)...]), plan)
        break
      }
    }
    return failed
  }

  private func commitOnce(
    _ written: [Written], _ start: Snapshot, _ plan: RewriteDataFilesPlan,
    _ result: inout RewriteDataFilesResult
  ) throws(IcebergError) {
    let removed = written.flatMap(\.removed)
    let added = written.flatMap(\.added)
    let removedRows = written.reduce(Int64(0)) { $0.addingSaturated($1.removedRowCount) }
    var commit = plan.table.newCommit()
    commit.options = commitOptions
    commit.summaryProperties = summaryProperties
    commit.replace(
      removed, with: added, startingSnapshotID: start.snapshotID,
      dataSequenceNumber: options.usesStartingSequenceNumber ? start.sequenceNumber : nil,
      rowsRemovedByDeletes: removedRows)
    result.table = try commit.commit().table
    result.commitCount += 1
    result.rewrittenFileCount += removed.count
    result.addedFileCount += added.count
    result.removedRowCount = result.removedRowCount.addingSaturated(removedRows)
    for file in removed {
      result.rewrittenBytes = result.rewrittenBytes.addingSaturated(file.fileSizeInBytes)
    }
    for file in added {
      result.addedBytes = result.addedBytes.addingSaturated(file.fileSizeInBytes)
      result.rowCount = result.rowCount.addingSaturated(file.recordCount)
    }
  }
}
