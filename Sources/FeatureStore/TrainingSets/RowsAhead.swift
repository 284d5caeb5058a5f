internal import Columnar
internal import Storage

/// Makes the rows of a training set, the next batch while the caller writes the one before.
final class RowsAhead: ReadAheadWorker {
  /// Rows, and how much of the work is done with them.
  typealias Event = (batch: RecordBatch, doneBytes: Int64)

  /// Unchecked: one thread alone asks for rows; what the caller looks at meanwhile stays as it is.
  private struct Source: @unchecked Sendable {
    let rows: TrainingSetRows
  }

  private let source: Source

  private init(_ source: Source) { self.source = source }

  /// Memory: two batches more.
  static func of(_ rows: TrainingSetRows) -> ReadAhead<RowsAhead> {
    let source = Source(rows: rows)
    return ReadAhead(itemCount: 1, threadCount: 1, queuedEvents: 1) { RowsAhead(source) }
  }

  func work(_ item: Int, _ put: (Event) throws -> Void) throws {
    while let batch = try source.rows.next() { try put((batch, source.rows.doneBytes)) }
  }
}
