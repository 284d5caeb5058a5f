/// What a table is made of, as its metadata says: the metadata tables of other engines, as calls.
///
/// What is about one version of the table follows `version`. Reads manifests one at a time, so memory
/// is that of a manifest and of the answer.
public struct TableInspection: Sendable {
  public let table: Table
  /// The version that `manifests`, `entries`, `files` and `partitions` are about.
  public var version = TableScan.Version.current

  public init(_ table: Table) { self.table = table }

  /// All snapshots, in the order in which they were added.
  public var snapshots: [Snapshot] { table.metadata.snapshots }

  /// When a snapshot became the current one.
  public struct HistoryEntry: Hashable, Sendable {
    public var madeCurrentMilliseconds: Int64
    public var snapshotID: Int64
    /// nil where there is none, or the snapshot was expired.
    public var parentSnapshotID: Int64?
    /// Whether the current snapshot comes from it; false for what was rolled back.
    public var isCurrentAncestor: Bool
  }

  public var history: [HistoryEntry] {
    let metadata = table.metadata
    let ancestors = Set(metadata.ancestors(of: metadata.currentSnapshotID).map(\.snapshotID))
    return metadata.snapshotLog.map { entry in
      HistoryEntry(
        madeCurrentMilliseconds: entry.timestampMilliseconds, snapshotID: entry.snapshotID,
        parentSnapshotID: metadata.snapshot(id: entry.snapshotID)?.parentSnapshotID,
        isCurrentAncestor: ancestors.contains(entry.snapshotID))
    }
  }

  /// A branch or a tag, by name.
  public struct NamedReference: Hashable, Sendable {
    public var name: String
    public var reference: SnapshotReference
  }

  public var references: [NamedReference] {
    table.metadata.references.sorted { $0.key < $1.key }
      .map { NamedReference(name: $0.key, reference: $0.value) }
  }

  /// A version of the metadata, and what was newest in it.
  public struct MetadataVersion: Hashable, Sendable {
    public var timestampMilliseconds: Int64
    public var file: String
    public var snapshot: Snapshot?
  }

  /// The metadata files that the table remembers, the current one last.
  public var metadataLog: [MetadataVersion] {
    let metadata = table.metadata
    let current = MetadataLogEntry(
      timestampMilliseconds: metadata.lastUpdatedMilliseconds,
      metadataFile: table.metadataLocation)
    return (metadata.metadataLog + [current]).map { entry in
      MetadataVersion(
        timestampMilliseconds: entry.timestampMilliseconds, file: entry.metadataFile,
        snapshot: metadata.snapshot(asOfMilliseconds: entry.timestampMilliseconds))
    }
  }
}

// What is in one version.
extension TableInspection {
  private var scan: TableScan {
    var scan = table.newScan()
    scan.version = version
    return scan
  }

  public func manifests() throws(IcebergError) -> [ManifestFile] {
    guard let snapshot = try scan.snapshot() else { return [] }
    return try ManifestStore(io: table.io).manifests(of: snapshot)
  }

  /// Every line of every manifest, deleted files included, in the manifests' order.
  public func entries(
    _ body: (ManifestEntry, ManifestFile) throws(IcebergError) -> Void
  ) throws(IcebergError) {
    let store = ManifestStore(io: table.io)
    for manifest in try manifests() {
      for entry in try store.entries(of: manifest, metadata: table.metadata) {
        try body(entry, manifest)
      }
    }
  }

  public func entries() throws(IcebergError) -> [ManifestEntry] {
    var all: [ManifestEntry] = []
    try entries { entry, _ in all.append(entry) }
    return all
  }

  /// The live data and delete files.
  public func files() throws(IcebergError) -> [DataFile] {
    var files: [DataFile] = []
    try entries { entry, _ in if entry.isLive { files.append(entry.dataFile) } }
    return files
  }

  /// What one partition holds. Files of another spec are another partition.
  public struct Partition: Hashable, Sendable {
    public var specID: Int32
    public var values: [Literal?]
    /// Rows of data files; deleted ones count.
    public var recordCount: Int64 = 0
    public var dataFileCount: Int64 = 0
    public var dataFileBytes: Int64 = 0
    public var positionDeleteRecordCount: Int64 = 0
    public var positionDeleteFileCount: Int64 = 0
    public var deletionVectorCount: Int64 = 0
    public var equalityDeleteRecordCount: Int64 = 0
    public var equalityDeleteFileCount: Int64 = 0
    /// The newest snapshot that added a file to it, as far as it is still there.
    public var lastUpdatedMilliseconds: Int64?
    public var lastUpdatedSnapshotID: Int64?

    fileprivate mutating func add(_ file: DataFile, _ snapshot: Snapshot?) {
      switch file.content {
      case .data:
        recordCount &+= file.recordCount
        dataFileCount += 1
        dataFileBytes &+= file.fileSizeInBytes
      case .positionDeletes:
        positionDeleteRecordCount &+= file.recordCount
        if file.isDeletionVector {
          deletionVectorCount += 1
        } else {
          positionDeleteFileCount += 1
        }
      case .equalityDeletes:
        equalityDeleteRecordCount &+= file.recordCount
        equalityDeleteFileCount += 1
      }
      guard let snapshot else { return }
      if lastUpdatedMilliseconds ?? .min < snapshot.timestampMilliseconds {
        lastUpdatedMilliseconds = snapshot.timestampMilliseconds
        lastUpdatedSnapshotID = snapshot.snapshotID
      }
    }
  }

  /// The partitions that have files, by spec and values, nulls first.
  public func partitions() throws(IcebergError) -> [Partition] {
    let snapshots = Dictionary(
      table.metadata.snapshots.map { ($0.snapshotID, $0) }, uniquingKeysWith: { $1 })
    var found: [PartitionKey: Partition] = [:]
    let store = ManifestStore(io: table.io)
    for manifest in try manifests() {
      for entry in try store.entries(
        of: manifest, metadata: table.metadata, statistics: .none) where entry.isLive
      {
        let key = entry.dataFile.partitionKey
        found[key, default: Partition(specID: key.specID, values: key.values)]
          .add(entry.dataFile, entry.snapshotID.flatMap { snapshots[$0] })
      }
    }
    return found.values.sorted { left, right in
      if left.specID != right.specID { return left.specID < right.specID }
      for (one, other) in zip(left.values, right.values) where one != other {
        guard let one else { return true }
        guard let other else { return false }
        return one.precedes(other)
      }
      return false
    }
  }
}
