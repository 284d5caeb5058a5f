import Columnar
import FileFormats
import Storage
import Testing

@Suite struct ParquetFaultTests {
  private func file(rows: Int = 2000) throws -> [UInt8] {
    let schema = Schema([
      Field("n", .int64), Field("s", .string), Field("l", .list(Field("element", .int64))),
    ])
    let numbers = integers((0..<rows).map { $0 % 9 == 0 ? nil : Int64($0) })
    let lists = Column(
      type: .list(Field("element", .int64)), count: rows,
      buffers: [Buffer(copying: (0...rows).map { Int32($0) })],
      children: [integers((0..<rows).map { Int64($0) })])
    let batch = RecordBatch(
      schema: schema, columns: [numbers, strings((0..<rows).map { "value \($0 % 100)" }), lists],
      rowCount: rows)
    let file = MemoryFile()
    let writer = try ParquetWriter(file: file, schema: schema)
    try writer.write(batch)
    _ = try writer.finish()
    return file.bytes
  }

  private func readAll(_ bytes: [UInt8]) throws -> [RecordBatch] {
    try ParquetReader(file: MemoryFile(bytes)).batches().all()
  }

  @Test func everyTruncationIsAnError() throws {
    let bytes = try file(rows: 50)
    for count in 0..<bytes.count {
      #expect(throws: FileFormatError.self, "\(count) bytes") {
        try readAll(Array(bytes[..<count]))
      }
    }
  }

  @Test func flippedBitsAreErrorsOrHarmless() throws {
    let bytes = try file()
    let expected = try readAll(bytes)
    var found = 0
    var generator = SystemRandomNumberGenerator()
    let seed = UInt64.random(in: .min ... .max, using: &generator)
    var state = seed
    for _ in 0..<400 {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      var damaged = bytes
      damaged[Int(state >> 33) % bytes.count] ^= 1 << UInt8(state >> 30 & 7)
      do {
        // Either the damage is found, or it is where no value depends on it.
        let read = try readAll(damaged)
        _ = read.map { $0.columns.map { texts($0) } }
      } catch let error as FileFormatError {
        #expect(error.path == "/memory/file" && !error.message.isEmpty)
        found += 1
      }
    }
    #expect(found > 200, "seed \(seed)")
    #expect(expected.reduce(0) { $0 + $1.rowCount } == 2000)
  }

  @Test func aFlippedBitInAPageIsFound() throws {
    let bytes = try file()
    // The first page's header begins at 4; its data follows within 60 bytes.
    for offset in stride(from: 80, to: 400, by: 7) {
      var damaged = bytes
      damaged[offset] ^= 4
      #expect(throws: FileFormatError.self, "byte \(offset)") { try readAll(damaged) }
    }
  }

  @Test func somethingElseIsNoParquet() {
    for bytes in [[], Array("PAR1".utf8), Array("PAR1PAR1".utf8), Array(repeating: 7, count: 5000)]
    {
      #expect(throws: FileFormatError.self) { try readAll(bytes) }
    }
  }

  @Test func aFullDiskIsACleanError() throws {
    for capacity in [0, 3, 100, 5_000, 20_000] {
      let file = MemoryFile(capacity: capacity)
      let schema = Schema([Field("n", .int64)])
      let error = #expect(throws: FileFormatError.self, "\(capacity)") {
        var options = ParquetWriterOptions()
        options.rowGroupRows = 100
        options.compression = .none
        let writer = try ParquetWriter(file: file, schema: schema, options: options)
        for _ in 0..<100 {
          let numbers = integers((0..<100).map { _ in Int64.random(in: .min ... .max) })
          try writer.write(RecordBatch(schema: schema, columns: [numbers], rowCount: 100))
        }
        _ = try writer.finish()
      }
      #expect(error?.kind == .storage && error?.storageError?.kind == .full)
    }
  }

  @Test func anAbandonedWriterWritesNoFooter() throws {
    let file = MemoryFile()
    do {
      let writer = try ParquetWriter(file: file, schema: Schema([Field("n", .int64)]))
      let numbers = integers([1, 2, 3])
      try writer.write(
        RecordBatch(schema: Schema([Field("n", .int64)]), columns: [numbers], rowCount: 3))
    }
    #expect(file.bytes.isEmpty)
  }

  @Test func aReadThatFailsIsReportedAsSuch() throws {
    let bytes = try file(rows: 100_000)
    let half = MemoryFile(bytes, unreadableFrom: 10)
    let open = #expect(throws: FileFormatError.self) { try ParquetReader(file: half) }
    #expect(open?.kind == .storage && open?.storageError?.message == "bad sector")
  }

  @Test func smallFilesAreReadByOneCall() throws {
    let file = MemoryFile(try file(rows: 100))
    _ = try ParquetReader(file: file).batches().all()
    #expect(file.readCount == 1)
  }

  @Test func moreMemoryThanTheLimitIsAnError() throws {
    // Half a million equal values: a kilobyte of file, megabytes of memory.
    let schema = Schema([Field("s", .string)])
    let text = String(repeating: "x", count: 2000)
    let batch = RecordBatch(
      schema: schema, columns: [strings(Array(repeating: text, count: 10_000))], rowCount: 10_000)
    let file = MemoryFile()
    let writer = try ParquetWriter(file: file, schema: schema)
    try writer.write(batch)
    _ = try writer.finish()
    #expect(file.bytes.count < 10_000)
    var options = ParquetReaderOptions()
    options.memoryLimitBytes = 4 << 20
    let error = #expect(throws: FileFormatError.self) {
      _ = try ParquetReader(file: file, options: options).batches(batchRows: 65_536).all()
    }
    #expect(error?.kind == .memoryLimit)
    #expect(try ParquetReader(file: file).batches().all().reduce(0) { $0 + $1.rowCount } == 10_000)
  }
}
