import Columnar
import JSON

/// A JSON value as a value of a column type.
struct JSONConversion {
  let epochUnit: TextValue.EpochUnit?

  func value(_ value: JSONValue, as type: DataType) throws(ValueError) -> ParsedValue {
    switch (type, value) {
    case (_, .null): return .null
    case (.boolean, .bool(let value)): return .boolean(value)
    case (.string, .string(let value)): return .string(value)
    case (.int32, .integer(let value)):
      guard let value = Int32(exactly: value) else {
        throw ValueError("is outside the range of int")
      }
      return .int32(value)
    case (.int64, .integer(let value)): return .int64(value)
    case (.int32, .number(let text)): return .int32(try TextValue.int(bytes(text).span))
    case (.int64, .number(let text)): return .int64(try TextValue.integer(bytes(text).span))
    case (.float32, .integer(let value)): return .float(Float(value))
    case (.float64, .integer(let value)): return .double(Double(value))
    // As text for the sake of "NaN" and "Infinity", which JSON has no numbers for.
    case (.float32, .number(let text)), (.float32, .string(let text)):
      return .float(try TextValue.float(bytes(text).span))
    case (.float64, .number(let text)), (.float64, .string(let text)):
      return .double(try TextValue.double(bytes(text).span))
    case (.decimal(let precision, let scale), .integer(let value)):
      return .decimal(
        try TextValue.decimal(bytes(String(value)).span, precision: precision, scale: scale))
    case (.decimal(let precision, let scale), .number(let text)),
      (.decimal(let precision, let scale), .string(let text)):
      return .decimal(try TextValue.decimal(bytes(text).span, precision: precision, scale: scale))
    case (.timestamp, .integer(let value)):
      return .int64(try TextValue.timestamp(bytes(String(value)).span, unit: epochUnit))
    case (.timestampNanoseconds, .integer(let value)):
      return .int64(try TextValue.timestampNanoseconds(bytes(String(value)).span, unit: epochUnit))
    case (_, .string(let text)): return try self.text(text, as: type)
    case (.list(let element), .array(let values)):
      return .list(try elements(values, of: element))
    case (.structure(let fields), .object(let object)):
      return .structure(try members(object, of: fields))
    case (.map(let key, let value), .object(let object)):
      var entries: [ParsedValue] = []
      for (name, member) in object.members {
        let parsedKey =
          if case .string = key.type { ParsedValue.string(name) } else {
            try text(name, as: key.type)
          }
        entries.append(.structure([parsedKey, try self.member(member, of: value)]))
      }
      return .list(entries)
    default: throw ValueError("is \(value.kind), not a \(type)")
    }
  }

  private func text(_ text: String, as type: DataType) throws(ValueError) -> ParsedValue {
    let bytes = bytes(text)
    switch type {
    case .date: return .int32(try TextValue.date(bytes.span))
    case .time: return .int64(try TextValue.time(bytes.span))
    case .timestamp: return .int64(try TextValue.timestamp(bytes.span, unit: epochUnit))
    case .timestampNanoseconds:
      return .int64(try TextValue.timestampNanoseconds(bytes.span, unit: epochUnit))
    case .fixedSizeBinary(16): return .bytes(try TextValue.uuid(bytes.span))
    case .fixedSizeBinary(let width):
      let value = try TextValue.hexadecimal(bytes.span)
      guard value.count == width else { throw ValueError("has \(value.count) bytes, not \(width)") }
      return .bytes(value)
    case .binary: return .bytes(try TextValue.hexadecimal(bytes.span))
    default: throw ValueError("is a string, not a \(type)")
    }
  }

  private func elements(
    _ values: [JSONValue], of element: Field
  ) throws(ValueError) -> [ParsedValue] {
    var elements: [ParsedValue] = []
    elements.reserveCapacity(values.count)
    for (index, value) in values.enumerated() {
      do { elements.append(try member(value, of: element)) } catch {
        throw ValueError("has an element, number \(index), that \(error.message)")
      }
    }
    return elements
  }

  private func members(
    _ object: JSONObject, of fields: [Field]
  ) throws(ValueError) -> [ParsedValue] {
    for key in object.keys where !fields.contains(where: { $0.name == key }) {
      throw ValueError("has a member '\(key)' that the type lacks")
    }
    var members: [ParsedValue] = []
    for field in fields {
      do { members.append(try member(object[field.name] ?? .null, of: field)) } catch {
        throw ValueError("has a member '\(field.name)' that \(error.message)")
      }
    }
    return members
  }

  private func member(_ value: JSONValue, of field: Field) throws(ValueError) -> ParsedValue {
    let parsed = try self.value(value, as: field.type)
    if case .null = parsed, !field.isNullable { throw ValueError("must not be null") }
    return parsed
  }

  private func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }
}

/// A value of known type that has not been appended yet.
enum ParsedValue {
  case null
  case boolean(Bool)
  case int32(Int32)
  case int64(Int64)
  case float(Float)
  case double(Double)
  case decimal(Int128)
  case string(String)
  case bytes([UInt8])
  /// Of a map: its entries, as structures.
  case list([ParsedValue])
  case structure([ParsedValue])

  func append(to builder: AnyColumnBuilder) {
    switch self {
    case .null: builder.appendNull()
    case .boolean(let value): builder.append(value)
    case .int32(let value): builder.append(value)
    case .int64(let value): builder.append(value)
    case .float(let value): builder.append(value)
    case .double(let value): builder.append(value)
    case .decimal(let value): builder.append(value)
    case .string(let value): builder.append(value)
    case .bytes(let value): builder.append(value)
    case .list(let values):
      for value in values { value.append(to: builder.children[0]) }
      builder.appendList()
    case .structure(let values):
      for (value, child) in zip(values, builder.children) { value.append(to: child) }
      builder.appendStructure()
    }
  }
}
