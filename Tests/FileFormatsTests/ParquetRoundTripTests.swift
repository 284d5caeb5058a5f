import Columnar
import FileFormats
import Storage
import TestSupport
import Testing

@Suite struct ParquetRoundTripTests {
  private func written(
    _ batches: [RecordBatch], _ options: ParquetWriterOptions = ParquetWriterOptions()
  ) throws -> (file: MemoryFile, summary: ParquetFileSummary) {
    let file = MemoryFile()
    let writer = try ParquetWriter(file: file, schema: batches[0].schema, options: options)
    for batch in batches { try writer.write(batch) }
    return (file, try writer.finish())
  }

  @Test func everyTypeWithNullsAndExtremesComesBack() throws {
    let batch = everyType()
    let (file, summary) = try written([batch])
    #expect(summary.rowCount == 4 && summary.fileSizeBytes == Int64(file.bytes.count))
    let reader = try ParquetReader(file: file)
    #expect(reader.schema == batch.schema)
    let read = try reader.batches().all()
    for (index, field) in batch.schema.fields.enumerated() {
      #expect(texts(read, column: index) == texts(batch.columns[index]), "\(field.name)")
    }
  }

  @Test func slicesAreWrittenFromTheirOffset() throws {
    let batch = everyType()
    let (file, _) = try written([batch.slice(1..<4), batch.slice(2..<3), batch.slice(4..<4)])
    let read = try ParquetReader(file: file).batches().all()
    for (index, field) in batch.schema.fields.enumerated() {
      let all = texts(batch.columns[index])
      #expect(texts(read, column: index) == [all[1], all[2], all[3], all[2]], "\(field.name)")
    }
  }

  @Test func whatWasReadCanBeWrittenAgain() throws {
    let batch = everyType()
    let (first, _) = try written([batch])
    let read = try ParquetReader(file: first).batches().all()
    let (second, _) = try written(read.map { $0.slice(1..<4) })
    let again = try ParquetReader(file: second).batches().all()
    for index in batch.columns.indices {
      #expect(texts(again, column: index) == Array(texts(batch.columns[index])[1...]))
    }
  }

  @Test func batchesOutliveTheirReader() throws {
    var column: Column?
    do {
      let (file, _) = try written([everyType()])
      column = try ParquetReader(file: file).batches().next()?.columns[5]
    }
    #expect(column?.string(at: 2) == "naïve 日本")
  }

  @Test func pagesOfManyMebibytesComeBack() throws {
    // In one row group: 9 MiB of numbers, and of texts in pages of 5.
    let count = 1_200_000
    var random = SeededGenerator(seed: 1)
    var numbers = FixedWidthBuilder<Int64>(.int64, zero: 0)
    for _ in 0..<count { numbers.append(Int64(bitPattern: random.next())) }
    let letters = String(repeating: "x", count: 10_000)
    let columns = [
      numbers.finish(), strings((0..<count).map { $0 % 1200 == 0 ? "\($0)\(letters)" : nil }),
    ]
    let batch = RecordBatch(
      schema: Schema([Field("number", .int64), Field("text", .string)]), columns: columns,
      rowCount: count)
    var options = ParquetWriterOptions()
    options.compression = .none
    options.pageBytes = 5 << 20
    options.pageRows = count
    options.rowGroupRows = count
    for name in ["number", "text"] {
      options.columnsByPath[name] = ParquetColumnOptions(encoding: .plain)
    }
    let (file, summary) = try written(
      stride(from: 0, to: count, by: 100_000).map { batch.slice($0..<($0 + 100_000)) }, options)
    #expect(summary.splitOffsets.count == 1)
    let numberColumn = columns[0]
    let expected = numberColumn.values(as: Int64.self)
    var row = 0
    var differences = 0
    for part in try ParquetReader(file: file).batches().all() {
      let (numberColumn, textColumn) = (part.columns[0], part.columns[1])
      let numbers = numberColumn.values(as: Int64.self)
      for index in 0..<part.rowCount {
        if numbers[index] != expected[row] { differences += 1 }
        let text = textColumn.isNull(index) ? nil : textColumn.string(at: index)
        if text != (row % 1200 == 0 ? "\(row)\(letters)" : nil) { differences += 1 }
        row += 1
      }
    }
    #expect(row == count && differences == 0)
  }

