public import Columnar
public import JSON

/// Turns texts and JSON values into values of one column type. One for CSV fields, JSON lines and the
/// command's arguments, so that all of them accept the same spellings:
///
/// - integers, decimals and floating-point numbers: see `TextValue`; booleans: true, false, 1, 0;
/// - dates and times: ISO 8601, without a zone UTC; numbers only with `epochUnit`;
/// - UUIDs (16 bytes): 36 characters or 32 hexadecimal digits; binary: hexadecimal;
/// - lists, structures and maps: JSON.
public struct ValueParser: Sendable {
  public let type: DataType
  /// What plain numbers count where a time is wanted; nil refuses them.
  public let epochUnit: TextValue.EpochUnit?

  public init(_ type: DataType, epochUnit: TextValue.EpochUnit? = nil) {
    self.type = type
    self.epochUnit = epochUnit
  }

  /// Appends the value that `text` spells. When it throws, nothing was appended.
  ///
  /// - Precondition: the builder is of the parser's type.
  public func append(_ text: Span<UInt8>, to builder: AnyColumnBuilder) throws(ValueError) {
    switch type {
    case .boolean: builder.append(try TextValue.boolean(text))
    case .int32: builder.append(try TextValue.int(text))
    case .int64: builder.append(try TextValue.integer(text))
    case .float32: builder.append(try TextValue.float(text))
    case .float64: builder.append(try TextValue.double(text))
    case .date: builder.append(try TextValue.date(text))
    case .time: builder.append(try TextValue.time(text))
    case .timestamp: builder.append(try TextValue.timestamp(text, unit: epochUnit))
    case .timestampNanoseconds:
      builder.append(try TextValue.timestampNanoseconds(text, unit: epochUnit))
    case .decimal(let precision, let scale):
      builder.append(try TextValue.decimal(text, precision: precision, scale: scale))
    case .string:
      guard isUTF8(text) else { throw ValueError("is not valid UTF-8") }
      unsafe text.withUnsafeBytes { unsafe builder.append($0) }
    case .binary: builder.append(try TextValue.hexadecimal(text))
    case .fixedSizeBinary(let width):
      let bytes = width == 16 ? try TextValue.uuid(text) : try TextValue.hexadecimal(text)
      guard bytes.count == width else { throw ValueError("has \(bytes.count) bytes, not \(width)") }
      builder.append(bytes)
    case .list, .structure, .map:
      let bytes = unsafe text.withUnsafeBytes { unsafe Array($0) }
      let value: JSONValue
      do { value = try JSONValue(parsing: bytes) } catch {
        throw ValueError("is not JSON: \(error.message)")
      }
      try append(value, to: builder)
    }
  }

  public func append(_ text: String, to builder: AnyColumnBuilder) throws(ValueError) {
    let bytes = Array(text.utf8)
    try append(bytes.span, to: builder)
  }

  /// Appends a JSON value; null appends null. When it throws, nothing was appended.
  public func append(_ value: JSONValue, to builder: AnyColumnBuilder) throws(ValueError) {
    // Nested values are taken apart before anything is appended, so that half a list is never left.
    try JSONConversion(epochUnit: epochUnit).value(value, as: type).append(to: builder)
  }

  private func isUTF8(_ text: Span<UInt8>) -> Bool {
    var isASCII = true
    for index in text.indices where text[index] >= 0x80 {
      isASCII = false
      break
    }
    if isASCII { return true }
    return unsafe text.withUnsafeBytes { unsafe String(validating: $0, as: UTF8.self) != nil }
  }
}
