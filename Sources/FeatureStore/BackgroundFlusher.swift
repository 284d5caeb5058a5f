internal import Storage

/// Decides when a store flushes by itself, and who waits for a flush.
///
/// A flush is due once enough bytes have gathered or the interval has passed with anything gathered.
/// A flush that failed is tried again at the next interval; the records are safe in the log meanwhile.
/// When the log comes close to its limit, a flush is due at once, failed before or not; while that does not
/// help, the next one waits twice as long, from a second up to the interval.
final class BackgroundFlusher: Sendable {
  private struct State {
    /// What the last process left is not known in bytes, so the first interval's end flushes.
    var gatheredBytes = 1
    /// Bytes since the log's size was last looked at, how many there may be, and how to look.
    var uncheckedBytes = 0
    var checkBytes = Int.max
    var isPressed: @Sendable () -> Bool = { false }
    var isUrgent = false
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
  /// - Parameters:
  ///   - checkBytes: after so many bytes of records the log's size is looked at.
  ///   - isPressed: whether the log is close to its limit.
  ///   - flush: returns the LSN reached, or nil when there is nobody left to flush for.
  func start(
    checkBytes: Int, isPressed: @escaping @Sendable () -> Bool,
    _ flush: @escaping @Sendable () throws(FeatureStoreError) -> Int64?
  ) throws(StorageError) {
    monitor.withLock {
      $0.checkBytes = checkBytes
      $0.isPressed = isPressed
    }
    let thread = try BackgroundThread(name: "fstore-flush") { [self] in
      var pauseMilliseconds = 0
      while true {
        let isDue = waitUntilDue()
        guard isDue else { return }
        do throws(FeatureStoreError) {
          guard let lsn = try flush() else { return }
          noteFlushed(upTo: lsn)
        } catch {
          monitor.withLock { $0.failure = error }
          monitor.broadcast()
        }
        pauseMilliseconds =
          isPressed() ? min(max(pauseMilliseconds * 2, 1000), intervalMilliseconds) : 0
        if pauseMilliseconds > 0 { pause(pauseMilliseconds) }
      }
    }
    self.thread.withLock { $0 = thread }
  }

  /// Returns true when a flush is due and false when there will be none.
  private func waitUntilDue() -> Bool {
    // What woke the thread does not matter; at the interval's end anything gathered is enough.
    let decision = monitor.wait(timeoutMilliseconds: intervalMilliseconds) { state -> Bool? in
      if state.isStopping { return false }
      if state.isUrgent {
        state.isUrgent = false
        state.gatheredBytes = 0
        return true
      }
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

  private func pause(_ milliseconds: Int) {
    _ = monitor.wait(timeoutMilliseconds: milliseconds) { $0.isStopping ? () : nil }
  }

  /// Has the next flush come now.
  func hurry() {
    let isFirst = monitor.withLock { state in
      defer { state.isUrgent = true }
      return !state.isUrgent
    }
    if isFirst { monitor.broadcast() }
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
    let (isDue, isPressed) = monitor.withLock { state in
      state.gatheredBytes += bytes
      state.uncheckedBytes += bytes
      var isPressed: (@Sendable () -> Bool)?
      if state.uncheckedBytes >= state.checkBytes {
        state.uncheckedBytes = 0
        isPressed = state.isPressed
      }
      return (state.gatheredBytes >= sizeBytes, isPressed)
    }
    if isDue { monitor.broadcast() }
    if isPressed?() == true { hurry() }
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
