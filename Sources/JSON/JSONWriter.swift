extension JSONValue {
  /// The document as UTF-8 text: on one line, or indented by two spaces a level when `pretty`.
  public func text(pretty: Bool = false) -> String {
    String(decoding: utf8(pretty: pretty), as: UTF8.self)
  }

  public func utf8(pretty: Bool = false) -> [UInt8] {
    var writer = JSONWriter(pretty: pretty)
    writer.write(self, level: 0)
    return writer.output
  }
}

extension JSONValue: CustomStringConvertible {
  public var description: String { text() }
}

private struct JSONWriter {
  let pretty: Bool
  var output: [UInt8] = []

  init(pretty: Bool) { self.pretty = pretty }

  mutating func write(_ value: JSONValue, level: Int) {
    switch value {
    case .null: append("null")
    case .bool(let value): append(value ? "true" : "false")
    case .integer(let value): append(value.description)
    case .number(let text): append(text)
    case .string(let value): writeString(value)
    case .array(let elements): writeArray(elements, level: level)
    case .object(let object): writeObject(object, level: level)
    }
  }

  private mutating func writeArray(_ elements: [JSONValue], level: Int) {
    append("[")
    for (index, element) in elements.enumerated() {
      if index > 0 { append(",") }
      newLine(level + 1)
      write(element, level: level + 1)
    }
    if !elements.isEmpty { newLine(level) }
    append("]")
  }

  private mutating func writeObject(_ object: JSONObject, level: Int) {
    append("{")
    var isFirst = true
    for (key, member) in object.members {
      if !isFirst { append(",") }
      isFirst = false
      newLine(level + 1)
      writeString(key)
      append(pretty ? ": " : ":")
      write(member, level: level + 1)
    }
    if !object.isEmpty { newLine(level) }
    append("}")
  }

  private mutating func writeString(_ string: String) {
    output.append(UInt8(ascii: "\""))
    if string.utf8.contains(where: Self.isEscaped) {
      writeEscaped(string)
    } else {
      append(string)
    }
    output.append(UInt8(ascii: "\""))
  }

  private static func isEscaped(_ byte: UInt8) -> Bool {
    byte < 0x20 || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\")
  }

  private mutating func writeEscaped(_ string: String) {
    for byte in string.utf8 {
      switch byte {
      case UInt8(ascii: "\""): append("\\\"")
      case UInt8(ascii: "\\"): append("\\\\")
      case 0x0A: append("\\n")
      case 0x0D: append("\\r")
      case 0x09: append("\\t")
      case 0..<0x20:
        append(byte < 0x10 ? "\\u000" : "\\u00")
        append(String(byte, radix: 16))
      default: output.append(byte)
      }
    }
  }

  private mutating func newLine(_ level: Int) {
    guard pretty else { return }
    output.append(0x0A)
    for _ in 0..<(2 * level) { output.append(0x20) }
  }

  private mutating func append(_ text: String) { output.append(contentsOf: text.utf8) }
}
