internal import Columnar
internal import FileFormats
internal import Storage

/// How rows are written.
public enum RowFormat: String, Hashable, Sendable, CaseIterable {
  case parquet
  /// Arrow IPC, the file format (Feather V2).
  case arrow
  case csv

  static let endings = ".parquet, .arrow, .feather, .csv"

  /// By the file's ending; nil for another.
  public init?(path: String) {
    let path = path.lowercased()
    if path.hasSuffix(".parquet") {
      self = .parquet
    } else if path.hasSuffix(".arrow") || path.hasSuffix(".feather") {
      self = .arrow
    } else if path.hasSuffix(".csv") {
      self = .csv
    } else {
      return nil
    }
  }
}

/// Writes batches into a file that somebody else has opened and will close, from its start to its end.
struct BatchWriter {
  private enum Writer {
    case parquet(ParquetWriter)
    case arrow(ArrowFileWriter)
    case csv(CSVWriter)
  }

  private let writer: Writer

  init(_ file: any File, _ schema: Schema, _ format: RowFormat) throws(FileFormatError) {
    switch format {
    case .parquet: writer = .parquet(try ParquetWriter(file: file, schema: schema))
    case .arrow: writer = .arrow(try ArrowFileWriter(file: file, schema: schema))
    case .csv: writer = .csv(CSVWriter(file: file, schema: schema))
    }
  }

  func write(_ batch: RecordBatch) throws(FileFormatError) {
    switch writer {
    case .parquet(let writer): try writer.write(batch)
    case .arrow(let writer): try writer.write(batch)
    case .csv(let writer): try writer.write(batch)
    }
  }

  /// Writes what is left; returns the file's size in bytes.
  func finish() throws(FileFormatError) -> Int64 {
    switch writer {
    case .parquet(let writer): return try writer.finish().fileSizeBytes
    case .arrow(let writer): return try writer.finish()
    case .csv(let writer): return try writer.finish()
    }
  }
}
