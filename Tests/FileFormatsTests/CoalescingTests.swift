import Columnar
import FileFormats
import TestSupport
import Testing

/// Small files read together: the same rows as one by one, or left to the one-by-one reader.
@Suite struct CoalescingTests {
  private let mark = (key: "name", value: "mine")

  /// The columns of every type that can be read so.
  private func plain(_ batch: RecordBatch) -> RecordBatch {
    let chosen = batch.schema.fields.indices.filter {
      CoalescingParquetReader.reads(Schema([batch.schema.fields[$0]]))
    }
    return RecordBatch(
      schema: Schema(chosen.map { batch.schema.fields[$0] }),
      columns: chosen.map { batch.columns[$0] }, rowCount: batch.rowCount)
  }

  private func file(
    _ batches: [RecordBatch], _ adjust: (inout ParquetWriterOptions) -> Void = { _ in }
  ) throws -> [UInt8] {
    let file = MemoryFile()
    var options = ParquetWriterOptions()
    adjust(&options)
    let writer = try ParquetWriter(file: file, schema: batches[0].schema, options: options)
    for batch in batches { try writer.write(batch) }
    _ = try writer.finish()
    return file.bytes
  }

  private func add(
    _ bytes: [UInt8], rows: Int, to reader: CoalescingParquetReader
  ) throws -> Bool {
    try reader.add(bytes, path: "/a/file", rowCount: Int64(rows), metadata: mark)
  }

  @Test(arguments: 1...20 as ClosedRange<UInt64>)
  func rowsAreThoseOfTheFilesInTheirOrder(seed: UInt64) throws {
    var random = SeededGenerator(seed: seed)
    let all = plain(everyType())
    #expect(all.columns.count >= 11)
    let reader = try CoalescingParquetReader(schema: all.schema)
    var expected = all.columns.map { _ in [String]() }
    var taken: [RecordBatch] = []
    for _ in 0..<random.below(40) {
      let batches = (0...random.below(3)).map { _ in
        let start = random.below(4)
        return all.slice(start..<(start + 1 + random.below(4 - start)))
      }
      let bytes = try file(batches) { options in
        options.compression = [.none, .zstandard(level: 1), .snappy][random.below(3)]
        options.rowGroupRows = 1 + random.below(6)
        options.pageBytes = 1 + random.below(200)
        options.hasPageChecksums = random.oneIn(2)
        for field in all.schema.fields {
          guard let id = field.fieldID, random.oneIn(3) else { continue }
          options.columnsByFieldID[id] = ParquetColumnOptions(
            encoding: [.plain, .dictionary][random.below(2)])
        }
      }
      let rows = batches.reduce(0) { $0 + $1.rowCount }
      #expect(try add(bytes, rows: rows, to: reader), "seed \(seed)")
      for batch in batches {
        for index in expected.indices { expected[index] += texts(batch.columns[index]) }
      }
      if random.oneIn(10) { taken.append(try reader.take()) }
    }
    taken.append(try reader.take())
    #expect(reader.rowCount == 0)
    for index in expected.indices {
      #expect(texts(taken, column: index) == expected[index], "seed \(seed)")
    }
  }

  @Test func someColumnsOfAFileAreReadInTheOrderAskedFor() throws {
    let all = plain(everyType())
    let bytes = try file([everyType()])
    let wanted = [5, 2].map { all.schema.fields[$0] }
    let reader = try CoalescingParquetReader(schema: Schema(wanted))
    #expect(try add(bytes, rows: 4, to: reader))
    let batch = try reader.take()
    #expect(texts(batch.columns[0]) == texts(all.columns[5]))
    #expect(texts(batch.columns[1]) == texts(all.columns[2]))
  }

