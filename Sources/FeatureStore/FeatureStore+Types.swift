public import FeatureModel

/// What `put` and `delete` answer: where in the store's one order of events the records stand.
public struct PutReceipt: Hashable, Sendable {
  /// The log sequence number of the first record.
  public var firstLSN: UInt64
  /// The log sequence number of the last record; `wait(for:)` takes it.
  public var lastLSN: UInt64
  /// Records accepted.
  public var count: Int
}

/// What the online store knows of one entity in one group.
public enum OnlineAnswer: Hashable, Sendable {
  /// The newest record; values are those of the features asked for, in that order.
  case found(OnlineRecord)
  /// No record of this key was ever accepted.
  case neverWritten
  /// The newest record is older than the group's ttl.
  case expired(eventTime: Int64, writeTime: Int64, lsn: UInt64)
  /// The newest record is a tombstone.
  case deleted(eventTime: Int64, writeTime: Int64, lsn: UInt64)
}

/// The newest record of an entity. Times are microseconds since 1970-01-01T00:00:00Z.
public struct OnlineRecord: Hashable, Sendable {
  public var values: [FeatureValue]
  public var eventTime: Int64
  /// When the store accepted the record.
  public var writeTime: Int64
  public var lsn: UInt64
}

/// One feature of a view's online answer, with why it is null if it is.
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
  public var value: FeatureValue
  public var status: Status
  public var eventTime: Int64?
  public var writeTime: Int64?
  public var lsn: UInt64?
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

/// What an ingest did.
public struct IngestReport: Sendable {
  public var acceptedCount = 0
  public var refusedCount = 0
  /// The first refused rows, at most `IngestOptions.maximumReportedRows`.
  public var refusedRows: [RefusedRow] = []
  public var firstLSN: UInt64?
  public var lastLSN: UInt64?
  /// Whether a refused row ended the ingest; what was accepted before it is kept.
  public var wasStopped = false
  public var flushCount = 0

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
  public var lsn: UInt64
}
