import Storage

/// Removes what a table no longer needs: snapshots past their time, the files that only those spoke
/// of, and files that nothing speaks of.
///
/// Deleting is decided by reachability alone: a file goes if it was reachable before and is not after,
/// or if it is old and was never reachable. The storage is listed first and the metadata read after
/// it, so that a file committed in between is seen as reachable. Anything that cannot be read or
/// compared ends the run with nothing deleted.
public struct Vacuum: Sendable {
  public let table: Table
  public let options: VacuumOptions

  /// How the commit of the expiry goes about conflicts.
  public var commitOptions = CommitOptions()
  /// Snapshots that somebody reads right now, beside those of the options: they stay if they can, and their files
  /// in any case. Asked before the plan is made, and again once the expiry is committed: who marks a snapshot here
  /// first, and then finds it in the table, can read all of it.
  public var snapshotsInUse: @Sendable () throws(IcebergError) -> Set<Int64> = { [] }
  /// How many files of a kind are deleted at a time, where they are many: a deletion waits for the disk most of
  /// its time.
  public var deletionThreads = 8
  /// Asked between deletions; once true, what is left is left, and reported.
  public var isStopped: @Sendable () -> Bool = { false }

  public init(_ table: Table, options: VacuumOptions = VacuumOptions()) {
    self.table = table
    self.options = options
  }

  /// Decides what goes. Changes nothing but for an empty file that it makes and removes in the
  /// table's folder, to learn the storage's time.
  public func plan() throws(IcebergError) -> VacuumPlan {
    try refuseIfNotOurs(table)
    let orphanAge = try options.orphanAge(table.properties, table.metadata.tableUUID)
    let inUse = try snapshotsInUse()
    let names = try TableFileNames(location: table.location, io: table.io)
    let listing = try TableListing(
      names, metadata: table.metadata, io: table.io, clock: table.clock)
    let head = try table.refresh()
    try refuseIfNotOurs(head)
    try refuseSharedLocation(head, names, listing)
    let expiry = try options.expiresSnapshots ? planExpiry(head, inUse) : nil
    let expired = Set(expiry?.expiredSnapshotIDs ?? [])
    let walker = ReachabilityWalker(names: names, store: ManifestStore(io: head.io))
    var kept = ReachableFiles()
    try addRetained(head, except: expired, expiry, walker, &kept)
    try addNewerMetadata(head, listing, walker, &kept)
    // Of what expiring snapshots refer to only what nothing else does.
    var before = ReachableFiles(beyond: kept)
    for snapshot in head.metadata.snapshots where expired.contains(snapshot.snapshotID) {
      before.begin(.snapshot(snapshot.snapshotID, nil))
      try walker.add(snapshot, of: head.metadata, toleratesMissing: true, to: &before)
    }
    before.begin(.metadata)
    for file in head.metadata.statistics + head.metadata.partitionStatistics {
      try before.insert(file.path, .statistics, names)
    }
    var plan = VacuumPlan(
      tableUUID: head.metadata.tableUUID, expiry: expiry, references: head.metadata.references,
      files: [],
      keptCounts: [:], reachableFileCount: kept.files.count, skippedCount: listing.skippedCount,
      orphanCutoffMicroseconds: listing.startedAt.subtractingSaturated(
        orphanAge.multipliedSaturated(by: 1000)))
    // What such a snapshot needs looks like orphans.
    let hasHidden = inUse.contains { head.metadata.snapshot(id: $0) == nil }
    choose(
      listing, kept: kept, before: before, removesOrphans: options.removesOrphans && !hasHidden,
      &plan)
    return plan
  }

  private func planExpiry(
    _ head: Table, _ inUse: Set<Int64>
  ) throws(IcebergError) -> ExpireSnapshotsPlan {
    try ExpireSnapshotsPlan(
      head.metadata,
      ExpireSnapshotsOptions(
        nowMilliseconds: head.clock.nowMicroseconds() / 1000,
        olderThanMilliseconds: options.olderThanMilliseconds, retainLast: options.retainLast,
        snapshotIDs: options.snapshotIDs,
        protectedSnapshotIDs: options.protectedSnapshotIDs.union(inUse),
        tableProperties: head.properties))
  }

  private func addRetained(
    _ head: Table, except expired: Set<Int64>, _ expiry: ExpireSnapshotsPlan?,
    _ walker: ReachabilityWalker, _ files: inout ReachableFiles
  ) throws(IcebergError) {
    var metadata = head.metadata
    // Statistics of a snapshot go with it.
    metadata.statistics.removeAll { expired.contains($0.snapshotID) }
    metadata.partitionStatistics.removeAll { expired.contains($0.snapshotID) }
    files.begin(.metadata)
    try files.insertMetadata(metadata, at: head.metadataLocation, walker.names)
    let retained = metadata.snapshots.filter { !expired.contains($0.snapshotID) }
    for (holder, snapshot) in Self.holders(metadata, retained, expiry) {
      files.begin(holder)
      try walker.add(snapshot, of: metadata, toleratesMissing: false, to: &files)
    }
  }

