public import JSON

/// When a snapshot became the current one.
public struct SnapshotLogEntry: Hashable, Sendable {
  public var timestampMilliseconds: Int64
  public var snapshotID: Int64

  public init(timestampMilliseconds: Int64, snapshotID: Int64) {
    self.timestampMilliseconds = timestampMilliseconds
    self.snapshotID = snapshotID
  }
}

/// A metadata file that was replaced.
public struct MetadataLogEntry: Hashable, Sendable {
  /// When that file's metadata was last updated.
  public var timestampMilliseconds: Int64
  public var metadataFile: String

  public init(timestampMilliseconds: Int64, metadataFile: String) {
    self.timestampMilliseconds = timestampMilliseconds
    self.metadataFile = metadataFile
  }
}

/// A statistics file of a snapshot; informational, but the file belongs to the table.
public struct StatisticsFile: Hashable, Sendable {
  public var snapshotID: Int64
  public var path: String
  /// All of it as the metadata has it: we keep what we do not use.
  public var json: JSONValue

  public init(snapshotID: Int64, path: String, json: JSONValue) {
    self.snapshotID = snapshotID
    self.path = path
    self.json = json
  }
}

/// All that a table's metadata file says.
///
/// A value: changing it means making a new one (`applying`), which a catalog then publishes.
public struct TableMetadata: Hashable, Sendable {
  public var formatVersion: Int
  /// nil only in old tables of format version 1.
  public var tableUUID: String?
  /// Without a trailing slash.
  public var location: String
  public var lastSequenceNumber: Int64
  /// Milliseconds since 1970.
  public var lastUpdatedMilliseconds: Int64
  public var lastColumnID: Int32
  public var schemas: [TableSchema]
  public var currentSchemaID: Int32
  public var partitionSpecs: [PartitionSpec]
  public var defaultSpecID: Int32
  public var lastPartitionID: Int32
  public var sortOrders: [SortOrder]
  public var defaultSortOrderID: Int32
  public var properties: [String: String]
  public var currentSnapshotID: Int64?
  /// Format version 3: greater than every assigned row id.
  public var nextRowID: Int64?
  /// Kept as they are; a table that has any cannot be written to.
  public var encryptionKeys: [JSONValue]
  /// Always has `main` when there is a current snapshot.
  public var references: [String: SnapshotReference]
  public var snapshots: [Snapshot]
  public var statistics: [StatisticsFile]
  public var partitionStatistics: [StatisticsFile]
  public var snapshotLog: [SnapshotLogEntry]
  public var metadataLog: [MetadataLogEntry]

  /// The newest format version that is understood.
  public static let highestFormatVersion = 3
}

extension TableMetadata {
  /// The metadata of a new table. Field ids are assigned afresh, in Java's order.
  ///
  /// - Parameters:
  ///   - partitionSpec: with source ids that refer to `schema`'s own field ids.
  ///   - sortOrder: likewise.
  ///   - nowMilliseconds: milliseconds since 1970.
  public static func new(
    schema: TableSchema, partitionSpec: PartitionSpec = .unpartitioned,
    sortOrder: SortOrder = .unsorted, location: String, properties: [String: String] = [:],
    formatVersion: Int = 2, nowMilliseconds: Int64
  ) throws(IcebergError) -> TableMetadata {
    guard formatVersion == 2 || formatVersion == 3 else {
      throw IcebergError(.unsupported, "new tables have format version 2 or 3")
    }
    try schema.validate()
    if formatVersion < 3 { try requireVersion2(schema.fields) }
    let fresh = try schema.withFreshIDs().withID(0)
    let spec = try TableMetadata.freshSpec(partitionSpec, from: schema, to: fresh)
    let order = try TableMetadata.freshOrder(sortOrder, from: schema, to: fresh)
    return TableMetadata(
      formatVersion: formatVersion, tableUUID: RandomIdentifier.uuid(),
      location: Location.withoutTrailingSlash(location), lastSequenceNumber: 0,
      lastUpdatedMilliseconds: nowMilliseconds, lastColumnID: fresh.highestFieldID,
      schemas: [fresh], currentSchemaID: 0, partitionSpecs: [spec], defaultSpecID: 0,
      lastPartitionID: spec.highestFieldID, sortOrders: order.isUnsorted ? [.unsorted] : [order],
      defaultSortOrderID: order.orderID, properties: properties.filter { !isReserved($0.key) },
      currentSnapshotID: nil, nextRowID: formatVersion == 3 ? 0 : nil, encryptionKeys: [],
      references: [:], snapshots: [], statistics: [], partitionStatistics: [], snapshotLog: [],
      metadataLog: [])
  }

  /// Refuses what only format version 3 has.
  static func requireVersion2(_ fields: [NestedField]) throws(IcebergError) {
    for field in fields {
      guard ![.timestampNs, .timestamptzNs, .unknown].contains(field.type),
        field.initialDefault == nil, field.writeDefault == nil
      else {
        throw IcebergError(
          .invalidArgument,
          "'\(field.name)' of type \(field.type) needs format version 3: it has"
            + " nanoseconds, a default value or no type yet")
      }
      try requireVersion2(field.type.children)
    }
  }

  /// Properties that speak of the metadata itself and are never stored.
  static func isReserved(_ property: String) -> Bool {
    [
      "format-version", "uuid", "snapshot-count", "current-snapshot-summary",
      "current-snapshot-id", "current-snapshot-timestamp-ms", "current-schema",
      "default-partition-spec", "default-sort-order",
    ].contains(property)
  }

