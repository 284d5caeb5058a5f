internal import Storage
internal import WriteAheadLog

/// Writes for callers that must not block: they wait suspended while one thread commits what has
/// gathered. The thread runs from the first write to `stop`.
///
/// What waits needs no bound of its own: every request is that of a task that waits for it, and holds
/// no more than the task does.
final class AsynchronousWriter: Sendable {
  struct Request: Sendable {
    var batch: WriteBatch
    var condition: WriteCondition
    var continuation: CheckedContinuation<Result<[WriteOutcome], OnlineStoreError>, Never>
  }

  private struct State {
    var requests: [Request] = []
    var isStopping = false
    var thread: BackgroundThread?
  }

  private let monitor = Monitor(State())

  var waitingCount: Int { monitor.withLock { $0.requests.count } }

  /// Hands a request over; `commit` runs on the thread with everything that gathered meanwhile. Refuses
  /// with the error when the store is closed or no thread could be started.
  func submit(
    _ request: Request, _ commit: @escaping @Sendable ([Request]) -> Void
  ) {
    let refusal: OnlineStoreError? = monitor.withLock { state in
      if state.isStopping { return .log(.closed) }
      do throws(StorageError) {
        if state.thread == nil { state.thread = try start(commit) }
        state.requests.append(request)
        return nil
      } catch { return .log(.storage(error)) }
    }
    if let refusal {
      request.continuation.resume(returning: .failure(refusal))
    } else {
      monitor.broadcast()
    }
  }

  private func start(
    _ commit: @escaping @Sendable ([Request]) -> Void
  ) throws(StorageError) -> BackgroundThread {
    let monitor = monitor
    return try BackgroundThread(name: "fstore-write") {
      while true {
        let gathered = monitor.wait { state -> [Request]? in
          if state.requests.isEmpty { return state.isStopping ? [] : nil }
          defer { state.requests = [] }
          return state.requests
        }
        if gathered.isEmpty { return }
        commit(gathered)
      }
    }
  }

  func requestStop() {
    monitor.withLock { $0.isStopping = true }
    monitor.broadcast()
  }

  /// Commits what is there, then ends the thread.
  func stop() {
    requestStop()
    let thread = monitor.withLock { state in
      defer { state.thread = nil }
      return state.thread
    }
    thread?.join()
  }
}

extension OnlineStore {
  /// `write` for tasks: suspends instead of blocking. Writes of many tasks become one commit, each of
  /// them atomic. Their order is that in which they were called.
  public func writeAsynchronously(
    _ entries: [LogEntry], if condition: WriteCondition = .always
  ) async throws(OnlineStoreError) -> [WriteOutcome] {
    try await writeAsynchronously(WriteBatch(entries), if: condition)
  }

  /// The same for records that are encoded already.
  public func writeAsynchronously(
    _ batch: WriteBatch, if condition: WriteCondition = .always
  ) async throws(OnlineStoreError) -> [WriteOutcome] {
    let result = await withCheckedContinuation { continuation in
      let request = AsynchronousWriter.Request(
        batch: batch, condition: condition, continuation: continuation)
      // Unowned by the thread: a store that nobody holds has no tasks that wait.
      asynchronous.submit(request) { [weak self] requests in
        guard let self else {
          for request in requests {
            request.continuation.resume(returning: .failure(.log(.closed)))
          }
          return
        }
        self.commit(requests)
      }
    }
    return try result.get()
  }

  /// As much as a group commit takes without the sync getting slower.
  private static let gatheredBytes = 256 << 10

  /// Unconditional requests that follow each other go as one append.
  private func commit(_ requests: [AsynchronousWriter.Request]) {
    var rest = requests[...]
    while let first = rest.first {
      var gathered = [first]
      var sizeBytes = first.batch.sizeBytes
      rest = rest.dropFirst()
      while first.condition == .always, let next = rest.first, next.condition == .always,
        sizeBytes < OnlineStore.gatheredBytes
      {
        gathered.append(next)
        sizeBytes += next.batch.sizeBytes
        rest = rest.dropFirst()
      }
      commit(together: gathered, first.condition)
    }
  }

  private func commit(
    together requests: [AsynchronousWriter.Request], _ condition: WriteCondition
  ) {
    do throws(OnlineStoreError) {
      var together = requests[0].batch
      for request in requests.dropFirst() { together.append(contentsOf: request.batch) }
      var outcomes = try write(together, if: condition)[...]
      for request in requests {
        let own = Array(outcomes.prefix(request.batch.count))
        outcomes = outcomes.dropFirst(request.batch.count)
        request.continuation.resume(returning: .success(own))
      }
    } catch {
      if requests.count == 1 || isPoisoned(error) {
        for request in requests { request.continuation.resume(returning: .failure(error)) }
      } else {
        // One that cannot be written must not fail the others.
        for request in requests { commit(together: [request], condition) }
      }
    }
  }

  /// Whether an append that failed may have written something.
  private func isPoisoned(_ error: OnlineStoreError) -> Bool {
    switch error {
    case .keyTooLong, .log(.tooLarge), .log(.storage), .log(.limitReached): false
    default: true
    }
  }
}
