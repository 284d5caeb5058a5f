/// Works on one item after the other and hands on what comes of each; a worker is one thread's.
public protocol ReadAheadWorker: AnyObject, SendableMetatype {
  associatedtype Event: Sendable

  /// - Parameter put: waits while the reader is behind; throws when nobody wants more.
  func work(_ item: Int, _ put: (Event) throws -> Void) throws
}

/// Items that several threads work on ahead of their reader, who gets what comes of them in their order.
///
/// Threads start with the first `next`, and end with the last item, with `cancel`, or with this. A thread takes an
/// item at a time, at most one more than there are threads beyond the reader's. Memory: what is queued of each.
/// `next` and `cancel` are for one thread.
public final class ReadAhead<Worker: ReadAheadWorker> {
  private let shared: Shared<Worker.Event>
  private let makeWorker: @Sendable () -> Worker
  private let threadCount: Int
  private var threads: [BackgroundThread] = []
  private var hasStarted = false
  /// What was taken over and not given out, the next one last.
  private var taken: [Worker.Event] = []

  /// - Parameters:
  ///   - itemCount: items are numbered from 0.
  ///   - queuedEvents: how much of an item may wait to be given out.
  public init(
    itemCount: Int, threadCount: Int, queuedEvents: Int,
    makeWorker: @escaping @Sendable () -> Worker
  ) {
    self.threadCount = min(max(1, threadCount), itemCount)
    self.makeWorker = makeWorker
    shared = Shared(
      itemCount: itemCount, lookAhead: max(1, threadCount) + 1, queuedEvents: queuedEvents)
  }

  deinit { cancel() }

  /// nil after the last item. Throws what a worker threw; then there is no more.
  public func next() throws -> Worker.Event? {
    if !hasStarted { try start() }
    if taken.isEmpty { taken = try shared.next().reversed() }
    return taken.popLast()
  }

  private func start() throws {
    hasStarted = true
    do {
      for _ in 0..<threadCount {
        threads.append(
          try BackgroundThread(name: "fstore-scan") { [shared, makeWorker] in
            shared.work(makeWorker())
          })
      }
    } catch {
      cancel()
      throw error
    }
  }

  /// Ends the threads, and waits for them.
  public func cancel() {
    shared.monitor.withLock { $0.isCancelled = true }
    shared.monitor.broadcast()
    for thread in threads { thread.join() }
    threads = []
  }
}

/// What the threads and the reader share.
private final class Shared<Event: Sendable>: Sendable {
  struct Queue {
    var events: [Event] = []
    var isComplete = false
    var error: (any Error)?
  }

  struct State {
    /// The item whose events are given out.
    var current = 0
    var nextItem = 0
    var queues: [Int: Queue] = [:]
    var isCancelled = false
  }

  let monitor = Monitor(State())
  private let itemCount: Int
  /// How many items may be begun and not given out.
  private let lookAhead: Int
  private let queuedEvents: Int

  init(itemCount: Int, lookAhead: Int, queuedEvents: Int) {
    self.itemCount = itemCount
    self.lookAhead = lookAhead
    self.queuedEvents = queuedEvents
  }

  /// What is there of the current item; empty after the last one.
  func next() throws -> [Event] {
    let found = monitor.wait { state -> Result<[Event], any Error>? in
      if state.isCancelled { return .success([]) }
      while state.current < itemCount {
        guard let queue = state.queues[state.current] else { return nil }
        if !queue.events.isEmpty {
          state.queues[state.current]?.events = []
          return .success(queue.events)
        }
        if let error = queue.error { return .failure(error) }
        guard queue.isComplete else { return nil }
        state.queues[state.current] = nil
        state.current += 1
      }
      return .success([])
    }
    monitor.broadcast()
    return try found.get()
  }

  // MARK: In a thread

  private struct Cancelled: Error {}

  func work<Worker: ReadAheadWorker>(_ worker: Worker) where Worker.Event == Event {
    while true {
      let item = monitor.wait { state -> Int? in
        if state.isCancelled || state.nextItem >= itemCount { return -1 }
        guard state.nextItem < state.current + lookAhead else { return nil }
        state.nextItem += 1
        state.queues[state.nextItem - 1] = Queue()
        return state.nextItem - 1
      }
      guard item >= 0 else { return }
      var failure: (any Error)?
      do {
        try worker.work(item) { event in try put(event, item) }
      } catch is Cancelled {
        return
      } catch { failure = error }
      monitor.withLock { state in
        state.queues[item]?.isComplete = true
        state.queues[item]?.error = failure
      }
      monitor.broadcast()
    }
  }

  private func put(_ event: Event, _ item: Int) throws {
    let isCancelled = monitor.wait { state -> Bool? in
      if state.isCancelled { return true }
      guard (state.queues[item]?.events.count ?? 0) < queuedEvents else { return nil }
      state.queues[item]?.events.append(event)
      return false
    }
    if isCancelled { throw Cancelled() }
    monitor.broadcast()
  }
}
