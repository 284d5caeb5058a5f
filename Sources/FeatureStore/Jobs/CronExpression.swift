internal import FileFormats

/// When a job is due: five fields as in crontab(5), in UTC, so that no clock change repeats or skips a run.
///
///     minute (0-59)  hour (0-23)  day of month (1-31)  month (1-12 or jan-dec)  day of week (0-7 or sun-sat)
///
/// A field is `*`, a value, a range `a-b`, a step `*/n` or `a-b/n`, or a list of these with commas. When both days
/// are restricted, either one is enough, as cron has it. `@hourly`, `@daily`, `@weekly`, `@monthly` and `@yearly`
/// stand for what they say.
public struct CronExpression: Hashable, Sendable, CustomStringConvertible {
  /// As it was written.
  public let description: String
  private let minutes: UInt64
  private let hours: UInt64
  private let daysOfMonth: UInt64
  private let months: UInt64
  private let daysOfWeek: UInt64
  /// Whether the day of the month and that of the week must both fit: one of them is `*`.
  private let needsBothDays: Bool

  /// Throws `.invalidArgument`, naming the field, for text that is no expression or never comes true.
  public init(_ text: String) throws(FeatureStoreError) {
    guard text.utf8.count <= 256 else { throw Self.invalid("more than 256 bytes") }
    let fields = (Self.shorthands[text] ?? text).split(separator: " ").map(String.init)
    guard fields.count == 5 else {
      throw Self.invalid(
        "'\(text)' has \(fields.count) fields; it takes five, such as '0 */6 * * *', or '@daily'")
    }
    description = text
    minutes = try CronField.minute.parse(fields[0])
    hours = try CronField.hour.parse(fields[1])
    daysOfMonth = try CronField.dayOfMonth.parse(fields[2])
    months = try CronField.month.parse(fields[3])
    let days = try CronField.dayOfWeek.parse(fields[4])
    // Sunday is 0 and 7.
    daysOfWeek = (days | days >> 7) & 0x7F
    needsBothDays = fields[2].hasPrefix("*") || fields[4].hasPrefix("*")
    guard next(afterMicroseconds: 0) != nil else {
      throw Self.invalid("'\(text)' names no day that any calendar has")
    }
  }

  static let shorthands = [
    "@hourly": "0 * * * *", "@daily": "0 0 * * *", "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0", "@monthly": "0 0 1 * *", "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
  ]

  static func invalid(_ message: String) -> FeatureStoreError {
    FeatureStoreError(.invalidArgument, "cron expression: \(message)")
  }

  private func matches(day: Int64) -> Bool {
    let date = CalendarDate(daysSince1970: Int(day))
    guard months >> UInt64(date.month) & 1 == 1 else { return false }
    // 1970-01-01 was a Thursday.
    let weekday = ((day + 4) % 7 + 7) % 7
    let fitsMonth = daysOfMonth >> UInt64(date.day) & 1 == 1
    let fitsWeek = daysOfWeek >> UInt64(weekday) & 1 == 1
    return needsBothDays ? fitsMonth && fitsWeek : fitsMonth || fitsWeek
  }

  /// The first moment after `time` (microseconds since 1970, UTC) at which a job is due; nil when there is none
  /// within the 28 years in which the calendar repeats, or outside of the years -9999 to 9999.
  public func next(afterMicroseconds time: Int64) -> Int64? {
    let minuteMicroseconds: Int64 = 60_000_000
    let minutesPerDay: Int64 = 1440
    let minute = Self.floored(time, minuteMicroseconds) + 1
    let firstDay = Self.floored(minute, minutesPerDay)
    guard abs(firstDay) < 4_000_000 else { return nil }
    for day in firstDay...(firstDay + 28 * 366) where matches(day: day) {
      let from = day == firstDay ? minute - day * minutesPerDay : 0
      for hour in (from / 60)..<24 where hours >> UInt64(hour) & 1 == 1 {
        let firstMinute = hour == from / 60 ? from % 60 : 0
        for candidate in firstMinute..<60 where minutes >> UInt64(candidate) & 1 == 1 {
          return (day * minutesPerDay + hour * 60 + candidate) * minuteMicroseconds
        }
      }
    }
    return nil
  }

  private static func floored(_ value: Int64, _ divisor: Int64) -> Int64 {
    let quotient = value / divisor
    return value % divisor < 0 ? quotient - 1 : quotient
  }
}

/// One field of a cron expression: its range, and names for its values.
private struct CronField {
  var name: String
  var range: ClosedRange<UInt64>
  var names: [String] = []

  static let minute = CronField(name: "minute", range: 0...59)
  static let hour = CronField(name: "hour", range: 0...23)
  static let dayOfMonth = CronField(name: "day of month", range: 1...31)
  static let month = CronField(
    name: "month", range: 1...12,
    names: [
      "", "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
    ])
  static let dayOfWeek = CronField(
    name: "day of week", range: 0...7, names: ["sun", "mon", "tue", "wed", "thu", "fri", "sat"])

  /// The field's values as bits.
  func parse(_ text: String) throws(FeatureStoreError) -> UInt64 {
    var bits: UInt64 = 0
    for part in text.split(separator: ",", omittingEmptySubsequences: false) {
      let step = part.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
      var values = try bounds(String(step[0]))
      var stride: UInt64 = 1
      if step.count == 2 {
        guard let number = UInt64(step[1]), number > 0, number <= range.upperBound else {
          throw invalid(String(part))
        }
        stride = number
        // `5/15` is from 5 on.
        if values.lowerBound == values.upperBound { values = values.lowerBound...range.upperBound }
      }
      var value = values.lowerBound
      while value <= values.upperBound {
        bits |= 1 << value
        value += stride
      }
    }
    return bits
  }

  private func bounds(_ text: String) throws(FeatureStoreError) -> ClosedRange<UInt64> {
    if text == "*" { return range.lowerBound...min(range.upperBound, names.count == 7 ? 6 : 63) }
    let ends = text.split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false)
    let low = try value(String(ends[0]))
    let high = ends.count == 2 ? try value(String(ends[1])) : low
    guard low <= high else { throw invalid(text) }
    return low...high
  }

  private func value(_ text: String) throws(FeatureStoreError) -> UInt64 {
    if !text.isEmpty, let index = names.firstIndex(of: text.lowercased()) { return UInt64(index) }
    guard let number = UInt64(text), range.contains(number) else { throw invalid(text) }
    return number
  }

  private func invalid(_ text: String) -> FeatureStoreError {
    CronExpression.invalid(
      "'\(text)' is no \(name): it takes \(range.lowerBound) to \(range.upperBound)"
        + (names.isEmpty ? "" : ", names of three letters")
        + ", '*', ranges 'a-b', steps '/n' and lists with commas")
  }
}
