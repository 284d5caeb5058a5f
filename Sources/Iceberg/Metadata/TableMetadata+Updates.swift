extension TableMetadata {
  /// The metadata after `updates`, in their order.
  ///
  /// - Parameters:
  ///   - nowMilliseconds: the wall clock; time in the metadata never goes backwards, whatever it
  ///     says.
  ///   - previousLocation: where this metadata is stored, for the metadata log.
  public func applying(
    _ updates: [TableUpdate], nowMilliseconds: Int64, previousLocation: String?
  ) throws(IcebergError) -> TableMetadata {
    var builder = MetadataBuilder(base: self, nowMilliseconds: nowMilliseconds)
    for update in updates { try builder.apply(update) }
    return builder.finish(previousLocation: previousLocation)
  }

  /// Iceberg's and Athena's property, the former before the latter.
  static let previousVersionsProperties = [
    "write.metadata.previous-versions-max", "vacuum_max_metadata_files_to_keep",
  ]

  /// How many previous metadata files the log keeps: 100 when no property says otherwise.
  var previousVersionsToKeep: Int {
    let named = Self.previousVersionsProperties.lazy.compactMap { properties[$0] }.first
    return max(1, named.flatMap { Int($0) } ?? 100)
  }
}

extension TableMetadata {
  /// The id that follows the highest of those in use.
  static func id(after used: [Int32], _ what: String) throws(IcebergError) -> Int32 {
    let highest = max(used.max() ?? -1, -1)
    guard highest < Int32.max else {
      throw IcebergError(.validationFailed, "no \(what) id is left")
    }
    return highest + 1
  }
}

/// Applies updates one by one and remembers what later ones refer to.
private struct MetadataBuilder {
  private let base: TableMetadata
  private var metadata: TableMetadata
  private var lastAddedSchemaID: Int32?
  private var lastAddedSpecID: Int32?
  private var lastAddedOrderID: Int32?

  init(base: TableMetadata, nowMilliseconds: Int64) {
    self.base = base
    metadata = base
    metadata.lastUpdatedMilliseconds = max(nowMilliseconds, base.lastUpdatedMilliseconds)
  }

  mutating func apply(_ update: TableUpdate) throws(IcebergError) {
    switch update {
    case .upgradeFormatVersion(let version): try upgrade(to: version)
    case .addSchema(let schema, let lastColumnID): try addSchema(schema, lastColumnID)
    case .setCurrentSchema(let id):
      metadata.currentSchemaID = try chosen(id, lastAddedSchemaID, "schema") {
        metadata.schema(id: $0) != nil
      }
    case .addPartitionSpec(let spec): try addSpec(spec)
    case .setDefaultPartitionSpec(let id):
      metadata.defaultSpecID = try chosen(id, lastAddedSpecID, "partition spec") {
        metadata.partitionSpec(id: $0) != nil
      }
    case .addSortOrder(let order): try addOrder(order)
    case .setDefaultSortOrder(let id):
      metadata.defaultSortOrderID = try chosen(id, lastAddedOrderID, "sort order") { id in
        metadata.sortOrders.contains { $0.orderID == id }
      }
    case .addSnapshot(let snapshot): try addSnapshot(snapshot)
    case .setReference(let name, let reference): try setReference(name, reference)
    case .removeReference(let name): removeReference(name)
    case .removeSnapshots(let ids): removeSnapshots(Set(ids))
    case .setLocation(let location):
      metadata.location = Location.withoutTrailingSlash(location)
    case .setProperties(let properties):
      for (key, value) in properties where !TableMetadata.isReserved(key) {
        metadata.properties[key] = value
      }
    case .removeProperties(let keys):
      for key in keys { metadata.properties[key] = nil }
    case .setStatistics(let file):
      metadata.statistics.removeAll { $0.snapshotID == file.snapshotID }
      metadata.statistics.append(file)
    case .removeStatistics(let id): metadata.statistics.removeAll { $0.snapshotID == id }
    case .setPartitionStatistics(let file):
      metadata.partitionStatistics.removeAll { $0.snapshotID == file.snapshotID }
      metadata.partitionStatistics.append(file)
    case .removePartitionStatistics(let id):
      metadata.partitionStatistics.removeAll { $0.snapshotID == id }
    case .removeSchemas(let ids):
      guard !ids.contains(metadata.currentSchemaID) else {
        throw IcebergError(.invalidArgument, "the current schema cannot be removed")
      }
      metadata.schemas.removeAll { ids.contains($0.schemaID) }
    case .removePartitionSpecs(let ids):
      guard !ids.contains(metadata.defaultSpecID) else {
        throw IcebergError(.invalidArgument, "the default partition spec cannot be removed")
      }
      metadata.partitionSpecs.removeAll { ids.contains($0.specID) }
    }
  }

