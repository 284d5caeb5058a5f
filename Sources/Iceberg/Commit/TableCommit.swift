import Storage

/// One atomic change of a table: files, properties, references and schema, all or nothing.
///
/// Built up, then `commit()`, or committed with those of other tables by a `CatalogTransaction`. On a
/// conflict everything that depends on the table's head is built anew on the new head, validations
/// included. Other failures are final: after `commitStateUnknown` the commit may have happened, and none
/// of its files may be deleted; after any other error it is proven not to have happened, and the manifests
/// that it wrote are removed (data files are the caller's).
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
  var replacement: TableReplacement?
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
  ///
  /// - Parameter startingSnapshotID: the snapshot in which the removed files were read: the commit fails
  ///   when rows of them were deleted since, which would come back with the added ones. nil takes the
  ///   branch's head in this table.
  public mutating func overwrite(
    _ removed: [DataFile], with added: [DataFile], startingSnapshotID: Int64? = nil
  ) {
    var change = FileChange(
      operation: added.isEmpty ? .delete : .overwrite, added: added, removed: removed)
    if added.isEmpty {
      change.removedAsWhole = Set(removed.map(\.path))
    } else {
      change.startingSnapshotID = startingSnapshotID
      change.startsAtTable = startingSnapshotID == nil
    }
    self.change = change
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
  package mutating func change(
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

  /// Puts delete files in the place of others that say the same of the data files that are left.
  ///
  /// - Parameter startingSnapshotID: the snapshot in which they were read.
  package mutating func replaceDeletes(
    _ removed: [DataFile], with added: [DataFile], startingSnapshotID: Int64
  ) {
    var replacement = FileChange(operation: .replace, added: added)
    replacement.removedDeletes = removed
    replacement.rewritesDeletes = true
    // Nobody else may have deleted rows of the same files by vectors: those would be two for one file.
    replacement.rules = ConflictRules(startingSnapshotID: startingSnapshotID, isolation: .snapshot)
    change = replacement
  }

  /// Puts manifests in the place of others that list the same live files. They must be durable but for their names,
  /// and lie in the table's metadata folder.
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
    try CatalogTransaction([self], options: options).commit()[0]
  }

  /// What makes the snapshot, from the table as it is now; nil when no file changes.
  func producer(_ head: Table) throws(IcebergError) -> SnapshotProducer? {
    guard var change else { return nil }
    if change.startsAtTable {
      change.startingSnapshotID = table.metadata.references[branch]?.snapshotID
    }
    return try SnapshotProducer(
      table: head.metadata, change: change, branch: branch, extraSummary: summary,
      summaryProperties: summaryProperties, io: table.io)
  }

  /// The change of one attempt on one head; nil when nothing is to change. Writes the snapshot's
  /// manifests and their list.
  func change(
    on head: Table, _ producer: inout SnapshotProducer?
  ) throws(IcebergError) -> TableChange? {
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
    var working = metadata
    /// Each update sees what the ones before it did.
    func add(_ updates: [TableUpdate]) throws(IcebergError) {
      guard !updates.isEmpty else { return }
      all += updates
      working = try working.applying(
        updates, nowMilliseconds: metadata.lastUpdatedMilliseconds, previousLocation: nil)
    }
    if let replacement {
      try add(try replacement.updates(metadata))
      try replacement.check(working)
    }
    if producer != nil {
      let reference = working.references[branch]
      guard reference != nil || branch == SnapshotReference.main else {
        throw IcebergError(.notFound, "the table has no branch '\(branch)'")
      }
      guard reference?.kind != .tag else {
        throw IcebergError(.invalidArgument, "'\(branch)' is a tag, which cannot move")
      }
      requirements.append(
        .referenceSnapshotID(name: branch, metadata.references[branch]?.snapshotID))
      let now = table.clock.nowMicroseconds() / 1000
      if let snapshot = try producer?.produce(working, nowMilliseconds: now) {
        let moved =
          reference?.moved(to: snapshot.snapshotID)
          ?? SnapshotReference(snapshotID: snapshot.snapshotID, kind: .branch)
        all.append(.addSnapshot(snapshot))
        if !isStaged { all.append(.setReference(name: branch, moved)) }
      }
    }
    for update in updates { try add(try update(working)) }
    requirements += TableRequirement.requirements(of: all, on: metadata, besides: requirements)
    guard !all.isEmpty else { return nil }
    return TableChange(
      table.identifier, base: head.state, requirements: requirements, updates: all)
  }
}
