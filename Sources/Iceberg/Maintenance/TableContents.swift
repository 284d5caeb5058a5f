/// The files of which one version of a table consists, for those who copy it: its metadata file and all
/// that its snapshots refer to. Files of the metadata log, which only name what was, are left out.
public struct TableContents: Sendable {
  public struct File: Hashable, Sendable {
    /// Absolute, as the metadata spells it, with repeated slashes and `.` removed.
    public let path: String
    public let kind: TableFileKind
  }

  public let metadata: TableMetadata
  /// Each once; what is referred to before what refers to it, the metadata file last.
  public private(set) var files: [File] = []

  /// Cost: reads every manifest of every snapshot.
  ///
  /// - Throws: `notFound` when a file is missing; it may have been cleaned away since the version was
  ///   current.
  public init(metadataLocation: String, io: FileIO) throws(IcebergError) {
    do {
      metadata = try TableMetadata(
        fileContent: io.readAll(
          metadataLocation, maximumSizeBytes: Int64(TableMetadata.maximumSizeBytes)))
    } catch { throw error.adding("metadata", metadataLocation) }
    let store = ManifestStore(io: io)
    var found: [TableFileKind: [File]] = [:]
    var seen: Set<String> = []
    func add(_ location: String, _ kind: TableFileKind) throws(IcebergError) -> Bool {
      let path = try Location.comparable(io.path(of: location))
      guard seen.insert(path).inserted else { return false }
      found[kind, default: []].append(File(path: path, kind: kind))
      return true
    }
    for snapshot in metadata.snapshots {
      for manifest in try store.manifests(of: snapshot)
      where try add(manifest.path, .manifest) {
        for entry in try store.entries(of: manifest, metadata: metadata, statistics: .none)
        where entry.isLive {
          let file = entry.dataFile
          _ = try add(file.path, file.content == .data ? .data : .deletes)
        }
      }
      if let list = snapshot.manifestList { _ = try add(list, .manifestList) }
    }
    for file in metadata.statistics + metadata.partitionStatistics {
      _ = try add(file.path, .statistics)
    }
    _ = try add(metadataLocation, .metadata)
    files = TableFileKind.deletionOrder.reversed().flatMap { found[$0] ?? [] }
  }
}
