import Columnar
import FileFormats
import JSON
import Testing

/// The value that `text` gives in a column of `type`, as text, or the error.
private func parsed(
  _ text: String, _ type: DataType, epoch: TextValue.EpochUnit? = nil
) -> String {
  let builder = AnyColumnBuilder(type)
  do {
    try ValueParser(type, epochUnit: epoch).append(text, to: builder)
  } catch {
    #expect(builder.count == 0)
    return error.message
  }
  return FileFormatsTests.text(builder.finish(), 0)
}

private let timestamp = DataType.timestamp(isUTC: true)

@Suite struct TextValueTests {
  @Test(arguments: [
    ("0", "0"), ("-0", "0"), ("+7", "7"), ("9223372036854775807", "9223372036854775807"),
    ("-9223372036854775808", "-9223372036854775808"), ("3.0", "3"), ("-12.000", "-12"),
    ("9223372036854775808", "is outside the range of long"), ("", "is not an integer"),
    ("1.5", "is not an integer"), ("1e3", "is not an integer"), ("1.", "is not an integer"),
    (" 1", "is not an integer"), ("-", "is not an integer"), ("0x10", "is not an integer"),
  ]) func longs(_ text: String, _ expected: String) {
    #expect(parsed(text, .int64) == expected)
  }

  @Test func intsAreCheckedForTheirRange() {
    #expect(parsed("2147483647", .int32) == "2147483647")
    #expect(parsed("2147483648", .int32) == "is outside the range of int")
  }

  @Test(arguments: [
    ("1", "1.0"), ("-2.5e3", "-2500.0"), (".5", "0.5"), ("+1.5", "1.5"), ("nan", "nan"),
    ("NaN", "nan"), ("inf", "inf"), ("-Infinity", "-inf"),
    ("1e999", "is outside the range of double"),
    ("0.1", "0.1"), ("5e-324", "5e-324"), ("1,5", "is not a number"), ("", "is not a number"),
    ("+-1", "is not a number"), ("1.5x", "is not a number"),
  ]) func doubles(_ text: String, _ expected: String) {
    #expect(parsed(text, .float64) == expected)
  }

  @Test func floatsAreTheNearest() {
    #expect(parsed("0.1", .float32) == "0.1")
    #expect(parsed("1e39", .float32) == "is outside the range of float")
  }

  @Test(arguments: [
    ("true", "true"), ("FALSE", "false"), ("1", "true"), ("0", "false"),
    ("yes", "is not a boolean (true, false, 1 or 0)"),
  ]) func booleans(_ text: String, _ expected: String) {
    #expect(parsed(text, .boolean) == expected)
  }

  @Test(arguments: [
    ("14.20", "1420"), ("-0.01", "-1"), ("7", "700"), (".5", "50"), ("14.200", "1420"),
    ("9999999.99", "999999999"), ("10000000", "has more than 9 digits"),
    ("1.234", "has more than 2 decimals"), ("1e2", "is not a decimal number"),
    ("", "is not a decimal number"), (".", "is not a decimal number"),
    ("1.2.3", "is not a decimal number"),
  ]) func decimals(_ text: String, _ expected: String) {
    #expect(parsed(text, .decimal(precision: 9, scale: 2)) == expected)
  }

  @Test func theWidestDecimalFits() {
    let nines = String(repeating: "9", count: 38)
    #expect(parsed("-" + nines, .decimal(precision: 38, scale: 0)) == "-" + nines)
    #expect(parsed(nines + "9", .decimal(precision: 38, scale: 0)) == "has more than 38 digits")
  }

  @Test(arguments: [
    ("1970-01-01", "0"), ("1969-12-31", "-1"), ("2024-02-29", "19782"), ("0001-01-01", "-719162"),
    ("9999-12-31", "2932896"), ("2023-02-29", "is not a date (YYYY-MM-DD)"),
    ("2023-13-01", "is not a date (YYYY-MM-DD)"), ("2023-1-01", "is not a date (YYYY-MM-DD)"),
    ("0000-01-01", "is not a date (YYYY-MM-DD)"),
  ]) func dates(_ text: String, _ expected: String) {
    #expect(parsed(text, .date) == expected)
  }

  @Test(arguments: [
    ("1970-01-01T00:00:00Z", "0"), ("1970-01-01", "0"), ("1970-01-01 00:00", "0"),
    ("1970-01-01T00:00:01.5", "1500000"), ("1970-01-01t00:00:00.000001z", "1"),
    ("1970-01-01T00:00:00.0000010000Z", "1"), ("1969-12-31T23:59:59.999999Z", "-1"),
    ("1970-01-01T02:00:00+02:00", "0"), ("1970-01-01T02:00:00+0200", "0"),
    ("1970-01-01T02:00:00+02", "0"), ("1969-12-31T18:30:00-05:30", "0"),
    ("2017-11-16T22:31:08.000001", "1510871468000001"),
    ("1970-01-01T00:00:00.0000001Z", "has more than 6 digits of a second"),
  ]) func timestamps(_ text: String, _ expected: String) {
    #expect(parsed(text, timestamp) == expected)
  }