  @Test func aFileWithoutRowsKeepsItsSchema() throws {
    let empty = everyType().slice(0..<0)
    let (file, summary) = try written([empty])
    #expect(summary.rowCount == 0 && summary.splitOffsets.isEmpty)
    let reader = try ParquetReader(file: file)
    #expect(reader.schema == empty.schema)
    #expect(try reader.batches().all().reduce(0) { $0 + $1.rowCount } == 0)
  }

  @Test func columnsComeInTheOrderAskedFor() throws {
    let (file, _) = try written([everyType()])
    let reader = try ParquetReader(file: file)
    let batch = try #require(try reader.batches(fieldIDs: [18, 2, 17]).next())
    #expect(batch.schema.fields.map(\.name) == ["struct", "int", "list"])
    #expect(texts(batch.columns[1]) == ["-2147483648", "null", "2147483647", "0"])
    #expect(texts(batch.columns[0])[0] == "{1,'a'}")
    let counted = try #require(try reader.batches(columns: []).next())
    #expect(counted.columns.isEmpty && counted.rowCount == 4)
  }

  @Test func rowGroupsAreReadAlone() throws {
    let schema = Schema([Field("n", .int64, fieldID: 1)])
    var options = ParquetWriterOptions()
    options.rowGroupRows = 10
    let batch = RecordBatch(
      schema: schema, columns: [integers((0..<35).map { Int64($0) })], rowCount: 35)
    let (file, summary) = try written([batch], options)
    #expect(summary.rowGroups.map(\.rowCount) == [10, 10, 10, 5])
    #expect(summary.rowGroups.map(\.firstRow) == [0, 10, 20, 30])
    #expect(summary.splitOffsets.first == 4)
    let reader = try ParquetReader(file: file)
    #expect(reader.rowGroups == summary.rowGroups)
    let read = try reader.batches(rowGroups: [1, 3], batchRows: 4).all()
    #expect(read.allSatisfy { $0.rowCount <= 4 })
    #expect(texts(read, column: 0) == (Array(10..<20) + Array(30..<35)).map(String.init))
  }

  @Test func aRowGroupCanBeEndedEarly() throws {
    let schema = Schema([Field("n", .int64)])
    let file = MemoryFile()
    let writer = try ParquetWriter(file: file, schema: schema)
    let batch = RecordBatch(schema: schema, columns: [integers([1, 2])], rowCount: 2)
    try writer.write(batch)
    try writer.write(batch)
    #expect(writer.bufferedBytes > 0)
    try writer.endRowGroup()
    try writer.endRowGroup()
    try writer.write(batch)
    #expect(try writer.finish().rowGroups.map(\.rowCount) == [4, 2])
  }

  @Test func figuresOfColumnsAreAddedUp() throws {
    let fields = [
      Field("n", .int64, fieldID: 5), Field("s", .string, fieldID: 6),
      Field("d", .decimal(precision: 30, scale: 0), fieldID: 7), Field("f", .float64, fieldID: 8),
    ]
    var decimals = FixedWidthBuilder(fields[2].type, zero: Int128(0))
    for value in [Int128(-5), 3, -7, 250] { decimals.append(value) }
    var floats = FixedWidthBuilder(.float64, zero: 0.0)
    for value in [1.0, .nan, -2.0, .nan] { floats.append(value) }
    let batch = RecordBatch(
      schema: Schema(fields),
      columns: [
        integers([3, nil, -9, 4]), strings(["b", "aé", nil, nil]), decimals.finish(),
        floats.finish(),
      ], rowCount: 4)
    var options = ParquetWriterOptions()
    options.rowGroupRows = 2
    let (file, summary) = try written([batch], options)
    let columns = summary.columns
    #expect(columns.map(\.leaf.field.fieldID) == [5, 6, 7, 8])
    #expect(columns.map(\.valueCount) == [4, 4, 4, 4])
    #expect(columns.map(\.nullCount) == [1, 2, 0, 0])
    #expect(columns[0].bounds?.minimum == [0xF7] + Array(repeating: 0xFF, count: 7))
    #expect(columns[0].bounds?.maximum == [4, 0, 0, 0, 0, 0, 0, 0])
    #expect(columns[1].bounds?.minimum == Array("aé".utf8))
    #expect(columns[1].bounds?.maximum == Array("b".utf8))
    #expect(columns[2].bounds?.minimum.last == 0xF9 && columns[2].bounds?.maximum.last == 250)
    #expect(columns.allSatisfy { $0.compressedBytes > 0 })
    let reader = try ParquetReader(file: file)
    let chunk = try reader.columnChunk(rowGroup: 0, leaf: 0)
    #expect(chunk.fieldID == 5 && chunk.physicalType == .int64 && chunk.nullCount == 1)
    #expect(chunk.bounds?.minimum == [3, 0, 0, 0, 0, 0, 0, 0])
    #expect(chunk.hasPageIndex && !chunk.hasBloomFilter)
  }

