extension SQLiteCatalog {
  /// What is wrong with the database's file, as far as SQLite can tell: its pages have no checksums. Costs a
  /// read of the whole file; others go on.
  public func damages() throws(IcebergError) -> [String] {
    try database.read("PRAGMA integrity_check", []).compactMap { $0.first ?? nil }
      .filter { $0 != "ok" }
  }
}
