import Columnar
import FileFormats
import Storage
import TestSupport
import Testing

private let schema = Schema([
  Field("id", .string, isNullable: false), Field("n", .int64), Field("t", .timestamp(isUTC: true)),
])

private func read(
  _ text: String, _ options: TabularOptions = TabularOptions(schema: schema),
  csv: CSVOptions = CSVOptions()
) throws -> (rows: [String], lines: [Int], errors: [String]) {
  let reader = try CSVReader(file: MemoryFile(Array(text.utf8)), options: options, csv: csv)
  return try drain(reader)
}

func drain(_ reader: any TabularSource) throws -> (rows: [String], lines: [Int], errors: [String]) {
  var rows: [String] = []
  var lines: [Int] = []
  var errors: [String] = []
  while let next = try reader.next() {
    for row in 0..<next.batch.rowCount {
      rows.append(next.batch.columns.map { FileFormatsTests.text($0, row) }.joined(separator: " "))
    }
    lines += next.lineNumbers
    errors += next.errors.map(\.description)
  }
  return (rows, lines, errors)
}

@Suite struct CSVTests {
  @Test func rowsAreTypedByTheSchema() throws {
    let found = try read("id,n,t\na,1,1970-01-01T00:00:01Z\n\"b,c\",,NA\n")
    #expect(found.rows == ["'a' 1 1000000", "'b,c' null null"])
    #expect(found.lines == [2, 3] && found.errors.isEmpty)
  }

