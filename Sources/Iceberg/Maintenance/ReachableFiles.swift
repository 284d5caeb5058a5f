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
  /// The manifests whose files are all in here, by their locations.
  private(set) var manifests: Set<String> = []
  /// Those that are not wanted here.
  private let others: [String: File]

  init() { others = [:] }

  /// Only what others do not hold.
  init(beyond others: ReachableFiles) {
    self.others = others.files
    manifests = others.manifests
  }

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

/// Adds what snapshots refer to; each manifest is read once, however many snapshots share it.
struct ReachabilityWalker {
  let names: TableFileNames
  let store: ManifestStore

  /// Adds what one snapshot refers to.
  ///
  /// - Parameter toleratesMissing: for a snapshot that is about to go: what is missing was cleaned by
  ///   an earlier run that did not come to its end.
  func add(
    _ snapshot: Snapshot, of metadata: TableMetadata, toleratesMissing: Bool,
    to files: inout ReachableFiles
  ) throws(IcebergError) {
    if let list = snapshot.manifestList { try files.insert(list, .manifestList, names) }
    let listed: [ManifestFile]
    do { listed = try store.manifests(of: snapshot) } catch {
      if toleratesMissing, error.kind == .notFound { return }
      throw unreadable(error, snapshot)
    }
    for manifest in listed where !files.manifests.contains(manifest.path) {
      try files.insert(manifest.path, .manifest, names)
      do {
        try add(manifest, of: metadata, to: &files)
      } catch {
        if toleratesMissing, error.kind == .notFound { continue }
        throw unreadable(error, snapshot)
      }
    }
  }

  private func add(
    _ manifest: ManifestFile, of metadata: TableMetadata, to files: inout ReachableFiles
  ) throws(IcebergError) {
    var reader = try store.reader(of: manifest, metadata: metadata, statistics: .none)
    while let entry = try reader.next() {
      guard entry.isLive else { continue }
      try files.insert(
        entry.dataFile.path, entry.dataFile.content == .data ? .data : .deletes, names)
    }
    files.finish(manifest)
  }

  private func unreadable(_ error: IcebergError, _ snapshot: Snapshot) -> IcebergError {
    var error = error
    error.message = "nothing is deleted, since a file of the table cannot be read: \(error.message)"
    return error.adding("snapshot", "\(snapshot.snapshotID)")
  }
}

extension ReachableFiles {
  fileprivate mutating func insert(_ name: String, _ kind: TableFileKind) {
    guard others[name] == nil, files[name] == nil else { return }
    files[name] = File(kind: kind, holder: holders.count - 1)
  }

  fileprivate mutating func finish(_ manifest: ManifestFile) { manifests.insert(manifest.path) }
}
