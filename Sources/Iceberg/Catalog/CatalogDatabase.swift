import CSQLite
import Storage
import Synchronization

/// The two tables of the SQL catalog that Java's JdbcCatalog (schema version 1) and PyIceberg's
/// SqlCatalog share, and the few statements on them.
///
/// Thread-safe; every transaction is short and does no file I/O besides SQLite's own.
final class CatalogDatabase: Sendable {
  /// A transaction whose COMMIT failed: it may or may not have happened.
  struct CommitUnknown: Error { var message: String }

  private let connection: Mutex<SQLiteConnection>
  private let catalogName: String
  /// Catalogs that Java made with schema version 0 lack the column `iceberg_type`.
  private let isTable: String
  let hasType: Bool

  init(
    path: String, catalogName: String, fileSystem: any FileSystem, busyTimeoutMilliseconds: Int32
  ) throws(IcebergError) {
    self.catalogName = catalogName
    do {
      let opened = try SQLiteConnection(
        path: path, fileSystem: fileSystem, busyTimeoutMilliseconds: busyTimeoutMilliseconds)
      if !opened.isReadOnly {
        try opened.run(CatalogDatabase.createTables)
        try opened.run(CatalogDatabase.createProperties)
      }
      let columns = try opened.run("SELECT name FROM pragma_table_info('iceberg_tables')")
      hasType = columns.contains { $0.first == "iceberg_type" }
      connection = Mutex(opened)
    } catch {
      throw IcebergError(error)
    }
    isTable = hasType ? " AND (iceberg_type = 'TABLE' OR iceberg_type IS NULL)" : ""
  }

  private static let createTables = """
    CREATE TABLE IF NOT EXISTS iceberg_tables (
      catalog_name VARCHAR(255) NOT NULL,
      table_namespace VARCHAR(255) NOT NULL,
      table_name VARCHAR(255) NOT NULL,
      metadata_location VARCHAR(1000),
      previous_metadata_location VARCHAR(1000),
      iceberg_type VARCHAR(5),
      PRIMARY KEY (catalog_name, table_namespace, table_name)
    )
    """

  private static let createProperties = """
    CREATE TABLE IF NOT EXISTS iceberg_namespace_properties (
      catalog_name VARCHAR(255) NOT NULL,
      namespace VARCHAR(255) NOT NULL,
      property_key VARCHAR(255) NOT NULL,
      property_value VARCHAR(1000) NOT NULL,
      PRIMARY KEY (catalog_name, namespace, property_key)
    )
    """

  private static let key = " WHERE catalog_name = ? AND table_namespace = ? AND table_name = ?"

  private func keyValues(_ table: TableIdentifier) -> [String?] {
    [catalogName, table.namespace.description, table.name]
  }
}

// Transactions.
extension CatalogDatabase {
  /// Runs one statement outside any transaction of ours.
  func read(_ sql: String, _ values: [String?]) throws(IcebergError) -> [[String?]] {
    do {
      return try connection.withLock { connection throws(SQLiteError) in
        try connection.run(sql, values)
      }
    } catch { throw IcebergError(error) }
  }

  /// Runs `body` in a transaction that no other connection can write beside.
  ///
  /// - Throws: `commitConflict` when the lock was not to be had, `commitStateUnknown` when COMMIT
  ///   itself failed, else what `body` threw; the transaction is rolled back then.
  private func transaction<Result: Sendable>(
    _ body: @Sendable (SQLiteConnection) throws -> Result
  ) throws(IcebergError) -> Result {
    do {
      return try connection.withLock { connection throws in
        try connection.run("BEGIN IMMEDIATE")
        let result: Result
        do { result = try body(connection) } catch {
          try CatalogDatabase.rollBack(connection)
          throw error
        }
        do throws(SQLiteError) { try connection.run("COMMIT") } catch {
          // A busy COMMIT has changed nothing and can be rolled back; after any other failure only
          // the database file knows.
          guard error.isBusy, connection.isInTransaction else {
            throw CommitUnknown(message: error.message)
          }
          try CatalogDatabase.rollBack(connection)
          throw error
        }
        return result
      }
    } catch let error as SQLiteError {
      throw IcebergError(error)
    } catch let error as CommitUnknown {
      throw IcebergError(
        .commitStateUnknown, "the catalog's commit failed and may have happened: \(error.message)")
    } catch let error as IcebergError {
      throw error
    } catch {
      throw IcebergError(.inputOutput, "\(error)")
    }
  }

  private static func rollBack(_ connection: SQLiteConnection) throws(SQLiteError) {
    if connection.isInTransaction { try connection.run("ROLLBACK") }
  }
}

extension IcebergError {
  static func changed(_ table: TableIdentifier) -> IcebergError {
    IcebergError(.commitConflict, "the table '\(table)' was changed by somebody else")
  }

  /// A failed statement has changed nothing.
  init(_ error: SQLiteError) {
    self.init(
      error.isBusy ? .commitConflict : error.isConstraint ? .alreadyExists : .inputOutput,
      error.isBusy
        ? "the catalog's database is locked by another process" : "catalog: \(error.message)",
      storageError: error.storageError)
  }
}

// Tables.
extension CatalogDatabase {
  /// The location of a table's metadata; nil when there is no such table.
  func metadataLocation(_ table: TableIdentifier) throws(IcebergError) -> String? {
    let rows = try read(
      "SELECT metadata_location FROM iceberg_tables" + CatalogDatabase.key + isTable,
      keyValues(table))
    return rows.first?.first ?? nil
  }

