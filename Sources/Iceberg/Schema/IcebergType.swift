public import JSON

/// The type of a table's field.
public indirect enum IcebergType: Hashable, Sendable {
  case boolean
  case int
  case long
  case float
  case double
  case decimal(precision: Int, scale: Int)
  /// Days since 1970-01-01.
  case date
  /// Microseconds since midnight.
  case time
  /// Microseconds since 1970-01-01T00:00:00, of no time zone.
  case timestamp
  /// Microseconds since 1970-01-01T00:00:00 UTC.
  case timestamptz
  /// Nanoseconds, since format version 3.
  case timestampNs
  case timestamptzNs
  case string
  case uuid
  /// A fixed number of bytes.
  case fixed(Int)
  case binary
  /// Always null, and stored nowhere: a column whose type is not known yet (format version 3). In memory
  /// it is a boolean column of nulls.
  case unknown
  case structure([NestedField])
  /// The element is a field named `element`.
  case list(element: NestedField)
  /// The key is a required field named `key`, the value a field named `value`.
  case map(key: NestedField, value: NestedField)
}

extension IcebergType {
  public var isPrimitive: Bool {
    switch self {
    case .structure, .list, .map: false
    default: true
    }
  }

  /// The fields directly below a nested type; none for a primitive one.
  public var children: [NestedField] {
    switch self {
    case .structure(let fields): fields
    case .list(let element): [element]
    case .map(let key, let value): [key, value]
    default: []
    }
  }

  /// Whether values of this type, as data files hold them, may be read as `other`.
  public func canPromote(to other: IcebergType) -> Bool {
    switch (self, other) {
    case (.int, .long), (.float, .double): true
    case (.decimal(let precision, let scale), .decimal(let wider, let otherScale)):
      scale == otherScale && precision <= wider
    case (.date, .timestamp), (.date, .timestampNs): true
    case (.unknown, _): other.isPrimitive
    default: self == other
    }
  }
}

extension IcebergType: CustomStringConvertible {
  /// The specification's name; nested types in the usual `struct<1: a: optional int>` notation.
  public var description: String {
    switch self {
    case .boolean: "boolean"
    case .int: "int"
    case .long: "long"
    case .float: "float"
    case .double: "double"
    case .decimal(let precision, let scale): "decimal(\(precision), \(scale))"
    case .date: "date"
    case .time: "time"
    case .timestamp: "timestamp"
    case .timestamptz: "timestamptz"
    case .timestampNs: "timestamp_ns"
    case .timestamptzNs: "timestamptz_ns"
    case .string: "string"
    case .uuid: "uuid"
    case .fixed(let length): "fixed[\(length)]"
    case .binary: "binary"
    case .unknown: "unknown"
    case .structure(let fields):
      "struct<\(fields.map(\.description).joined(separator: ", "))>"
    case .list(let element): "list<\(element.type)>"
    case .map(let key, let value): "map<\(key.type), \(value.type)>"
    }
  }
}

// The wire form.
extension IcebergType {
  public init(json: JSONValue) throws(IcebergError) {
    if let name = json.stringValue {
      self = try IcebergType(primitiveName: name)
      return
    }
    switch try json.requiredString("type") {
    case "struct": self = .structure(try NestedField.fields(json: json))
    case "list":
      self = .list(
        element: NestedField(
          id: try json.requiredInt32("element-id"), name: "element",
          isRequired: try json.requiredBool("element-required"),
          type: try IcebergType(json: try json.required("element"))))
    case "map":
      let key = NestedField(
        id: try json.requiredInt32("key-id"), name: "key", isRequired: true,
        type: try IcebergType(json: try json.required("key")))
      let value = NestedField(
        id: try json.requiredInt32("value-id"), name: "value",
        isRequired: try json.requiredBool("value-required"),
        type: try IcebergType(json: try json.required("value")))
      self = .map(key: key, value: value)
    case let other: throw IcebergError(.unsupported, "unknown type '\(other)'")
    }
  }

  /// A primitive type from the specification's text, with or without spaces inside parentheses.
  public init(primitiveName name: String) throws(IcebergError) {
    if let known = IcebergType.simpleNames[name] {
      self = known
      return
    }
    let text = name.filter { $0 != " " }
    if let inner = text.between("fixed[", "]"), let length = Int(inner) {
      guard length >= 0, length <= Int(Int32.max) else {
        throw IcebergError(.invalidMetadata, "'\(name)' has an impossible length")
      }
      self = .fixed(length)
      return
    }
    if let inner = text.between("decimal(", ")") {
      let parts = inner.split(separator: ",", omittingEmptySubsequences: false).map { Int($0) }
      guard parts.count == 2, let precision = parts[0], let scale = parts[1],
        (1...38).contains(precision), (0...precision).contains(scale)
      else {
        throw IcebergError(.invalidMetadata, "'\(name)' is no decimal of at most 38 digits")
      }
      self = .decimal(precision: precision, scale: scale)
      return
    }
    throw IcebergError(.unsupported, "unknown type '\(name)'")
  }

  private static let simpleNames: [String: IcebergType] = [
    "boolean": .boolean, "int": .int, "long": .long, "float": .float, "double": .double,
    "date": .date, "time": .time, "timestamp": .timestamp, "timestamptz": .timestamptz,
    "timestamp_ns": .timestampNs, "timestamptz_ns": .timestamptzNs, "string": .string,
    "uuid": .uuid, "binary": .binary, "unknown": .unknown,
  ]

  /// As Java writes it.
  public var json: JSONValue {
    switch self {
    case .structure(let fields):
      ["type": "struct", "fields": .array(fields.map(\.json))]
    case .list(let element):
      [
        "type": "list", "element-id": .integer(Int64(element.id)), "element": element.type.json,
        "element-required": .bool(element.isRequired),
      ]
    case .map(let key, let value):
      [
        "type": "map", "key-id": .integer(Int64(key.id)), "key": key.type.json,
        "value-id": .integer(Int64(value.id)), "value": value.type.json,
        "value-required": .bool(value.isRequired),
      ]
    default: .string(description)
    }
  }
}

extension String {
  /// What stands between a prefix and a suffix; nil when either is missing.
  func between(_ prefix: String, _ suffix: String) -> Substring? {
    guard hasPrefix(prefix), hasSuffix(suffix), count >= prefix.count + suffix.count else {
      return nil
    }
    return dropFirst(prefix.count).dropLast(suffix.count)
  }
}
