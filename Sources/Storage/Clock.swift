/// The wall clock, for write times and retention; the tests have one that they set.
public protocol WallClock: Sendable {
  /// Microseconds since 1970-01-01T00:00:00Z.
  func nowMicroseconds() -> Int64
}
