import Columnar
import FileFormats
import Foundation
import Iceberg
import Storage
import TestSupport
import Testing

/// Batches that are large enough to be encoded in a thread, and files to be decoded by several.
@Suite struct LargeBatchTests {
  private func rows(_ count: Int, from first: Int = 0) -> [Row] {
    (first..<(first + count)).map { (index: Int) -> Row in
      let hash = UInt64(truncatingIfNeeded: index) &* 0x9E37_79B9_7F4A_7C15
      let x: Double? = index % 11 == 0 ? nil : Double(hash >> 20)
      let name: String? = index % 7 == 0 ? nil : "name \(index % 40)"
      return Row(id: Int64(index), ts: Int64(hash >> 16), x: x, name: name)
    }
  }

  private func write(_ batches: [[Row]], _ table: Table) throws -> [DataFile] {
    let writer = try DataFileWriter(table)
    for rows in batches { try writer.write(batch(rows)) }
    return try writer.finish()
  }

  private func ids(_ batches: TableScanBatches) throws -> [Int64] {
    var ids: [Int64] = []
    while let batch = try batches.next() { ids += IcebergTests.rows(batch).map(\.id) }
    return ids
  }

  @Test func rowsOfLargeAndSmallBatchesComeBackInOrder() throws {
    let warehouse = try Warehouse()
    let all = rows(45_000)
    let parts = [0..<10_000, 10_000..<10_100, 10_100..<30_000, 30_000..<45_000].map {
      Array(all[$0])
    }
    let table = try warehouse.table()
    let files = try write(parts, table)
    #expect(files.count == 1 && files[0].recordCount == 45_000)
    #expect(files[0].nullValueCounts[4] == Int64(all.count { $0.name == nil }))
    #expect(files[0].lowerBounds[1] == Literal.long(0).boundBytes)
    #expect(files[0].upperBounds[1] == Literal.long(44_999).boundBytes)
    #expect(try table.newAppend(files).commit().table.newScan().rows() == all)
  }

  @Test func aFileEndsWhereItIsLargeEnough() throws {
    let warehouse = try Warehouse()
    let table = try warehouse.table(properties: ["write.target-file-size-bytes": "400000"])
    let files = try write((0..<8).map { rows(10_000, from: $0 * 10_000) }, table)
    #expect(files.count > 1)
    #expect(files.reduce(0) { $0 + $1.recordCount } == 80_000)
    // What is buffered counts as it lies in memory, so a file ends with one of its first batches.
    for file in files {
      #expect((10_000...30_000).contains(file.recordCount), "\(file.recordCount)")
    }
  }

  @Test func encodingsAreChosenFromTheRows() throws {
    let sampled = batchOf(rows(20_000))
    var sample = try #require(EncodingSample(sampled))
    var options = ParquetWriterOptions()
    options.columnsByFieldID[1] = ParquetColumnOptions(encoding: .dictionary, bloomFilter: .init())
    try sample.choose(&options)
    // Every id is another: no dictionary, and the rest of its options stays.
    #expect(options.columnsByFieldID[1]?.encoding == .plain)
    #expect(options.columnsByFieldID[1]?.bloomFilter != nil)
    #expect(options.columnsByFieldID[3]?.encoding == .plain)
    #expect(options.columnsByFieldID[4]?.encoding == .dictionary)
    #expect(EncodingSample(sampled.slice(0..<1000)) == nil)
  }

  @Test func measurementsAmongZerosGetNoDictionary() throws {
    let mixed = rows(20_000).enumerated().map { (index, row) -> Row in
      var row = row
      row.x = index % 10 == 0 ? Double(index) : 0
      row.ts = Int64(index % 5000)
      return row
    }
    var sample = try #require(EncodingSample(batchOf(mixed)))
    var options = ParquetWriterOptions()
    try sample.choose(&options)
    #expect(options.columnsByFieldID[3]?.encoding == .plain)
    #expect(options.columnsByFieldID[2]?.encoding == .dictionary)
  }

