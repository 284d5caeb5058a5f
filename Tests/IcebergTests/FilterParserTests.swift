import Iceberg
import Testing

/// Filters from text: what they mean, and what is said of those that mean nothing.
@Suite struct FilterParserTests {
  private func parse(_ text: String) throws -> FilterExpression {
    try FilterExpression(parsing: text)
  }

  @Test func conditionsAreThoseOfSQL() throws {
    let cases: [(String, FilterExpression)] = [
      ("a = 1", .comparison("a", .equal, .long(1))),
      ("a != -2", .comparison("a", .notEqual, .long(-2))),
      ("a <> 'x'", .comparison("a", .notEqual, .string("x"))),
      ("A.b<=1.5e3", .comparison("A.b", .lessOrEqual, .double(1500))),
      ("a>2", .comparison("a", .greater, .long(2))),
      ("\"a b\" >= true", .comparison("a b", .greaterOrEqual, .boolean(true))),
      ("a < 9223372036854775807", .comparison("a", .less, .long(.max))),
      ("a = -9223372036854775808", .comparison("a", .equal, .long(.min))),
      ("a IN ('x', 'it''s')", .isIn("a", [.string("x"), .string("it's")])),
      ("a not in (1)", .not(.isIn("a", [.long(1)]))),
      ("a Is Null", .isNull("a")),
      ("a is not null", .not(.isNull("a"))),
      ("a is nan", .isNaN("a")),
      ("a is not nan", .not(.isNaN("a"))),
      ("starts_with(a, 'x')", .startsWith("a", "x")),
      ("starts_with = 1", .comparison("starts_with", .equal, .long(1))),
      ("\"null\" is null", .isNull("null")),
      (
        "a between 1 and 2",
        .and([
          .comparison("a", .greaterOrEqual, .long(1)), .comparison("a", .lessOrEqual, .long(2)),
        ])
      ),
      ("true", .alwaysTrue), ("not false", .not(.alwaysFalse)),
    ]
    for (text, expected) in cases { #expect(try parse(text) == expected, "\(text)") }
  }

  @Test func valuesHaveTheirTypes() throws {
    let cases: [(String, Literal)] = [
      ("date '1970-01-02'", .date(1)),
      ("time '00:00:01'", .time(1_000_000)),
      ("timestamp '1970-01-01T00:00:01'", .timestamp(1_000_000)),
      ("timestamptz '1970-01-01T01:00:00+01:00'", .timestamptz(0)),
      ("timestamp_ns '1970-01-01T00:00:00.000000001'", .timestampNs(1)),
      ("timestamptz_ns '1970-01-01T00:00:00.000000001Z'", .timestamptzNs(1)),
      ("uuid '00000000-0000-0000-0000-0000000000ff'", .uuid(255)),
      ("decimal '-12.30'", .decimal(unscaled: -1230, scale: 2)),
      ("float '1.5'", .float(1.5)), ("double '2'", .double(2)),
      ("x'00ff'", .binary([0, 255])), ("X''", .binary([])),
    ]
    for (text, expected) in cases {
      #expect(try parse("a = \(text)") == .comparison("a", .equal, expected), "\(text)")
    }
    #expect(try parse("a = double 'nan'") == .comparison("a", .equal, .double(.nan)))
  }

  /// Found by fuzzing: the first ended the process.
  @Test func timesBeyondTheirTypesRangeAreErrors() {
    for text in [
      "timestamp '759672-01-01T20:00:00'", "timestamptz '-999999-01-01T00:00:00Z'",
      "timestamp_ns '9999-01-01T00:00:00'", "timestamptz_ns '-9999-01-01T00:00:00Z'",
    ] {
      #expect(throws: IcebergError.self, "\(text)") { try parse("a = \(text)") }
    }
    #expect(throws: Never.self) { try parse("a = timestamp '294247-01-10T04:00:54.775807'") }
    #expect(throws: IcebergError.self) { try parse("a = timestamp '294247-01-10T04:00:54.775808'") }
  }

  @Test func notBindsCloserThanAndAndThatCloserThanOr() throws {
    func equal(_ name: String) -> FilterExpression { .comparison(name, .equal, .long(1)) }
    #expect(
      try parse("a = 1 or b = 1 and not c = 1 or d = 1")
        == .or([equal("a"), .and([equal("b"), .not(equal("c"))]), equal("d")]))
    #expect(
      try parse("(a = 1 or b = 1) and not (c = 1 and d = 1)")
        == .and([.or([equal("a"), equal("b")]), .not(.and([equal("c"), equal("d")]))]))
    #expect(
      try parse("a between 1 and 2 and b = 1")
        == .and([
          .and([
            .comparison("a", .greaterOrEqual, .long(1)), .comparison("a", .lessOrEqual, .long(2)),
          ]), equal("b"),
        ]))
  }

  @Test func textIsReadAsTheSameFilter() throws {
    for text in [
      "a = 1 and (b in ('x', 'it''s') or c is null) and not d >= timestamp '2026-01-01T00:00:00'",
      "\"sp ace.x\" is not nan or starts_with(\"and\", '''')",
      "a = -0.0 or a = 1e300 or a = float 'inf' or a = x'' or a = decimal '0.10'",
      "not (a = 1 or b = 2) and not not c is null",
    ] {
      let filter = try parse(text)
      #expect(try parse(filter.description) == filter, "\(filter)")
    }
  }

  @Test func errorsNameThePlace() {
    let cases: [(String, String)] = [
      ("", "character 1: expected a column or a condition, found the end"),
      ("a", "character 2: expected a comparison, found the end"),
      ("a = ", "character 5: expected a value, found the end"),
      ("a = 1 b", "character 7: expected 'and', 'or' or the end, found 'b'"),
      ("a = b", "character 5: expected a value, found 'b'"),
      ("(a = 1", "character 7: expected ')', found the end"),
      ("a in ()", "character 7: expected a value, found ')'"),
      ("a is 1", "character 6: expected 'null' or 'nan', found '1'"),
      ("a not = 1", "character 7: expected 'in' or 'between', found '='"),
      ("\u{E4} = 1", "character 1: a character that no filter has"),
      ("\"\u{E4}\" = 'x", "character 7: the quote has no end"),
      ("a = 12x", "character 5: a number that goes on with other characters"),
      ("a = 1.2.3", "character 5: a number that goes on with other characters"),
      ("a = 9223372036854775808", "character 5: the number 9223372036854775808 is out of range"),
      ("a = 1e999", "character 5: the number 1e999 is out of range"),
      ("a = -", "character 5: '-' without a number"),
      ("a = date '2026-02-30'", "character 10: '2026-02-30' is no date"),
      ("a = x'0'", "character 6: '0' is no hexadecimal text"),
      ("a ! 1", "character 3: '!' is no condition"),
      ("null = 1", "character 1: expected a column or a condition, found 'null'"),
    ]
    for (text, expected) in cases {
      let error = #expect(throws: IcebergError.self, "\(text)") { try parse(text) }
      #expect(error?.kind == .invalidArgument)
      #expect(error?.message == "the filter, \(expected)", "\(text)")
    }
  }

  @Test func sizeDepthAndListsAreLimited() throws {
    func nested(_ depth: Int) -> String {
      String(repeating: "(", count: depth) + "a = 1" + String(repeating: ")", count: depth)
    }
    #expect(try parse(nested(63)) == .comparison("a", .equal, .long(1)))
    #expect(throws: IcebergError.self) { try parse(nested(64)) }
    #expect(throws: IcebergError.self) {
      try parse(String(repeating: "not ", count: 70) + "a = 1")
    }
    func list(_ count: Int) -> String {
      "a in (" + Array(repeating: "1", count: count).joined(separator: ",") + ")"
    }
    guard case .isIn(_, let values) = try parse(list(10_000)) else {
      Issue.record("no list")
      return
    }
    #expect(values.count == 10_000)
    #expect(throws: IcebergError.self) { try parse(list(10_001)) }
    #expect(throws: IcebergError.self) {
      try parse("a = '" + String(repeating: "x", count: 1 << 16) + "'")
    }
  }
}
