/// Work that several threads share.
public enum Parallel {
  private struct Progress {
    var next = 0
    var error: (any Error)?
  }

  /// Does `work` for every index below `count`, in about their order: the calling thread and as many others as
  /// are asked for take one at a time. Returns when all are done; after an error no more are begun, and the
  /// first error is thrown.
  ///
  /// - Parameters:
  ///   - makeWorker: makes what a thread needs for itself.
  ///   - tick: called by the calling thread after each index of its own.
  public static func forEach<Worker>(
    _ count: Int, threads: Int = Processors.count,
    makeWorker: @escaping @Sendable () throws -> Worker,
    work: @escaping @Sendable (inout Worker, Int) throws -> Void,
    tick: () throws -> Void = {}
  ) throws {
    let shared = Lock(Progress())
    @Sendable func take() -> Int? {
      shared.withLock { state in
        guard state.error == nil, state.next < count else { return nil }
        state.next += 1
        return state.next - 1
      }
    }
    @Sendable func fail(_ error: any Error) {
      shared.withLock { state in if state.error == nil { state.error = error } }
    }
    var others: [BackgroundThread] = []
    defer { for thread in others { thread.join() } }
    do {
      for _ in 0..<max(0, min(threads, count) - 1) {
        others.append(
          try BackgroundThread(name: "fstore-worker") {
            do {
              var worker = try makeWorker()
              while let index = take() { try work(&worker, index) }
            } catch { fail(error) }
          })
      }
      var worker = try makeWorker()
      while let index = take() {
        try work(&worker, index)
        try tick()
      }
    } catch { fail(error) }
    for thread in others { thread.join() }
    others = []
    if let error = shared.withLock({ $0.error }) { throw error }
  }
}
