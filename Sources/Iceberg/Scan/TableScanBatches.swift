public import Columnar

/// The matching rows of a whole scan, batch by batch, decoded by several threads: files in the order of the plan,
/// rows in the order of their file.
///
/// Memory: the plan, and a few batches for each thread. Used by one thread at a time; the threads start with the
/// first `next` and end with the last batch, with `cancel`, or with this.
public final class TableScanBatches {
  /// The columns of the batches, with field ids.
  public let schema: Schema
  /// The files that are read.
  public let plan: ScanPlan
  private let rows: ReadAheadScan

  init(_ scan: TableScan, threadCount: Int) throws(IcebergError) {
    schema = Schema(try scan.schema().fields.map(\.columnarField))
    plan = try scan.planFiles()
    rows = try ReadAheadScan(scan, plan.tasks, threadCount: threadCount, splitsFiles: true)
  }

  /// The next batch, which has rows; nil at the end. After an error there are no more.
  public func next() throws(IcebergError) -> RecordBatch? {
    while let event = try rows.next() {
      if case .batch(let batch) = event { return batch }
    }
    return nil
  }

  /// Gives up the rest, and waits for the threads.
  public func cancel() { rows.cancel() }
}
