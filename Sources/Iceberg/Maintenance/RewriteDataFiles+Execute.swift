import FileFormats
import Storage

extension RewriteDataFiles {
  /// Plans and rewrites, one plan after the other, until there is nothing left that is worth it: of a table of any
  /// number of files in the memory of one plan. Files of a group that failed are left out of the plans that follow.
  ///
  /// Otherwise as `execute`, each plan with its own commits.
  public func run(
    progress: MaintenanceProgress.Report? = nil
  ) throws(IcebergError) -> RewriteDataFilesResult {
    var job = self
    job.options.removesDanglingDeletes = false
    var plan = try job.plan()
    var result = RewriteDataFilesResult(table: plan.table)
    result = try job.execute(plan, progress: progress.map { result.progress($0, in: plan) })
    var last = result
    var failedPaths: Set<String> = []
    while plan.files.isCut, !plan.files.groups.isEmpty, !isStopped(), last.unknownCommit == nil,
      !last.isHopeless
    {
      for group in last.failures.map(\.group) { failedPaths.formUnion(group.files.map(\.path)) }
      if let limit = job.options.maxFilesToRewrite {
        guard limit > Int64(plan.files.fileCount) else { break }
        job.options.maxFilesToRewrite = limit - Int64(plan.files.fileCount)
      }
      plan = try job.plan(filesPerGroup: .max) { !failedPaths.contains($0) }
      last = try job.execute(plan, progress: progress.map { result.progress($0, in: plan) })
      result.add(last)
    }
    if options.removesDanglingDeletes, result.unknownCommit == nil, !isStopped() {
      removeDanglingDeletes(&result)
    }
    return result
  }

  /// Does what the plan says, several groups at a time (`max-concurrent-file-group-rewrites`, as many as there are
  /// processors at most).
  ///
  /// With partial progress (the default) a group that fails is left as it was and reported, and the others are
  /// committed. A group whose files somebody else changed meanwhile is planned again on the table as it is then, in
  /// smaller groups, a few times; other groups are not touched by that. A commit that only comes second is tried again
  /// for long, so that a busy writer does not keep a rewrite out. Without partial progress there is one commit at the
  /// end, and any failure ends the job with nothing changed.
  ///
  /// Memory: the plan, and what `memoryLimitBytes` says, which is shared out as `RewriteMemory` has it. What is sorted
  /// and does not fit goes into files in the table's folder, which takes as much of the disk as the rows of a group
  /// not compressed.
  ///
  /// - Throws: without partial progress, whatever made the job fail; its files are removed, unless
  ///   the commit's outcome is unknown.
  public func execute(
    _ plan: RewriteDataFilesPlan, progress: MaintenanceProgress.Report? = nil
  ) throws(IcebergError) -> RewriteDataFilesResult {
    var result = RewriteDataFilesResult(table: plan.table)
    guard plan.startingSnapshot != nil else { return result }
    if !plan.files.groups.isEmpty { result = try rewriteGroups(plan, progress) }
    if options.removesDanglingDeletes, result.unknownCommit == nil, !isStopped() {
      removeDanglingDeletes(&result)
    }
    return result
  }

