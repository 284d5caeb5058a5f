/// What counts for a moment: the same for all of a join's rows.
public struct JoinRules: Hashable, Sendable {
  public enum Visibility: Hashable, Sendable {
    /// A row is visible from its event time on.
    case event
    /// A row is visible from the later of its event time and its write time on: what the online store
    /// knew then, without leaks through late data. A row without a write time is never visible.
    case ingested
  }

  public enum Bounds: Hashable, Sendable {
    /// A row that becomes visible at the label's very moment counts.
    case inclusive
    /// Only what was visible before the label's moment counts.
    case strict
  }

  /// How old an event may be at the label's moment, both ends included; nil for any age, zero for events of
  /// that very moment only. Microseconds.
  public var timeToLiveMicroseconds: Int64?
  public var visibility: Visibility
  public var bounds: Bounds
  /// How long after its event a row becomes known: it is visible from event time + offset on, while its age
  /// still counts from the event. Microseconds, not negative.
  public var offsetMicroseconds: Int64

  public init(
    timeToLiveMicroseconds: Int64? = nil, visibility: Visibility = .event,
    bounds: Bounds = .inclusive, offsetMicroseconds: Int64 = 0
  ) throws(PointInTimeError) {
    if let ttl = timeToLiveMicroseconds, ttl < 0 {
      throw PointInTimeError(.timeToLive, "a ttl of \(ttl) microseconds is negative")
    }
    guard offsetMicroseconds >= 0 else {
      throw PointInTimeError(
        .offset,
        "an offset of \(offsetMicroseconds) microseconds would make features known before "
          + "they happen")
    }
    self.timeToLiveMicroseconds = timeToLiveMicroseconds
    self.visibility = visibility
    self.bounds = bounds
    self.offsetMicroseconds = offsetMicroseconds
  }

  /// When an event becomes known at the earliest; nil when that is after the end of time.
  @inline(__always) func knownFrom(_ eventTime: Int64) -> Int64? {
    let (time, overflow) = eventTime.addingReportingOverflow(offsetMicroseconds)
    return overflow ? nil : time
  }

  /// Whether what is known from `instant` on counts at `time`.
  func isBefore(_ instant: Int64, _ time: Int64) -> Bool {
    bounds == .inclusive ? instant <= time : instant < time
  }

  /// The oldest event that is young enough at `time`; the beginning of time without a ttl.
  static func oldest(_ timeToLiveMicroseconds: Int64?, at time: Int64) -> Int64 {
    guard let timeToLiveMicroseconds else { return .min }
    let (oldest, overflow) = time.subtractingReportingOverflow(timeToLiveMicroseconds)
    return overflow ? .min : oldest
  }
}
