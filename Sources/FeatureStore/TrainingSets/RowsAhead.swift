internal import Columnar
internal import Storage

/// The rows of a training set, of which a thread makes the next batch while the caller writes the one before.
///
/// Memory: two batches more. For one thread; the other ends with the last batch, or with this.
final class RowsAhead {
  /// Rows, and how much of the work is done with them.
  typealias Made = (batch: RecordBatch, doneBytes: Int64)

  private enum State {
    case making
    case made(Made)
    case ended
    case failed(any Error)
    /// The caller wants no more.
    case abandoned
  }

  /// Unchecked: the thread alone asks for rows; what the caller looks at meanwhile stays as it is.
  private struct Source: @unchecked Sendable {
    let rows: TrainingSetRows

    func next() throws -> Made? { try rows.next().map { ($0, rows.doneBytes) } }
  }

  private let source: Source
  private let monitor = Monitor(State.making)
  private var thread: BackgroundThread?

  /// With one processor to run on, the caller makes the rows itself.
  init(_ rows: TrainingSetRows) throws(StorageError) {
    source = Source(rows: rows)
    guard Processors.count > 1 else { return }
    thread = try BackgroundThread(name: "fstore-rows") { [source, monitor] in
      Self.make(source, monitor)
    }
  }

  deinit {
    monitor.withLock { $0 = .abandoned }
    monitor.broadcast()
    thread?.join()
  }

  /// nil after the last rows. After an error there are no more.
  func next() throws -> Made? {
    guard thread != nil else { return try source.next() }
    let made = try monitor.wait { state throws -> Made?? in
      switch state {
      case .making: return nil
      case .made(let made):
        state = .making
        return .some(made)
      case .failed(let error): throw error
      case .ended, .abandoned: return .some(nil)
      }
    }
    monitor.broadcast()
    return made
  }

  private static func make(_ source: Source, _ monitor: Monitor<State>) {
    while true {
      let next: State
      do { next = try source.next().map(State.made) ?? .ended } catch { next = .failed(error) }
      let isWanted = monitor.wait { state -> Bool? in
        switch state {
        case .making:
          state = next
          if case .made = next { return true }
          return false
        case .made: return nil
        case .ended, .failed, .abandoned: return false
        }
      }
      monitor.broadcast()
      if !isWanted { return }
    }
  }
}
