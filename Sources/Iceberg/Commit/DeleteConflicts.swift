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
    let rewritten = change.removed.filter { !change.removedAsWhole.contains($0.path) }
    guard let start = change.startingSnapshotID, let head, !rewritten.isEmpty else { return }
    let window = try snapshots(from: head, backTo: start)
    var changed: Set<Int64> = []
    for snapshot in window where snapshot.operation != .append && snapshot.operation != .replace {
      changed.insert(snapshot.snapshotID)
    }
    guard !changed.isEmpty else { return }
    for manifest in headManifests where manifest.content == .deletes {
      guard manifest.hasAddedFiles || manifest.hasExistingFiles else { continue }
      for entry in try store.entries(of: manifest, metadata: metadata) where entry.isLive {
        guard let added = entry.snapshotID, changed.contains(added) else { continue }
        let delete = entry.dataFile
        // Equality deletes go on to apply to files that carry an old data sequence number.
        if delete.content == .equalityDeletes, change.dataSequenceNumber != nil { continue }
        let conflict = rewritten.first { applies(delete, to: $0) }
        if let conflict {
          throw IcebergError(
            .validationFailed,
            "rows of '\(conflict.path)' were deleted since snapshot \(start):"
              + " plan the replacement again")
        }
      }
    }
  }

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

  private func applies(_ delete: DataFile, to file: DataFile) -> Bool {
    if delete.content == .positionDeletes, let path = DeleteFileIndex.referencedPath(delete) {
      return path == file.path
    }
    if delete.content == .equalityDeletes,
      metadata.partitionSpec(id: delete.specID)?.isUnpartitioned ?? true
    {
      return true
    }
    return delete.specID == file.specID && delete.partition == file.partition
  }
}
