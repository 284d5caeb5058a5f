import Storage
import Synchronization

/// A clock that goes on only when it is told to.
public final class TickingClock: WallClock {
  private let time: Atomic<Int64>

  public init(_ microseconds: Int64) { time = Atomic(microseconds) }

  public func nowMicroseconds() -> Int64 { time.load(ordering: .sequentiallyConsistent) }

  public func advance(_ microseconds: Int64) {
    time.wrappingAdd(microseconds, ordering: .sequentiallyConsistent)
  }
}
