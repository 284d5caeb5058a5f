// Changes of metadata, alone or together with files.
extension TableCommit {
  public mutating func setProperties(_ properties: [String: String]) {
    update { _ throws(IcebergError) in [.setProperties(properties)] }
  }

  public mutating func removeProperties(_ keys: [String]) {
    update { _ throws(IcebergError) in [.removeProperties(keys)] }
  }

  /// Names a snapshot so that expiry keeps it.
  ///
  /// - Parameters:
  ///   - snapshotID: nil tags the snapshot that is current before this commit.
  ///   - maxReferenceAgeMilliseconds: when expiry may drop the tag; nil keeps it for ever.
  public mutating func createTag(
    _ name: String, snapshotID: Int64? = nil, maxReferenceAgeMilliseconds: Int64? = nil
  ) {
    createReference(name) { id in
      SnapshotReference(
        snapshotID: id, kind: .tag, maxReferenceAgeMilliseconds: maxReferenceAgeMilliseconds)
    } snapshotID: {
      snapshotID ?? $0.currentSnapshotID
    }
  }

  /// Starts a branch at a snapshot, or at the current one.
  public mutating func createBranch(_ name: String, snapshotID: Int64? = nil) {
    createReference(name) {
      SnapshotReference(snapshotID: $0, kind: .branch)
    } snapshotID: {
      snapshotID ?? $0.currentSnapshotID
    }
  }

  private mutating func createReference(
    _ name: String, _ make: @escaping @Sendable (Int64) -> SnapshotReference,
    snapshotID: @escaping @Sendable (TableMetadata) -> Int64?
  ) {
    update { metadata throws(IcebergError) in
      guard metadata.references[name] == nil else {
        throw IcebergError(.alreadyExists, "the table already has a branch or tag '\(name)'")
      }
      guard let id = snapshotID(metadata) else {
        throw IcebergError(.invalidArgument, "the table has no snapshot that '\(name)' could name")
      }
      return [.setReference(name: name, make(id))]
    }
  }

  /// Removes a tag or a branch; main cannot go.
  public mutating func removeReference(_ name: String) {
    update { metadata throws(IcebergError) in
      guard name != SnapshotReference.main else {
        throw IcebergError(.invalidArgument, "the branch main cannot be removed")
      }
      guard metadata.references[name] != nil else {
        throw IcebergError(.notFound, "the table has no branch or tag '\(name)'")
      }
      return [.removeReference(name: name)]
    }
  }

  /// Drops snapshots, and references first, from the metadata; files stay where they are.
  ///
  /// Fails when a snapshot is the head of a reference that stays, which is checked on the table as
  /// it is when the commit happens. Snapshots that are gone already are ignored.
  public mutating func removeSnapshots(_ ids: [Int64], references: [String] = []) {
    update { metadata throws(IcebergError) in
      let removed = Set(ids)
      var updates: [TableUpdate] = []
      for (name, reference) in metadata.references.sorted(by: { $0.key < $1.key }) {
        if references.contains(name), name != SnapshotReference.main {
          updates.append(.removeReference(name: name))
        } else if removed.contains(reference.snapshotID) {
          throw IcebergError(
            .validationFailed, "snapshot \(reference.snapshotID) cannot expire: '\(name)' is it")
        }
      }
      let present = metadata.snapshots.map(\.snapshotID).filter { removed.contains($0) }
      if !present.isEmpty { updates.append(.removeSnapshots(ids: present)) }
      return updates
    }
  }

  /// Adds optional columns at the end of the schema; rows that are there read as null. Field ids
  /// are assigned here. A column that is there already with the same type is left alone.
  public mutating func addColumns(_ columns: [NestedField]) {
    update { metadata throws(IcebergError) in
      var schema = metadata.currentSchema
      var last = metadata.lastColumnID
      var added = false
      for column in columns {
        if let existing = schema.fields.first(where: { $0.name == column.name }) {
          let isSame =
            try TableSchema.withFreshIDs(existing, after: 0).type
            == TableSchema.withFreshIDs(column, after: 0).type
          guard isSame else {
            throw IcebergError(
              .alreadyExists,
              "the table already has a column '\(column.name)' of type"
                + " \(existing.type)")
          }
          continue
        }
        guard !column.isRequired else {
          throw IcebergError(
            .invalidArgument, "'\(column.name)' must be optional: there are rows without it")
        }
        let fresh = try TableSchema.withFreshIDs(column, after: last)
        schema = TableSchema(
          fields: schema.fields + [fresh], identifierFieldIDs: schema.identifierFieldIDs)
        last = max(last, schema.highestFieldID)
        added = true
      }
      guard added else { return [] }
      return [.addSchema(schema, lastColumnID: last), .setCurrentSchema(id: nil)]
    }
  }

  /// Changes the format version, which cannot go back.
  public mutating func upgradeFormatVersion(to version: Int) {
    update { metadata throws(IcebergError) in
      metadata.formatVersion == version ? [] : [.upgradeFormatVersion(version)]
    }
  }
}

extension Table {
  /// An empty change of this table.
  public func newCommit() -> TableCommit { TableCommit(table: self) }

  /// A commit that appends data files.
  public func newAppend(_ files: [DataFile], mergesManifests: Bool? = nil) -> TableCommit {
    var commit = newCommit()
    commit.append(files, mergesManifests: mergesManifests)
    return commit
  }
}
