import Columnar
import FileFormats
import Storage
import Testing

private func jsonLines(
  _ text: String, _ options: TabularOptions = TabularOptions()
) throws -> (rows: [String], lines: [Int], errors: [String]) {
  try drain(JSONLinesReader(file: MemoryFile(Array(text.utf8)), options: options))
}

@Suite struct JSONLinesTests {
  private let schema = Schema([
    Field("id", .string, isNullable: false), Field("n", .int32), Field("v", .float64),
    Field("l", .list(Field("element", .float32))),
  ])

  @Test func rowsAreTypedByTheSchema() throws {
    let found = try jsonLines(
      """
      {"id": "a", "n": 1, "v": 2, "l": [1, 2.5]}

      {"v": "NaN", "id": "b", "other": {"x": 1}}
      """, TabularOptions(schema: schema))
    #expect(found.rows == ["'a' 1 2.0 [1.0,2.5]", "'b' null nan null"])
    #expect(found.lines == [1, 3] && found.errors.isEmpty)
  }

  @Test func rowsThatDoNotFitAreLeftOutWithTheirLine() throws {
    let found = try jsonLines(
      """
      {"id": "a", "n": "1"}
      {"id": "b", "n": 2147483648}
      {"n": 1}
      {"id": "c"
      [1]
      {"id": 7}
      {"id": "d", "l": [1, "x"]}
      {"id": "ok", "n": 3.0}
      """, TabularOptions(schema: schema))
    #expect(found.rows == ["'ok' 3 null null"] && found.lines == [8])
    #expect(found.errors.count == 7)
    #expect(found.errors[0] == "line 1, column 'n': '1' is a string, not a int")
    #expect(found.errors[1] == "line 2, column 'n': '2147483648' is outside the range of int")
    #expect(found.errors[2] == "line 3, column 'id': must not be null")
    #expect(found.errors[3].hasPrefix("line 4: '{\"id\": \"c\"' is not JSON"))
    #expect(found.errors[4] == "line 5: '[1]' is an array, not an object")
    #expect(found.errors[5] == "line 6, column 'id': '7' is an integer, not a string")
  }

  @Test func unknownMembersCanBeRefused() throws {
    let file = MemoryFile(Array("{\"id\": \"a\", \"zz\": 1}\n".utf8))
    let reader = try JSONLinesReader(
      file: file, options: TabularOptions(schema: schema), reportsUnknownMembers: true)
    #expect(reader.unusedColumns == ["zz"])
    #expect(try drain(reader).errors == ["line 1, column 'zz': is not a known column"])
  }

  @Test func blocksOfAnySizeGiveTheSameRows() throws {
    var text = ""
    for index in 0..<50 { text += "{\"id\": \"row \(index)\", \"n\": \(index)}\n" }
    let whole = try jsonLines(text, TabularOptions(schema: schema))
    for blockBytes in [1, 10, 100] {
      var options = TabularOptions(schema: schema)
      options.blockBytes = blockBytes
      let found = try jsonLines(text, options)
      #expect(found.rows == whole.rows && found.lines == Array(1...50))
    }
    var options = TabularOptions(schema: schema)
    options.blockBytes = 10
    options.maximumRowBytes = 20
    #expect(throws: FileFormatError.self) { try jsonLines(text, options) }
  }

  @Test func typesAreFoundFromTheText() throws {
    let reader = try JSONLinesReader(
      file: MemoryFile(
        Array(
          """
          {"a": 1, "b": 1, "c": true, "t": "2024-01-01T00:00:00Z", "s": "x", "l": [1, 2], "n": null}
          {"a": null, "b": 2.5, "t": "2024-01-01", "s": "2024-01-01", "l": [], "z": 1}
          """.utf8)))
    #expect(
      reader.schema.fields.map { "\($0.name) \($0.type)" } == [
        "a long", "b double", "c boolean", "t timestamptz", "s string", "l list<long>", "n string",
        "z long",
      ])
    #expect(try drain(reader).rows.count == 2)
  }
}

@Suite struct TabularReaderTests {
  private func parquet(_ batch: RecordBatch) throws -> MemoryFile {
    let file = MemoryFile(path: "/rows.parquet")
    let writer = try ParquetWriter(file: file, schema: batch.schema)
    try writer.write(batch)
    _ = try writer.finish()
    return file
  }

  private func batch(_ columns: [(String, Column)]) -> RecordBatch {
    RecordBatch(
      schema: Schema(columns.map { Field($0.0, $0.1.type) }), columns: columns.map(\.1),
      rowCount: columns[0].1.count)
  }

