public import JSON

// The wire form, in the order in which Java writes it.
extension TableMetadata {
  /// The largest metadata file that is read or written, uncompressed.
  static let maximumSizeBytes = 64 << 20

  /// Metadata from a file's bytes, gzip or plain, whatever the file is called.
  public init(fileContent bytes: [UInt8]) throws(IcebergError) {
    try self.init(json: try TableMetadata.parsed(bytes))
  }

  static func parsed(_ bytes: [UInt8]) throws(IcebergError) -> JSONValue {
    let text = try plain(bytes)
    do { return try JSONValue(parsing: text) } catch {
      throw IcebergError(.invalidMetadata, "table metadata is not JSON: \(error)")
    }
  }

  /// The text of a file, gzip or plain.
  static func plain(_ bytes: [UInt8]) throws(IcebergError) -> [UInt8] {
    guard Gzip.isGzip(bytes) else { return bytes }
    return try Gzip.decompress(bytes, maximumSizeBytes: TableMetadata.maximumSizeBytes)
  }

  /// Checks all that the specification requires of the file's format version; unknown members are
  /// ignored.
  public init(json: JSONValue) throws(IcebergError) {
    guard json.objectValue != nil else {
      throw IcebergError(.invalidMetadata, "table metadata must be an object, found \(json.kind)")
    }
    formatVersion = Int(try json.requiredInt32("format-version"))
    guard (1...TableMetadata.highestFormatVersion).contains(formatVersion) else {
      throw IcebergError(
        .unsupported, "format version \(formatVersion) is not supported: 1 to 3 are")
    }
    let isFirst = formatVersion == 1
    tableUUID =
      isFirst ? try json.optionalString("table-uuid") : try json.requiredString("table-uuid")
    location = Location.withoutTrailingSlash(try json.requiredString("location"))
    lastSequenceNumber = isFirst ? 0 : try json.requiredInt64("last-sequence-number")
    lastUpdatedMilliseconds = try json.requiredInt64("last-updated-ms")
    lastColumnID = try json.requiredInt32("last-column-id")
    (schemas, currentSchemaID) = try TableMetadata.schemas(json, isFirst: isFirst)
    (partitionSpecs, defaultSpecID) = try TableMetadata.specs(json, isFirst: isFirst)
    let highestFieldID = partitionSpecs.map(\.highestFieldID).max() ?? 999
    lastPartitionID =
      isFirst
      ? try json.optionalInt32("last-partition-id") ?? highestFieldID
      : try json.requiredInt32("last-partition-id")
    (sortOrders, defaultSortOrderID) = try TableMetadata.orders(json, isFirst: isFirst)
    properties = try json.stringMap("properties")
    let current = try json.optionalInt64("current-snapshot-id")
    currentSnapshotID = current == -1 ? nil : current
    nextRowID = formatVersion >= 3 ? try json.requiredInt64("next-row-id") : nil
    encryptionKeys = try json.optionalArray("encryption-keys") ?? []
    snapshots = []
    for element in try json.optionalArray("snapshots") ?? [] {
      snapshots.append(try Snapshot(json: element, formatVersion: formatVersion))
    }
    references = try TableMetadata.references(json)
    statistics = try TableMetadata.statistics(json, "statistics")
    partitionStatistics = try TableMetadata.statistics(json, "partition-statistics")
    snapshotLog = []
    for entry in try json.optionalArray("snapshot-log") ?? [] {
      snapshotLog.append(
        SnapshotLogEntry(
          timestampMilliseconds: try entry.requiredInt64("timestamp-ms"),
          snapshotID: try entry.requiredInt64("snapshot-id")))
    }
    metadataLog = []
    for entry in try json.optionalArray("metadata-log") ?? [] {
      metadataLog.append(
        MetadataLogEntry(
          timestampMilliseconds: try entry.requiredInt64("timestamp-ms"),
          metadataFile: try entry.requiredString("metadata-file")))
    }
    try checkRanges()
    try checkConsistency()
  }

  private static func schemas(
    _ json: JSONValue, isFirst: Bool
  ) throws(IcebergError) -> ([TableSchema], Int32) {
    if isFirst, json.optional("schemas") == nil {
      let schema = try TableSchema(json: try json.required("schema"))
      return ([schema], schema.schemaID)
    }
    var schemas: [TableSchema] = []
    for element in try json.requiredArray("schemas") {
      schemas.append(try TableSchema(json: element))
    }
    let current = try json.requiredInt32("current-schema-id")
    guard schemas.contains(where: { $0.schemaID == current }) else {
      throw IcebergError(.invalidMetadata, "'current-schema-id' \(current) is not in 'schemas'")
    }
    return (schemas, current)
  }

