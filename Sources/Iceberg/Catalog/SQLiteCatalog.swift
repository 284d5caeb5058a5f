import JSON
public import Storage
import Synchronization

/// A catalog in one SQLite file, which PyIceberg (`type: sql`) and Spark (JDBC catalog) share.
///
/// A commit is a metadata file, durable before one compare-and-swap UPDATE names it. Thread-safe,
/// and safe against other processes on the same machine; SQLite's locks do not work on network file
/// systems.
public final class SQLiteCatalog: Catalog, MetadataFileCatalog {
  public struct Options: Sendable {
    /// How long a commit waits for another process's transaction.
    public var busyTimeoutMilliseconds: Int32 = 30_000
    /// Writes `metadata/version-hint.text` after each commit, which lets DuckDB read a table's
    /// folder without a catalog.
    public var writesVersionHint = true
    /// Folders beside the warehouse and a table's own in which tables may have files: where they have
    /// `write.data.path` elsewhere, say. Not looked at when the `FileIO` has allowed roots.
    public var tableFolders: [String] = []

    public init() {}
  }

  public let name: String
  /// The folder below which tables without a location of their own are created, as a location.
  public let warehouse: String
  public let io: FileIO
  let database: CatalogDatabase
  let clock: any WallClock
  private let options: Options
  /// Metadata files never change, so what was read once is good as long as the pointer is the same.
  private let cache = Mutex<[TableIdentifier: TableState]>([:])

  /// Opens the catalog, and creates it when the file is not there.
  ///
  /// - Parameters:
  ///   - databasePath: the SQLite file; its folder must exist.
  ///   - name: must be the same for all engines that share the file.
  ///   - warehouse: an absolute path or location.
  public init(
    databasePath: String, name: String, warehouse: String, io: FileIO, clock: any WallClock,
    options: Options = Options()
  ) throws(IcebergError) {
    self.name = name
    self.warehouse = Location.withoutTrailingSlash(
      Location.location(ofPath: try Location.path(of: warehouse)))
    self.io = io
    self.clock = clock
    self.options = options
    database = try CatalogDatabase(
      path: try Location.path(of: databasePath), catalogName: name,
      fileSystem: io.fileSystem, busyTimeoutMilliseconds: options.busyTimeoutMilliseconds)
  }

  private var nowMilliseconds: Int64 { clock.nowMicroseconds() / 1000 }
}

// Namespaces.
extension SQLiteCatalog {
  public func createNamespace(
    _ namespace: Namespace, properties: [String: String] = [:]
  ) throws(IcebergError) {
    var all = properties
    all["exists"] = "true"
    try database.insert(namespace, all)
  }

  public func listNamespaces() throws(IcebergError) -> [Namespace] {
    var namespaces: [Namespace] = []
    for text in try database.namespaces() { namespaces.append(try Namespace(text)) }
    return namespaces
  }

  public func namespaceProperties(
    _ namespace: Namespace
  ) throws(IcebergError) -> [String: String] {
    try requireNamespace(namespace)
    var properties = try database.properties(namespace)
    properties["exists"] = nil
    return properties
  }

  public func dropNamespace(_ namespace: Namespace) throws(IcebergError) {
    try requireNamespace(namespace)
    try database.delete(namespace)
  }

  private func requireNamespace(_ namespace: Namespace) throws(IcebergError) {
    let text = namespace.description
    guard try database.namespaces().contains(where: { $0 == text || $0.hasPrefix(text + ".") })
    else { throw IcebergError(.notFound, "there is no namespace '\(namespace)'") }
  }
}

// Tables.
extension SQLiteCatalog {
  public func listTables(_ namespace: Namespace) throws(IcebergError) -> [TableIdentifier] {
    try requireNamespace(namespace)
    var tables: [TableIdentifier] = []
    for name in try database.tableNames(namespace) {
      tables.append(try TableIdentifier(namespace, name))
    }
    return tables
  }

  public func tableExists(_ identifier: TableIdentifier) throws(IcebergError) -> Bool {
    try database.metadataLocation(identifier) != nil
  }

