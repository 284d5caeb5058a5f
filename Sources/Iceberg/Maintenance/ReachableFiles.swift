/// The files that a table's metadata speaks of: the one walker that expiry and orphan removal share.
///
/// Reachable is what snapshots refer to: manifest lists, manifests, and the live entries of those
/// (an entry that says "deleted" is no reference). Beside that, metadata files of the log,
/// statistics, and the hint. If anything of a snapshot that is kept cannot be read, there is no
/// answer, and so nothing may be deleted.
struct ReachableFiles {
  struct File {
    var kind: TableFileKind
    /// Which of the holders named it first.
    var holder: Int
  }

  private(set) var files: [String: File] = [:]
  private(set) var holders: [FileHolder] = []

  func contains(_ name: String) -> Bool { files[name] != nil }

  func holder(of name: String) -> FileHolder? { files[name].map { holders[$0.holder] } }

  /// What is inserted from here on is held by this one.
  mutating func begin(_ holder: FileHolder) { holders.append(holder) }

  /// - Precondition: `begin` was called.
  mutating func insert(_ location: String, _ kind: TableFileKind, _ names: TableFileNames)
    throws(IcebergError)
  {
    insert(try names.name(of: location), kind)
  }

  /// What the metadata file itself names, without its snapshots.
  mutating func insertMetadata(
    _ metadata: TableMetadata, at location: String?, _ names: TableFileNames
  ) throws(IcebergError) {
    if let location { try insert(location, .metadata, names) }
    for entry in metadata.metadataLog { try insert(entry.metadataFile, .metadata, names) }
    for file in metadata.statistics + metadata.partitionStatistics {
      try insert(file.path, .statistics, names)
    }
    try insert(Location.join(metadata.metadataFolder, "version-hint.text"), .other, names)
  }

}

/// Reads each manifest once, however many snapshots share it.
struct ReachabilityWalker {
  let names: TableFileNames
  let store: ManifestStore
  private var manifests: [String: [(name: String, kind: TableFileKind)]] = [:]

  init(names: TableFileNames, store: ManifestStore) {
    self.names = names
    self.store = store
  }

  /// Adds what one snapshot refers to.
  ///
  /// - Parameter toleratesMissing: for a snapshot that is about to go: what is missing was cleaned by
  ///   an earlier run that did not come to its end.
  mutating func add(
    _ snapshot: Snapshot, of metadata: TableMetadata, toleratesMissing: Bool,
    to files: inout ReachableFiles
  ) throws(IcebergError) {
    if let list = snapshot.manifestList { try files.insert(list, .manifestList, names) }
    let listed: [ManifestFile]
    do { listed = try store.manifests(of: snapshot) } catch {
      if toleratesMissing, error.kind == .notFound { return }
      throw unreadable(error, snapshot)
    }
    for manifest in listed {
      try files.insert(manifest.path, .manifest, names)
      if manifests[manifest.path] == nil {
        do {
          manifests[manifest.path] = try content(of: manifest, metadata)
        } catch {
          if toleratesMissing, error.kind == .notFound { continue }
          throw unreadable(error, snapshot)
        }
      }
      for file in manifests[manifest.path] ?? [] { files.insert(file.name, file.kind) }
    }
  }

  private func content(
    of manifest: ManifestFile, _ metadata: TableMetadata
  ) throws(IcebergError) -> [(name: String, kind: TableFileKind)] {
    var content: [(name: String, kind: TableFileKind)] = []
    for entry in try store.entries(
      of: manifest, metadata: metadata, statistics: .none) where entry.isLive
    {
      let kind: TableFileKind = entry.dataFile.content == .data ? .data : .deletes
      content.append((try names.name(of: entry.dataFile.path), kind))
    }
    return content
  }

  private func unreadable(_ error: IcebergError, _ snapshot: Snapshot) -> IcebergError {
    var error = error
    error.message = "nothing is deleted, since a file of the table cannot be read: \(error.message)"
    return error.adding("snapshot", "\(snapshot.snapshotID)")
  }
}

extension ReachableFiles {
  fileprivate mutating func insert(_ name: String, _ kind: TableFileKind) {
    if files[name] == nil { files[name] = File(kind: kind, holder: holders.count - 1) }
  }
}
