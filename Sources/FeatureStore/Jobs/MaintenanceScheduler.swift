internal import Storage

/// Runs a store's due maintenance jobs in the background, for services that live long: what
/// `fstore jobs run` does from cron.
///
/// One thread, one job at a time. It looks when a schedule's time comes, and every `interval` for thresholds. Thread-safe.
/// Several schedulers, processes and crons may run beside each other: a job runs once.
public final class MaintenanceScheduler: Sendable {
  private struct State {
    var isStopping = false
    var failure: FeatureStoreError?
  }

  private let store: FeatureStore
  private let options: FeatureStore.JobOptions
  private let intervalMilliseconds: Int
  private let monitor = Monitor(State())
  private let thread = Lock<BackgroundThread?>(nil)

  /// Starts at once.
  ///
  /// - Parameters:
  ///   - intervalSeconds: how often thresholds are looked at; at least one second.
  public init(
    _ store: FeatureStore, intervalSeconds: Double = 60,
    options: FeatureStore.JobOptions = FeatureStore.JobOptions()
  ) throws(FeatureStoreError) {
    self.store = store
    self.options = options
    intervalMilliseconds = Int(max(1, min(intervalSeconds, 86_400)) * 1000)
    do throws(StorageError) {
      let thread = try BackgroundThread(name: "fstore-jobs") { [weak self] in
        while let self, self.runOnce() {}
      }
      self.thread.withLock { $0 = thread }
    } catch { throw FeatureStoreError(error) }
  }

  deinit { stop() }

  /// Why jobs could not be looked for, the last time; nil when they could. What a job itself failed of is in
  /// its run.
  public var failure: FeatureStoreError? { monitor.withLock { $0.failure } }

  /// Ends the thread. A job that runs is ended after its current step, and waited for.
  public func stop() {
    monitor.withLock { $0.isStopping = true }
    monitor.broadcast()
    let thread = thread.withLock { thread in
      defer { thread = nil }
      return thread
    }
    thread?.join()
  }

  /// Returns false at the end.
  private func runOnce() -> Bool {
    var options = options
    let (monitor, isStopped) = (self.monitor, options.isStopped)
    options.isStopped = { isStopped() || monitor.withLock { $0.isStopping } }
    do throws(FeatureStoreError) {
      try store.runDueJobs(options: options)
      monitor.withLock { $0.failure = nil }
    } catch {
      monitor.withLock { $0.failure = error }
    }
    return monitor.wait(timeoutMilliseconds: pauseMilliseconds()) { state -> Bool? in
      state.isStopping ? false : nil
    } ?? true
  }

  private func pauseMilliseconds() -> Int {
    do throws(FeatureStoreError) {
      let now = store.clock.nowMicroseconds()
      let next = try store.nextScheduledRuns().map(\.microseconds).filter { $0 > now }.min()
      guard let next else { return intervalMilliseconds }
      return min(intervalMilliseconds, Int((next - now) / 1000) + 1)
    } catch { return intervalMilliseconds }
  }
}