  /// The snapshots that stay, in the order in which files count as theirs.
  private static func holders(
    _ metadata: TableMetadata, _ retained: [Snapshot], _ expiry: ExpireSnapshotsPlan?
  ) -> [(FileHolder, Snapshot)] {
    let removed = Set(expiry?.removedReferences ?? [])
    var holders: [(FileHolder, Snapshot)] = []
    var seen: Set<Int64> = []
    func add(_ id: Int64?, _ holder: FileHolder) {
      guard let id, let snapshot = retained.first(where: { $0.snapshotID == id }),
        seen.insert(id).inserted
      else { return }
      holders.append((holder, snapshot))
    }
    add(metadata.currentSnapshotID, .current)
    let references = metadata.references.filter { !removed.contains($0.key) }
      .sorted { $0.key < $1.key }
    for (name, reference) in references where reference.kind == .branch {
      add(reference.snapshotID, .branch(name))
    }
    for (name, reference) in references where reference.kind == .tag {
      add(reference.snapshotID, .tag(name))
    }
    for snapshot in retained.reversed() where !seen.contains(snapshot.snapshotID) {
      let id = snapshot.snapshotID
      holders.append((.snapshot(id, expiry?.kept[id]), snapshot))
    }
    return holders
  }

  private func choose(
    _ listing: TableListing, kept: ReachableFiles, before: ReachableFiles, removesOrphans: Bool,
    _ plan: inout VacuumPlan
  ) {
    var listed: Set<String> = []
    for file in listing.files {
      listed.insert(file.name)
      plan.use.total.add(file.sizeBytes)
      if let holder = kept.holder(of: file.name) {
        plan.use.add(holder.group, file.sizeBytes)
        explain(file, kept.files[file.name]?.kind, stays: true, holder.reason, &plan)
        continue
      }
      let known = before.files[file.name]?.kind
      if known == nil {
        guard removesOrphans else {
          keep(file, .orphansNotRemoved, &plan)
          continue
        }
        // A time that is missing or not past says nothing: such a file counts as young.
        guard file.modificationTime > 0, file.modificationTime < plan.orphanCutoffMicroseconds
        else {
          keep(file, .young, &plan)
          continue
        }
      }
      explain(file, known, stays: false, whyGone(file, before), &plan)
      plan.files.append(
        VacuumPlan.File(
          name: file.name,
          kind: known ?? TableFileKind(guessedFrom: file.name, isBelowData: file.isBelowData),
          reason: known == nil ? .orphan : .expired, sizeBytes: file.sizeBytes,
          modificationTimeMicroseconds: file.modificationTime))
    }
    for (name, found) in before.files where !listed.contains(name) {
      // Absolute means not below the table; others are gone already, or below another folder.
      guard name.hasPrefix("/") else { continue }
      plan.keptCounts[.elsewhere, default: 0] += 1
      guard options.explainsFiles else { continue }
      plan.explanations.append(
        FileExplanation(
          name: name, kind: found.kind, sizeBytes: 0, stays: true,
          why: VacuumPlan.KeepReason.elsewhere.explanation))
    }
    if options.explainsFiles {
      plan.explanations += listing.skippedNames.map {
        FileExplanation(
          name: $0, kind: nil, sizeBytes: 0, stays: true,
          why: "a hidden name or a link: left alone, with what is in it")
      }
      plan.explanations.sort { $0.name < $1.name }
    }
    let order = Dictionary(
      uniqueKeysWithValues: TableFileKind.deletionOrder.enumerated().map { ($1, $0) })
    plan.files.sort { first, second in
      let left = order[first.kind] ?? 0
      let right = order[second.kind] ?? 0
      return left == right ? first.name < second.name : left < right
    }
  }
}

// Saying why.
extension Vacuum {
  private func keep(
    _ file: TableListing.File, _ reason: VacuumPlan.KeepReason, _ plan: inout VacuumPlan
  ) {
    plan.keptCounts[reason, default: 0] += 1
    plan.use.add("nothing (\(reason.rawValue))", file.sizeBytes)
    explain(file, nil, stays: true, reason.explanation, &plan)
  }

  private func explain(
    _ file: TableListing.File, _ kind: TableFileKind?, stays: Bool,
    _ why: @autoclosure () -> String,
    _ plan: inout VacuumPlan
  ) {
    guard options.explainsFiles else { return }
    plan.explanations.append(
      FileExplanation(
        name: file.name,
        kind: kind ?? TableFileKind(guessedFrom: file.name, isBelowData: file.isBelowData),
        sizeBytes: file.sizeBytes, stays: stays, why: why()))
  }

  private func whyGone(_ file: TableListing.File, _ before: ReachableFiles) -> String {
    switch before.holder(of: file.name) {
    case .snapshot(let id, _): "only snapshots that expire refer to it, \(id) for one"
    case .none: "nothing refers to it, and it is older than orphans may be"
    default: "it goes with a snapshot that expires"
    }
  }
}

