public import FeatureModel
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
    case (.binary(let bytes), _): .string(Self.hexadecimal(bytes))
    case (.date(let days), _): .string(CivilTime.dateText(days: Int64(days)))
    case (.timestamp(let microseconds), _): .string(CivilTime.text(microseconds: microseconds))
    case (.decimal(let unscaled), .decimal(_, let scale)):
      .number(Self.decimalText(unscaled, scale: scale))
    case (.decimal(let unscaled), _): .number("\(unscaled)")
    case (.uuid(let bytes), _): .string(Self.uuidText(bytes))
    case (.list(let values), .list(let element, _)): .array(values.map { $0.json(element) })
    case (.list, _): .null
    }
  }

  static func hexadecimal(_ bytes: [UInt8]) -> String {
    bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
  }

  static func uuidText(_ bytes: [UInt8]) -> String {
    var text = ""
    for (index, byte) in bytes.enumerated() {
      if [4, 6, 8, 10].contains(index) { text += "-" }
      text += hexadecimal([byte])
    }
    return text
  }

  static func decimalText(_ unscaled: Int128, scale: Int) -> String {
    guard scale > 0 else { return "\(unscaled)" }
    var digits = "\(unscaled.magnitude)"
    if digits.count <= scale {
      digits = String(repeating: "0", count: scale + 1 - digits.count) + digits
    }
    let point = digits.index(digits.endIndex, offsetBy: -scale)
    return (unscaled < 0 ? "-" : "") + digits[..<point] + "." + digits[point...]
  }
}

/// Dates and times of the proleptic Gregorian calendar in UTC, from counts since 1970.
public enum CivilTime {
  /// `2013-01-01T05:15:00Z`, with six digits of a fraction where it is not zero.
  public static func text(microseconds: Int64) -> String {
    let day: Int64 = 86_400_000_000
    let days = Self.floorDivide(microseconds, day)
    let rest = microseconds - days * day
    let seconds = rest / 1_000_000
    let fraction = rest % 1_000_000
    var text = dateText(days: days) + "T"
    text += two(seconds / 3600) + ":" + two(seconds / 60 % 60) + ":" + two(seconds % 60)
    if fraction != 0 {
      let digits = "\(fraction)"
      text += "." + String(repeating: "0", count: 6 - digits.count) + digits
    }
    return text + "Z"
  }

  /// `2013-01-01`; years beyond four digits have a sign.
  public static func dateText(days: Int64) -> String {
    // Howard Hinnant, "chrono-compatible low-level date algorithms", civil_from_days.
    let shifted = days + 719_468
    let era = floorDivide(shifted, 146_097)
    let dayOfEra = shifted - era * 146_097
    let yearOfEra =
      (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let shiftedMonth = (5 * dayOfYear + 2) / 153
    let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
    let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
    let day = dayOfYear - (153 * shiftedMonth + 2) / 5 + 1
    let digits = "\(year.magnitude)"
    let padded = String(repeating: "0", count: max(0, 4 - digits.count)) + digits
    let sign = year < 0 ? "-" : year > 9999 ? "+" : ""
    return "\(sign)\(padded)-\(two(month))-\(two(day))"
  }

  private static func two(_ value: Int64) -> String { value < 10 ? "0\(value)" : "\(value)" }

  private static func floorDivide(_ value: Int64, _ divisor: Int64) -> Int64 {
    value / divisor - (value % divisor < 0 ? 1 : 0)
  }
}
