import Columnar
import Iceberg
import JSON
import TestSupport
import Testing

@Suite struct TransformTests {
  @Test(arguments: [
    ("identity", Transform.identity), ("bucket[16]", .bucket(16)), ("truncate[10]", .truncate(10)),
    ("year", .year), ("month", .month), ("day", .day), ("hour", .hour), ("void", .void),
    ("zorder[3]", .unknown("zorder[3]")), ("bucket[0]", .unknown("bucket[0]")),
    ("truncate[99999999999]", .unknown("truncate[99999999999]")),
  ])
  func textAndTransformCorrespond(text: String, transform: Transform) {
    #expect(Transform(text: text) == transform)
    #expect(transform.text == text)
  }

  /// The specification's hash values, read off as buckets: bucket[Int32.max] shows 31 bits.
  static let hashes: [(Literal, Int32)] = [
    (.int(34), 2_017_239_379), (.long(34), 2_017_239_379),
    (.decimal(unscaled: 1420, scale: 2), -500_754_589), (.date(17_486), -653_330_422),
    (.time(81_068_000_000), -662_762_989), (.timestamp(1_510_871_468_000_000), -2_047_944_441),
    (.timestamp(1_510_871_468_000_001), -1_207_196_810),
    (.timestamptz(1_510_871_468_000_000), -2_047_944_441),
    (.timestamptz(1_510_871_468_000_001), -1_207_196_810),
    (.timestampNs(1_510_871_468_000_001_001), -1_207_196_810),
    (.string("iceberg"), 1_210_000_089),
    (.uuid(0xF79C_3E09_677C_4BBD_A479_3F34_9CB7_85E7), 1_488_055_340),
    (.fixed([0, 1, 2, 3]), -188_683_207), (.binary([0, 1, 2, 3]), -188_683_207),
  ]

  @Test(arguments: hashes) func hashesAreTheSpecifications(value: Literal, hash: Int32) throws {
    let expected = (hash & Int32.max) % Int32.max
    #expect(try Transform.bucket(Int32.max).apply(value) == .int(expected))
  }

  @Test(arguments: [Literal.boolean(true), .float(1), .double(1)])
  func typesThatAreNotBucketedAreRefused(value: Literal) {
    #expect(throws: IcebergError.self) { try Transform.bucket(4).apply(value) }
  }

  @Test func s56TruncationWrapsAsJavas() throws {
    let cases: [(Literal, Int32, Literal)] = [
      (.int(-1), 10, .int(-10)), (.int(Int32.min), 10, .int(2_147_483_646)),
      (.int(Int32.min), 3, .int(2_147_483_647)), (.int(1), Int32.max, .int(2)),
      (.long(Int64.min + 1), 10, .long(Int64.max - 1)),
      (.long(Int64.max), 10, .long(Int64.max - 7)),
      (.int(Int32.max), Int32.max, .int(Int32.max)),
      (.decimal(unscaled: -1, scale: 2), 10, .decimal(unscaled: -10, scale: 2)),
    ]
    for (value, width, expected) in cases {
      #expect(try Transform.truncate(width).apply(value) == expected, "\(value) by \(width)")
    }
  }

  @Test func nullStaysNullAndVoidMakesNull() throws {
    for transform: Transform in [.identity, .bucket(2), .truncate(2), .day, .unknown("x")] {
      #expect(try transform.apply(nil) == nil)
    }
    #expect(try Transform.void.apply(.int(1)) == nil)
  }

  @Test func everyResultEqualsJavasForValuesAndForColumns() throws {
    let cases = try #require(try Golden.json("transforms.json")["cases"]?.arrayValue)
    #expect(cases.count > 150)
    for element in cases {
      let parts = try #require(element.arrayValue).compactMap(\.stringValue)
      let source = try GoldenTransform.literal(parts[0], parts[1])
      let transform = try GoldenTransform.transform(parts[2])
      let result = try #require(try transform.apply(source.value))
      #expect(GoldenTransform.text(result) == parts[3].lowercasedIfBinary(parts[0]), "\(parts)")
      let column = TestColumn.column(source.type, [nil, source.value, nil, source.value])
      let derived = try transform.apply(column.slice(1..<4), type: source.type)
      let type = try #require(transform.resultType(of: source.type))
      #expect(TestColumn.literals(derived, type) == [result, nil, result], "\(parts)")
    }
  }

