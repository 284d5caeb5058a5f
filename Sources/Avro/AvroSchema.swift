public import JSON

/// An Avro schema, with the attributes that Iceberg adds to it.
public struct AvroSchema: Hashable, Sendable {
  public indirect enum Shape: Hashable, Sendable {
    case null
    case boolean
    case int
    case long
    case float
    case double
    case bytes
    case string
    case fixed(name: String, size: Int)
    case enumeration(name: String, symbols: [String])
    case record(name: String, fields: [AvroField])
    case array(AvroSchema)
    case map(AvroSchema)
    case union([AvroSchema])
  }

  public var shape: Shape
  /// All other attributes of the type, such as `logicalType`, `precision`, `element-id`.
  public var attributes: JSONObject

  public init(_ shape: Shape, attributes: JSONObject = [:]) {
    self.shape = shape
    self.attributes = attributes
  }

  public static let null = AvroSchema(.null)
  public static let boolean = AvroSchema(.boolean)
  public static let int = AvroSchema(.int)
  public static let long = AvroSchema(.long)
  public static let float = AvroSchema(.float)
  public static let double = AvroSchema(.double)
  public static let bytes = AvroSchema(.bytes)
  public static let string = AvroSchema(.string)

  /// A union of null, first, and the schema.
  public var optional: AvroSchema { AvroSchema(.union([.null, self])) }

  public var logicalType: String? { attributes["logicalType"]?.stringValue }
}

/// A field of a record.
public struct AvroField: Hashable, Sendable {
  public var name: String
  public var schema: AvroSchema
  /// All other attributes, such as `doc`, `default`, `field-id`.
  public var attributes: JSONObject

  public init(_ name: String, _ schema: AvroSchema, attributes: JSONObject = [:]) {
    self.name = name
    self.schema = schema
    self.attributes = attributes
  }

  /// Iceberg's field id; nil when there is none, or no 32-bit integer.
  public var fieldID: Int32? {
    attributes["field-id"]?.int64Value.flatMap { Int32(exactly: $0) }
  }
}

extension AvroSchema {
  /// The only schema besides null of a union, and which branch is which; a schema that is no
  /// union is itself, required. nil for unions of several types.
  public var optionality: (schema: AvroSchema, nulls: AvroNulls)? {
    guard case .union(let branches) = shape else { return (self, .none) }
    let others = branches.indices.filter { branches[$0].shape != .null }
    guard others.count == 1, branches.count <= 2 else { return nil }
    if case .union = branches[others[0]].shape { return nil }
    let nulls: AvroNulls =
      branches.count == 1 ? .onlyBranch : others[0] == 1 ? .firstBranch : .secondBranch
    return (branches[others[0]], nulls)
  }
}

/// Where in a union null stands.
public enum AvroNulls: Hashable, Sendable {
  /// No union: the value is always there.
  case none
  /// A union of one type, without null.
  case onlyBranch
  case firstBranch
  case secondBranch
}
