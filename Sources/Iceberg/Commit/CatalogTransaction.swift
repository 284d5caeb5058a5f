import Storage

/// Commits of several tables of one catalog that happen together or not at all.
///
/// Each is retried and validated as it would be alone; a conflict of one builds all of them anew.
/// Readers of two tables may still load one before the transaction and the other after it. Local
/// catalogs can do it, and REST servers that serve `transactions/commit`.
public struct CatalogTransaction: Sendable {
  public let commits: [TableCommit]
  /// Retries and waits; those of the commits are not looked at.
  public var options: CommitOptions

  /// - Parameter commits: of different tables; the first one's properties say how often to retry where
  ///   the options do not.
  public init(_ commits: [TableCommit], options: CommitOptions = CommitOptions()) {
    self.commits = commits
    self.options = options
  }

  /// Commits, with retries.
  ///
  /// - Returns: the results in the order of the commits.
  /// - Throws: as a `TableCommit` does: after `commitStateUnknown` nothing may be deleted; after any
  ///   other error it is proven that no table was changed.
  public func commit() throws(IcebergError) -> [CommitResult] {
    guard let table = commits.first?.table else { return [] }
    guard Set(commits.map(\.table.identifier)).count == commits.count else {
      throw IcebergError(.invalidArgument, "a transaction has one commit for each table")
    }
    guard commits.allSatisfy({ $0.table.catalog === table.catalog }) else {
      throw IcebergError(.invalidArgument, "the tables of a transaction are of one catalog")
    }
    var attempts: [Attempt] = []
    for commit in commits { attempts.append(try Attempt(commit)) }
    let properties = attempts[0].head.properties
    let retries = options.retries(properties)
    let timeout = options.totalTimeout(properties)
    let start = table.clock.nowMicroseconds()
    var count = 1
    while true {
      do {
        try attempt(&attempts, table.catalog)
        return try succeed(attempts, count)
      } catch {
        for index in attempts.indices {
          attempts[index].metadata.formUnion(error.attemptedMetadata)
        }
        switch error.kind {
        case .commitConflict:
          // When a table cannot be read, the conflict is what is reported, and nothing is cleaned up:
          // whether it was an echo is not known.
          do throws(IcebergError) { try refresh(&attempts) } catch let reason {
            throw error.adding("then", reason.description)
          }
          // A conflict may be the echo of our own success.
          if isCommitted(attempts) { return try succeed(attempts, count) }
          // Of a success whose snapshot was expired since nothing is left to see.
          guard attempts.allSatisfy(\.isHistoryWhole) else {
            throw IcebergError(
              .commitStateUnknown,
              "whether the commit happened cannot be told: the snapshots since were expired",
              context: [.init("after", error.description)])
          }
          let elapsed = (table.clock.nowMicroseconds() &- start) / 1000
          guard count <= retries, elapsed < timeout else { throw fail(error, attempts) }
        case .commitStateUnknown:
          guard lookUp(&attempts, properties) else { throw error }
          return try succeed(attempts, count)
        default: throw fail(error, attempts)
        }
      }
      options.pause(options.waitMilliseconds(retry: count, properties))
      count += 1
      try refresh(&attempts)
    }
  }

  /// One table's part: its head, and what it built so far.
  private struct Attempt {
    let commit: TableCommit
    var head: Table
    var producer: SnapshotProducer?
    /// What was sent last; nil where nothing was to change.
    var sent: TableChange?
    /// The metadata files that local catalogs wrote for this commit.
    var metadata: Set<String> = []

    init(_ commit: TableCommit) throws(IcebergError) {
      self.commit = commit
      head = try commit.table.refresh()
      producer = try commit.producer(head)
    }

    /// Whether the commit is in the table as it was last seen; nil when there is nothing to look for.
    ///
    /// A snapshot has an id of its own, and a metadata file a name. Where a server names the files and
    /// there is no snapshot, the table has been changed when what was sent would change nothing more.
    var isCommitted: Bool? {
      if let producer { return head.metadata.snapshot(id: producer.snapshotID) != nil }
      guard let sent else { return nil }
      guard metadata.isEmpty else {
        return metadata.contains { $0 == head.metadataLocation || head.state.hasReplaced($0) }
      }
      return sent.isDone(in: head.metadata)
    }

