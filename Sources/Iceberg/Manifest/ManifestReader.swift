import Avro
import JSON

/// Reads the entries of one manifest from memory, of any format version, one by one.
///
/// Fields are found by Iceberg field id. Snapshot ids, sequence numbers and first row ids that an
/// entry leaves open are inherited from its manifest. Damaged bytes give an error, never a crash.
public struct ManifestReader: Sendable {
  /// What to read of each file's column statistics, most of a manifest's bytes.
  public enum Statistics: Hashable, Sendable {
    case all
    /// Counts and bounds of these columns, by field id; no sizes. Value counts are those of all columns.
    case columns(Set<Int32>)
    /// No sizes and bounds, and no counts but those of values: for plans that look at no column.
    case none
  }

  /// The schema in the manifest's header, or the one that the caller gave.
  public let schema: TableSchema
  public let spec: PartitionSpec
  /// 1 when the header does not say.
  public let formatVersion: Int

  private let manifest: ManifestFile
  private let plan: ManifestPlan
  private var file: AvroFileReader
  private var decoder = AvroDecoder([])
  private var entriesLeft = 0
  private var nextRowID: Int64?

  /// - Parameters:
  ///   - manifest: the manifest's line in the manifest list.
  ///   - spec: the table's partition spec of `manifest.partitionSpecID`; nil takes the header's.
  ///   - schema: the table's schema; nil takes the header's.
  public init(
    bytes: [UInt8], manifest: ManifestFile, spec: PartitionSpec? = nil,
    schema: TableSchema? = nil, statistics: Statistics = .all
  ) throws(IcebergError) {
    let file: AvroFileReader
    do {
      file = try AvroFileReader(bytes)
    } catch {
      throw IcebergError(error).adding("manifest", manifest.path)
    }
    do throws(IcebergError) {
      if manifest.keyMetadata != nil {
        throw IcebergError(.unsupported, "encrypted manifests are not supported")
      }
      try FileNameMark.check(file.text(FileNameMark.key), at: manifest.path)
      try AvroChecksum.check(bytes, file, at: manifest.path)
      formatVersion = try ManifestReader.formatVersion(file)
      self.schema =
        if let schema {
          schema
        } else {
          try TableSchema(json: try ManifestReader.json(file, "schema"))
        }
      self.spec =
        if let spec {
          spec
        } else {
          try PartitionSpec(
            json: try ManifestReader.json(file, "partition-spec"),
            specID: manifest.partitionSpecID)
        }
      plan = try ManifestPlan.plan(
        file, spec: self.spec, types: self.spec.partitionTypes(schema: self.schema),
        statistics: statistics)
    } catch {
      throw error.adding("manifest", manifest.path)
    }
    self.file = file
    self.manifest = manifest
    nextRowID = manifest.content == .data ? manifest.firstRowID : nil
  }

  /// The partition spec that a manifest's header names; 0 when it does not.
  static func partitionSpecID(_ bytes: [UInt8]) throws(IcebergError) -> Int32 {
    let file: AvroFileReader
    do { file = try AvroFileReader(bytes) } catch { throw IcebergError(error) }
    guard let text = file.text("partition-spec-id") else { return 0 }
    guard let id = Int32(text) else {
      throw IcebergError(.invalidMetadata, "'partition-spec-id' is '\(text)'")
    }
    return id
  }

  private static func formatVersion(_ file: AvroFileReader) throws(IcebergError) -> Int {
    guard let text = file.text("format-version") else { return 1 }
    guard let version = Int(text), (1...3).contains(version) else {
      throw IcebergError(.unsupported, "format version '\(text)' is not supported")
    }
    return version
  }

  private static func json(_ file: AvroFileReader, _ key: String) throws(IcebergError) -> JSONValue
  {
    guard let text = file.value(key) else {
      throw IcebergError(.invalidMetadata, "the header lacks '\(key)'")
    }
    do {
      return try JSONValue(parsing: text)
    } catch {
      throw IcebergError(.invalidMetadata, "'\(key)' in the header is no JSON: \(error)")
    }
  }

  /// The next entry, or nil at the end. After an error the reader must not be used again.
  public mutating func next() throws(IcebergError) -> ManifestEntry? {
    try next { _ in true }?.entry
  }

