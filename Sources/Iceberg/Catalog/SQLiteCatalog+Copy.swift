/// A table or view that a catalog's database has, of whatever catalog in it.
public struct CatalogRow: Hashable, Sendable {
  public let catalogName: String
  public let namespace: String
  public let name: String
  public let metadataLocation: String
  public let isView: Bool
}

/// Copies of a catalog.
extension SQLiteCatalog {
  /// Copies the database to a new file while others go on, and returns what the copy has. The file is not
  /// synced.
  public func copy(to path: String) throws(IcebergError) -> [CatalogRow] {
    for _ in 0..<16 {
      let before = try rows()
      do throws(IcebergError) { _ = try database.read("VACUUM INTO ?", [path]) } catch {
        // Once half of it is written.
        io.deleteAll([path])
        throw error
      }
      // Locations are never used again, so nothing happened in between.
      if try rows() == before { return before }
      io.deleteAll([path])
    }
    throw IcebergError(.commitConflict, "the catalog changes faster than it can be copied")
  }

  private func rows() throws(IcebergError) -> [CatalogRow] {
    let type = database.hasType ? "iceberg_type" : "NULL"
    let rows = try database.read(
      "SELECT catalog_name, table_namespace, table_name, metadata_location, \(type)"
        + " FROM iceberg_tables ORDER BY 1, 2, 3", [])
    return rows.compactMap { row in
      guard row.count == 5, let catalog = row[0], let namespace = row[1], let name = row[2],
        let location = row[3]
      else { return nil }
      return CatalogRow(
        catalogName: catalog, namespace: namespace, name: name, metadataLocation: location,
        isView: row[4] == "VIEW")
    }
  }

  /// Points every table and view to its place in a copy; versions before the current one are forgotten.
  public func relocate(_ newLocation: (String) -> String) throws(IcebergError) {
    for row in try rows() {
      _ = try database.read(
        "UPDATE iceberg_tables SET metadata_location = ?, previous_metadata_location = NULL"
          + " WHERE catalog_name = ? AND table_namespace = ? AND table_name = ?",
        [newLocation(row.metadataLocation), row.catalogName, row.namespace, row.name])
    }
  }
}
