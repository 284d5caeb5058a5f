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
    var state = MaintenanceProgress(
      filesDone: 0, filesTotal: plan.files.count, bytesDone: 0, bytesTotal: plan.sizeBytes)
    for file in plan.files {
      if isStopped() {
        throw IcebergError(
          .cancelled,
          "stopped after \(state.filesDone) of \(state.filesTotal) files: another run goes on")
      }
      try delete(file, reachable, names, head, &result)
      state.filesDone += 1
      state.bytesDone = state.bytesDone.addingSaturated(file.sizeBytes)
      progress?(state)
    }
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

  /// The first failure ends the run: what refers to other files is deleted before them, so what is
  /// left is whole.
  private func delete(
    _ file: VacuumPlan.File, _ reachable: ReachableFiles, _ names: TableFileNames, _ head: Table,
    _ result: inout VacuumResult
  ) throws(IcebergError) {
    guard !reachable.contains(file.name) else {
      result.sparedCount += 1
      return
    }
    let path = names.root + "/" + file.name
    guard let now = try head.io.information(path) else {
      result.alreadyGoneCount += 1
      return
    }
    let isSame =
      now.sizeBytes == file.sizeBytes
      && now.modificationTimeMicroseconds == file.modificationTimeMicroseconds
    guard isSame, try names.isOwn(Location.parent(of: file.name)) else {
      result.sparedCount += 1
      return
    }
    guard try head.io.delete(path) else {
      result.alreadyGoneCount += 1
      return
    }
    result.deleted[file.kind, default: .init()].add(file.sizeBytes)
  }
}
