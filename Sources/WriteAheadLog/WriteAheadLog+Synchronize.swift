internal import Storage

extension WriteAheadLog {
  /// With `.interval`, a sync begins when that much waits for one, however long the interval: so that
  /// the sync that must come before a new segment finds little to do.
  static let unsyncedLimitBytes = 4 << 20

  /// Returns once everything acknowledged so far is on disk, whatever the durability. Appends go on
  /// meanwhile.
  public func synchronize() throws(WriteAheadLogError) {
    let wanted = monitor.withLock { $0.acknowledgedLSN }
    while true {
      let work = try monitor.wait {
        state throws(WriteAheadLogError) -> (Segment, LogSequenceNumber)?? in
        if state.durableLSN >= wanted { return .some(nil) }
        if let failure = state.failure { throw .poisoned(cause: failure) }
        if state.isSyncing { return nil }
        return (state.acknowledgedSegment, state.acknowledgedLSN)
      }
      guard let (segment, lsn) = work else { return }
      do throws(StorageError) {
        // What is acknowledged and not durable is all in this segment.
        try synchronizing(upTo: lsn) { () throws(StorageError) in
          try segment.file.synchronizeData()
        }
      } catch { throw .appendFailed(cause: error) }
    }
  }

  /// Syncs everything acknowledged so far, and makes it known on disk: after a crash these records are
  /// where they are now, and not copied to another segment for want of a proof.
  public func proveDurable() throws(WriteAheadLogError) {
    try synchronize()
    do { try mark?.synchronize() } catch { throw .storage(error) }
  }

  /// Runs `sync`, and nobody else's meanwhile; when it succeeds everything up to `lsn` is durable, and
  /// other processes are told. When it begins a segment, that is durably known too.
  func synchronizing(
    upTo lsn: LogSequenceNumber, beginning number: UInt32? = nil,
    _ sync: () throws(StorageError) -> Void
  ) throws(StorageError) {
    let before = try monitor.wait {
      state throws(StorageError) -> (segment: UInt32, lsn: LogSequenceNumber, bytes: Int)? in
      if let failure = state.failure { throw failure }
      if state.isSyncing { return nil }
      state.isSyncing = true
      return (state.markedSegment, state.durableLSN, state.unsyncedBytes)
    }
    let start = MonotonicClock.nowNanoseconds()
    var failure: StorageError?
    do throws(StorageError) {
      try sync()
      try mark?.write(
        .init(store: store, segment: number ?? before.segment, durableLSN: max(lsn, before.lsn)))
      // From now on a log without this segment is known to be damaged.
      if number != nil { try mark?.synchronize() }
    } catch { failure = error }
    let duration = MonotonicClock.nowNanoseconds() - start
    monitor.withLock { state in
      state.isSyncing = false
      if let failure {
        state.poison(failure)
        return
      }
      state.durableLSN = max(state.durableLSN, lsn)
      // What was appended while the sync ran waits for the next one.
      state.unsyncedBytes = max(0, state.unsyncedBytes - before.bytes)
      if let number {
        state.markedSegment = number
        state.statistics.segmentsBegun += 1
      } else {
        state.statistics.syncNanoseconds.add(UInt64(clamping: duration))
      }
    }
    if let failure {
      wakeEverybody()
      throw failure
    }
    monitor.broadcast()
  }
}
