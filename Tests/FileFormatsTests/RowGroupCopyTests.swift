import Columnar
import FileFormats
import Storage
import TestSupport
import Testing

/// Row groups that go from file to file without being decoded.
@Suite struct RowGroupCopyTests {
  private static let schema = Schema([
    Field("id", .string, fieldID: 1), Field("n", .int64, fieldID: 2),
    Field("x", .float64, fieldID: 3),
    Field("values", .list(Field("element", .int64, fieldID: 5)), fieldID: 4),
  ])

  private static func rows(_ numbers: Range<Int64>) -> RecordBatch {
    var doubles = FixedWidthBuilder<Double>(.float64, zero: 0)
    var elements: [Int64] = []
    var offsets: [Int32] = [0]
    for number in numbers {
      if number % 7 == 0 { doubles.appendNull() } else { doubles.append(Double(number) / 4) }
      elements += (0..<number % 3).map { number * 10 + $0 }
      offsets.append(Int32(elements.count))
    }
    let lists = Column(
      type: schema.fields[3].type, count: numbers.count, buffers: [Buffer(copying: offsets)],
      children: [integers(elements)])
    return RecordBatch(
      schema: schema,
      columns: [
        strings(numbers.map { $0 % 11 == 0 ? nil : "user\($0 % 50)" }), integers(Array(numbers)),
        doubles.finish(), lists,
      ], rowCount: numbers.count)
  }

  /// Every encoding, a bloom filter, pages of a few rows and row groups of 100.
  private static func options(
    _ adjust: (inout ParquetWriterOptions) -> Void = { _ in }
  ) -> ParquetWriterOptions {
    var options = ParquetWriterOptions()
    options.pageBytes = 300
    options.rowGroupRows = 100
    options.hasFooterChecksums = true
    options.columnsByFieldID = [
      1: ParquetColumnOptions(encoding: .dictionary, bloomFilter: .init(distinctCount: 50)),
      2: ParquetColumnOptions(encoding: .deltaBinaryPacked),
      3: ParquetColumnOptions(encoding: .byteStreamSplit),
    ]
    adjust(&options)
    return options
  }

  private static func file(
    _ numbers: Range<Int64>, _ options: ParquetWriterOptions = options()
  ) throws -> MemoryFile {
    let file = MemoryFile()
    let writer = try ParquetWriter(file: file, schema: schema, options: options)
    for start in stride(from: numbers.lowerBound, to: numbers.upperBound, by: 17) {
      try writer.write(rows(start..<min(start + 17, numbers.upperBound)))
    }
    _ = try writer.finish()
    return file
  }

  private static func expectRows(_ file: MemoryFile, _ numbers: [Range<Int64>]) throws {
    let read = try ParquetReader(file: file).batches().all()
    for column in schema.fields.indices {
      let expected = numbers.flatMap { texts(rows($0).columns[column]) }
      #expect(texts(read, column: column) == expected)
    }
  }

