internal import Storage
internal import Synchronization

/// Decides when a checkpoint is due: once so many bytes of log have come since the last that reading them
/// again would make opening slow. A checkpoint that failed is tried again after as many bytes more; until
/// then opening only takes longer.
final class Checkpointer: Sendable {
  private struct State {
    var isDue = false
    var isStopping = false
    var failure: OnlineStoreError?
  }

  private let intervalBytes: Int
  private let gatheredBytes = Atomic<Int>(0)
  private let monitor = Monitor(State())
  private let thread = Lock<BackgroundThread?>(nil)

  init(intervalBytes: Int) { self.intervalBytes = max(intervalBytes, 1 << 16) }

  /// Bytes of log since the last checkpoint.
  var pendingBytes: Int { gatheredBytes.load(ordering: .relaxed) }

  /// Why the last checkpoint failed; nil when it did not.
  var failure: OnlineStoreError? { monitor.withLock { $0.failure } }

  func noteAppended(bytes: Int) {
    let (before, after) = gatheredBytes.wrappingAdd(bytes, ordering: .relaxed)
    if before / intervalBytes != after / intervalBytes {
      monitor.withLock { $0.isDue = true }
      monitor.broadcast()
    }
  }

  /// Takes a checkpoint now and remembers how that went.
  func run(_ checkpoint: () throws(OnlineStoreError) -> Void) {
    let covered = pendingBytes
    do throws(OnlineStoreError) {
      try checkpoint()
      gatheredBytes.wrappingSubtract(covered, ordering: .relaxed)
      monitor.withLock { $0.failure = nil }
    } catch {
      monitor.withLock { $0.failure = error }
    }
  }

  /// - Parameter body: returns false when there is nobody left to work for.
  func start(_ body: @escaping @Sendable () -> Bool) throws(StorageError) {
    let monitor = monitor
    let thread = try BackgroundThread(name: "fstore-index") {
      while true {
        let isDue = monitor.wait { state -> Bool? in
          if state.isStopping { return false }
          guard state.isDue else { return nil }
          state.isDue = false
          return true
        }
        guard isDue, body() else { return }
      }
    }
    self.thread.withLock { $0 = thread }
  }

  /// Ends the thread; a checkpoint that runs is waited for.
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
}