  public func createTable(
    _ identifier: TableIdentifier, _ definition: TableDefinition
  ) throws(IcebergError) -> Table {
    try requireNamespace(identifier.namespace)
    guard try !tableExists(identifier) else {
      throw IcebergError(.alreadyExists, "the table '\(identifier)' already exists")
    }
    var location = definition.location
    if location == nil { location = try newLocation(identifier) }
    guard let location else { throw IcebergError(.invalidArgument, "a table needs a location") }
    try requireFreeLocation(location)
    let metadata = try TableMetadata.new(
      schema: definition.schema, partitionSpec: definition.partitionSpec,
      sortOrder: definition.sortOrder,
      location: Location.location(ofPath: try io.path(of: location)),
      properties: definition.propertiesOfNewTable, formatVersion: definition.formatVersion,
      nowMilliseconds: nowMilliseconds)
    let state = TableState(
      metadata: metadata, metadataLocation: metadata.nextMetadataLocation(after: nil))
    let table = try table(identifier, state)
    try table.io.write(state)
    do { try database.insert(identifier, metadataLocation: state.metadataLocation) } catch {
      try resolve(error, [(identifier, state)])
    }
    finish(identifier, state, table.io)
    return table
  }

  public func loadTable(_ identifier: TableIdentifier) throws(IcebergError) -> Table {
    try table(identifier, try loadState(identifier))
  }

  public func loadState(_ identifier: TableIdentifier) throws(IcebergError) -> TableState {
    guard let location = try database.metadataLocation(identifier) else {
      throw IcebergError(.notFound, "there is no table '\(identifier)' in catalog '\(name)'")
    }
    if let cached = cache.withLock({ $0[identifier] }), cached.metadataLocation == location {
      return cached
    }
    let state = try readState(location)
    remember(identifier, state)
    return state
  }

  public func dropTable(_ identifier: TableIdentifier) throws(IcebergError) {
    let location = try requireLocation(identifier)
    guard try database.delete(identifier, at: location) else {
      throw IcebergError.changed(identifier)
    }
    cache.withLock { $0[identifier] = nil }
  }

  public func renameTable(
    _ identifier: TableIdentifier, to newIdentifier: TableIdentifier
  ) throws(IcebergError) {
    try requireNamespace(newIdentifier.namespace)
    let location = try requireLocation(identifier)
    guard try database.rename(identifier, to: newIdentifier, at: location) else {
      throw IcebergError.changed(identifier)
    }
    cache.withLock { $0[identifier] = nil }
  }

  public func registerTable(
    _ identifier: TableIdentifier, metadataLocation: String
  ) throws(IcebergError) -> Table {
    try requireNamespace(identifier.namespace)
    let state = try readState(metadataLocation)
    try requireFreeLocation(state.metadata.location)
    do { try database.insert(identifier, metadataLocation: metadataLocation) } catch {
      // The file is not ours to delete, whatever happened.
      guard error.kind == .commitStateUnknown,
        try database.metadataLocation(identifier) == metadataLocation
      else { throw error }
    }
    remember(identifier, state)
    return try table(identifier, state)
  }

  func tableIO(_ state: TableState) throws(IcebergError) -> FileIO {
    try io.confined(
      to: [warehouse] + options.tableFolders, metadataLocation: state.metadataLocation,
      location: state.metadata.location)
  }

  private func requireLocation(_ identifier: TableIdentifier) throws(IcebergError) -> String {
    guard let location = try database.metadataLocation(identifier) else {
      throw IcebergError(.notFound, "there is no table '\(identifier)' in catalog '\(name)'")
    }
    return location
  }

  private func readState(_ location: String) throws(IcebergError) -> TableState {
    do {
      let bytes = try io.readAll(
        location, maximumSizeBytes: Int64(TableMetadata.maximumSizeBytes))
      return TableState(
        metadata: try TableMetadata(fileContent: bytes, at: location),
        metadataLocation: location)
    } catch { throw error.adding("metadata", location) }
  }

  private func remember(_ identifier: TableIdentifier, _ state: TableState) {
    cache.withLock { cache in
      if cache.count >= 64 { cache.removeAll() }
      cache[identifier] = state
    }
  }
}

// Locations.
extension SQLiteCatalog {
  private func newLocation(_ identifier: TableIdentifier) throws(IcebergError) -> String {
    let levels = identifier.namespace.levels.map { Location.fileName(for: $0) }
    let folder = Location.fileName(for: identifier.name) + "-" + RandomIdentifier.uuid()
    return Location.join(warehouse, (levels + [folder]).joined(separator: "/"))
  }

