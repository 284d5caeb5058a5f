import Columnar
import FileFormats
import Testing

/// What a Parquet file says of its data: a changed bit of it is found, where the writer left checksums.
@Suite struct ParquetChecksumTests {
  private static let names = (0..<60).map { "user\($0)" }

  private func file(checksums: Bool = true) throws -> [UInt8] {
    let schema = Schema([Field("id", .string, fieldID: 1), Field("n", .int64, fieldID: 2)])
    let batch = RecordBatch(
      schema: schema,
      columns: [strings(Self.names), integers(Self.names.indices.map { Int64($0) })],
      rowCount: Self.names.count)
    var options = ParquetWriterOptions()
    options.rowGroupRows = 20
    options.columnsByFieldID = [
      1: ParquetColumnOptions(encoding: .plain, bloomFilter: .init(distinctCount: 20))
    ]
    options.metadata = [("owner", "tests")]
    options.hasFooterChecksums = checksums
    let file = MemoryFile()
    let writer = try ParquetWriter(file: file, schema: schema, options: options)
    try writer.write(batch)
    _ = try writer.finish()
    return file.bytes
  }

  /// All that readers skip rows by.
  private func claims(_ bytes: [UInt8]) throws -> [String] {
    let reader = try ParquetReader(file: MemoryFile(bytes))
    var claims: [String] = []
    for group in reader.rowGroups.indices {
      for leaf in reader.leaves.indices {
        let chunk = try reader.columnChunk(rowGroup: group, leaf: leaf)
        let bounds = chunk.bounds.map { "\($0.minimum) \($0.maximum)" }
        claims.append("\(chunk.valueCount) \(chunk.nullCount ?? -1) \(bounds ?? "nil")")
      }
    }
    return claims
  }

  /// The footer's place, by the length that the file ends with.
  private func footer(_ bytes: [UInt8]) -> Range<Int> {
    let end = bytes.count - 8
    let length = (0..<4).reduce(0) { $0 | Int(bytes[end + $1]) << (8 * $1) }
    return (end - length)..<end
  }

  @Test func everyChangedBitOfAFooterIsFoundOrHarmless() throws {
    let bytes = try file()
    let claimed = try claims(bytes)
    var found = 0
    for index in footer(bytes) {
      for bit in 0..<8 {
        var damaged = bytes
        damaged[index] ^= 1 << UInt8(bit)
        do {
          // Only the name of the checksum and what Thrift says of it may be changed unseen. That may hide
          // what comes after it, without which readers believe fewer bounds: they skip less then.
          let seen = try claims(damaged)
          let isHarmless = zip(seen, claimed).allSatisfy { $0 == $1 || $0.hasSuffix(" nil") }
          #expect(isHarmless && seen.count == claimed.count, "bit \(bit) of byte \(index)")
        } catch { found += 1 }
      }
    }
    #expect(found > (footer(bytes).count - 30) * 8)
  }

  @Test func everyChangedByteOfABloomFilterIsFoundOrHarmless() throws {
    let bytes = try file()
    let isFooter = footer(bytes)
    let mark = try #require(
      bytes.indices.first { Array(bytes[$0...].prefix(5)) == Array("user0".utf8) })
    var found = 0
    for index in mark..<isFooter.lowerBound {
      var damaged = bytes
      damaged[index] ^= 0xFF
      do {
        let reader = try ParquetReader(file: MemoryFile(damaged))
        for (row, name) in Self.names.enumerated() {
          #expect(try reader.mayContain(Array(name.utf8), rowGroup: row / 20, leaf: 0))
        }
      } catch {
        #expect(error.kind == .malformed)
        found += 1
      }
    }
    #expect(found > 30)
    let reader = try ParquetReader(file: MemoryFile(bytes))
    #expect(try !reader.mayContain(Array("nobody".utf8), rowGroup: 0, leaf: 0))
  }

  @Test func filesWithoutChecksumsAreReadAsBefore() throws {
    let bytes = try file(checksums: false)
    #expect(try claims(bytes) == claims(file()))
    let reader = try ParquetReader(file: MemoryFile(bytes))
    #expect(try !reader.mayContain(Array("nobody".utf8), rowGroup: 0, leaf: 0))
    #expect(try reader.metadata("owner") == "tests")
    #expect(try reader.metadata("fstore.checksum") == nil)
  }

  @Test func manySmallFilesAreCheckedToo() throws {
    let bytes = try file()
    let schema = Schema([Field("n", .int64, fieldID: 2)])
    let whole = try CoalescingParquetReader(schema: schema)
    let mark = (key: "owner", value: "tests")
    #expect(try whole.add(bytes, path: "f", rowCount: 60, metadata: mark))
    var damaged = bytes
    damaged[footer(bytes).lowerBound + footer(bytes).count / 2] ^= 1
    let reader = try CoalescingParquetReader(schema: schema)
    #expect(throws: FileFormatError.self) {
      try reader.add(damaged, path: "f", rowCount: 60, metadata: mark)
    }
  }
}