  /// Adds the replaced metadata file to the log and cuts the log to its length.
  func finish(previousLocation: String?) -> TableMetadata {
    var result = metadata
    if let previousLocation {
      result.metadataLog.append(
        MetadataLogEntry(
          timestampMilliseconds: base.lastUpdatedMilliseconds, metadataFile: previousLocation))
    }
    let excess = result.metadataLog.count - result.previousVersionsToKeep
    if excess > 0 { result.metadataLog.removeFirst(excess) }
    return result
  }

  private func chosen(
    _ id: Int32?, _ lastAdded: Int32?, _ what: String, _ exists: (Int32) -> Bool
  ) throws(IcebergError) -> Int32 {
    guard let id = id ?? lastAdded else {
      throw IcebergError(.invalidArgument, "no \(what) was added that could become the current one")
    }
    guard exists(id) else {
      throw IcebergError(.invalidArgument, "the table has no \(what) \(id)")
    }
    return id
  }

  private mutating func upgrade(to version: Int) throws(IcebergError) {
    guard version >= metadata.formatVersion, version <= TableMetadata.highestFormatVersion else {
      throw IcebergError(
        .invalidArgument,
        "cannot go from format version \(metadata.formatVersion) to \(version)")
    }
    metadata.formatVersion = version
    if metadata.tableUUID == nil { metadata.tableUUID = RandomIdentifier.uuid() }
    if version >= 3, metadata.nextRowID == nil { metadata.nextRowID = 0 }
  }

  private mutating func addSchema(
    _ schema: TableSchema, _ lastColumnID: Int32
  ) throws(IcebergError) {
    try schema.validate()
    if metadata.formatVersion < 3 { try TableMetadata.requireVersion2(schema.fields) }
    guard lastColumnID >= metadata.lastColumnID, schema.highestFieldID <= lastColumnID else {
      throw IcebergError(
        .invalidArgument,
        "last-column-id would go from \(metadata.lastColumnID) to \(lastColumnID)"
          + " with a field \(schema.highestFieldID)")
    }
    metadata.lastColumnID = lastColumnID
    if let equal = metadata.schemas.first(where: { $0.hasSameFields(as: schema) }) {
      lastAddedSchemaID = equal.schemaID
      return
    }
    let id = try TableMetadata.id(after: metadata.schemas.map(\.schemaID), "schema")
    metadata.schemas.append(schema.withID(id))
    lastAddedSchemaID = id
  }

  private mutating func addSpec(_ spec: PartitionSpec) throws(IcebergError) {
    try spec.validate(schema: metadata.currentSchema)
    if let equal = metadata.partitionSpecs.first(where: { $0.hasSameFields(as: spec) }) {
      lastAddedSpecID = equal.specID
      return
    }
    let id = try TableMetadata.id(after: metadata.partitionSpecs.map(\.specID), "partition spec")
    metadata.partitionSpecs.append(PartitionSpec(specID: id, fields: spec.fields))
    metadata.lastPartitionID = max(metadata.lastPartitionID, spec.highestFieldID)
    lastAddedSpecID = id
  }

  private mutating func addOrder(_ order: SortOrder) throws(IcebergError) {
    if let equal = metadata.sortOrders.first(where: { $0.fields == order.fields }) {
      lastAddedOrderID = equal.orderID
      return
    }
    let id =
      order.isUnsorted
      ? 0 : try TableMetadata.id(after: metadata.sortOrders.map(\.orderID) + [0], "sort order")
    metadata.sortOrders.append(SortOrder(orderID: id, fields: order.fields))
    lastAddedOrderID = id
  }

