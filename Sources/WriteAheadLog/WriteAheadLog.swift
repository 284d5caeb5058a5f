public import Storage

/// An append-only log of opaque records in one total order: the one place where data becomes durable.
///
/// - An append is atomic: after a crash all of its records are there, or none.
/// - Acknowledged records survive, and no record is kept whose predecessor is lost: what is recovered
///   is a prefix of what was appended.
/// - The first failed write or sync poisons the log: after it the disk's content is unknown, and a
///   second sync would return success for lost bytes. Reads go on.
///
/// Thread-safe. One process writes (a lock file); any number may open the log for reading.
/// Group commit without delay: while one thread writes and syncs, the next group gathers.
public final class WriteAheadLog: Sendable {
  public let store: StoreIdentifier
  public let recovery: RecoveryReport
  let options: WriteAheadLogOptions
  let directory: String
  let fileSystem: any FileSystem
  let monitor: Monitor<LogState>
  let tail: LogTail
  /// All segments by number, for readers.
  let segments: Lock<[Segment]>
  /// The leader of the gathering group waits for its turn to write, others for room in a group, and a
  /// thread for the time to prepare a segment; on the monitor itself waits who wants a sync.
  let turn = Condition()
  let room = Condition()
  let spareWanted = Condition()
  /// The next segment's file.
  let spare = Lock<BlankSegment?>(nil)
  /// The file that keeps space for maintenance is there.
  let hasReserve = Lock(false)
  /// One thread at a time makes it.
  let reserving = Lock<Void>(())
  private let limit: Lock<Int?>
  /// Where the last replays ended, so that followers go on without scanning again.
  let replayEnds = Lock<[ReplayPlace]>([])
  /// Tells other processes what is durable; nil when this one only reads.
  let mark: DurableMark?
  /// One thread at a time removes segments, or looks for new ones.
  let maintenance = Lock<Void>(())
  private let lock: (any FileLock)?
  let threads = Lock<[BackgroundThread]>([])

  /// Opens the log in `directory`, which is created if need be; checks every frame, and repairs the
  /// tail if the log was not closed properly. Costs a read of the whole log.
  public static func open(
    directory: String, fileSystem: any FileSystem, options: WriteAheadLogOptions = .init()
  ) throws(WriteAheadLogError) -> WriteAheadLog {
    try open(directory: directory, fileSystem: fileSystem, options: options, from: nil) {
      _, _, _ in true
    }
  }

  /// Opens the log and shows the records from `lsn` on while it checks them, each once and in order
  /// (nil: from the log's first record). Costs one read of the segments that hold them; of older
  /// segments only the headers are checked, their records when they are read, and by `verify`.
  ///
  /// `lsn` is one past what the caller has already: the LSN after that of a checkpoint. Throws
  /// `.removed` when the log begins later, and `.corrupt` when it ends before.
  ///
  /// `body` is called before the log is returned; after an error what it was shown does not count. It
  /// may return false to see no more; everything is checked all the same.
  public static func open(
    directory: String, fileSystem: any FileSystem, options: WriteAheadLogOptions,
    from lsn: LogSequenceNumber?, _ body: (LogSequenceNumber, LogPosition, RawSpan) -> Bool
  ) throws(WriteAheadLogError) -> WriteAheadLog {
    try open(Recovery(directory, fileSystem, options, replayStart: lsn), body)
  }

  /// The same for a caller that calls `replay` from `lsn` on before anything else: only the last
  /// segment's records are checked here, those of the others by that, so that they are read once.
  public static func open(
    directory: String, fileSystem: any FileSystem, options: WriteAheadLogOptions,
    replayingFrom lsn: LogSequenceNumber?
  ) throws(WriteAheadLogError) -> WriteAheadLog {
    let recovery = Recovery(
      directory, fileSystem, options, replayStart: lsn, checksSealedSegments: false)
    return try open(recovery) { _, _, _ in false }
  }

  private static func open(
    _ recovery: Recovery, _ body: (LogSequenceNumber, LogPosition, RawSpan) -> Bool
  ) throws(WriteAheadLogError) -> WriteAheadLog {
    let (directory, fileSystem, options) = (
      recovery.directory, recovery.fileSystem, recovery.options
    )
    if options.isReadOnly { return try openForReading(recovery, body) }
    var lock: (any FileLock)?
    do throws(StorageError) {
      try fileSystem.createDirectory(directory, withIntermediates: true)
      try fileSystem.synchronizeDirectory(StoragePath.directory(of: directory))
      lock = try fileSystem.lock(StoragePath.join(directory, "LOCK"), holder: "fstore")
    } catch { throw .storage(error) }
    do throws(WriteAheadLogError) {
      if let found = try recovery.run(body) { return try begin(found, recovery, lock: lock) }
      return try begin(create(recovery), recovery, lock: lock)
    } catch {
      lock?.release()
      throw error
    }
  }