  @Test func rowsThatDoNotFitAreLeftOutWithTheirLine() throws {
    let found = try read(
      """
      id,n,t
      a,1,1970-01-01
      b,x,1970-01-01
      c,3
      d,4,1970-01-01,5
      ,6,1970-01-01
      "f"g,7,1970-01-01
      h,99999999999999999999,soon
      i,9,1970-01-01

      """)
    #expect(found.rows == ["'a' 1 0", "'i' 9 0"] && found.lines == [2, 9])
    #expect(
      found.errors == [
        "line 3, column 'n': 'x' is not an integer", "line 4: has 2 values, not 3",
        "line 5: has 4 values, not 3", "line 6, column 'id': must not be null",
        "line 7: has text after a closing quote",
        "line 8, column 'n': '99999999999999999999' is outside the range of long",
      ])
  }

  @Test func linesAreRightAfterQuotedBreaksAndBlankLines() throws {
    let text = "\n\nid,n,t\r\n\"a\nb\r\nc\",1,\r\n\r\n\n\"d\"\"e\",x,\nf,3,\r\"\rg\",y,"
    for blockBytes in [1, 2, 3, 7, 1 << 20] {
      var options = TabularOptions(schema: schema)
      options.blockBytes = blockBytes
      let found = try read(text, options)
      #expect(found.rows == ["'a\nb\r\nc' 1 null", "'f' 3 null"], "\(blockBytes)")
      #expect(found.lines == [4, 10])
      #expect(
        found.errors == [
          "line 9, column 'n': 'x' is not an integer", "line 11, column 'n': 'y' is not an integer",
        ])
    }
  }

  @Test func quotedNullSpellingsAreTextInTextColumns() throws {
    let schema = Schema([Field("s", .string), Field("n", .int64)])
    let found = try read("s,n\n\"\",\"\"\nNA,NA\n\"NA\",null\n,\n", TabularOptions(schema: schema))
    #expect(found.rows == ["'' null", "null null", "'NA' null", "null null"])
    var csv = CSVOptions()
    csv.nullSpellings = ["-"]
    let other = try read("s,n\nNA,-\n,1\n", TabularOptions(schema: schema), csv: csv)
    #expect(other.rows == ["'NA' null", "'' 1"])
  }

  @Test func columnsAreMappedByName() throws {
    var options = TabularOptions(
      schema: Schema([Field("b", .int64), Field("key", .string), Field("missing", .float64)]))
    options.renames = ["a": "key"]
    options.missingColumnsAreNull = true
    let file = MemoryFile(Array("a,extra,b\nx,1,2\n".utf8))
    let reader = try CSVReader(file: file, options: options)
    #expect(reader.unusedColumns == ["extra"])
    #expect(try drain(reader).rows == ["2 'x' null"])
    options.missingColumnsAreNull = false
    let error = #expect(throws: FileFormatError.self) {
      try CSVReader(file: file, options: options)
    }
    #expect(error?.message == "column 'missing' is missing; the file has a, extra, b")
    options.renames = ["z": "key"]
    #expect(throws: FileFormatError.self) { try CSVReader(file: file, options: options) }
  }

  @Test func withoutAHeaderNamesAreGivenOrNumbered() throws {
    var csv = CSVOptions()
    csv.hasHeader = false
    csv.columnNames = ["id", "n", "t"]
    #expect(
      try read("a,1,\nb,x,\n", csv: csv).errors == ["line 2, column 'n': 'x' is not an integer"])
    csv.columnNames = []
    let reader = try CSVReader(file: MemoryFile(Array("7,x\n".utf8)), csv: csv)
    #expect(reader.schema.fields.map(\.name) == ["column1", "column2"])
    #expect(try drain(reader).rows == ["7 'x'"])
  }

  @Test func aByteOrderMarkIsSkippedAndTheLastLineNeedsNoEnd() throws {
    #expect(try read("\u{FEFF}id,n,t\na,1,").rows == ["'a' 1 null"])
    #expect(try read("id,n,t").rows.isEmpty)
    #expect(try read("id,n,t\n\n\n").rows.isEmpty)
  }

  @Test func emptyAndBrokenHeadersAreErrors() throws {
    for (text, message) in [
      ("", "the file is empty: no header"), ("\n\n", "the file is empty: no header"),
      ("a,a\n", "two columns are called 'a'"),
      ("\"a\n", "line 1 has a quote that is never closed"),
    ] {
      let error = #expect(throws: FileFormatError.self) { try read(text) }
      #expect(error?.message == message)
    }
  }

  @Test func aQuoteThatIsNeverClosedIsFound() throws {
    let found = try read("id,n,t\na,1,\n\"b,2,\nc,3,\n")
    #expect(found.rows == ["'a' 1 null"])
    #expect(found.errors == ["line 3: has a quote that is never closed"])
    var options = TabularOptions(schema: schema)
    options.maximumRowBytes = 1000
    options.blockBytes = 100
    let long = "id,n,t\na,1,\n\"" + String(repeating: "x\n", count: 2000)
    let error = #expect(throws: FileFormatError.self) { try read(long, options) }
    #expect(error?.message.hasPrefix("line 3: a row of more than 1000 bytes") == true)
  }

  @Test func textThatIsNotUTF8IsRefused() throws {
    let bytes = Array("id,n,t\na,1,\n".utf8) + [0xFF, 0x2C, 0x32, 0x2C, 0x0A]
    let reader = try CSVReader(file: MemoryFile(bytes), options: TabularOptions(schema: schema))
    let found = try drain(reader)
    #expect(found.lines == [2] && found.errors.first?.hasSuffix("is not valid UTF-8") == true)
  }

  @Test func longValuesAreCutInErrors() throws {
    let found = try read("id,n,t\na,\(String(repeating: "x", count: 500)),\n")
    #expect(found.errors[0].contains(String(repeating: "x", count: 100) + "...'"))
    #expect(found.errors[0].utf8.count < 200)
  }

  @Test func typesAreFoundFromTheText() throws {
    let text = """
      i,d,b,day,time,code,s,none,big,mixed
      1,1,true,2024-01-01,2024-01-01,007,x,,9223372036854775808,1
      -5,2.5,FALSE,2024-01-02,2024-01-01T10:00:00Z,1,,NA,1,y
      ,,,,,,,,,

      """
    let reader = try CSVReader(file: MemoryFile(Array(text.utf8)))
    #expect(
      reader.schema.fields.map(\.type) == [
        .int64, .float64, .boolean, .date, .timestamp(isUTC: true), .string, .string, .string,
        .string, .string,
      ])
    let found = try drain(reader)
    #expect(found.errors.isEmpty && found.rows.count == 3)
    #expect(found.rows[0].hasPrefix("1 1.0 true 19723 1704067200000000 '007' 'x' null"))
  }

  @Test func inferenceReadsManyBlocksAndLosesNoRow() throws {
    var text = "n,s\n"
    for index in 0..<5000 { text += "\(index),\"line\n\(index)\"\n" }
    text += "2.5,x\n"
    var options = TabularOptions()
    options.blockBytes = 1000
    let found = try read(text, options)
    #expect(found.rows.count == 5001 && found.errors.isEmpty)
    #expect(found.rows[4321] == "4321.0 'line\n4321'" && found.lines[4321] == 2 + 2 * 4321)
  }

  @Test func whatIsWrittenIsReadBack() throws {
    let batch = everyType()
    let kept = batch.schema.fields.indices.filter {
      !["date", "timestamp", "timestamptz"].contains(batch.schema.fields[$0].name)
    }
    let part = RecordBatch(
      schema: Schema(kept.map { batch.schema.fields[$0] }), columns: kept.map { batch.columns[$0] },
      rowCount: 4)
    let file = MemoryFile()
    let writer = CSVWriter(file: file, schema: part.schema)
    try writer.write(part)
    try writer.write(part.slice(1..<3))
    #expect(try writer.finish() == Int64(file.bytes.count))
    let reader = try CSVReader(file: file, options: TabularOptions(schema: part.schema))
    let first = try #require(try reader.next())
    #expect(first.errors.isEmpty && first.batch.rowCount == 6)
    for (column, expected) in zip(first.batch.columns, part.columns) {
      let all = texts(expected)
      #expect(texts(column) == all + [all[1], all[2]])
    }
  }

  @Test func aFullDiskStopsTheWriter() throws {
    let writer = CSVWriter(file: MemoryFile(capacity: 10), schema: everyType().schema)
    let error = #expect(throws: FileFormatError.self) {
      try writer.write(everyType())
      _ = try writer.finish()
    }
    #expect(error?.storageError?.kind == .full)
  }

  @Test func randomTextNeverStopsTheReader() throws {
    let seed = UInt64.random(in: .min ... .max)
    var generator = SeededGenerator(seed: seed)
    let alphabet = Array("\"\",,,\n\n\rab1.-:TZ \u{0}".utf8) + [0xFF, 0xC3]
    for _ in 0..<300 {
      let bytes = (0..<generator.below(200)).map { _ in alphabet[generator.below(alphabet.count)] }
      var options = TabularOptions(schema: schema)
      options.blockBytes = 1 + generator.below(50)
      let file = MemoryFile(Array("id,n,t\n".utf8) + bytes)
      let small = try drain(CSVReader(file: file, options: options))
      let whole = try drain(CSVReader(file: file, options: TabularOptions(schema: schema)))
      #expect(small.rows == whole.rows && small.lines == whole.lines, "seed \(seed)")
      #expect(small.errors == whole.errors, "seed \(seed)")
    }
  }
}
