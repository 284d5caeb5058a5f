import Columnar
import Iceberg
import TestSupport
import Testing

@Suite struct MetricsTests {
  /// A file's metrics of one column.
  static func metrics(
    _ type: IcebergType, _ batches: [[Literal?]], mode: MetricsMode = .truncate(16)
  ) throws -> DataFile {
    let schema = TableSchema(fields: [.optional(1, "a", type)])
    var collector = MetricsCollector(
      schema: schema, configuration: MetricsConfiguration(defaultMode: mode))
    for values in batches {
      let column = TestColumn.column(type, values)
      try collector.add(
        RecordBatch(schema: schema.columnarSchema, columns: [column], rowCount: values.count))
    }
    var file = DataFile(path: "p", recordCount: 0, fileSizeInBytes: 0)
    collector.apply(to: &file)
    return file
  }

  @Test func textsAreShortenedAsJavaDoes() throws {
    let a = try Self.metrics(.string, [[.string(String(repeating: "a", count: 20))]])
    #expect(a.lowerBounds[1] == [UInt8](repeating: 0x61, count: 16))
    #expect(a.upperBounds[1] == [UInt8](repeating: 0x61, count: 15) + [0x62])
    let z = String(repeating: "z", count: 15) + "\u{10FFFF}q"
    let file = try Self.metrics(.string, [[.string(z)]])
    #expect(file.upperBounds[1] == [UInt8](repeating: 0x7A, count: 14) + [0x7B])
    let bytes = Array(String(repeating: "\u{FF}", count: 20).utf8)
    let binary = try Self.metrics(.binary, [[.binary(bytes)]])
    #expect(binary.upperBounds[1] == Array(bytes.prefix(15)) + [0xC0])
  }

  @Test func aBoundThatCannotBeRaisedIsLeftOut() throws {
    let highest = String(repeating: "\u{10FFFF}", count: 17)
    let file = try Self.metrics(.string, [[.string(highest)]])
    #expect(file.lowerBounds[1] != nil && file.upperBounds[1] == nil)
    let binary = try Self.metrics(.binary, [[.binary([UInt8](repeating: 255, count: 17))]])
    #expect(binary.lowerBounds[1]?.count == 16 && binary.upperBounds[1] == nil)
  }

