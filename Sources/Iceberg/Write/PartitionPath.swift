/// The folder of a partition, for people: `ts_day=2024-01-01/id_bucket=2`. Readers never parse it.
enum PartitionPath {
  static func text(_ spec: PartitionSpec, _ values: [Literal?]) -> String {
    zip(spec.fields, values).map { field, value in
      escaped(field.name) + "=" + escaped(value.map { text($0, field.transform) } ?? "null")
    }.joined(separator: "/")
  }

  private static func text(_ value: Literal, _ transform: Transform) -> String {
    guard case .int(let units) = value else { return value.description }
    let number = Int64(units)
    switch transform {
    case .year:
      return CivilTime.dateText(CivilTime.days(year: 1970 + number, month: 1, day: 1))
        .droppingParts(2)
    case .month:
      let (year, month) = CivilTime.flooredQuotient(number + 1970 * 12, 12)
      return CivilTime.dateText(CivilTime.days(year: year, month: month + 1, day: 1))
        .droppingParts(1)
    case .hour:
      let (days, hour) = CivilTime.flooredQuotient(number, 24)
      return CivilTime.dateText(days) + "-" + (hour < 10 ? "0" : "") + String(hour)
    default: return value.description
    }
  }

  /// Everything but letters, digits, `-`, `_` and `.` as `%XX` of its UTF-8 bytes.
  private static func escaped(_ text: String) -> String {
    var result = ""
    for byte in text.utf8.prefix(200) {
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"),
        UInt8(ascii: "."):
        result.append(Character(Unicode.Scalar(byte)))
      default:
        result += "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
      }
    }
    return result
  }
}

extension String {
  /// A date without its last parts: `2024-01-01` without 2 is `2024`.
  fileprivate func droppingParts(_ count: Int) -> String {
    split(separator: "-", omittingEmptySubsequences: false).dropLast(count)
      .joined(separator: "-")
  }
}
