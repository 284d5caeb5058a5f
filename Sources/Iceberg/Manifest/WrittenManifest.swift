/// What a manifest list says about a manifest that was just written.
public struct WrittenManifest: Hashable, Sendable {
  public internal(set) var content: ManifestContent = .data
  public internal(set) var partitionSpecID: Int32 = 0
  /// The manifest's size in bytes.
  public internal(set) var length: Int64 = 0
  public internal(set) var addedFilesCount: Int32 = 0
  public internal(set) var existingFilesCount: Int32 = 0
  public internal(set) var deletedFilesCount: Int32 = 0
  public internal(set) var addedRowsCount: Int64 = 0
  public internal(set) var existingRowsCount: Int64 = 0
  public internal(set) var deletedRowsCount: Int64 = 0
  /// The lowest explicit data sequence number of a live entry; nil when all are to be inherited.
  public internal(set) var minSequenceNumber: Int64?
  public internal(set) var partitions: [PartitionFieldSummary] = []

  mutating func count(_ entry: ManifestEntry) throws(IcebergError) {
    let rows = entry.dataFile.recordCount
    switch entry.status {
    case .added: try add(rows, \.addedFilesCount, \.addedRowsCount)
    case .existing: try add(rows, \.existingFilesCount, \.existingRowsCount)
    case .deleted: try add(rows, \.deletedFilesCount, \.deletedRowsCount)
    }
    if entry.isLive, let number = entry.sequenceNumber {
      minSequenceNumber = min(minSequenceNumber ?? number, number)
    }
  }

  private mutating func add(
    _ rows: Int64, _ files: WritableKeyPath<WrittenManifest, Int32>,
    _ total: WritableKeyPath<WrittenManifest, Int64>
  ) throws(IcebergError) {
    let (count, tooManyFiles) = self[keyPath: files].addingReportingOverflow(1)
    let (sum, tooManyRows) = self[keyPath: total].addingReportingOverflow(rows)
    guard !tooManyFiles, !tooManyRows else {
      throw IcebergError(.invalidArgument, "a manifest's counts go beyond their types")
    }
    self[keyPath: files] = count
    self[keyPath: total] = sum
  }

  /// The manifest's line in a manifest list; its sequence number is resolved when the list is
  /// written.
  public func manifestFile(path: String, addedSnapshotID: Int64) -> ManifestFile {
    var file = ManifestFile(
      path: path, length: length, partitionSpecID: partitionSpecID, content: content,
      minSequenceNumber: minSequenceNumber ?? ManifestFile.unassignedSequenceNumber,
      addedSnapshotID: addedSnapshotID)
    file.addedFilesCount = addedFilesCount
    file.existingFilesCount = existingFilesCount
    file.deletedFilesCount = deletedFilesCount
    file.addedRowsCount = addedRowsCount
    file.existingRowsCount = existingRowsCount
    file.deletedRowsCount = deletedRowsCount
    file.partitions = partitions
    return file
  }
}

/// Gathers the range of one partition field. Bounds are never truncated: a bound that does not
/// bound loses rows.
struct PartitionSummaryBuilder: Sendable {
  private var containsNull = false
  private var containsNaN = false
  private var lower: Literal?
  private var upper: Literal?

  mutating func add(_ value: Literal?) {
    guard let value else {
      containsNull = true
      return
    }
    if value.isNaN {
      containsNaN = true
      return
    }
    if lower.map({ value.precedes($0) }) ?? true { lower = value }
    if upper.map({ $0.precedes(value) }) ?? true { upper = value }
  }

  var summary: PartitionFieldSummary {
    PartitionFieldSummary(
      containsNull: containsNull, containsNaN: containsNaN, lowerBound: lower?.boundBytes,
      upperBound: upper?.boundBytes)
  }
}
