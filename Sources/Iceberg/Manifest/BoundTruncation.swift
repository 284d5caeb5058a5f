/// Shortens bounds outwards: a shortened lower bound is never above the value, a shortened upper
/// bound never below it.
enum BoundTruncation {
  static func lower(_ text: String, codePoints: Int) -> String {
    String(text.unicodeScalars.prefix(codePoints))
  }

  /// The text itself when it is short enough; else its start with the last code point that can be
  /// raised raised by one; nil when none can.
  static func upper(_ text: String, codePoints: Int) -> String? {
    guard text.unicodeScalars.count > codePoints else { return text }
    var scalars = Array(text.unicodeScalars.prefix(codePoints))
    while let last = scalars.popLast() {
      guard let next = successor(last) else { continue }
      scalars.append(next)
      var bound = String.UnicodeScalarView()
      bound.append(contentsOf: scalars)
      return String(bound)
    }
    return nil
  }

  /// The next code point that UTF-8 can write: surrogates are passed over.
  private static func successor(_ scalar: Unicode.Scalar) -> Unicode.Scalar? {
    scalar.value == 0xD7FF ? Unicode.Scalar(0xE000 as UInt32) : Unicode.Scalar(scalar.value + 1)
  }

  static func lower(_ bytes: [UInt8], count: Int) -> [UInt8] { Array(bytes.prefix(count)) }

  static func upper(_ bytes: [UInt8], count: Int) -> [UInt8]? {
    guard bytes.count > count else { return bytes }
    var start = Array(bytes.prefix(count))
    while let last = start.popLast() {
      if last < 0xFF { return start + [last + 1] }
    }
    return nil
  }
}
