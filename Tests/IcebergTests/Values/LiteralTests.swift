import Iceberg
import JSON
import TestSupport
import Testing

@Suite struct LiteralTests {
  static let vectors: [(Literal, IcebergType, [UInt8])] = [
    (.boolean(true), .boolean, [1]), (.boolean(false), .boolean, [0]),
    (.int(-5), .int, [0xFB, 0xFF, 0xFF, 0xFF]),
    (.double(0), .double, [UInt8](repeating: 0, count: 8)),
    (.date(-1), .date, [0xFF, 0xFF, 0xFF, 0xFF]),
    (.timestamp(-1_000_000), .timestamp, [0xC0, 0xBD, 0xF0, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]),
    (
      .timestamptz(1_510_871_468_000_001), .timestamptz,
      [0x01, 0xC3, 0x26, 0x2D, 0x21, 0x5E, 0x05, 0x00]
    ),
    (.decimal(unscaled: -1, scale: 2), .decimal(precision: 9, scale: 2), [0xFF]),
    (.decimal(unscaled: 1420, scale: 2), .decimal(precision: 9, scale: 2), [0x05, 0x8C]),
    (
      .decimal(unscaled: -15_000_000_000, scale: 10), .decimal(precision: 38, scale: 10),
      [0xFC, 0x81, 0xEE, 0x2A, 0x00]
    ),
    (.decimal(unscaled: 0, scale: 2), .decimal(precision: 9, scale: 2), [0]),
    (.decimal(unscaled: 128, scale: 0), .decimal(precision: 9, scale: 0), [0, 0x80]),
    (.decimal(unscaled: -128, scale: 0), .decimal(precision: 9, scale: 0), [0x80]),
    (.string(""), .string, []), (.string("é"), .string, [0xC3, 0xA9]),
    (.uuid(1), .uuid, [UInt8](repeating: 0, count: 15) + [1]), (.binary([]), .binary, []),
    (.fixed([7, 8]), .fixed(2), [7, 8]),
    (.float(1.5), .float, [0, 0, 0xC0, 0x3F]),
  ]

  @Test(arguments: vectors)
  func boundsAreTheBytesOfTheSpecification(value: Literal, type: IcebergType, bytes: [UInt8]) throws
  {
    #expect(value.boundBytes == bytes)
    #expect(try Literal(boundBytes: bytes, type: type) == value)
  }

