internal import Glibc

/// A lock with a condition: threads wait until the state is as they need it.
///
/// Waiting takes a closure that is run again after each wake-up, with the lock held; so nobody keeps
/// hold of the state while another thread changes it.
@safe public final class Monitor<State>: @unchecked Sendable {
  // Unchecked: the state is reached only while the mutex is held.
  private let mutex: UnsafeMutablePointer<pthread_mutex_t>
  private let condition: UnsafeMutablePointer<pthread_cond_t>
  private var state: State

  public init(_ state: sending State) {
    unsafe mutex = .allocate(capacity: 1)
    unsafe mutex.initialize(to: pthread_mutex_t())
    unsafe pthread_mutex_init(mutex, nil)
    unsafe condition = .allocate(capacity: 1)
    unsafe condition.initialize(to: pthread_cond_t())
    // Timeouts must not depend on the wall clock.
    var attributes = pthread_condattr_t()
    unsafe pthread_condattr_init(&attributes)
    unsafe pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
    unsafe pthread_cond_init(condition, &attributes)
    unsafe pthread_condattr_destroy(&attributes)
    self.state = state
  }

  deinit {
    unsafe pthread_cond_destroy(condition)
    unsafe condition.deallocate()
    unsafe pthread_mutex_destroy(mutex)
    unsafe mutex.deallocate()
  }

  /// Touches the state without waiting. Does not wake others: call `signal` or `broadcast`.
  public func withLock<Result, E: Error>(
    _ body: (inout State) throws(E) -> Result
  ) throws(E) -> Result {
    unsafe pthread_mutex_lock(mutex)
    defer { unsafe _ = pthread_mutex_unlock(mutex) }
    return try body(&state)
  }

  /// Runs `body` until it returns a value, sleeping in between until another thread signals.
  public func wait<Result, E: Error>(
    _ body: (inout State) throws(E) -> Result?
  ) throws(E) -> Result {
    unsafe pthread_mutex_lock(mutex)
    defer { unsafe _ = pthread_mutex_unlock(mutex) }
    while true {
      if let result = try body(&state) { return result }
      unsafe _ = pthread_cond_wait(condition, mutex)
    }
  }

  /// The same, giving up after a time: then the result is nil.
  public func wait<Result, E: Error>(
    timeoutMilliseconds: Int, _ body: (inout State) throws(E) -> Result?
  ) throws(E) -> Result? {
    var deadline = timespec()
    _ = unsafe clock_gettime(CLOCK_MONOTONIC, &deadline)
    // A year is as good as longer, and cannot overflow.
    let milliseconds = min(max(timeoutMilliseconds, 0), 31_536_000_000)
    let nanoseconds = deadline.tv_nsec + milliseconds % 1000 * 1_000_000
    deadline.tv_sec += milliseconds / 1000 + nanoseconds / 1_000_000_000
    deadline.tv_nsec = nanoseconds % 1_000_000_000
    unsafe pthread_mutex_lock(mutex)
    defer { unsafe _ = pthread_mutex_unlock(mutex) }
    while true {
      if let result = try body(&state) { return result }
      if unsafe pthread_cond_timedwait(condition, mutex, &deadline) == ETIMEDOUT {
        return try body(&state)
      }
    }
  }

  /// The same as `wait`, woken by that condition alone.
  public func wait<Result, E: Error>(
    for condition: Condition, _ body: (inout State) throws(E) -> Result?
  ) throws(E) -> Result {
    unsafe pthread_mutex_lock(mutex)
    defer { unsafe _ = pthread_mutex_unlock(mutex) }
    while true {
      if let result = try body(&state) { return result }
      unsafe condition.wait(holding: mutex)
    }
  }

  /// Wakes one waiter.
  public func signal() { unsafe _ = pthread_cond_signal(condition) }

  /// Wakes all waiters.
  public func broadcast() { unsafe _ = pthread_cond_broadcast(condition) }
}

/// Something more to wait for under a monitor's lock, so that only those are woken whom it concerns.
@safe public final class Condition: @unchecked Sendable {
  // Unchecked: the system's condition variables may be used by any thread.
  private let condition: UnsafeMutablePointer<pthread_cond_t>

  public init() {
    unsafe condition = .allocate(capacity: 1)
    unsafe condition.initialize(to: pthread_cond_t())
    unsafe pthread_cond_init(condition, nil)
  }

  deinit {
    unsafe pthread_cond_destroy(condition)
    unsafe condition.deallocate()
  }

  fileprivate func wait(holding mutex: UnsafeMutablePointer<pthread_mutex_t>) {
    unsafe _ = pthread_cond_wait(condition, mutex)
  }

  public func signal() { unsafe _ = pthread_cond_signal(condition) }

  public func broadcast() { unsafe _ = pthread_cond_broadcast(condition) }
}
