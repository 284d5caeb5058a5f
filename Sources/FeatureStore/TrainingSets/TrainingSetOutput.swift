/// Where a training set goes. Files and folders appear under their names only when they are whole and durable.
public enum TrainingSetOutput: Hashable, Sendable {
  /// One file, in the format that its name says.
  case file(String)
  /// Parquet files in a folder.
  case folder(String, TrainingSetFolder)
  /// Standard output, in a format that streams.
  case standardOutput(RowFormat)
}

/// How a training set is laid out as Parquet files in a folder.
public struct TrainingSetFolder: Hashable, Sendable {
  /// Columns by whose values the rows are parted: each combination has a folder, `year=2013/month=1`, as Hive,
  /// Spark, DuckDB and Polars read it. The files lack these columns.
  public var partitionColumns: [String]
  /// Rows after which another file is begun; nil for as many as there are.
  public var rowsPerFile: Int?

  public init(partitionColumns: [String] = [], rowsPerFile: Int? = nil) {
    self.partitionColumns = partitionColumns
    self.rowsPerFile = rowsPerFile
  }
}

/// One file of a training set.
public struct TrainingSetFile: Hashable, Sendable {
  /// The path of the file; of a folder's files, below the folder; `-` for standard output.
  public var name: String
  public var sizeBytes: Int64
  /// In hexadecimal, where it was asked for.
  public var sha256: String?

  public init(name: String, sizeBytes: Int64, sha256: String? = nil) {
    self.name = name
    self.sizeBytes = sizeBytes
    self.sha256 = sha256
  }
}
