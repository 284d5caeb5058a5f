public import Columnar
public import JSON

/// The text of values: what `ValueParser` reads back as the same values.
public enum ValueText {
  /// The text of a value that is not null; of nested ones, JSON.
  public static func text(_ column: Column, _ row: Int) -> String {
    switch column.type {
    case .boolean: return column.boolean(at: row) ? "true" : "false"
    case .int32: return String(column.values(as: Int32.self)[row])
    case .int64: return String(column.values(as: Int64.self)[row])
    case .float32: return column.values(as: Float.self)[row].description
    case .float64: return column.values(as: Double.self)[row].description
    case .string: return column.string(at: row)
    case .binary: return hexadecimal(bytes(column, row))
    case .fixedSizeBinary(let width):
      return width == 16 ? uuid(bytes(column, row)) : hexadecimal(bytes(column, row))
    case .date: return date(Int(column.values(as: Int32.self)[row]))
    case .time: return time(column.values(as: Int64.self)[row], unit: 1_000_000)
    case .timestamp(let isUTC):
      return timestamp(column.values(as: Int64.self)[row], unit: 1_000_000, isUTC: isUTC)
    case .timestampNanoseconds(let isUTC):
      return timestamp(column.values(as: Int64.self)[row], unit: 1_000_000_000, isUTC: isUTC)
    case .decimal(_, let scale): return decimal(column.values(as: Int128.self)[row], scale: scale)
    case .list, .structure, .map: return json(column, row).text()
    }
  }

  /// Microseconds since 1970 as ISO 8601: with as many decimals as are needed.
  public static func timestamp(microseconds: Int64, isUTC: Bool = true) -> String {
    timestamp(microseconds, unit: 1_000_000, isUTC: isUTC)
  }

  /// "2024-02-29"; years outside 0 to 9999 with a sign.
  public static func date(_ days: Int) -> String {
    let date = CalendarDate(daysSince1970: days)
    let year = padded(abs(date.year), 4)
    let sign = date.year < 0 ? "-" : date.year > 9999 ? "+" : ""
    return "\(sign)\(year)-\(padded(date.month, 2))-\(padded(date.day, 2))"
  }

  public static func decimal(_ unscaled: Int128, scale: Int) -> String {
    guard scale > 0 else { return String(unscaled) }
    var digits = String(unscaled.magnitude)
    if digits.utf8.count <= scale {
      digits = String(repeating: "0", count: scale + 1 - digits.utf8.count) + digits
    }
    return (unscaled < 0 ? "-" : "") + digits.dropLast(scale) + "." + digits.suffix(scale)
  }

  public static func uuid(_ bytes: [UInt8]) -> String {
    let digits = Array(hexadecimal(bytes))
    var text = ""
    for (index, digit) in digits.enumerated() {
      if [8, 12, 16, 20].contains(index) { text.append("-") }
      text.append(digit)
    }
    return text
  }

  public static func hexadecimal(_ bytes: [UInt8]) -> String {
    let digits = Array("0123456789abcdef".utf8)
    var text: [UInt8] = []
    text.reserveCapacity(bytes.count * 2)
    for byte in bytes {
      text.append(digits[Int(byte >> 4)])
      text.append(digits[Int(byte & 15)])
    }
    return String(decoding: text, as: UTF8.self)
  }

  /// The value as JSON: numbers where JSON has them, else the text of `text(_:_:)`; null for null.
  public static func json(_ column: Column, _ row: Int) -> JSONValue {
    if column.isNull(row) { return .null }
    switch column.type {
    case .boolean: return .bool(column.boolean(at: row))
    case .int32: return .integer(Int64(column.values(as: Int32.self)[row]))
    case .int64: return .integer(column.values(as: Int64.self)[row])
    case .float32:
      let value = column.values(as: Float.self)[row]
      return value.isFinite ? .number(value.description) : .string(value.description)
    case .float64:
      let value = column.values(as: Double.self)[row]
      return value.isFinite ? .number(value.description) : .string(value.description)
    case .decimal: return .number(text(column, row))
    case .list:
      return .array(elements(column, row).map { json(column.children[0], $0) })
    case .map:
      let entries = column.children[0]
      return .object(
        JSONObject(
          elements(column, row).map { place in
            let inner = entries.offset + place
            return (
              text(entries.children[0], inner), json(entries.children[1], inner)
            )
          }))
    case .structure(let fields):
      let place = column.offset + row
      return .object(
        JSONObject(zip(fields, column.children).map { ($0.name, json($1, place)) }))
    default: return .string(text(column, row))
    }
  }

  private static func elements(_ column: Column, _ row: Int) -> Range<Int> {
    let offsets = column.offsets
    return Int(offsets[row])..<Int(offsets[row + 1])
  }

  private static func bytes(_ column: Column, _ row: Int) -> [UInt8] {
    let bytes = column.bytes(at: row)
    return unsafe bytes.withUnsafeBytes { unsafe Array($0) }
  }

  private static func timestamp(_ value: Int64, unit: Int64, isUTC: Bool) -> String {
    let day = unit * 86_400
    var days = value / day
    var rest = value % day
    if rest < 0 {
      days -= 1
      rest += day
    }
    return date(Int(days)) + "T" + time(rest, unit: unit) + (isUTC ? "Z" : "")
  }

  private static func time(_ value: Int64, unit: Int64) -> String {
    let seconds = Int(value / unit)
    let clock =
      "\(padded(seconds / 3600, 2)):\(padded(seconds / 60 % 60, 2)):\(padded(seconds % 60, 2))"
    var fraction = Int(value % unit)
    guard fraction > 0 else { return clock }
    var digits = unit == 1_000_000 ? 6 : 9
    while fraction % 10 == 0 {
      fraction /= 10
      digits -= 1
    }
    return clock + "." + padded(fraction, digits)
  }

  private static func padded(_ value: Int, _ digits: Int) -> String {
    let text = String(value)
    return String(repeating: "0", count: max(0, digits - text.utf8.count)) + text
  }
}
