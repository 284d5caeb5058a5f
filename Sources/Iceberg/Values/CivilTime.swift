/// Dates, times and decimals as text, in the proleptic Gregorian calendar: values of partitions
/// and defaults. Not for hot paths.
enum CivilTime {
  static let secondsPerDay: Int64 = 86_400

  /// Year, month and day of a number of days since 1970-01-01; exact for every 32-bit day.
  static func civil(_ days: Int64) -> (year: Int64, month: Int64, day: Int64) {
    // Years start in March here, so that the leap day comes last.
    let shifted = days + 719_468
    let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
    let dayOfEra = shifted - era * 146_097
    let yearOfEra =
      (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let shiftedMonth = (5 * dayOfYear + 2) / 153
    let day = dayOfYear - (153 * shiftedMonth + 2) / 5 + 1
    let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
    return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, day)
  }

  /// Days since 1970-01-01; the year's size is the caller's to bound.
  static func days(year: Int64, month: Int64, day: Int64) -> Int64 {
    let shiftedYear = month <= 2 ? year - 1 : year
    let era = (shiftedYear >= 0 ? shiftedYear : shiftedYear - 399) / 400
    let yearOfEra = shiftedYear - era * 400
    let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
    let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
    return era * 146_097 + dayOfEra - 719_468
  }

  static func dateText(_ days: Int64) -> String {
    let (year, month, day) = civil(days)
    let yearText = year < 0 ? "-" + padded(-year, 4) : padded(year, 4)
    return "\(yearText)-\(padded(month, 2))-\(padded(day, 2))"
  }

  /// Time of day with as many digits of a second as the unit has, without trailing zeros by threes.
  static func timeText(_ units: Int64, unitsPerSecond: Int64) -> String {
    let seconds = units / unitsPerSecond
    let fraction = units % unitsPerSecond
    let text =
      "\(padded(seconds / 3600, 2)):\(padded(seconds / 60 % 60, 2)):\(padded(seconds % 60, 2))"
    guard fraction != 0 else { return text }
    var digits = padded(fraction, unitsPerSecond == 1_000_000 ? 6 : 9)
    while digits.hasSuffix("000") { digits.removeLast(3) }
    return "\(text).\(digits)"
  }

  static func timestampText(_ units: Int64, unitsPerSecond: Int64) -> String {
    let unitsPerDay = secondsPerDay * unitsPerSecond
    let (days, rest) = flooredQuotient(units, unitsPerDay)
    return "\(dateText(days))T\(timeText(rest, unitsPerSecond: unitsPerSecond))"
  }

  static func decimalText(_ unscaled: Int128, scale: Int) -> String {
    var digits = String(unscaled.magnitude)
    if scale > 0 {
      if digits.count <= scale {
        digits = String(repeating: "0", count: scale - digits.count + 1) + digits
      }
      digits.insert(".", at: digits.index(digits.endIndex, offsetBy: -scale))
    }
    return unscaled < 0 ? "-" + digits : digits
  }

  /// The quotient rounded toward negative infinity, and the remainder, never negative; the
  /// divisor is positive.
  static func flooredQuotient(_ value: Int64, _ divisor: Int64) -> (Int64, Int64) {
    let (quotient, remainder) = value.quotientAndRemainder(dividingBy: divisor)
    return remainder < 0 ? (quotient - 1, remainder + divisor) : (quotient, remainder)
  }

  private static func padded(_ value: Int64, _ width: Int) -> String {
    let digits = value.description
    return String(repeating: "0", count: max(width - digits.count, 0)) + digits
  }
}

// Parsing.
extension CivilTime {
  /// `2017-11-16`, checked against the calendar.
  static func days(_ text: String) -> Int32? {
    var scanner = TextScanner(text)
    guard let days = scanner.date(), scanner.isAtEnd else { return nil }
    return Int32(exactly: days)
  }

  /// `22:31:08.123456`.
  static func timeMicroseconds(_ text: String) -> Int64? {
    var scanner = TextScanner(text)
    guard let nanoseconds = scanner.time(), scanner.isAtEnd, nanoseconds % 1000 == 0 else {
      return nil
    }
    return nanoseconds / 1000
  }

