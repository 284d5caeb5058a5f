/// The type of a feature, a record identifier or an event time.
///
/// Each maps to one Iceberg type and one column layout; docs/file-formats.md has the table.
public indirect enum FeatureType: Hashable, Sendable {
  case boolean
  /// 32 bits.
  case int
  /// 64 bits.
  case long
  /// 32 bits.
  case float
  /// 64 bits.
  case double
  case string
  case binary
  /// Days since 1970-01-01.
  case date
  /// Microseconds since 1970-01-01T00:00:00Z.
  case timestamp
  /// Precision 1 to 38, scale 0 to precision.
  case decimal(precision: Int, scale: Int)
  case uuid
  /// A list; with a dimension every value has exactly that many elements (an embedding is
  /// `list<float>` with its dimension). Elements are never lists and never null.
  case list(element: FeatureType, dimension: Int?)
}

extension FeatureType: CustomStringConvertible {
  /// As it is written in definitions: `long`, `decimal(9,2)`, `list<float>`, `list<float>[768]`.
  public var description: String {
    switch self {
    case .boolean: "boolean"
    case .int: "int"
    case .long: "long"
    case .float: "float"
    case .double: "double"
    case .string: "string"
    case .binary: "binary"
    case .date: "date"
    case .timestamp: "timestamp"
    case .decimal(let precision, let scale): "decimal(\(precision),\(scale))"
    case .uuid: "uuid"
    case .list(let element, let dimension): "list<\(element)>" + (dimension.map { "[\($0)]" } ?? "")
    }
  }
}

extension FeatureType {
  /// The names of the types without parameters.
  private static let simple: [String: FeatureType] = [
    "boolean": .boolean, "int": .int, "long": .long, "float": .float, "double": .double,
    "string": .string, "binary": .binary, "date": .date, "timestamp": .timestamp, "uuid": .uuid,
  ]

  /// What `init(parsing:)` takes, for error messages.
  public static let allowedNames =
    "boolean, int, long, float, double, string, binary, date, timestamp, uuid, decimal(P,S), "
    + "list<TYPE> or list<TYPE>[N]"

  /// Reads a type as `description` writes it.
  public init(parsing text: String) throws(FeatureModelError) {
    guard let type = FeatureType.parse(text[...]) else {
      throw FeatureModelError(
        .invalidType, "'\(text)' is no feature type; allowed are \(FeatureType.allowedNames)")
    }
    self = type
  }

  private static func parse(_ text: Substring) -> FeatureType? {
    if let type = simple[String(text)] { return type }
    if text.hasPrefix("decimal("), text.hasSuffix(")") {
      let parts = text.dropFirst(8).dropLast().split(
        separator: ",", omittingEmptySubsequences: false)
      guard parts.count == 2, let precision = integer(parts[0]), let scale = integer(parts[1]),
        1...38 ~= precision, 0...precision ~= scale
      else { return nil }
      return .decimal(precision: precision, scale: scale)
    }
    guard text.hasPrefix("list<"), let end = text.lastIndex(of: ">"),
      let element = parse(text[text.index(text.startIndex, offsetBy: 5)..<end])
    else { return nil }
    if case .list = element { return nil }
    let rest = text[text.index(after: end)...]
    if rest.isEmpty { return .list(element: element, dimension: nil) }
    guard rest.hasPrefix("["), rest.hasSuffix("]"),
      let dimension = integer(rest.dropFirst().dropLast()),
      1...1_000_000 ~= dimension
    else { return nil }
    return .list(element: element, dimension: dimension)
  }

  private static func integer(_ text: Substring) -> Int? {
    let digits = text.drop { $0 == " " }
    guard !digits.isEmpty, digits.allSatisfy({ $0.isASCII && $0.isNumber }) else { return nil }
    return Int(digits)
  }

  /// Whether values of this type may identify a record: compared exactly, so no floating point.
  public var canIdentifyRecords: Bool {
    switch self {
    case .boolean, .int, .long, .string, .binary, .date, .timestamp, .uuid: true
    case .float, .double, .decimal, .list: false
    }
  }
}
