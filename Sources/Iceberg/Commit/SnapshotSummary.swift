/// Counts what a commit adds and removes, for the snapshot's summary.
struct SnapshotSummary {
  private struct Counts {
    var dataFiles: Int64 = 0
    var deleteFiles: Int64 = 0
    var positionDeleteFiles: Int64 = 0
    var deletionVectors: Int64 = 0
    var equalityDeleteFiles: Int64 = 0
    var records: Int64 = 0
    var positionDeletes: Int64 = 0
    var equalityDeletes: Int64 = 0
    var sizeBytes: Int64 = 0

    mutating func add(_ file: DataFile) {
      // Deletion vectors share a file, so each counts by its own part.
      sizeBytes &+= file.isDeletionVector ? file.contentSizeInBytes ?? 0 : file.fileSizeInBytes
      switch file.content {
      case .data:
        dataFiles += 1
        records &+= file.recordCount
      case .positionDeletes:
        deleteFiles += 1
        if file.isDeletionVector { deletionVectors += 1 } else { positionDeleteFiles += 1 }
        positionDeletes &+= file.recordCount
      case .equalityDeletes:
        deleteFiles += 1
        equalityDeleteFiles += 1
        equalityDeletes &+= file.recordCount
      }
    }

    mutating func add(_ other: Counts) {
      dataFiles += other.dataFiles
      deleteFiles += other.deleteFiles
      positionDeleteFiles += other.positionDeleteFiles
      deletionVectors += other.deletionVectors
      equalityDeleteFiles += other.equalityDeleteFiles
      records &+= other.records
      positionDeletes &+= other.positionDeletes
      equalityDeletes &+= other.equalityDeletes
      sizeBytes &+= other.sizeBytes
    }
  }

  private var added = Counts()
  private var removed = Counts()
  private var partitions: Set<PartitionKey> = []

  mutating func add(_ file: DataFile) {
    added.add(file)
    partitions.insert(file.partitionKey)
  }

  mutating func remove(_ file: DataFile) {
    removed.add(file)
    partitions.insert(file.partitionKey)
  }

  mutating func add(_ other: SnapshotSummary) {
    added.add(other.added)
    removed.add(other.removed)
    partitions.formUnion(other.partitions)
  }

  var addedRecords: Int64 { added.records }
  var removedRecords: Int64 { removed.records }

  /// The summary's entries, without `operation`.
  ///
  /// - Parameter previous: the branch head's summary; nil when there is no head, and totals start
  ///   at zero. A total that was missing stays missing: a made-up one would be wrong for ever.
  func entries(previous: [String: String]?) -> [String: String] {
    var entries: [String: String] = [:]
    func set(_ key: String, _ value: Int64) { if value > 0 { entries[key] = String(value) } }
    set("added-data-files", added.dataFiles)
    set("added-delete-files", added.deleteFiles)
    set("added-position-delete-files", added.positionDeleteFiles)
    set("added-dvs", added.deletionVectors)
    set("added-equality-delete-files", added.equalityDeleteFiles)
    set("added-records", added.records)
    set("added-position-deletes", added.positionDeletes)
    set("added-equality-deletes", added.equalityDeletes)
    set("added-files-size", added.sizeBytes)
    set("deleted-data-files", removed.dataFiles)
    set("removed-delete-files", removed.deleteFiles)
    set("removed-position-delete-files", removed.positionDeleteFiles)
    set("removed-dvs", removed.deletionVectors)
    set("removed-equality-delete-files", removed.equalityDeleteFiles)
    set("deleted-records", removed.records)
    set("removed-position-deletes", removed.positionDeletes)
    set("removed-equality-deletes", removed.equalityDeletes)
    set("removed-files-size", removed.sizeBytes)
    entries["changed-partition-count"] = String(partitions.count)
    func total(_ key: String, _ added: Int64, _ removed: Int64) {
      let start: Int64? =
        if let previous { previous[key].flatMap { Int64($0) } } else { 0 }
      guard let start else { return }
      let (sum, overflow) = start.addingReportingOverflow(added &- removed)
      if !overflow, sum >= 0 { entries[key] = String(sum) }
    }
    total("total-records", added.records, removed.records)
    total("total-files-size", added.sizeBytes, removed.sizeBytes)
    total("total-data-files", added.dataFiles, removed.dataFiles)
    total("total-delete-files", added.deleteFiles, removed.deleteFiles)
    total("total-position-deletes", added.positionDeletes, removed.positionDeletes)
    total("total-equality-deletes", added.equalityDeletes, removed.equalityDeletes)
    return entries
  }
}
