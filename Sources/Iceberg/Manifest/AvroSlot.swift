import Avro

/// A field of a record as its writer stored it: where null stands, and what the value is.
///
/// Readers find fields by Iceberg's field id and check the stored type once a file, so that reading
/// an entry is a walk over a list of steps.
struct AvroSlot: Sendable {
  let nulls: AvroNulls
  let schema: AvroSchema

  init(_ field: AvroField) throws(IcebergError) {
    guard let (schema, nulls) = field.schema.optionality else {
      throw IcebergError(.invalidMetadata, "field '\(field.name)' is a union of several types")
    }
    self.nulls = nulls
    self.schema = schema
  }

  /// Checks the stored type.
  func expecting(_ shapes: [AvroSchema.Shape], _ what: String) throws(IcebergError) -> AvroNulls {
    guard shapes.contains(schema.shape) else {
      throw IcebergError(.invalidMetadata, "\(what) is stored as \(schema.json)")
    }
    return nulls
  }

  static let integers: [AvroSchema.Shape] = [.int, .long]

  func record(_ what: String) throws(IcebergError) -> [AvroField] {
    guard case .record(_, let fields) = schema.shape else {
      throw IcebergError(.invalidMetadata, "\(what) is stored as \(schema.json), not as a record")
    }
    return fields
  }

  func items(_ what: String) throws(IcebergError) -> AvroSchema {
    guard case .array(let items) = schema.shape else {
      throw IcebergError(.invalidMetadata, "\(what) is stored as \(schema.json), not as an array")
    }
    return items
  }
}

extension AvroDecoder {
  mutating func readOptionalLong(_ nulls: AvroNulls) throws(AvroError) -> Int64? {
    try readPresence(nulls) ? try readLong() : nil
  }

  mutating func readOptionalInt(_ nulls: AvroNulls) throws(AvroError) -> Int32? {
    try readPresence(nulls) ? try readInt() : nil
  }

  mutating func readOptionalBytes(_ nulls: AvroNulls) throws(AvroError) -> [UInt8]? {
    try readPresence(nulls) ? try readBytes() : nil
  }

  mutating func readOptionalString(_ nulls: AvroNulls) throws(AvroError) -> String? {
    try readPresence(nulls) ? try readString() : nil
  }
}