  @Test func aVoidColumnIsAllNull() throws {
    for type: IcebergType in [.boolean, .string, .long, .uuid] {
      let column = TestColumn.column(type, [nil, nil])
      #expect(try Transform.void.apply(column, type: type).nullCount == 2)
    }
  }
}

/// The golden file's cases as ours.
enum GoldenTransform {
  static func literal(_ type: String, _ text: String) throws -> (type: IcebergType, value: Literal)
  {
    switch type {
    case "bigint": (.long, .long(try #require(Int64(text))))
    case "int": (.int, .int(try #require(Int32(text))))
    case "timestamp":
      (
        .timestamp,
        try Literal(json: .string(text.replacing(" ", with: "T")), type: .timestamp)
      )
    default:
      try {
        let type = try IcebergType(primitiveName: type)
        return (type, try Literal(json: .string(text), type: type))
      }()
    }
  }

  static func transform(_ text: String) throws -> Transform {
    guard let colon = text.firstIndex(of: ":") else { return Transform(text: text) }
    return Transform(text: "\(text[..<colon])[\(text[colon...].dropFirst())]")
  }

  static func text(_ value: Literal) -> String { value.description }
}

extension String {
  fileprivate func lowercasedIfBinary(_ type: String) -> String {
    type == "binary" ? lowercased() : self
  }
}

/// Columns from literals and back.
enum TestColumn {
  static func column(_ type: IcebergType, _ values: [Literal?]) -> Column {
    func build<Element: BitwiseCopyable & Sendable>(
      _ zero: Element, _ element: (Literal) -> Element?
    ) -> Column {
      var builder = FixedWidthBuilder<Element>(type.dataType, zero: zero)
      for value in values {
        if let value, let element = element(value) {
          builder.append(element)
        } else {
          builder.appendNull()
        }
      }
      return builder.finish()
    }
    switch type {
    case .boolean:
      var builder = BooleanBuilder()
      for value in values {
        if case .boolean(let flag) = value { builder.append(flag) } else { builder.appendNull() }
      }
      return builder.finish()
    case .string, .binary, .uuid, .fixed:
      var builder = BytesBuilder(type.dataType)
      for value in values {
        if let value { builder.append(value.boundBytes) } else { builder.appendNull() }
      }
      return builder.finish()
    case .float:
      return build(Float(0)) { if case .float(let value) = $0 { value } else { nil } }
    case .double:
      return build(Double(0)) { if case .double(let value) = $0 { value } else { nil } }
    case .decimal:
      return build(Int128(0)) { if case .decimal(let value, _) = $0 { value } else { nil } }
    case .int, .date:
      return build(Int32(0)) {
        Int32($0.boundBytes.reversed().reduce(0) { $0 << 8 | Int64($1) }, of: 32)
      }
    default:
      return build(Int64(0)) {
        Int64(bitPattern: $0.boundBytes.reversed().reduce(0) { $0 << 8 | UInt64($1) })
      }
    }
  }

  static func literals(_ column: Column, _ type: IcebergType) -> [Literal?] {
    (0..<column.count).map { index in
      guard !column.isNull(index) else { return nil }
      switch type {
      case .boolean: return .boolean(column.boolean(at: index))
      case .int: return .int(column.values(as: Int32.self)[index])
      case .date: return .date(column.values(as: Int32.self)[index])
      case .long: return .long(column.values(as: Int64.self)[index])
      case .timestamp: return .timestamp(column.values(as: Int64.self)[index])
      case .float: return .float(column.values(as: Float.self)[index])
      case .double: return .double(column.values(as: Double.self)[index])
      case .decimal(_, let scale):
        return .decimal(unscaled: column.values(as: Int128.self)[index], scale: scale)
      case .string: return .string(column.string(at: index))
      default: return .binary(column.bytes(at: index).withUnsafeBytes { Array($0) })
      }
    }
  }
}

extension Int32 {
  fileprivate init(_ bits: Int64, of width: Int) { self = Int32(truncatingIfNeeded: bits) }
}
