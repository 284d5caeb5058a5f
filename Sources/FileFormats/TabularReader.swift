public import Columnar
public import Storage

/// The formats that rows come in.
public enum TabularFormat: Hashable, Sendable {
  case csv(delimiter: UInt8)
  case jsonLines
  case parquet
  /// An Arrow IPC file (Feather) or stream.
  case arrow

  /// By the name's extension: .csv, .tsv, .jsonl, .ndjson, .json, .parquet, .arrow, .feather, .ipc.
  public init?(path: String) {
    let name = path.split(separator: "/").last ?? ""
    guard let dot = name.lastIndex(of: ".") else { return nil }
    switch name[dot...].lowercased() {
    case ".csv": self = .csv(delimiter: UInt8(ascii: ","))
    case ".tsv": self = .csv(delimiter: UInt8(ascii: "\t"))
    case ".jsonl", ".ndjson", ".json": self = .jsonLines
    case ".parquet": self = .parquet
    case ".arrow", ".feather", ".ipc": self = .arrow
    default: return nil
    }
  }
}

/// Opens files of rows, whatever their format.
public enum TabularReader {
  /// Opens by the name's extension.
  ///
  /// - Parameter csv: for CSV; its delimiter counts for .csv, a .tsv file has tabs.
  public static func open(
    _ file: any File, options: TabularOptions = TabularOptions(), csv: CSVOptions = CSVOptions()
  ) throws(FileFormatError) -> any TabularSource {
    guard let format = TabularFormat(path: file.path) else {
      throw FileFormatError(
        .invalidArgument, path: file.path,
        message: "the name's extension is none of .csv, .tsv, .jsonl, .ndjson, .json, .parquet,"
          + " .arrow, .feather")
    }
    var csv = csv
    if case .csv(let delimiter) = format, delimiter == UInt8(ascii: "\t") {
      csv.delimiter = delimiter
    }
    return try open(file, as: format, options: options, csv: csv)
  }

  /// Opens as this format; of CSV, the delimiter of `csv` counts.
  public static func open(
    _ file: any File, as format: TabularFormat, options: TabularOptions = TabularOptions(),
    csv: CSVOptions = CSVOptions()
  ) throws(FileFormatError) -> any TabularSource {
    switch format {
    case .csv: return try CSVReader(file: file, options: options, csv: csv)
    case .jsonLines: return try JSONLinesReader(file: file, options: options)
    case .parquet:
      var readerOptions = ParquetReaderOptions()
      readerOptions.memoryLimitBytes = options.memoryLimitBytes
      let reader = try ParquetReader(file: file, options: readerOptions)
      return try TypedSource(reader.schema, options: options, path: file.path) {
        columns throws(FileFormatError) in
        let stream = try reader.batches(columns: columns)
        return { () throws(FileFormatError) in try stream.next() }
      }
    case .arrow:
      let stream = try ArrowFileReader.open(file, memoryLimitBytes: options.memoryLimitBytes)
      return try TypedSource(stream.schema, options: options, path: file.path) {
        columns throws(FileFormatError) in
        let chosen = stream.selecting(columns)
        return { () throws(FileFormatError) in try chosen.next() }
      }
    }
  }

  /// Batches in memory, as if they were read from a file.
  ///
  /// - Precondition: each has the columns of `schema`.
  public static func open(
    _ batches: [RecordBatch], schema: Schema, options: TabularOptions = TabularOptions()
  ) throws(FileFormatError) -> any TabularSource {
    try TypedSource(schema, options: options, path: "batches in memory") {
      columns throws(FileFormatError) in
      let wanted = Schema(columns.map { schema.fields[$0] })
      var rest = batches[...]
      return { () throws(FileFormatError) in
        guard let batch = rest.popFirst() else { return nil }
        return RecordBatch(
          schema: wanted, columns: columns.map { batch.columns[$0] }, rowCount: batch.rowCount)
      }
    }
  }
}