  @Test func raisingACodePointPassesOverSurrogates() throws {
    let text = String(repeating: "a", count: 15) + "\u{D7FF}x"
    let file = try Self.metrics(.string, [[.string(text)]])
    let bound = String(decoding: try #require(file.upperBounds[1]), as: UTF8.self)
    #expect(bound.unicodeScalars.last?.value == 0xE000)
  }

  @Test func nansAreCountedAndAreNeverBounds() throws {
    let file = try Self.metrics(.float, [[.float(.nan), .float(1.5)]])
    #expect(file.nanValueCounts == [1: 1] && file.valueCounts == [1: 2])
    #expect(file.lowerBounds[1] == Literal.float(1.5).boundBytes)
    #expect(file.upperBounds[1] == Literal.float(1.5).boundBytes)
    let only = try Self.metrics(.double, [[.double(.nan), nil]])
    #expect(only.lowerBounds.isEmpty && only.upperBounds.isEmpty && only.nanValueCounts == [1: 1])
  }

  @Test(arguments: [0.0, -0.0]) func zerosAreWidenedToBothZeros(zero: Double) throws {
    let file = try Self.metrics(.double, [[.double(zero)]])
    #expect(file.lowerBounds[1] == Literal.double(-0.0).boundBytes)
    #expect(file.upperBounds[1] == Literal.double(0.0).boundBytes)
  }

  /// Over more rows than a word of validity has, with runs of all lengths; what lies in the place of a null is zero, or
  /// empty.
  @Test(arguments: 0..<40) func boundsAreTheLeastAndGreatestOfTheValuesThatAreThere(
    seed: UInt64
  ) throws {
    var random = SeededGenerator(seed: seed)
    let (nulls, share) = (random.below(3), 1 + random.below(20))
    func values(_ literal: (Int) -> Literal) -> [[Literal?]] {
      (0...random.below(3)).map { _ in
        (0..<random.below(300)).map { _ in
          let isNull = nulls == 0 ? false : random.oneIn(share) == (nulls == 1)
          return isNull ? nil : literal(5 + random.below(1000))
        }
      }
    }
    let columns: [(IcebergType, [[Literal?]])] = [
      (.int, values { .int(Int32($0)) }), (.long, values { .long(-Int64($0)) }),
      (.double, values { .double(-Double($0) / 8) }), (.boolean, values { _ in .boolean(true) }),
      (.string, values { .string("a common beginning \($0)") }),
      (.fixed(9), values { .fixed([9, 9, 9, 9, 9, 9, 9, UInt8($0 / 256), UInt8($0 % 256)]) }),
    ]
    for (type, batches) in columns {
      let file = try Self.metrics(type, batches, mode: .full)
      let field = NestedField.optional(1, "a", type)
      let all = batches.flatMap { $0.compactMap { $0 } }
      #expect(file.lowerBound(of: field) == all.min { $0 < $1 }, "\(type)")
      #expect(file.upperBound(of: field) == all.max { $0 < $1 }, "\(type)")
      #expect(file.nullValueCounts[1] == Int64(batches.reduce(0) { $0 + $1.count } - all.count))
    }
  }

  @Test func aColumnOfNullsHasCountsAndNoBounds() throws {
    let file = try Self.metrics(.int, [[nil, nil]])
    #expect(file.valueCounts == [1: 2] && file.nullValueCounts == [1: 2])
    #expect(file.lowerBounds.isEmpty && file.upperBounds.isEmpty && file.nanValueCounts.isEmpty)
    #expect(file.recordCount == 2)
  }

  @Test func theModeSaysWhatIsKept() throws {
    let long = Literal.string(String(repeating: "b", count: 30))
    let none = try Self.metrics(.string, [[long]], mode: .none)
    #expect(none.valueCounts.isEmpty && none.lowerBounds.isEmpty)
    let counts = try Self.metrics(.float, [[.float(.nan)]], mode: .counts)
    #expect(counts.valueCounts == [1: 1] && counts.nanValueCounts == [1: 1])
    #expect(counts.lowerBounds.isEmpty)
    let full = try Self.metrics(.string, [[long]], mode: .full)
    #expect(full.upperBounds[1] == long.boundBytes)
  }

  @Test func structMembersHaveMetricsAndListElementsHaveNone() throws {
    let schema = TableSchema(
      fields: [
        .optional(1, "s", .structure([.optional(2, "a", .int), .optional(3, "b", .string)])),
        .optional(4, "l", .list(element: .optional(5, "element", .int))),
      ])
    let members = [
      TestColumn.column(.int, [.int(9), .int(1), .int(2)]),
      TestColumn.column(.string, [nil, .string("x"), .string("y")]),
    ]
    let structure = Column(
      type: schema.fields[0].type.dataType, count: 3,
      validity: Buffer(copying: [0b110] as [UInt8]), buffers: [], children: members)
    let list = Column(
      type: schema.fields[1].type.dataType, count: 3,
      buffers: [Buffer(copying: [0, 1, 1, 2] as [Int32])],
      children: [TestColumn.column(.int, [.int(1), .int(2)])])
    var collector = MetricsCollector(schema: schema)
    let batch = RecordBatch(
      schema: schema.columnarSchema, columns: [structure, list], rowCount: 3)
    try collector.add(batch.slice(0..<2))
    try collector.add(batch.slice(2..<3))
    var file = DataFile(path: "p", recordCount: 0, fileSizeInBytes: 0)
    collector.apply(to: &file)
    #expect(file.valueCounts == [2: 3, 3: 3])
    #expect(file.nullValueCounts == [2: 1, 3: 1])
    #expect(file.lowerBounds[2] == Literal.int(1).boundBytes)
    #expect(file.upperBounds[2] == Literal.int(2).boundBytes)
  }

  @Test func onlyTheFirstHundredColumnsOfAWideTableHaveBoundsUnlessToldOtherwise() {
    let schema = TableSchema(fields: (1...150).map { .optional(Int32($0), "c\($0)", .int) })
    let order = SortOrder(orderID: 1, fields: [SortField(sourceID: 140)])
    let inferred = MetricsConfiguration(properties: [:], schema: schema, sortOrder: order)
    #expect(inferred.mode(ofID: 100) == .truncate(16) && inferred.mode(ofID: 101) == .none)
    #expect(inferred.mode(ofID: 140) == .truncate(16))
    let told = MetricsConfiguration(
      properties: [
        "write.metadata.metrics.default": "counts",
        "write.metadata.metrics.column.c101": "full",
      ], schema: schema)
    #expect(told.mode(ofID: 1) == .counts && told.mode(ofID: 101) == .full)
  }

  @Test(arguments: [1, 2, 3, 4, 5]) func s34EveryValueLiesWithinItsBounds(seed: UInt64) throws {
    var generator = SeededGenerator(seed: seed)
    let alphabet: [Unicode.Scalar] = [
      "a", "z", "\u{7F}", "\u{FF}", "\u{D7FF}", "\u{E000}", "\u{10FFFF}",
    ]
    func text() -> String {
      var view = String.UnicodeScalarView()
      for _ in 0..<generator.below(6) {
        view.append(alphabet[generator.below(alphabet.count)])
      }
      return String(view)
    }
    func bytes(_ count: Int) -> [UInt8] {
      (0..<count).map { _ in [0, 127, 255][generator.below(3)] }
    }
    for _ in 0..<200 {
      let count = 1 + generator.below(4)
      let number = { Int64(bitPattern: generator.next()) >> Int64(generator.below(64)) }
      let columns: [(IcebergType, [Literal])] = [
        (.string, (0..<count).map { _ in .string(text()) }),
        (.binary, (0..<count).map { _ in .binary(bytes(generator.below(6))) }),
        (.fixed(5), (0..<count).map { _ in .fixed(bytes(5)) }),
        (.long, (0..<count).map { _ in .long(number()) }),
        (
          .decimal(precision: 38, scale: 2),
          (0..<count).map { _ in .decimal(unscaled: Int128(number()) * 977, scale: 2) }
        ),
        (
          .double,
          (0..<count).map { _ in
            .double([0, -0.0, .nan, .infinity, -.infinity, 1, -1][generator.below(7)])
          }
        ),
        (
          .uuid,
          (0..<count).map { _ in .uuid(UInt128(generator.next()) << UInt128(generator.below(65))) }
        ),
        (.boolean, (0..<count).map { _ in .boolean(generator.oneIn(2)) }),
      ]
      for (type, values) in columns {
        let split = generator.below(count + 1)
        let file = try Self.metrics(
          type, [Array(values[..<split]) + [nil], Array(values[split...])], mode: .truncate(2))
        let field = NestedField.optional(1, "a", type)
        for value in values where !value.isNaN {
          if let lower = file.lowerBound(of: field) { #expect(!(value < lower), "seed \(seed)") }
          if let upper = file.upperBound(of: field) { #expect(!(upper < value), "seed \(seed)") }
        }
        if values.contains(where: { !$0.isNaN }) {
          #expect(file.lowerBound(of: field) != nil, "seed \(seed)")
        }
      }
    }
  }
}