  @Test func rowsAndAllThatIsSaidOfThemComeAlong() throws {
    let sources = try [Self.file(0..<250), Self.file(1000..<1099)]
    let copy = MemoryFile()
    let writer = try ParquetWriter(file: copy, schema: Self.schema, options: Self.options())
    for source in sources {
      #expect(try writer.copyRowGroups(of: ParquetReader(file: source)))
    }
    let summary = try writer.finish()
    #expect(summary.rowCount == 349 && summary.fileSizeBytes == Int64(copy.bytes.count))
    try Self.expectRows(copy, [0..<250, 1000..<1099])

    let reader = try ParquetReader(file: copy)
    let groups = try sources.flatMap { source in
      let reader = try ParquetReader(file: source)
      return reader.rowGroups.indices.map { (source, reader, $0) }
    }
    #expect(reader.rowGroups.map(\.rowCount) == [100, 100, 50, 99])
    var pageCount = 0
    for (index, (file, source, group)) in groups.enumerated() {
      for leaf in reader.leaves.indices {
        let chunk = try reader.columnChunk(rowGroup: index, leaf: leaf)
        #expect(try chunk == source.columnChunk(rowGroup: group, leaf: leaf))
        var pages = try reader.pages(rowGroup: index, leaf: leaf)
        let known = try source.pages(rowGroup: group, leaf: leaf)
        #expect(pages.count == known.count)
        for (place, page) in known.enumerated() {
          // A header and the first bytes of a page are unlike those of any other.
          let bytes = file.bytes[Int(page.byteOffset)...].prefix(40)
          #expect(copy.bytes[Int(pages[place].byteOffset)...].starts(with: bytes))
          pages[place].byteOffset = page.byteOffset
        }
        #expect(pages == known)
        pageCount += pages.count
      }
      for user in 0..<80 {
        let value = Array("user\(user)".utf8)
        #expect(
          try reader.mayContain(value, rowGroup: index, leaf: 0)
            == source.mayContain(value, rowGroup: group, leaf: 0))
      }
    }
    #expect(pageCount > 20)
    // The pages are where the index says.
    let ranges = reader.rowGroups.indices.map { ParquetRowRange(rowGroup: $0, rows: 13..<47) }
    let some = try #require(try reader.batches(columns: [0, 1, 2], rows: ranges)).all()
    #expect(
      texts(some, column: 1)
        == [0, 100, 200, 1000].flatMap { start in (13..<47).map { "\(start + $0)" } })
  }

  @Test func rowsCanBeWrittenBehindCopiesAndCopiesBehindThose() throws {
    let copy = MemoryFile()
    let writer = try ParquetWriter(file: copy, schema: Self.schema, options: Self.options())
    #expect(try writer.copyRowGroups(of: ParquetReader(file: Self.file(0..<120))))
    try writer.write(Self.rows(120..<180))
    try writer.write(Self.rows(180..<300))
    #expect(writer.bufferedBytes > 0)
    #expect(try writer.copyRowGroups(of: ParquetReader(file: Self.file(300..<310))))
    try writer.write(Self.rows(310..<320))
    #expect(try writer.finish().rowCount == 320)
    try Self.expectRows(copy, [0..<320])
    let counts = try ParquetReader(file: copy).rowGroups.map(\.rowCount)
    #expect(counts == [100, 20, 100, 80, 10, 10])
  }

  @Test func whatWasCopiedCanBeCopied() throws {
    var file = try Self.file(0..<150)
    for _ in 0..<3 {
      let next = MemoryFile()
      let writer = try ParquetWriter(file: next, schema: Self.schema, options: Self.options())
      #expect(try writer.copyRowGroups(of: ParquetReader(file: file)))
      _ = try writer.finish()
      file = next
    }
    try Self.expectRows(file, [0..<150])
  }

  @Test func everyTypeCanBeCopied() throws {
    let batch = everyType()
    var options = ParquetWriterOptions()
    options.hasFooterChecksums = true
    let (source, copy) = (MemoryFile(), MemoryFile())
    let writer = try ParquetWriter(file: source, schema: batch.schema, options: options)
    try writer.write(batch)
    _ = try writer.finish()
    let copier = try ParquetWriter(file: copy, schema: batch.schema, options: options)
    for _ in 0..<2 { try #require(try copier.copyRowGroups(of: ParquetReader(file: source))) }
    _ = try copier.finish()
    let read = try ParquetReader(file: copy).batches().all()
    for column in batch.columns.indices {
      let expected = texts(batch.columns[column])
      #expect(texts(read, column: column) == expected + expected)
    }
  }

  @Test func columnsThatAreNotCompressedAreCopied() throws {
    let source = try Self.file(
      0..<50, Self.options { $0.columnsByFieldID[3]?.isCompressed = false })
    let copy = MemoryFile()
    let writer = try ParquetWriter(file: copy, schema: Self.schema, options: Self.options())
    #expect(try writer.copyRowGroups(of: ParquetReader(file: source)))
    _ = try writer.finish()
    try Self.expectRows(copy, [0..<50])
    let reader = try ParquetReader(file: copy)
    let chunks = try (0..<4).map { try reader.columnChunk(rowGroup: 0, leaf: $0) }
    #expect(
      chunks.map { $0.compressedBytes == $0.uncompressedBytes } == [false, false, true, false])
  }

  @Test func filesThatDifferAreNotCopied() throws {
    let others: [(String, ParquetWriterOptions)] = [
      ("compression", Self.options { $0.compression = .snappy }),
      ("no compression", Self.options { $0.compression = .none }),
      ("page index", Self.options { $0.hasPageIndex = false }),
      ("bloom filter", Self.options { $0.columnsByFieldID[1]?.bloomFilter = nil }),
      ("statistics", Self.options { $0.columnsByFieldID[2]?.hasStatistics = false }),
      ("checksums", Self.options { $0.hasFooterChecksums = false }),
    ]
    for (name, options) in others {
      let copy = MemoryFile()
      let writer = try ParquetWriter(file: copy, schema: Self.schema, options: Self.options())
      #expect(
        try !writer.copyRowGroups(of: ParquetReader(file: Self.file(0..<50, options))), "\(name)")
      // Nothing has happened: rows can be written, after which nothing can be copied.
      try writer.write(Self.rows(0..<50))
      #expect(try !writer.copyRowGroups(of: ParquetReader(file: Self.file(0..<50))))
      _ = try writer.finish()
      try Self.expectRows(copy, [0..<50])
    }
    var fields = Self.schema.fields
    fields[1] = Field("n", .int64, isNullable: false, fieldID: 2)
    for schema in [Schema(fields), Schema(Array(Self.schema.fields.reversed()))] {
      let writer = try ParquetWriter(file: MemoryFile(), schema: schema, options: Self.options())
      #expect(try !writer.copyRowGroups(of: ParquetReader(file: Self.file(0..<50))))
    }
  }

  /// Not one changed bit goes unseen into another file.
  @Test func damageIsNotCopied() throws {
    let bytes = try Self.file(0..<150).bytes
    var found = 0
    for index in bytes.indices {
      var damaged = bytes
      damaged[index] ^= 1 << UInt8(index % 8)
      let copy = MemoryFile()
      do {
        let reader = try ParquetReader(file: MemoryFile(damaged))
        let writer = try ParquetWriter(file: copy, schema: Self.schema, options: Self.options())
        guard try writer.copyRowGroups(of: reader) else { continue }
        _ = try writer.finish()
      } catch {
        found += 1
        continue
      }
      // Headers of pages have no checksum: what is changed of them unseen changes no row.
      do { try Self.expectRows(copy, [0..<150]) } catch {
        Issue.record("byte \(index), bit \(index % 8): \(error)")
      }
    }
    #expect(found > bytes.count * 9 / 10, "\(found) of \(bytes.count)")
  }

  @Test func aFullDiskAndAFileThatCannotBeReadAreSaidToBe() throws {
    let source = try Self.file(0..<30_000, Self.options { $0.rowGroupRows = 30_000 })
    let full = try ParquetWriter(
      file: MemoryFile(capacity: 10_000), schema: Self.schema, options: Self.options())
    let error = #expect(throws: FileFormatError.self) {
      _ = try full.copyRowGroups(of: ParquetReader(file: source))
      _ = try full.finish()
    }
    #expect(error?.storageError?.kind == .full)
    let broken = MemoryFile(source.bytes, unreadableFrom: 200_000)
    #expect(throws: FileFormatError.self) {
      let writer = try ParquetWriter(
        file: MemoryFile(), schema: Self.schema, options: Self.options())
      _ = try writer.copyRowGroups(of: ParquetReader(file: broken))
    }
  }
}
