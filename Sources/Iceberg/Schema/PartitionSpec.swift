public import JSON

/// One value of a partition tuple and where it comes from.
public struct PartitionField: Hashable, Sendable {
  /// The column's field id.
  public var sourceID: Int32
  /// Further source columns of a multi-argument transform, which is always an unknown one.
  public var additionalSourceIDs: [Int32]
  /// The id of the value in the partition tuple, from 1000.
  public var fieldID: Int32
  public var name: String
  public var transform: Transform

  public init(
    sourceID: Int32, fieldID: Int32, name: String, transform: Transform,
    additionalSourceIDs: [Int32] = []
  ) {
    self.sourceID = sourceID
    self.additionalSourceIDs = additionalSourceIDs
    self.fieldID = fieldID
    self.name = name
    self.transform = transform
  }
}

/// How a table's rows are divided into partitions.
public struct PartitionSpec: Hashable, Sendable {
  /// The highest partition field id of a table that never had a partition field.
  public static let lastPartitionIDOfUnpartitioned: Int32 = 999

  public var specID: Int32
  public var fields: [PartitionField]

  public init(specID: Int32 = 0, fields: [PartitionField] = []) {
    self.specID = specID
    self.fields = fields
  }

  public static let unpartitioned = PartitionSpec()

  /// Whether all rows are in one partition: no fields, or only void ones.
  public var isUnpartitioned: Bool { fields.allSatisfy { $0.transform == .void } }

  /// Whether both divide rows alike, whatever their spec ids.
  public func hasSameFields(as other: PartitionSpec) -> Bool { fields == other.fields }

  /// The highest field id in use; 999 when there are no fields.
  public var highestFieldID: Int32 {
    fields.reduce(PartitionSpec.lastPartitionIDOfUnpartitioned) { max($0, $1.fieldID) }
  }

  /// The type of each value of the partition tuple, in order; nil where the source column is gone
  /// or the transform is unknown: such values are read as the file types them.
  public func partitionTypes(schema: TableSchema) -> [IcebergType?] {
    fields.map { field in
      schema.field(id: field.sourceID).flatMap { field.transform.resultType(of: $0.type) }
    }
  }

  /// Checks field ids, names and sources: what a spec that we write must fulfil.
  public func validate(schema: TableSchema) throws(IcebergError) {
    var ids: Set<Int32> = []
    var names: Set<String> = []
    for field in fields {
      guard ids.insert(field.fieldID).inserted, names.insert(field.name).inserted else {
        throw IcebergError(.invalidArgument, "partition field '\(field.name)' appears twice")
      }
      if field.transform == .void { continue }
      guard let source = schema.field(id: field.sourceID) else {
        throw IcebergError(
          .invalidArgument, "partition field '\(field.name)' needs column \(field.sourceID)")
      }
      guard field.transform.resultType(of: source.type) != nil else {
        throw IcebergError(
          .invalidArgument,
          "'\(source.name)' of type \(source.type) cannot be partitioned by"
            + " \(field.transform)")
      }
      var ancestor = schema.parent(ofID: source.id)
      while let holder = ancestor {
        guard case .structure = holder.type else {
          throw IcebergError(
            .invalidArgument, "'\(source.name)' is inside a list or a map: no partition source")
        }
        ancestor = schema.parent(ofID: holder.id)
      }
    }
  }
}

// The wire form.
extension PartitionField {
  /// A field; without `field-id` (old format version 1) it takes `defaultFieldID`.
  init(json: JSONValue, defaultFieldID: Int32) throws(IcebergError) {
    let name = try json.requiredString("name")
    var sources = try json.optionalInt32Array("source-ids") ?? []
    if let single = try json.optionalInt32("source-id"), sources.isEmpty { sources = [single] }
    guard let first = sources.first else {
      throw IcebergError(.invalidMetadata, "partition field '\(name)' has no source-id")
    }
    self.init(
      sourceID: first, fieldID: try json.optionalInt32("field-id") ?? defaultFieldID, name: name,
      transform: Transform(text: try json.requiredString("transform")),
      additionalSourceIDs: Array(sources.dropFirst()))
  }

  public var json: JSONValue {
    var object: JSONObject = ["name": .string(name), "transform": .string(transform.text)]
    object.addSources(sourceID, additionalSourceIDs)
    object["field-id"] = .integer(Int64(fieldID))
    return .object(object)
  }
}

extension PartitionSpec {
  /// A spec from metadata: the object with `spec-id`, or the array of fields alone, which format
  /// version 1 and manifests have and which then gets `specID`.
  public init(json: JSONValue, specID: Int32 = 0) throws(IcebergError) {
    if let elements = json.arrayValue {
      try self.init(specID: specID, elements: elements)
    } else {
      try self.init(
        specID: try json.optionalInt32("spec-id") ?? specID,
        elements: try json.requiredArray("fields"))
    }
  }

  private init(specID: Int32, elements: [JSONValue]) throws(IcebergError) {
    var fields: [PartitionField] = []
    for (index, element) in elements.enumerated() {
      fields.append(
        try PartitionField(json: element, defaultFieldID: 1000 &+ Int32(truncatingIfNeeded: index)))
    }
    self.init(specID: specID, fields: fields)
  }

  /// The array of fields alone.
  public var fieldsJSON: JSONValue { .array(fields.map(\.json)) }

  public var json: JSONValue {
    ["spec-id": .integer(Int64(specID)), "fields": fieldsJSON]
  }
}

extension JSONObject {
  /// `source-id` for one source, as every version understands it; `source-ids` for more.
  mutating func addSources(_ first: Int32, _ others: [Int32]) {
    if others.isEmpty {
      self["source-id"] = .integer(Int64(first))
    } else {
      self["source-ids"] = .array(([first] + others).map { .integer(Int64($0)) })
    }
  }
}
