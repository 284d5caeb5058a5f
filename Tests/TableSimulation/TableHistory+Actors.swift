import Iceberg
import TestSupport

// What each one does.
extension TableHistory {
  func begin(_ actor: Actor) throws {
    let table = try catalog.loadTable(main)
    switch actor.kind {
    case .writer: try write(actor, table)
    case .compactor:
      if generator.oneIn(3) { try rewriteDeletes(actor, table) } else { try compact(actor, table) }
    case .expirer: try expire(actor, table)
    case .orphanRemover: try removeOrphans(actor, table)
    case .tagger: try tag(table)
    case .reader: try read(actor, table)
    }
  }

  private func write(_ actor: Actor, _ table: Table) throws {
    switch generator.below(10) {
    case 0...2: try append(actor, table)
    case 3, 4: try overwrite(actor, table)
    case 5, 6: try deleteRows(actor, table)
    case 7: try deleteByValue(actor, table)
    case 8: try appendToBoth(actor, table)
    default: try setProperty(table)
    }
  }

  // MARK: Files

  private func newFile(_ table: Table, rows: [Int64], partition: Int32) throws -> DataFile {
    var file = try newFile(
      table, numbers: rows, name: "\(fileName()).parquet", content: .data,
      partition: [.int(partition)])
    file.valueCounts = [1: file.recordCount, 2: file.recordCount]
    file.nullValueCounts = [1: 0, 2: 0]
    file.lowerBounds[1] = FakeFile.bytes([rows.min() ?? 0])
    file.upperBounds[1] = FakeFile.bytes([rows.max() ?? 0])
    return file
  }

  private func newFile(
    _ table: Table, numbers: [Int64], name: String, content: FileContent,
    partition: [Literal?]
  ) throws -> DataFile {
    let location = table.location + "/data/" + name
    try table.io.write(location, FakeFile.bytes(numbers))
    return DataFile(
      content: content, path: location, specID: 0, partition: partition,
      recordCount: Int64(numbers.count), fileSizeInBytes: Int64(numbers.count * 8))
  }

  /// Positions of deleted rows of one file: a deletion vector in format version 3.
  private func newDeletes(
    _ table: Table, _ positions: [Int64], of file: DataFile
  ) throws -> DataFile {
    let isVector = table.metadata.formatVersion >= 3
    var delete = try newFile(
      table, numbers: positions, name: "\(fileName())-deletes.\(isVector ? "puffin" : "parquet")",
      content: .positionDeletes, partition: file.partition)
    delete.referencedDataFile = file.path
    if isVector {
      delete.format = .puffin
      delete.contentOffset = 0
      delete.contentSizeInBytes = delete.fileSizeInBytes
    }
    return delete
  }

  private func quick(_ commit: inout TableCommit) { commit.options.pause = { _ in } }

  /// Like the library's own jobs: files go when the commit is proven not to have happened. Some leave
  /// them, as a process does that is killed.
  private func cleaningUp(
    _ table: Table, _ files: [DataFile], _ body: () throws -> Void
  ) throws {
    do { try body() } catch {
      if (error as? IcebergError)?.kind != .commitStateUnknown, !generator.oneIn(3) {
        table.io.deleteAll(files.map(\.path))
      }
      throw error
    }
  }

  // MARK: Writers

  private func append(_ actor: Actor, _ table: Table) throws {
    var files: [DataFile] = []
    var rows: [Int64] = []
    for _ in 0..<1 + generator.below(2) {
      let partition = Int32(generator.below(3))
      let new = newRows(partition, 1 + generator.below(3))
      files.append(try newFile(table, rows: new, partition: partition))
      rows += new
    }
    let isFast = generator.oneIn(3)
    let toBranch = generator.oneIn(4)
    actor.rest = { [self] in
      var commit = table.newAppend(files, mergesManifests: isFast ? false : nil)
      quick(&commit)
      if toBranch, try table.refresh().metadata.references["b"]?.kind == .branch {
        commit.branch = "b"
      }
      try perform(
        Operation(
          "append \(rows) to \(commit.branch)", startedAt: actor.startedAt,
          [
            main: { $0.union(rows) }
          ])
      ) {
        try cleaningUp(table, files) { _ = try commit.commit() }
      }
    }
  }

