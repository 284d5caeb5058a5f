import Columnar
import FileFormats
import Storage

/// Parquet files, through the glue: an error, or batches of as many rows as the footer says. Arrow itself has
/// no instrumentation; its memory is capped.
func fuzzParquet(_ bytes: [UInt8]) {
  var options = ParquetReaderOptions()
  options.memoryLimitBytes = 64 << 20
  do {
    let reader = try ParquetReader(file: FuzzFile(bytes), options: options)
    for (group, rowGroup) in reader.rowGroups.enumerated() {
      require(rowGroup.rowCount >= 0, "a row group of \(rowGroup.rowCount) rows")
      for leaf in reader.leaves.indices.prefix(16) {
        _ = try reader.columnChunk(rowGroup: group, leaf: leaf)
        _ = try reader.mayContain([1, 0, 0, 0], rowGroup: group, leaf: leaf)
      }
    }
    _ = try reader.metadata("fstore.file-name")
    try readSomeRows(reader)
    let batches = try reader.batches(batchRows: 1000)
    var rows: Int64 = 0
    while let batch = try batches.next(), rows < 100_000 {
      rows += Int64(batch.rowCount)
      require(
        batch.columns.allSatisfy { $0.count == batch.rowCount }, "columns of different lengths")
      for column in batch.columns {
        for row in 0..<min(column.count, 50) { _ = column.isNull(row) }
      }
    }
  } catch {}
  do { try readBesideOthers(bytes) } catch {}
}

/// Small files that were made as the seeds are, of 12 rows.
private let likeSeeds = (try? TableSeeds.parquet()) ?? []

/// A small file after one of its kind, by which its footer is read, and before another.
private func readBesideOthers(_ bytes: [UInt8]) throws {
  let schema = Schema([
    Field("n", .int64, isNullable: false, fieldID: 1), Field("s", .string, fieldID: 2),
  ])
  var options = ParquetReaderOptions()
  options.memoryLimitBytes = 64 << 20
  for like in likeSeeds {
    let reader = try CoalescingParquetReader(schema: schema, options: options)
    var rows = 0
    for file in [like, bytes, like] {
      let isAdded = try reader.add(
        file, path: "/f.parquet", rowCount: 12, metadata: (key: "name", value: "mine"))
      if isAdded { rows += 12 }
    }
    require(rows >= 24, "a file of the usual form is read")
    let batch = try reader.take()
    require(batch.rowCount == rows, "\(batch.rowCount) rows of \(rows)")
    let texts = batch.columns[1]
    for row in 0..<rows { _ = texts.isNull(row) }
  }
}

/// The middle of each row group, column by column, by the pages that the file says it has; then its ends, so few
/// rows that they are found by their places.
private func readSomeRows(_ reader: ParquetReader) throws {
  let groups = reader.rowGroups.enumerated().prefix(8)
  let middles = groups.map { group, rowGroup in
    let (start, end) = (rowGroup.rowCount / 4, min(rowGroup.rowCount, rowGroup.rowCount / 4 + 5000))
    return ParquetRowRange(rowGroup: group, rows: start..<end)
  }
  let ends = groups.filter { $1.rowCount > 1 }.flatMap { group, rowGroup in
    [0, rowGroup.rowCount - 1].map { ParquetRowRange(rowGroup: group, rows: $0..<($0 + 1)) }
  }
  for (index, leaf) in reader.leaves.enumerated().prefix(16) {
    for group in groups.map(\.offset) {
      let pages = try reader.pages(rowGroup: group, leaf: index)
      let rowCount = reader.rowGroups[group].rowCount
      require(pages.isEmpty || pages.last?.rows.upperBound == rowCount, "pages cover the rows")
    }
    for ranges in [middles, ends] {
      guard let batches = try reader.batches(columns: [leaf.topLevelIndex], rows: ranges) else {
        continue
      }
      let wanted = ranges.reduce(0) { $0 + $1.rows.count }
      var rows = 0
      while let batch = try batches.next() { rows += batch.rowCount }
      require(rows == wanted, "\(rows) rows of \(wanted)")
    }
  }
}

/// The fuzzer's bytes as a file.
private final class FuzzFile: File {
  let path = "/fuzz.parquet"
  private let bytes: [UInt8]

  init(_ bytes: [UInt8]) { self.bytes = bytes }

  func size() throws(StorageError) -> Int64 { Int64(bytes.count) }

  func read(
    into buffer: UnsafeMutableRawBufferPointer, at byteOffset: Int64
  ) throws(StorageError) -> Int {
    guard byteOffset >= 0, byteOffset < bytes.count else { return 0 }
    let start = Int(byteOffset)
    let count = min(buffer.count, bytes.count - start)
    bytes.withUnsafeBytes { buffer.copyMemory(from: .init(rebasing: $0[start..<start + count])) }
    return count
  }

  private func refuse(_ operation: String) -> StorageError {
    StorageError(.readOnly, operation: operation, path: path, message: "only read")
  }
  func write(_ bytes: UnsafeRawBufferPointer, at byteOffset: Int64) throws(StorageError) {
    throw refuse("write")
  }
  func synchronizeData() throws(StorageError) { throw refuse("synchronize") }
  func truncate(to sizeBytes: Int64) throws(StorageError) { throw refuse("truncate") }
  func allocate(sizeBytes: Int64) throws(StorageError) { throw refuse("allocate") }
  func discardCache() throws(StorageError) {}
  func close() throws(StorageError) {}
}
