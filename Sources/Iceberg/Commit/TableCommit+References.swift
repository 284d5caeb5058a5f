// Branches, tags and what is current.
extension TableCommit {
  /// Points a tag at another snapshot; its retention stays.
  public mutating func replaceTag(_ name: String, snapshotID: Int64) {
    moveReference(name, .tag, to: snapshotID)
  }

  /// Points a branch at any other snapshot; its retention stays.
  public mutating func replaceBranch(_ name: String, snapshotID: Int64) {
    moveReference(name, .branch, to: snapshotID)
  }

  private mutating func moveReference(
    _ name: String, _ kind: SnapshotReference.Kind, to snapshotID: Int64
  ) {
    update { metadata throws(IcebergError) in
      let reference = try metadata.reference(name, kind)
      _ = try metadata.required(snapshotID)
      guard reference.snapshotID != snapshotID else { return [] }
      return [.setReference(name: name, reference.moved(to: snapshotID))]
    }
  }

  /// Moves a branch forward to the head of another branch or to a tag, of which it must be an
  /// ancestor. A branch that is not there yet is made.
  public mutating func fastForward(_ name: String, to other: String) {
    update { metadata throws(IcebergError) in
      guard let target = metadata.references[other] else {
        throw IcebergError(.notFound, "the table has no branch or tag '\(other)'")
      }
      guard metadata.references[name] != nil else {
        return [
          .setReference(
            name: name, SnapshotReference(snapshotID: target.snapshotID, kind: .branch))
        ]
      }
      let branch = try metadata.reference(name, .branch)
      guard branch.snapshotID != target.snapshotID else { return [] }
      let ancestors = metadata.ancestors(of: target.snapshotID)
      guard ancestors.contains(where: { $0.snapshotID == branch.snapshotID }) else {
        throw IcebergError(
          .validationFailed,
          "'\(name)' cannot be moved forward to '\(other)', which does not come from it")
      }
      return [.setReference(name: name, branch.moved(to: target.snapshotID))]
    }
  }

  public mutating func renameBranch(_ name: String, to newName: String) {
    update { metadata throws(IcebergError) in
      let branch = try metadata.reference(name, .branch)
      guard name != SnapshotReference.main, newName != SnapshotReference.main else {
        throw IcebergError(.invalidArgument, "the branch main cannot be renamed")
      }
      guard metadata.references[newName] == nil else {
        throw IcebergError(.alreadyExists, "the table already has a branch or tag '\(newName)'")
      }
      return [.setReference(name: newName, branch), .removeReference(name: name)]
    }
  }

  /// Sets how long expiry keeps a branch's snapshots and a reference itself; nil for the table's
  /// own settings, and for ever.
  public mutating func setRetention(
    _ name: String, minSnapshotsToKeep: Int32? = nil, maxSnapshotAgeMilliseconds: Int64? = nil,
    maxReferenceAgeMilliseconds: Int64? = nil
  ) {
    update { metadata throws(IcebergError) in
      guard var reference = metadata.references[name] else {
        throw IcebergError(.notFound, "the table has no branch or tag '\(name)'")
      }
      guard
        reference.kind == .branch
          || (minSnapshotsToKeep == nil && maxSnapshotAgeMilliseconds == nil)
      else { throw IcebergError(.invalidArgument, "'\(name)' is a tag, which has one snapshot") }
      guard name != SnapshotReference.main || maxReferenceAgeMilliseconds == nil else {
        throw IcebergError(.invalidArgument, "the branch main never expires")
      }
      for (value, what) in [
        (minSnapshotsToKeep.map { Int64($0) }, "number of snapshots"),
        (maxSnapshotAgeMilliseconds, "age of snapshots"),
        (maxReferenceAgeMilliseconds, "age of the reference"),
      ] {
        guard value ?? 1 > 0 else {
          throw IcebergError(.invalidArgument, "the \(what) to keep must be above zero")
        }
      }
      reference.minSnapshotsToKeep = minSnapshotsToKeep
      reference.maxSnapshotAgeMilliseconds = maxSnapshotAgeMilliseconds
      reference.maxReferenceAgeMilliseconds = maxReferenceAgeMilliseconds
      return [.setReference(name: name, reference)]
    }
  }

  /// Makes an ancestor of the current snapshot the current one.
  public mutating func rollBack(to snapshotID: Int64) {
    update { metadata throws(IcebergError) in
      _ = try metadata.required(snapshotID)
      guard
        metadata.ancestors(of: metadata.currentSnapshotID)
          .contains(where: { $0.snapshotID == snapshotID })
      else {
        throw IcebergError(
          .validationFailed, "snapshot \(snapshotID) is no ancestor of the current one")
      }
      return metadata.makingCurrent(snapshotID)
    }
  }

