internal import Columnar
internal import FileFormats
internal import Storage

/// The formats that training sets are written in, by the file's name.
enum OutputFormat {
  case parquet
  case csv

  init?(_ path: String) {
    if path.lowercased().hasSuffix(".parquet") {
      self = .parquet
    } else if path.lowercased().hasSuffix(".csv") {
      self = .csv
    } else {
      return nil
    }
  }
}

/// A file of rows that appears under its name only when it is whole and durable.
final class OutputFile {
  private enum Writer {
    case parquet(ParquetWriter)
    case csv(CSVWriter)
  }

  private let fileSystem: any FileSystem
  private let path: String
  private let temporary: String
  private let replacing: Bool
  private let file: any File
  private let writer: Writer

  init(
    fileSystem: any FileSystem, path: String, schema: Schema, replacing: Bool
  ) throws {
    self.fileSystem = fileSystem
    self.path = path
    self.replacing = replacing
    let unique = String(UInt64.random(in: .min ... .max), radix: 16)
    temporary = StoragePath.join(
      StoragePath.directory(of: path), ".\(StoragePath.lastComponent(of: path)).\(unique).tmp")
    file = try fileSystem.open(temporary, .create)
    do {
      switch OutputFormat(path) {
      case .csv: writer = .csv(CSVWriter(file: file, schema: schema))
      default: writer = .parquet(try ParquetWriter(file: file, schema: schema))
      }
    } catch {
      try fileSystem.removeFile(temporary)
      throw error
    }
  }

  func write(_ batch: RecordBatch) throws {
    switch writer {
    case .parquet(let writer): try writer.write(batch)
    case .csv(let writer): try writer.write(batch)
    }
  }

  /// Publishes the file; returns its size in bytes.
  func finish() throws -> Int64 {
    switch writer {
    case .parquet(let writer): _ = try writer.finish()
    case .csv(let writer): _ = try writer.finish()
    }
    try file.synchronizeData()
    let size = try file.size()
    try file.close()
    try fileSystem.rename(temporary, to: path, replacing: replacing)
    try fileSystem.synchronizeDirectory(StoragePath.directory(of: path))
    return size
  }

  /// Removes what was written. A failure to leaves a hidden temporary file, which harms nobody.
  func abandon() {
    do {
      try file.close()
      try fileSystem.removeFile(temporary)
    } catch {}
  }
}