  /// All rows of a partition by others.
  private func overwrite(_ actor: Actor, _ table: Table) throws {
    let partition = Int32(generator.below(3))
    var change = DeleteRows(table, where: .comparison("p", .equal, .int(partition)))
    change.commitOptions.pause = { _ in }
    let plan = try change.plan()
    oracle.require(plan.candidates.isEmpty, "a partition's files are to be read for their deletion")
    let rows = newRows(partition, generator.below(3))
    actor.rest = { [self] in
      let files =
        rows.isEmpty ? [] : [try newFile(table, rows: rows, partition: partition)]
      actor.rest = { [self] in
        try perform(
          Operation(
            "overwrite \(partition) by \(rows)", startedAt: actor.startedAt,
            [
              main: { $0.filter { RowOracle.partition($0) != partition }.union(rows) }
            ]), mayDoNothing: rows.isEmpty
        ) {
          try cleaningUp(table, files) { _ = try change.execute(plan, adding: files) }
        }
      }
    }
  }

  /// Some rows of one file, by their positions.
  private func deleteRows(_ actor: Actor, _ table: Table) throws {
    let plan = try table.newScan().planFiles()
    guard let start = plan.snapshot, !plan.tasks.isEmpty else { return }
    let task = plan.tasks[generator.below(plan.tasks.count)]
    let deletes = task.deletes.map(\.dataFile)
    let live = try FakeFile.liveRows(of: task.dataFile, deletes: deletes, disk)
    let all = try FakeFile.numbers(task.dataFile, disk)
    let rows = live.filter { _ in generator.oneIn(2) }
    guard !rows.isEmpty else { return }
    let isWhole = rows.count == live.count && generator.oneIn(2)
    let isVector = table.metadata.formatVersion >= 3
    let isolation: IsolationLevel = generator.oneIn(2) ? .serializable : .snapshot
    actor.rest = { [self] in
      var positions = Set(rows.compactMap { all.firstIndex(of: $0).map { Int64($0) } })
      let before = try FakeFile.deletedPositions(deletes, disk)
      // A vector says all, and takes the place of the one before.
      if isVector { positions.formUnion(before) }
      let added =
        isWhole
        ? []
        : [try newDeletes(table, positions.sorted(), of: task.dataFile)]
      let replaced =
        isVector && !isWhole ? deletes.filter { $0.content == .positionDeletes } : []
      actor.rest = { [self] in
        var commit = table.newCommit()
        quick(&commit)
        commit.change(
          removing: isWhole ? [task.dataFile] : [], adding: added, removedDeletes: replaced,
          removedAsWhole: isWhole ? [task.dataFile.path] : [],
          rules: ConflictRules(
            startingSnapshotID: start.snapshotID, filter: .isIn("id", rows.map { .long($0) }),
            isolation: isolation))
        try perform(
          Operation("delete \(rows)", startedAt: actor.startedAt, [main: { $0.subtracting(rows) }])
        ) {
          try cleaningUp(table, added) { _ = try commit.commit() }
        }
      }
    }
  }

  /// Rows by their value, wherever they are: an equality delete of one partition.
  private func deleteByValue(_ actor: Actor, _ table: Table) throws {
    guard table.metadata.currentSnapshotID != nil else { return }
    let partition = Int32(generator.below(3))
    let known = newRows(partition, 1)[0]
    let rows = (0..<3).map { _ in Int64(generator.below(Int(known / 3) + 1)) * 3 + Int64(partition)
    }
    let gone = Set(rows)
    var file = try newFile(
      table, numbers: gone.sorted(), name: "\(fileName())-values.parquet",
      content: .equalityDeletes, partition: [.int(partition)])
    file.equalityIDs = [1]
    let added = [file]
    actor.rest = { [self] in
      var commit = table.newCommit()
      quick(&commit)
      commit.addDeletes(added)
      try perform(
        Operation(
          "delete values \(gone.sorted())", startedAt: actor.startedAt,
          [
            main: { $0.subtracting(gone) }
          ])
      ) {
        try cleaningUp(table, added) { _ = try commit.commit() }
      }
    }
  }

