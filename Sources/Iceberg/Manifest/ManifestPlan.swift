import Avro
import Storage

/// How entries of one manifest are read: the writer's fields in their order, each with what becomes
/// of it.
struct ManifestPlan: Sendable {
  enum Step: Sendable {
    case skip(AvroSchema)
    case status
    case snapshotID(AvroNulls)
    case sequenceNumber(AvroNulls)
    case fileSequenceNumber(AvroNulls)
    case dataFile([FileStep])
  }

  enum FileStep: Sendable {
    case skip(AvroSchema)
    case content(AvroNulls)
    case path
    case format
    case partition([PartitionStep])
    case recordCount
    case fileSize
    case columnSizes(MapForm)
    case valueCounts(MapForm)
    case nullValueCounts(MapForm)
    case nanValueCounts(MapForm)
    case lowerBounds(MapForm)
    case upperBounds(MapForm)
    case skippedCounts(AvroNulls)
    case skippedBounds(MapForm)
    case keyMetadata(AvroNulls)
    case splitOffsets(AvroNulls)
    case equalityIDs(AvroNulls)
    case sortOrderID(AvroNulls)
    case firstRowID(AvroNulls)
    case contentOffset(AvroNulls)
    case contentSize(AvroNulls)
    case referencedDataFile(AvroNulls)
  }

  enum PartitionStep: Sendable {
    case skip(AvroSchema)
    case value(Int, PartitionValueForm)
  }

  /// A map stored as an array of pairs of a key and a value, in either order.
  struct MapForm: Sendable {
    let nulls: AvroNulls
    let isKeyFirst: Bool
    /// The columns that are wanted; nil for all.
    let columns: [Int32]?

    @inline(__always) func wants(_ column: Int32) -> Bool { columns?.contains(column) ?? true }
  }

  let steps: [Step]
  /// Whether the file has sequence numbers at all: those of format version 1 do not.
  let hasSequenceNumbers: Bool

  private struct Source: Equatable, Sendable {
    var schemaText: AvroSchemaText
    var spec: PartitionSpec
    var types: [IcebergType?]
    var statistics: ManifestReader.Statistics
  }

  /// The manifests of a table are alike, and to make a plan takes longer than to read a few entries.
  private static let known = SmallCache<Source, ManifestPlan>(capacity: 16)

  /// The plan for a manifest, made or known from others that were written alike.
  ///
  /// - Parameter statistics: which maps of counts and bounds are wanted.
  static func plan(
    _ file: AvroFileReader, spec: PartitionSpec, types: [IcebergType?],
    statistics: ManifestReader.Statistics
  ) throws(IcebergError) -> ManifestPlan {
    func make() throws(IcebergError) -> ManifestPlan {
      try ManifestPlan(file.schema, spec: spec, types: types, statistics: statistics)
    }
    guard let text = file.keptSchemaText else { return try make() }
    let source = Source(schemaText: text, spec: spec, types: types, statistics: statistics)
    return try known.value(source, make)
  }

  private init(
    _ schema: AvroSchema, spec: PartitionSpec, types: [IcebergType?],
    statistics: ManifestReader.Statistics
  ) throws(IcebergError) {
    guard case .record(_, let fields) = schema.shape else {
      throw IcebergError(.invalidMetadata, "a manifest must hold records")
    }
    var steps: [Step] = []
    var seen: Set<Int32> = []
    for field in fields {
      guard let id = field.fieldID, seen.insert(id).inserted else {
        steps.append(.skip(field.schema))
        continue
      }
      let slot = try AvroSlot(field)
      switch id {
      case 0: steps.append(try slot.required("status", AvroSlot.integers, .status))
      case 1: steps.append(.snapshotID(try slot.expecting(AvroSlot.integers, "snapshot_id")))
      case 3: steps.append(.sequenceNumber(try slot.expecting([.long, .int], "sequence_number")))
      case 4:
        steps.append(
          .fileSequenceNumber(try slot.expecting([.long, .int], "file_sequence_number")))
      case 2:
        guard slot.nulls == .none else {
          throw IcebergError(.invalidMetadata, "data_file is optional")
        }
        steps.append(
          .dataFile(
            try ManifestPlan.fileSteps(
              try slot.record("data_file"), spec: spec, types: types, statistics: statistics)))
      default: steps.append(.skip(field.schema))
      }
    }
    guard seen.isSuperset(of: [0, 2]) else {
      throw IcebergError(
        .invalidMetadata, "a manifest's schema lacks status or data_file, found by field id")
    }
    self.steps = steps
    hasSequenceNumbers = seen.contains(3)
  }

  private static func fileSteps(
    _ fields: [AvroField], spec: PartitionSpec, types: [IcebergType?],
    statistics: ManifestReader.Statistics
  ) throws(IcebergError) -> [FileStep] {
    var steps: [FileStep] = []
    var seen: Set<Int32> = []
    for field in fields {
      guard let id = field.fieldID, seen.insert(id).inserted else {
        steps.append(.skip(field.schema))
        continue
      }
      if id == 102 {
        let slot = try AvroSlot(field)
        guard slot.nulls == .none else {
          throw IcebergError(.invalidMetadata, "partition is optional")
        }
        steps.append(
          .partition(
            try partitionSteps(try slot.record("partition"), spec: spec, types: types)))
      } else if let map = try mapStep(id, field, statistics: statistics) {
        steps.append(map)
      } else {
        steps.append(try scalarStep(id, field))
      }
    }
    guard seen.isSuperset(of: [100, 101, 103, 104]) else {
      throw IcebergError(
        .invalidMetadata,
        "a manifest's schema lacks a path, a format, a record count or a file size")
    }
    guard seen.contains(102) || spec.fields.isEmpty else {
      throw IcebergError(.invalidMetadata, "a manifest's schema lacks the partition")
    }
    return steps
  }

