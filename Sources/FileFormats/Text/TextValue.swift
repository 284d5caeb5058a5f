import CArrow

/// Values from text, for CSV, JSON and the command's arguments alike. All accept UTF-8 bytes without
/// surrounding space, and none rounds: what does not fit exactly is refused with the reason.
public enum TextValue {
  /// Decimal digits with an optional sign. A fraction of zeros is allowed, because tools that know only
  /// floating-point numbers write integers beside nulls as "3.0".
  public static func integer(_ text: Span<UInt8>) throws(ValueError) -> Int64 {
    var index = 0
    let isNegative = text.count > 0 && text[0] == UInt8(ascii: "-")
    if isNegative || text.count > 0 && text[0] == UInt8(ascii: "+") { index = 1 }
    let first = index
    var value: Int64 = 0
    while index < text.count, let digit = digit(text[index]) {
      let (tens, overflow) = value.multipliedReportingOverflow(by: 10)
      let (next, overflowed) = tens.subtractingReportingOverflow(Int64(digit))
      if overflow || overflowed { throw ValueError("is outside the range of long") }
      value = next
      index += 1
    }
    if index == first { throw ValueError("is not an integer") }
    if index < text.count {
      guard text[index] == UInt8(ascii: "."), index + 1 < text.count else {
        throw ValueError("is not an integer")
      }
      for place in (index + 1)..<text.count where text[place] != UInt8(ascii: "0") {
        throw ValueError("is not an integer")
      }
    }
    if isNegative { return value }
    if value == .min { throw ValueError("is outside the range of long") }
    return -value
  }

  public static func int(_ text: Span<UInt8>) throws(ValueError) -> Int32 {
    guard let value = Int32(exactly: try integer(text)) else {
      throw ValueError("is outside the range of int")
    }
    return value
  }

  /// A decimal floating-point number, "inf", "infinity" or "nan", in any case, with a sign.
  /// The nearest double; one too large for a double is refused.
  public static func double(_ text: Span<UInt8>) throws(ValueError) -> Double {
    var value = 0.0
    let isNumber = unsafe unsigned(text).withUnsafeBytes { bytes in
      unsafe CArrowParseDouble(
        bytes.baseAddress?.assumingMemoryBound(to: CChar.self), Int64(bytes.count), &value)
    }
    guard isNumber else { throw ValueError("is not a number") }
    if value.isInfinite, hasDigit(text) { throw ValueError("is outside the range of double") }
    return value
  }

  /// The nearest float; one too large for a float is refused.
  public static func float(_ text: Span<UInt8>) throws(ValueError) -> Float {
    var value: Float = 0
    let isNumber = unsafe unsigned(text).withUnsafeBytes { bytes in
      unsafe CArrowParseFloat(
        bytes.baseAddress?.assumingMemoryBound(to: CChar.self), Int64(bytes.count), &value)
    }
    guard isNumber else { throw ValueError("is not a number") }
    if value.isInfinite, hasDigit(text) { throw ValueError("is outside the range of float") }
    return value
  }

  /// "true", "false" (in any case), "1" or "0".
  public static func boolean(_ text: Span<UInt8>) throws(ValueError) -> Bool {
    if text.count == 1, text[0] == UInt8(ascii: "1") { return true }
    if text.count == 1, text[0] == UInt8(ascii: "0") { return false }
    if equals(text, "true") { return true }
    if equals(text, "false") { return false }
    throw ValueError("is not a boolean (true, false, 1 or 0)")
  }

