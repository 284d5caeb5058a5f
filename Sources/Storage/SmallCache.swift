/// What was computed last, by what it was computed from: for a few values that are asked for again and
/// again. Searched one by one, so keys should be cheap to compare. Thread-safe.
public final class SmallCache<Key: Equatable & Sendable, Value: Sendable>: Sendable {
  @usableFromInline struct Entry: Sendable {
    @usableFromInline let key: Key
    @usableFromInline let value: Value
  }

  private struct State {
    var entries: [Entry] = []
    /// The entry that makes room for the next one when all places are taken.
    var oldest = 0
  }

  private let capacity: Int
  private let state = Lock(State())

  /// - Parameter capacity: how many are kept, at least 1.
  public init(capacity: Int) {
    precondition(capacity > 0, "a cache keeps something")
    self.capacity = capacity
  }

  /// The value of a key, computed if it is not known. Two threads may both compute it; an error is not kept.
  @inlinable public func value<E: Error>(
    _ key: Key, _ compute: () throws(E) -> Value
  ) throws(E) -> Value {
    for entry in entries where entry.key == key { return entry.value }
    let value = try compute()
    keep(key, value)
    return value
  }

  /// As they are now: keys are compared outside the lock.
  @usableFromInline var entries: [Entry] { state.withLock { $0.entries } }

  @usableFromInline func keep(_ key: Key, _ value: Value) {
    let entry = Entry(key: key, value: value)
    state.withLock { state in
      if state.entries.count < capacity {
        state.entries.append(entry)
      } else {
        state.entries[state.oldest] = entry
        state.oldest = (state.oldest + 1) % capacity
      }
    }
  }
}
