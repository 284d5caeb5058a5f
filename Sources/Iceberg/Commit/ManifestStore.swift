/// Reads and writes a table's manifests and manifest lists.
struct ManifestStore {
  let io: FileIO

  /// The largest manifest or manifest list that is read.
  static let maximumSizeBytes: Int64 = 1 << 30

  /// The manifests of a snapshot, newest first as its list has them.
  func manifests(of snapshot: Snapshot) throws(IcebergError) -> [ManifestFile] {
    guard let location = snapshot.manifestList else {
      var manifests: [ManifestFile] = []
      for path in snapshot.manifests { manifests.append(try embedded(path, snapshot)) }
      return manifests
    }
    do {
      return try ManifestList.read(
        try io.readAll(location, maximumSizeBytes: ManifestStore.maximumSizeBytes),
        location: location)
    } catch { throw error.adding("manifest list", location) }
  }

  /// A manifest that a snapshot of format version 1 names itself; its own header says the rest.
  private func embedded(
    _ path: String, _ snapshot: Snapshot
  ) throws(IcebergError) -> ManifestFile {
    do throws(IcebergError) {
      let bytes = try io.readAll(path, maximumSizeBytes: ManifestStore.maximumSizeBytes)
      return ManifestFile(
        path: path, length: Int64(bytes.count),
        partitionSpecID: try ManifestReader.partitionSpecID(bytes), sequenceNumber: 0,
        minSequenceNumber: 0, addedSnapshotID: snapshot.snapshotID)
    } catch { throw error.adding("manifest", path) }
  }

  /// The manifest with counts of files and rows; where the list did not know them, as in format
  /// version 1, they are counted. A list that we write must not say zero for "unknown".
  func counted(
    _ manifest: ManifestFile, metadata: TableMetadata
  ) throws(IcebergError) -> ManifestFile {
    guard
      manifest.addedFilesCount == nil || manifest.existingFilesCount == nil
        || manifest.deletedFilesCount == nil || manifest.addedRowsCount == nil
        || manifest.existingRowsCount == nil || manifest.deletedRowsCount == nil
    else { return manifest }
    var summary = WrittenManifest()
    for entry in try entries(of: manifest, metadata: metadata, statistics: .none) {
      try summary.count(entry)
    }
    var counted = manifest
    counted.addedFilesCount = summary.addedFilesCount
    counted.existingFilesCount = summary.existingFilesCount
    counted.deletedFilesCount = summary.deletedFilesCount
    counted.addedRowsCount = summary.addedRowsCount
    counted.existingRowsCount = summary.existingRowsCount
    counted.deletedRowsCount = summary.deletedRowsCount
    return counted
  }

  /// All entries of a manifest, with what they inherit filled in.
  func entries(
    of manifest: ManifestFile, metadata: TableMetadata,
    statistics: ManifestReader.Statistics = .all
  ) throws(IcebergError) -> [ManifestEntry] {
    var reader = try reader(of: manifest, metadata: metadata, statistics: statistics)
    return try reader.readAll()
  }

  /// Reads a manifest's entries one by one; its bytes, compressed, are in memory.
  func reader(
    of manifest: ManifestFile, metadata: TableMetadata, statistics: ManifestReader.Statistics
  ) throws(IcebergError) -> ManifestReader {
    let bytes: [UInt8]
    do {
      bytes = try io.readAll(manifest.path, maximumSizeBytes: ManifestStore.maximumSizeBytes)
    } catch { throw error.adding("manifest", manifest.path) }
    return try ManifestReader(
      bytes: bytes, manifest: manifest,
      spec: metadata.partitionSpec(id: manifest.partitionSpecID), schema: metadata.currentSchema,
      statistics: statistics)
  }

  /// Writes a manifest, durable when the caller has made it so.
  func write(
    _ entries: [ManifestEntry], to location: String, specID: Int32, metadata: TableMetadata,
    snapshotID: Int64, content: ManifestContent, into files: UnpublishedFiles
  ) throws(IcebergError) -> ManifestFile {
    var writer = try writer(specID: specID, metadata: metadata, content: content)
    for entry in entries { try writer.add(entry) }
    return try write(writer, to: location, snapshotID: snapshotID, into: files)
  }

  /// For a manifest whose entries come one by one.
  func writer(
    specID: Int32, metadata: TableMetadata, content: ManifestContent
  ) throws(IcebergError) -> ManifestWriter {
    guard let spec = metadata.partitionSpec(id: specID) else {
      throw IcebergError(.invalidArgument, "the table has no partition spec \(specID)")
    }
    return try ManifestWriter(
      schema: metadata.currentSchema, spec: spec, content: content,
      formatVersion: metadata.formatVersion)
  }

  /// Writes the manifest that a writer has the entries of.
  func write(
    _ writer: consuming ManifestWriter, to location: String, snapshotID: Int64,
    into files: UnpublishedFiles
  ) throws(IcebergError) -> ManifestFile {
    let (bytes, summary) = try writer.finish(location: location)
    try files.write(location, bytes)
    return summary.manifestFile(path: location, addedSnapshotID: snapshotID)
  }

  /// Writes a manifest list, durable when the caller has made it so.
  ///
  /// - Returns: the first row id that is free after it; nil where no row ids are assigned.
  func writeList(
    _ manifests: [ManifestFile], to location: String, snapshotID: Int64,
    parentSnapshotID: Int64?, sequenceNumber: Int64, formatVersion: Int, firstRowID: Int64?,
    into files: UnpublishedFiles
  ) throws(IcebergError) -> Int64? {
    let firstRowID = formatVersion >= 3 ? firstRowID ?? 0 : nil
    let bytes = try ManifestList.write(
      manifests, snapshotID: snapshotID, parentSnapshotID: parentSnapshotID,
      sequenceNumber: sequenceNumber, formatVersion: formatVersion, firstRowID: firstRowID,
      location: location)
    try files.write(location, bytes)
    return try ManifestList.resolve(
      manifests, snapshotID: snapshotID, sequenceNumber: sequenceNumber, firstRowID: firstRowID
    ).nextRowID
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
