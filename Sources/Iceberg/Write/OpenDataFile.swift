import Columnar
import FileFormats
import Storage

/// A data file that is being written.
///
/// Large batches are encoded by a thread of the file's own, one at a time, while the caller makes the next ones and
/// metrics are gathered. What goes wrong there is thrown by a later call.
final class OpenDataFile {
  private let file: any File
  private let location: String
  private let encoder: BatchEncoder
  private var metrics: MetricsCollector
  private(set) var rowCount = 0
  /// What the file had grown to, and by how much at most with one batch.
  private var size: Int64 = 0
  private var largestStep: Int64 = 0
  /// What the files were long whose row groups are in it.
  private var copiedBytes: Int64 = 0

  /// From so many rows on a batch is handed to the thread.
  private static let largeBatchRows = 2048

  init(
    _ io: FileIO, location: String, columns: Schema, parquet: ParquetWriterOptions,
    rowGroupSizeBytes: Int64, metrics: MetricsCollector
  ) throws(IcebergError) {
    self.location = location
    self.metrics = metrics
    let file = try io.create(location)
    self.file = file
    var options = parquet
    options.metadata.append(FileNameMark.entry(location))
    options.hasFooterChecksums = true
    do {
      let writer = try ParquetWriter(file: file, schema: columns, options: options)
      encoder = BatchEncoder(writer, file: file, rowGroupSizeBytes: rowGroupSizeBytes)
    } catch {
      io.abandon(file)
      throw IcebergError(error)
    }
  }

  /// Adds rows.
  ///
  /// - Returns: whether the file would be at least as large as asked for if it were ended now.
  func write(_ batch: RecordBatch, targetFileSizeBytes: Int64) throws(IcebergError) -> Bool {
    let isLarge = batch.rowCount >= OpenDataFile.largeBatchRows
    if isLarge {
      measure(try encoder.begin(batch))
    } else {
      measure(try encoder.write(batch))
    }
    try metrics.add(batch)
    rowCount += batch.rowCount
    // Far from its end the file need not be measured with this batch.
    let ahead = Int64(BatchEncoder.maximumQueuedBatches + 2) * largestStep
    if isLarge, largestStep > 0, size + ahead < targetFileSizeBytes { return false }
    measure(try encoder.wait())
    return size >= targetFileSizeBytes
  }

  /// Adds the row groups of another file as they are, of which the table says what it says of `description`.
  ///
  /// - Returns: false, and nothing has happened, when that is not possible.
  func copy(_ reader: ParquetReader, _ description: DataFile) throws(IcebergError) -> Bool {
    var all = metrics
    guard all.add(description), let size = try encoder.copy(reader) else { return false }
    metrics = all
    rowCount = Int(clamping: Int64(rowCount).addingSaturated(description.recordCount))
    copiedBytes = copiedBytes.addingSaturated(description.fileSizeInBytes)
    // The last mebibyte may not have reached the file.
    measure(max(size, copiedBytes))
    return true
  }

  /// About how large the file would be if it were ended now.
  func currentSize() throws(IcebergError) -> Int64 {
    measure(max(try encoder.wait(), copiedBytes))
    return size
  }

  private func measure(_ newSize: Int64) {
    largestStep = max(largestStep, newSize - size)
    size = newSize
  }

  /// Ends the file, which is durable when the caller has made it so.
  func finish(
    _ io: FileIO, specID: Int32, partition: [Literal?], into files: UnpublishedFiles
  ) throws(IcebergError) -> DataFile {
    do throws(IcebergError) {
      let summary = try encoder.finish()
      try files.add(file)
      var dataFile = DataFile(
        path: location, specID: specID, partition: partition, recordCount: summary.rowCount,
        fileSizeInBytes: summary.fileSizeBytes)
      metrics.apply(to: &dataFile)
      dataFile.splitOffsets = summary.splitOffsets
      for column in summary.columns {
        guard let id = column.leaf.field.fieldID else { continue }
        dataFile.columnSizes[id] = column.compressedBytes
      }
      return dataFile
    } catch {
      abandon(io)
      throw error
    }
  }

  func abandon(_ io: FileIO) {
    encoder.stop()
    io.abandon(file)
  }
}

/// Writes batches into a Parquet file, in a thread if asked to.
private final class BatchEncoder {
  private struct State {
    /// To be encoded; the first one is being so.
    var batches: [RecordBatch] = []
    var isStopping = false
    /// About how large the file would be if it were ended.
    var size: Int64 = 0
    var error: IcebergError?
  }

  /// So many are taken in advance, if they are of no more bytes than the next.
  static let maximumQueuedBatches = 4
  private static let maximumQueuedBytes: Int64 = 32 << 20

