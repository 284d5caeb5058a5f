/// A table's metadata and the file that holds it: one version of the table.
public struct TableState: Sendable {
  public let metadata: TableMetadata
  public let metadataLocation: String
  /// Of a version that a commit in this process wrote: the next one's text is made from it.
  let text: MetadataText?

  public init(metadata: TableMetadata, metadataLocation: String) {
    self.init(metadata: metadata, metadataLocation: metadataLocation, text: nil)
  }

  init(metadata: TableMetadata, metadataLocation: String, text: MetadataText?) {
    self.metadata = metadata
    self.metadataLocation = metadataLocation
    self.text = text
  }
}

extension TableState {
  /// Whether an earlier version was in this metadata file.
  func hasReplaced(_ metadataLocation: String) -> Bool {
    metadata.metadataLog.contains { $0.metadataFile == metadataLocation }
  }
}

/// What becomes of one table in a commit.
public struct TableChange: Sendable {
  public let identifier: TableIdentifier
  /// The version that the change was computed from.
  public let base: TableState
  public let requirements: [TableRequirement]
  public let updates: [TableUpdate]

  public init(
    _ identifier: TableIdentifier, base: TableState, requirements: [TableRequirement],
    updates: [TableUpdate]
  ) {
    self.identifier = identifier
    self.base = base
    self.requirements = requirements
    self.updates = updates
  }

  /// Whether the table has become what the updates ask for, whoever did it.
  func isDone(in metadata: TableMetadata) -> Bool {
    do {
      var result = try metadata.applying(
        updates, nowMilliseconds: metadata.lastUpdatedMilliseconds, previousLocation: nil)
      result.metadataLog = metadata.metadataLog
      return result == metadata
    } catch { return false }
  }

  /// Checks the requirements and applies the updates: what a catalog that keeps metadata files itself
  /// writes.
  func nextState(nowMilliseconds: Int64) throws(IcebergError) -> TableState {
    for requirement in requirements { try requirement.check(base.metadata) }
    let metadata = try base.metadata.applying(
      updates, nowMilliseconds: nowMilliseconds, previousLocation: base.metadataLocation)
    // What nobody could read again is not written.
    try metadata.checkRanges()
    guard metadata.formatVersion >= 2 else {
      throw IcebergError(
        .unsupported, "tables of format version 1 are only read: upgrade '\(identifier)' to 2")
    }
    guard metadata.encryptionKeys.isEmpty else {
      throw IcebergError(.unsupported, "'\(identifier)' is encrypted, which is not supported")
    }
    return TableState(
      metadata: metadata,
      metadataLocation: metadata.nextMetadataLocation(after: base.metadataLocation),
      text: MetadataText(metadata, after: base.text))
  }
}

/// What a new table is made of.
public struct TableDefinition: Sendable {
  /// Field ids may be anything distinct: the table gets fresh ones, in the same order.
  public var schema: TableSchema
  public var partitionSpec: PartitionSpec
  public var sortOrder: SortOrder
  public var properties: [String: String]
  /// Where the table lives; nil lets the catalog allocate `<warehouse>/<namespace>/<table>-<uuid>`.
  public var location: String?
  /// 2 by default, which every engine reads; 3 on request.
  public var formatVersion: Int

  public init(
    schema: TableSchema, partitionSpec: PartitionSpec = .unpartitioned,
    sortOrder: SortOrder = .unsorted, properties: [String: String] = [:], location: String? = nil,
    formatVersion: Int = 2
  ) {
    self.schema = schema
    self.partitionSpec = partitionSpec
    self.sortOrder = sortOrder
    self.properties = properties
    self.location = location
    self.formatVersion = formatVersion
  }
}

/// Knows the current metadata file of every table, and replaces it atomically.
///
/// Implementations are thread-safe, and safe against other processes.
public protocol Catalog: AnyObject, Sendable {
  var name: String { get }

  func createNamespace(
    _ namespace: Namespace, properties: [String: String]) throws(IcebergError)
  func listNamespaces() throws(IcebergError) -> [Namespace]
  func namespaceProperties(_ namespace: Namespace) throws(IcebergError) -> [String: String]
  /// Fails when the namespace still has tables.
  func dropNamespace(_ namespace: Namespace) throws(IcebergError)

  func listTables(_ namespace: Namespace) throws(IcebergError) -> [TableIdentifier]
  func tableExists(_ identifier: TableIdentifier) throws(IcebergError) -> Bool
  func createTable(
    _ identifier: TableIdentifier, _ definition: TableDefinition
  ) throws(IcebergError) -> Table
  func loadTable(_ identifier: TableIdentifier) throws(IcebergError) -> Table
  /// Forgets a table; its files stay.
  func dropTable(_ identifier: TableIdentifier) throws(IcebergError)
  /// Fails with `commitConflict` when the table changes meanwhile.
  func renameTable(
    _ identifier: TableIdentifier, to newIdentifier: TableIdentifier) throws(IcebergError)
  /// Takes over a table whose metadata file is there.
  func registerTable(
    _ identifier: TableIdentifier, metadataLocation: String
  ) throws(IcebergError) -> Table

  /// The current version of a table.
  func loadState(_ identifier: TableIdentifier) throws(IcebergError) -> TableState

  /// Publishes each change's `base` with its `updates` applied, if every table is still at its `base`:
  /// all of them or none, and in the order of the changes, which are of different tables.
  ///
  /// Returns once the new versions are durable and visible. Otherwise throws: `commitConflict` when it
  /// is proven that nothing happened and a retry from a fresh state may succeed;
  /// `commitStateUnknown` when it may or may not have happened, and nothing may be deleted; any other
  /// kind when it is proven that nothing happened, `unsupported` when the catalog commits one table at
  /// a time.
  func commit(_ changes: [TableChange]) throws(IcebergError) -> [TableState]
}

extension Catalog {
  /// Publishes one change.
  public func commit(
    _ identifier: TableIdentifier, base: TableState, requirements: [TableRequirement],
    updates: [TableUpdate]
  ) throws(IcebergError) -> TableState {
    let change = TableChange(identifier, base: base, requirements: requirements, updates: updates)
    let states = try commit([change])
    guard let state = states.first else {
      throw IcebergError(.commitStateUnknown, "the catalog '\(name)' gave no new version")
    }
    return state
  }
}
