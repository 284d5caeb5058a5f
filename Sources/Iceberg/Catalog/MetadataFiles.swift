// Metadata files, for catalogs that keep them themselves.
extension FileIO {
  /// Writes a table's new metadata, durable before anybody can be told of it.
  func write(_ state: TableState) throws(IcebergError) {
    try write(state.metadataLocation, try state.metadata.content(at: state.metadataLocation))
  }

  /// Writes all of them, each by its table's own way to files, or leaves none behind.
  static func write(_ files: [(io: FileIO, state: TableState)]) throws(IcebergError) {
    for (index, file) in files.enumerated() {
      do throws(IcebergError) { try file.io.write(file.state) } catch {
        for (io, state) in files[...index] { io.deleteAll([state.metadataLocation]) }
        throw error
      }
    }
  }

  /// Deletes the metadata files that fell out of the log, when the table's properties say so. Only
  /// files in the table's own metadata folder: the log may name anything.
  func deleteMetadata(of old: TableMetadata, replacedBy new: TableMetadata) {
    let property = new.properties["write.metadata.delete-after-commit.enabled"]
    guard property?.lowercased() == "true" else { return }
    let kept = Set(new.metadataLog.map(\.metadataFile))
    let candidates = old.metadataLog.map(\.metadataFile).filter { file in
      guard !kept.contains(file),
        file.hasSuffix(".metadata.json") || file.hasSuffix(".metadata.json.gz")
      else { return false }
      do {
        return try Location.comparable(Location.parent(of: file))
          == Location.comparable(new.metadataFolder)
      } catch { return false }
    }
    deleteAll(candidates)
  }
}

extension TableDefinition {
  /// The properties of a new table. Frequent small commits would otherwise leave a metadata file each;
  /// what is kept is the log.
  package var propertiesOfNewTable: [String: String] {
    [
      "write.metadata.delete-after-commit.enabled": "true",
      "write.metadata.previous-versions-max": "100",
    ].merging(properties) { $1 }
  }
}