  private static func specs(
    _ json: JSONValue, isFirst: Bool
  ) throws(IcebergError) -> ([PartitionSpec], Int32) {
    if isFirst, json.optional("partition-specs") == nil {
      let spec = try PartitionSpec(json: try json.required("partition-spec"), specID: 0)
      return ([spec], 0)
    }
    var specs: [PartitionSpec] = []
    for element in try json.requiredArray("partition-specs") {
      _ = try element.requiredInt32("spec-id")
      specs.append(try PartitionSpec(json: element))
    }
    let current = try json.requiredInt32("default-spec-id")
    guard specs.contains(where: { $0.specID == current }) else {
      throw IcebergError(
        .invalidMetadata, "'default-spec-id' \(current) is not in 'partition-specs'")
    }
    return (specs, current)
  }

  private static func orders(
    _ json: JSONValue, isFirst: Bool
  ) throws(IcebergError) -> ([SortOrder], Int32) {
    if isFirst, json.optional("sort-orders") == nil { return ([.unsorted], 0) }
    var orders: [SortOrder] = []
    for element in try json.requiredArray("sort-orders") {
      orders.append(try SortOrder(json: element))
    }
    let current = try json.requiredInt32("default-sort-order-id")
    guard current == 0 || orders.contains(where: { $0.orderID == current }) else {
      throw IcebergError(
        .invalidMetadata, "'default-sort-order-id' \(current) is not in 'sort-orders'")
    }
    return (orders, current)
  }

  private static func references(
    _ json: JSONValue
  ) throws(IcebergError) -> [String: SnapshotReference] {
    guard let value = json.optional("refs") else { return [:] }
    guard let object = value.objectValue else { throw value.mismatch("refs", "an object") }
    var references: [String: SnapshotReference] = [:]
    for (name, element) in object.members {
      do { references[name] = try SnapshotReference(json: element) } catch {
        throw error.adding("reference", name)
      }
    }
    return references
  }

  private static func statistics(
    _ json: JSONValue, _ key: String
  ) throws(IcebergError) -> [StatisticsFile] {
    var files: [StatisticsFile] = []
    for element in try json.optionalArray(key) ?? [] {
      files.append(
        StatisticsFile(
          snapshotID: try element.requiredInt64("snapshot-id"),
          path: try element.requiredString("statistics-path"), json: element))
    }
    return files
  }

  /// Numbers that nothing is to be added to any more would end the next commit, or the process.
  func checkRanges() throws(IcebergError) {
    func require(_ holds: Bool, _ name: String, _ value: some FixedWidthInteger)
      throws(IcebergError)
    {
      guard holds else {
        throw IcebergError(.invalidMetadata, "'\(name)' is \(value), which cannot be")
      }
    }
    func requireTime(_ name: String, _ milliseconds: Int64) throws(IcebergError) {
      try require(TableMetadata.times.contains(milliseconds), name, milliseconds)
    }
    func requireID(_ name: String, _ id: Int32) throws(IcebergError) {
      try require(id >= 0 && id < Int32.max, name, id)
    }
    try require(
      lastSequenceNumber >= 0 && lastSequenceNumber < Int64.max, "last-sequence-number",
      lastSequenceNumber)
    try require((nextRowID ?? 0) >= 0, "next-row-id", nextRowID ?? 0)
    try require(lastColumnID >= 0, "last-column-id", lastColumnID)
    try require(lastPartitionID >= 0, "last-partition-id", lastPartitionID)
    try requireTime("last-updated-ms", lastUpdatedMilliseconds)
    for schema in schemas { try requireID("schema-id", schema.schemaID) }
    for spec in partitionSpecs {
      try requireID("spec-id", spec.specID)
      for field in spec.fields { try requireID("field-id", field.fieldID) }
    }
    for order in sortOrders { try requireID("order-id", order.orderID) }
    for snapshot in snapshots {
      try requireTime("timestamp-ms", snapshot.timestampMilliseconds)
      try require(
        snapshot.sequenceNumber <= lastSequenceNumber, "sequence-number", snapshot.sequenceNumber)
      try require((snapshot.firstRowID ?? 0) >= 0, "first-row-id", snapshot.firstRowID ?? 0)
      try require((snapshot.addedRows ?? 0) >= 0, "added-rows", snapshot.addedRows ?? 0)
    }
    for entry in snapshotLog { try requireTime("timestamp-ms", entry.timestampMilliseconds) }
    for entry in metadataLog { try requireTime("timestamp-ms", entry.timestampMilliseconds) }
  }

