public import JSON

// The JSON single-value form (specification, appendix D): default values.
extension Literal {
  /// A value of a primitive `type` from its JSON form.
  public init(json: JSONValue, type: IcebergType) throws(IcebergError) {
    guard let value = Literal.decode(json, type) else {
      throw IcebergError(.invalidMetadata, "\(json.kind) is no value of type \(type): \(json)")
    }
    self = value
  }

  private static func decode(_ json: JSONValue, _ type: IcebergType) -> Literal? {
    switch type {
    case .boolean: json.boolValue.map { .boolean($0) }
    case .int: json.int64Value.flatMap { Int32(exactly: $0) }.map { .int($0) }
    case .long: json.int64Value.map { .long($0) }
    case .float: json.doubleValue.map { .float(Float($0)) }
    case .double: json.doubleValue.map { .double($0) }
    case .string: json.stringValue.map { .string($0) }
    case .decimal(let precision, let scale):
      json.stringValue.flatMap { CivilTime.unscaledDecimal($0, precision: precision, scale: scale) }
        .map { .decimal(unscaled: $0, scale: scale) }
    case .date: json.stringValue.flatMap { CivilTime.days($0) }.map { .date($0) }
    case .time: json.stringValue.flatMap { CivilTime.timeMicroseconds($0) }.map { .time($0) }
    case .timestamp, .timestamptz, .timestampNs, .timestamptzNs:
      json.stringValue.flatMap { CivilTime.timestamp($0, type: type) }
    case .uuid: json.stringValue.flatMap { uuid($0) }
    case .fixed(let length):
      json.stringValue.flatMap { hexadecimal($0) }.flatMap { $0.count == length ? .fixed($0) : nil }
    case .binary: json.stringValue.flatMap { hexadecimal($0) }.map { .binary($0) }
    case .unknown, .structure, .list, .map: nil
    }
  }

  /// The JSON form; NaN and infinities, which JSON cannot write, become null.
  public var json: JSONValue {
    switch self {
    case .boolean(let value): .bool(value)
    case .int(let value): .integer(Int64(value))
    case .long(let value): .integer(value)
    case .float(let value): value.isFinite ? .number(value.description) : .null
    case .double(let value): .double(value)
    case .string(let value): .string(value)
    default: .string(description)
    }
  }

  static func uuid(_ text: String) -> Literal? {
    let groups = text.split(separator: "-", omittingEmptySubsequences: false)
    guard groups.map(\.utf8.count) == [8, 4, 4, 4, 12], let bytes = hexadecimal(groups.joined())
    else { return nil }
    return .uuid(bytes.reduce(0) { $0 << 8 | UInt128($1) })
  }

  static func hexadecimal(_ text: String) -> [UInt8]? {
    let digits = Array(text.utf8)
    guard digits.count.isMultiple(of: 2) else { return nil }
    var bytes: [UInt8] = []
    bytes.reserveCapacity(digits.count / 2)
    for index in stride(from: 0, to: digits.count, by: 2) {
      guard let high = hexadecimalDigit(digits[index]),
        let low = hexadecimalDigit(digits[index + 1])
      else { return nil }
      bytes.append(high << 4 | low)
    }
    return bytes
  }

  private static func hexadecimalDigit(_ byte: UInt8) -> UInt8? {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
    case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
    case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
    default: nil
    }
  }
}

extension Literal: CustomStringConvertible {
  /// Readable text: what metadata has as a default value, and what messages show.
  public var description: String {
    switch self {
    case .boolean(let value): value.description
    case .int(let value): value.description
    case .long(let value): value.description
    case .float(let value): value.description
    case .double(let value): value.description
    case .decimal(let unscaled, let scale): CivilTime.decimalText(unscaled, scale: scale)
    case .date(let days): CivilTime.dateText(Int64(days))
    case .time(let value): CivilTime.timeText(value, unitsPerSecond: 1_000_000)
    case .timestamp(let value): CivilTime.timestampText(value, unitsPerSecond: 1_000_000)
    case .timestamptz(let value):
      CivilTime.timestampText(value, unitsPerSecond: 1_000_000) + "+00:00"
    case .timestampNs(let value): CivilTime.timestampText(value, unitsPerSecond: 1_000_000_000)
    case .timestamptzNs(let value):
      CivilTime.timestampText(value, unitsPerSecond: 1_000_000_000) + "+00:00"
    case .string(let value): value
    case .uuid(let value): Literal.uuidText(value)
    case .fixed(let bytes), .binary(let bytes): Literal.hexadecimalText(bytes)
    }
  }

  private static func uuidText(_ value: UInt128) -> String {
    let digits = hexadecimalText(bigEndian(value))
    var text = ""
    for (index, digit) in digits.enumerated() {
      if [8, 12, 16, 20].contains(index) { text.append("-") }
      text.append(digit)
    }
    return text
  }

  private static func hexadecimalText(_ bytes: [UInt8]) -> String {
    bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
  }
}
