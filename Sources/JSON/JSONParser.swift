/// Why a text is not JSON, and where.
public struct JSONError: Error, Hashable, Sendable, CustomStringConvertible {
  public var message: String
  /// Bytes from the start of the text.
  public var byteOffset: Int
  /// Counted from 1.
  public var line: Int

  public var description: String { "line \(line), byte \(byteOffset): \(message)" }
}

extension JSONValue {
  /// Parses one JSON document; white space may surround it, nothing else.
  ///
  /// Strict where RFC 8259 leaves a choice: duplicate keys, lone surrogates, invalid UTF-8 and
  /// nesting deeper than `maximumDepth` are errors. Time and memory are linear in the text.
  public init(
    parsing text: some Collection<UInt8>, maximumDepth: Int = 64
  ) throws(JSONError) {
    var parser = JSONParser(bytes: Array(text), maximumDepth: maximumDepth)
    self = try parser.document()
  }

  public init(parsing text: String, maximumDepth: Int = 64) throws(JSONError) {
    try self.init(parsing: text.utf8, maximumDepth: maximumDepth)
  }
}

/// A recursive-descent parser over bytes; the depth limit bounds its stack.
struct JSONParser {
  let bytes: [UInt8]
  let maximumDepth: Int
  private var position = 0
  private var depth = 0

  private static let smallObject = 16

  init(bytes: [UInt8], maximumDepth: Int) {
    self.bytes = bytes
    self.maximumDepth = maximumDepth
  }

  mutating func document() throws(JSONError) -> JSONValue {
    let value = try value()
    skipWhiteSpace()
    guard position == bytes.count else { throw error("unexpected text after the document") }
    return value
  }

  private mutating func value() throws(JSONError) -> JSONValue {
    skipWhiteSpace()
    guard let byte = peek() else { throw error("unexpected end of the text") }
    switch byte {
    case UInt8(ascii: "{"): return try object()
    case UInt8(ascii: "["): return try array()
    case UInt8(ascii: "\""): return .string(try string())
    case UInt8(ascii: "t"):
      try literal("true")
      return .bool(true)
    case UInt8(ascii: "f"):
      try literal("false")
      return .bool(false)
    case UInt8(ascii: "n"):
      try literal("null")
      return .null
    case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return try number()
    default: throw error("unexpected character \(name(of: byte))")
    }
  }

  private mutating func object() throws(JSONError) -> JSONValue {
    try descend()
    defer { depth -= 1 }
    position += 1
    var object = JSONObject()
    // Most objects are small, and comparing is then cheaper than hashing.
    var seen: Set<String>?
    skipWhiteSpace()
    if consume(UInt8(ascii: "}")) { return .object(object) }
    while true {
      skipWhiteSpace()
      guard peek() == UInt8(ascii: "\"") else { throw error("expected a member's name") }
      let key = try string()
      if object.count == JSONParser.smallObject { seen = Set(object.keys) }
      let isNew = seen?.insert(key).inserted ?? !object.keys.contains(key)
      guard isNew else { throw error("duplicate key '\(key)'") }
      skipWhiteSpace()
      guard consume(UInt8(ascii: ":")) else { throw error("expected ':'") }
      object.append(key, try value())
      skipWhiteSpace()
      if consume(UInt8(ascii: ",")) { continue }
      if consume(UInt8(ascii: "}")) { return .object(object) }
      throw error("expected ',' or '}'")
    }
  }

  private mutating func array() throws(JSONError) -> JSONValue {
    try descend()
    defer { depth -= 1 }
    position += 1
    var elements: [JSONValue] = []
    skipWhiteSpace()
    if consume(UInt8(ascii: "]")) { return .array(elements) }
    while true {
      elements.append(try value())
      skipWhiteSpace()
      if consume(UInt8(ascii: ",")) { continue }
      if consume(UInt8(ascii: "]")) { return .array(elements) }
      throw error("expected ',' or ']'")
    }
  }

  private mutating func number() throws(JSONError) -> JSONValue {
    let start = position
    _ = consume(UInt8(ascii: "-"))
    if !consume(UInt8(ascii: "0")) { try digits() }
    var isInteger = true
    if consume(UInt8(ascii: ".")) {
      isInteger = false
      try digits()
    }
    if consume(UInt8(ascii: "e")) || consume(UInt8(ascii: "E")) {
      isInteger = false
      if !consume(UInt8(ascii: "+")) { _ = consume(UInt8(ascii: "-")) }
      try digits()
    }
    let text = String(decoding: bytes[start..<position], as: UTF8.self)
    if isInteger, let integer = Int64(text) { return .integer(integer) }
    return .number(text)
  }