  /// The same; of a file that is not wanted, counts and bounds are passed over.
  ///
  /// - Parameter wants: is asked once the partition is read, before which writers put content, path and format.
  mutating func next(
    _ wants: (DataFile) -> Bool
  ) throws(IcebergError) -> (entry: ManifestEntry, isWanted: Bool)? {
    do {
      while entriesLeft == 0 {
        guard let block = try file.nextBlock() else { return nil }
        (entriesLeft, decoder) = block
        if entriesLeft == 0 { continue }
      }
      entriesLeft -= 1
      var (entry, isWanted) = try decoder.readEntry(plan, spec: spec, wants)
      if entriesLeft == 0, !decoder.isAtEnd {
        throw IcebergError(.invalidMetadata, "a block has bytes after its last entry")
      }
      try inherit(&entry)
      return (entry, isWanted)
    } catch let error as AvroError {
      throw IcebergError(error).adding("manifest", manifest.path)
    } catch let error as IcebergError {
      throw error.adding("manifest", manifest.path)
    } catch {
      throw IcebergError(.invalidMetadata, "\(error)")
    }
  }

  /// All entries that are left.
  public mutating func readAll() throws(IcebergError) -> [ManifestEntry] {
    var entries: [ManifestEntry] = []
    while let entry = try next() { entries.append(entry) }
    return entries
  }

  /// Fills in what the entry leaves open. Only added entries may inherit a sequence number, apart
  /// from files of format version 1, which all have 0.
  private mutating func inherit(_ entry: inout ManifestEntry) throws(IcebergError) {
    if entry.snapshotID == nil { entry.snapshotID = manifest.addedSnapshotID }
    if !plan.hasSequenceNumbers || manifest.sequenceNumber == 0 {
      entry.sequenceNumber = entry.sequenceNumber ?? 0
      entry.fileSequenceNumber = entry.fileSequenceNumber ?? 0
    } else if entry.status == .added {
      entry.sequenceNumber = entry.sequenceNumber ?? manifest.sequenceNumber
      entry.fileSequenceNumber = entry.fileSequenceNumber ?? manifest.sequenceNumber
    } else if entry.status == .existing, entry.sequenceNumber == nil {
      throw IcebergError(
        .invalidMetadata, "an existing entry has no sequence number",
        context: [.init("file", entry.dataFile.path)])
    }
    guard let rowID = nextRowID, entry.isLive, entry.dataFile.firstRowID == nil else { return }
    let (next, overflow) = rowID.addingReportingOverflow(entry.dataFile.recordCount)
    guard !overflow else {
      throw IcebergError(.invalidMetadata, "row ids go beyond 64 bits")
    }
    entry.dataFile.firstRowID = rowID
    nextRowID = next
  }
}

extension AvroDecoder {
  fileprivate mutating func readEntry(
    _ plan: ManifestPlan, spec: PartitionSpec, _ wants: (DataFile) -> Bool
  ) throws(AvroError) -> (ManifestEntry, isWanted: Bool) {
    var isWanted = true
    var entry = ManifestEntry(
      status: .existing,
      dataFile: DataFile(
        path: "", specID: spec.specID, partition: spec.fields.map { _ in nil }, recordCount: 0,
        fileSizeInBytes: 0))
    for step in plan.steps {
      switch step {
      case .skip(let schema): try skip(schema)
      case .status:
        let value = try readInt()
        guard let status = ManifestEntry.Status(rawValue: value) else {
          throw AvroError("unknown status \(value)", byteOffset: position)
        }
        entry.status = status
      case .snapshotID(let nulls): entry.snapshotID = try readOptionalLong(nulls)
      case .sequenceNumber(let nulls): entry.sequenceNumber = try readOptionalLong(nulls)
      case .fileSequenceNumber(let nulls): entry.fileSequenceNumber = try readOptionalLong(nulls)
      case .dataFile(let steps):
        for step in steps {
          if !isWanted, try skipStatistics(step) { continue }
          try read(step, into: &entry.dataFile)
          if case .partition = step { isWanted = wants(entry.dataFile) }
        }
      }
    }
    return (entry, isWanted)
  }

