internal import Glibc

/// The machine's wall clock, which may go backwards.
public struct SystemClock: WallClock {
  public init() {}

  public func nowMicroseconds() -> Int64 {
    var now = timespec()
    _ = unsafe clock_gettime(CLOCK_REALTIME, &now)
    return Int64(now.tv_sec) &* 1_000_000 &+ Int64(now.tv_nsec) / 1000
  }
}

/// A clock for durations: it never goes back, and means nothing outside this process.
public enum MonotonicClock {
  public static func nowNanoseconds() -> Int64 {
    var now = timespec()
    _ = unsafe clock_gettime(CLOCK_MONOTONIC, &now)
    return Int64(now.tv_sec) &* 1_000_000_000 &+ Int64(now.tv_nsec)
  }
}
