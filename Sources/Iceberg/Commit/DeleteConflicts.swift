/// Finds delete files that others added to files which a replacement is about to remove.
///
/// A compaction reads its files at a starting snapshot. Rows that were deleted since then would come
/// back with the compacted file, so such a commit must fail and be planned again.
struct DeleteConflicts {
  let metadata: TableMetadata
  let store: ManifestStore

  /// - Throws: `validationFailed` when a new delete may apply to a removed file, or the history
  ///   since the starting snapshot is not complete.
  func validate(
    _ change: FileChange, head: Snapshot?, headManifests: [ManifestFile]
  ) throws(IcebergError) {
    // Deletes in a file that goes as a whole have nothing left to say.
    let rewritten = change.removed.lazy.filter { !change.removedAsWhole.contains($0.path) }
    guard let start = change.startingSnapshotID, let head, !rewritten.isEmpty else { return }
    let changed = Self.mayHaveDeletes(try snapshots(from: head, backTo: start))
    guard !changed.isEmpty else { return }
    let startNumber = metadata.snapshot(id: start)?.sequenceNumber ?? 0
    let files = RewrittenFiles(rewritten, metadata)
    for manifest in headManifests where manifest.content == .deletes {
      // What is as old as the starting snapshot has nothing that is newer.
      guard manifest.sequenceNumber > startNumber else { continue }
      guard manifest.hasAddedFiles || manifest.hasExistingFiles else { continue }
      for entry in try store.entries(of: manifest, metadata: metadata) where entry.isLive {
        guard let added = entry.snapshotID, changed.contains(added) else { continue }
        let delete = entry.dataFile
        // Equality deletes go on to apply to files that carry an old data sequence number.
        if delete.content == .equalityDeletes, change.dataSequenceNumber != nil { continue }
        if let path = files.affected(by: delete) {
          throw IcebergError(
            .validationFailed,
            "rows of '\(path)' were deleted since snapshot \(start):"
              + " plan the replacement again")
        }
      }
    }
  }

  /// The snapshots that may have brought deletes newer than the start. Delete files that a replacement rewrote say what
  /// those before them said: only behind a change of rows may that be something new.
  private static func mayHaveDeletes(_ window: [Snapshot]) -> Set<Int64> {
    var found: Set<Int64> = []
    for snapshot in window.reversed() where snapshot.operation != .append {
      if snapshot.operation != .replace || !found.isEmpty { found.insert(snapshot.snapshotID) }
    }
    return found
  }

  /// Newest first.
  private func snapshots(
    from head: Snapshot, backTo start: Int64
  ) throws(IcebergError) -> [Snapshot] {
    var window: [Snapshot] = []
    for snapshot in metadata.ancestors(of: head.snapshotID) {
      if snapshot.snapshotID == start { return window }
      window.append(snapshot)
    }
    throw IcebergError(
      .validationFailed,
      "cannot determine the history between snapshot \(start) and"
        + " \(head.snapshotID): the former is no ancestor, or was expired")
  }
}

/// Files that are to be replaced, found by what a delete file may apply to.
private struct RewrittenFiles {
  private let metadata: TableMetadata
  private var paths: Set<String> = []
  /// One file of each.
  private var partitions: [PartitionKey: String] = [:]
  private var first: String?

  init(_ files: some Sequence<DataFile>, _ metadata: TableMetadata) {
    self.metadata = metadata
    for file in files {
      paths.insert(file.path)
      if partitions[file.partitionKey] == nil { partitions[file.partitionKey] = file.path }
      first = first ?? file.path
    }
  }

  /// A file that a delete file may apply to; nil when it applies to none.
  func affected(by delete: DataFile) -> String? {
    if delete.content == .positionDeletes, let path = DeleteFileIndex.referencedPath(delete) {
      return paths.contains(path) ? path : nil
    }
    if delete.content == .equalityDeletes,
      metadata.partitionSpec(id: delete.specID)?.isUnpartitioned ?? true
    {
      return first
    }
    return partitions[delete.partitionKey]
  }
}

/// The partitions of files that a commit removes: says which manifests cannot have them.
struct RemovedPartitions {
  private let partitions: [Int32: Set<[Literal?]>]
  private let types: [Int32: [IcebergType?]]

  init(_ change: FileChange, _ metadata: TableMetadata) {
    var partitions: [Int32: Set<[Literal?]>] = [:]
    for files in [change.removed, change.removedDeletes] {
      for file in files { partitions[file.specID, default: []].insert(file.partition) }
    }
    self.partitions = partitions
    var types: [Int32: [IcebergType?]] = [:]
    for id in partitions.keys {
      types[id] = metadata.partitionSpec(id: id)?.partitionTypes(schema: metadata.currentSchema)
    }
    self.types = types
  }

  /// Whether a manifest may list one of the files, or deletes of one: those are in its partition. What a list
  /// does not say of a manifest leaves nothing out.
  func mayBe(in manifest: ManifestFile) -> Bool {
    guard let candidates = partitions[manifest.partitionSpecID] else { return false }
    guard let summaries = manifest.partitions, let types = types[manifest.partitionSpecID],
      summaries.count == types.count
    else { return true }
    // Many partitions would take longer to compare than a manifest to read.
    guard candidates.count <= 1000 else { return true }
    let fields = zip(summaries, types).map { summary, type in
      type.map { ($0, ValueSummary(summary, type: $0)) }
    }
    return candidates.contains { partition in
      guard partition.count == fields.count else { return true }
      return zip(partition, fields).allSatisfy { value, field in
        guard let (type, summary) = field else { return true }
        guard let value else { return summary.mayHaveNull }
        // The column may have a wider type than when the removal was planned.
        guard let value = value.promoted(to: type) else { return true }
        return summary.mayMatch(.compare(.equal, value))
      }
    }
  }
}
