import FileFormats

extension RewritePositionDeleteFiles {
  /// What one group became, written but not committed.
  private struct Written {
    var removed: [DataFile] = []
    var added: [DataFile] = []
    var droppedRecordCount: Int64 = 0
  }

  /// How often a group is planned again because others changed its files.
  private static let attempts = 5

  /// Does what the plan says, each group in a commit of its own. A group whose files others changed meanwhile is
  /// planned again, a few times; one that fails is left as it was and reported.
  ///
  /// - Throws: without partial progress what made a group fail; groups before it are committed.
  public func execute(
    _ plan: RewritePositionDeletesPlan, progress: MaintenanceProgress.Report? = nil
  ) throws(IcebergError) -> RewritePositionDeletesResult {
    var result = RewritePositionDeletesResult(table: plan.table)
    var state = MaintenanceProgress(
      filesDone: 0, filesTotal: plan.fileCount, bytesDone: 0, bytesTotal: plan.sizeBytes)
    for group in plan.groups {
      do throws(IcebergError) {
        if isStopped() {
          throw IcebergError(.cancelled, "the rewrite was stopped before it came to its end")
        }
        try rewrite(group, &result)
      } catch {
        guard options.planning.isPartialProgressEnabled, error.kind != .commitStateUnknown else {
          throw error
        }
        result.failures.append(error)
      }
      state.filesDone += group.files.count
      state.bytesDone = state.bytesDone.addingSaturated(group.sizeBytes)
      progress?(state)
    }
    return result
  }

  private func rewrite(
    _ group: RewriteFileGroup, _ result: inout RewritePositionDeletesResult
  ) throws(IcebergError) {
    for attempt in 1... {
      let head = try result.table.refresh()
      // Delete files are looked up anew: those that went meanwhile need nothing.
      let live = try deleteFiles(group, head)
      guard !live.isEmpty, let start = head.metadata.currentSnapshotID else { return }
      let written = try write(live, head)
      do throws(IcebergError) {
        result.table = try commit(written, head, start)
      } catch {
        guard error.kind != .commitStateUnknown else { throw error }
        head.io.deleteAll(Set(written.added.map(\.path)))
        guard error.kind == .validationFailed, attempt < Self.attempts else { throw error }
        continue
      }
      result.rewrittenCount += written.removed.count
      result.addedCount += written.added.count
      result.droppedRecordCount = result.droppedRecordCount.addingSaturated(
        written.droppedRecordCount)
      for file in written.removed {
        result.rewrittenBytes = result.rewrittenBytes.addingSaturated(file.storedBytes)
      }
      for file in written.added {
        result.addedBytes = result.addedBytes.addingSaturated(file.storedBytes)
      }
      return
    }
  }

  private func commit(
    _ written: Written, _ head: Table, _ start: Int64
  ) throws(IcebergError) -> Table {
    var commit = head.newCommit()
    commit.options = commitOptions
    commit.summaryProperties = summaryProperties
    commit.replaceDeletes(written.removed, with: written.added, startingSnapshotID: start)
    return try commit.commit().table
  }

  private func deleteFiles(
    _ group: RewriteFileGroup, _ head: Table
  ) throws(IcebergError) -> [DataFile] {
    let paths = Set(group.files.map(\.path))
    guard let snapshot = head.metadata.currentSnapshot else { return [] }
    let store = ManifestStore(io: head.io)
    var found: [DataFile] = []
    for manifest in try store.manifests(of: snapshot)
    where manifest.content == .deletes && (manifest.hasAddedFiles || manifest.hasExistingFiles) {
      for entry in try store.entries(of: manifest, metadata: head.metadata)
      where entry.isLive && entry.dataFile.content == .positionDeletes
        && entry.dataFile.format == .parquet && paths.contains(entry.dataFile.path)
      {
        found.append(entry.dataFile)
      }
    }
    return found
  }

  /// The data files to which some of these deletes apply, by their paths.
  private func tasks(
    of deletes: [DataFile], _ head: Table
  ) throws(IcebergError) -> [String: FileScanTask] {
    let keys = Set(deletes.map(\.commitKey))
    var found: [String: FileScanTask] = [:]
    let partitions = Set(deletes.map(\.partition))
    let tasks = try head.newScan().tasks()
    defer { tasks.cancel() }
    while let task = try tasks.next() {
      guard partitions.contains(task.dataFile.partition) else { continue }
      let isMeant = task.deletes.contains { keys.contains($0.dataFile.commitKey) }
      // A vector makes position delete files of its data file obsolete; it stays as it is.
      if isMeant { found[task.dataFile.path] = task }
    }
    return found
  }

  private func write(
    _ deletes: [DataFile], _ head: Table
  ) throws(IcebergError) -> Written {
    var written = Written(removed: deletes)
    let tasks = try tasks(of: deletes, head)
    var positions: [String: PositionBitmap] = [:]
    var said: Int64 = 0
    for delete in deletes {
      do throws(IcebergError) {
        guard delete.keyMetadata == nil else {
          throw IcebergError(.unsupported, "it is encrypted, which is not supported")
        }
        for (path, rows) in try PositionDeleteFile.read(delete, head.io, ParquetReaderOptions()) {
          said = said.addingSaturated(rows.count)
          guard let task = tasks[path],
            task.deletes.contains(where: { $0.dataFile.commitKey == delete.commitKey })
          else { continue }
          positions[path, default: PositionBitmap()].formUnion(rows)
        }
      } catch { throw error.adding("delete file", delete.path) }
    }
    let kept = positions.values.reduce(Int64(0)) { $0.addingSaturated($1.count) }
    written.droppedRecordCount = max(0, said - kept)
    let parts = positions.sorted { $0.key < $1.key }.compactMap { path, rows in
      tasks[path].map { (file: $0.dataFile, rows: rows) }
    }
    var writer = DeleteWriter(head)
    do throws(IcebergError) {
      if Self.isPerDataFile(head.metadata) {
        for part in parts { try writer.add(part.rows, of: part.file) }
      } else {
        // As many rows as make a file of the target's size, going by what there was.
        let bytes = deletes.reduce(Int64(0)) { $0.addingSaturated($1.fileSizeInBytes) }
        let target = options.planning.targetFileSizeBytes
        let limit = Double(max(1, said)) * Double(target) / Double(max(1, bytes))
        try writer.add(parts, rowsPerFile: Int64(saturating: max(1, limit)))
      }
      written.added = try writer.finish()
    } catch {
      writer.abandon()
      throw error
    }
    return written
  }
}

extension DataFile {
  /// Bytes that are this file's own: deletion vectors share one.
  fileprivate var storedBytes: Int64 {
    isDeletionVector ? contentSizeInBytes ?? 0 : fileSizeInBytes
  }
}
