import Storage

// Metadata files, for catalogs that keep them themselves.
extension FileIO {
  /// Writes a table's new metadata, durable before anybody can be told of it.
  func write(_ state: TableState) throws(IcebergError) {
    try FileIO.publish([(state, UnpublishedFiles(self))])
  }

  /// Writes the tables' new metadata behind the files that it speaks of, or leaves none behind. All are durable when
  /// this returns.
  static func publish(
    _ tables: [(state: TableState, files: UnpublishedFiles)]
  ) throws(IcebergError) {
    var contents: [[UInt8]] = []
    for (state, _) in tables {
      let text = state.text ?? MetadataText(state.metadata)
      contents.append(try text.content(state.metadata, at: state.metadataLocation))
    }
    // What a metadata file speaks of is never half written, even if a crash comes before the catalog knows of it.
    for (_, files) in tables { try files.synchronize() }
    do throws(IcebergError) {
      for ((state, files), content) in zip(tables, contents) {
        try files.write(state.metadataLocation, content)
      }
      for (_, files) in tables { try files.publish() }
    } catch {
      for (state, files) in tables { files.io.deleteAll([state.metadataLocation]) }
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

/// A catalog that writes metadata files itself. It makes them durable, and can do so together with the manifests
/// beside them.
protocol MetadataFileCatalog: Catalog {
  /// As `commit`; `files` are what each change speaks of, if there are new ones, and are durable before it happens.
  func commit(
    _ changes: [TableChange], publishing files: [UnpublishedFiles?]
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

  /// Writes what the tables of the changes become, as `FileIO.publish` does.
  func write(
    _ states: [TableState], replacing changes: [TableChange], publishing files: [UnpublishedFiles?]
  ) throws(IcebergError) -> [(io: FileIO, state: TableState)] {
    var written: [(io: FileIO, state: TableState)] = []
    var tables: [(state: TableState, files: UnpublishedFiles)] = []
    for (index, change) in changes.enumerated() {
      let io = try tableIO(change.base)
      written.append((io, states[index]))
      tables.append((states[index], files[index] ?? UnpublishedFiles(io)))
    }
    try FileIO.publish(tables)
    return written
  }
}
