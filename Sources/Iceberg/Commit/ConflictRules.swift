/// How much a change of rows must know of what others commit meanwhile.
public enum IsolationLevel: String, Hashable, Sendable {
  /// Fails when others added rows that the change would have looked at.
  case serializable
  /// Fails only when others changed the same files.
  case snapshot
}

/// What a change of rows was planned from.
package struct ConflictRules: Sendable {
  /// The snapshot that was read; nil when the branch had none.
  var startingSnapshotID: Int64?
  /// Which rows were looked at.
  var filter = FilterExpression.alwaysTrue
  var isolation = IsolationLevel.serializable

  package init(
    startingSnapshotID: Int64?, filter: FilterExpression = .alwaysTrue,
    isolation: IsolationLevel = .serializable
  ) {
    self.startingSnapshotID = startingSnapshotID
    self.filter = filter
    self.isolation = isolation
  }
}

/// Finds in the snapshots since the start what a change of rows cannot live with.
struct ConflictCheck {
  let metadata: TableMetadata
  let store: ManifestStore

  func validate(_ change: FileChange, head: Snapshot?) throws(IcebergError) {
    guard let rules = change.rules else { return }
    let expression = try BoundExpression(rules.filter, schema: metadata.currentSchema)
    let referenced = Set(
      change.added.filter { $0.content == .positionDeletes }.compactMap(\.referencedDataFile))
    var filters: [Int32: PartitionFilter] = [:]
    for spec in metadata.partitionSpecs {
      filters[spec.specID] = PartitionFilter(expression, spec: spec, schema: metadata.currentSchema)
    }
    for snapshot in try window(from: head, backTo: rules.startingSnapshotID) {
      for manifest in try store.manifests(of: snapshot)
      where manifest.addedSnapshotID == snapshot.snapshotID {
        for entry in try store.entries(of: manifest, metadata: metadata)
        where entry.snapshotID == snapshot.snapshotID {
          if rules.isolation == .serializable, snapshot.operation != .replace,
            mayMatch(expression, filters, entry)
          {
            throw conflict("rows that may match were added in '\(entry.dataFile.path)'", snapshot)
          }
          if entry.status == .deleted, entry.dataFile.content == .data,
            referenced.contains(entry.dataFile.path)
          {
            throw conflict("'\(entry.dataFile.path)' was removed", snapshot)
          }
          if entry.status == .added, entry.dataFile.isDeletionVector,
            let path = entry.dataFile.referencedDataFile, referenced.contains(path)
          {
            throw conflict("rows of '\(path)' were deleted", snapshot)
          }
        }
      }
    }
  }

  private func mayMatch(
    _ expression: BoundExpression, _ filters: [Int32: PartitionFilter], _ entry: ManifestEntry
  ) -> Bool {
    guard entry.status == .added, entry.dataFile.content == .data else { return false }
    if let filter = filters[entry.dataFile.specID] {
      guard filter.mayMatch(entry.dataFile.partition) else { return false }
    }
    return TableScan.mayMatch(expression, entry.dataFile)
  }

  /// The snapshots after the start, newest first.
  private func window(
    from head: Snapshot?, backTo start: Int64?
  ) throws(IcebergError) -> [Snapshot] {
    var window: [Snapshot] = []
    for snapshot in metadata.ancestors(of: head?.snapshotID) {
      if snapshot.snapshotID == start { return window }
      window.append(snapshot)
    }
    guard let start else {
      // From nothing: every ancestor must still be there.
      if let oldest = window.last, oldest.parentSnapshotID != nil {
        throw IcebergError(
          .validationFailed, "the history back to the table's beginning was expired meanwhile")
      }
      return window
    }
    throw IcebergError(
      .validationFailed,
      "cannot determine the history between snapshot \(start) and"
        + " \(head?.snapshotID.description ?? "none"): the former is no ancestor, or was expired")
  }

  private func conflict(_ what: String, _ snapshot: Snapshot) -> IcebergError {
    IcebergError(
      .validationFailed, "\(what) meanwhile: plan the change again",
      context: [.init("snapshot", snapshot.snapshotID.description)])
  }
}
