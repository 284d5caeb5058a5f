public import Avro
import JSON

/// The list of a snapshot's manifests.
public enum ManifestList {
  /// Writes a list.
  ///
  /// Manifests that have no sequence number yet get the commit's: this is where it becomes known,
  /// so that a retry rewrites this file alone.
  ///
  /// - Parameters:
  ///   - firstRowID: the snapshot's first row id, which format version 3 requires. Data manifests
  ///     without one are given theirs from it, in order.
  ///   - location: where it will be, if that is known: it is written down in it.
  public static func write(
    _ manifests: [ManifestFile], snapshotID: Int64, parentSnapshotID: Int64?,
    sequenceNumber: Int64, formatVersion: Int = 2, firstRowID: Int64? = nil,
    location: String? = nil, codec: AvroCodec = .deflate
  ) throws(IcebergError) -> [UInt8] {
    guard formatVersion == 2 || formatVersion == 3 else {
      throw IcebergError(
        .unsupported, "manifest lists of format version \(formatVersion) are not written")
    }
    let resolved = try resolve(
      manifests, snapshotID: snapshotID, sequenceNumber: sequenceNumber,
      firstRowID: formatVersion >= 3 ? firstRowID : nil
    ).manifests
    var generator = IdentifierGenerator()
    var file = AvroFileWriter(codec: codec, using: &generator)
    let texts = ManifestSchema.manifestFileTexts(formatVersion: formatVersion)
    var metadata = [
      ("snapshot-id", snapshotID.description),
      ("parent-snapshot-id", parentSnapshotID?.description ?? "null"),
      ("sequence-number", sequenceNumber.description),
      ("format-version", formatVersion.description),
      ("iceberg.schema", texts.iceberg),
    ]
    if formatVersion >= 3, let firstRowID {
      metadata.append(("first-row-id", firstRowID.description))
    }
    if let location { metadata.append(FileNameMark.entry(location)) }
    metadata.append(AvroChecksum.entry)
    do {
      for manifest in resolved {
        file.append { encoder in encoder.write(manifest, formatVersion: formatVersion) }
        try file.closeFullBlock()
      }
      return try AvroChecksum.seal(
        try file.finish(
          schemaText: texts.avro, metadata: metadata.map { (key: $0.0, value: $0.1) }))
    } catch {
      throw IcebergError(error)
    }
  }

  /// The manifests as the list will say them, and the first row id that is still free after them:
  /// nil when no row ids are assigned.
  public static func resolve(
    _ manifests: [ManifestFile], snapshotID: Int64, sequenceNumber: Int64, firstRowID: Int64?
  ) throws(IcebergError) -> (manifests: [ManifestFile], nextRowID: Int64?) {
    var resolved = manifests
    var nextRowID = firstRowID
    for index in resolved.indices {
      let isNew = resolved[index].sequenceNumber == ManifestFile.unassignedSequenceNumber
      if isNew {
        guard resolved[index].addedSnapshotID == snapshotID else {
          throw IcebergError(
            .invalidArgument, "only this commit's manifests may lack a sequence number",
            context: [.init("manifest", resolved[index].path)])
        }
        resolved[index].sequenceNumber = sequenceNumber
      }
      if resolved[index].minSequenceNumber == ManifestFile.unassignedSequenceNumber {
        resolved[index].minSequenceNumber = sequenceNumber
      }
      guard resolved[index].content == .data, resolved[index].firstRowID == nil,
        let rowID = nextRowID
      else { continue }
      let (rows, tooMany) = (resolved[index].addedRowsCount ?? 0)
        .addingReportingOverflow(resolved[index].existingRowsCount ?? 0)
      let (next, overflow) = rowID.addingReportingOverflow(rows)
      guard !tooMany, !overflow, rows >= 0 else {
        throw IcebergError(.invalidMetadata, "row ids go beyond 64 bits")
      }
      resolved[index].firstRowID = rowID
      nextRowID = next
    }
    return (resolved, nextRowID)
  }
}

extension AvroEncoder {
  fileprivate mutating func write(_ manifest: ManifestFile, formatVersion: Int) {
    writeString(manifest.path)
    writeLong(manifest.length)
    writeInt(manifest.partitionSpecID)
    writeInt(manifest.content.rawValue)
    writeLong(manifest.sequenceNumber)
    writeLong(manifest.minSequenceNumber)
    writeLong(manifest.addedSnapshotID)
    writeInt(manifest.addedFilesCount ?? 0)
    writeInt(manifest.existingFilesCount ?? 0)
    writeInt(manifest.deletedFilesCount ?? 0)
    writeLong(manifest.addedRowsCount ?? 0)
    writeLong(manifest.existingRowsCount ?? 0)
    writeLong(manifest.deletedRowsCount ?? 0)
    writePresence(manifest.partitions != nil)
    if let partitions = manifest.partitions {
      writeBlockCount(partitions.count)
      for summary in partitions {
        writeBoolean(summary.containsNull)
        writePresence(summary.containsNaN != nil)
        if let containsNaN = summary.containsNaN { writeBoolean(containsNaN) }
        writeOptional(summary.lowerBound)
        writeOptional(summary.upperBound)
      }
      writeBlockEnd()
    }
    writeOptional(manifest.keyMetadata)
    if formatVersion >= 3 { writeOptional(manifest.firstRowID) }
  }
}