// What is refused.
extension Vacuum {
  private func refuseIfNotOurs(_ table: Table) throws(IcebergError) {
    guard table.properties["gc.enabled"]?.lowercased() != "false" else {
      throw IcebergError(
        .validationFailed,
        "the table has gc.enabled=false: its files may be another table's, so none is deleted")
    }
    guard table.metadata.encryptionKeys.isEmpty else {
      throw IcebergError(.unsupported, "the table is encrypted, which is not supported")
    }
  }

  /// A second table at, above or below this one's location would lose its files to us.
  private func refuseSharedLocation(
    _ head: Table, _ names: TableFileNames, _ listing: TableListing
  ) throws(IcebergError) {
    for namespace in try head.catalog.listNamespaces() {
      for identifier in try head.catalog.listTables(namespace) where identifier != head.identifier {
        let other = try head.catalog.loadState(identifier).metadata
        guard try !Location.overlap(other.location, head.location) else {
          throw IcebergError(
            .validationFailed,
            "'\(identifier)' has its files at '\(other.location)', which overlaps with this "
              + "table's location: nothing is deleted")
        }
      }
    }
    var known: Set<String> = [try names.name(of: head.metadataLocation)]
    for entry in head.metadata.metadataLog { known.insert(try names.name(of: entry.metadataFile)) }
    for file in listing.files where Self.isMetadataFile(file.name) && !known.contains(file.name) {
      guard let found = try read(file, names, head) else { continue }
      guard found.tableUUID == head.metadata.tableUUID else {
        throw IcebergError(
          .validationFailed,
          "'\(file.name)' is the metadata of another table in this table's location: nothing is "
            + "deleted")
      }
    }
  }

  /// A metadata file with a higher number than the catalog's is one that was never committed, or
  /// the catalog is behind (restored from a copy, say). What it speaks of stays in either case.
  private func addNewerMetadata(
    _ head: Table, _ listing: TableListing, _ walker: ReachabilityWalker,
    _ files: inout ReachableFiles
  ) throws(IcebergError) {
    guard let current = Self.version(ofMetadataFile: head.metadataLocation) else { return }
    for file in listing.files where Self.isMetadataFile(file.name) {
      guard let version = Self.version(ofMetadataFile: file.name), version > current,
        let newer = try read(file, walker.names, head)
      else { continue }
      files.begin(.newerMetadata)
      try files.insertMetadata(newer, at: walker.names.root + "/" + file.name, walker.names)
      for snapshot in newer.snapshots where head.metadata.snapshot(id: snapshot.snapshotID) == nil {
        // An attempt that failed has removed its manifest list.
        try walker.add(snapshot, of: newer, toleratesMissing: true, to: &files)
      }
    }
  }

  /// nil when the file is gone, or was never finished: metadata that a catalog was told of is whole.
  private func read(
    _ file: TableListing.File, _ names: TableFileNames, _ head: Table
  ) throws(IcebergError) -> TableMetadata? {
    do {
      let bytes = try head.io.readAll(names.root + "/" + file.name)
      return Self.isCutOff(bytes) ? nil : try TableMetadata(fileContent: bytes)
    } catch {
      if error.kind == .notFound { return nil }
      var error = error
      error.message =
        "nothing is deleted, since '\(file.name)' may be another table's: \(error.message)"
      throw error
    }
  }

  /// Whether this is what a crash leaves of a file that was not synced: nothing, zeros, or the beginning of
  /// a document. Otherwise one such file would keep the table from being cleaned for ever.
  private static func isCutOff(_ bytes: [UInt8]) -> Bool {
    guard bytes.first == UInt8(ascii: "{") else { return bytes.allSatisfy { $0 == 0 } }
    var depth = 0
    var isText = false
    var isEscaped = false
    for byte in bytes {
      if isText {
        if !isEscaped, byte == UInt8(ascii: "\"") { isText = false }
        isEscaped = !isEscaped && byte == UInt8(ascii: "\\")
      } else {
        switch byte {
        case UInt8(ascii: "\""): isText = true
        case UInt8(ascii: "{"), UInt8(ascii: "["): depth += 1
        case UInt8(ascii: "}"), UInt8(ascii: "]"): depth -= 1
        default: break
        }
        if depth == 0 { return false }
      }
    }
    return true
  }

  static func isMetadataFile(_ name: String) -> Bool {
    name.hasSuffix(".metadata.json") || name.hasSuffix(".metadata.json.gz")
  }

  /// The number in `00012-<uuid>.metadata.json` or `v12.metadata.json`.
  static func version(ofMetadataFile location: String) -> Int? {
    var name = Location.lastComponent(of: location)[...]
    if name.hasPrefix("v") { name = name.dropFirst() }
    return Int(name.prefix { $0.isASCII && $0.isNumber })
  }
}
