internal import Glibc

/// State that one thread at a time may touch. A pthread mutex, which ThreadSanitizer understands (it
/// reports false races through Synchronization.Mutex). Not recursive.
@safe public final class Lock<State>: @unchecked Sendable {
  // Unchecked: the state is reached only while the mutex is held.
  private let mutex: UnsafeMutablePointer<pthread_mutex_t>
  private var state: State

  public init(_ state: sending State) {
    unsafe mutex = .allocate(capacity: 1)
    unsafe mutex.initialize(to: pthread_mutex_t())
    unsafe pthread_mutex_init(mutex, nil)
    self.state = state
  }

  deinit {
    unsafe pthread_mutex_destroy(mutex)
    unsafe mutex.deallocate()
  }

  public func withLock<Result, E: Error>(
    _ body: (inout State) throws(E) -> Result
  ) throws(E) -> Result {
    unsafe pthread_mutex_lock(mutex)
    defer { unsafe _ = pthread_mutex_unlock(mutex) }
    return try body(&state)
  }
}
