import Columnar
import FileFormats
import Storage
import TestSupport
import Testing

/// Chosen rows of row groups, read without the pages that have none of them.
@Suite struct ParquetPageTests {
  /// Columns of every plain type, nulls among them, and text of very different lengths.
  private static func rows(_ count: Int, nested: Bool = false) -> RecordBatch {
    let numbers = (0..<count).map { Int64($0) }
    var doubles = FixedWidthBuilder<Double>(.float64, zero: 0)
    var floats = FixedWidthBuilder<Float>(.float32, zero: 0)
    var booleans = BooleanBuilder()
    var odd = BooleanBuilder()
    var days = FixedWidthBuilder<Int32>(.date, zero: 0)
    for number in numbers {
      odd.append(number % 2 == 1)
      if number % 7 == 0 { doubles.appendNull() } else { doubles.append(Double(number) / 4) }
      if number % 5 == 0 { booleans.appendNull() } else { booleans.append(number % 3 == 0) }
      // Long runs, of values and of nulls.
      if number / 90 % 3 == 1 { floats.appendNull() } else { floats.append(Float(number)) }
      // Runs of any length.
      let isNull = ((number &* 0x9E37_79B9) >> 8) % 15 == 0
      if isNull { days.appendNull() } else { days.append(Int32(number / 10)) }
    }
    return RecordBatch(
      schema: Schema([
        Field("id", .int64, isNullable: false, fieldID: 1),
        Field("at", .timestamp(isUTC: true), fieldID: 2), Field("x", .float64, fieldID: 3),
        Field("flag", .boolean, fieldID: 4), Field("day", .date, fieldID: 5),
        Field("name", .string, fieldID: 6), Field("y", .float32, fieldID: 7),
        Field("isOdd", .boolean, fieldID: 8),
      ]),
      columns: [
        integers(numbers),
        integers(numbers.map { $0 % 9 == 0 ? nil : $0 * 1000 }, type: .timestamp(isUTC: true)),
        doubles.finish(), booleans.finish(), days.finish(),
        strings(numbers.map { $0 % 11 == 0 ? nil : String(repeating: "n", count: Int($0 % 60)) }),
        floats.finish(), odd.finish(),
      ], rowCount: count)
  }

  private static func file(
    _ batch: RecordBatch, _ adjust: (inout ParquetWriterOptions) -> Void = { _ in }
  ) throws -> [UInt8] {
    let file = MemoryFile()
    var options = ParquetWriterOptions()
    options.pageBytes = 400
    options.rowGroupRows = 700
    adjust(&options)
    let writer = try ParquetWriter(file: file, schema: batch.schema, options: options)
    // Pages end with batches only when they are full.
    for start in stride(from: 0, to: batch.rowCount, by: 13) {
      try writer.write(batch.slice(start..<min(start + 13, batch.rowCount)))
    }
    _ = try writer.finish()
    return file.bytes
  }

  /// - Parameter isSparse: a few rows each, so that most of those that lie between are not wanted.
  private static func randomRanges(
    _ reader: ParquetReader, _ random: inout SeededGenerator, isSparse: Bool
  ) -> [ParquetRowRange] {
    let gaps = isSparse ? [9, 40, 200] : [3, 40, 400]
    let lengths = isSparse ? [2, 3] : [2, 30, 300]
    var ranges: [ParquetRowRange] = []
    for (group, rowGroup) in reader.rowGroups.enumerated() where !random.oneIn(4) {
      var row = 0
      while row < Int(rowGroup.rowCount) {
        let start = row + random.below(gaps[random.below(gaps.count)])
        let end = start + random.below(lengths[random.below(lengths.count)])
        guard end <= Int(rowGroup.rowCount) else { break }
        ranges.append(ParquetRowRange(rowGroup: group, rows: Int64(start)..<Int64(end)))
        row = end
      }
    }
    return ranges
  }

