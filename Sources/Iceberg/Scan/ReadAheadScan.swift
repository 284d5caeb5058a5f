import Columnar
import FileFormats

/// The rows of some files of a plan, in the order of the files, decoded ahead by several threads.
///
/// The files are cut into runs: one file, or small ones that together make a batch, which are coalesced. Each
/// thread decodes a run at a time. `next` gives what comes of the runs in their order. Memory: a few batches
/// for each thread. `next` and `cancel` are for one thread.
final class ReadAheadScan {
  enum Event: Sendable {
    case batch(RecordBatch)
    /// All rows of these files were in the batches before.
    /// Of a file that was split, each part says so of its own rows.
    case end([(task: FileScanTask, rowCount: Int64)])
  }

  private let rows: ReadAhead<RunReader>

  /// - Parameters:
  ///   - scan: says which columns; its own plan is not looked at.
  ///   - splitsFiles: whether the row groups of a large file are decoded by several threads, too.
  init(
    _ scan: TableScan, _ tasks: [FileScanTask], threadCount: Int, splitsFiles: Bool = false
  ) throws(IcebergError) {
    var scan = scan
    scan.concurrentFileCount = max(scan.concurrentFileCount, threadCount)
    let shared = scan
    let runs = try Self.runs(tasks, scan, splitsFiles: splitsFiles)
    // Two batches, and what says that they were the last.
    rows = ReadAhead(itemCount: runs.count, threadCount: threadCount, queuedEvents: 3) {
      RunReader(shared, runs)
    }
  }

  /// nil after the last file.
  func next() throws(IcebergError) -> Event? { try rows.next() }

  /// Ends the threads, and waits for them.
  func cancel() { rows.cancel() }

  // MARK: Runs

  /// Files that one thread decodes, one after the other.
  struct Run: Sendable {
    var tasks: [FileScanTask]
    /// Small files, to be read whole and coalesced where that is possible.
    var isCoalesced = false
    /// Which part of the one file.
    var part = FileScan.Part.whole
  }

  /// Up to this size a file is read at once.
  private static let smallFileBytes: Int64 = 1 << 20
  /// What small files make one batch.
  private static let runBytes: Int64 = 8 << 20
  private static let runRows: Int64 = 65_536

  /// Of a file of several row groups, parts of at least 1 MiB.
  private static func partCount(_ file: DataFile) -> Int {
    max(1, min(file.splitOffsets.count, Int(clamping: file.fileSizeInBytes >> 20)))
  }

  private static func runs(
    _ tasks: [FileScanTask], _ scan: TableScan, splitsFiles: Bool
  ) throws(IcebergError) -> [Run] {
    let schema = try scan.schema()
    let columns = Schema(schema.fields.map(\.columnarField))
    let isPlain =
      scan.filter == .alwaysTrue && CoalescingParquetReader.reads(columns)
      && schema.fields.allSatisfy { MetadataColumn(rawValue: $0.id) == nil }
    var runs: [Run] = []
    var open = Run(tasks: [], isCoalesced: true)
    var (bytes, rows): (Int64, Int64) = (0, 0)
    func close() {
      if !open.tasks.isEmpty { runs.append(open) }
      open.tasks = []
      (bytes, rows) = (0, 0)
    }
    for task in tasks {
      let file = task.dataFile
      guard isPlain, task.deletes.isEmpty, file.format == .parquet, file.keyMetadata == nil,
        (0...smallFileBytes).contains(file.fileSizeInBytes), file.recordCount <= runRows
      else {
        close()
        let parts = splitsFiles ? partCount(file) : 1
        for index in 0..<parts {
          runs.append(Run(tasks: [task], part: FileScan.Part(index: index, count: parts)))
        }
        continue
      }
      if bytes + file.fileSizeInBytes > runBytes || rows + file.recordCount > runRows { close() }
      open.tasks.append(task)
      bytes += file.fileSizeInBytes
      rows += file.recordCount
    }
    close()
    return runs
  }
}

/// Decodes runs, one after the other.
private final class RunReader: ReadAheadWorker {
  private let scan: TableScan
  private let runs: [ReadAheadScan.Run]
  private var coalescer: CoalescingParquetReader?

  init(_ scan: TableScan, _ runs: [ReadAheadScan.Run]) {
    self.scan = scan
    self.runs = runs
  }

  func work(_ item: Int, _ put: (ReadAheadScan.Event) throws -> Void) throws {
    let run = runs[item]
    guard run.isCoalesced else {
      for task in run.tasks { try put(.end([(task, try readRows(task, run.part, put))])) }
      return
    }
    // Of files that could not be coalesced.
    var counts: [String: Int64] = [:]
    let reader = try coalescer ?? makeCoalescer()
    coalescer = reader
    for task in run.tasks where try !add(task, to: reader) {
      // The file may only differ from those before it, whose rows come first in any case.
      if reader.rowCount > 0 {
        try put(.batch(try take(reader)))
        if try add(task, to: reader) { continue }
      }
      counts[task.dataFile.path] = try readRows(task, .whole, put)
    }
    if reader.rowCount > 0 { try put(.batch(try take(reader))) }
    try put(.end(run.tasks.map { ($0, counts[$0.dataFile.path] ?? $0.dataFile.recordCount) }))
  }

  private func makeCoalescer() throws(IcebergError) -> CoalescingParquetReader {
    let columns = Schema(try scan.schema().fields.map(\.columnarField))
    do {
      return try CoalescingParquetReader(schema: columns, options: scan.readerOptions)
    } catch { throw IcebergError(error) }
  }

  private func add(
    _ task: FileScanTask, to reader: CoalescingParquetReader
  ) throws(IcebergError) -> Bool {
    let file = task.dataFile
    do throws(IcebergError) {
      let bytes = try scan.table.io.readAll(file.path)
      do {
        return try reader.add(
          bytes, path: file.path, rowCount: file.recordCount,
          metadata: FileNameMark.entry(file.path))
      } catch { throw IcebergError(error) }
    } catch { throw error.adding("file", file.path) }
  }

  private func take(_ reader: CoalescingParquetReader) throws(IcebergError) -> RecordBatch {
    do { return try reader.take() } catch { throw IcebergError(error) }
  }

  private func readRows(
    _ task: FileScanTask, _ part: FileScan.Part, _ put: (ReadAheadScan.Event) throws -> Void
  ) throws -> Int64 {
    let rows = try FileScan(task, scan, part: part)
    var count: Int64 = 0
    while let batch = try rows.next() {
      count += Int64(batch.rowCount)
      try put(.batch(batch))
    }
    return count
  }
}
