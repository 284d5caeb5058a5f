import Storage

extension Vacuum {
  /// Does what the plan says: commits the expiry, reads the table again, and deletes those files of
  /// the plan that the table still does not speak of.
  ///
  /// Once the expiry is committed the answer is a result, whatever happens after: a failure to delete
  /// is in it. Running again after a crash or a failure ends up in the same place.
  ///
  /// - Throws: when nothing was deleted: `validationFailed` if the table changed so that the plan no
  ///   longer holds, and what commits throw.
  public func execute(
    _ plan: VacuumPlan, progress: MaintenanceProgress.Report? = nil
  ) throws(IcebergError) -> VacuumResult {
    let start = try table.refresh()
    guard start.metadata.tableUUID == plan.tableUUID else {
      throw IcebergError(.validationFailed, "the plan was made for another table")
    }
    var result = VacuumResult(table: start)
    result.use = plan.use
    if let expiry = plan.expiry, !expiry.isEmpty {
      result.table = try commit(expiry, plan.references, start)
      result.expiredSnapshotCount = expiry.expiredSnapshotIDs.count
      result.removedReferenceCount = expiry.removedReferences.count
    }
    do {
      try delete(plan, start, progress, &result)
    } catch {
      result.failure = error
    }
    return result
  }

  private func commit(
    _ expiry: ExpireSnapshotsPlan, _ references: [String: SnapshotReference], _ start: Table
  ) throws(IcebergError) -> Table {
    var commit = start.newCommit()
    commit.options = commitOptions
    commit.validate { metadata throws(IcebergError) in
      guard metadata.properties["gc.enabled"]?.lowercased() != "false" else {
        throw IcebergError(.validationFailed, "the table now has gc.enabled=false")
      }
      let removed = Set(expiry.removedReferences)
      for (name, planned) in references {
        guard let now = metadata.references[name] else { continue }
        // A branch that stays may move on.
        let expected = removed.contains(name) ? planned : planned.moved(to: now.snapshotID)
        guard now == expected else {
          throw IcebergError(
            .validationFailed, "'\(name)' has changed since the plan was made: plan again")
        }
      }
    }
    commit.removeSnapshots(expiry.expiredSnapshotIDs, references: expiry.removedReferences)
    return try commit.commit().table
  }

  private func delete(
    _ plan: VacuumPlan, _ start: Table, _ progress: MaintenanceProgress.Report?,
    _ result: inout VacuumResult
  ) throws(IcebergError) {
    guard !plan.files.isEmpty else { return }
    let head = try result.table.refresh()
    result.table = head
    let names = try TableFileNames(location: head.location, io: head.io)
    let reachable = try reachable(head, start, names)
    let deletions = Lock(Deletions())
    defer { deletions.withLock { $0.add(to: &result) } }
    // What refers to others goes before them, so that what a failure leaves is whole.
    for kind in TableFileKind.deletionOrder {
      let files = plan.files.filter { $0.kind == kind }
      guard !files.isEmpty else { continue }
      try delete(files, plan, reachable, names, head, deletions, progress)
    }
  }

  /// Below so many files to a thread it is not worth having one.
  private static let filesPerThread = 64

  /// Files of one kind, several at a time; the first failure ends the run.
  private func delete(
    _ files: [VacuumPlan.File], _ plan: VacuumPlan, _ reachable: ReachableFiles,
    _ names: TableFileNames, _ head: Table, _ deletions: Lock<Deletions>,
    _ progress: MaintenanceProgress.Report?
  ) throws(IcebergError) {
    var reported = 0
    func report() {
      let (files, bytes) = deletions.withLock { ($0.filesDone, $0.bytesDone) }
      guard files != reported else { return }
      reported = files
      progress?(
        MaintenanceProgress(
          filesDone: files, filesTotal: plan.files.count, bytesDone: bytes,
          bytesTotal: plan.sizeBytes))
    }
    do {
      try Parallel.forEach(
        files.count, threads: min(deletionThreads, 1 + files.count / Self.filesPerThread),
        makeWorker: {},
        work: { _, index in
          if isStopped() {
            throw IcebergError(
              .cancelled,
              "stopped after \(deletions.withLock(\.filesDone)) of \(plan.files.count) files: another "
                + "run goes on")
          }
          let outcome = try delete(files[index], reachable, names, head)
          deletions.withLock { $0.count(outcome, files[index]) }
        }, tick: report)
    } catch let error as IcebergError { throw error } catch {
      throw IcebergError(.inputOutput, "\(error)")
    }
    report()
  }

  /// What the table speaks of now, and what those read that it had at the start and does not have any more. If
  /// that cannot be told, nothing is deleted.
  private func reachable(
    _ head: Table, _ start: Table, _ names: TableFileNames
  ) throws(IcebergError) -> ReachableFiles {
    let walker = ReachabilityWalker(names: names, store: ManifestStore(io: head.io))
    var files = ReachableFiles()
    files.begin(.current)
    try files.insertMetadata(head.metadata, at: head.metadataLocation, names)
    for snapshot in head.metadata.snapshots {
      try walker.add(snapshot, of: head.metadata, toleratesMissing: false, to: &files)
    }
    for id in try snapshotsInUse() where head.metadata.snapshot(id: id) == nil {
      guard let snapshot = start.metadata.snapshot(id: id) else { continue }
      try walker.add(snapshot, of: start.metadata, toleratesMissing: true, to: &files)
    }
    return files
  }

  private func delete(
    _ file: VacuumPlan.File, _ reachable: ReachableFiles, _ names: TableFileNames, _ head: Table
  ) throws(IcebergError) -> Deletions.Outcome {
    guard !reachable.contains(file.name) else { return .spared }
    let path = names.root + "/" + file.name
    guard let now = try head.io.information(path) else { return .alreadyGone }
    let isSame =
      now.sizeBytes == file.sizeBytes
      && now.modificationTimeMicroseconds == file.modificationTimeMicroseconds
    guard isSame, try names.isOwn(Location.parent(of: file.name)) else { return .spared }
    return try head.io.delete(path) ? .deleted : .alreadyGone
  }
}

/// What became of the files of a plan so far.
private struct Deletions {
  enum Outcome {
    case deleted
    case alreadyGone
    case spared
  }

  private(set) var filesDone = 0
  private(set) var bytesDone: Int64 = 0
  private var deleted: [TableFileKind: FileCounts] = [:]
  private var alreadyGoneCount = 0
  private var sparedCount = 0

  mutating func count(_ outcome: Outcome, _ file: VacuumPlan.File) {
    filesDone += 1
    bytesDone = bytesDone.addingSaturated(file.sizeBytes)
    switch outcome {
    case .deleted: deleted[file.kind, default: .init()].add(file.sizeBytes)
    case .alreadyGone: alreadyGoneCount += 1
    case .spared: sparedCount += 1
    }
  }

  func add(to result: inout VacuumResult) {
    result.deleted = deleted
    result.alreadyGoneCount = alreadyGoneCount
    result.sparedCount = sparedCount
  }
}