  private func rewriteGroups(
    _ plan: RewriteDataFilesPlan, _ progress: MaintenanceProgress.Report?
  ) throws(IcebergError) -> RewriteDataFilesResult {
    var result = RewriteDataFilesResult(table: plan.table)
    let meter = ProgressMeter(plan.files, progress)
    let bound = ResidentBound(limitBytes: options.memoryLimitBytes)
    var failedCommits: Int64 = 0
    var work = plan.files.groups.map { Work(group: $0, plan: plan) }
    // What is planned anew is of another version of the table, and committed on its own.
    var groupsPerCommit = groupsPerCommit(work.count)
    while !work.isEmpty {
      var again: [Work] = []
      var waiting: [Written] = []
      let memory = RewriteMemory(
        limit: options.memoryLimitBytes, groups: concurrentGroups(work.count), threads: threadCount)
      let queue = GroupQueue(work, threadCount: memory.groupCount) { work in
        Result { () throws(IcebergError) in try rewrite(work, memory, bound, meter) }
      }
      defer { queue.stop() }
      var notTakenError = stopped
      while let (one, outcome) = try queue.next() {
        switch outcome {
        case .success(let written): waiting.append(written)
        case .failure(let error):
          guard options.isPartialProgressEnabled else {
            queue.stop()
            remove(waiting + queue.leftovers())
            throw error
          }
          result.failures.append(.init(group: one.group, error: error))
          // On a disk that is full or not writable the others would fail, too.
          if error.saysDiskIsUnusable {
            queue.stop()
            notTakenError = error
          }
        }
        guard waiting.count >= groupsPerCommit || (queue.isDone && !waiting.isEmpty) else {
          continue
        }
        let committed = waiting
        waiting = []
        failedCommits += try commit(committed, &result, &again)
        let isOver = failedCommits > options.partialProgressMaxFailedCommits
        if isOver || result.unknownCommit != nil { return giveUp(queue, again, result, isOver) }
      }
      if !waiting.isEmpty { failedCommits += try commit(waiting, &result, &again) }
      for left in queue.notTaken() {
        result.failures.append(.init(group: left.group, error: notTakenError))
      }
      work = again
      groupsPerCommit = 1
    }
    return result
  }

  /// Ends the job in the middle: what is finished is removed, what was not begun is reported.
  private func giveUp(
    _ queue: GroupQueue, _ again: [Work], _ result: RewriteDataFilesResult, _ isOver: Bool
  ) -> RewriteDataFilesResult {
    queue.stop()
    let finished = queue.leftovers()
    remove(finished)
    let error = IcebergError(
      .cancelled,
      isOver ? "too many commits failed" : "whether a commit happened is not known")
    var result = result
    for work in finished.map(\.work) + queue.notTaken() + again {
      result.failures.append(.init(group: work.group, error: error))
    }
    return result
  }

  private func concurrentGroups(_ count: Int) -> Int {
    let wanted = Int(clamping: max(1, options.maxConcurrentFileGroupRewrites))
    return min(wanted, max(1, threadCount), count)
  }

  private func groupsPerCommit(_ count: Int) -> Int {
    guard options.isPartialProgressEnabled else { return count }
    let commits = Int(clamping: max(options.partialProgressMaxCommits, 1))
    return (count + min(commits, count) - 1) / min(commits, count)
  }

  func remove(_ written: [Written]) {
    for one in written { one.work.plan.table.io.deleteAll(one.added.map(\.path)) }
  }

  var stopped: IcebergError {
    IcebergError(.cancelled, "the rewrite was stopped before it came to its end")
  }
}

// Committing.
extension RewriteDataFiles {
  /// How often a group is planned again because others changed its files.
  private static let replanLimit = 3
  /// Further attempts at a commit that only came second, unless somebody says otherwise.
  private static let patience = 100

  /// Commits groups together; if the table's state forbids that, each alone, so that one group that
  /// somebody changed does not hold up the others.
  ///
  /// - Parameter again: gets what is to be rewritten anew.
  /// - Returns: how many commits failed for good.
  private func commit(
    _ written: [Written], _ result: inout RewriteDataFilesResult, _ again: inout [Work]
  ) throws(IcebergError) -> Int64 {
    do {
      try commitOnce(written, &result)
      return 0
    } catch {
      if error.kind == .commitStateUnknown {
        guard options.isPartialProgressEnabled else { throw error }
        result.unknownCommit = error
        return 1
      }
      guard options.isPartialProgressEnabled else {
        remove(written)
        throw error
      }
      guard written.count > 1, error.kind == .validationFailed else {
        remove(written)
        var failed: Int64 = 0
        for one in written where try !replan(one.work, after: error, &again, &result) {
          result.failures.append(.init(group: one.work.group, error: error))
          failed = 1
        }
        return failed
      }
    }
    var failed: Int64 = 0
    for (index, one) in written.enumerated() {
      failed += try commit([one], &result, &again)
      guard result.unknownCommit == nil else {
        remove(Array(written[(index + 1)...]))
        break
      }
    }
    return failed
  }