  /// The same rows to both tables, or to none.
  private func appendToBoth(_ actor: Actor, _ table: Table) throws {
    let second = try catalog.loadTable(other)
    let partition = Int32(generator.below(3))
    let rows = newRows(partition, 1)
    let file = try newFile(table, rows: rows, partition: partition)
    let otherFile = try newFile(second, rows: rows, partition: partition)
    actor.rest = { [self] in
      let commits = [table.newAppend([file]), second.newAppend([otherFile])]
      var transaction = CatalogTransaction(commits)
      transaction.options.pause = { _ in }
      try perform(
        Operation(
          "append \(rows) to both", startedAt: actor.startedAt,
          [
            main: { $0.union(rows) }, other: { $0.union(rows) },
          ])
      ) {
        try cleaningUp(table, [file, otherFile]) { _ = try transaction.commit() }
      }
    }
  }

  private func setProperty(_ table: Table) throws {
    var commit = table.newCommit()
    quick(&commit)
    commit.setProperties(["n": fileName()])
    try perform(Operation("property", startedAt: disk.time)) { _ = try commit.commit() }
  }

  // MARK: Maintenance

  private func compact(_ actor: Actor, _ table: Table) throws {
    let job = try RewriteDataFiles(
      table, options: try RewriteDataFilesOptions(["rewrite-all": "true"]))
    let plan = try job.plan()
    guard let start = plan.startingSnapshot, !plan.files.groups.isEmpty else { return }
    let usesStart = !generator.oneIn(4)
    let group = plan.files.groups[generator.below(plan.files.groups.count)]
    let paths = Set(group.files.map(\.path))
    let tasks = try plan.table.newScan().planFiles().tasks.filter {
      paths.contains($0.dataFile.path)
    }
    actor.rest = { [self] in
      var rows: [Int64] = []
      for task in tasks {
        rows += try FakeFile.liveRows(
          of: task.dataFile, deletes: task.deletes.map(\.dataFile), disk)
      }
      let before = group.recordCount
      let kept = rows
      let added =
        kept.isEmpty
        ? [] : [try newFile(table, rows: kept, partition: RowOracle.partition(kept[0]))]
      actor.rest = { [self] in
        var commit = plan.table.newCommit()
        quick(&commit)
        commit.replace(
          tasks.map(\.dataFile), with: added, startingSnapshotID: start.snapshotID,
          dataSequenceNumber: usesStart ? start.sequenceNumber : nil,
          rowsRemovedByDeletes: before - Int64(kept.count))
        try perform(
          Operation("compact \(tasks.count) files", startedAt: actor.startedAt, [main: { $0 }])
        ) {
          try cleaningUp(table, added) { _ = try commit.commit() }
        }
      }
    }
  }

  /// One file for all that position delete files say of a data file. A deletion vector is alone already.
  private func rewriteDeletes(_ actor: Actor, _ table: Table) throws {
    guard table.metadata.formatVersion < 3 else { return try compact(actor, table) }
    let plan = try table.newScan().planFiles()
    let tasks = plan.tasks.filter { task in
      task.deletes.contains { $0.dataFile.content == .positionDeletes }
    }
    guard let start = plan.snapshot, !tasks.isEmpty else { return try compact(actor, table) }
    let task = tasks[generator.below(tasks.count)]
    let deletes = task.deletes.map(\.dataFile).filter { $0.content == .positionDeletes }
    actor.rest = { [self] in
      let positions = try FakeFile.deletedPositions(deletes, disk)
      let added = try newDeletes(table, positions.sorted(), of: task.dataFile)
      actor.rest = { [self] in
        var commit = table.newCommit()
        quick(&commit)
        commit.replaceDeletes(deletes, with: [added], startingSnapshotID: start.snapshotID)
        try perform(
          Operation("rewrite deletes", startedAt: actor.startedAt, [main: { $0 }])
        ) {
          try cleaningUp(table, [added]) { _ = try commit.commit() }
        }
      }
    }
  }

