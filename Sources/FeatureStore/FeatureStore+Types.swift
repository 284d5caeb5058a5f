public import FeatureModel

/// What `put` and `delete` answer: where in the store's one order of events the records stand.
public struct PutReceipt: Hashable, Sendable {
  /// The log sequence number of the first record.
  public var firstLSN: Int64
  /// The log sequence number of the last record; `wait(forOffline:)` takes it.
  public var lastLSN: Int64
  /// Records accepted.
  public var count: Int
}

/// One feature of an online answer, with why it is null if it is. Times are microseconds since
/// 1970-01-01T00:00:00Z.
public struct FeatureAnswer: Hashable, Sendable {
  public enum Status: String, Hashable, Sendable {
    case present
    /// The record's own value is null.
    case null
    case neverWritten = "never written"
    case expired
    case deleted
  }

  public var name: String
  public var type: FeatureType
  public var value: FeatureValue
  public var status: Status
  public var eventTime: Int64?
  /// When the store accepted the record.
  public var writeTime: Int64?
  public var lsn: Int64?
}

/// One row of input that was refused.
public struct RefusedRow: Hashable, Sendable {
  /// Counted from 1, the header included; nil for formats without lines (then `row` counts).
  public var line: Int?
  /// Counted from 1.
  public var row: Int?
  public var column: String?
  public var value: String?
  public var message: String

  public init(
    line: Int? = nil, row: Int? = nil, column: String? = nil, value: String? = nil, message: String
  ) {
    self.line = line
    self.row = row
    self.column = column
    self.value = value
    self.message = message
  }
}

/// How to ingest.
public struct IngestOptions: Sendable {
  public enum OnError: Sendable {
    /// The first row that does not fit ends the ingest; what came before it is kept.
    case stop
    /// Rows that do not fit are left out and reported.
    case skip
  }

  public var onError = OnError.stop
  /// New names for columns of the file.
  public var columnNames: [String: String] = [:]
  /// Flush after so many records; nil follows the store's `flushSizeBytes`.
  public var flushEveryRows: Int?
  public var flushesAtEnd = true
  /// Refused rows beyond so many are counted only.
  public var maximumReportedRows = 1000

  public init() {}
}

/// How far an ingest is.
public struct IngestProgress: Sendable {
  public var acceptedCount: Int
  public var refusedCount: Int
  public var bytesRead: Int64
  public var totalBytes: Int64
}

/// What an ingest did.
public struct IngestReport: Sendable {
  public var acceptedCount = 0
  public var refusedCount = 0
  /// The first refused rows, at most `IngestOptions.maximumReportedRows`.
  public var refusedRows: [RefusedRow] = []
  public var firstLSN: Int64?
  public var lastLSN: Int64?
  /// Whether a refused row ended the ingest; what was accepted before it is kept.
  public var wasStopped = false
  public var flushCount = 0
  /// Of a backfill: the table had the file already, and nothing was written.
  public var wasDoneBefore = false

  public init() {}
}

/// What one flush of a group did.
public struct FlushReport: Hashable, Sendable {
  public var group: String
  public var recordCount: Int
  public var fileCount: Int
  public var sizeBytes: Int64
  public var snapshotID: Int64
  /// The offline table now holds every record of the group up to this LSN.
  public var lsn: Int64
}
