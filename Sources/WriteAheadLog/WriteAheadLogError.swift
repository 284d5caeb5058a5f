public import Storage

/// Why the log could not be opened, written or read.
public enum WriteAheadLogError: Error, Hashable, Sendable, CustomStringConvertible {
  /// A file operation failed; while opening or reading, nothing is harmed.
  case storage(StorageError)
  /// Bytes that were once durable are not what was written. `byteOffset` is where the first damage is.
  case corrupt(path: String, byteOffset: Int, reason: String)
  /// Writing failed before, so nothing more is written: what the disk holds is only known after the
  /// log was opened again. Reads go on.
  case poisoned(cause: StorageError)
  /// This append failed; whether its records are there is only known after the log was opened again.
  case appendFailed(cause: StorageError)
  case closed
  case openedForReadingOnly
  /// One record, or one append, has more bytes than a frame may have. Nothing was written.
  case tooLarge(sizeBytes: Int, limitBytes: Int)
  /// The disk has no room for a new segment. Nothing was written, and nothing is harmed: reads go on,
  /// and so do appends once there is room.
  case full(cause: StorageError)
  /// The log has grown to the bound that its options set. Nothing was written; appends go on once
  /// segments are removed.
  case limitReached(sizeBytes: Int, limitBytes: Int)
  /// What was asked for was removed: the log begins with this LSN now. A follower that gets this has
  /// fallen behind, and begins again with a checkpoint or a copy.
  case removed(firstLSN: LogSequenceNumber)
  /// The position given is none of this log's records.
  case noSuchPosition(LogPosition)

  public var description: String {
    switch self {
    case .storage(let error): error.description
    case .corrupt(let path, let byteOffset, let reason):
      "the log is damaged at byte \(byteOffset) of '\(path)': \(reason)"
    case .poisoned(let cause):
      "the log takes no more writes since one failed (\(cause)); open it again to go on"
    case .appendFailed(let cause):
      "the write failed (\(cause)); open the log again to see whether it is there"
    case .closed: "the log is closed"
    case .openedForReadingOnly: "the log was opened for reading only"
    case .tooLarge(let sizeBytes, let limitBytes):
      "\(sizeBytes) bytes are more than the \(limitBytes) that one write may have"
    case .full(let cause): "the disk is full, nothing was written (\(cause))"
    case .limitReached(let sizeBytes, let limitBytes):
      "the log has \(sizeBytes) bytes, and with one segment more it would pass its limit of "
        + "\(limitBytes); it shrinks when all who follow it have caught up and it is cleaned"
    case .removed(let firstLSN):
      "what was asked for is no longer in the log, which begins with LSN \(firstLSN)"
    case .noSuchPosition(let position):
      "the log has no record at byte \(position.byteOffset) of segment \(position.segment)"
    }
  }
}
