internal import Storage

/// Decides when a store flushes by itself, and who waits for a flush.
///
/// A flush is due once enough bytes have gathered or the interval has passed with anything gathered.
/// A flush that failed is tried again at the next interval; the records are safe in the log meanwhile.
final class BackgroundFlusher: Sendable {
  private struct State {
    /// What the last process left is not known in bytes, so the first interval's end flushes.
    var gatheredBytes = 1
    /// Offline tables hold every record up to here.
    var flushedLSN: Int64 = 0
    var failure: FeatureStoreError?
    var isStopping = false
  }

  private let sizeBytes: Int
  private let intervalMilliseconds: Int
  private let monitor = Monitor(State())
  private let thread = Lock<BackgroundThread?>(nil)

  init(sizeBytes: Int, intervalSeconds: Double) {
    self.sizeBytes = sizeBytes
    intervalMilliseconds = Int(max(0.001, min(intervalSeconds, 31_536_000)) * 1000)
  }

  /// Starts the thread that flushes when it is time.
  ///
  /// - Parameter flush: returns the LSN reached, or nil when there is nobody left to flush for.
  func start(_ flush: @escaping @Sendable () throws(FeatureStoreError) -> Int64?)
    throws(StorageError)
  {
    let thread = try BackgroundThread(name: "fstore-flush") { [self] in
      while waitUntilDue() {
        do throws(FeatureStoreError) {
          guard let lsn = try flush() else { return }
          noteFlushed(upTo: lsn)
        } catch {
          monitor.withLock { $0.failure = error }
          monitor.broadcast()
        }
      }
    }
    self.thread.withLock { $0 = thread }
  }

  /// Returns true when a flush is due and false when there will be none.
  private func waitUntilDue() -> Bool {
    // What woke the thread does not matter; at the interval's end anything gathered is enough.
    let decision = monitor.wait(timeoutMilliseconds: intervalMilliseconds) { state -> Bool? in
      if state.isStopping { return false }
      guard state.gatheredBytes >= sizeBytes, state.failure == nil else { return nil }
      state.gatheredBytes = 0
      return true
    }
    if let decision { return decision }
    let isDue = monitor.withLock { state in
      defer { state.gatheredBytes = 0 }
      return state.gatheredBytes > 0 || state.failure != nil
    }
    return isDue || waitUntilDue()
  }

  /// Ends the thread; a flush that runs is waited for.
  func stop() {
    requestStop()
    let thread = thread.withLock { thread in
      defer { thread = nil }
      return thread
    }
    thread?.join()
  }

  /// Lets the thread end when it next looks.
  func requestStop() {
    monitor.withLock { $0.isStopping = true }
    monitor.broadcast()
  }

  func noteAppended(bytes: Int) {
    let isDue = monitor.withLock { state in
      state.gatheredBytes += bytes
      return state.gatheredBytes >= sizeBytes
    }
    if isDue { monitor.broadcast() }
  }

  func noteFlushed(upTo lsn: Int64) {
    monitor.withLock { state in
      state.flushedLSN = max(state.flushedLSN, lsn)
      state.failure = nil
    }
    monitor.broadcast()
  }

  /// Why the last flush failed; nil when it did not.
  var failure: FeatureStoreError? { monitor.withLock { $0.failure } }

  /// Waits until the offline tables hold everything up to `lsn`; returns whether they do.
  /// Throws what made a flush fail.
  func wait(for lsn: Int64, timeoutMilliseconds: Int) throws(FeatureStoreError) -> Bool {
    try monitor.wait(timeoutMilliseconds: timeoutMilliseconds) {
      state throws(FeatureStoreError) -> Bool? in
      if state.flushedLSN >= lsn { return true }
      if let failure = state.failure { throw failure }
      return state.isStopping ? false : nil
    } ?? false
  }
}
