public import Storage
import Synchronization

/// A catalog that lasts as long as its process: for tests, and for tables that somebody else keeps.
///
/// Metadata files are written as any catalog writes them, so every version can be read without it.
/// Thread-safe; one process only.
public final class InMemoryCatalog: Catalog, MetadataFileCatalog {
  private struct State {
    var namespaces: [Namespace: [String: String]] = [:]
    var tables: [TableIdentifier: TableState] = [:]
  }

  public let name: String
  public let warehouse: String
  public let io: FileIO
  let clock: any WallClock
  private let state = Mutex(State())

  /// - Parameter warehouse: an absolute path or location, below which tables are created.
  public init(name: String, warehouse: String, io: FileIO, clock: any WallClock) {
    self.name = name
    self.warehouse = Location.withoutTrailingSlash(warehouse)
    self.io = io
    self.clock = clock
  }
}

// Namespaces.
extension InMemoryCatalog {
  public func createNamespace(
    _ namespace: Namespace, properties: [String: String] = [:]
  ) throws(IcebergError) {
    let isNew = state.withLock { state in
      guard state.namespaces[namespace] == nil else { return false }
      state.namespaces[namespace] = properties
      return true
    }
    guard isNew else {
      throw IcebergError(.alreadyExists, "the namespace '\(namespace)' already exists")
    }
  }

  public func listNamespaces() throws(IcebergError) -> [Namespace] {
    state.withLock { $0.namespaces.keys.sorted { $0.description < $1.description } }
  }

  public func namespaceProperties(
    _ namespace: Namespace
  ) throws(IcebergError) -> [String: String] {
    guard let properties = state.withLock({ $0.namespaces[namespace] }) else {
      throw IcebergError(.notFound, "there is no namespace '\(namespace)'")
    }
    return properties
  }

  public func dropNamespace(_ namespace: Namespace) throws(IcebergError) {
    _ = try namespaceProperties(namespace)
    guard try listTables(namespace).isEmpty else {
      throw IcebergError(.validationFailed, "the namespace '\(namespace)' is not empty")
    }
    state.withLock { $0.namespaces[namespace] = nil }
  }
}

// Tables.
extension InMemoryCatalog {
  public func listTables(_ namespace: Namespace) throws(IcebergError) -> [TableIdentifier] {
    _ = try namespaceProperties(namespace)
    return state.withLock { state in
      state.tables.keys.filter { $0.namespace == namespace }.sorted { $0.name < $1.name }
    }
  }

  public func tableExists(_ identifier: TableIdentifier) throws(IcebergError) -> Bool {
    state.withLock { $0.tables[identifier] != nil }
  }

  public func createTable(
    _ identifier: TableIdentifier, _ definition: TableDefinition
  ) throws(IcebergError) -> Table {
    _ = try namespaceProperties(identifier.namespace)
    let folder =
      (identifier.namespace.levels + [identifier.name]).map { Location.fileName(for: $0) }
      .joined(separator: "/") + "-" + RandomIdentifier.uuid()
    let metadata = try TableMetadata.new(
      schema: definition.schema, partitionSpec: definition.partitionSpec,
      sortOrder: definition.sortOrder,
      location: definition.location ?? Location.join(warehouse, folder),
      properties: definition.propertiesOfNewTable, formatVersion: definition.formatVersion,
      nowMilliseconds: clock.nowMicroseconds() / 1000)
    let created = TableState(
      metadata: metadata, metadataLocation: metadata.nextMetadataLocation(after: nil))
    try requireFreeLocation(identifier, created)
    let io = try tableIO(created)
    try io.write(created)
    return try insert(identifier, created) { io.deleteAll([created.metadataLocation]) }
  }

  public func loadTable(_ identifier: TableIdentifier) throws(IcebergError) -> Table {
    try table(identifier, try loadState(identifier))
  }

  public func loadState(_ identifier: TableIdentifier) throws(IcebergError) -> TableState {
    guard let found = state.withLock({ $0.tables[identifier] }) else {
      throw IcebergError(.notFound, "there is no table '\(identifier)' in catalog '\(name)'")
    }
    return found
  }

