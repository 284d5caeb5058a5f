internal import Columnar
internal import FileFormats
internal import Storage

/// A file that rows are written into, in one of the formats. The caller has created the file.
final class FormatWriter {
  private enum Writer {
    case parquet(ParquetWriter)
    case arrow(ArrowFileWriter)
    case csv(CSVWriter)
  }

  private let format: RowFormat
  private let schema: Schema
  private let rowGroupRows: Int
  private let file: any File
  private let hashed: HashedFile?
  /// Opened for the first rows: they say how Parquet's columns are best encoded.
  private var writer: Writer?

  /// A quarter of what data files have: most of a file is on its way to the disk when its last rows come.
  static let rowGroupRows = 1 << 18

  /// - Parameters:
  ///   - rowGroupRows: of Parquet: how many rows are held before they are written.
  ///   - isHashed: whether `finish` says the SHA-256 of what was written.
  init(
    _ file: any File, _ format: RowFormat, schema: Schema,
    rowGroupRows: Int = FormatWriter.rowGroupRows, isHashed: Bool = false
  ) {
    hashed = isHashed ? HashedFile(file) : nil
    self.file = hashed ?? file
    self.format = format
    self.schema = schema
    self.rowGroupRows = rowGroupRows
  }

  private func opened(startingWith batch: RecordBatch?) throws -> Writer {
    if let writer { return writer }
    let writer: Writer
    switch format {
    case .parquet:
      var options = ParquetWriterOptions()
      options.usesThreads = true
      // As data files: level 3 takes half as long again for a few per cent.
      options.compression = .zstandard(level: 1)
      options.rowGroupRows = rowGroupRows
      if let batch, var sample = EncodingSample(batch) { try sample.choose(&options) }
      writer = .parquet(try ParquetWriter(file: file, schema: schema, options: options))
    case .arrowFile, .arrowStream:
      writer = .arrow(
        try ArrowFileWriter(file: file, schema: schema, isStream: format == .arrowStream))
    case .csv: writer = .csv(CSVWriter(file: file, schema: schema))
    }
    self.writer = writer
    return writer
  }

  func write(_ batch: RecordBatch) throws {
    switch try opened(startingWith: batch) {
    case .parquet(let writer): try writer.write(batch)
    case .arrow(let writer): try writer.write(batch)
    case .csv(let writer): try writer.write(batch)
    }
  }

  /// Writes the end, and makes the file durable and closes it. Returns what it is.
  func finish() throws -> (sizeBytes: Int64, sha256: String?) {
    switch try opened(startingWith: nil) {
    case .parquet(let writer): _ = try writer.finish()
    case .arrow(let writer): _ = try writer.finish()
    case .csv(let writer): _ = try writer.finish()
    }
    try file.synchronizeData()
    let size = try file.size()
    try file.close()
    return (size, hashed?.digest)
  }

  func close() throws(StorageError) { try file.close() }
}