  /// The spec with the ids of a new schema; a field that the table had in any spec keeps its id.
  static func freshSpec(
    _ spec: PartitionSpec, from old: TableSchema, to new: TableSchema,
    replacing table: TableMetadata? = nil
  ) throws(IcebergError) -> PartitionSpec {
    let known = table?.partitionSpecs.flatMap(\.fields) ?? []
    var last = table?.lastPartitionID ?? PartitionSpec.lastPartitionIDOfUnpartitioned
    var fields: [PartitionField] = []
    for field in spec.fields {
      var field = field
      field.sourceID = try freshID(field.sourceID, from: old, to: new)
      let same = known.first {
        $0.sourceID == field.sourceID && $0.transform == field.transform && $0.name == field.name
      }
      if let same {
        field.fieldID = same.fieldID
      } else {
        guard last < Int32.max else {
          throw IcebergError(.invalidArgument, "no partition field id is left")
        }
        last += 1
        field.fieldID = last
      }
      if case .unknown(let text) = field.transform {
        throw IcebergError(.unsupported, "cannot partition by the unknown transform '\(text)'")
      }
      fields.append(field)
    }
    let fresh = PartitionSpec(specID: 0, fields: fields)
    try fresh.validate(schema: new)
    return fresh
  }

  static func freshOrder(
    _ order: SortOrder, from old: TableSchema, to new: TableSchema
  ) throws(IcebergError) -> SortOrder {
    guard !order.isUnsorted else { return .unsorted }
    var fields: [SortField] = []
    for var field in order.fields {
      field.sourceID = try freshID(field.sourceID, from: old, to: new)
      fields.append(field)
    }
    return SortOrder(orderID: 1, fields: fields)
  }

  private static func freshID(
    _ id: Int32, from old: TableSchema, to new: TableSchema
  ) throws(IcebergError) -> Int32 {
    guard let name = old.name(ofID: id), let field = new.field(named: name) else {
      throw IcebergError(.invalidArgument, "there is no field \(id) in the schema")
    }
    return field.id
  }
}

// Looking things up.
extension TableMetadata {
  public func schema(id: Int32) -> TableSchema? { schemas.first { $0.schemaID == id } }

  public func partitionSpec(id: Int32) -> PartitionSpec? {
    partitionSpecs.first { $0.specID == id }
  }

  /// Linear in the number of snapshots; those that are asked for are usually the last.
  public func snapshot(id: Int64) -> Snapshot? { snapshots.last { $0.snapshotID == id } }

  /// The schema that new data is written with; reading the metadata has checked that it is there.
  public var currentSchema: TableSchema {
    schema(id: currentSchemaID) ?? TableSchema(schemaID: currentSchemaID, fields: [])
  }

  public var defaultPartitionSpec: PartitionSpec {
    partitionSpec(id: defaultSpecID) ?? .unpartitioned
  }

  public var defaultSortOrder: SortOrder {
    sortOrders.first { $0.orderID == defaultSortOrderID } ?? .unsorted
  }

  public var currentSnapshot: Snapshot? { currentSnapshotID.flatMap { snapshot(id: $0) } }

  /// The head of a branch, or the snapshot of a tag.
  public func snapshot(reference: String) -> Snapshot? {
    references[reference].flatMap { snapshot(id: $0.snapshotID) }
  }

  /// The snapshot that was current at a time: of the log's entries not after it, the latest. Clocks
  /// that went backwards leave logs out of order, so the log's order does not count.
  public func snapshot(asOfMilliseconds time: Int64) -> Snapshot? {
    var best: SnapshotLogEntry?
    for entry in snapshotLog where entry.timestampMilliseconds <= time {
      if let best, best.timestampMilliseconds > entry.timestampMilliseconds { continue }
      best = entry
    }
    return best.flatMap { snapshot(id: $0.snapshotID) }
  }

  /// A snapshot and those before it, newest first, as far as they are still there.
  public func ancestors(of snapshotID: Int64?) -> [Snapshot] {
    let byID = Dictionary(snapshots.map { ($0.snapshotID, $0) }, uniquingKeysWith: { $1 })
    var ancestors: [Snapshot] = []
    var seen: Set<Int64> = []
    var next = snapshotID
    while let id = next, let snapshot = byID[id], seen.insert(id).inserted {
      ancestors.append(snapshot)
      next = snapshot.parentSnapshotID
    }
    return ancestors
  }

  /// Where metadata and manifests go: `write.metadata.path`, or `metadata` below the table.
  public var metadataFolder: String { folder("write.metadata.path", "metadata") }

  /// Where data files go: `write.data.path`, or `data` below the table.
  public var dataFolder: String { folder("write.data.path", "data") }

  /// A new metadata file's name: `<version>-<uuid>.metadata.json`, versions counted from 0 in five
  /// digits.
  func nextMetadataLocation(after previous: String?) -> String {
    var version = 0
    if let previous {
      let digits = Location.lastComponent(of: previous).prefix { $0.isASCII && $0.isNumber }
      version = (Int(digits) ?? -1) &+ 1
    }
    let text = String(max(version, 0))
    let padded = String(repeating: "0", count: max(0, 5 - text.utf8.count)) + text
    return Location.join(metadataFolder, "\(padded)-\(RandomIdentifier.uuid()).metadata.json")
  }

  private func folder(_ property: String, _ name: String) -> String {
    guard let custom = properties[property], !custom.isEmpty else {
      return Location.join(location, name)
    }
    let isAbsolute =
      custom.utf8.first == UInt8(ascii: "/") || custom.utf8.contains(UInt8(ascii: ":"))
    return Location.withoutTrailingSlash(isAbsolute ? custom : Location.join(location, custom))
  }
}
