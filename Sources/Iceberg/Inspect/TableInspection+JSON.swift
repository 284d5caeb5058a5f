public import JSON

// What the inspection says, in the words of other engines' metadata tables.
extension TableInspection {
  public func json(_ entry: HistoryEntry) -> JSONValue {
    [
      "made-current-at": .integer(entry.madeCurrentMilliseconds),
      "snapshot-id": .integer(entry.snapshotID),
      "parent-id": entry.parentSnapshotID.map { .integer($0) } ?? .null,
      "is-current-ancestor": .bool(entry.isCurrentAncestor),
    ]
  }

  public func json(_ entry: NamedReference) -> JSONValue {
    var object: JSONObject = ["name": .string(entry.name)]
    for (key, value) in entry.reference.json.objectValue?.members ?? zip([], []) {
      object[key] = value
    }
    return .object(object)
  }

  public func json(_ entry: MetadataVersion) -> JSONValue {
    [
      "timestamp": .integer(entry.timestampMilliseconds), "file": .string(entry.file),
      "latest-snapshot-id": entry.snapshot.map { .integer($0.snapshotID) } ?? .null,
      "latest-schema-id": entry.snapshot?.schemaID.map { .integer(Int64($0)) } ?? .null,
      "latest-sequence-number": entry.snapshot.map { .integer($0.sequenceNumber) } ?? .null,
    ]
  }

  public func json(_ manifest: ManifestFile) -> JSONValue {
    func count(_ value: Int64?) -> JSONValue { value.map { .integer($0) } ?? .null }
    func count(_ value: Int32?) -> JSONValue { value.map { .integer(Int64($0)) } ?? .null }
    let spec = table.metadata.partitionSpec(id: manifest.partitionSpecID)
    let types = spec?.partitionTypes(schema: table.schema) ?? []
    var summaries: [JSONValue] = []
    for (index, summary) in (manifest.partitions ?? []).enumerated() {
      let type = types.indices.contains(index) ? types[index] : nil
      summaries.append([
        "contains-null": .bool(summary.containsNull),
        "contains-nan": summary.containsNaN.map { .bool($0) } ?? .null,
        "lower-bound": TableInspection.bound(summary.lowerBound, type),
        "upper-bound": TableInspection.bound(summary.upperBound, type),
      ])
    }
    return [
      "content": .string(manifest.content.text), "path": .string(manifest.path),
      "length": .integer(manifest.length),
      "partition-spec-id": .integer(Int64(manifest.partitionSpecID)),
      "sequence-number": .integer(manifest.sequenceNumber),
      "min-sequence-number": .integer(manifest.minSequenceNumber),
      "added-snapshot-id": .integer(manifest.addedSnapshotID),
      "added-files": count(manifest.addedFilesCount),
      "existing-files": count(manifest.existingFilesCount),
      "deleted-files": count(manifest.deletedFilesCount),
      "added-rows": count(manifest.addedRowsCount),
      "existing-rows": count(manifest.existingRowsCount),
      "deleted-rows": count(manifest.deletedRowsCount),
      "partition-summaries": .array(summaries),
      "first-row-id": count(manifest.firstRowID),
    ]
  }

  public func json(_ entry: ManifestEntry) -> JSONValue {
    [
      "status": .integer(Int64(entry.status.rawValue)),
      "snapshot-id": entry.snapshotID.map { .integer($0) } ?? .null,
      "sequence-number": entry.sequenceNumber.map { .integer($0) } ?? .null,
      "file-sequence-number": entry.fileSequenceNumber.map { .integer($0) } ?? .null,
      "data-file": json(entry.dataFile),
    ]
  }

  public func json(_ file: DataFile) -> JSONValue {
    func optional(_ value: Int64?) -> JSONValue { value.map { .integer($0) } ?? .null }
    return [
      "content": .integer(Int64(file.content.rawValue)), "path": .string(file.path),
      "format": .string(file.format.name), "spec-id": .integer(Int64(file.specID)),
      "partition": partition(file.specID, file.partition),
      "records": .integer(file.recordCount), "bytes": .integer(file.fileSizeInBytes),
      "columns": columns(file),
      "split-offsets": .array(file.splitOffsets.map { .integer($0) }),
      "equality-ids": .array(file.equalityIDs.map { .integer(Int64($0)) }),
      "sort-order-id": optional(file.sortOrderID.map { Int64($0) }),
      "first-row-id": optional(file.firstRowID),
      "referenced-data-file": file.referencedDataFile.map { .string($0) } ?? .null,
      "content-offset": optional(file.contentOffset),
      "content-size": optional(file.contentSizeInBytes),
    ]
  }

  public func json(_ partition: Partition) -> JSONValue {
    [
      "spec-id": .integer(Int64(partition.specID)),
      "partition": self.partition(partition.specID, partition.values),
      "records": .integer(partition.recordCount), "files": .integer(partition.dataFileCount),
      "bytes": .integer(partition.dataFileBytes),
      "position-delete-records": .integer(partition.positionDeleteRecordCount),
      "position-delete-files": .integer(partition.positionDeleteFileCount),
      "deletion-vectors": .integer(partition.deletionVectorCount),
      "equality-delete-records": .integer(partition.equalityDeleteRecordCount),
      "equality-delete-files": .integer(partition.equalityDeleteFileCount),
      "last-updated-at": partition.lastUpdatedMilliseconds.map { .integer($0) } ?? .null,
      "last-updated-snapshot-id": partition.lastUpdatedSnapshotID.map { .integer($0) } ?? .null,
    ]
  }

  /// A partition's values by the names of the spec's fields.
  private func partition(_ specID: Int32, _ values: [Literal?]) -> JSONValue {
    let fields = table.metadata.partitionSpec(id: specID)?.fields ?? []
    return .object(JSONObject(zip(fields, values).map { ($0.name, $1?.json ?? .null) }))
  }

  /// Counts and bounds by column, for the columns that the schema has.
  private func columns(_ file: DataFile) -> JSONValue {
    var columns: [(String, JSONValue)] = []
    for id in table.schema.allFieldIDs.sorted() {
      guard let name = table.schema.name(ofID: id), let field = table.schema.field(id: id),
        field.type.isPrimitive
      else { continue }
      var object = JSONObject()
      for (key, map) in [
        ("size", file.columnSizes), ("values", file.valueCounts), ("nulls", file.nullValueCounts),
        ("nans", file.nanValueCounts),
      ] {
        if let value = map[id] { object[key] = .integer(value) }
      }
      if let bound = file.lowerBounds[id] {
        object["lower"] = TableInspection.bound(bound, field.type)
      }
      if let bound = file.upperBounds[id] {
        object["upper"] = TableInspection.bound(bound, field.type)
      }
      if !object.isEmpty { columns.append((name, .object(object))) }
    }
    return .object(JSONObject(columns))
  }

  /// A bound as a value; null where it cannot be read.
  private static func bound(_ bytes: [UInt8]?, _ type: IcebergType?) -> JSONValue {
    guard let bytes, let type else { return .null }
    do { return try Literal(boundBytes: bytes, type: type).json } catch { return .null }
  }
}