  /// Milliseconds since 1970 that are whole microseconds, too, with a century to spare.
  private static let times = -Int64.max / 1001...Int64.max / 1001

  /// Facts that hold between members. A reference to a snapshot that is gone is no error: expiry
  /// drops it.
  private mutating func checkConsistency() throws(IcebergError) {
    var ids: Set<Int64> = []
    for snapshot in snapshots where !ids.insert(snapshot.snapshotID).inserted {
      throw IcebergError(.invalidMetadata, "snapshot \(snapshot.snapshotID) appears twice")
    }
    if let main = references[SnapshotReference.main] {
      guard main.kind == .branch else {
        throw IcebergError(.invalidMetadata, "'refs' has a tag named main")
      }
      guard currentSnapshotID == nil || currentSnapshotID == main.snapshotID else {
        throw IcebergError(
          .invalidMetadata, "'current-snapshot-id' and the branch main are different snapshots")
      }
      currentSnapshotID = main.snapshotID
    }
    guard let currentSnapshotID else { return }
    guard ids.contains(currentSnapshotID) else {
      throw IcebergError(
        .invalidMetadata, "'current-snapshot-id' \(currentSnapshotID) is not in 'snapshots'")
    }
    if references[SnapshotReference.main] == nil {
      references[SnapshotReference.main] = SnapshotReference(
        snapshotID: currentSnapshotID, kind: .branch)
    }
  }
}

extension TableMetadata {
  public var json: JSONValue {
    var object = jsonBeforeSnapshots
    object["snapshots"] = .array(snapshots.map { $0.json(formatVersion: formatVersion) })
    for (key, value) in jsonAfterSnapshots.members { object[key] = value }
    object["snapshot-log"] = .array(snapshotLog.map(\.json))
    object["metadata-log"] = .array(metadataLog.map(\.json))
    return .object(object)
  }

  var jsonBeforeSnapshots: JSONObject {
    var object: JSONObject = ["format-version": .integer(Int64(formatVersion))]
    if let tableUUID { object["table-uuid"] = .string(tableUUID) }
    object["location"] = .string(location)
    if formatVersion > 1 { object["last-sequence-number"] = .integer(lastSequenceNumber) }
    object["last-updated-ms"] = .integer(lastUpdatedMilliseconds)
    object["last-column-id"] = .integer(Int64(lastColumnID))
    if formatVersion == 1 { object["schema"] = currentSchema.json }
    object["current-schema-id"] = .integer(Int64(currentSchemaID))
    object["schemas"] = .array(schemas.map(\.json))
    if formatVersion == 1 { object["partition-spec"] = defaultPartitionSpec.fieldsJSON }
    object["default-spec-id"] = .integer(Int64(defaultSpecID))
    object["partition-specs"] = .array(partitionSpecs.map(\.json))
    object["last-partition-id"] = .integer(Int64(lastPartitionID))
    object["default-sort-order-id"] = .integer(Int64(defaultSortOrderID))
    object["sort-orders"] = .array(sortOrders.map(\.json))
    object["properties"] = .object(
      JSONObject(properties.sorted { $0.key < $1.key }.map { ($0.key, .string($0.value)) }))
    object["current-snapshot-id"] =
      currentSnapshotID.map { .integer($0) } ?? (formatVersion < 3 ? -1 : .null)
    if formatVersion >= 3 { object["next-row-id"] = .integer(nextRowID ?? 0) }
    if !encryptionKeys.isEmpty { object["encryption-keys"] = .array(encryptionKeys) }
    object["refs"] = .object(
      JSONObject(references.sorted { $0.key < $1.key }.map { ($0.key, $0.value.json) }))
    return object
  }

  var jsonAfterSnapshots: JSONObject {
    [
      "statistics": .array(statistics.map(\.json)),
      "partition-statistics": .array(partitionStatistics.map(\.json)),
    ]
  }
}

extension JSONValue {
  /// An object of strings; empty when absent.
  func stringMap(_ key: String) throws(IcebergError) -> [String: String] {
    guard let value = optional(key) else { return [:] }
    guard let object = value.objectValue else { throw value.mismatch(key, "an object of strings") }
    var map: [String: String] = [:]
    for (name, element) in object.members {
      guard let text = element.stringValue else {
        throw element.mismatch("\(key).\(name)", "a string")
      }
      map[name] = text
    }
    return map
  }

  /// An array of strings; empty when absent.
  func stringArray(_ key: String) throws(IcebergError) -> [String] {
    var strings: [String] = []
    for element in try optionalArray(key) ?? [] {
      guard let text = element.stringValue else { throw element.mismatch(key, "strings") }
      strings.append(text)
    }
    return strings
  }
}
