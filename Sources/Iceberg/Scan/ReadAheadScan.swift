import Columnar
import FileFormats
import Storage

/// The rows of some files of a plan, in the order of the files, decoded ahead by several threads.
///
/// The files are cut into runs: one file, or small ones that together make a batch, which are coalesced. Each
/// thread decodes a run at a time. `next` gives what comes of the runs in their order. Memory: a few batches
/// for each thread. `next` and `cancel` are for one thread.
final class ReadAheadScan {
  enum Event: Sendable {
    case batch(RecordBatch)
    /// All rows of these files were in the batches before.
    case end([(task: FileScanTask, rowCount: Int64)])
  }

  private let shared: Shared
  private var threads: [BackgroundThread] = []
  /// What was taken over and not given out, the next one last.
  private var taken: [Event] = []

  /// - Parameter scan: says which columns; its own plan is not looked at.
  init(
    _ scan: TableScan, _ tasks: [FileScanTask], threadCount: Int
  ) throws(IcebergError) {
    var scan = scan
    scan.concurrentFileCount = max(scan.concurrentFileCount, threadCount)
    shared = Shared(
      scan: scan, runs: try Self.runs(tasks, scan), lookAhead: max(1, threadCount) + 1)
    do {
      for _ in 0..<min(max(1, threadCount), shared.runs.count) {
        threads.append(try BackgroundThread(name: "fstore-scan") { [shared] in shared.work() })
      }
    } catch {
      cancel()
      throw IcebergError(error)
    }
  }

  deinit { cancel() }

  /// nil after the last file.
  func next() throws(IcebergError) -> Event? {
    if taken.isEmpty { taken = try shared.next().reversed() }
    return taken.popLast()
  }

  /// Ends the threads, and waits for them.
  func cancel() {
    shared.monitor.withLock { $0.isCancelled = true }
    shared.monitor.broadcast()
    for thread in threads { thread.join() }
    threads = []
  }

  // MARK: Runs

  /// Files that one thread decodes, one after the other.
  struct Run: Sendable {
    var tasks: [FileScanTask]
    /// Small files, to be read whole and coalesced where that is possible.
    var isCoalesced = false
  }

  /// Up to this size a file is read at once.
  private static let smallFileBytes: Int64 = 1 << 20
  /// What small files make one batch.
  private static let runBytes: Int64 = 8 << 20
  private static let runRows: Int64 = 65_536

  private static func runs(
    _ tasks: [FileScanTask], _ scan: TableScan
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
        runs.append(Run(tasks: [task]))
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

/// What the threads and the reader of a scan share.
private final class Shared: Sendable {
  struct Queue {
    var events: [ReadAheadScan.Event] = []
    var isComplete = false
    var error: IcebergError?
  }

  struct State {
    /// The run whose events are given out.
    var current = 0
    var nextRun = 0
    var queues: [Int: Queue] = [:]
    var isCancelled = false
  }

  let scan: TableScan
  let runs: [ReadAheadScan.Run]
  let monitor = Monitor(State())
  /// How many runs may be begun and not given out.
  private let lookAhead: Int
  /// How much of one run may wait to be given out.
  private static let queuedEvents = 2

  init(scan: TableScan, runs: [ReadAheadScan.Run], lookAhead: Int) {
    self.scan = scan
    self.runs = runs
    self.lookAhead = lookAhead
  }

  /// What is there of the current run; empty after the last one.
  func next() throws(IcebergError) -> [ReadAheadScan.Event] {
    let found = monitor.wait { state -> Result<[ReadAheadScan.Event], IcebergError>? in
      while state.current < runs.count {
        guard let queue = state.queues[state.current] else { return nil }
        if !queue.events.isEmpty {
          state.queues[state.current]?.events = []
          return .success(queue.events)
        }
        if let error = queue.error { return .failure(error) }
        guard queue.isComplete else { return nil }
        state.queues[state.current] = nil
        state.current += 1
      }
      return .success([])
    }
    monitor.broadcast()
    return try found.get()
  }

  // MARK: In a thread

  private struct Cancelled: Error {}

  func work() {
    let reader = RunReader(scan)
    while true {
      let run = monitor.wait { state -> Int? in
        if state.isCancelled || state.nextRun >= runs.count { return -1 }
        guard state.nextRun < state.current + lookAhead else { return nil }
        state.nextRun += 1
        state.queues[state.nextRun - 1] = Queue()
        return state.nextRun - 1
      }
      guard run >= 0 else { return }
      var failure: IcebergError?
      do {
        try reader.read(runs[run]) { event in try put(event, run) }
      } catch let error as IcebergError {
        failure = error
      } catch { return }
      monitor.withLock { state in
        state.queues[run]?.isComplete = true
        state.queues[run]?.error = failure
      }
      monitor.broadcast()
    }
  }

  private func put(_ event: ReadAheadScan.Event, _ run: Int) throws {
    let isCancelled = monitor.wait { state -> Bool? in
      if state.isCancelled { return true }
      if case .batch = event, (state.queues[run]?.events.count ?? 0) >= Self.queuedEvents {
        return nil
      }
      state.queues[run]?.events.append(event)
      return false
    }
    if isCancelled { throw Cancelled() }
    monitor.broadcast()
  }
}

/// Decodes runs, one after the other.
private final class RunReader {
  private let scan: TableScan
  private var coalescer: CoalescingParquetReader?

  init(_ scan: TableScan) { self.scan = scan }

  func read(
    _ run: ReadAheadScan.Run, _ put: (ReadAheadScan.Event) throws -> Void
  ) throws {
    guard run.isCoalesced else {
      for task in run.tasks { try put(.end([(task, try readRows(task, put))])) }
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
      counts[task.dataFile.path] = try readRows(task, put)
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
    _ task: FileScanTask, _ put: (ReadAheadScan.Event) throws -> Void
  ) throws -> Int64 {
    let rows = try scan.batches(task)
    var count: Int64 = 0
    while let batch = try rows.next() {
      count += Int64(batch.rowCount)
      try put(.batch(batch))
    }
    return count
  }
}
