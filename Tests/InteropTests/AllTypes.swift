import Columnar
import Iceberg
import JSON
import TestSupport
import Testing

/// A table with a column of every type of format version 2, and rows with the ends of each.
enum AllTypes {
  struct Sample: Sendable, CustomTestStringConvertible {
    var name: String
    var type: IcebergType
    /// Ascending, nulls and NaN aside.
    var values: [JSONValue]
    var testDescription: String { name }
  }

  static func floatBits(_ values: [Float]) -> [JSONValue] {
    values.map { value in
      let digits = String(value.bitPattern, radix: 16)
      let zeros = String(repeating: "0", count: 8 - digits.count)
      return .string(value.isNaN ? "nan" : zeros + digits)
    }
  }

  static func doubleBits(_ values: [Double]) -> [JSONValue] {
    values.map { value in
      let digits = String(value.bitPattern, radix: 16)
      let zeros = String(repeating: "0", count: 16 - digits.count)
      return .string(value.isNaN ? "nan" : zeros + digits)
    }
  }

  private static func integers(_ values: [Int64]) -> [JSONValue] { values.map { .integer($0) } }
  private static func texts(_ values: [String]) -> [JSONValue] { values.map { .string($0) } }
  private static func decimals(_ largest: String) -> [JSONValue] {
    texts(["-" + largest, "-1000", "-150", "-1", "0", "1", "99", "1000", largest])
  }

  /// From the year 1 to 9999, in microseconds.
  static let moments: [Int64] = [
    -62_135_596_800_000_000, -86_400_000_001, -3_600_000_000, -1, 0, 1, 3_599_999_999,
    86_400_000_000, 1_709_164_800_000_000, 1_709_251_200_000_000, 253_402_300_799_999_999,
  ]

  private static let long = String(repeating: "x", count: 40)
  private static let longBytes = String(repeating: "ff", count: 40)

  /// One column a primitive type.
  static let primitives: [Sample] = [
    Sample(name: "c_boolean", type: .boolean, values: [false, true]),
    Sample(
      name: "c_int", type: .int,
      values: integers([Int64(Int32.min), -100, -1, 0, 1, 17, 100, Int64(Int32.max)])),
    Sample(
      name: "c_long", type: .long, values: integers([.min, -100, -1, 0, 1, 17, 1 << 53 + 1, .max])),
    Sample(
      name: "c_float", type: .float,
      values: floatBits([
        -.infinity, -.greatestFiniteMagnitude, -1.5, -0.0, 0.0, .leastNonzeroMagnitude, 1.5,
        .greatestFiniteMagnitude, .infinity, .nan,
      ])),
    Sample(
      name: "c_double", type: .double,
      values: doubleBits([
        -.infinity, -.greatestFiniteMagnitude, -1.5, -0.0, 0.0, .leastNonzeroMagnitude, 0.1, 1.5,
        .greatestFiniteMagnitude, .infinity, .nan,
      ])),
    Sample(
      name: "c_decimal9", type: .decimal(precision: 9, scale: 2), values: decimals("999999999")),
    Sample(
      name: "c_decimal18", type: .decimal(precision: 18, scale: 4),
      values: decimals("999999999999999999")),
    Sample(
      name: "c_decimal38", type: .decimal(precision: 38, scale: 10),
      values: decimals(String(repeating: "9", count: 38))),
    Sample(
      name: "c_date", type: .date,
      values: integers([-719_162, -366, -31, -1, 0, 1, 19_782, 2_932_896])),
    Sample(
      name: "c_time", type: .time, values: integers([0, 1, 43_200_000_000, 86_399_999_999])),
    Sample(name: "c_timestamp", type: .timestamp, values: integers(moments)),
    Sample(name: "c_timestamptz", type: .timestamptz, values: integers(moments)),
    Sample(
      name: "c_string", type: .string,
      values: texts([
        "", " / =%&", "It's", "\(long)a", "\(long)b", "z", "na\u{EF}ve", "\u{65E5}\u{672C}",
        "\u{FFFD}\u{FFFF}", "\u{1F600}\u{1F600}\u{1F680}", "\u{10FFFF}" + long,
      ])),
    Sample(
      name: "c_uuid", type: .uuid,
      values: texts([
        "00000000000000000000000000000000", "0123456789abcdef0123456789abcdef",
        "7fffffffffffffffffffffffffffffff", "80000000000000000000000000000000",
        "ffffffffffffffffffffffffffffffff",
      ])),
    Sample(
      name: "c_fixed", type: .fixed(5),
      values: texts(["0000000000", "0000000001", "7fffffffff", "8000000000", "ffffffffff"])),
    Sample(
      name: "c_binary", type: .binary, values: texts(["", "00", "00ff", "7f", "80", longBytes])),
  ]

