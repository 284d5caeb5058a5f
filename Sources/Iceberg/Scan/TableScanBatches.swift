public import Columnar

/// The matching rows of a whole scan, batch by batch, decoded by several threads: files in the order of the plan,
/// rows in the order of their file.
///
/// Memory: the plan, and up to ten batches for each thread. Used by one thread at a time; the threads start with the
/// first `next` and end with the last batch, with `cancel`, or with this.
public final class TableScanBatches {
  /// The columns of the batches, with field ids.
  public let schema: Schema
  /// The files that are read.
  public let plan: ScanPlan
  /// How many rows came of each of the plan's files; complete once `next` has returned nil. A later scan of the
  /// same files gives the same rows in the same order.
  public private(set) var rowCounts: [Int64]
  /// What the files take of which all rows were given out.
  public private(set) var bytesRead: Int64 = 0
  private var fileIndex = 0
  private let rows: ReadAheadScan

  init(_ scan: TableScan, _ plan: ScanPlan, threadCount: Int) throws(IcebergError) {
    schema = Schema(try scan.schema().fields.map(\.columnarField))
    self.plan = plan
    rowCounts = Array(repeating: 0, count: plan.tasks.count)
    // A row group of usual size has 16 batches.
    rows = try ReadAheadScan(
      scan, plan.tasks, threadCount: threadCount, splitsFiles: true, queuedBatches: 8)
  }

  /// The next batch, which has rows; nil at the end. After an error there are no more.
  public func next() throws(IcebergError) -> RecordBatch? {
    while let event = try rows.next() {
      switch event {
      case .batch(let batch): return batch
      case .end(let files): for file in files { note(file.task, file.rowCount) }
      }
    }
    if let last = plan.tasks.last, fileIndex == plan.tasks.count - 1 {
      bytesRead += last.dataFile.fileSizeInBytes
      fileIndex += 1
    }
    return nil
  }

  /// Files end in their order; one that was split ends once for each part.
  private func note(_ task: FileScanTask, _ rowCount: Int64) {
    while fileIndex < plan.tasks.count, plan.tasks[fileIndex].dataFile.path != task.dataFile.path {
      bytesRead += plan.tasks[fileIndex].dataFile.fileSizeInBytes
      fileIndex += 1
    }
    precondition(fileIndex < plan.tasks.count, "files end in the order of the plan")
    rowCounts[fileIndex] += rowCount
  }

  /// Gives up the rest, and waits for the threads.
  public func cancel() { rows.cancel() }
}
