/// The type of a column, with Arrow's in-memory layout for it.
///
/// Other Arrow types are converted to one of these where data enters (FileFormats says how).
public indirect enum DataType: Hashable, Sendable {
  /// One bit a value.
  case boolean
  case int32
  case int64
  case float32
  case float64
  /// UTF-8 text: 32-bit offsets into bytes.
  case string
  /// Bytes: 32-bit offsets into bytes.
  case binary
  /// A fixed number of bytes a value (a UUID has 16, big-endian).
  case fixedSizeBinary(Int)
  /// Days since 1970-01-01, 32 bits.
  case date
  /// Microseconds since midnight, 64 bits.
  case time
  /// Microseconds since 1970-01-01T00:00:00, 64 bits; `isUTC` tells timestamptz from timestamp.
  case timestamp(isUTC: Bool)
  /// Nanoseconds since 1970-01-01T00:00:00, 64 bits.
  case timestampNanoseconds(isUTC: Bool)
  /// The unscaled value as a 128-bit integer.
  case decimal(precision: Int, scale: Int)
  /// 32-bit offsets into one child column.
  case list(Field)
  /// One child column a field.
  case structure([Field])
  /// 32-bit offsets into a structure of a key and a value.
  case map(key: Field, value: Field)

  /// Whether values have others in them.
  public var isNested: Bool {
    switch self {
    case .list, .structure, .map: true
    default: false
    }
  }

  /// Bytes that one value takes in the values buffer; nil for bits, variable lengths and nested types.
  public var byteWidth: Int? {
    switch self {
    case .int32, .float32, .date: 4
    case .int64, .float64, .time, .timestamp, .timestampNanoseconds: 8
    case .decimal: 16
    case .fixedSizeBinary(let width): width
    case .boolean, .string, .binary, .list, .structure, .map: nil
    }
  }
}

extension DataType: CustomStringConvertible {
  public var description: String {
    switch self {
    case .boolean: "boolean"
    case .int32: "int"
    case .int64: "long"
    case .float32: "float"
    case .float64: "double"
    case .string: "string"
    case .binary: "binary"
    case .fixedSizeBinary(let width): "fixed[\(width)]"
    case .date: "date"
    case .time: "time"
    case .timestamp(let isUTC): isUTC ? "timestamptz" : "timestamp"
    case .timestampNanoseconds(let isUTC): isUTC ? "timestamptz_ns" : "timestamp_ns"
    case .decimal(let precision, let scale): "decimal(\(precision), \(scale))"
    case .list(let element): "list<\(element.type)>"
    case .structure(let fields):
      "struct<\(fields.map { "\($0.name): \($0.type)" }.joined(separator: ", "))>"
    case .map(let key, let value): "map<\(key.type), \(value.type)>"
    }
  }
}

/// A named, typed place for a column.
public struct Field: Hashable, Sendable {
  public var name: String
  public var type: DataType
  public var isNullable: Bool
  /// The Iceberg field id (Parquet's `field_id`), where there is one.
  public var fieldID: Int32?

  public init(_ name: String, _ type: DataType, isNullable: Bool = true, fieldID: Int32? = nil) {
    self.name = name
    self.type = type
    self.isNullable = isNullable
    self.fieldID = fieldID
  }
}

/// The fields of a record batch or of a file, in order.
public struct Schema: Hashable, Sendable {
  public var fields: [Field]

  public init(_ fields: [Field]) { self.fields = fields }

  /// The position of the field with this name; linear.
  public func index(of name: String) -> Int? { fields.firstIndex { $0.name == name } }

  /// The position of the field with this id; linear.
  public func index(ofFieldID id: Int32) -> Int? { fields.firstIndex { $0.fieldID == id } }
}
