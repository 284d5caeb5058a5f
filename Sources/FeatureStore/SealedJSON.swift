internal import JSON
internal import Storage

/// A JSON object whose last member is a checksum of the text before it: a changed digit leaves JSON that is
/// as good as any other, and means something else.
enum SealedJSON {
  static let key = "checksum"
  private static let digitCount = 8

  /// The object as text, with the member. Not for an object that is empty.
  static func text(_ object: JSONValue, pretty: Bool) -> [UInt8] {
    let end = ending(pretty: pretty)
    let content = Array(object.utf8(pretty: pretty).dropLast(end.after.count - 1))
    return content + end.before + digits(content) + end.after
  }

  /// Whether the text is what was sealed; nil when it has no such member, as of an older version.
  static func isWhole(_ text: [UInt8], _ object: JSONValue, pretty: Bool) -> Bool? {
    guard object[key] != nil else { return nil }
    let end = ending(pretty: pretty)
    let count = text.count - end.before.count - digitCount - end.after.count
    guard count > 0 else { return false }
    let content = Array(text[..<count])
    return text[count...].elementsEqual(end.before + digits(content) + end.after)
  }

  /// What stands around the digits.
  private static func ending(pretty: Bool) -> (before: [UInt8], after: [UInt8]) {
    pretty
      ? (Array(",\n  \"\(key)\": \"".utf8), Array("\"\n}".utf8))
      : (Array(",\"\(key)\":\"".utf8), Array("\"}".utf8))
  }

  private static func digits(_ content: [UInt8]) -> [UInt8] {
    let digits = Array(String(CRC32C(of: content.rawSpan).value, radix: 16).utf8)
    return [UInt8](repeating: UInt8(ascii: "0"), count: digitCount - digits.count) + digits
  }
}