  @Test func numbersThatHardlyBecomeSmallerAreNotCompressed() throws {
    var random = SeededGenerator(seed: 1)
    let measured = rows(20_000).map { row -> Row in
      var row = row
      row.x = row.x.map { _ in Double.random(in: 0..<100, using: &random) }
      return row
    }
    var sample = try #require(EncodingSample(batchOf(measured)))
    var options = ParquetWriterOptions()
    try sample.choose(&options)
    #expect(
      options.columnsByFieldID.mapValues(\.isCompressed) == [1: true, 2: true, 3: false, 4: true])
    let warehouse = try Warehouse()
    let table = try warehouse.table()
    let file = try #require(try write([measured], table).first)
    let reader = try ParquetReader(
      file: table.io.fileSystem.open(try table.io.path(of: file.path), .read))
    let chunks = try (0..<4).map { try reader.columnChunk(rowGroup: 0, leaf: $0) }
    #expect(
      chunks.map { $0.compressedBytes == $0.uncompressedBytes } == [false, false, true, false])
    #expect(try table.newAppend([file]).commit().table.newScan().rows() == measured)
  }

  /// With field ids.
  private func batchOf(_ rows: [Row]) -> RecordBatch {
    let plain = batch(rows)
    return RecordBatch(
      schema: Warehouse.schema.columnarSchema, columns: plain.columns, rowCount: plain.rowCount)
  }

  /// A table of a catalog of its own.
  private func table(_ definition: TableDefinition, on system: SimulatedFileSystem) throws -> Table
  {
    let catalog = InMemoryCatalog(
      name: "s", warehouse: "/w", io: try FileIO(fileSystem: system), clock: SystemClock())
    let identifier = try TableIdentifier("db.t")
    try catalog.createNamespace(identifier.namespace)
    return try catalog.createTable(identifier, definition)
  }

  @Test(arguments: [true, false]) func aFailedWriteIsThrownAndLeavesNoFile(isFull: Bool) throws {
    for call in 1..<40 {
      let system = SimulatedFileSystem()
      let table = try table(
        TableDefinition(
          schema: Warehouse.schema, properties: ["write.parquet.row-group-limit": "10000"]),
        on: system)
      let writer = try DataFileWriter(table)
      system.inject(.init(call: call, kind: isFull ? .full : .inputOutput))
      var isDone = true
      do {
        for part in 0..<4 { try writer.write(batch(rows(10_000, from: part * 10_000))) }
        _ = try writer.finish()
      } catch { isDone = false }
      system.inject(nil)
      if isDone { return #expect(call > 4) }
      writer.abandon()
      #expect(!system.paths.contains { $0.hasSuffix(".parquet") }, "call \(call)")
    }
    Issue.record("the write has more calls than were tried")
  }

  @Test func whatFinishReturnsIsDurableAlsoAfterAFailure() throws {
    let spec = PartitionSpec(fields: [
      PartitionField(sourceID: 1, fieldID: 1000, name: "id", transform: .identity)
    ])
    var repeated = 0
    for call in 1..<200 {
      let system = SimulatedFileSystem()
      let table = try table(
        TableDefinition(schema: Warehouse.schema, partitionSpec: spec), on: system)
      let writer = try DataFileWriter(table)
      try writer.write(batch(rows(3)))
      system.inject(.init(call: call, kind: .inputOutput))
      var files: [DataFile]?
      do { files = try writer.finish() } catch {}
      let isReached = system.calls >= call
      system.inject(nil)
      if isReached {
        repeated += 1
        do { files = try writer.finish() } catch {}
      }
      for seed in 0..<4 {
        let disk = try FileIO(fileSystem: system.crashed(seed: UInt64(4 * call + seed)))
        for file in files ?? [] {
          let bytes = try? disk.readAll(file.path)
          #expect(bytes == (try table.io.readAll(file.path)), "call \(call)")
        }
      }
      guard isReached else {
        #expect(files?.count == 3 && repeated > 6)
        return
      }
    }
    Issue.record("finishing has more calls than were tried")
  }

  @Test func rowGroupsAreDecodedBySeveralThreadsInOrder() throws {
    let warehouse = try Warehouse()
    let all = rows(240_000)
    var table = try warehouse.table(properties: ["write.parquet.row-group-limit": "30000"])
    let files = try write(
      stride(from: 0, to: all.count, by: 30_000).map { Array(all[$0..<($0 + 30_000)]) }, table)
    #expect(files[0].splitOffsets.count == 8 && files[0].fileSizeInBytes > 2 << 20)
    table = try table.newAppend(files).commit().table
    for threads in [1, 2, 4] {
      #expect(try ids(try table.newScan().batches(threads: threads)) == all.map(\.id))
    }
    var filtered = table.newScan()
    filtered.filter = .comparison("id", .greaterOrEqual, .long(100_000))
    #expect(try ids(try filtered.batches(threads: 2)) == Array(100_000..<240_000))
    // Deleted rows are left out of every part.
    table = try table.deleteRows(where: .comparison("name", .equal, .string("name 3"))).table
    let kept = all.filter { $0.name != "name 3" }.map(\.id)
    #expect(try ids(try table.newScan().batches(threads: 3)) == kept)
    // One may stop in the middle.
    let batches = try table.newScan().batches(threads: 2)
    #expect(try batches.next() != nil)
    batches.cancel()
    #expect(try batches.next() == nil)
  }
}