  @Test func filesOfAnotherFormAreLeftAndNothingIsAdded() throws {
    func one(_ field: Field, _ column: Column) throws -> [UInt8] {
      try file([RecordBatch(schema: Schema([field]), columns: [column], rowCount: column.count)])
    }
    let numbers = integers([1, 2])
    let reader = try CoalescingParquetReader(
      schema: Schema([Field("n", .int64, isNullable: false, fieldID: 7)]))
    let fine = try one(Field("other name", .int64, isNullable: false, fieldID: 7), numbers)
    #expect(try add(fine, rows: 2, to: reader))
    let others = [
      // Another id, no id, null where there may be none, another type.
      try one(Field("n", .int64, isNullable: false, fieldID: 8), numbers),
      try one(Field("n", .int64, isNullable: false), numbers),
      try one(Field("n", .int64, fieldID: 7), numbers),
      try one(
        Field("n", .timestamp(isUTC: true), isNullable: false, fieldID: 7),
        integers([1, 2], type: .timestamp(isUTC: true))),
      try one(Field("n", .string, isNullable: false, fieldID: 7), strings(["1", "2"])),
    ]
    for (index, bytes) in others.enumerated() {
      #expect(try !add(bytes, rows: 2, to: reader), "\(index)")
    }
    #expect(try !add(fine, rows: 3, to: reader))
    let marked = try file([
      RecordBatch(
        schema: Schema([Field("n", .int64, isNullable: false, fieldID: 7)]), columns: [numbers],
        rowCount: 2)
    ]) { $0.metadata = [(key: "name", value: "another's")] }
    #expect(try !add(marked, rows: 2, to: reader))
    #expect(try add(fine, rows: 2, to: reader))
    #expect(texts(try reader.take().columns[0]) == ["1", "2", "1", "2"])
  }

  @Test func aFileWithOtherColumnsIsReadOnceTheRowsBeforeItAreTaken() throws {
    let field = Field("n", .int64, fieldID: 7)
    let reader = try CoalescingParquetReader(schema: Schema([field]))
    func bytes(_ fields: [Field]) throws -> [UInt8] {
      try file([
        RecordBatch(
          schema: Schema(fields), columns: fields.map { _ in integers([5, nil]) }, rowCount: 2)
      ])
    }
    #expect(try add(try bytes([field]), rows: 2, to: reader))
    let wider = try bytes([Field("m", .int64, fieldID: 3), field])
    #expect(try !add(wider, rows: 2, to: reader))
    #expect(try reader.take().rowCount == 2)
    #expect(try add(wider, rows: 2, to: reader))
    #expect(texts(try reader.take().columns[0]) == ["5", "null"])
  }

  /// A file of columns with one and the same values each.
  private func file(_ columns: [(field: Field, value: Int64)], rows: Int = 2) throws -> [UInt8] {
    try file([
      RecordBatch(
        schema: Schema(columns.map(\.field)),
        columns: columns.map { integers(Array(repeating: $0.value, count: rows)) }, rowCount: rows)
    ])
  }

  /// Its columns' places were once taken over from a file that was then left, and the next file was read by them.
  @Test func aFileThatIsLeftDoesNotChangeHowTheNextOneIsRead() throws {
    let (a, b, c) = (
      Field("a", .int64, fieldID: 1), Field("b", .int64, fieldID: 2), Field("c", .int64, fieldID: 3)
    )
    let reader = try CoalescingParquetReader(schema: Schema([a, b]))
    let fine = try file([(a, 1), (b, 2)])
    #expect(try add(fine, rows: 2, to: reader))
    #expect(texts(try reader.take().columns[0]) == ["1", "1"])
    #expect(try !add(try file([(c, 3), (a, 1)]), rows: 2, to: reader))
    #expect(try add(fine, rows: 2, to: reader))
    #expect(texts(try reader.take().columns[0]) == ["1", "1"])
  }