  private static func begin(
    _ found: Recovery.Result, _ recovery: Recovery, lock: (any FileLock)?
  ) throws(WriteAheadLogError) -> WriteAheadLog {
    let (directory, fileSystem) = (recovery.directory, recovery.fileSystem)
    let first = found.segments[0].header
    let last = found.segments[found.segments.count - 1].header
    do throws(StorageError) {
      // A new log, or one from before there was such a file.
      if try fileSystem.information(StoragePath.join(directory, LogStart.name)) == nil {
        try LogStart(first).publish(directory: directory, fileSystem: fileSystem)
      }
      let mark = try DurableMark.open(
        .init(store: last.store, segment: last.segment, durableLSN: found.nextLSN - 1),
        directory: directory, fileSystem: fileSystem)
      return try WriteAheadLog(found, recovery, mark: mark, lock: lock)
    } catch { throw .storage(error) }
  }

  private static func create(_ recovery: Recovery) throws(WriteAheadLogError) -> Recovery.Result {
    let header = SegmentHeader(
      segment: 1, store: .random(), firstLSN: 1, salt: .random(in: .min ... .max),
      predecessorLength: 0, predecessorChain: 0)
    let segment: Segment
    do throws(StorageError) {
      segment = try Segment.create(
        header, frames: [], capacityBytes: recovery.options.segmentCapacityBytes,
        isFilled: recovery.options.fillsSegments, directory: recovery.directory,
        fileSystem: recovery.fileSystem)
    } catch { throw .storage(error) }
    var report = RecoveryReport()
    report.segmentCount = 1
    return Recovery.Result(
      segments: [segment], endOffset: SegmentHeader.sizeBytes, chain: 0, nextLSN: 1,
      endsClosed: true, report: report)
  }

  init(
    _ found: Recovery.Result, _ recovery: Recovery, mark: DurableMark?, lock: (any FileLock)?
  ) throws(StorageError) {
    let last = found.segments[found.segments.count - 1]
    store = last.header.store
    self.recovery = found.report
    options = recovery.options
    limit = Lock(recovery.options.limitBytes)
    directory = recovery.directory
    fileSystem = recovery.fileSystem
    monitor = Monitor(
      LogState(
        nextLSN: found.nextLSN, segment: last, endOffset: found.endOffset,
        isMarkerNeeded: !found.endsClosed))
    tail = LogTail(segment: last, endOffset: found.endOffset, chain: found.chain)
    segments = Lock(found.segments)
    self.mark = mark
    self.lock = lock
    if options.isReadOnly { return }
    restoreReserve()
    if options.preparesSegments { try startPreparing() }
    if case .interval(let milliseconds) = options.durability {
      try startSyncing(everyMilliseconds: milliseconds)
    }
  }

  deinit {
    monitor.withLock { $0.isClosed = true }
    wakeEverybody()
    lock?.release()
  }

  /// The segments' size together beyond which appends are refused; nil for none. May be changed at any
  /// time, for the appends that follow.
  public var limitBytes: Int? {
    get { limit.withLock { $0 } }
    set { limit.withLock { $0 = newValue } }
  }

  /// The LSN with which the log begins: what was before is removed. 1 in a log that kept everything.
  public var firstLSN: LogSequenceNumber { segments.withLock { $0[0].header.firstLSN } }

  /// The last LSN given to anything, acknowledged or not; 0 for none.
  public var lastLSN: LogSequenceNumber { monitor.withLock { $0.nextLSN - 1 } }

  /// Everything up to here is on disk, and can be read: never more than `readableLSN`.
  public var durableLSN: LogSequenceNumber {
    // A group is on disk a moment before it is acknowledged.
    monitor.withLock { min($0.durableLSN, $0.acknowledgedLSN) }
  }

  /// Everything up to here can be read: what was acknowledged.
  public var readableLSN: LogSequenceNumber { monitor.withLock { $0.acknowledgedLSN } }

  /// Syncs what is there, says that the log is complete, and lets others open it. Later appends throw
  /// `.closed`; reads go on. Closing twice does nothing.
  public func close() throws(WriteAheadLogError) {
    let isFirst = monitor.withLock { state in
      defer { state.isClosing = true }
      return !state.isClosing
    }
    guard isFirst else { return }
    defer {
      monitor.withLock { $0.isClosed = true }
      wakeEverybody()
      for thread in threads.withLock({ $0 }) { thread.join() }
      spare.withLock { $0 }?.discard(fileSystem)
      lock?.release()
    }
    if options.isReadOnly { return }
    try synchronize()
    guard monitor.withLock({ $0.isMarkerNeeded }) else { return }
    do throws(WriteAheadLogError) { _ = try commit(.closing(), isClosing: true) } catch {
      // Without the mark opening takes longer, and nothing is lost.
      guard case .full = error else { throw error }
    }
  }

  private func startSyncing(everyMilliseconds milliseconds: Int) throws(StorageError) {
    let monitor = self.monitor
    let thread = try BackgroundThread(name: "fstore-sync") { [weak self] in
      while true {
        let mustGoOn = monitor.wait(timeoutMilliseconds: milliseconds) { state -> Bool? in
          if state.isClosed || state.failure != nil { return false }
          return state.unsyncedBytes >= WriteAheadLog.unsyncedLimitBytes ? true : nil
        }
        guard mustGoOn ?? true, let self else { return }
        // A failure poisons the log, which is how the appenders hear of it.
        do throws(WriteAheadLogError) { try self.synchronize() } catch { return }
      }
    }
    threads.withLock { $0.append(thread) }
  }
}