  private func expire(_ actor: Actor, _ table: Table) throws {
    var options = VacuumOptions()
    options.removesOrphans = generator.oneIn(4)
    if !generator.oneIn(3) {
      options.olderThanMilliseconds = generator.oneIn(2) ? .max : disk.time / 1000 - 3_600_000
      options.retainLast = Int64(1 + generator.below(3))
    }
    try vacuum(actor, Vacuum(table, options: options), "expire")
  }

  private func removeOrphans(_ actor: Actor, _ table: Table) throws {
    var options = VacuumOptions()
    options.expiresSnapshots = false
    options.orphanAgeMilliseconds = VacuumOptions.orphanFloorMilliseconds
    try vacuum(actor, Vacuum(table, options: options), "remove orphans")
  }

  private func vacuum(_ actor: Actor, _ job: Vacuum, _ name: String) throws {
    var vacuum = job
    // One thread, one history.
    vacuum.deletionThreads = 1
    vacuum.commitOptions.pause = { _ in }
    let before = expiryCount
    let plan = try vacuum.plan()
    actor.rest = { [self, vacuum] in
      try perform(Operation(name, startedAt: actor.startedAt, isVacuum: true)) {
        let result = try vacuum.execute(plan)
        removed(result.deletedFileCount)
        note("\(name): \(result.deletedFileCount) files, \(result.expiredSnapshotCount) snapshots")
        // What it read was expired by another one.
        if let failure = result.failure, failure.kind != .notFound || expiryCount <= before + 1 {
          throw failure
        }
      }
    }
  }

  // MARK: Branches and tags

  private func tag(_ table: Table) throws {
    let snapshots = table.metadata.snapshots
    guard !snapshots.isEmpty else { return }
    let id = snapshots[generator.below(snapshots.count)].snapshotID
    let name = "t\(generator.below(3))"
    var commit = table.newCommit()
    quick(&commit)
    let choice = generator.below(9)
    switch choice {
    case 0, 1: commit.createTag(name, snapshotID: id)
    case 2: commit.createTag(name, snapshotID: id, maxReferenceAgeMilliseconds: 3_600_000)
    case 3: commit.removeReference(generator.oneIn(3) ? "b" : name)
    case 4: commit.createBranch("b", snapshotID: id)
    case 5: commit.fastForward("b", to: "main")
    case 6: commit.replaceTag(name, snapshotID: id)
    case 7: commit.rollBack(to: id)
    default: commit.fastForward("main", to: "b")
    }
    try perform(Operation("tag \(choice)", startedAt: disk.time)) { _ = try commit.commit() }
  }

  // MARK: Readers

  /// Plans now, reads later: whatever others did, it gets the rows of its snapshot, or learns that the
  /// snapshot has expired.
  private func read(_ actor: Actor, _ table: Table) throws {
    let references = table.metadata.references.keys.sorted()
    guard !references.isEmpty else { return }
    var scan = table.newScan()
    scan.version = .reference(references[generator.below(references.count)])
    let held = scan
    actor.rest = { [self] in
      do {
        let plan = try held.planFiles()
        actor.rest = { [self] in
          do { try readRows(plan) } catch { try forgive(error, plan.snapshot) }
        }
      } catch { try forgive(error, try held.snapshot()) }
    }
  }

  private func readRows(_ plan: ScanPlan) throws {
    guard let snapshot = plan.snapshot else { return }
    var rows: [Int64] = []
    for task in plan.tasks {
      rows += try FakeFile.liveRows(
        of: task.dataFile, deletes: task.deletes.map(\.dataFile), disk)
    }
    let expected = (oracle.rows[snapshot.snapshotID] ?? []).sorted()
    oracle.require(rows.sorted() == expected, "a reader got \(rows.sorted()), not \(expected)")
    note("read \(rows.count) rows")
  }

  private func forgive(_ error: any Error, _ snapshot: Snapshot?) throws {
    let now = try catalog.loadTable(main).metadata
    guard let snapshot, now.snapshot(id: snapshot.snapshotID) == nil else { throw error }
    note("read what has expired")
  }
}