  private mutating func addSnapshot(_ snapshot: Snapshot) throws(IcebergError) {
    guard metadata.snapshot(id: snapshot.snapshotID) == nil else {
      throw IcebergError(
        .invalidArgument, "the table already has a snapshot \(snapshot.snapshotID)")
    }
    // A sequence number that is not new means that the snapshot was built on an older head.
    guard
      metadata.formatVersion == 1 || snapshot.parentSnapshotID == nil
        || snapshot.sequenceNumber > metadata.lastSequenceNumber
    else {
      throw IcebergError(
        .commitConflict,
        "sequence number \(snapshot.sequenceNumber) is not above"
          + " \(metadata.lastSequenceNumber)")
    }
    if metadata.formatVersion >= 3 { try assignRows(of: snapshot) }
    metadata.lastSequenceNumber = max(metadata.lastSequenceNumber, snapshot.sequenceNumber)
    metadata.lastUpdatedMilliseconds = max(
      metadata.lastUpdatedMilliseconds, snapshot.timestampMilliseconds)
    metadata.snapshots.append(snapshot)
  }

  private mutating func assignRows(of snapshot: Snapshot) throws(IcebergError) {
    guard let firstRowID = snapshot.firstRowID, let addedRows = snapshot.addedRows, addedRows >= 0
    else {
      throw IcebergError(.invalidArgument, "a snapshot needs first-row-id and added-rows here")
    }
    let next = metadata.nextRowID ?? 0
    guard firstRowID >= next else {
      throw IcebergError(.commitConflict, "first-row-id \(firstRowID) is below \(next)")
    }
    let (sum, overflow) = firstRowID.addingReportingOverflow(addedRows)
    guard !overflow else { throw IcebergError(.invalidArgument, "no row id is left") }
    metadata.nextRowID = sum
  }

  private mutating func setReference(
    _ name: String, _ reference: SnapshotReference
  ) throws(IcebergError) {
    guard !name.isEmpty else { throw IcebergError(.invalidArgument, "a reference needs a name") }
    guard let snapshot = metadata.snapshot(id: reference.snapshotID) else {
      throw IcebergError(
        .invalidArgument, "'\(name)' cannot refer to snapshot \(reference.snapshotID): not there")
    }
    if name == SnapshotReference.main {
      guard reference.kind == .branch else {
        throw IcebergError(.invalidArgument, "main is a branch and cannot be a tag")
      }
      if metadata.currentSnapshotID != reference.snapshotID {
        let isNew = base.snapshot(id: reference.snapshotID) == nil
        metadata.snapshotLog.append(
          SnapshotLogEntry(
            timestampMilliseconds: isNew
              ? snapshot.timestampMilliseconds : metadata.lastUpdatedMilliseconds,
            snapshotID: reference.snapshotID))
      }
      metadata.currentSnapshotID = reference.snapshotID
    }
    metadata.references[name] = reference
  }

  private mutating func removeReference(_ name: String) {
    metadata.references[name] = nil
    if name == SnapshotReference.main { metadata.currentSnapshotID = nil }
  }

  private mutating func removeSnapshots(_ ids: Set<Int64>) {
    let known = ids.intersection(metadata.snapshots.map(\.snapshotID))
    guard !known.isEmpty else { return }
    metadata.snapshots.removeAll { known.contains($0.snapshotID) }
    metadata.statistics.removeAll { known.contains($0.snapshotID) }
    metadata.partitionStatistics.removeAll { known.contains($0.snapshotID) }
    for (name, reference) in metadata.references where known.contains(reference.snapshotID) {
      removeReference(name)
    }
    // History that leads through a snapshot that is gone would be wrong, so the log starts anew
    // after the last such entry.
    let remaining = Set(metadata.snapshots.map(\.snapshotID))
    if let last = metadata.snapshotLog.lastIndex(where: { !remaining.contains($0.snapshotID) }) {
      metadata.snapshotLog.removeFirst(last + 1)
    }
  }
}