  /// Makes the newest ancestor that is older than a time, in milliseconds since 1970, current.
  public mutating func rollBack(beforeMilliseconds time: Int64) {
    update { metadata throws(IcebergError) in
      let older = metadata.ancestors(of: metadata.currentSnapshotID)
        .filter { $0.timestampMilliseconds < time }
        .max { $0.timestampMilliseconds < $1.timestampMilliseconds }
      guard let older else {
        throw IcebergError(.notFound, "the current snapshot has no ancestor before \(time) ms")
      }
      return metadata.makingCurrent(older.snapshotID)
    }
  }

  /// Makes any snapshot of the table the current one.
  public mutating func setCurrentSnapshot(_ snapshotID: Int64) {
    update { metadata throws(IcebergError) in
      _ = try metadata.required(snapshotID)
      return metadata.makingCurrent(snapshotID)
    }
  }

  /// Adds what a snapshot outside the current history appended: a staged one, or one of a branch.
  ///
  /// When that snapshot is a child of the current one it becomes the current one itself; otherwise
  /// there is a new one that says where it comes from (`source-snapshot-id`).
  ///
  /// - Throws: `unsupported` for a snapshot that did not only append, `invalidArgument` for one
  ///   that is in the history already, itself or picked before.
  public mutating func cherryPick(_ snapshotID: Int64) throws(IcebergError) {
    let metadata = table.metadata
    let picked = try metadata.required(snapshotID)
    guard picked.operation == .append else {
      throw IcebergError(
        .unsupported,
        "snapshot \(snapshotID) did more than append (\(picked.operation?.text ?? "unknown")):"
          + " it cannot be picked")
    }
    try TableCommit.checkNotPicked(picked, metadata)
    if picked.parentSnapshotID == metadata.currentSnapshotID {
      update { metadata throws(IcebergError) in
        guard picked.parentSnapshotID == metadata.currentSnapshotID else {
          throw IcebergError(.validationFailed, "the table changed meanwhile: pick again")
        }
        return metadata.makingCurrent(snapshotID)
      }
      return
    }
    let store = ManifestStore(io: table.io)
    var files: [DataFile] = []
    for manifest in try store.manifests(of: picked)
    where manifest.content == .data && manifest.addedSnapshotID == snapshotID {
      for entry in try store.entries(of: manifest, metadata: metadata)
      where entry.status == .added && entry.snapshotID == snapshotID {
        var file = entry.dataFile
        // Rows become part of the table now, and get their ids now.
        file.firstRowID = nil
        files.append(file)
      }
    }
    append(files)
    summary["source-snapshot-id"] = String(snapshotID)
    if let id = picked.summary["wap.id"] { summary["published-wap-id"] = id }
    validate { metadata throws(IcebergError) in
      try TableCommit.checkNotPicked(picked, metadata)
    }
  }

  private static func checkNotPicked(
    _ picked: Snapshot, _ metadata: TableMetadata
  ) throws(IcebergError) {
    for ancestor in metadata.ancestors(of: metadata.currentSnapshotID) {
      let isSame =
        ancestor.snapshotID == picked.snapshotID
        || ancestor.summary["source-snapshot-id"] == String(picked.snapshotID)
      guard !isSame else {
        throw IcebergError(
          .invalidArgument, "snapshot \(picked.snapshotID) is in the table's history already")
      }
      guard let id = picked.summary["wap.id"] else { continue }
      guard ancestor.summary["wap.id"] != id, ancestor.summary["published-wap-id"] != id else {
        throw IcebergError(.invalidArgument, "the staged commit '\(id)' was published already")
      }
    }
  }
}

extension TableMetadata {
  fileprivate func reference(
    _ name: String, _ kind: SnapshotReference.Kind
  ) throws(IcebergError) -> SnapshotReference {
    guard let reference = references[name] else {
      throw IcebergError(.notFound, "the table has no \(kind.rawValue) '\(name)'")
    }
    guard reference.kind == kind else {
      throw IcebergError(.invalidArgument, "'\(name)' is a \(reference.kind.rawValue)")
    }
    return reference
  }

  fileprivate func required(_ id: Int64) throws(IcebergError) -> Snapshot {
    guard let snapshot = snapshot(id: id) else {
      throw IcebergError(.notFound, "the table has no snapshot \(id)")
    }
    return snapshot
  }

  fileprivate func makingCurrent(_ id: Int64) -> [TableUpdate] {
    guard currentSnapshotID != id else { return [] }
    let main =
      references[SnapshotReference.main]?.moved(to: id)
      ?? SnapshotReference(snapshotID: id, kind: .branch)
    return [.setReference(name: SnapshotReference.main, main)]
  }
}
