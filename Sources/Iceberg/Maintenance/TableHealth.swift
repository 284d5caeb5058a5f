public import JSON
internal import Storage

/// How a table is doing, as far as maintenance goes: file sizes, deletes, growth, and what `optimize` would gain.
///
/// A value that is computed once. Costs a plan of the table: every manifest of the current snapshot is read once;
/// memory is that of the plan.
public struct TableHealth: Hashable, Sendable {
  /// Files of a range of sizes.
  public struct SizeBucket: Hashable, Sendable {
    /// Files smaller than this and not in the bucket before; nil: all that are larger.
    public var upperBoundBytes: Int64?
    public var fileCount = 0
    public var bytes: Int64 = 0
  }

  /// The table after one commit.
  public struct GrowthPoint: Hashable, Sendable {
    public var timestampMilliseconds: Int64
    public var dataFileCount: Int64
    public var dataFileBytes: Int64
    public var recordCount: Int64
  }

  public var dataFileCount = 0
  public var dataFileBytes: Int64 = 0
  public var recordCount: Int64 = 0
  public var sizeBuckets: [SizeBucket]
  /// Data files below the smallest size that optimize leaves alone.
  public var smallFileCount = 0
  public var smallFileSizeBytes: Int64 = 0
  /// Delete files and deletion vectors that apply to data files.
  public var deleteFileCount = 0
  public var deleteRecordCount: Int64 = 0
  /// What optimize would rewrite, and into how many files.
  public var rewrittenFileCount = 0
  public var rewrittenBytes: Int64 = 0
  public var expectedOutputFileCount: Int64 = 0
  public var manifestCount = 0
  public var manifestBytes: Int64 = 0
  public var snapshotCount: Int
  public var referenceCount: Int
  public var oldestSnapshotMilliseconds: Int64?
  public var newestSnapshotMilliseconds: Int64?
  /// The current metadata file's size.
  public var metadataBytes: Int64 = 0
  public var metadataLogCount: Int
  /// The retained snapshots' totals, in the order of their commits.
  public var growth: [GrowthPoint] = []

  /// Upper bounds of the buckets: powers of four from 16 KiB to 1 GiB.
  static let bucketBounds: [Int64] = (0..<9).map { 16_384 << (2 * $0) }

  /// - Parameter options: of the rewrite that is weighed, by Iceberg's names.
  public init(_ table: Table, options: [String: String] = [:]) throws(IcebergError) {
    let chosen = try RewriteDataFilesOptions(options, tableProperties: table.properties)
    let metadata = table.metadata
    sizeBuckets =
      Self.bucketBounds.map { SizeBucket(upperBoundBytes: $0) } + [SizeBucket(upperBoundBytes: nil)]
    snapshotCount = metadata.snapshots.count
    referenceCount = metadata.references.count
    metadataLogCount = metadata.metadataLog.count
    oldestSnapshotMilliseconds = metadata.snapshots.map(\.timestampMilliseconds).min()
    newestSnapshotMilliseconds = metadata.snapshots.map(\.timestampMilliseconds).max()
    metadataBytes = try table.io.information(table.metadataLocation)?.sizeBytes ?? 0
    for manifest in try TableInspection(table).manifests() {
      manifestCount += 1
      manifestBytes = manifestBytes.addingSaturated(manifest.length)
    }
    for snapshot in metadata.snapshots.sorted(by: { $0.sequenceNumber < $1.sequenceNumber }) {
      if let point = GrowthPoint(snapshot) { growth.append(point) }
    }
    // Tables of the first version are looked at, too, though not rewritten.
    guard metadata.formatVersion >= 2 else {
      try add(table.newScan().planFiles().tasks, chosen)
      return
    }
    var rewrite = try RewriteDataFiles(table, options: chosen)
    rewrite.plannedFileLimit = .max
    let plan = try rewrite.plan()
    try add(Array(plan.tasks.values), chosen)
    rewrittenFileCount = plan.files.fileCount
    rewrittenBytes = plan.files.sizeBytes
    expectedOutputFileCount = plan.files.groups.reduce(0) {
      $0.addingSaturated($1.expectedOutputFiles)
    }
  }