  @Test func boundsWrittenBeforeAPromotionKeepTheirWidth() throws {
    #expect(try Literal(boundBytes: Literal.int(-5).boundBytes, type: .long) == .long(-5))
    #expect(try Literal(boundBytes: Literal.float(1.5).boundBytes, type: .double) == .double(1.5))
    #expect(
      try Literal(boundBytes: Literal.date(-1).boundBytes, type: .timestamp)
        == .timestamp(-86_400_000_000))
    #expect(throws: IcebergError.self) { try Literal(boundBytes: [1, 2], type: .int) }
    #expect(throws: IcebergError.self) {
      try Literal(boundBytes: Literal.date(1).boundBytes, type: .timestamptz)
    }
    #expect(throws: IcebergError.self) { try Literal(boundBytes: [0xFF], type: .string) }
    #expect(throws: IcebergError.self) {
      try Literal(boundBytes: [], type: .decimal(precision: 9, scale: 2))
    }
  }

  @Test func floatsAreOrderedAsTheSpecificationSays() {
    let ordered: [Double] = [
      -.nan, -.infinity, -1, -0.0, 0.0, .leastNonzeroMagnitude, 1, .infinity, .nan,
    ]
    for (left, right) in zip(ordered, ordered.dropFirst()) {
      #expect(Literal.double(left) < .double(right), "\(left) \(right)")
      #expect(Literal.float(Float(left)) < .float(Float(right)) || left == 0 || right < 1e-40)
      #expect(!(Literal.double(right) < .double(left)))
    }
  }

  @Test func textsAreComparedByTheirBytes() {
    let composed = Literal.string("caf\u{E9}")
    let decomposed = Literal.string("cafe\u{301}")
    #expect(composed != decomposed)
    #expect(Set([composed, decomposed]).count == 2)
    #expect(decomposed < composed)
    #expect(Literal.string("\u{FFFF}") < .string("\u{10000}"))
  }

  @Test func decimalsOfDifferentScaleAreComparedByValue() {
    #expect(Literal.decimal(unscaled: 15, scale: 1) < .decimal(unscaled: 151, scale: 2))
    #expect(Literal.decimal(unscaled: -151, scale: 2) < .decimal(unscaled: -15, scale: 1))
    #expect(
      Literal.decimal(unscaled: -Int128.max, scale: 0) < .decimal(unscaled: Int128.max, scale: 38))
  }

  @Test(arguments: [
    (IcebergType.date, "2017-11-16", Literal.date(17_486)), (.date, "1969-12-31", .date(-1)),
    (.time, "22:31:08", .time(81_068_000_000)),
    (.timestamp, "2017-11-16T22:31:08.000001", .timestamp(1_510_871_468_000_001)),
    (.timestamptz, "2017-11-16T22:31:08.000001+00:00", .timestamptz(1_510_871_468_000_001)),
    (.timestampNs, "1969-12-31T23:59:59.999999999", .timestampNs(-1)),
    (.decimal(precision: 9, scale: 2), "14.20", .decimal(unscaled: 1420, scale: 2)),
    (.decimal(precision: 9, scale: 2), "-0.01", .decimal(unscaled: -1, scale: 2)),
    (
      .uuid, "f79c3e09-677c-4bbd-a479-3f349cb785e7",
      .uuid(0xF79C_3E09_677C_4BBD_A479_3F34_9CB7_85E7)
    ),
    (.binary, "00ff", .binary([0, 255])), (.fixed(2), "0102", .fixed([1, 2])),
  ])
  func defaultValuesHaveTheirJSONForm(type: IcebergType, text: String, value: Literal) throws {
    #expect(try Literal(json: .string(text), type: type) == value)
    #expect(value.json == .string(text))
  }

  @Test(arguments: [
    (IcebergType.date, JSONValue.string("2017-02-29")), (.date, "17-1-1"), (.date, 5),
    (.int, 2_147_483_648), (.timestamp, "2017-11-16T22:31:08+00:00"),
    (.timestamptz, "2017-11-16T22:31:08"), (.time, "25:00:00"), (.fixed(2), "01"),
    (.decimal(precision: 3, scale: 2), "14.20"), (.decimal(precision: 9, scale: 2), "1.234"),
    (.decimal(precision: 9, scale: 2), "-"), (.uuid, "f79c3e09"), (.binary, "0"), (.binary, "zz"),
    (.list(element: .required(1, "element", .int)), .array([])),
  ])
  func illegalDefaultValuesAreErrors(type: IcebergType, json: JSONValue) {
    #expect(throws: IcebergError.self) { try Literal(json: json, type: type) }
  }

  @Test func everyLiteralComesBackFromItsBound() throws {
    var generator = SeededGenerator(seed: 11)
    for _ in 0..<2000 {
      let number = Int64(bitPattern: generator.next()) >> Int64(generator.below(64))
      let wide = Int128(number) * Int128(Int64(bitPattern: generator.next()) >> 3)
      let values: [(Literal, IcebergType)] = [
        (.int(Int32(truncatingIfNeeded: number)), .int), (.long(number), .long),
        (.decimal(unscaled: wide, scale: 3), .decimal(precision: 38, scale: 3)),
        (.double(Double(bitPattern: generator.next())), .double),
      ]
      for (value, type) in values {
        #expect(try Literal(boundBytes: value.boundBytes, type: type) == value, "seed 11")
      }
    }
  }
}
