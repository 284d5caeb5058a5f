/// A JSON document (RFC 8259) as a value.
///
/// Integers keep all 64 bits (Iceberg's snapshot ids exceed 2^53) and other numbers keep their
/// text, so nothing is rounded on the way through. Objects keep the order of their members.
public enum JSONValue: Hashable, Sendable {
  case null
  case bool(Bool)
  case integer(Int64)
  /// A number with a fraction, an exponent, or more than 64 bits, as it was written.
  case number(String)
  case string(String)
  case array([JSONValue])
  case object(JSONObject)

  /// A number for `value`; `null` for NaN and the infinities, which JSON cannot write.
  public static func double(_ value: Double) -> JSONValue {
    value.isFinite ? .number(value.description) : .null
  }
}

extension JSONValue {
  public var boolValue: Bool? {
    if case .bool(let value) = self { value } else { nil }
  }

  public var int64Value: Int64? {
    if case .integer(let value) = self { value } else { nil }
  }

  public var doubleValue: Double? {
    switch self {
    case .integer(let value): Double(value)
    case .number(let text): Double(text)
    default: nil
    }
  }

  public var stringValue: String? {
    if case .string(let value) = self { value } else { nil }
  }

  public var arrayValue: [JSONValue]? {
    if case .array(let value) = self { value } else { nil }
  }

  public var objectValue: JSONObject? {
    if case .object(let value) = self { value } else { nil }
  }

  /// The member of an object; nil when this is no object or has no such member.
  public subscript(key: String) -> JSONValue? { objectValue?[key] }

  /// What kind of value this is, for error messages.
  public var kind: String {
    switch self {
    case .null: "null"
    case .bool: "a boolean"
    case .integer: "an integer"
    case .number: "a number"
    case .string: "a string"
    case .array: "an array"
    case .object: "an object"
    }
  }
}

extension JSONValue: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral,
  ExpressibleByBooleanLiteral, ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral
{
  public init(stringLiteral value: String) { self = .string(value) }
  public init(integerLiteral value: Int64) { self = .integer(value) }
  public init(booleanLiteral value: Bool) { self = .bool(value) }
  public init(arrayLiteral elements: JSONValue...) { self = .array(elements) }
  public init(dictionaryLiteral elements: (String, JSONValue)...) {
    self = .object(JSONObject(elements))
  }
}

/// The members of a JSON object, in the order in which they were written.
public struct JSONObject: Hashable, Sendable {
  public private(set) var keys: [String]
  public private(set) var values: [JSONValue]

  public init() {
    keys = []
    values = []
  }

  /// Members in the given order; of equal keys the last one counts.
  public init(_ members: some Sequence<(String, JSONValue)>) {
    self.init()
    for (key, value) in members { self[key] = value }
  }

  public var count: Int { keys.count }
  public var isEmpty: Bool { keys.isEmpty }

  /// Finds a member by a linear search: objects here have tens of members, not thousands.
  public subscript(key: String) -> JSONValue? {
    get { keys.firstIndex(of: key).map { values[$0] } }
    set {
      let index = keys.firstIndex(of: key)
      switch (index, newValue) {
      case (let index?, let value?): values[index] = value
      case (let index?, nil):
        keys.remove(at: index)
        values.remove(at: index)
      case (nil, let value?): append(key, value)
      case (nil, nil): break
      }
    }
  }

  /// The members as pairs, in order.
  public var members: Zip2Sequence<[String], [JSONValue]> { zip(keys, values) }

  /// Adds a member that the caller knows to be new: constant time.
  mutating func append(_ key: String, _ value: JSONValue) {
    keys.append(key)
    values.append(value)
  }
}

extension JSONObject: ExpressibleByDictionaryLiteral {
  public init(dictionaryLiteral elements: (String, JSONValue)...) { self.init(elements) }
}