  private static func scalarStep(_ id: Int32, _ field: AvroField) throws(IcebergError) -> FileStep {
    let name = field.name
    func nulls(_ shapes: [AvroSchema.Shape]) throws(IcebergError) -> AvroNulls {
      try AvroSlot(field).expecting(shapes, name)
    }
    let integers = AvroSlot.integers
    switch id {
    case 134: return .content(try nulls(integers))
    case 100: return try AvroSlot(field).required(name, [.string], .path)
    case 101: return try AvroSlot(field).required(name, [.string], .format)
    case 103: return try AvroSlot(field).required(name, integers, .recordCount)
    case 104: return try AvroSlot(field).required(name, integers, .fileSize)
    case 131: return .keyMetadata(try nulls([.bytes]))
    case 132:
      let slot = try AvroSlot(field)
      return try list(slot, name, .splitOffsets(slot.nulls))
    case 135:
      let slot = try AvroSlot(field)
      return try list(slot, name, .equalityIDs(slot.nulls))
    case 140: return .sortOrderID(try nulls(integers))
    case 142: return .firstRowID(try nulls(integers))
    case 143: return .referencedDataFile(try nulls([.string]))
    case 144: return .contentOffset(try nulls(integers))
    case 145: return .contentSize(try nulls(integers))
    default: return .skip(field.schema)
    }
  }

  private static func list(
    _ slot: AvroSlot, _ name: String, _ step: FileStep
  ) throws(IcebergError) -> FileStep {
    guard AvroSlot.integers.contains(try slot.items(name).shape) else {
      throw IcebergError(.invalidMetadata, "\(name) is stored as \(slot.schema.json)")
    }
    return step
  }

  private static func mapStep(
    _ id: Int32, _ field: AvroField, statistics: ManifestReader.Statistics
  ) throws(IcebergError) -> FileStep? {
    guard [108, 109, 110, 137, 125, 128].contains(id) else { return nil }
    let slot = try AvroSlot(field)
    let values: [AvroSchema.Shape] = id == 125 || id == 128 ? [.bytes] : AvroSlot.integers
    guard case .record(_, let pair) = try slot.items(field.name).shape, pair.count == 2 else {
      throw IcebergError(.invalidMetadata, "\(field.name) is no array of pairs")
    }
    let isKeyFirst = pair[0].name != "value" && pair[1].name != "key"
    let (key, value) = isKeyFirst ? (pair[0], pair[1]) : (pair[1], pair[0])
    guard AvroSlot.integers.contains(key.schema.shape), values.contains(value.schema.shape) else {
      throw IcebergError(.invalidMetadata, "\(field.name) is stored as \(slot.schema.json)")
    }
    let columns: [Int32]? =
      switch statistics {
      case .all: nil
      case .columns(let ids): ids.sorted()
      case .none: []
      }
    let form = MapForm(nulls: slot.nulls, isKeyFirst: isKeyFirst, columns: columns)
    let isSkipped = columns?.isEmpty ?? false
    switch id {
    // Which columns a file has is always read: a scan finds by it that one is gone from a damaged footer.
    case 109: return .valueCounts(MapForm(nulls: slot.nulls, isKeyFirst: isKeyFirst, columns: nil))
    case 125 where isSkipped, 128 where isSkipped: return .skippedBounds(form)
    case 108 where columns != nil: return .skippedCounts(form.nulls)
    case _ where isSkipped: return .skippedCounts(form.nulls)
    case 108: return .columnSizes(form)
    case 110: return .nullValueCounts(form)
    case 137: return .nanValueCounts(form)
    case 125: return .lowerBounds(form)
    default: return .upperBounds(form)
    }
  }

  private static func partitionSteps(
    _ fields: [AvroField], spec: PartitionSpec, types: [IcebergType?]
  ) throws(IcebergError) -> [PartitionStep] {
    var steps: [PartitionStep] = []
    var seen: Set<Int32> = []
    for field in fields {
      if let id = field.fieldID, let index = spec.fields.firstIndex(where: { $0.fieldID == id }),
        seen.insert(id).inserted
      {
        steps.append(.value(index, try PartitionValueForm(field, type: types[index])))
      } else {
        steps.append(.skip(field.schema))
      }
    }
    return steps
  }
}

extension AvroSlot {
  /// A step for a field that must always be there.
  fileprivate func required<Step>(
    _ name: String, _ shapes: [AvroSchema.Shape], _ step: Step
  ) throws(IcebergError) -> Step {
    guard try expecting(shapes, name) == .none else {
      throw IcebergError(.invalidMetadata, "\(name) is optional")
    }
    return step
  }
}