  @Test func columnOptionsAreFollowed() throws {
    let schema = Schema([
      Field("id", .string, fieldID: 1), Field("t", .int64, fieldID: 2),
      Field("u", .fixedSizeBinary(16), fieldID: 3), Field("v", .float64, fieldID: 4),
    ])
    var uuids = BytesBuilder(.fixedSizeBinary(16))
    var values = FixedWidthBuilder(.float64, zero: 0.0)
    for index in 0..<100 {
      uuids.append(Array(repeating: UInt8(index), count: 16))
      values.append(Double(index))
    }
    let batch = RecordBatch(
      schema: schema,
      columns: [
        strings((0..<100).map { "user\($0)" }), integers((0..<100).map { Int64($0) }),
        uuids.finish(), values.finish(),
      ], rowCount: 100)
    var options = ParquetWriterOptions()
    options.columnsByFieldID = [
      1: ParquetColumnOptions(encoding: .dictionary, bloomFilter: .init(distinctCount: 100)),
      2: ParquetColumnOptions(encoding: .deltaBinaryPacked, hasStatistics: false),
      3: ParquetColumnOptions(encoding: .plain, isUUID: true),
      4: ParquetColumnOptions(encoding: .byteStreamSplit),
    ]
    options.metadata = [("owner", "tests"), ("empty", "")]
    let (file, _) = try written([batch], options)
    let reader = try ParquetReader(file: file)
    #expect(reader.schema == schema)
    #expect(try reader.columnChunk(rowGroup: 0, leaf: 0).hasBloomFilter)
    #expect(try reader.columnChunk(rowGroup: 0, leaf: 1).bounds == nil)
    #expect(try reader.metadata("owner") == "tests" && reader.metadata("none") == nil)
    let read = try reader.batches().all()
    for index in 0..<4 { #expect(texts(read, column: index) == texts(batch.columns[index])) }
  }

  @Test(arguments: [ParquetWriterOptions.Compression.none, .snappy, .zstandard(level: 9)])
  func everyCompressionCanBeRead(_ compression: ParquetWriterOptions.Compression) throws {
    var options = ParquetWriterOptions()
    options.compression = compression
    let batch = everyType()
    let (file, _) = try written([batch], options)
    #expect(
      texts(try ParquetReader(file: file).batches().all(), column: 5) == texts(batch.columns[5]))
  }

  @Test func aBatchThatDoesNotFitIsRefused() throws {
    let schema = Schema([Field("n", .int64, isNullable: false)])
    let writer = try ParquetWriter(file: MemoryFile(), schema: schema)
    let text = RecordBatch(
      schema: Schema([Field("n", .string)]), columns: [strings(["a"])], rowCount: 1)
    #expect(throws: FileFormatError.self) { try writer.write(text) }
    let null = RecordBatch(
      schema: Schema([Field("n", .int64)]), columns: [integers([nil])], rowCount: 1)
    let error = #expect(throws: FileFormatError.self) { try writer.write(null) }
    #expect(error?.message == "column 'n' is required but has a null")
  }
}
