// Metadata files, for catalogs that keep them themselves.
extension FileIO {
  /// Writes a table's new metadata, durable before anybody can be told of it.
  func write(_ state: TableState) throws(IcebergError) { try write([state]) }

  /// Writes all of them, or leaves none behind. All files are durable when this returns, and so are their
  /// names and all other names in `folders`.
  func write(
    _ states: [TableState], synchronizing folders: Set<String> = []
  ) throws(IcebergError) {
    for (index, state) in states.enumerated() {
      do throws(IcebergError) {
        let location = state.metadataLocation
        let text = state.text ?? MetadataText(state.metadata)
        try writeWithoutName(location, text.content(state.metadata, at: location))
      } catch {
        deleteAll(states[...index].map(\.metadataLocation))
        throw error
      }
    }
    do throws(IcebergError) {
      try synchronizeFolders(
        folders.union(states.map { Location.parent(of: $0.metadataLocation) }))
    } catch {
      deleteAll(states.map(\.metadataLocation))
      throw error
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
  var propertiesOfNewTable: [String: String] {
    [
      "write.metadata.delete-after-commit.enabled": "true",
      "write.metadata.previous-versions-max": "100",
    ].merging(properties) { $1 }
  }
}

/// A catalog that writes metadata files itself. It makes their names durable, and can do so in one go with those
/// of the manifests beside them.
protocol MetadataFileCatalog: Catalog {
  /// As `commit`; before anything is published, all names in `folders` are durable.
  func commit(
    _ changes: [TableChange], synchronizing folders: Set<String>
  ) throws(IcebergError) -> [TableState]
}
