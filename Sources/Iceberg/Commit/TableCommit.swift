import Storage

/// One atomic change of a table: files, properties, references and schema, all or nothing.
///
/// Built up, then `commit()`. On a conflict everything that depends on the table's head is built
/// anew on the new head, validations included. Other failures are final: after
/// `commitStateUnknown` the commit may have happened, and none of its files may be deleted; after
/// any other error it is proven not to have happened, and the manifests that it wrote are removed
/// (data files are the caller's).
public struct TableCommit: Sendable {
  public typealias Validation = @Sendable (TableMetadata) throws(IcebergError) -> Void
  public typealias Update = @Sendable (TableMetadata) throws(IcebergError) -> [TableUpdate]

  public let table: Table
  public var options = CommitOptions()
  /// The branch that gets the snapshot; one other than main must exist.
  public var branch = SnapshotReference.main
  /// Whether the snapshot is only added to the table's snapshots, without a branch that has it:
  /// `cherryPick` publishes it later.
  public var isStaged = false
  /// Entries for the snapshot's summary, beside the counts.
  public var summary: [String: String] = [:]
  /// Table properties that the snapshot's summary repeats, as they are on the head it builds on.
  public var summaryProperties: Set<String> = []
  var change: FileChange?
  private var validations: [Validation] = []
  private var updates: [Update] = []

  init(table: Table) { self.table = table }

  /// Runs a check against the head that the commit builds on, in each attempt. What it throws ends
  /// the commit.
  public mutating func validate(_ validation: @escaping Validation) {
    validations.append(validation)
  }

  /// Adds metadata updates, computed in each attempt from the head with the updates before them.
  public mutating func update(_ update: @escaping Update) { updates.append(update) }
}

// Files.
extension TableCommit {
  /// Adds data files. The files must be durable; their paths must be new.
  ///
  /// - Parameter mergesManifests: false is the fast append, which leaves existing manifests alone;
  ///   nil follows the table's `commit.manifest-merge.enabled`, true when absent.
  public mutating func append(_ files: [DataFile], mergesManifests: Bool? = nil) {
    var change = change ?? FileChange(operation: .append)
    change.added += files
    change.mergesManifests = mergesManifests ?? change.mergesManifests
    self.change = change
  }

  /// Replaces data files by others with the same rows: compaction.
  ///
  /// - Parameters:
  ///   - startingSnapshotID: the snapshot that was read; the commit fails when rows of the replaced
  ///     files were deleted since.
  ///   - dataSequenceNumber: of the starting snapshot, so that equality deletes committed meanwhile
  ///     go on to apply; nil makes the rows as new as the commit.
  ///   - rowsRemovedByDeletes: how many rows the rewrite left out because they were deleted.
  public mutating func replace(
    _ removed: [DataFile], with added: [DataFile], startingSnapshotID: Int64,
    dataSequenceNumber: Int64? = nil, rowsRemovedByDeletes: Int64 = 0
  ) {
    var replacement = FileChange(operation: .replace, added: added, removed: removed)
    replacement.startingSnapshotID = startingSnapshotID
    replacement.dataSequenceNumber = dataSequenceNumber
    replacement.rowsRemovedByDeletes = rowsRemovedByDeletes
    change = replacement
  }

  /// Removes data files and adds others with other rows; with none added it is a `delete`.
  public mutating func overwrite(_ removed: [DataFile], with added: [DataFile]) {
    change = FileChange(
      operation: added.isEmpty ? .delete : .overwrite, added: added, removed: removed)
  }

  /// Adds delete files: equality deletes, which go on applying to all rows of before, or positions
  /// of rows that are in the table. The files must be durable.
  ///
  /// - Parameter startingSnapshotID: the snapshot in which rows were found by position: the commit
  ///   fails when their files were removed since. nil takes this table's current one.
  public mutating func addDeletes(_ files: [DataFile], startingSnapshotID: Int64? = nil) {
    change(
      removing: [], adding: files, removedDeletes: [], removedAsWhole: [],
      rules: ConflictRules(
        startingSnapshotID: startingSnapshotID ?? table.metadata.currentSnapshotID,
        isolation: .snapshot))
  }

  /// Changes rows: removes data files and delete files, adds others.
  ///
  /// - Parameters:
  ///   - removedDeletes: delete files whose deletes are among those of `added`.
  ///   - removedAsWhole: the paths of removed files whose every row is to go.
  ///   - rules: what others must not have done since the change was planned.
  mutating func change(
    removing removed: [DataFile], adding added: [DataFile], removedDeletes: [DataFile],
    removedAsWhole: Set<String>, rules: ConflictRules
  ) {
    let addsData = added.contains { $0.content == .data }
    let isAppend = removed.isEmpty && added.allSatisfy { $0.content == .data }
    var change = FileChange(
      operation: isAppend ? .append : addsData ? .overwrite : .delete, added: added,
      removed: removed)
    change.removedDeletes = removedDeletes
    change.removedAsWhole = removedAsWhole
    change.startingSnapshotID = rules.startingSnapshotID
    change.rules = rules
    self.change = change
  }

  /// Puts manifests in the place of others that list the same live files.
  public mutating func replaceManifests(_ removed: [ManifestFile], with added: [ManifestFile]) {
    var replacement = FileChange(operation: .replace)
    replacement.removedManifests = removed
    replacement.addedManifests = added
    change = replacement
  }
}