  /// All tables of the catalog with their metadata locations.
  func allTables() throws(IcebergError) -> [(name: String, metadataLocation: String)] {
    let rows = try read(
      "SELECT table_namespace || '.' || table_name, metadata_location FROM iceberg_tables"
        + " WHERE catalog_name = ?" + isTable, [catalogName])
    return rows.compactMap { row in
      guard row.count == 2, let name = row[0], let location = row[1] else { return nil }
      return (name, location)
    }
  }

  func tableNames(_ namespace: Namespace) throws(IcebergError) -> [String] {
    try read(
      "SELECT table_name FROM iceberg_tables WHERE catalog_name = ? AND table_namespace = ?"
        + isTable + " ORDER BY table_name", [catalogName, namespace.description]
    ).compactMap { $0.first ?? nil }
  }

  /// Adds a table; `alreadyExists` when the name is taken, by a view for example.
  func insert(_ table: TableIdentifier, metadataLocation: String) throws(IcebergError) {
    let columns = "catalog_name, table_namespace, table_name, metadata_location"
    let sql =
      hasType
      ? "INSERT INTO iceberg_tables (\(columns), iceberg_type) VALUES (?, ?, ?, ?, 'TABLE')"
      : "INSERT INTO iceberg_tables (\(columns)) VALUES (?, ?, ?, ?)"
    let values = keyValues(table) + [metadataLocation]
    do {
      try transaction { connection in _ = try connection.run(sql, values) }
    } catch {
      guard error.kind == .alreadyExists else { throw error }
      throw IcebergError(.alreadyExists, "the table '\(table)' already exists")
    }
  }

  /// A table's step from one metadata file to the next.
  struct Move {
    let table: TableIdentifier
    let from: String
    let to: String
  }

  /// Moves all tables or none: the compare-and-swap that commits are.
  ///
  /// - Throws: `commitConflict` when a table is not where its move starts.
  func swap(_ moves: [Move]) throws(IcebergError) {
    let sql =
      "UPDATE iceberg_tables SET metadata_location = ?, previous_metadata_location = ?"
      + CatalogDatabase.key + " AND metadata_location = ?" + isTable
    let steps = moves.map { ($0.table, [$0.to, $0.from] + keyValues($0.table) + [$0.from]) }
    try transaction { connection in
      for (table, values) in steps {
        try connection.run(sql, values)
        guard connection.changedRowCount == 1 else { throw IcebergError.changed(table) }
      }
    }
  }

  /// Removes a table that is at `old`; false when it is not.
  func delete(_ table: TableIdentifier, at old: String) throws(IcebergError) -> Bool {
    let sql =
      "DELETE FROM iceberg_tables" + CatalogDatabase.key + " AND metadata_location = ?" + isTable
    let values = keyValues(table) + [old]
    return try transaction { connection in
      try connection.run(sql, values)
      return connection.changedRowCount == 1
    }
  }

  /// Renames a table that is at `old`; false when it is not.
  func rename(
    _ table: TableIdentifier, to new: TableIdentifier, at old: String
  ) throws(IcebergError) -> Bool {
    let sql =
      "UPDATE iceberg_tables SET table_namespace = ?, table_name = ?" + CatalogDatabase.key
      + " AND metadata_location = ?" + isTable
    let values = [new.namespace.description, new.name] + keyValues(table) + [old]
    do {
      return try transaction { connection in
        try connection.run(sql, values)
        return connection.changedRowCount == 1
      }
    } catch {
      guard error.kind == .alreadyExists else { throw error }
      throw IcebergError(.alreadyExists, "the table '\(new)' already exists")
    }
  }
}

// Namespaces: those with properties, and those that a table has.
extension CatalogDatabase {
  func namespaces() throws(IcebergError) -> [String] {
    try read(
      "SELECT namespace FROM iceberg_namespace_properties WHERE catalog_name = ? UNION"
        + " SELECT table_namespace FROM iceberg_tables WHERE catalog_name = ? ORDER BY 1",
      [catalogName, catalogName]
    ).compactMap { $0.first ?? nil }
  }

  func properties(_ namespace: Namespace) throws(IcebergError) -> [String: String] {
    var properties: [String: String] = [:]
    let rows = try read(
      "SELECT property_key, property_value FROM iceberg_namespace_properties"
        + " WHERE catalog_name = ? AND namespace = ?", [catalogName, namespace.description])
    for row in rows where row.count == 2 {
      if let key = row[0], let value = row[1] { properties[key] = value }
    }
    return properties
  }

  func insert(
    _ namespace: Namespace, _ properties: [String: String]
  ) throws(IcebergError) {
    let name = namespace.description
    let catalogName = catalogName
    do {
      try transaction { connection in
        for (key, value) in properties.sorted(by: { $0.key < $1.key }) {
          try connection.run(
            "INSERT INTO iceberg_namespace_properties VALUES (?, ?, ?, ?)",
            [catalogName, name, key, value])
        }
      }
    } catch {
      guard error.kind == .alreadyExists else { throw error }
      throw IcebergError(.alreadyExists, "the namespace '\(namespace)' already exists")
    }
  }

  /// Removes a namespace that no table is in, checked in the same transaction.
  func delete(_ namespace: Namespace) throws(IcebergError) {
    let values = [catalogName, namespace.description]
    try transaction { connection in
      let tables = try connection.run(
        "SELECT 1 FROM iceberg_tables WHERE catalog_name = ? AND table_namespace = ? LIMIT 1",
        values)
      guard tables.isEmpty else {
        throw IcebergError(.invalidArgument, "the namespace '\(namespace)' still has tables")
      }
      try connection.run(
        "DELETE FROM iceberg_namespace_properties WHERE catalog_name = ? AND namespace = ?", values)
    }
  }
}
