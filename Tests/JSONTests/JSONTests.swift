import JSON
import Testing

@Suite struct JSONTests {
  @Test func integersKeepAllTheirBits() throws {
    let value = try JSONValue(parsing: #"{"id": 9223372036854775807, "low": -9223372036854775808}"#)
    #expect(value["id"]?.int64Value == .max)
    #expect(value["low"]?.int64Value == .min)
  }

  @Test func otherNumbersKeepTheirText() throws {
    for text in ["1.10", "18446744073709551616", "-0.5e-3", "1E+2"] {
      #expect(try JSONValue(parsing: text).text() == text)
    }
  }

  @Test func membersKeepTheirOrder() throws {
    let text = #"{"z":1,"a":[true,false,null],"m":{"k":"v"}}"#
    #expect(try JSONValue(parsing: text).text() == text)
  }

  @Test func escapesAreReadAndWritten() throws {
    let value = try JSONValue(parsing: #""\u0041\n\"\\\/\ud83d\ude00\u0001""#)
    #expect(value == .string("A\n\"\\/\u{1F600}\u{1}"))
    #expect(try JSONValue(parsing: value.text()) == value)
  }

  @Test func prettyTextParsesBack() throws {
    let value: JSONValue = ["a": [1, 2], "b": [:], "c": []]
    #expect(
      value.text(pretty: true) == "{\n  \"a\": [\n    1,\n    2\n  ],\n  \"b\": {},\n  \"c\": []\n}"
    )
    #expect(try JSONValue(parsing: value.text(pretty: true)) == value)
  }

  @Test(arguments: [
    "", " ", "{", "[1,", "[1 2]", "{\"a\"}", "{\"a\":1,}", "tru", "01", "1.", "-", "1e", "\"",
    "\"\\x\"",
    "\"\\ud800\"", "\"\\ud800\\u0041\"", "{\"a\":1,\"a\":2}", "1 2", "\"\u{1}\"", "nullx", "+1",
  ])
  func malformedTextIsRefused(text: String) {
    #expect(throws: JSONError.self) { try JSONValue(parsing: text) }
  }

  /// Small objects and large ones look for repeated keys in different ways.
  @Test(arguments: [1, 2, 15, 16, 17, 18, 40])
  func aKeyThatAnObjectHasAlreadyIsRefusedWhereverItIs(count: Int) throws {
    let members = (0..<count).map { "\"key \($0)\":\($0)" }
    let text = "{\(members.joined(separator: ","))}"
    #expect(try JSONValue(parsing: text).text() == text)
    for member in members {
      #expect(throws: JSONError.self) { try JSONValue(parsing: text.dropLast() + ",\(member)}") }
    }
  }

  @Test(arguments: [
    [0xFF], [0xC3], [0xC0, 0x80], [0xED, 0xA0, 0x80], [0xF4, 0x90, 0x80, 0x80], [0x41, 0x80],
  ])
  func invalidUTF8IsRefused(bytes: [UInt8]) {
    #expect(throws: JSONError.self) { try JSONValue(parsing: [0x22] + bytes + [0x22]) }
    #expect(throws: JSONError.self) { try JSONValue(parsing: [0x22, 0x5C, 0x6E] + bytes + [0x22]) }
  }

  @Test func textBeyondASCIIIsKept() throws {
    for text in ["ä", "\u{FFFF}", "😀 and more than fits into a small string", "e\u{301}"] {
      let value = try JSONValue(parsing: "\"\(text)\"")
      #expect(value.stringValue.map { Array($0.utf8) } == Array(text.utf8))
    }
  }

  @Test func deepNestingIsRefusedNotOverflowed() {
    let deep = String(repeating: "[", count: 100_000)
    #expect(throws: JSONError.self) { try JSONValue(parsing: deep) }
    let allowed = String(repeating: "[", count: 64) + String(repeating: "]", count: 64)
    #expect(throws: Never.self) { try JSONValue(parsing: allowed) }
  }

  @Test func errorsNameTheLine() {
    do {
      _ = try JSONValue(parsing: "{\n\"a\": 1,\n\"b\": ?\n}")
      Issue.record("parsed")
    } catch { #expect(error.line == 3) }
  }
}