  @Test func filesWithoutIDsAreReadByTheirNames() throws {
    let field = Field("n", .int64, fieldID: 7)
    let reader = try CoalescingParquetReader(schema: Schema([field]), names: [7: ["n", "was n"]])
    let (other, new, old) = (Field("other", .int64), Field("n", .int64), Field("was n", .int64))
    #expect(try add(try file([(other, 1), (new, 2)]), rows: 2, to: reader))
    #expect(texts(try reader.take().columns[0]) == ["2", "2"])
    #expect(try add(try file([(old, 3)]), rows: 2, to: reader))
    #expect(texts(try reader.take().columns[0]) == ["3", "3"])
    // Two columns of its names, none, and a name where another column has an id.
    #expect(try !add(try file([(old, 3), (new, 2)]), rows: 2, to: reader))
    #expect(try !add(try file([(other, 1)]), rows: 2, to: reader))
    #expect(
      try !add(try file([(Field("x", .int64, fieldID: 8), 1), (new, 2)]), rows: 2, to: reader))
  }

  @Test func aColumnThatAFileLacksIsNullWhereItMayBe() throws {
    let (a, b) = (Field("a", .int64, fieldID: 1), Field("b", .int64, fieldID: 2))
    let required = Field("c", .int64, isNullable: false, fieldID: 3)
    let old = try file([(a, 1)])
    func isAdded(_ bytes: [UInt8], _ reader: CoalescingParquetReader, _ id: Int32?) throws -> Bool {
      try reader.add(bytes, path: "/a/file", rowCount: 2, metadata: mark) { $0 == id }
    }
    let reader = try CoalescingParquetReader(schema: Schema([a, b]))
    #expect(try !isAdded(old, reader, nil))
    #expect(try isAdded(old, reader, 2))
    #expect(try isAdded(old, reader, 2))
    // Of the same form, but said to have it.
    #expect(try !isAdded(old, reader, nil))
    let batch = try reader.take()
    #expect(texts(batch.columns[0]) == ["1", "1", "1", "1"])
    #expect(texts(batch.columns[1]) == ["null", "null", "null", "null"])
    #expect(try isAdded(try file([(a, 1), (b, 2)]), reader, 2))
    #expect(texts(try reader.take().columns[1]) == ["2", "2"])
    let strict = try CoalescingParquetReader(schema: Schema([a, required]))
    #expect(try !isAdded(old, strict, 3))
  }

  @Test func deferredColumnsAreThoseOfTheRowsThatWereTakenLast() throws {
    let (a, b) = (Field("a", .int64, fieldID: 1), Field("b", .int64, fieldID: 2))
    let reader = try CoalescingParquetReader(schema: Schema([a]), deferred: Schema([b]))
    for first in [Int64(1), 5, 9] {
      for value in first..<(first + 2) {
        #expect(try add(try file([(b, value * 10), (a, value)]), rows: 2, to: reader))
      }
      let batch = try reader.take()
      #expect(batch.schema.fields == [a])
      #expect(texts(batch.columns[0]) == [first, first, first + 1, first + 1].map { "\($0)" })
      // Whoever does not ask for them does without.
      guard first != 5 else { continue }
      #expect(reader.hasDeferred)
      let rest = try reader.takeDeferred()
      #expect(rest.schema.fields == [b])
      #expect(
        texts(rest.columns[0]) == [first, first, first + 1, first + 1].map { "\($0 * 10)" })
      #expect(try reader.takeDeferred().rowCount == 0)
    }
    // A file that lacks them is read without.
    #expect(try add(try file([(a, 1)]), rows: 2, to: reader))
    #expect(!reader.hasDeferred)
    #expect(try reader.take().rowCount == 2)
    #expect(throws: FileFormatError.self) { try reader.takeDeferred() }
  }

  @Test func typesThatNeedAConversionAreNotRead() {
    for field in everyType().schema.fields {
      let isPlain =
        switch field.type {
        case .fixedSizeBinary, .time, .decimal, .list, .structure, .map: false
        default: true
        }
      #expect(CoalescingParquetReader.reads(Schema([field])) == isPlain, "\(field.name)")
    }
    #expect(!CoalescingParquetReader.reads(Schema([Field("no id", .int64)])))
  }

  /// Of the first file, whose footer Arrow reads, and of one after another of its form.
  @Test(arguments: [false, true])
  func damageIsAnErrorOrLeavesTheFileToOthersOrIsHarmless(isSecond: Bool) throws {
    let all = plain(everyType())
    let bytes = try file([all, all])
    let expected = all.columns.map { texts($0) + texts($0) }
    func reader() throws -> CoalescingParquetReader {
      let reader = try CoalescingParquetReader(schema: all.schema)
      if isSecond {
        #expect(try add(bytes, rows: 8, to: reader))
        _ = try reader.take()
      }
      return reader
    }
    var (found, wrong) = (0, 0)
    for index in bytes.indices {
      var damaged = bytes
      damaged[index] ^= 1 << UInt8(index % 8)
      let reader = try reader()
      do {
        guard try add(damaged, rows: 8, to: reader) else {
          found += 1
          continue
        }
        let batch = try reader.take()
        if batch.columns.map({ texts($0) }) != expected { wrong += 1 }
      } catch let error as FileFormatError {
        #expect(!error.message.isEmpty)
        // And no more of this reader.
        #expect(throws: FileFormatError.self) { try reader.take() }
        found += 1
      }
    }
    for count in 0..<bytes.count {
      let reader = try reader()
      #expect(throws: FileFormatError.self, "\(count) bytes") {
        if try add(Array(bytes[..<count]), rows: 8, to: reader) { _ = try reader.take() }
      }
    }
    // Pages have checksums; a footer has none, and may name one column for another.
    #expect(found > bytes.count / 2 && wrong < bytes.count / 50, "\(found) found, \(wrong) wrong")
  }

  /// What the footers of files differ in: the number of rows, groups, pages and nulls, codecs, and other columns between.
  @Test func filesOfOneFormMayDifferInAllElse() throws {
    let all = plain(everyType())
    let reader = try CoalescingParquetReader(schema: all.schema)
    let wider = RecordBatch(
      schema: Schema([Field("more", .int64, fieldID: 99)] + all.schema.fields),
      columns: [integers(Array(repeating: 1, count: all.rowCount))] + all.columns,
      rowCount: all.rowCount)
    for round in 0..<4 {
      for codec in [.none, .zstandard(level: 3), .snappy] as [ParquetWriterOptions.Compression] {
        for form in [all, wider] {
          let bytes = try file(Array(repeating: form, count: 1 + round)) {
            ($0.compression, $0.rowGroupRows, $0.pageBytes) = (codec, 1 + 3 * round, 1 + 40 * round)
            $0.metadata = round < 2 ? [] : [(key: "name", value: "mine")]
          }
          #expect(try add(bytes, rows: 4 * (1 + round), to: reader))
          let batch = try reader.take()
          for (column, expected) in zip(batch.columns, all.columns) {
            let all = Array(repeating: texts(expected), count: 1 + round).flatMap { $0 }
            #expect(texts(column) == all)
          }
        }
      }
    }
    // One that says it is another's is left, also when its footer is known.
    let other = try file([wider]) { $0.metadata = [(key: "name", value: "another's")] }
    #expect(try !add(other, rows: 4, to: reader))
    #expect(try !add(try file([wider]), rows: 5, to: reader))
  }

  @Test func memoryIsBounded() throws {
    let rows = 100_000
    let schema = Schema([Field("n", .int64, fieldID: 7)])
    let bytes = try file([
      RecordBatch(
        schema: schema, columns: [integers(Array(repeating: 1, count: rows))], rowCount: rows)
    ])
    #expect(bytes.count < rows / 10)
    var options = ParquetReaderOptions()
    options.memoryLimitBytes = 1 << 19
    let reader = try CoalescingParquetReader(schema: schema, options: options)
    let error = #expect(throws: FileFormatError.self) { try add(bytes, rows: rows, to: reader) }
    #expect(error?.kind == .memoryLimit)
    #expect(reader.heldBytes < 1 << 20)
  }
}
