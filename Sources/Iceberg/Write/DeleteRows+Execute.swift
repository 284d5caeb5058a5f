import Columnar

extension DeleteRows {
  /// What the commit will consist of.
  fileprivate struct Work {
    var removed: [DataFile] = []
    var removedAsWhole: Set<String> = []
    var removedDeletes: [DataFile] = []
    var added: [DataFile] = []
    var deletedRowCount: Int64 = 0
    var rewrittenFileCount = 0
    var addedDeleteFileCount = 0
  }

  /// Plans and executes.
  public func execute() throws(IcebergError) -> DeleteRowsResult { try execute(try plan()) }

  /// Does what the plan says.
  ///
  /// - Parameter added: data files with rows to add in the same commit; the caller's, whatever
  ///   happens.
  /// - Throws: `validationFailed` when others changed what the plan was made from: plan again. The
  ///   files written here are removed, unless the commit's outcome is unknown.
  public func execute(
    _ plan: DeleteRowsPlan, adding added: [DataFile] = []
  ) throws(IcebergError) -> DeleteRowsResult {
    var work = Work()
    for task in plan.wholeFiles { work.remove(task.dataFile, rows: task.dataFile.recordCount) }
    let table = plan.table
    var writing = DataFileWriter.Options()
    writing.writesRowLineage = table.metadata.formatVersion >= 3
    let writer = try DataFileWriter(table, options: writing)
    var deletes = DeleteWriter(table)
    do throws(IcebergError) {
      for task in plan.candidates {
        try handle(task, plan, &work, writer, &deletes)
      }
      let rewritten = try writer.finish()
      let deleteFiles = try deletes.finish()
      work.addedDeleteFileCount = deleteFiles.count
      work.added = added + rewritten + deleteFiles
      return try commit(work, plan)
    } catch {
      if error.kind != .commitStateUnknown {
        writer.abandon()
        deletes.abandon()
      }
      throw error
    }
  }

  private func handle(
    _ task: FileScanTask, _ plan: DeleteRowsPlan, _ work: inout Work, _ writer: DataFileWriter,
    _ deletes: inout DeleteWriter
  ) throws(IcebergError) {
    let file = task.dataFile
    let matching = try matchingRows(task, plan.table)
    guard !matching.isEmpty else { return }
    let before = try deletedBefore(task, plan.table)
    // All that is left of the file.
    if task.deletes.allSatisfy({ $0.dataFile.content == .positionDeletes }),
      matching.count + before.count == file.recordCount
    {
      work.remove(file, rows: matching.count)
      return
    }
    work.deletedRowCount += matching.count
    switch plan.mode {
    case .copyOnWrite:
      try copy(task, without: matching, plan.table, to: writer)
      work.removed.append(file)
      work.rewrittenFileCount += 1
    case .mergeOnRead:
      var all = matching
      if plan.table.metadata.formatVersion >= 3 {
        // The new vector says all; what spoke of this file alone goes.
        all.formUnion(before)
        work.removedDeletes += task.deletes.map(\.dataFile).filter { delete in
          delete.content == .positionDeletes && DeleteFileIndex.referencedPath(delete) != nil
        }
      }
      try deletes.add(all, of: file)
    }
  }

  /// The positions of the live rows that match.
  private func matchingRows(
    _ task: FileScanTask, _ table: Table
  ) throws(IcebergError) -> PositionBitmap {
    var scan = table.newScan()
    scan.filter = filter
    scan.columns = [MetadataColumn.position.field.name]
    var positions = PositionBitmap()
    let rows = try scan.batches(task)
    while let batch = try rows.next() {
      let column = batch.columns[0]
      let values = column.values(as: Int64.self)
      for row in 0..<batch.rowCount { try positions.insert(values[row]) }
    }
    return positions
  }

  /// The rows that delete files name already.
  private func deletedBefore(
    _ task: FileScanTask, _ table: Table
  ) throws(IcebergError) -> PositionBitmap {
    var positions = PositionBitmap()
    let cache = DeleteCache()
    for delete in task.deletes where delete.dataFile.content == .positionDeletes {
      if delete.dataFile.isDeletionVector {
        positions.formUnion(try DeletionVector.read(delete.dataFile, table.io))
      } else if let found = try cache.positions(of: delete.dataFile, in: table.io)[
        task.dataFile.path]
      {
        positions.formUnion(found)
      }
    }
    return positions
  }

  private func copy(
    _ task: FileScanTask, without matching: PositionBitmap, _ table: Table,
    to writer: DataFileWriter
  ) throws(IcebergError) {
    var scan = table.newScan()
    let names =
      table.metadata.formatVersion >= 3
      ? scan.columnsWithLineage : table.schema.fields.map(\.name)
    scan.columns = names + [MetadataColumn.position.field.name]
    let rows = try scan.batches(task)
    while let batch = try rows.next() {
      let column = batch.columns[names.count]
      let positions = column.values(as: Int64.self)
      var keep: [Bool] = []
      keep.reserveCapacity(batch.rowCount)
      for row in 0..<batch.rowCount { keep.append(!matching.contains(positions[row])) }
      let columns = RecordBatch(
        schema: Schema(Array(batch.schema.fields.prefix(names.count))),
        columns: Array(batch.columns.prefix(names.count)), rowCount: batch.rowCount)
      do { try writer.write(try columns.filter(keep)) } catch let error as IcebergError {
        throw error
      } catch {
        throw IcebergError(.invalidArgument, "\(error)")
      }
    }
  }

  private func commit(_ work: Work, _ plan: DeleteRowsPlan) throws(IcebergError) -> DeleteRowsResult
  {
    var result = DeleteRowsResult(table: plan.table)
    guard !work.added.isEmpty || !work.removed.isEmpty else { return result }
    var commit = plan.table.newCommit()
    commit.options = commitOptions
    commit.branch = branch
    commit.summary = summary
    commit.change(
      removing: work.removed, adding: work.added, removedDeletes: work.removedDeletes,
      removedAsWhole: work.removedAsWhole,
      rules: ConflictRules(
        startingSnapshotID: plan.startingSnapshot?.snapshotID, filter: filter,
        isolation: plan.isolation))
    let committed = try commit.commit()
    result.table = committed.table
    result.snapshotID = committed.snapshotID
    result.deletedRowCount = work.deletedRowCount
    result.removedFileCount = work.removedAsWhole.count
    result.rewrittenFileCount = work.rewrittenFileCount
    result.addedDeleteFileCount = work.addedDeleteFileCount
    return result
  }
}

extension DeleteRows.Work {
  /// Takes a file out as a whole.
  fileprivate mutating func remove(_ file: DataFile, rows: Int64) {
    removed.append(file)
    removedAsWhole.insert(file.path)
    deletedRowCount += rows
  }
}

extension Table {
  /// Deletes the rows for which a filter is true.
  @discardableResult
  public func deleteRows(where filter: FilterExpression) throws(IcebergError) -> DeleteRowsResult {
    try DeleteRows(self, where: filter).execute()
  }

  /// Puts the rows of new data files in the place of those for which a filter is true.
  @discardableResult
  public func overwriteRows(
    where filter: FilterExpression, with files: [DataFile]
  ) throws(IcebergError) -> DeleteRowsResult {
    let change = DeleteRows(self, where: filter)
    return try change.execute(try change.plan(), adding: files)
  }
}
