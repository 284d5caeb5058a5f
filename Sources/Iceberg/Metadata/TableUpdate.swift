/// One change of a table's metadata: what a commit is made of, with `TableRequirement`.
///
/// The same list as in Iceberg's REST protocol.
public enum TableUpdate: Hashable, Sendable {
  case upgradeFormatVersion(Int)
  /// Adds a schema, or finds an equal one; its id is assigned here, whatever the value says.
  case addSchema(TableSchema, lastColumnID: Int32)
  /// nil means the schema that this list of updates added last.
  case setCurrentSchema(id: Int32?)
  case addPartitionSpec(PartitionSpec)
  case setDefaultPartitionSpec(id: Int32?)
  case addSortOrder(SortOrder)
  case setDefaultSortOrder(id: Int32?)
  case addSnapshot(Snapshot)
  case setReference(name: String, SnapshotReference)
  case removeReference(name: String)
  /// Removes snapshots, the references to them and their statistics from the metadata.
  case removeSnapshots(ids: [Int64])
  case setLocation(String)
  case setProperties([String: String])
  case removeProperties([String])
  case setStatistics(StatisticsFile)
  case removeStatistics(snapshotID: Int64)
  case setPartitionStatistics(StatisticsFile)
  case removePartitionStatistics(snapshotID: Int64)
  /// Removes schemas and specs; the current ones cannot go.
  case removeSchemas(ids: [Int32])
  case removePartitionSpecs(ids: [Int32])
}

/// What must still be true of a table for a commit to be allowed.
public enum TableRequirement: Hashable, Sendable {
  case tableUUID(String?)
  /// The snapshot of a branch or tag; nil means that there is none of that name.
  case referenceSnapshotID(name: String, Int64?)
  case lastAssignedFieldID(Int32)
  case currentSchemaID(Int32)
  case lastAssignedPartitionID(Int32)
  case defaultSpecID(Int32)
  case defaultSortOrderID(Int32)

  /// Throws `commitConflict` where the table is not as required.
  public func check(_ metadata: TableMetadata) throws(IcebergError) {
    switch self {
    case .tableUUID(let expected):
      try equal("table-uuid", expected, metadata.tableUUID)
    case .referenceSnapshotID(let name, let expected):
      try equal("snapshot of '\(name)'", expected, metadata.references[name]?.snapshotID)
    case .lastAssignedFieldID(let expected):
      try equal("last-column-id", expected, metadata.lastColumnID)
    case .currentSchemaID(let expected):
      try equal("current-schema-id", expected, metadata.currentSchemaID)
    case .lastAssignedPartitionID(let expected):
      try equal("last-partition-id", expected, metadata.lastPartitionID)
    case .defaultSpecID(let expected):
      try equal("default-spec-id", expected, metadata.defaultSpecID)
    case .defaultSortOrderID(let expected):
      try equal("default-sort-order-id", expected, metadata.defaultSortOrderID)
    }
  }

  private func equal<Value: Equatable>(
    _ name: String, _ expected: Value?, _ found: Value?
  ) throws(IcebergError) {
    guard expected == found else {
      throw IcebergError(
        .commitConflict,
        "the table changed: its \(name) is \(found.map { "\($0)" } ?? "none"), expected"
          + " \(expected.map { "\($0)" } ?? "none")")
    }
  }
}

extension TableRequirement {
  /// What must still be true for updates that were computed from this metadata.
  static func requirements(
    of updates: [TableUpdate], on metadata: TableMetadata, besides known: [TableRequirement]
  ) -> [TableRequirement] {
    var found: [TableRequirement] = []
    func add(_ requirement: TableRequirement) {
      if !known.contains(requirement), !found.contains(requirement) { found.append(requirement) }
    }
    for update in updates {
      switch update {
      case .addSchema: add(.lastAssignedFieldID(metadata.lastColumnID))
      case .setCurrentSchema: add(.currentSchemaID(metadata.currentSchemaID))
      case .addPartitionSpec: add(.lastAssignedPartitionID(metadata.lastPartitionID))
      case .setDefaultPartitionSpec: add(.defaultSpecID(metadata.defaultSpecID))
      case .setDefaultSortOrder: add(.defaultSortOrderID(metadata.defaultSortOrderID))
      case .setReference(let name, _), .removeReference(let name):
        add(.referenceSnapshotID(name: name, metadata.references[name]?.snapshotID))
      default: break
      }
    }
    return found
  }
}