  /// Refuses a location that another table's contains, or the other way round: one table's clean-up
  /// would delete the other's files. Reads the metadata of every table in the catalog.
  private func requireFreeLocation(_ location: String) throws(IcebergError) {
    for other in try database.allTables() {
      let folder: String
      do { folder = try readState(other.metadataLocation).metadata.location } catch {
        // Unreadable metadata: the folder above `metadata` is the best that is known.
        folder = Location.parent(of: Location.parent(of: other.metadataLocation))
      }
      let overlaps: Bool
      do { overlaps = try Location.overlap(location, folder) } catch {
        // On another file system, which no local location can overlap with.
        guard error.kind == .unsupported else { throw error }
        continue
      }
      guard !overlaps else {
        throw IcebergError(
          .invalidArgument,
          "'\(location)' is at, above or below the table '\(other.name)' in"
            + " '\(folder)'")
      }
    }
  }
}

// Commits.
extension SQLiteCatalog {
  public func commit(_ changes: [TableChange]) throws(IcebergError) -> [TableState] {
    try commit(changes, publishing: changes.map { _ in nil })
  }

  /// One transaction of the database moves all tables to their new metadata.
  func commit(
    _ changes: [TableChange], publishing files: [UnpublishedFiles?]
  ) throws(IcebergError) -> [TableState] {
    var states: [TableState] = []
    for change in changes { states.append(try change.nextState(nowMilliseconds: nowMilliseconds)) }
    let written = try write(states, replacing: changes, publishing: files)
    let moves = zip(changes, states).map { change, state in
      CatalogDatabase.Move(
        table: change.identifier, from: change.base.metadataLocation, to: state.metadataLocation)
    }
    do throws(IcebergError) {
      try database.swap(moves)
    } catch { try resolve(error, zip(changes, states).map { ($0.identifier, $1) }) }
    for (change, file) in zip(changes, written) {
      file.io.deleteMetadata(of: change.base.metadata, replacedBy: file.state.metadata)
      finish(change.identifier, file.state, file.io)
    }
    return states
  }

  /// Decides what a failed change of pointers means: returns when it happened after all, else throws.
  private func resolve(
    _ error: IcebergError, _ changes: [(identifier: TableIdentifier, state: TableState)]
  ) throws(IcebergError) {
    let locations = changes.map(\.state.metadataLocation)
    guard error.kind == .commitStateUnknown else {
      io.deleteAll(locations)
      throw error.attempting(locations)
    }
    do {
      // All pointers have moved or none: one that did says so for all. Others may have committed since.
      for (identifier, state) in changes {
        guard let current = try database.metadataLocation(identifier) else { continue }
        if current == state.metadataLocation { return }
        if try readState(current).hasReplaced(state.metadataLocation) { return }
      }
    } catch {
      throw IcebergError(.commitStateUnknown, error.message, context: error.context)
        .attempting(locations)
    }
    throw error.attempting(locations)
  }

  /// What follows a successful change and can no longer make it fail.
  private func finish(_ identifier: TableIdentifier, _ state: TableState, _ io: FileIO) {
    remember(identifier, state)
    if options.writesVersionHint { writeVersionHint(identifier, state.metadata, io) }
  }

  /// Publishes the name of the current metadata file for readers without a catalog. A convenience:
  /// a failure leaves the old hint, and the next commit writes it again.
  private func writeVersionHint(
    _ identifier: TableIdentifier, _ metadata: TableMetadata, _ io: FileIO
  ) {
    do {
      // Read again, so that of two commits at once the later one's name is what stays.
      guard let current = try database.metadataLocation(identifier),
        let stem = Location.lastComponent(of: current).stem(before: ".metadata.json")
      else { return }
      let hint = Location.join(metadata.metadataFolder, "version-hint.text")
      let temporary = Location.join(
        metadata.metadataFolder, ".version-hint.\(RandomIdentifier.uuid())")
      let file = try io.create(temporary)
      let bytes = Array(stem.utf8)
      do {
        try io.fill(file, bytes)
        try file.close()
        try io.fileSystem.rename(
          try io.path(of: temporary), to: try io.path(of: hint), replacing: true)
      } catch { io.abandon(file) }
    } catch { return }
  }
}

extension String {
  /// The text before a suffix that it must have.
  func stem(before suffix: String) -> String? {
    hasSuffix(suffix) ? String(dropLast(suffix.count)) : nil
  }
}
