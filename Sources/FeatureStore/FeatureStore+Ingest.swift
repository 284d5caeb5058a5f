internal import Columnar
internal import FeatureModel
internal import FileFormats
internal import OnlineStore
internal import Storage

// Ingest of files.
extension FeatureStore {
  /// Puts the records of a CSV, JSON lines, Parquet or Arrow file, by the file's name.
  ///
  /// Columns are matched by name; columns of the group that the file lacks are null, except the key and
  /// the event time, which must be there. Records are acknowledged batch by batch: after a failure those
  /// that the report or the log counts are kept.
  ///
  /// - Parameter progress: called after each commit; what it counts as accepted is durable.
  public func ingest(
    _ groupName: String, file path: String, options: IngestOptions = IngestOptions(),
    progress: (IngestProgress) -> Void = { _ in }
  ) throws(FeatureStoreError) -> IngestReport {
    let log = try requireWriter("ingest")
    let group = try group(groupName)
    do {
      var ingest = try Ingest(
        store: self, group: group, log: log, path: path, options: options)
      return try ingest.run(progress)
    } catch { throw FeatureStoreError(error) }
  }
}

/// A file of records, read in the columns of a group.
struct IngestSource {
  let file: MeasuredFile
  let totalBytes: Int64
  private let source: any TabularSource

  init(
    _ store: FeatureStore, _ group: FeatureGroup, path: String, _ options: IngestOptions
  ) throws {
    guard try store.fileSystem.information(path) != nil else {
      throw FeatureStoreError(.notFound, "there is no file '\(path)'")
    }
    file = MeasuredFile(try store.fileSystem.open(path, .read))
    totalBytes = try file.size()
    guard totalBytes > 0 else { throw FeatureStoreError(.invalidInput, "'\(path)' is empty") }
    var tabular = TabularOptions(schema: group.recordSchema)
    tabular.renames = options.columnNames
    tabular.missingColumnsAreNull = true
    do {
      source = try TabularReader.open(file, options: tabular)
    } catch {
      guard error.kind == .invalidArgument else { throw error }
      // What does not fit is the file here, not the command line.
      throw FeatureStoreError(.invalidInput, error.description, cause: error)
    }
  }

  func next() throws -> TabularBatch? { try source.next() }
}

/// One file on its way into the log.
private struct Ingest {
  let store: FeatureStore
  let group: FeatureGroup
  let log: OnlineStore
  let options: IngestOptions
  private let source: IngestSource
  private let encoder: RecordEncoder
  private var report = IngestReport()
  private var unflushedRows = 0
  private var unflushedBytes = 0

  init(
    store: FeatureStore, group: FeatureGroup, log: OnlineStore, path: String,
    options: IngestOptions
  ) throws {
    self.store = store
    self.group = group
    self.log = log
    self.options = options
    source = try IngestSource(store, group, path: path, options)
    encoder = RecordEncoder(group)
  }

  mutating func run(_ progress: (IngestProgress) -> Void) throws -> IngestReport {
    while !report.wasStopped, let batch = try source.next() {
      var errors = batch.errors.map {
        RefusedRow(line: $0.line, column: $0.column, value: $0.value, message: $0.message)
      }
      var row = 0
      while row < batch.batch.rowCount, !report.wasStopped {
        let room = min(
          FeatureStore.maximumBatchRows, (options.flushEveryRows ?? .max) - unflushedRows)
        let rows = row..<min(row + room, batch.batch.rowCount)
        try put(batch, rows, &errors)
        row = rows.upperBound
        let isDue = unflushedRows >= options.flushEveryRows ?? .max
        if isDue || unflushedBytes >= store.options.flushSizeBytes { try flush() }
        progress(state)
      }
      try refuse(&errors, upTo: .max)
      progress(state)
    }
    if options.flushesAtEnd { try flush() }
    return report
  }

  private var state: IngestProgress {
    IngestProgress(
      acceptedCount: report.acceptedCount, refusedCount: report.refusedCount,
      bytesRead: source.file.bytesRead,
      totalBytes: source.totalBytes)
  }

  /// Puts rows of a batch, in the order of the file also with respect to what is refused, so that
  /// "stop" keeps exactly what came before.
  private mutating func put(
    _ batch: TabularBatch, _ rows: Range<Int>, _ errors: inout [RefusedRow]
  ) throws {
    let slice = batch.batch.slice(rows)
    let encoded = encoder.encode(slice.columns, rowCount: rows.count)
    for refusal in encoded.refusals {
      errors.append(
        RefusedRow(
          line: batch.lineNumbers[rows.lowerBound + refusal.row], column: refusal.error.column,
          message: refusal.error.message))
    }
    errors.sort { ($0.line ?? 0) < ($1.line ?? 0) }
    var accepted = encoded
    let lastLine = batch.lineNumbers[rows.upperBound - 1]
    if options.onError == .stop, let first = errors.first?.line, first <= lastLine {
      // Leave out everything from the first refused row on.
      let refused = Set(encoded.refusals.map(\.row))
      for row in 0..<rows.count
      where batch.lineNumbers[rows.lowerBound + row] >= first && !refused.contains(row) {
        accepted.refusals.append(
          .init(row: row, error: FeatureModelError(.invalidValue, "after the first error")))
      }
      accepted.refusals.sort { $0.row < $1.row }
    }
    if accepted.refusals.count < rows.count {
      let receipt = try store.append(accepted, group, to: log)
      report.acceptedCount += receipt.count
      report.firstLSN = report.firstLSN ?? receipt.firstLSN
      report.lastLSN = receipt.lastLSN
      unflushedRows += receipt.count
      unflushedBytes += encoded.rows.bytes.count + encoded.keys.bytes.count
    }
    try refuse(&errors, upTo: lastLine)
  }

  private mutating func refuse(_ errors: inout [RefusedRow], upTo line: Int) throws {
    let count = errors.prefix { ($0.line ?? 0) <= line }.count
    guard count > 0, !report.wasStopped else { return }
    switch options.onError {
    case .skip:
      report.refusedCount += count
      let room = max(0, options.maximumReportedRows - report.refusedRows.count)
      report.refusedRows += errors[..<min(count, room)]
    case .stop:
      report.refusedCount += 1
      report.refusedRows.append(errors[0])
      report.wasStopped = true
    }
    errors.removeFirst(count)
  }

  private mutating func flush() throws {
    report.flushCount += try store.flush().count
    unflushedRows = 0
    unflushedBytes = 0
  }
}