  private mutating func read(
    _ step: ManifestPlan.FileStep, into file: inout DataFile
  ) throws(AvroError) {
    switch step {
    case .skip(let schema): try skip(schema)
    case .content(let nulls):
      let value = try readOptionalInt(nulls) ?? 0
      guard let content = FileContent(rawValue: value) else {
        throw AvroError("unknown file content \(value)", byteOffset: position)
      }
      file.content = content
    case .path: file.path = try readString()
    case .format: file.format = DataFileFormat(name: try readString())
    case .partition(let steps): try readPartition(steps, into: &file.partition)
    case .recordCount: file.recordCount = try readSize("record count")
    case .fileSize: file.fileSizeInBytes = try readSize("file size")
    case .columnSizes(let form): try readCounts(form, into: &file.columnSizes)
    case .valueCounts(let form): try readCounts(form, into: &file.valueCounts)
    case .nullValueCounts(let form): try readCounts(form, into: &file.nullValueCounts)
    case .nanValueCounts(let form): try readCounts(form, into: &file.nanValueCounts)
    case .lowerBounds(let form): try readBounds(form, into: &file.lowerBounds)
    case .upperBounds(let form): try readBounds(form, into: &file.upperBounds)
    case .skippedCounts(let nulls): try skipCounts(nulls)
    case .skippedBounds(let form): try skipBounds(form)
    case .keyMetadata(let nulls): file.keyMetadata = try readOptionalBytes(nulls)
    case .splitOffsets(let nulls): file.splitOffsets = try readLongs(nulls)
    case .equalityIDs(let nulls):
      for value in try readLongs(nulls) {
        guard let id = Int32(exactly: value) else {
          throw AvroError("\(value) is no field id", byteOffset: position)
        }
        file.equalityIDs.append(id)
      }
    case .sortOrderID(let nulls): file.sortOrderID = try readOptionalInt(nulls)
    case .firstRowID(let nulls): file.firstRowID = try readOptionalLong(nulls)
    case .contentOffset(let nulls): file.contentOffset = try readOptionalLong(nulls)
    case .contentSize(let nulls): file.contentSizeInBytes = try readOptionalLong(nulls)
    case .referencedDataFile(let nulls):
      file.referencedDataFile = try readOptionalString(nulls)
    }
  }

  /// Passes over a map of counts or bounds; false for anything else.
  private mutating func skipStatistics(_ step: ManifestPlan.FileStep) throws(AvroError) -> Bool {
    switch step {
    case .columnSizes(let form), .valueCounts(let form), .nullValueCounts(let form),
      .nanValueCounts(let form):
      try skipCounts(form.nulls)
    case .lowerBounds(let form), .upperBounds(let form): try skipBounds(form)
    default: return false
    }
    return true
  }

  /// A number that cannot be negative.
  private mutating func readSize(_ what: String) throws(AvroError) -> Int64 {
    let value = try readLong()
    guard value >= 0 else { throw AvroError("a \(what) of \(value)", byteOffset: position) }
    return value
  }

  private mutating func readPartition(
    _ steps: [ManifestPlan.PartitionStep], into partition: inout [Literal?]
  ) throws(AvroError) {
    for step in steps {
      switch step {
      case .skip(let schema): try skip(schema)
      case .value(let index, let form): partition[index] = try form.read(&self)
      }
    }
  }

  private mutating func readLongs(_ nulls: AvroNulls) throws(AvroError) -> [Int64] {
    var values: [Int64] = []
    guard try readPresence(nulls) else { return values }
    while case let count = try readBlockCount(), count > 0 {
      for _ in 0..<count { values.append(try readLong()) }
    }
    return values
  }

  private mutating func readCounts(
    _ form: ManifestPlan.MapForm, into counts: inout [Int32: Int64]
  ) throws(AvroError) {
    guard try readPresence(form.nulls) else { return }
    while case let count = try readBlockCount(), count > 0 {
      counts.reserveCapacity(min(count, form.columns?.count ?? 1024))
      for _ in 0..<count {
        var key = form.isKeyFirst ? try readInt() : 0
        let value = try readLong()
        if !form.isKeyFirst { key = try readInt() }
        if form.wants(key) { counts[key] = value }
      }
    }
  }

  /// Blocks that tell their size could be jumped over, but no engine writes them.
  private mutating func skipCounts(_ nulls: AvroNulls) throws(AvroError) {
    guard try readPresence(nulls) else { return }
    while case let count = try readBlockCount(), count > 0 {
      for _ in 0..<(2 * count) { _ = try readLong() }
    }
  }

  private mutating func skipBounds(_ form: ManifestPlan.MapForm) throws(AvroError) {
    guard try readPresence(form.nulls) else { return }
    while case let count = try readBlockCount(), count > 0 {
      for _ in 0..<count {
        if form.isKeyFirst { _ = try readLong() }
        try skipBytes()
        if !form.isKeyFirst { _ = try readLong() }
      }
    }
  }

  private mutating func readBounds(
    _ form: ManifestPlan.MapForm, into bounds: inout [Int32: [UInt8]]
  ) throws(AvroError) {
    guard try readPresence(form.nulls) else { return }
    while case let count = try readBlockCount(), count > 0 {
      bounds.reserveCapacity(min(count, form.columns?.count ?? 1024))
      for _ in 0..<count {
        if form.isKeyFirst {
          let key = try readInt()
          if form.wants(key) { bounds[key] = try readBytes() } else { try skipBytes() }
        } else {
          let value = try readBytes()
          let key = try readInt()
          if form.wants(key) { bounds[key] = value }
        }
      }
    }
  }
}
