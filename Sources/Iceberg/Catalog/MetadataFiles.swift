import Storage

// Metadata files, for catalogs that keep them themselves.
extension FileIO {
  /// Writes a table's new metadata, durable before anybody can be told of it.
  func write(_ state: TableState) throws(IcebergError) { try FileIO.write([(self, state)]) }

  /// Writes all of them, each by its table's own way to files, or leaves none behind. All files are durable
  /// when this returns, and so are their names and all other names in `folders`, which are the tables'.
  static func write(
    _ files: [(io: FileIO, state: TableState)], synchronizing folders: Set<String> = []
  ) throws(IcebergError) {
    do throws(IcebergError) {
      var left = folders
      for (io, state) in files {
        let text = state.text ?? MetadataText(state.metadata)
        try io.writeWithoutName(
          state.metadataLocation, text.content(state.metadata, at: state.metadataLocation))
        left.insert(Location.parent(of: state.metadataLocation))
      }
      for (io, _) in files {
        let own = left.filter { io.allows($0) }
        try io.synchronizeFolders(own)
        left.subtract(own)
      }
      guard let other = left.first else { return }
      throw IcebergError(.invalidMetadata, "'\(other)' is in no table's folders")
    } catch {
      for (io, state) in files { io.deleteAll([state.metadataLocation]) }
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
  package var propertiesOfNewTable: [String: String] {
    var all = [
      "write.metadata.delete-after-commit.enabled": "true",
      "write.metadata.previous-versions-max": "100",
    ]
    // Athena's name says it, too.
    if properties["vacuum_max_metadata_files_to_keep"] != nil {
      all["write.metadata.previous-versions-max"] = nil
    }
    return all.merging(properties) { $1 }
  }
}

/// A catalog that writes metadata files itself. It makes their names durable, and can do so in one go with those
/// of the manifests beside them.
protocol MetadataFileCatalog: Catalog {
  /// As `commit`; before anything is published, all names in `folders` are durable.
  func commit(
    _ changes: [TableChange], synchronizing folders: Set<String>
  ) throws(IcebergError) -> [TableState]

  var clock: any WallClock { get }

  /// The table's own way to files: what it may use, and nothing else.
  func tableIO(_ state: TableState) throws(IcebergError) -> FileIO
}

extension MetadataFileCatalog {
  func table(
    _ identifier: TableIdentifier, _ state: TableState
  ) throws(IcebergError) -> Table {
    Table(
      identifier: identifier, state: state, catalog: self, io: try tableIO(state), clock: clock)
  }

  /// Writes what the tables of the changes become, as `FileIO.write` does.
  func write(
    _ states: [TableState], replacing changes: [TableChange], synchronizing folders: Set<String>
  ) throws(IcebergError) -> [(io: FileIO, state: TableState)] {
    var files: [(io: FileIO, state: TableState)] = []
    for (change, state) in zip(changes, states) { files.append((try tableIO(change.base), state)) }
    try FileIO.write(files, synchronizing: folders)
    return files
  }
}
