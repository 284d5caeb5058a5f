internal import Storage

/// What the threads of a log agree on, under the monitor.
struct LogState {
  /// The group that gathers while another is written.
  var gathering = Group(kind: .records, payload: [], recordCount: 0, lsnCount: 0)
  /// One thread writes, syncs and changes segments; it has set this.
  var isWriting = false
  var isClosing = false
  var isClosed = false
  /// Something was written since the log was last known to be complete.
  var isMarkerNeeded: Bool
  /// Set by the first failure; nothing is written or synced after it.
  var failure: StorageError?
  var nextLSN: LogSequenceNumber
  var durableLSN: LogSequenceNumber
  var acknowledgedLSN: LogSequenceNumber
  /// Where the acknowledged frames end.
  var acknowledgedSegment: UInt32 = 0
  var acknowledgedOffset = 0

  init(nextLSN: LogSequenceNumber, isMarkerNeeded: Bool) {
    self.nextLSN = nextLSN
    self.isMarkerNeeded = isMarkerNeeded
    durableLSN = nextLSN - 1
    acknowledgedLSN = nextLSN - 1
  }

  func checkWritable(isClosing: Bool) throws(WriteAheadLogError) {
    if let failure { throw .poisoned(cause: failure) }
    if isClosed || (self.isClosing && !isClosing) { throw .closed }
  }
}

/// Appends that are written together as one frame.
final class Group: @unchecked Sendable {
  // Unchecked: touched under the monitor while it gathers, then by the thread that writes it alone,
  // then under the monitor again.
  enum Outcome {
    case written(LogPosition)
    case failed(WriteAheadLogError)
  }

  var kind: Frame.Kind
  /// The frame: room for its header, and what follows.
  var bytes: [UInt8]
  var recordCount: Int
  var lsnCount: Int64
  var firstLSN: LogSequenceNumber = 0
  var outcome: Outcome?

  init(kind: Frame.Kind, payload: [UInt8], recordCount: Int, lsnCount: Int64) {
    self.kind = kind
    bytes = [UInt8](repeating: 0, count: Frame.headerBytes)
    bytes += payload
    self.recordCount = recordCount
    self.lsnCount = lsnCount
  }

  var isEmpty: Bool { lsnCount == 0 }
}

/// Where the next frame goes. Touched only by the thread that has set `isWriting`.
final class LogTail: @unchecked Sendable {
  // Unchecked: `isWriting`, which is set and cleared under the monitor, hands it from thread to thread.
  var segment: Segment
  var endOffset: Int
  var chain: UInt32

  init(segment: Segment, endOffset: Int, chain: UInt32) {
    self.segment = segment
    self.endOffset = endOffset
    self.chain = chain
  }
}