  /// The unscaled value of a plain decimal number that fits the precision and the scale exactly.
  public static func decimal(
    _ text: Span<UInt8>, precision: Int, scale: Int
  ) throws(ValueError) -> Int128 {
    var index = 0
    let isNegative = text.count > 0 && text[0] == UInt8(ascii: "-")
    if isNegative || text.count > 0 && text[0] == UInt8(ascii: "+") { index = 1 }
    var value: Int128 = 0
    var digits = 0
    var decimals = 0
    var isFraction = false
    while index < text.count {
      if text[index] == UInt8(ascii: "."), !isFraction {
        isFraction = true
      } else if let digit = digit(text[index]) {
        digits += 1
        if isFraction { decimals += 1 }
        if decimals > scale {
          if digit != 0 { throw ValueError("has more than \(scale) decimals") }
        } else {
          value = try appended(digit, to: value, precision: precision)
        }
      } else {
        throw ValueError("is not a decimal number")
      }
      index += 1
    }
    if digits == 0 { throw ValueError("is not a decimal number") }
    for _ in 0..<max(0, scale - decimals) {
      value = try appended(0, to: value, precision: precision)
    }
    return isNegative ? -value : value
  }

  /// 36 characters with hyphens, or 32 hexadecimal digits.
  public static func uuid(_ text: Span<UInt8>) throws(ValueError) -> [UInt8] {
    let error = ValueError("is not a UUID")
    guard text.count == 36 || text.count == 32 else { throw error }
    var digits: [UInt8] = []
    for index in text.indices {
      if text.count == 36, [8, 13, 18, 23].contains(index) {
        guard text[index] == UInt8(ascii: "-") else { throw error }
      } else {
        guard let value = hexadecimalDigit(text[index]) else { throw error }
        digits.append(value)
      }
    }
    return stride(from: 0, to: 32, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
  }

  /// Bytes as pairs of hexadecimal digits.
  public static func hexadecimal(_ text: Span<UInt8>) throws(ValueError) -> [UInt8] {
    guard text.count % 2 == 0 else { throw ValueError("is not hexadecimal: a digit is missing") }
    var bytes: [UInt8] = []
    bytes.reserveCapacity(text.count / 2)
    for index in 0..<(text.count / 2) {
      guard let high = hexadecimalDigit(text[2 * index]),
        let low = hexadecimalDigit(text[2 * index + 1])
      else { throw ValueError("is not hexadecimal") }
      bytes.append(high << 4 | low)
    }
    return bytes
  }
}

extension TextValue {
  @inline(__always) static func digit(_ byte: UInt8) -> UInt8? {
    let value = byte &- UInt8(ascii: "0")
    return value < 10 ? value : nil
  }

  private static func hexadecimalDigit(_ byte: UInt8) -> UInt8? {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
    case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
    case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
    default: nil
    }
  }

  private static func appended(
    _ digit: UInt8, to value: Int128, precision: Int
  ) throws(ValueError) -> Int128 {
    // 38 digits fit 128 bits; ten times as much may not.
    let (tens, overflow) = value.multipliedReportingOverflow(by: 10)
    let next = tens &+ Int128(digit)
    guard !overflow, next >= tens, next < powersOfTen[min(precision, 38)] else {
      throw ValueError("has more than \(precision) digits")
    }
    return next
  }

  private static let powersOfTen: [Int128] = (0...38).map { exponent in
    (0..<exponent).reduce(Int128(1)) { power, _ in power * 10 }
  }

  private static func hasDigit(_ text: Span<UInt8>) -> Bool {
    for index in text.indices where digit(text[index]) != nil { return true }
    return false
  }

  /// Without a plus sign, which the number parser does not know.
  @_lifetime(copy text)
  private static func unsigned(_ text: Span<UInt8>) -> Span<UInt8> {
    let hasPlus = text.count > 1 && text[0] == UInt8(ascii: "+") && text[1] != UInt8(ascii: "-")
    return hasPlus ? text.extracting(1..<text.count) : text
  }

  /// Whether the text is `word`, which is in lower case, in any case.
  static func equals(_ text: Span<UInt8>, _ word: StaticString) -> Bool {
    guard text.count == word.utf8CodeUnitCount else { return false }
    for (index, byte) in word.description.utf8.enumerated() where text[index] | 0x20 != byte {
      return false
    }
    return true
  }
}