  static let nested: [Sample] = [
    Sample(
      name: "c_list", type: .list(element: .optional(901, "element", .int)),
      values: [[], [.null], [1, .null, 2], [-1]]),
    Sample(
      name: "c_struct",
      type: .structure([
        .optional(911, "number", .long), .optional(912, "text", .string),
        .optional(913, "inner", .structure([.optional(914, "moment", .timestamptz)])),
      ]),
      values: [
        [.null, .null, .null], [1, "x", [.null]], [.integer(.max), "", [1_709_164_800_000_000]],
      ]),
    Sample(
      name: "c_map",
      type: .map(key: .required(921, "key", .string), value: .optional(922, "value", .long)),
      values: [[], [["a", 1]], [["", .null], ["\u{1F600}", .integer(.min)]]]),
    Sample(
      name: "c_structs",
      type: .list(
        element: .required(
          931, "element",
          .structure([
            .required(932, "x", .int),
            .optional(933, "y", .list(element: .required(934, "element", .double))),
          ]))),
      values: [[], [[1, .null], [2, []], [3, .array(doubleBits([1.5, -0.0]))]]]),
  ]

  static let columns = primitives + nested

  /// `id`, then a column a sample.
  static func schema(_ columns: [Sample] = columns) -> TableSchema {
    var fields = [NestedField.required(1, "id", .long)]
    for (index, sample) in columns.enumerated() {
      fields.append(.optional(Int32(2 + index), sample.name, sample.type))
    }
    return TableSchema(fields: fields)
  }

  /// The rows as PyIceberg 0.12 reads and writes them: a null list of structures becomes an empty one
  /// (apache/iceberg-python issue 3833). Everything else it keeps.
  static func asPyIcebergHasThem(
    _ rows: [JSONValue], _ columns: [Sample] = columns
  ) -> [JSONValue] {
    guard let index = columns.firstIndex(where: { $0.name == "c_structs" }) else { return rows }
    return rows.map { row in
      var values = row.arrayValue ?? []
      if values[index + 1] == .null { values[index + 1] = [] }
      return .array(values)
    }
  }

  /// Rows whose values ascend with the id, so that files have narrow bounds; one in nine is null.
  static func ascending(_ count: Int, _ columns: [Sample] = columns) -> [JSONValue] {
    (0..<count).map { row in
      .array(
        [.integer(Int64(row))]
          + columns.enumerated().map { index, sample in
            (row + index) % 9 == 4 ? .null : sample.values[row * sample.values.count / count]
          })
    }
  }

  /// Rows with any values; the seed decides.
  static func random(
    _ count: Int, firstID: Int64 = 0, seed: UInt64, hasNulls: Bool = true,
    _ columns: [Sample] = columns
  ) -> [JSONValue] {
    var generator = SeededGenerator(seed: seed)
    return (0..<count).map { row in
      .array(
        [.integer(firstID + Int64(row))]
          + columns.map { sample in
            hasNulls && generator.oneIn(6)
              ? .null : sample.values[generator.below(sample.values.count)]
          })
    }
  }
}