  /// The writer, used by whoever holds the turn: the thread while there is a batch, else the caller.
  private final class Output: @unchecked Sendable {
    // Unchecked: the monitor's state says whose turn it is.
    private let writer: ParquetWriter
    private let file: any File
    private let rowGroupSizeBytes: Int64

    init(_ writer: ParquetWriter, _ file: any File, _ rowGroupSizeBytes: Int64) {
      self.writer = writer
      self.file = file
      self.rowGroupSizeBytes = rowGroupSizeBytes
    }

    /// Returns about how large the file would be if it were ended now.
    func write(_ batch: RecordBatch) throws(IcebergError) -> Int64 {
      do throws(FileFormatError) {
        try writer.write(batch)
        if writer.bufferedBytes >= rowGroupSizeBytes { try writer.endRowGroup() }
      } catch { throw IcebergError(error) }
      do { return try file.size() + writer.bufferedBytes } catch { throw IcebergError(error) }
    }

    /// nil when nothing can be copied.
    func copy(_ reader: ParquetReader) throws(IcebergError) -> Int64? {
      do {
        guard try writer.copyRowGroups(of: reader) else { return nil }
        return try file.size() + writer.bufferedBytes
      } catch let error as FileFormatError { throw IcebergError(error) } catch {
        throw IcebergError(.inputOutput, "\(error)")
      }
    }

    func finish() throws(IcebergError) -> ParquetFileSummary {
      do { return try writer.finish() } catch { throw IcebergError(error) }
    }
  }

  private let output: Output
  private let monitor = Monitor(State())
  private var thread: BackgroundThread?

  init(_ writer: ParquetWriter, file: any File, rowGroupSizeBytes: Int64) {
    output = Output(writer, file, rowGroupSizeBytes)
  }

  deinit { stop() }

  /// Encodes a batch; returns the file's size with it.
  func write(_ batch: RecordBatch) throws(IcebergError) -> Int64 {
    _ = try wait()
    let size = try output.write(batch)
    monitor.withLock { $0.size = size }
    return size
  }

  /// Copies the row groups of another file; returns the file's size with them, nil when they cannot be copied.
  func copy(_ reader: ParquetReader) throws(IcebergError) -> Int64? {
    _ = try wait()
    guard let size = try output.copy(reader) else { return nil }
    monitor.withLock { $0.size = size }
    return size
  }

  /// Encodes a batch after those before it, of which few are left by then; returns the file's size with those that are
  /// done.
  func begin(_ batch: RecordBatch) throws(IcebergError) -> Int64 {
    let bytes = batch.valueBytes
    let size = try wait { waiting in
      waiting.isEmpty
        || waiting.count < Self.maximumQueuedBatches
          && waiting.reduce(bytes) { $0 + $1.valueBytes } <= Self.maximumQueuedBytes
    }
    if thread == nil {
      do {
        thread = try BackgroundThread(name: "fstore-encode") { [output, monitor] in
          BatchEncoder.work(output, monitor)
        }
      } catch { throw IcebergError(error) }
    }
    monitor.withLock { $0.batches.append(batch) }
    monitor.broadcast()
    return size
  }

  /// Waits until all batches are encoded; returns the file's size.
  func wait() throws(IcebergError) -> Int64 { try wait { $0.isEmpty } }

  private func wait(
    until isEnough: ([RecordBatch]) -> Bool
  ) throws(IcebergError) -> Int64 {
    let result = monitor.wait { state -> Result<Int64, IcebergError>? in
      guard isEnough(state.batches) else { return nil }
      return state.error.map { .failure($0) } ?? .success(state.size)
    }
    return try result.get()
  }

  func finish() throws(IcebergError) -> ParquetFileSummary {
    _ = try wait()
    stop()
    return try output.finish()
  }

  /// Ends the thread; a batch that it has begun is still encoded.
  func stop() {
    monitor.withLock { $0.isStopping = true }
    monitor.broadcast()
    thread?.join()
    thread = nil
  }

  private static func work(_ output: Output, _ monitor: Monitor<State>) {
    while true {
      let next = monitor.wait { state -> RecordBatch?? in
        if state.isStopping { return .some(nil) }
        return state.batches.first.map { .some($0) }
      }
      guard let batch = next else { return }
      let result = Result { () throws(IcebergError) in try output.write(batch) }
      monitor.withLock { state in
        switch result {
        case .success(let size):
          state.size = size
          state.batches.removeFirst()
        case .failure(let error):
          state.error = error
          state.batches = []
        }
      }
      monitor.broadcast()
    }
  }
}