  @Test(arguments: 0..<30 as Range<UInt64>)
  func chosenRowsAreThoseOfTheWholeFile(seed: UInt64) throws {
    var random = SeededGenerator(seed: seed)
    let all = Self.rows(2000)
    let bytes = try Self.file(all) { options in
      options.compression = [.none, .zstandard(level: 1), .snappy][random.below(3)]
      options.hasPageChecksums = random.oneIn(2)
      options.pageBytes = 50 + random.below(2000)
      for id in 1...8 as ClosedRange<Int32> where random.oneIn(2) {
        options.columnsByFieldID[id] = ParquetColumnOptions(
          encoding: [.plain, .dictionary][random.below(2)])
        options.columnsByFieldID[id]?.isCompressed = random.oneIn(2)
      }
    }
    let reader = try ParquetReader(file: MemoryFile(bytes))
    for _ in 0..<10 {
      let ranges = Self.randomRanges(reader, &random, isSparse: random.oneIn(2))
      let columns = Array((0..<8).shuffled(using: &random).prefix(1 + random.below(8)))
      let stream = try #require(
        try reader.batches(columns: columns, rows: ranges, batchRows: 1 + random.below(200)))
      let found = try stream.all()
      for (place, column) in columns.enumerated() {
        let expected = ranges.flatMap { range -> [String] in
          let first = Int(reader.rowGroups[range.rowGroup].firstRow)
          return range.rows.map { text(all.columns[column], first + Int($0)) }
        }
        #expect(texts(found, column: place) == expected, "seed \(seed)")
      }
    }
  }

  /// Of plain pages values are found by their places: whatever is in them, that is an error or values.
  @Test func aDamagedPageGivesAnErrorOrRows() throws {
    var random = SeededGenerator(seed: 11)
    let all = Self.rows(700)
    let bytes = try Self.file(all) { options in
      options.compression = .none
      options.hasPageChecksums = false
      for id in 1...8 as ClosedRange<Int32> {
        options.columnsByFieldID[id] = ParquetColumnOptions(encoding: .plain)
      }
    }
    let whole = try ParquetReader(file: MemoryFile(bytes))
    let ranges = Self.randomRanges(whole, &random, isSparse: true)
    let rows = ranges.reduce(0) { $0 + $1.rows.count }
    // All row groups, before the footer.
    let end = bytes.count - 2000
    var failures = 0
    for _ in 0..<400 {
      var damaged = bytes
      for _ in 0..<(1 + random.below(3)) {
        damaged[random.below(end)] = UInt8.random(in: 0...255, using: &random)
      }
      do {
        let reader = try ParquetReader(file: MemoryFile(damaged))
        let stream = try #require(try reader.batches(columns: Array(0..<8), rows: ranges))
        let found = try stream.all()
        #expect(found.reduce(0) { $0 + $1.rowCount } == rows)
      } catch is FileFormatError { failures += 1 }
    }
    #expect(failures > 20)
  }

  /// Row groups whose words are few, too many for a dictionary, and few others.
  private static func words(isText: Bool) throws -> (all: RecordBatch, bytes: [UInt8]) {
    let values = (0..<2100).map { row -> String? in
      if row % 11 == 0 { return nil }
      switch row / 700 {
      case 0: return "few \(row % 13)"
      case 1: return "word number \(row), of its own"
      default: return row % 2 == 0 ? "" : "other \(row % 17)"
      }
    }
    var column = strings(values)
    if !isText { column = column.relabelled(.binary) }
    let schema = Schema([
      Field("id", .int64, isNullable: false, fieldID: 1),
      Field("word", isText ? .string : .binary, fieldID: 2),
    ])
    let all = RecordBatch(
      schema: schema, columns: [integers((0..<2100).map { $0 }), column], rowCount: 2100)
    return (all, try file(all) { $0.dictionaryBytes = 2000 })
  }

  @Test(arguments: [true, false], [50, 500, 65_536])
  func wordsAreReadByDictionaryAndWithoutOne(isText: Bool, batchRows: Int) throws {
    let (all, bytes) = try Self.words(isText: isText)
    let reader = try ParquetReader(file: MemoryFile(bytes))
    #expect(reader.rowGroups.count == 3)
    let expected = (0..<all.rowCount).map { text(all.columns[1], $0) }
    for columns in [[0, 1], [1]] {
      let batches = try reader.batches(columns: columns, batchRows: batchRows)
      #expect(batches.schema.fields.last?.type == all.schema.fields[1].type)
      #expect(texts(try batches.all(), column: columns.count - 1) == expected)
    }
    // Two dictionaries that meet in a batch.
    for groups in [[0, 2], [1, 2], [2]] {
      let found = try reader.batches(columns: [1], rowGroups: groups, batchRows: batchRows).all()
      #expect(texts(found, column: 0) == groups.flatMap { expected[($0 * 700)..<($0 * 700 + 700)] })
    }
  }

  @Test func aDictionaryWithAWordThatIsNotTextIsAnError() throws {
    var bytes = try Self.file(Self.words(isText: true).all) { options in
      options.compression = .none
      options.hasPageChecksums = false
    }
    let word = try #require(bytes.firstRange(of: Array("few 7".utf8)))
    bytes[word.lowerBound] = 0xFF
    let reader = try ParquetReader(file: MemoryFile(bytes))
    let error = #expect(throws: FileFormatError.self) { try reader.batches(columns: [1]).all() }
    #expect(error?.kind == .malformed)
  }

  @Test func pagesAreDescribedAndCoverTheRows() throws {
    let all = Self.rows(2000)
    let reader = try ParquetReader(file: MemoryFile(try Self.file(all)))
    #expect(reader.rowGroups.count == 3)
    for (group, rowGroup) in reader.rowGroups.enumerated() {
      for leaf in reader.leaves.indices {
        let pages = try reader.pages(rowGroup: group, leaf: leaf)
        // Bits are few bytes.
        #expect(pages.count > 1 || reader.leaves[leaf].field.type == .boolean)
        #expect(pages.first?.rows.lowerBound == 0)
        #expect(pages.last?.rows.upperBound == rowGroup.rowCount)
        for (page, next) in zip(pages, pages.dropFirst()) {
          #expect(page.rows.upperBound == next.rows.lowerBound)
        }
        let nulls = pages.compactMap(\.nullCount)
        #expect(nulls.count == pages.count)
        let chunk = try reader.columnChunk(rowGroup: group, leaf: leaf)
        #expect(nulls.reduce(0, +) == chunk.nullCount)
      }
      // The ids ascend, so each page has its own.
      for page in try reader.pages(rowGroup: group, leaf: 0) {
        let bounds = try #require(page.bounds)
        let ids = page.rows.map { rowGroup.firstRow + $0 }
        #expect(bounds.minimum.rawSpan.loadLittleEndian(Int64.self, at: 0) == ids.first)
        #expect(bounds.maximum.rawSpan.loadLittleEndian(Int64.self, at: 0) == ids.last)
      }
    }
  }

  /// Pages that are passed over are not even checked.
  @Test func pagesWithoutChosenRowsAreNotDecoded() throws {
    let all = Self.rows(700)
    var bytes = try Self.file(all) { options in
      options.compression = .none
      options.columnsByFieldID[1] = ParquetColumnOptions(encoding: .plain)
    }
    let whole = try ParquetReader(file: MemoryFile(bytes))
    let pages = try whole.pages(rowGroup: 0, leaf: 0)
    let wanted = ParquetRowRange(rowGroup: 0, rows: try #require(pages.last).rows)
    // In the values of the first page.
    bytes[Int(whole.rowGroups[0].startByteOffset) + 100] ^= 1
    let reader = try ParquetReader(file: MemoryFile(bytes))
    let stream = try #require(try reader.batches(columns: [0], rows: [wanted]))
    #expect(texts(try stream.all(), column: 0) == wanted.rows.map { "\($0)" })
    #expect(throws: FileFormatError.self) { try reader.batches(columns: [0]).all() }
  }

  /// Each byte of the others that is read is one that an object store sends.
  @Test(arguments: [true, false])
  func pagesWithoutChosenRowsAreNotRead(areCompressed: Bool) throws {
    var random = SeededGenerator(seed: 5)
    let numbers = (0..<20_000).map { _ in Int64.random(in: 0...(.max), using: &random) }
    let schema = Schema([Field("id", .int64, isNullable: false, fieldID: 1)])
    let all = RecordBatch(schema: schema, columns: [integers(numbers)], rowCount: numbers.count)
    let file = MemoryFile(
      try Self.file(all) { options in
        options.rowGroupRows = numbers.count
        options.pageRows = 100
        options.pageBytes = 1 << 20
        options.columnsByFieldID[1] = ParquetColumnOptions(encoding: .plain)
        options.columnsByFieldID[1]?.isCompressed = areCompressed
      })
    let reader = try ParquetReader(file: file)
    let pages = try reader.pages(rowGroup: 0, leaf: 0)
    #expect(pages.count > 100)
    let before = file.readByteCount
    let wanted = [3, 100, pages.count - 1].map {
      ParquetRowRange(rowGroup: 0, rows: pages[$0].rows)
    }
    let stream = try #require(try reader.batches(columns: [0], rows: wanted))
    #expect(
      texts(try stream.all(), column: 0)
        == wanted.flatMap { $0.rows.map { "\(numbers[Int($0)])" } })
    #expect(file.readByteCount - before < 3 * 128 * 8 + 300)
  }

  @Test func whereItCannotBeDoneNothingIs() throws {
    let all = everyType()
    let reader = try ParquetReader(file: MemoryFile(try Self.file(all)))
    let ranges = [ParquetRowRange(rowGroup: 0, rows: 1..<2)]
    var (plain, others) = (0, 0)
    for column in all.schema.fields.indices {
      guard let stream = try reader.batches(columns: [column], rows: ranges) else {
        others += 1
        continue
      }
      plain += 1
      #expect(texts(try stream.all(), column: 0) == [text(all.columns[column], 1)])
    }
    #expect(plain >= 11 && others >= 3, "\(plain), \(others)")
    let without = try ParquetReader(
      file: MemoryFile(try Self.file(all) { $0.hasPageIndex = false }))
    #expect(try without.pages(rowGroup: 0, leaf: 0).isEmpty)
    // Without an index nothing is passed over, but the rows are the same.
    let stream = try #require(try without.batches(columns: [0], rows: ranges))
    #expect(texts(try stream.all(), column: 0) == [text(all.columns[0], 1)])
  }

  /// A reader that goes on from such a page would read on in memory that is gone.
  @Test(arguments: [false, true])
  func aPageOfMoreValuesThanItsRowGroupHasRowsIsAnError(isCoalesced: Bool) throws {
    let schema = Schema([Field("id", .int64, isNullable: false, fieldID: 1)])
    let all = RecordBatch(
      schema: schema, columns: [integers((0..<1400).map { $0 })], rowCount: 1400)
    var bytes = try Self.file(all) { options in
      options.compression = .none
      options.hasPageChecksums = false
      options.pageBytes = 1 << 20
      options.columnsByFieldID[1] = ParquetColumnOptions(encoding: .plain)
    }
    let reader = try ParquetReader(file: MemoryFile(bytes))
    // The number of values in the header of the first page, 700, as Thrift writes it.
    let start = Int(reader.rowGroups[0].startByteOffset)
    let place = try #require(
      (start..<start + 40).first { bytes[$0] == 0xF8 && bytes[$0 + 1] == 10 })
    func read() throws {
      if isCoalesced {
        let reader = try CoalescingParquetReader(schema: schema)
        #expect(
          try reader.add(
            bytes, path: "file", rowCount: 1400, metadata: (key: "name", value: "mine")))
        #expect(try reader.take().rowCount == 1400)
      } else {
        let stream = try ParquetReader(file: MemoryFile(bytes)).batches(columns: [0])
        #expect(try stream.all().reduce(0) { $0 + $1.rowCount } == 1400)
      }
    }
    try read()
    bytes[place] = 0xFA
    let error = #expect(throws: FileFormatError.self) { try read() }
    #expect(error?.kind == .malformed)
  }

  @Test func whatIsNoRangeIsRefused() throws {
    let reader = try ParquetReader(file: MemoryFile(try Self.file(Self.rows(1000))))
    func read(_ ranges: [(Int, Range<Int64>)]) throws {
      _ = try reader.batches(
        columns: [0], rows: ranges.map { ParquetRowRange(rowGroup: $0.0, rows: $0.1) })?.all()
    }
    try read([])
    try read([(0, 3..<3), (1, 0..<1)])
    for wrong in [
      [(0, 0..<701)], [(2, 0..<1)], [(-1, 0..<1)], [(0, -1..<1)], [(0, 5..<9), (0, 8..<10)],
      [(1, 0..<1), (0, 0..<1)], [(0, 0..<Int64.max)],
    ] as [[(Int, Range<Int64>)]] {
      #expect(throws: FileFormatError.self, "\(wrong)") { try read(wrong) }
    }
  }

  /// Every byte of the page index changed: the rows are right, or it is an error; with checksums always an error.
  @Test(arguments: [false, true]) func aDamagedIndexGivesNoOtherRows(hasChecksums: Bool) throws {
    let all = Self.rows(300)
    let bytes = try Self.file(all) { $0.hasFooterChecksums = hasChecksums }
    let group = try ParquetReader(file: MemoryFile(bytes)).rowGroups[0]
    let start = Int(group.startByteOffset + group.compressedBytes)
    let footer =
      bytes.count - 8 - Int(bytes.rawSpan.loadLittleEndian(UInt32.self, at: bytes.count - 8))
    let ranges = [
      ParquetRowRange(rowGroup: 0, rows: 40..<45), ParquetRowRange(rowGroup: 0, rows: 200..<290),
    ]
    let columns = Array(all.schema.fields.indices)
    let expected = columns.map { column in
      ranges.flatMap { $0.rows.map { text(all.columns[column], Int($0)) } }
    }
    var (found, right) = (0, 0)
    for index in start..<footer {
      for change in [1, 0x80, 0xFF] as [UInt8] {
        var damaged = bytes
        damaged[index] ^= change
        do {
          let reader = try ParquetReader(file: MemoryFile(damaged))
          guard let stream = try reader.batches(columns: columns, rows: ranges) else {
            found += 1
            continue
          }
          let batches = try stream.all()
          for column in columns {
            #expect(texts(batches, column: column) == expected[column], "byte \(index)")
          }
          right += 1
        } catch is FileFormatError { found += 1 }
      }
    }
    #expect(found > 100 && (right == 0) == hasChecksums, "\(found) found, \(right) right")
  }
}
