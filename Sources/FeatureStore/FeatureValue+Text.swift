public import FeatureModel
internal import FileFormats
public import JSON

/// Values as text and JSON for answers of the command.
extension FeatureValue {
  /// The value as JSON: timestamps and dates as ISO 8601 text, binary and uuid as hexadecimal,
  /// decimals as numbers in plain notation.
  public func json(_ type: FeatureType) -> JSONValue {
    switch (self, type) {
    case (.null, _): .null
    case (.boolean(let value), _): .bool(value)
    case (.int(let value), _): .integer(Int64(value))
    case (.long(let value), _): .integer(value)
    case (.float(let value), _): value.isFinite ? .number(value.description) : .null
    case (.double(let value), _): .double(value)
    case (.string(let value), _): .string(value)
    case (.binary(let bytes), _): .string(ValueText.hexadecimal(bytes))
    case (.date(let days), _): .string(ValueText.date(Int(days)))
    case (.timestamp(let microseconds), _):
      .string(ValueText.timestamp(microseconds: microseconds))
    case (.decimal(let unscaled), .decimal(_, let scale)):
      .number(ValueText.decimal(unscaled, scale: scale))
    case (.decimal(let unscaled), _): .number("\(unscaled)")
    case (.uuid(let bytes), _): .string(ValueText.uuid(bytes))
    case (.list(let values), .list(let element, _)): .array(values.map { $0.json(element) })
    case (.list, _): .null
    }
  }
}

/// Moments as text.
public enum CivilTime {
  /// `2013-01-01T05:15:00Z`, with a fraction of a second where there is one.
  public static func text(microseconds: Int64) -> String {
    ValueText.timestamp(microseconds: microseconds)
  }
}