  public func dropTable(_ identifier: TableIdentifier) throws(IcebergError) {
    guard state.withLock({ $0.tables.removeValue(forKey: identifier) }) != nil else {
      throw IcebergError(.notFound, "there is no table '\(identifier)' in catalog '\(name)'")
    }
  }

  public func renameTable(
    _ identifier: TableIdentifier, to newIdentifier: TableIdentifier
  ) throws(IcebergError) {
    _ = try namespaceProperties(newIdentifier.namespace)
    _ = try loadState(identifier)
    let isFree = state.withLock { state in
      guard state.tables[newIdentifier] == nil else { return false }
      state.tables[newIdentifier] = state.tables.removeValue(forKey: identifier)
      return true
    }
    guard isFree else {
      throw IcebergError(.alreadyExists, "the table '\(newIdentifier)' already exists")
    }
  }

  public func registerTable(
    _ identifier: TableIdentifier, metadataLocation: String
  ) throws(IcebergError) -> Table {
    _ = try namespaceProperties(identifier.namespace)
    let bytes = try io.readAll(
      metadataLocation, maximumSizeBytes: Int64(TableMetadata.maximumSizeBytes))
    let registered = TableState(
      metadata: try TableMetadata(fileContent: bytes, at: metadataLocation),
      metadataLocation: metadataLocation)
    try requireFreeLocation(identifier, registered)
    return try insert(identifier, registered) {}
  }

  public func commit(_ changes: [TableChange]) throws(IcebergError) -> [TableState] {
    try commit(changes, publishing: changes.map { _ in nil })
  }

  func commit(
    _ changes: [TableChange], publishing files: [UnpublishedFiles?]
  ) throws(IcebergError) -> [TableState] {
    var states: [TableState] = []
    for change in changes {
      states.append(try change.nextState(nowMilliseconds: clock.nowMicroseconds() / 1000))
    }
    let written = try write(states, replacing: changes, publishing: files)
    let next = states
    let stale = state.withLock { state -> TableIdentifier? in
      for change in changes
      where state.tables[change.identifier]?.metadataLocation != change.base.metadataLocation {
        return change.identifier
      }
      for (change, next) in zip(changes, next) { state.tables[change.identifier] = next }
      return nil
    }
    if let stale {
      io.deleteAll(states.map(\.metadataLocation))
      throw IcebergError.changed(stale).attempting(states.map(\.metadataLocation))
    }
    for (change, file) in zip(changes, written) {
      file.io.deleteMetadata(of: change.base.metadata, replacedBy: file.state.metadata)
    }
    return states
  }

  func tableIO(_ state: TableState) throws(IcebergError) -> FileIO {
    try io.confined(
      to: [warehouse], metadataLocation: state.metadataLocation, location: state.metadata.location)
  }

  /// Refuses a location at, above or below another table's: one's clean-up would delete the other's files.
  private func requireFreeLocation(
    _ identifier: TableIdentifier, _ new: TableState
  ) throws(IcebergError) {
    for (other, known) in state.withLock({ $0.tables }) where other != identifier {
      guard try new.metadata.overlaps(known.metadata) else { continue }
      throw IcebergError(
        .invalidArgument,
        "'\(new.metadata.location)' is at, above or below the table '\(other)' in"
          + " '\(known.metadata.location)'")
    }
  }

  private func insert(
    _ identifier: TableIdentifier, _ created: TableState, cleaningUp: () -> Void
  ) throws(IcebergError) -> Table {
    let isNew = state.withLock { state in
      guard state.tables[identifier] == nil else { return false }
      state.tables[identifier] = created
      return true
    }
    guard isNew else {
      cleaningUp()
      throw IcebergError(.alreadyExists, "the table '\(identifier)' already exists")
    }
    return try table(identifier, created)
  }
}

extension TableMetadata {
  /// Whether one table's folder is the other's, or lies in it; on other file systems none does.
  fileprivate func overlaps(_ other: TableMetadata) throws(IcebergError) -> Bool {
    do { return try Location.overlap(location, other.location) } catch {
      guard error.kind == .unsupported else { throw error }
      return false
    }
  }
}
