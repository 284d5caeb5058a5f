/// Where a training set goes. Files and folders appear under their names only when they are whole and durable.
public enum TrainingSetOutput: Hashable, Sendable {
  public enum Format: Hashable, Sendable, CaseIterable {
    case parquet
    /// An Arrow IPC file (Feather V2), which can be mapped.
    case arrowFile
    /// Arrow IPC batches one after the other, which can be piped.
    case arrowStream
    case csv

    /// By the name's extension: .parquet, .arrow, .feather or .ipc, .arrows, .csv.
    public init?(path: String) {
      let name = path.lowercased()
      if name.hasSuffix(".parquet") {
        self = .parquet
      } else if [".arrow", ".feather", ".ipc"].contains(where: name.hasSuffix) {
        self = .arrowFile
      } else if name.hasSuffix(".arrows") {
        self = .arrowStream
      } else if name.hasSuffix(".csv") {
        self = .csv
      } else {
        return nil
      }
    }

    /// Whether a reader can use the beginning while the rest is being written.
    public var isStream: Bool { self == .arrowStream || self == .csv }
  }

  /// One file, in the format that its name says.
  case file(String)
  /// Parquet files in a folder.
  case folder(String, TrainingSetFolder)
  /// Standard output, in a format that streams.
  case standardOutput(Format)
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
