internal import Storage
public import WriteAheadLog

/// Why the online store refused or failed.
public enum OnlineStoreError: Error, Hashable, Sendable, CustomStringConvertible {
  case log(WriteAheadLogError)
  /// A key has more bytes than `LogEntry.keyLimitBytes`. Nothing was written.
  case keyTooLong(sizeBytes: Int)
  /// The log's record is whole, but no entry that this version knows, or not the one indexed.
  case malformedEntry(LogPosition)
  /// The index does not answer with this record, nor with a newer one of its key.
  case indexDisagrees(LogSequenceNumber)
  /// The index has what it should not have.
  case indexDamaged(reason: String)

  /// The disk has no room; nothing is harmed.
  var isFullDisk: Bool {
    switch self {
    case .log(.full): true
    case .log(.storage(let error)): error.kind == .full
    default: false
    }
  }

  public var description: String {
    switch self {
    case .log(let error): error.description
    case .keyTooLong(let sizeBytes):
      "a key of \(sizeBytes) bytes is longer than the \(LogEntry.keyLimitBytes) allowed"
    case .indexDisagrees(let lsn): "the index lacks the record with LSN \(lsn)"
    case .indexDamaged(let reason): reason
    case .malformedEntry(let position):
      "the record at byte \(position.byteOffset) of segment \(position.segment) is no valid entry"
    }
  }
}
