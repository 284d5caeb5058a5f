internal import FeatureModel
internal import OnlineStore
internal import Storage
internal import WriteAheadLog

// From the log to the offline tables.
extension FeatureStore {
  /// Lands everything that was accepted so far in the offline tables. Returns what was done, one
  /// report a commit; nothing for groups without new records.
  ///
  /// Cost: one file and one commit a group. Thread-safe; one flush runs at a time. On a full disk it takes
  /// the space that is kept for it.
  @discardableResult
  public func flush() throws(FeatureStoreError) -> [FlushReport] {
    let log = try requireWriter("flush")
    let result = try land(log)
    flusher.noteFlushed(upTo: result.lsn)
    return result.reports
  }

  /// Flushes, then gives back what the log needs no more.
  private func land(
    _ log: OnlineStore
  ) throws(FeatureStoreError) -> (reports: [FlushReport], lsn: Int64) {
    try flushLock.withLock { _ throws(FeatureStoreError) in
      // What holds the log up may be something else now.
      defer { lastRefusal.withLock { $0 = nil } }
      let start = MonotonicClock.nowNanoseconds()
      // Tables take only what is on disk, and are to have everything that was accepted.
      do { try log.log.synchronize() } catch { throw FeatureStoreError(error) }
      let result: (reports: [FlushReport], lsn: Int64)
      do throws(FeatureStoreError) {
        // Run again it goes on where the tables are.
        result = try withReserve { _ throws(FeatureStoreError) in
          try OfflineWriter(store: self, log: log).flush()
        }
      } catch {
        flushes.note(error)
        throw error
      }
      flushes.note(result.reports, since: start)
      clean(log, upTo: result.lsn)
      log.log.restoreReserve()
      return result
    }
  }

  private func clean(_ log: OnlineStore, upTo lsn: Int64) {
    let isExpired = registry.withLock { $0.isExpired(at: clock.nowMicroseconds()) }
    // A log that is kept longer than its limit would take no more writes.
    let minimum = min(options.logMinimumBytes, (log.log.limitBytes ?? .max) / 2)
    do throws(OnlineStoreError) {
      try log.clean(
        upTo: lsn, minimumLogBytes: minimum, pressureBytes: pressureBytes, isExpired: isExpired)
      lastCleaningFailure.withLock { $0 = nil }
    } catch {
      // The flush has done its work; the next one cleans again.
      let failure = FeatureStoreError(error)
      lastCleaningFailure.withLock { $0 = failure }
    }
    adjustLogLimit()
  }

  /// Waits until a record can be read offline.
  ///
  /// The flush that lands it comes by itself (`Options.flushesAutomatically`) or by another thread's
  /// `flush()`; this call does not start one.
  ///
  /// - Parameters:
  ///   - lsn: from the receipt of the put.
  ///   - timeoutSeconds: how long to wait at most.
  /// - Returns: whether the record can be read offline; false when the time is over or the store was
  ///   closed. Throws what made a flush fail.
  public func wait(
    forOffline lsn: Int64, timeoutSeconds: Double = 300
  ) throws(FeatureStoreError) -> Bool {
    _ = try requireWriter("wait for a flush")
    let milliseconds = Int(max(0, min(timeoutSeconds, 31_536_000)) * 1000)
    return try flusher.wait(for: lsn, timeoutMilliseconds: milliseconds)
  }

  /// Why the last flush in the background failed; nil when it did not. The records are safe in the
  /// log, and the flush is tried again.
  public var flushFailure: FeatureStoreError? { flusher.failure }

  /// Why the last flush failed, whoever asked for it; nil when it did not.
  var lastFlushFailure: FeatureStoreError? { flushes.now.failure }

  /// Why the log could not be cleaned after the last flush; nil when it could. Nothing is lost, the log
  /// only keeps its space.
  public var cleaningFailure: FeatureStoreError? { lastCleaningFailure.withLock { $0 } }

  func startFlusher() throws(FeatureStoreError) {
    do {
      let checkBytes = max(options.logSegmentBytes / 4, 1)
      let isPressed: @Sendable () -> Bool = { [weak self] in self?.isPressed ?? false }
      try flusher.start(checkBytes: checkBytes, isPressed: isPressed) {
        [weak self] () throws(FeatureStoreError) in
        guard let self else { return nil }
        return try self.land(try self.requireWriter("flush")).lsn
      }
    } catch { throw FeatureStoreError(error) }
  }
}
