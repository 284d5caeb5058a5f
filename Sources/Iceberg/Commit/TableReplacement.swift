// A whole table replaced by another of the same name, in one commit.
extension Table {
  /// A commit that replaces schema, partition spec, sort order and rows: `CREATE OR REPLACE TABLE`.
  ///
  /// The table keeps its id, location, properties (those of the definition come on top), snapshots,
  /// branches and tags, so that one can go back: only main starts anew, without rows. A column that has
  /// the name of one before keeps its field id, whatever becomes of its type. Files for the new table
  /// are written with `commit.table`, which is the table as it will be, and then `append`ed; the commit
  /// fails when the table's columns or partition fields were changed meanwhile.
  ///
  /// - Throws: `invalidArgument` for a location, or a format version that is lower than the table's.
  public func newReplacement(_ definition: TableDefinition) throws(IcebergError) -> TableCommit {
    guard definition.location == nil || definition.location == location else {
      throw IcebergError(.invalidArgument, "a table that is replaced stays where it is")
    }
    let current = try refresh()
    let updates = try TableReplacement.updates(definition, current.metadata)
    let replaced = try current.metadata.applying(
      updates, nowMilliseconds: current.metadata.lastUpdatedMilliseconds, previousLocation: nil)
    let table = try current.with(
      TableState(metadata: replaced, metadataLocation: current.metadataLocation),
      checking: metadata.tableUUID)
    var commit = TableCommit(table: table)
    commit.replacement = TableReplacement(definition: definition, expected: replaced)
    return commit
  }
}

/// What a table is to become, and how that looked when its files were written.
struct TableReplacement: Sendable {
  let definition: TableDefinition
  let expected: TableMetadata

  func updates(_ metadata: TableMetadata) throws(IcebergError) -> [TableUpdate] {
    try TableReplacement.updates(definition, metadata)
  }

  /// Throws when files that were written for `expected` do not fit the table as it became.
  func check(_ replaced: TableMetadata) throws(IcebergError) {
    guard replaced.currentSchema.hasSameFields(as: expected.currentSchema),
      replaced.defaultPartitionSpec == expected.defaultPartitionSpec,
      replaced.formatVersion == expected.formatVersion
    else {
      throw IcebergError(
        .validationFailed, "the table's columns or partitions were changed: replace it again")
    }
  }

  static func updates(
    _ definition: TableDefinition, _ metadata: TableMetadata
  ) throws(IcebergError) -> [TableUpdate] {
    guard definition.formatVersion >= metadata.formatVersion else {
      throw IcebergError(
        .invalidArgument,
        "cannot go from format version \(metadata.formatVersion) to \(definition.formatVersion)")
    }
    try definition.schema.validate()
    var updates: [TableUpdate] = []
    if definition.formatVersion > metadata.formatVersion {
      updates.append(.upgradeFormatVersion(definition.formatVersion))
    }
    let schema = try definition.schema.withIDs(of: metadata)
    let spec = try TableMetadata.freshSpec(
      definition.partitionSpec, from: definition.schema, to: schema, replacing: metadata)
    let order = try TableMetadata.freshOrder(
      definition.sortOrder, from: definition.schema, to: schema)
    updates += [
      .addSchema(schema, lastColumnID: max(metadata.lastColumnID, schema.highestFieldID)),
      .setCurrentSchema(id: nil), .addPartitionSpec(spec), .setDefaultPartitionSpec(id: nil),
      .addSortOrder(order), .setDefaultSortOrder(id: nil),
    ]
    if metadata.references[SnapshotReference.main] != nil {
      updates.append(.removeReference(name: SnapshotReference.main))
    }
    if !definition.properties.isEmpty { updates.append(.setProperties(definition.properties)) }
    return updates
  }
}
