/// A table's metadata and the file that holds it: one version of the table.
public struct TableState: Sendable {
  public let metadata: TableMetadata
  public let metadataLocation: String

  public init(metadata: TableMetadata, metadataLocation: String) {
    self.metadata = metadata
    self.metadataLocation = metadataLocation
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
public protocol Catalog: Sendable {
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

  /// Publishes `base` with `updates` applied, if the table is still at `base`.
  ///
  /// Returns once the new version is durable and visible. Otherwise throws: `commitConflict` when it
  /// is proven that nothing happened and a retry from a fresh state may succeed;
  /// `commitStateUnknown` when it may or may not have happened, and nothing may be deleted; any other
  /// kind when it is proven that nothing happened.
  func commit(
    _ identifier: TableIdentifier, base: TableState, requirements: [TableRequirement],
    updates: [TableUpdate]
  ) throws(IcebergError) -> TableState
}
