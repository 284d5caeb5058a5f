// Dates and times: ISO 8601, as everybody writes it.
extension TextValue {
  /// What a number stands for where times are numbers.
  public enum EpochUnit: Hashable, Sendable, CaseIterable {
    case seconds
    case milliseconds
    case microseconds
    case nanoseconds
  }

  /// "2024-02-29": days since 1970-01-01.
  public static func date(_ text: Span<UInt8>) throws(ValueError) -> Int32 {
    guard text.count == 10, let date = calendarDate(text) else {
      throw ValueError("is not a date (YYYY-MM-DD)")
    }
    return Int32(date.daysSince1970)
  }

  /// "HH:MM", "HH:MM:SS" or with a fraction: microseconds since midnight.
  public static func time(_ text: Span<UInt8>) throws(ValueError) -> Int64 {
    guard let (time, end) = try clock(text, from: 0, fractionDigits: 6), end == text.count else {
      throw ValueError("is not a time (HH:MM:SS)")
    }
    return time
  }

  /// A date, or a date and a time separated by "T" or a space, with "Z", an offset (+02, +0200, +02:00)
  /// or nothing, which means UTC: microseconds since 1970-01-01T00:00:00Z. More than six digits of a
  /// fraction are refused unless zeros.
  ///
  /// - Parameter unit: what a plain number counts; nil refuses plain numbers, because nobody can tell.
  public static func timestamp(
    _ text: Span<UInt8>, unit: EpochUnit? = nil
  ) throws(ValueError) -> Int64 {
    try timestamp(text, unit: unit, fractionDigits: 6)
  }

  /// The same in nanoseconds, with nine digits of a fraction.
  public static func timestampNanoseconds(
    _ text: Span<UInt8>, unit: EpochUnit? = nil
  ) throws(ValueError) -> Int64 {
    try timestamp(text, unit: unit, fractionDigits: 9)
  }

  private static func timestamp(
    _ text: Span<UInt8>, unit: EpochUnit?, fractionDigits: Int
  ) throws(ValueError) -> Int64 {
    if let number = try? integer(text) {
      guard let unit else {
        throw ValueError("is a number, not a time; say which unit numbers count from 1970")
      }
      return try scaled(number, unit, fractionDigits: fractionDigits)
    }
    let error = ValueError("is not a time (ISO 8601, such as 2024-05-01T12:30:00Z)")
    guard let date = calendarDate(text) else { throw error }
    var time: Int64 = 0
    var offsetSeconds = 0
    if text.count > 10 {
      guard [UInt8(ascii: "T"), UInt8(ascii: "t"), UInt8(ascii: " ")].contains(text[10]),
        let (clockTime, end) = try clock(text, from: 11, fractionDigits: fractionDigits),
        let zone = zoneOffset(text, from: end)
      else { throw error }
      time = clockTime
      offsetSeconds = zone
    }
    let second: Int64 = fractionDigits == 9 ? 1_000_000_000 : 1_000_000
    let seconds = Int64(date.daysSince1970) * 86_400 - Int64(offsetSeconds)
    // Wide, because the earliest time's whole second is out of range before its fraction is added.
    guard let sum = Int64(exactly: Int128(seconds) * Int128(second) + Int128(time)) else {
      throw ValueError("is outside the range of nanoseconds")
    }
    return sum
  }

  private static func scaled(
    _ number: Int64, _ unit: EpochUnit, fractionDigits: Int
  ) throws(ValueError) -> Int64 {
    let digits =
      switch unit {
      case .seconds: 0
      case .milliseconds: 3
      case .microseconds: 6
      case .nanoseconds: 9
      }
    let power: Int64 =
      [0: 1, 3: 1_000, 6: 1_000_000, 9: 1_000_000_000][
        abs(fractionDigits - digits)] ?? 1
    if digits > fractionDigits {
      guard number % power == 0 else { throw ValueError("is finer than microseconds") }
      return number / power
    }
    let (value, overflow) = number.multipliedReportingOverflow(by: power)
    if overflow { throw ValueError("is outside the range of a time") }
    return value
  }

  /// The first ten bytes as a date.
  private static func calendarDate(_ text: Span<UInt8>) -> CalendarDate? {
    guard text.count >= 10, text[4] == UInt8(ascii: "-"), text[7] == UInt8(ascii: "-"),
      let century = twoDigits(text, 0), let year = twoDigits(text, 2),
      let month = twoDigits(text, 5), let day = twoDigits(text, 8)
    else { return nil }
    return CalendarDate(year: century * 100 + year, month: month, day: day)
  }

  /// The time of day from `start` and where it ends; nil when there is none.
  private static func clock(
    _ text: Span<UInt8>, from start: Int, fractionDigits: Int
  ) throws(ValueError) -> (time: Int64, end: Int)? {
    guard let hour = twoDigits(text, start), hour < 24, start + 2 < text.count,
      text[start + 2] == UInt8(ascii: ":"), let minute = twoDigits(text, start + 3), minute < 60
    else { return nil }
    var seconds = Int64(hour * 3600 + minute * 60)
    var end = start + 5
    var fraction: Int64 = 0
    var digits = 0
    if end < text.count, text[end] == UInt8(ascii: ":") {
      guard let second = twoDigits(text, end + 1), second < 60 else { return nil }
      seconds += Int64(second)
      end += 3
      if end < text.count, text[end] == UInt8(ascii: ".") {
        end += 1
        let first = end
        while end < text.count, let digit = digit(text[end]) {
          if digits < fractionDigits {
            fraction = fraction * 10 + Int64(digit)
            digits += 1
          } else if digit != 0 {
            throw ValueError("has more than \(fractionDigits) digits of a second")
          }
          end += 1
        }
        if end == first { return nil }
      }
    }
    var second: Int64 = 1
    for place in 0..<fractionDigits {
      second *= 10
      if place >= digits { fraction *= 10 }
    }
    return (seconds * second + fraction, end)
  }

  /// Seconds east of UTC; nil when what is left of the text is no zone.
  private static func zoneOffset(_ text: Span<UInt8>, from start: Int) -> Int? {
    if start == text.count { return 0 }
    let sign = text[start]
    if sign | 0x20 == UInt8(ascii: "z") { return start + 1 == text.count ? 0 : nil }
    guard sign == UInt8(ascii: "+") || sign == UInt8(ascii: "-"),
      let hours = twoDigits(text, start + 1), hours < 24
    else { return nil }
    var minutes = 0
    var end = start + 3
    if end < text.count {
      if text[end] == UInt8(ascii: ":") { end += 1 }
      guard let value = twoDigits(text, end), value < 60 else { return nil }
      minutes = value
      end += 2
    }
    guard end == text.count else { return nil }
    return (hours * 3600 + minutes * 60) * (sign == UInt8(ascii: "-") ? -1 : 1)
  }

  private static func twoDigits(_ text: Span<UInt8>, _ index: Int) -> Int? {
    guard index + 1 < text.count, let high = digit(text[index]), let low = digit(text[index + 1])
    else { return nil }
    return Int(high) * 10 + Int(low)
  }
}