// The commit itself.
extension TableCommit {
  /// Commits, with retries.
  public func commit() throws(IcebergError) -> CommitResult {
    var head = try table.refresh()
    var producer: SnapshotProducer?
    if let change {
      producer = try SnapshotProducer(
        table: head.metadata, change: change, branch: branch, extraSummary: summary,
        summaryProperties: summaryProperties, io: table.io)
    }
    let retries = options.retries(head.properties)
    let start = table.clock.nowMicroseconds()
    let timeout = options.totalTimeout(head.properties)
    var attempt = 1
    while true {
      do {
        let state = try self.attempt(head, &producer)
        return try succeed(state, producer, attempt)
      } catch {
        switch error.kind {
        case .commitConflict:
          head = try refresh(after: error)
          // A conflict may be the echo of our own success.
          if let producer, head.metadata.snapshot(id: producer.snapshotID) != nil {
            return try succeed(head.state, producer, attempt)
          }
          let elapsed = (table.clock.nowMicroseconds() &- start) / 1000
          guard attempt <= retries, elapsed < timeout else { throw fail(error, producer) }
        case .commitStateUnknown:
          if let state = lookUp(producer) { return try succeed(state, producer, attempt) }
          throw error
        default: throw fail(error, producer)
        }
      }
      options.pause(options.waitMilliseconds(retry: attempt, head.properties))
      attempt += 1
      head = try table.refresh()
    }
  }

  /// One attempt on one head.
  private func attempt(
    _ head: Table, _ producer: inout SnapshotProducer?
  ) throws(IcebergError) -> TableState {
    let metadata = head.metadata
    guard metadata.formatVersion >= 2 || change == nil else {
      throw IcebergError(
        .unsupported, "tables of format version 1 are only read: upgrade the table to 2")
    }
    guard metadata.encryptionKeys.isEmpty else {
      throw IcebergError(.unsupported, "the table is encrypted, which is not supported")
    }
    for validation in validations { try validation(metadata) }
    var all: [TableUpdate] = []
    var requirements: [TableRequirement] = [.tableUUID(metadata.tableUUID)]
    if producer != nil {
      let reference = metadata.references[branch]
      guard reference != nil || branch == SnapshotReference.main else {
        throw IcebergError(.notFound, "the table has no branch '\(branch)'")
      }
      guard reference?.kind != .tag else {
        throw IcebergError(.invalidArgument, "'\(branch)' is a tag, which cannot move")
      }
      requirements.append(
        .referenceSnapshotID(name: branch, reference?.snapshotID))
      let now = table.clock.nowMicroseconds() / 1000
      if let snapshot = try producer?.produce(metadata, nowMilliseconds: now) {
        let moved =
          reference?.moved(to: snapshot.snapshotID)
          ?? SnapshotReference(snapshotID: snapshot.snapshotID, kind: .branch)
        all.append(.addSnapshot(snapshot))
        if !isStaged { all.append(.setReference(name: branch, moved)) }
      }
    }
    // Each update sees what the ones before it did.
    var working = metadata
    for (index, update) in updates.enumerated() {
      let changes = try update(working)
      all += changes
      guard index < updates.count - 1, !changes.isEmpty else { continue }
      working = try working.applying(
        changes, nowMilliseconds: metadata.lastUpdatedMilliseconds, previousLocation: nil)
    }
    requirements += TableRequirement.requirements(of: all, on: metadata, besides: requirements)
    guard !all.isEmpty else { return head.state }
    return try table.catalog.commit(
      table.identifier, base: head.state, requirements: requirements, updates: all)
  }

  /// The table after a conflict. When it cannot be read, the conflict is what is reported, and
  /// nothing is cleaned up: whether it was an echo is not known.
  private func refresh(after conflict: IcebergError) throws(IcebergError) -> Table {
    do { return try table.refresh() } catch {
      throw conflict.adding("then", error.description)
    }
  }

  /// After an unknown outcome: the table's state if our snapshot is in it.
  private func lookUp(_ producer: SnapshotProducer?) -> TableState? {
    guard let producer else { return nil }
    let properties = table.properties
    for check in 0...options.statusChecks(properties) {
      if check > 0 { options.pause(options.statusWaitMilliseconds(check: check, properties)) }
      do {
        let head = try table.refresh()
        if head.metadata.snapshot(id: producer.snapshotID) != nil { return head.state }
      } catch { continue }
    }
    return nil
  }

  private func succeed(
    _ state: TableState, _ producer: SnapshotProducer?, _ attemptCount: Int
  ) throws(IcebergError) -> CommitResult {
    let table = try table.with(state, checking: table.metadata.tableUUID)
    if let producer { removeSuperseded(producer, table.metadata) }
    return CommitResult(
      table: table, snapshotID: producer?.snapshotID, attemptCount: attemptCount)
  }

  /// Removes what attempts wrote that the committed snapshot does not use. Failing to is no error,
  /// and when the snapshot cannot be found nothing is removed.
  private func removeSuperseded(_ producer: SnapshotProducer, _ metadata: TableMetadata) {
    guard let snapshot = metadata.snapshot(id: producer.snapshotID),
      let committed = producer.attempts.first(where: { $0.manifestList == snapshot.manifestList })
    else { return }
    let lists = producer.attempts.map(\.manifestList).filter { $0 != committed.manifestList }
    table.io.deleteAll(lists)
    table.io.deleteAll(producer.writtenManifests.filter { !committed.manifests.contains($0) })
  }

  /// Cleans up after a commit that is proven not to have happened.
  private func fail(_ error: IcebergError, _ producer: SnapshotProducer?) -> IcebergError {
    guard let producer else { return error }
    table.io.deleteAll(producer.attempts.map(\.manifestList))
    table.io.deleteAll(producer.writtenManifests)
    return error.adding("table", table.identifier.description)
  }
}
