public import Avro
import JSON

/// Writes one manifest, in memory: data files or delete files of one partition spec.
///
/// Entries may be added, existing or deleted. Only added ones may leave their sequence numbers
/// open, to be inherited from the manifest list; the writer refuses what readers could not
/// interpret. Headers are equal to those that Java writes.
public struct ManifestWriter: Sendable {
  public let schema: TableSchema
  public let spec: PartitionSpec
  public let content: ManifestContent
  public let formatVersion: Int

  private var file: AvroFileWriter
  private var partitionTypes: [IcebergType?]
  private var summaries: [PartitionSummaryBuilder]
  private var written = WrittenManifest()

  /// - Parameter formatVersion: 2 or 3.
  public init(
    schema: TableSchema, spec: PartitionSpec, content: ManifestContent = .data,
    formatVersion: Int = 2, codec: AvroCodec = .deflate
  ) throws(IcebergError) {
    guard formatVersion == 2 || formatVersion == 3 else {
      throw IcebergError(
        .unsupported, "manifests of format version \(formatVersion) are not written")
    }
    self.schema = schema
    self.spec = spec
    self.content = content
    self.formatVersion = formatVersion
    var generator = IdentifierGenerator()
    file = AvroFileWriter(codec: codec, using: &generator)
    partitionTypes = spec.partitionTypes(schema: schema)
    summaries = spec.fields.map { _ in PartitionSummaryBuilder() }
  }

  /// The size so far; what is not compressed yet counts in full, the header not at all.
  public var bytesSoFar: Int { file.bytesSoFar }

  public var entryCount: Int64 { file.objectCount }

  /// Adds an entry; nothing is written when it is refused.
  public mutating func add(_ entry: ManifestEntry) throws(IcebergError) {
    try validate(entry)
    let partition = try conform(entry.dataFile.partition)
    let types = partitionTypes
    let version = formatVersion
    file.append { encoder in
      encoder.write(entry, partition: partition, types: types, formatVersion: version)
    }
    do {
      try file.closeFullBlock()
    } catch {
      throw IcebergError(error)
    }
    for (index, value) in partition.enumerated() { summaries[index].add(value) }
    try written.count(entry)
  }

  /// The manifest's bytes, and what the manifest list says about it.
  ///
  /// - Parameter location: where it will be, if that is known: it is written down in it.
  public consuming func finish(location: String? = nil) throws(IcebergError) -> (
    bytes: [UInt8], summary: WrittenManifest
  ) {
    written.content = content
    written.partitionSpecID = spec.specID
    written.partitions = summaries.map(\.summary)
    let partition = zip(spec.fields, partitionTypes).map { field, type in
      NestedField.optional(field.fieldID, field.name, type ?? .string)
    }
    let texts = ManifestSchema.entryTexts(formatVersion: formatVersion, partition: partition)
    var metadata = [
      ("schema", schema.json.text()), ("schema-id", schema.schemaID.description),
      ("partition-spec", spec.fieldsJSON.text()), ("partition-spec-id", spec.specID.description),
      ("format-version", formatVersion.description), ("content", content.text),
      ("iceberg.schema", texts.iceberg),
    ]
    if let location { metadata.append(FileNameMark.entry(location)) }
    metadata.append(AvroChecksum.entry)
    do {
      let bytes = try AvroChecksum.seal(
        try file.finish(
          schemaText: texts.avro, metadata: metadata.map { (key: $0.0, value: $0.1) }))
      written.length = Int64(bytes.count)
      return (bytes, written)
    } catch {
      throw IcebergError(error)
    }
  }
}

// What is refused.
extension ManifestWriter {
  private func validate(_ entry: ManifestEntry) throws(IcebergError) {
    let file = entry.dataFile
    func refuse(_ reason: String) -> IcebergError {
      IcebergError(.invalidArgument, reason, context: [.init("file", file.path)])
    }
    if entry.status != .added {
      guard entry.snapshotID != nil, entry.sequenceNumber != nil, entry.fileSequenceNumber != nil
      else { throw refuse("an existing or deleted entry needs its original sequence numbers") }
    }
    guard (file.content == .data) == (content == .data) else {
      throw refuse("data and delete files cannot share a manifest")
    }
    guard file.specID == spec.specID else {
      throw refuse("the file has spec \(file.specID), the manifest \(spec.specID)")
    }
    guard file.recordCount >= 0, file.fileSizeInBytes >= 0 else {
      throw refuse("record count and file size cannot be negative")
    }
    if file.content == .equalityDeletes, file.equalityIDs.isEmpty {
      throw refuse("equality deletes need the columns that they compare")
    }
    guard formatVersion >= 3 || !file.isDeletionVector else {
      throw refuse("deletion vectors need format version 3")
    }
    if file.isDeletionVector {
      guard file.referencedDataFile != nil, file.contentOffset != nil,
        file.contentSizeInBytes != nil
      else { throw refuse("a deletion vector needs its data file, offset and length") }
    }
  }

