/// How rows are written into a file.
public enum RowFormat: Hashable, Sendable, CaseIterable {
  case parquet
  /// An Arrow IPC file (Feather V2), which can be mapped.
  case arrowFile
  /// Arrow IPC batches one after the other, which can be piped.
  case arrowStream
  case csv

  static let endings = ".parquet, .arrow, .arrows or .csv"

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
