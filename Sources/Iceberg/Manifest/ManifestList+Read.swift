import Avro
import Storage

extension ManifestList {
  /// Reads a list of any format version; fields are found by Iceberg field id, so the older names
  /// and orders of version 1 do not matter.
  ///
  /// - Parameter location: where the bytes are from; a list that says that it is another is refused.
  public static func read(
    _ bytes: [UInt8], location: String? = nil
  ) throws(IcebergError) -> [ManifestFile] {
    do {
      var file = try AvroFileReader(bytes)
      if let location { try FileNameMark.check(file.text(FileNameMark.key), at: location) }
      try AvroChecksum.check(bytes, file, at: location ?? "manifest list")
      let steps = try ManifestListStep.plan(file)
      var manifests: [ManifestFile] = []
      while var (count, decoder) = try file.nextBlock() {
        while count > 0 {
          manifests.append(try decoder.readManifest(steps))
          count -= 1
        }
        guard decoder.isAtEnd else {
          throw IcebergError(.invalidMetadata, "a block has bytes after its last manifest")
        }
      }
      return manifests
    } catch let error as AvroError {
      throw IcebergError(error)
    } catch let error as IcebergError {
      throw error
    } catch {
      throw IcebergError(.invalidMetadata, "\(error)")
    }
  }
}

/// What becomes of each field of a manifest list, in the writer's order.
private enum ManifestListStep: Sendable {
  case skip(AvroSchema)
  case path
  case length
  case specID
  case content(AvroNulls)
  case sequenceNumber(AvroNulls)
  case minSequenceNumber(AvroNulls)
  case addedSnapshotID(AvroNulls)
  case addedFilesCount(AvroNulls)
  case existingFilesCount(AvroNulls)
  case deletedFilesCount(AvroNulls)
  case addedRowsCount(AvroNulls)
  case existingRowsCount(AvroNulls)
  case deletedRowsCount(AvroNulls)
  case firstRowID(AvroNulls)
  case partitions(AvroNulls, [SummaryStep])
  case keyMetadata(AvroNulls)

  enum SummaryStep: Sendable {
    case skip(AvroSchema)
    case containsNull
    case containsNaN(AvroNulls)
    case lowerBound(AvroNulls)
    case upperBound(AvroNulls)
  }

  /// Lists are alike, and to make their plan takes longer than to read a few lines.
  private static let known = SmallCache<AvroSchemaText, [ManifestListStep]>(capacity: 8)

  /// The plan for a list, made or known from others that were written alike.
  static func plan(_ file: AvroFileReader) throws(IcebergError) -> [ManifestListStep] {
    guard let text = file.keptSchemaText else { return try plan(file.schema) }
    return try known.value(text) { () throws(IcebergError) in try plan(file.schema) }
  }

  private static func plan(_ schema: AvroSchema) throws(IcebergError) -> [ManifestListStep] {
    guard case .record(_, let fields) = schema.shape else {
      throw IcebergError(.invalidMetadata, "a manifest list must hold records")
    }
    var steps: [ManifestListStep] = []
    var seen: Set<Int32> = []
    for field in fields {
      guard let id = field.fieldID, seen.insert(id).inserted else {
        steps.append(.skip(field.schema))
        continue
      }
      steps.append(try step(id, field))
    }
    guard seen.isSuperset(of: [500, 501, 502, 503]) else {
      throw IcebergError(
        .invalidMetadata, "a manifest list's schema lacks a path, a length, a spec or a snapshot")
    }
    return steps
  }

  private static func step(_ id: Int32, _ field: AvroField) throws(IcebergError) -> ManifestListStep
  {
    func nulls(_ shapes: [AvroSchema.Shape]) throws(IcebergError) -> AvroNulls {
      try AvroSlot(field).expecting(shapes, field.name)
    }
    func required(_ shapes: [AvroSchema.Shape]) throws(IcebergError) {
      guard try nulls(shapes) == .none else {
        throw IcebergError(.invalidMetadata, "\(field.name) is optional")
      }
    }
    let integers = AvroSlot.integers
    switch id {
    case 500:
      try required([.string])
      return .path
    case 501:
      try required(integers)
      return .length
    case 502:
      try required(integers)
      return .specID
    case 517: return .content(try nulls(integers))
    case 515: return .sequenceNumber(try nulls(integers))
    case 516: return .minSequenceNumber(try nulls(integers))
    case 503: return .addedSnapshotID(try nulls(integers))
    case 504: return .addedFilesCount(try nulls(integers))
    case 505: return .existingFilesCount(try nulls(integers))
    case 506: return .deletedFilesCount(try nulls(integers))
    case 512: return .addedRowsCount(try nulls(integers))
    case 513: return .existingRowsCount(try nulls(integers))
    case 514: return .deletedRowsCount(try nulls(integers))
    case 520: return .firstRowID(try nulls(integers))
    case 519: return .keyMetadata(try nulls([.bytes]))
    case 507:
      let slot = try AvroSlot(field)
      return .partitions(slot.nulls, try summarySteps(try slot.items(field.name)))
    default: return .skip(field.schema)
    }
  }

