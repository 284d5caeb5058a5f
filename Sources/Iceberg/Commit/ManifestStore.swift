/// Reads and writes a table's manifests and manifest lists.
struct ManifestStore {
  let io: FileIO

  private var unsupported: IcebergError {
    IcebergError(.unsupported, "snapshots with files are not supported yet")
  }

  func manifests(of snapshot: Snapshot) throws(IcebergError) -> [ManifestFile] {
    throw unsupported
  }

  func entries(
    of manifest: ManifestFile, metadata: TableMetadata
  ) throws(IcebergError) -> [ManifestEntry] {
    throw unsupported
  }

  func write(
    _ entries: [ManifestEntry], to location: String, specID: Int32, metadata: TableMetadata,
    snapshotID: Int64
  ) throws(IcebergError) -> ManifestFile {
    throw unsupported
  }

  func writeList(
    _ manifests: [ManifestFile], to location: String, snapshotID: Int64,
    parentSnapshotID: Int64?, sequenceNumber: Int64, formatVersion: Int, firstRowID: Int64?
  ) throws(IcebergError) -> Int64? {
    throw unsupported
  }
}

extension ManifestStore {
  /// Files in groups whose manifests come out at about `targetSizeBytes`, judged by what their
  /// entries hold before compression.
  static func chunks(_ files: [DataFile], targetSizeBytes: Int) -> [[DataFile]] {
    var chunks: [[DataFile]] = []
    var chunk: [DataFile] = []
    var size = 0
    for file in files {
      let maps =
        file.columnSizes.count + file.valueCounts.count + file.nullValueCounts.count
        + file.nanValueCounts.count + file.lowerBounds.count + file.upperBounds.count
      let estimate = 40 + file.path.utf8.count + 4 * maps
      if !chunk.isEmpty, size + estimate > targetSizeBytes {
        chunks.append(chunk)
        chunk = []
        size = 0
      }
      chunk.append(file)
      size += estimate
    }
    if !chunk.isEmpty { chunks.append(chunk) }
    return chunks
  }

  /// How many live files manifests have together; nil when one does not say.
  static func liveFiles(_ manifests: [ManifestFile]) -> Int64? {
    var sum: Int64 = 0
    for manifest in manifests {
      guard let added = manifest.addedFilesCount, let existing = manifest.existingFilesCount else {
        return nil
      }
      sum += Int64(added) + Int64(existing)
    }
    return sum
  }
}
