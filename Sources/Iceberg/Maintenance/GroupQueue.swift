import Storage

/// Groups that several threads rewrite while one commits what is finished.
///
/// At most as many finished groups as there are threads wait to be taken. `next`, `stop` and what is asked after it
/// are for one thread.
final class GroupQueue {
  typealias Outcome = Result<RewriteDataFiles.Written, IcebergError>

  private struct State {
    /// The first group that no thread has taken.
    var nextIndex = 0
    var running = 0
    var finished: [(RewriteDataFiles.Work, Outcome)] = []
    var isStopping = false
  }

  private let work: [RewriteDataFiles.Work]
  private let threadCount: Int
  private let monitor = Monitor(State())
  private let body: @Sendable (RewriteDataFiles.Work) -> Outcome
  private var threads: [BackgroundThread] = []
  private var hasStarted = false

  init(
    _ work: [RewriteDataFiles.Work], threadCount: Int,
    _ body: @escaping @Sendable (RewriteDataFiles.Work) -> Outcome
  ) {
    self.work = work
    self.threadCount = threadCount
    self.body = body
  }

  deinit { stop() }

  /// The next finished group, in no order; nil when there are no more.
  func next() throws(IcebergError) -> (RewriteDataFiles.Work, Outcome)? {
    // One group at a time needs no thread.
    if threadCount == 1 { return nextHere() }
    if !hasStarted { try start() }
    let count = work.count
    let outcome = monitor.wait { state -> (RewriteDataFiles.Work, Outcome)?? in
      if !state.finished.isEmpty { return .some(state.finished.removeFirst()) }
      let isOver = state.running == 0 && (state.nextIndex >= count || state.isStopping)
      return isOver ? .some(nil) : nil
    }
    monitor.broadcast()
    return outcome
  }

  private func nextHere() -> (RewriteDataFiles.Work, Outcome)? {
    let index = monitor.withLock { state -> Int? in
      guard state.nextIndex < work.count, !state.isStopping else { return nil }
      state.nextIndex += 1
      return state.nextIndex - 1
    }
    return index.map { (work[$0], body(work[$0])) }
  }

  private func start() throws(IcebergError) {
    hasStarted = true
    let (work, body, monitor, limit) = (self.work, self.body, self.monitor, threadCount)
    do {
      for _ in 0..<threadCount {
        threads.append(
          try BackgroundThread(name: "fstore-rewrite") {
            GroupQueue.run(work, monitor, limit, body)
          })
      }
    } catch {
      stop()
      throw IcebergError(error)
    }
  }

  private static func run(
    _ work: [RewriteDataFiles.Work], _ monitor: Monitor<State>, _ limit: Int,
    _ body: @Sendable (RewriteDataFiles.Work) -> Outcome
  ) {
    while true {
      let index = monitor.wait { state -> Int? in
        if state.isStopping || state.nextIndex >= work.count { return -1 }
        // Whoever commits is behind.
        guard state.finished.count < limit else { return nil }
        state.nextIndex += 1
        state.running += 1
        return state.nextIndex - 1
      }
      guard index >= 0 else { return }
      let outcome = body(work[index])
      monitor.withLock { state in
        state.running -= 1
        state.finished.append((work[index], outcome))
      }
      monitor.broadcast()
    }
  }

  /// Whether every group was given out by `next`.
  var isDone: Bool {
    monitor.withLock { state in
      state.running == 0 && state.finished.isEmpty
        && (state.nextIndex >= work.count || state.isStopping)
    }
  }

  /// Lets the threads end after the groups that they are at, and waits for them.
  func stop() {
    monitor.withLock { $0.isStopping = true }
    monitor.broadcast()
    for thread in threads { thread.join() }
    threads = []
  }

  /// After `stop`: what was finished and not given out.
  func leftovers() -> [RewriteDataFiles.Written] {
    monitor.withLock { state in
      defer { state.finished = [] }
      return state.finished.compactMap { _, outcome in
        if case .success(let written) = outcome { written } else { nil }
      }
    }
  }

  /// Groups that no thread has begun.
  func notTaken() -> [RewriteDataFiles.Work] {
    monitor.withLock { state in
      defer { state.nextIndex = work.count }
      return Array(work[min(state.nextIndex, work.count)...])
    }
  }
}
