internal import Storage

/// What the threads of a log agree on, under the monitor.
struct LogState {
  /// The group that gathers while another is written.
  var gathering = Group()
  /// Appends that wait for the next group, because this one is full or of another kind.
  var waitersForRoom = 0
  /// One thread writes frames and begins segments; it has set this.
  var isWriting = false
  /// One thread syncs, and writes the durable mark; it has set this. Two at once could each take
  /// notice of the other's failure: the system reports one only once.
  var isSyncing = false
  var isClosing = false
  var isClosed = false
  /// Something was written since the log was last known to be complete.
  var isMarkerNeeded: Bool
  /// The last segment is half full, and no other is prepared.
  var isSpareWanted = false
  /// Set by the first failure; nothing is written or synced after it.
  var failure: StorageError?
  var nextLSN: LogSequenceNumber
  var durableLSN: LogSequenceNumber
  var acknowledgedLSN: LogSequenceNumber
  /// Where the acknowledged frames end. What is acknowledged and not durable is in this segment.
  var acknowledgedSegment: Segment
  var acknowledgedOffset: Int
  var unsyncedBytes = 0
  /// The segment that the durable mark names.
  var markedSegment: UInt32
  var statistics = LogStatistics()

  init(
    nextLSN: LogSequenceNumber, segment: Segment, endOffset: Int, isMarkerNeeded: Bool
  ) {
    self.nextLSN = nextLSN
    self.isMarkerNeeded = isMarkerNeeded
    durableLSN = nextLSN - 1
    acknowledgedLSN = nextLSN - 1
    acknowledgedSegment = segment
    markedSegment = segment.header.segment
    acknowledgedOffset = endOffset
  }

  func checkWritable(isClosing: Bool) throws(WriteAheadLogError) {
    if let failure { throw .poisoned(cause: failure) }
    if isClosed || (self.isClosing && !isClosing) { throw .closed }
  }

  /// Nothing is written any more; who waits in the gathering group is told.
  mutating func poison(_ failure: StorageError) {
    if self.failure == nil { self.failure = failure }
    if !gathering.isEmpty { gathering.outcome = .failed(.poisoned(cause: failure)) }
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

  let kind: Frame.Kind
  /// The frame: room for its header, and what follows.
  var bytes: [UInt8]
  var recordCount: Int
  var lsnCount: Int64
  var appendCount = 1
  /// It may use the space that is kept for maintenance.
  var isMaintenance: Bool
  /// Given when its turn to be written comes.
  var firstLSN: LogSequenceNumber = 0
  var durableUpTo: LogSequenceNumber = 0
  var outcome: Outcome?
  /// Tells the members that there is an outcome; there is one once there are members besides the one
  /// that writes the group.
  var done: Condition?

  /// The empty one.
  init() {
    kind = .records
    bytes = []
    recordCount = 0
    lsnCount = 0
    isMaintenance = false
  }

  init(_ records: consuming LogRecords, isMaintenance: Bool) {
    kind = .records
    recordCount = records.count
    lsnCount = Int64(records.count)
    bytes = records.takeBytes()
    self.isMaintenance = isMaintenance
  }

  init(reserving count: Int64) {
    kind = .reservation
    bytes = [UInt8](repeating: 0, count: Frame.headerBytes)
    bytes.appendLittleEndian(count)
    recordCount = 0
    lsnCount = count
    isMaintenance = false
  }

  /// The mark of a proper close, which must fit whatever the limits.
  static func closing() -> Group { Group(closing: ()) }

  private init(closing: Void) {
    kind = .closed
    bytes = [UInt8](repeating: 0, count: Frame.headerBytes)
    recordCount = 0
    lsnCount = 1
    isMaintenance = true
  }

  var isEmpty: Bool { lsnCount == 0 }

  func takes(_ other: Group, limitBytes: Int) -> Bool {
    isEmpty
      || kind == .records && other.kind == .records
        && bytes.count + other.bytes.count - Frame.headerBytes <= limitBytes
  }

  func add(_ other: Group) {
    bytes += other.bytes[Frame.headerBytes...]
    recordCount += other.recordCount
    lsnCount += other.lsnCount
    appendCount += 1
    isMaintenance = isMaintenance || other.isMaintenance
  }
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