  /// Plans a group anew whose files somebody else changed.
  ///
  /// - Returns: whether the group is dealt with: planned again, or nothing of it is worth a rewrite any more.
  private func replan(
    _ work: Work, after error: IcebergError, _ again: inout [Work],
    _ result: inout RewriteDataFilesResult
  ) throws(IcebergError) -> Bool {
    guard error.kind == .validationFailed, work.replanCount < Self.replanLimit, !isStopped() else {
      return false
    }
    let paths = Set(work.group.files.map(\.path))
    // In halves: what somebody changes again and again then holds up less and less.
    let half = max(options.minInputFiles, Int64(work.group.files.count + 1) / 2)
    let fresh: RewriteDataFilesPlan
    do throws(IcebergError) {
      fresh = try plan(filesPerGroup: half) { paths.contains($0) }
    } catch {
      return false
    }
    result.replannedGroupCount += 1
    again += fresh.files.groups.map {
      Work(group: $0, plan: fresh, replanCount: work.replanCount + 1)
    }
    return true
  }

  private func commitOnce(
    _ written: [Written], _ result: inout RewriteDataFilesResult
  ) throws(IcebergError) {
    guard let plan = written.first?.work.plan, let start = plan.startingSnapshot else { return }
    // A commit of many files takes memory of its own, after that for reading and writing.
    UnusedMemory.release()
    var removed: [DataFile] = []
    removed.reserveCapacity(written.reduce(0) { $0 + $1.tasks.count })
    for task in written.lazy.flatMap(\.tasks) { removed.append(task.dataFile) }
    let added = written.flatMap(\.added)
    let removedRows = written.reduce(Int64(0)) { $0.addingSaturated($1.removedRowCount) }
    var commit = plan.table.newCommit()
    commit.options = patientOptions(plan.table)
    commit.summaryProperties = summaryProperties
    commit.replace(
      removed, with: added, startingSnapshotID: start.snapshotID,
      dataSequenceNumber: options.usesStartingSequenceNumber ? start.sequenceNumber : nil,
      rowsRemovedByDeletes: removedRows)
    result.table = try commit.commit().table
    result.commitCount += 1
    result.rewrittenFileCount += removed.count
    for file in written.flatMap(\.copied) {
      result.copiedFileCount += 1
      result.copiedBytes = result.copiedBytes.addingSaturated(file.fileSizeInBytes)
    }
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

  /// Minutes of work are not thrown away because a writer that commits all the time was first a few times.
  private func patientOptions(_ table: Table) -> CommitOptions {
    var options = commitOptions
    if options.retryCount == nil, table.properties["commit.retry.num-retries"] == nil {
      options.retryCount = Self.patience
      options.maximumWaitMilliseconds = options.maximumWaitMilliseconds ?? 1000
    }
    return options
  }
}

extension RewriteDataFilesResult {
  /// Reports on a plan together with what those before it have done.
  fileprivate func progress(
    _ report: @escaping MaintenanceProgress.Report, in plan: RewriteDataFilesPlan
  ) -> MaintenanceProgress.Report {
    let doneFiles = rewrittenFileCount + failedFileCount
    let doneBytes = failures.reduce(rewrittenBytes) { $0.addingSaturated($1.group.sizeBytes) }
    let summary = plan.files.isCut ? plan.startingSnapshot?.summary : nil
    // What is behind the plan may all be worth a rewrite.
    let files = summary?["total-data-files"].flatMap { Int($0) } ?? plan.files.fileCount
    let bytes = summary?["total-files-size"].flatMap { Int64($0) } ?? plan.files.sizeBytes
    return { progress in
      report(
        MaintenanceProgress(
          filesDone: doneFiles + progress.filesDone, filesTotal: doneFiles + files,
          bytesDone: doneBytes.addingSaturated(progress.bytesDone),
          bytesTotal: doneBytes.addingSaturated(bytes)))
    }
  }
}
