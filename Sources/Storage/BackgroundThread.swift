internal import CSystem
internal import Glibc

/// A thread of its own for work that blocks. It runs from `init` to the end of its body; `join` waits
/// for that. A thread that nobody joins is detached when its last reference goes.
@safe public final class BackgroundThread: Sendable {
  private struct State {
    var thread: pthread_t
    var isJoined = false
  }

  private final class Body {
    let name: String
    let run: @Sendable () -> Void
    init(name: String, run: @escaping @Sendable () -> Void) {
      self.name = name
      self.run = run
    }
  }

  private let state: Lock<State>

  /// Starts the thread. The system shows the name's first 15 bytes.
  public init(name: String, _ run: @escaping @Sendable () -> Void) throws(StorageError) {
    var thread = pthread_t()
    let body = unsafe Unmanaged.passRetained(Body(name: name, run: run))
    let status = unsafe pthread_create(
      &thread, nil,
      { argument in
        guard let argument = unsafe argument else { return nil }
        let body = unsafe Unmanaged<Body>.fromOpaque(argument).takeRetainedValue()
        let shown = String(decoding: body.name.utf8.prefix(15), as: UTF8.self)
        _ = unsafe csystem_name_thread(shown)
        body.run()
        return nil
      }, unsafe body.toOpaque())
    if status != 0 {
      unsafe body.release()
      throw StorageError(errorNumber: status, operation: "start thread", path: name)
    }
    state = Lock(State(thread: thread))
  }

  deinit {
    state.withLock { state in
      if !state.isJoined { pthread_detach(state.thread) }
    }
  }

  /// Waits until the body has returned; later calls return at once. Never from the thread itself.
  public func join() {
    let thread: pthread_t? = state.withLock { state in
      if state.isJoined { return nil }
      state.isJoined = true
      return state.thread
    }
    if let thread { _ = pthread_join(thread, nil) }
  }
}