  /// `2017-11-16T22:31:08.123456`, with an offset (`+00:00` or `Z`) exactly for the UTC types.
  static func timestamp(_ text: String, type: IcebergType) -> Literal? {
    var scanner = TextScanner(text)
    guard let days = scanner.date(), scanner.skip("T"), let nanoseconds = scanner.time() else {
      return nil
    }
    var offsetSeconds: Int64 = 0
    if type == .timestamptz || type == .timestamptzNs {
      guard let offset = scanner.offset() else { return nil }
      offsetSeconds = offset
    }
    guard scanner.isAtEnd else { return nil }
    // Years have at most six digits: seconds cannot overflow, what is finer can.
    let seconds = days * secondsPerDay - offsetSeconds
    let isMicroseconds = type == .timestamp || type == .timestamptz
    guard !isMicroseconds || nanoseconds % 1000 == 0 else { return nil }
    let (scaled, overflow) = seconds.multipliedReportingOverflow(
      by: isMicroseconds ? 1_000_000 : 1_000_000_000)
    let (value, carry) = scaled.addingReportingOverflow(
      isMicroseconds ? nanoseconds / 1000 : nanoseconds)
    guard !overflow, !carry else { return nil }
    if isMicroseconds { return type == .timestamp ? .timestamp(value) : .timestamptz(value) }
    return type == .timestampNs ? .timestampNs(value) : .timestamptzNs(value)
  }

  /// The digits of a decimal with exactly `scale` of them after the point; fewer are padded.
  static func unscaledDecimal(_ text: String, precision: Int, scale: Int) -> Int128? {
    var value: Int128 = 0
    var digits = 0
    var fraction: Int?
    let isNegative = text.hasPrefix("-")
    for byte in text.utf8.dropFirst(isNegative ? 1 : 0) {
      switch byte {
      case UInt8(ascii: "0")...UInt8(ascii: "9"):
        if value != 0 || byte != UInt8(ascii: "0") { digits += 1 }
        guard digits <= precision else { return nil }
        value = value * 10 + Int128(byte - UInt8(ascii: "0"))
        fraction = fraction.map { $0 + 1 }
      case UInt8(ascii: ".") where fraction == nil: fraction = 0
      default: return nil
      }
    }
    guard text.utf8.contains(where: { $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") }) else {
      return nil
    }
    let missing = scale - (fraction ?? 0)
    guard missing >= 0, digits + missing <= precision || value == 0 else { return nil }
    for _ in 0..<missing { value *= 10 }
    return isNegative ? -value : value
  }
}

/// Reads fixed patterns from ASCII text.
private struct TextScanner {
  private let bytes: [UInt8]
  private var position = 0

  init(_ text: String) { bytes = Array(text.utf8) }

  var isAtEnd: Bool { position == bytes.count }

  mutating func skip(_ character: Unicode.Scalar) -> Bool {
    guard position < bytes.count, bytes[position] == UInt8(ascii: character) else { return false }
    position += 1
    return true
  }

  /// A number of `digits` digits at least, and six at most.
  mutating func number(_ digits: Int, atMost most: Int? = nil) -> Int64? {
    var value: Int64 = 0
    var count = 0
    while count < most ?? digits, position < bytes.count,
      (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(bytes[position])
    {
      value = value * 10 + Int64(bytes[position] - UInt8(ascii: "0"))
      position += 1
      count += 1
    }
    return count >= digits ? value : nil
  }

  mutating func date() -> Int64? {
    let isNegative = skip("-")
    guard let magnitude = number(4, atMost: 6), skip("-"), let month = number(2), skip("-"),
      let day = number(2), (1...12).contains(month), (1...31).contains(day)
    else { return nil }
    let year = isNegative ? -magnitude : magnitude
    let days = CivilTime.days(year: year, month: month, day: day)
    return CivilTime.civil(days) == (year, month, day) ? days : nil
  }

  /// Nanoseconds since midnight.
  mutating func time() -> Int64? {
    guard let hour = number(2), skip(":"), let minute = number(2), hour < 24, minute < 60 else {
      return nil
    }
    guard skip(":") else { return (hour * 3600 + minute * 60) * 1_000_000_000 }
    guard let second = number(2), second < 60 else { return nil }
    var nanoseconds = (hour * 3600 + minute * 60 + second) * 1_000_000_000
    guard skip(".") else { return nanoseconds }
    let start = position
    guard var fraction = number(1, atMost: 9) else { return nil }
    for _ in (position - start)..<9 { fraction *= 10 }
    nanoseconds += fraction
    return nanoseconds
  }

  /// Seconds east of Greenwich.
  mutating func offset() -> Int64? {
    if skip("Z") { return 0 }
    let isEast = skip("+")
    guard isEast || skip("-"), let hours = number(2), skip(":"), let minutes = number(2),
      hours <= 18, minutes < 60
    else { return nil }
    return (isEast ? 1 : -1) * (hours * 3600 + minutes * 60)
  }
}