  private mutating func digits() throws(JSONError) {
    let start = position
    while let byte = peek(), byte &- UInt8(ascii: "0") < 10 { position += 1 }
    guard position > start else { throw error("expected a digit") }
  }

  private mutating func string() throws(JSONError) -> String {
    position += 1
    let start = position
    // Most strings have no escape: validate and copy them in one go.
    while let byte = peek(), byte != UInt8(ascii: "\""), byte != UInt8(ascii: "\\"), byte >= 0x20 {
      position += 1
    }
    if peek() == UInt8(ascii: "\"") {
      defer { position += 1 }
      return try utf8(bytes[start..<position])
    }
    var unescaped = Array(bytes[start..<position])
    while true {
      guard let byte = peek() else { throw error("unterminated string") }
      guard byte >= 0x20 else { throw error("control character in a string") }
      position += 1
      switch byte {
      case UInt8(ascii: "\""): return try utf8(unescaped[...])
      case UInt8(ascii: "\\"): try escape(into: &unescaped)
      default: unescaped.append(byte)
      }
    }
  }

  private mutating func escape(into unescaped: inout [UInt8]) throws(JSONError) {
    guard let byte = peek() else { throw error("unterminated string") }
    position += 1
    switch byte {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): unescaped.append(byte)
    case UInt8(ascii: "b"): unescaped.append(0x08)
    case UInt8(ascii: "f"): unescaped.append(0x0C)
    case UInt8(ascii: "n"): unescaped.append(0x0A)
    case UInt8(ascii: "r"): unescaped.append(0x0D)
    case UInt8(ascii: "t"): unescaped.append(0x09)
    case UInt8(ascii: "u"):
      var code = try hexadecimal()
      if code & 0xFC00 == 0xD800 {
        guard consume(UInt8(ascii: "\\")), consume(UInt8(ascii: "u")) else {
          throw error("lone surrogate in a string")
        }
        let low = try hexadecimal()
        guard low & 0xFC00 == 0xDC00 else { throw error("lone surrogate in a string") }
        code = 0x10000 + (code & 0x3FF) << 10 + (low & 0x3FF)
      }
      guard let scalar = Unicode.Scalar(code) else { throw error("lone surrogate in a string") }
      unescaped.append(contentsOf: String(Character(scalar)).utf8)
    default: throw error("unknown escape \(name(of: byte))")
    }
  }

  private mutating func hexadecimal() throws(JSONError) -> UInt32 {
    var code: UInt32 = 0
    for _ in 0..<4 {
      guard let byte = peek(), let digit = Character(Unicode.Scalar(byte)).hexDigitValue else {
        throw error("expected four hexadecimal digits")
      }
      code = code << 4 | UInt32(digit)
      position += 1
    }
    return code
  }

  private func utf8(_ slice: ArraySlice<UInt8>) throws(JSONError) -> String {
    // Four times as fast as `String(validating:)`.
    do { return String(copying: try UTF8Span(validating: slice.span)) } catch {
      throw self.error("a string is not valid UTF-8")
    }
  }

  private mutating func literal(_ text: StaticString) throws(JSONError) {
    let expected = text.description.utf8
    guard bytes[position...].starts(with: expected) else { throw error("expected \(text)") }
    position += expected.count
  }

  private mutating func descend() throws(JSONError) {
    depth += 1
    guard depth <= maximumDepth else { throw error("nested deeper than \(maximumDepth) levels") }
  }

  private func peek() -> UInt8? { position < bytes.count ? bytes[position] : nil }

  private mutating func consume(_ byte: UInt8) -> Bool {
    guard peek() == byte else { return false }
    position += 1
    return true
  }

  private mutating func skipWhiteSpace() {
    while let byte = peek(), byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 {
      position += 1
    }
  }

  private func name(of byte: UInt8) -> String {
    byte >= 0x20 && byte < 0x7F
      ? "'\(Character(Unicode.Scalar(byte)))'" : "0x\(String(byte, radix: 16))"
  }

  private func error(_ message: String) -> JSONError {
    let line = 1 + bytes[..<min(position, bytes.count)].count { $0 == 0x0A }
    return JSONError(message: message, byteOffset: position, line: line)
  }
}