  private mutating func add(
    _ tasks: [FileScanTask], _ options: RewriteDataFilesOptions
  ) throws(IcebergError) {
    var deletes: Set<String> = []
    for task in tasks {
      let file = task.dataFile
      let size = file.fileSizeInBytes
      dataFileCount += 1
      dataFileBytes = dataFileBytes.addingSaturated(size)
      recordCount = recordCount.addingSaturated(file.recordCount)
      let index = Self.bucketBounds.firstIndex { size < $0 } ?? Self.bucketBounds.count
      sizeBuckets[index].fileCount += 1
      sizeBuckets[index].bytes = sizeBuckets[index].bytes.addingSaturated(size)
      if size < options.minFileSizeBytes { smallFileCount += 1 }
      for delete in task.deletes where deletes.insert(delete.dataFile.identity).inserted {
        deleteFileCount += 1
        deleteRecordCount = deleteRecordCount.addingSaturated(delete.dataFile.recordCount)
      }
    }
    smallFileSizeBytes = options.minFileSizeBytes
  }

  /// Records of delete files per hundred records of data files, rounded down. An equality delete's record may
  /// delete any number of rows, so with those it is a lower bound.
  public var deletePercent: Int64 {
    guard recordCount > 0 else { return deleteRecordCount > 0 ? 100 : 0 }
    return Int64(Double(deleteRecordCount) / Double(recordCount) * 100)
  }

  /// How many times fewer files a full scan opens after optimize; 1 when there is nothing to do.
  public var fileCountGain: Double {
    let after = Int64(dataFileCount - rewrittenFileCount).addingSaturated(expectedOutputFileCount)
    guard rewrittenFileCount > 0, after > 0 else { return 1 }
    return Double(dataFileCount) / Double(after)
  }

  public var json: JSONValue {
    let buckets = sizeBuckets.map { bucket -> JSONValue in
      [
        "below-bytes": bucket.upperBoundBytes.map { .integer($0) } ?? .null,
        "files": .integer(Int64(bucket.fileCount)), "bytes": .integer(bucket.bytes),
      ]
    }
    let growth = self.growth.map { point -> JSONValue in
      [
        "timestamp-ms": .integer(point.timestampMilliseconds),
        "data-files": .integer(point.dataFileCount), "bytes": .integer(point.dataFileBytes),
        "records": .integer(point.recordCount),
      ]
    }
    return [
      "data-files": .integer(Int64(dataFileCount)), "bytes": .integer(dataFileBytes),
      "records": .integer(recordCount), "file-sizes": .array(buckets),
      "small-files": .integer(Int64(smallFileCount)),
      "small-file-size-bytes": .integer(smallFileSizeBytes),
      "delete-files": .integer(Int64(deleteFileCount)),
      "delete-records": .integer(deleteRecordCount),
      "delete-percent": .integer(deletePercent),
      "optimize": [
        "rewritten-files": .integer(Int64(rewrittenFileCount)),
        "rewritten-bytes": .integer(rewrittenBytes),
        "expected-output-files": .integer(expectedOutputFileCount),
        "file-count-gain": .double(fileCountGain),
      ],
      "manifests": .integer(Int64(manifestCount)), "manifest-bytes": .integer(manifestBytes),
      "snapshots": .integer(Int64(snapshotCount)),
      "references": .integer(Int64(referenceCount)),
      "oldest-snapshot-ms": oldestSnapshotMilliseconds.map { .integer($0) } ?? .null,
      "newest-snapshot-ms": newestSnapshotMilliseconds.map { .integer($0) } ?? .null,
      "metadata-bytes": .integer(metadataBytes),
      "metadata-log": .integer(Int64(metadataLogCount)), "growth": .array(growth),
    ]
  }
}

extension TableHealth.GrowthPoint {
  /// nil for a snapshot whose writer has left out the totals.
  fileprivate init?(_ snapshot: Snapshot) {
    guard let files = snapshot.summary["total-data-files"].flatMap({ Int64($0) }),
      let records = snapshot.summary["total-records"].flatMap({ Int64($0) })
    else { return nil }
    self.init(
      timestampMilliseconds: snapshot.timestampMilliseconds, dataFileCount: files,
      dataFileBytes: snapshot.summary["total-files-size"].flatMap { Int64($0) } ?? 0,
      recordCount: records)
  }
}

extension DataFile {
  /// A deletion vector is one of several blobs in a file.
  fileprivate var identity: String {
    contentOffset.map { "\(path)#\($0)" } ?? path
  }
}