  @Test func theExtensionTellsTheFormat() throws {
    #expect(TabularFormat(path: "/a.b/c.CSV") == .csv(delimiter: UInt8(ascii: ",")))
    #expect(TabularFormat(path: "c.tsv") == .csv(delimiter: UInt8(ascii: "\t")))
    #expect(
      TabularFormat(path: "c.ndjson") == .jsonLines && TabularFormat(path: "c.json") == .jsonLines)
    #expect(
      TabularFormat(path: "x.parquet") == .parquet && TabularFormat(path: "x.feather") == .arrow)
    #expect(TabularFormat(path: "/a.csv/x") == nil)
    #expect(throws: FileFormatError.self) { try TabularReader.open(MemoryFile(path: "/x.txt")) }
    let tabs = MemoryFile(Array("a\tb\n1\t2\n".utf8), path: "/x.tsv")
    #expect(try drain(TabularReader.open(tabs)).rows == ["1 2"])
  }

  @Test func parquetIsCastToTheSchema() throws {
    var ints = FixedWidthBuilder(.int32, zero: Int32(0))
    for value in [1, 2, 3] as [Int32] { ints.append(value) }
    let nanoseconds = DataType.timestampNanoseconds(isUTC: false)
    let file = try parquet(
      batch([
        ("i", ints.finish()), ("s", strings(["1970-01-01", "later", nil])),
        ("n", integers([1000, 2000, 1001], type: nanoseconds)), ("x", strings(["a", "b", "c"])),
      ]))
    let wanted = Schema([
      Field("t", .timestamp(isUTC: true)), Field("i", .int64), Field("n", .timestamp(isUTC: true)),
    ])
    var options = TabularOptions(schema: wanted)
    options.renames = ["s": "t"]
    let reader = try TabularReader.open(file, options: options)
    #expect(reader.schema == wanted && reader.unusedColumns == ["x"])
    let found = try drain(reader)
    #expect(found.rows == ["0 1 1"] && found.lines == [1])
    #expect(
      found.errors == [
        "line 2, column 's': 'later' is not a time (ISO 8601, such as 2024-05-01T12:30:00Z)",
        "line 3, column 'n': '1001' is finer than microseconds",
      ])
  }

  @Test func impossibleCastsAreRefusedAtOnce() throws {
    let file = try parquet(batch([("n", integers([1]))]))
    let options = TabularOptions(schema: Schema([Field("n", .string)]))
    let error = #expect(throws: FileFormatError.self) {
      try TabularReader.open(file, options: options)
    }
    #expect(error?.message == "column 'n' is long, which cannot become string")
  }

  @Test func numbersAreCastOnlyWhereNothingIsLost() throws {
    let file = try parquet(
      batch([("n", integers([5, 9_007_199_254_740_993, nil, 3_000_000_000]))]))
    let doubles = TabularOptions(schema: Schema([Field("n", .float64)]))
    let asDouble = try drain(TabularReader.open(file, options: doubles))
    #expect(asDouble.rows == ["5.0", "null", "3000000000.0"] && asDouble.errors.count == 1)
    let ints = TabularOptions(schema: Schema([Field("n", .int32, isNullable: false)]))
    let asInt = try drain(TabularReader.open(file, options: ints))
    #expect(asInt.rows == ["5"] && asInt.lines == [1] && asInt.errors.count == 3)
    let decimals = TabularOptions(
      schema: Schema([Field("n", .decimal(precision: 12, scale: 2))]))
    let asDecimal = try drain(TabularReader.open(file, options: decimals))
    #expect(asDecimal.rows == ["500", "null", "300000000000"])
  }

  @Test func withoutASchemaParquetKeepsItsOwn() throws {
    let batch = everyType()
    let reader = try TabularReader.open(parquet(batch))
    #expect(reader.schema == batch.schema)
    let read = try #require(try reader.next())
    for (column, expected) in zip(read.batch.columns, batch.columns) {
      #expect(texts(column) == texts(expected))
    }
  }

  @Test func arrowFilesAreWrittenAndRead() throws {
    let batch = everyType()
    let file = MemoryFile(path: "/rows.arrow")
    let writer = try ArrowFileWriter(file: file, schema: batch.schema)
    try writer.write(batch)
    try writer.write(batch.slice(1..<3))
    #expect(try writer.finish() == Int64(file.bytes.count))
    let read = try ArrowFileReader.open(file).all()
    #expect(read.map(\.rowCount) == [4, 2])
    for index in batch.columns.indices {
      let all = texts(batch.columns[index])
      #expect(texts(read, column: index) == all + [all[1], all[2]])
    }
    var options = TabularOptions(schema: Schema([Field("long", .int64), Field("int", .int64)]))
    options.memoryLimitBytes = 1 << 20
    #expect(
      try drain(TabularReader.open(file, options: options)).rows.first
        == "-9223372036854775808 -2147483648")
  }

  @Test func damagedArrowFilesAreErrorsOrHarmless() throws {
    let file = MemoryFile(path: "/rows.arrow")
    let writer = try ArrowFileWriter(file: file, schema: everyType().schema)
    try writer.write(everyType())
    _ = try writer.finish()
    let bytes = file.bytes
    for count in stride(from: 0, to: bytes.count, by: 97) {
      #expect(throws: FileFormatError.self, "\(count) bytes") {
        try ArrowFileReader.open(MemoryFile(Array(bytes[..<count]))).all()
      }
    }
    var errors = 0
    for position in stride(from: 8, to: bytes.count, by: 31) {
      var damaged = bytes
      damaged[position] ^= 0x41
      do {
        for batch in try ArrowFileReader.open(MemoryFile(damaged)).all() {
          _ = batch.columns.map { texts($0) }
        }
      } catch { errors += 1 }
    }
    #expect(errors > 0)
  }

  @Test func aFullDiskStopsTheArrowWriter() throws {
    let error = #expect(throws: FileFormatError.self) {
      let writer = try ArrowFileWriter(file: MemoryFile(capacity: 100), schema: everyType().schema)
      try writer.write(everyType())
      _ = try writer.finish()
    }
    #expect(error?.storageError?.kind == .full)
  }
}