  private static func summarySteps(_ schema: AvroSchema) throws(IcebergError) -> [SummaryStep] {
    guard case .record(_, let fields) = schema.shape else {
      throw IcebergError(.invalidMetadata, "partition summaries must be records")
    }
    var steps: [SummaryStep] = []
    var hasNullFlag = false
    for field in fields {
      switch field.fieldID {
      case 509:
        guard field.schema.shape == .boolean else {
          throw IcebergError(.invalidMetadata, "contains_null must be a required boolean")
        }
        hasNullFlag = true
        steps.append(.containsNull)
      case 518:
        steps.append(
          .containsNaN(try AvroSlot(field).expecting([.boolean], field.name)))
      case 510:
        steps.append(.lowerBound(try AvroSlot(field).expecting([.bytes], field.name)))
      case 511:
        steps.append(.upperBound(try AvroSlot(field).expecting([.bytes], field.name)))
      default: steps.append(.skip(field.schema))
      }
    }
    guard hasNullFlag else {
      throw IcebergError(.invalidMetadata, "partition summaries lack contains_null")
    }
    return steps
  }
}

extension AvroDecoder {
  fileprivate mutating func readManifest(
    _ steps: [ManifestListStep]
  ) throws(AvroError) -> ManifestFile {
    var manifest = ManifestFile(
      path: "", length: 0, partitionSpecID: 0, sequenceNumber: 0, minSequenceNumber: 0,
      addedSnapshotID: 0)
    for step in steps {
      switch step {
      case .skip(let schema): try skip(schema)
      case .path: manifest.path = try readString()
      case .length: manifest.length = try readLong()
      case .specID: manifest.partitionSpecID = try readInt()
      case .content(let nulls):
        let value = try readOptionalInt(nulls) ?? 0
        guard let content = ManifestContent(rawValue: value) else {
          throw AvroError("unknown manifest content \(value)", byteOffset: position)
        }
        manifest.content = content
      case .sequenceNumber(let nulls): manifest.sequenceNumber = try readOptionalLong(nulls) ?? 0
      case .minSequenceNumber(let nulls):
        manifest.minSequenceNumber = try readOptionalLong(nulls) ?? 0
      case .addedSnapshotID(let nulls): manifest.addedSnapshotID = try readOptionalLong(nulls) ?? 0
      case .addedFilesCount(let nulls): manifest.addedFilesCount = try readOptionalInt(nulls)
      case .existingFilesCount(let nulls): manifest.existingFilesCount = try readOptionalInt(nulls)
      case .deletedFilesCount(let nulls): manifest.deletedFilesCount = try readOptionalInt(nulls)
      case .addedRowsCount(let nulls): manifest.addedRowsCount = try readOptionalLong(nulls)
      case .existingRowsCount(let nulls): manifest.existingRowsCount = try readOptionalLong(nulls)
      case .deletedRowsCount(let nulls): manifest.deletedRowsCount = try readOptionalLong(nulls)
      case .firstRowID(let nulls): manifest.firstRowID = try readOptionalLong(nulls)
      case .partitions(let nulls, let steps):
        if try readPresence(nulls) { manifest.partitions = try readSummaries(steps) }
      case .keyMetadata(let nulls): manifest.keyMetadata = try readOptionalBytes(nulls)
      }
    }
    return manifest
  }

  private mutating func readSummaries(
    _ steps: [ManifestListStep.SummaryStep]
  ) throws(AvroError) -> [PartitionFieldSummary] {
    var summaries: [PartitionFieldSummary] = []
    while case let count = try readBlockCount(), count > 0 {
      for _ in 0..<count {
        var summary = PartitionFieldSummary(containsNull: true)
        for step in steps {
          switch step {
          case .skip(let schema): try skip(schema)
          case .containsNull: summary.containsNull = try readBoolean()
          case .containsNaN(let nulls):
            if try readPresence(nulls) { summary.containsNaN = try readBoolean() }
          case .lowerBound(let nulls): summary.lowerBound = try readOptionalBytes(nulls)
          case .upperBound(let nulls): summary.upperBound = try readOptionalBytes(nulls)
          }
        }
        summaries.append(summary)
      }
    }
    return summaries
  }
}