  @Test(arguments: [
    "1970-01-01T24:00:00Z", "1970-01-01T00:60:00Z", "1970-01-01T00:00:60Z", "1970-01-01X00:00:00",
    "1970-01-01T00:00:00.Z", "1970-01-01T00:00:00+", "1970-01-01T00:00:00+2", "1970-01-01T",
    "1970-01-01T00:00:00Z ", "1970-01-01T00:00:00ZZ", "1970-01-01T0:00:00", "now", "",
    "1970-01-01T00:00:00+02:0", "1970-01-01T00:00:00+24:00",
  ]) func noTimestamps(_ text: String) {
    #expect(
      parsed(text, timestamp) == "is not a time (ISO 8601, such as 2024-05-01T12:30:00Z)")
  }

  @Test func numbersAreTimesOnlyWithAUnit() {
    #expect(parsed("1500", timestamp).hasPrefix("is a number, not a time"))
    #expect(parsed("1500", timestamp, epoch: .seconds) == "1500000000")
    #expect(parsed("-1", timestamp, epoch: .milliseconds) == "-1000")
    #expect(parsed("1500", timestamp, epoch: .microseconds) == "1500")
    #expect(parsed("1500", timestamp, epoch: .nanoseconds) == "is finer than microseconds")
    #expect(
      parsed("9223372036854775", timestamp, epoch: .seconds) == "is outside the range of a time")
  }

  @Test func nanosecondsKeepNineDigits() {
    let type = DataType.timestampNanoseconds(isUTC: true)
    #expect(parsed("1970-01-01T00:00:00.000000001Z", type) == "1")
    #expect(parsed("2300-01-01", type) == "is outside the range of nanoseconds")
  }

  @Test func timesOfDay() {
    #expect(parsed("23:59:59.999999", .time) == "86399999999")
    #expect(parsed("24:00:00", .time) == "is not a time (HH:MM:SS)")
  }

  @Test func uuidsAndBytes() {
    let uuid = DataType.fixedSizeBinary(16)
    #expect(parsed("f79c3e09-677c-4bbd-a479-3f349cb785e7", uuid).hasPrefix("x24715662"))
    #expect(parsed("f79c3e09677c4bbda4793f349cb785e7", uuid).hasPrefix("x24715662"))
    #expect(parsed("f79c3e09-677c-4bbd-a479-3f349cb785e", uuid) == "is not a UUID")
    #expect(parsed("00ff", .binary) == "x0255")
    #expect(parsed("0", .binary) == "is not hexadecimal: a digit is missing")
    #expect(parsed("00", .fixedSizeBinary(2)) == "has 1 bytes, not 2")
  }

  @Test func nestedValuesAreJSON() {
    let list = DataType.list(Field("element", .float32))
    #expect(parsed("[1, null, 2.5]", list) == "[1.0,null,2.5]")
    #expect(parsed("[]", list) == "[]")
    #expect(parsed("[1, \"x\"]", list) == "has an element, number 1, that is not a number")
    #expect(parsed("{}", list) == "is an object, not a list<float>")
    #expect(parsed("[1", list).hasPrefix("is not JSON"))
    let structure = DataType.structure([
      Field("a", .int32, isNullable: false), Field("t", timestamp),
    ])
    #expect(parsed("{\"t\": \"1970-01-01\", \"a\": 3}", structure) == "{3,0}")
    #expect(parsed("{\"a\": null}", structure) == "has a member 'a' that must not be null")
    #expect(parsed("{\"a\": 1, \"z\": 1}", structure) == "has a member 'z' that the type lacks")
  }

  @Test func everyTextIsReadBackAsTheSameValue() throws {
    let batch = everyType()
    for (field, column) in zip(batch.schema.fields, batch.columns) {
      if field.name == "date" || field.name == "timestamp" || field.name == "timestamptz" {
        continue
      }
      let builder = AnyColumnBuilder(field.type)
      for row in 0..<column.count where !column.isNull(row) {
        try ValueParser(field.type).append(ValueText.text(column, row), to: builder)
      }
      let present = (0..<column.count).filter { !column.isNull($0) }
      #expect(texts(builder.finish()) == present.map { text(column, $0) }, "\(field.name)")
    }
  }

  @Test func datesCountDaysInBothDirections() {
    var previous = CalendarDate(daysSince1970: -800_000)
    for days in -799_999..<800_000 {
      let date = CalendarDate(daysSince1970: days)
      if date.daysSince1970 != days { Issue.record("day \(days)") }
      let isNext =
        date.day == previous.day + 1 && date.month == previous.month
        || date.day == 1 && (date.month == previous.month + 1 || date.month == 1)
      if !isNext { Issue.record("day \(days)") }
      previous = date
    }
    #expect(ValueText.date(19_782) == "2024-02-29")
    #expect(ValueText.timestamp(microseconds: -1) == "1969-12-31T23:59:59.999999Z")
    #expect(ValueText.timestamp(microseconds: 1_500_000, isUTC: false) == "1970-01-01T00:00:01.5")
  }
}