  /// The tuple in the spec's types; a value of a spec field whose type is unknown (its column is
  /// gone) decides it.
  private mutating func conform(_ partition: [Literal?]) throws(IcebergError) -> [Literal?] {
    guard partition.count == spec.fields.count else {
      throw IcebergError(
        .invalidArgument, "\(partition.count) partition values for \(spec.fields.count) fields")
    }
    var values = partition
    for (index, value) in partition.enumerated() {
      guard let value else { continue }
      let type: IcebergType
      if let known = partitionTypes[index] {
        type = known
      } else {
        type = value.naturalType
        partitionTypes[index] = type
      }
      guard let fitting = value.promoted(to: type), !fitting.isOversized(for: type) else {
        throw IcebergError(
          .invalidArgument, "'\(value)' is no \(type), as '\(spec.fields[index].name)' needs")
      }
      values[index] = fitting
    }
    return values
  }
}

extension Literal {
  /// A type that holds this value.
  fileprivate var naturalType: IcebergType {
    switch self {
    case .boolean: .boolean
    case .int: .int
    case .long: .long
    case .float: .float
    case .double: .double
    case .decimal(_, let scale): .decimal(precision: 38, scale: min(max(scale, 0), 38))
    case .date: .date
    case .time: .time
    case .timestamp: .timestamp
    case .timestamptz: .timestamptz
    case .timestampNs: .timestampNs
    case .timestamptzNs: .timestamptzNs
    case .string: .string
    case .uuid: .uuid
    case .fixed(let bytes): .fixed(bytes.count)
    case .binary: .binary
    }
  }

  /// Whether a decimal has more digits than its type.
  fileprivate func isOversized(for type: IcebergType) -> Bool {
    guard case .decimal(let unscaled, _) = self, case .decimal(let precision, _) = type else {
      return false
    }
    return unscaled.magnitude >= Literal.powerOfTen(precision).magnitude
  }
}

// The binary form of an entry, in the order of `ManifestSchema`.
extension AvroEncoder {
  fileprivate mutating func write(
    _ entry: ManifestEntry, partition: [Literal?], types: [IcebergType?], formatVersion: Int
  ) {
    writeInt(entry.status.rawValue)
    writeOptional(entry.snapshotID)
    writeOptional(entry.sequenceNumber)
    writeOptional(entry.fileSequenceNumber)
    let file = entry.dataFile
    writeInt(file.content.rawValue)
    writeString(file.path)
    writeString(file.format.name)
    for (value, type) in zip(partition, types) {
      writePresence(value != nil)
      if let value { write(value, type: type) }
    }
    writeLong(file.recordCount)
    writeLong(file.fileSizeInBytes)
    writeCounts(file.columnSizes)
    writeCounts(file.valueCounts)
    writeCounts(file.nullValueCounts)
    writeCounts(file.nanValueCounts)
    writeBounds(file.lowerBounds)
    writeBounds(file.upperBounds)
    writeOptional(file.keyMetadata)
    writeList(file.splitOffsets)
    writeList(file.equalityIDs.map { Int64($0) })
    writeOptional(file.sortOrderID.map { Int64($0) })
    if formatVersion >= 3 { writeOptional(file.firstRowID) }
    writePresence(file.referencedDataFile != nil)
    if let path = file.referencedDataFile { writeString(path) }
    if formatVersion >= 3 {
      writeOptional(file.contentOffset)
      writeOptional(file.contentSizeInBytes)
    }
  }

  mutating func writeOptional(_ value: Int64?) {
    writePresence(value != nil)
    if let value { writeLong(value) }
  }

  mutating func writeOptional(_ value: [UInt8]?) {
    writePresence(value != nil)
    if let value { writeBytes(value) }
  }

  /// Sorted by column, so that equal input gives equal bytes; no map at all when there is nothing.
  private mutating func writeCounts(_ counts: [Int32: Int64]) {
    writePresence(!counts.isEmpty)
    guard !counts.isEmpty else { return }
    writeBlockCount(counts.count)
    for (id, count) in counts.sorted(by: { $0.key < $1.key }) {
      writeInt(id)
      writeLong(count)
    }
    writeBlockEnd()
  }

  private mutating func writeBounds(_ bounds: [Int32: [UInt8]]) {
    writePresence(!bounds.isEmpty)
    guard !bounds.isEmpty else { return }
    writeBlockCount(bounds.count)
    for (id, bound) in bounds.sorted(by: { $0.key < $1.key }) {
      writeInt(id)
      writeBytes(bound)
    }
    writeBlockEnd()
  }

  private mutating func writeList(_ values: [Int64]) {
    writePresence(!values.isEmpty)
    guard !values.isEmpty else { return }
    writeBlockCount(values.count)
    for value in values { writeLong(value) }
    writeBlockEnd()
  }

  /// A partition value, which `ManifestWriter` has made to fit the type.
  private mutating func write(_ value: Literal, type: IcebergType?) {
    switch value {
    case .boolean(let value): writeBoolean(value)
    case .int(let value), .date(let value): writeInt(value)
    case .long(let value), .time(let value), .timestamp(let value), .timestamptz(let value),
      .timestampNs(let value), .timestamptzNs(let value):
      writeLong(value)
    case .float(let value): writeFloat(value)
    case .double(let value): writeDouble(value)
    case .string(let value): writeString(value)
    case .uuid(let value): writeFixed(Literal.bigEndian(value))
    case .fixed(let bytes): writeFixed(bytes)
    case .binary(let bytes): writeBytes(bytes)
    case .decimal(let unscaled, _):
      let size =
        if case .decimal(let precision, _) = type {
          IcebergType.decimalByteCount(precision)
        } else {
          16
        }
      writeFixed(Literal.bigEndian(unscaled, byteCount: size) ?? [])
    }
  }
}
