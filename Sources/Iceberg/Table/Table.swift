public import Storage

/// One version of a table, and what is needed to read it, to refresh it and to change it.
///
/// A value: it never changes by itself. Thread-safe.
public struct Table: Sendable {
  public let identifier: TableIdentifier
  public let state: TableState
  public let catalog: any Catalog
  public let io: FileIO
  public let clock: any WallClock

  public init(
    identifier: TableIdentifier, state: TableState, catalog: any Catalog, io: FileIO,
    clock: any WallClock
  ) {
    self.identifier = identifier
    self.state = state
    self.catalog = catalog
    self.io = io
    self.clock = clock
  }

  public var metadata: TableMetadata { state.metadata }
  public var metadataLocation: String { state.metadataLocation }
  public var location: String { metadata.location }
  public var schema: TableSchema { metadata.currentSchema }
  public var properties: [String: String] { metadata.properties }

  /// The table as it is now.
  ///
  /// - Throws: `validationFailed` when the name now means another table.
  public func refresh() throws(IcebergError) -> Table {
    try with(try catalog.loadState(identifier), checking: metadata.tableUUID)
  }

  func with(
    _ state: TableState, checking uuid: String?
  ) throws(IcebergError) -> Table {
    guard uuid == nil || state.metadata.tableUUID == uuid else {
      throw IcebergError(
        .validationFailed, "'\(identifier)' was dropped and created again: it is another table")
    }
    return Table(identifier: identifier, state: state, catalog: catalog, io: io, clock: clock)
  }
}