    /// Whether a snapshot of ours would be seen if there were one: each sequence number since the version that was
    /// sent for has its snapshot. Where one is missing it could be ours that was expired, built upon or rolled
    /// back before. Local catalogs say for certain whether they took a commit.
    var isHistoryWhole: Bool {
      guard producer != nil, let sent, metadata.isEmpty else { return true }
      let before = sent.base.metadata.lastSequenceNumber
      let now = head.metadata.lastSequenceNumber
      guard before < now else { return true }
      let seen = Set(head.metadata.snapshots.map(\.sequenceNumber))
        .filter { before < $0 && $0 <= now }
      return UInt64(seen.count) == UInt64(bitPattern: now &- before)
    }

    /// Whether what is found cannot be another's doing.
    var isOfOurs: Bool { producer != nil || !metadata.isEmpty }
  }

  private func attempt(
    _ attempts: inout [Attempt], _ catalog: any Catalog
  ) throws(IcebergError) {
    var changes: [TableChange] = []
    var changed: [Int] = []
    for index in attempts.indices {
      let head = attempts[index].head
      attempts[index].sent = nil
      guard let change = try attempts[index].commit.change(on: head, &attempts[index].producer)
      else { continue }
      attempts[index].sent = change
      changes.append(change)
      changed.append(index)
    }
    guard !changes.isEmpty else { return }
    let states = try publish(changes, changed.map { attempts[$0].producer?.unpublished }, catalog)
    for (index, state) in zip(changed, states) {
      let head = attempts[index].head
      attempts[index].head = try head.with(state, checking: head.metadata.tableUUID)
    }
  }

  /// Files come before what names them: manifests are durable before the catalog changes.
  private func publish(
    _ changes: [TableChange], _ files: [UnpublishedFiles?], _ catalog: any Catalog
  ) throws(IcebergError) -> [TableState] {
    if let catalog = catalog as? any MetadataFileCatalog {
      return try catalog.commit(changes, publishing: files)
    }
    for case let files? in files { try files.publish() }
    return try catalog.commit(changes)
  }

  private func refresh(_ attempts: inout [Attempt]) throws(IcebergError) {
    for index in attempts.indices { attempts[index].head = try attempts[index].head.refresh() }
  }

  /// All tables were changed together, so that one thing of ours that is there says so for all; where
  /// nothing bears our mark, all must be as they were to become.
  private func isCommitted(_ attempts: [Attempt]) -> Bool {
    let marked = attempts.filter(\.isOfOurs)
    if !marked.isEmpty { return marked.contains { $0.isCommitted == true } }
    let answers = attempts.compactMap(\.isCommitted)
    return !answers.isEmpty && answers.allSatisfy { $0 }
  }

  /// After an unknown outcome: whether the commit is found in the tables.
  private func lookUp(_ attempts: inout [Attempt], _ properties: [String: String]) -> Bool {
    for check in 0...options.statusChecks(properties) {
      if check > 0 { options.pause(options.statusWaitMilliseconds(check: check, properties)) }
      do throws(IcebergError) {
        try refresh(&attempts)
        if isCommitted(attempts) { return true }
      } catch { continue }
    }
    return false
  }

  private func succeed(
    _ attempts: [Attempt], _ count: Int
  ) throws(IcebergError) -> [CommitResult] {
    var results: [CommitResult] = []
    for attempt in attempts {
      let original = attempt.commit.table
      let table = try original.with(attempt.head.state, checking: original.metadata.tableUUID)
      if let producer = attempt.producer { removeSuperseded(producer, table) }
      results.append(
        CommitResult(
          table: table, snapshotID: attempt.producer?.snapshotID, attemptCount: count))
    }
    return results
  }

  /// Removes what attempts wrote that the committed snapshot does not use. Failing to is no error,
  /// and when the snapshot cannot be found nothing is removed.
  private func removeSuperseded(_ producer: SnapshotProducer, _ table: Table) {
    guard let snapshot = table.metadata.snapshot(id: producer.snapshotID),
      let committed = producer.attempts.first(where: { $0.manifestList == snapshot.manifestList })
    else { return }
    let lists = producer.attempts.map(\.manifestList).filter { $0 != committed.manifestList }
    table.io.deleteAll(lists)
    table.io.deleteAll(producer.writtenManifests.filter { !committed.manifests.contains($0) })
  }

  /// Cleans up after a commit that is proven not to have happened.
  private func fail(_ error: IcebergError, _ attempts: [Attempt]) -> IcebergError {
    for case (let producer?, let table) in attempts.map({ ($0.producer, $0.head) }) {
      table.io.deleteAll(producer.attempts.map(\.manifestList))
      table.io.deleteAll(producer.writtenManifests)
    }
    let tables = commits.map(\.table.identifier.description).joined(separator: ", ")
    return error.adding("table", tables)
  }
}
