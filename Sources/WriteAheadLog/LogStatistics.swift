/// Durations, or other counts, in buckets of which each is an eighth wider than the last: percentiles
/// are right within an eighth. A value; adding costs a few nanoseconds.
public struct Histogram: Hashable, Sendable {
  /// Eight buckets to each power of two.
  private var buckets: [UInt64] = []
  public private(set) var count: UInt64 = 0
  public private(set) var sum: UInt64 = 0
  public private(set) var maximum: UInt64 = 0

  public init() {}

  public mutating func add(_ value: UInt64) {
    let index = Histogram.bucket(of: value)
    if index >= buckets.count {
      buckets += [UInt64](repeating: 0, count: index + 1 - buckets.count)
    }
    buckets[index] += 1
    count += 1
    sum &+= value
    maximum = max(maximum, value)
  }

  /// The value that this share of all values does not exceed: 0.99 for p99; 0 when there are none.
  public func percentile(_ share: Double) -> UInt64 {
    guard count > 0 else { return 0 }
    let wanted = UInt64((Double(count) * min(max(share, 0), 1)).rounded(.up))
    var seen: UInt64 = 0
    for (index, bucket) in buckets.enumerated() {
      seen += bucket
      if seen >= max(wanted, 1) { return min(Histogram.upperBound(of: index), maximum) }
    }
    return maximum
  }

  public var mean: Double { count == 0 ? 0 : Double(sum) / Double(count) }

  private static func bucket(of value: UInt64) -> Int {
    if value < 8 { return Int(value) }
    let power = 63 - value.leadingZeroBitCount
    return (power - 2) * 8 + Int(value >> UInt64(power - 3)) & 7
  }

  private static func upperBound(of bucket: Int) -> UInt64 {
    if bucket < 8 { return UInt64(bucket) }
    let power = UInt64(bucket / 8 + 2)
    return (UInt64(bucket % 8 + 9) << (power - 3)) &- 1
  }
}

/// What a log did since it was opened, and what it has.
public struct LogStatistics: Hashable, Sendable {
  /// Records, appends and their bytes (with what frames and alignment add).
  public var records: UInt64 = 0
  public var appends: UInt64 = 0
  public var bytes: UInt64 = 0
  /// Appends that were refused: the disk was full, or the log at its limit.
  public var refusedAppends: UInt64 = 0
  /// Appends written together, by group; the count is that of the groups.
  public var appendsPerGroup = Histogram()
  /// Nanoseconds that the syncs of records took; the count is that of the syncs.
  public var syncNanoseconds = Histogram()
  /// New segments, and how many of them had to be filled while appends waited.
  public var segmentsBegun: UInt64 = 0
  public var segmentsFilledInline: UInt64 = 0
  /// Segments that could not be prepared in advance.
  public var failedPreparations: UInt64 = 0

  public var segmentCount = 0
  /// What the segments, the one prepared and the reserve take on disk.
  public var diskBytes = 0
  /// The bound on the segments' size; nil for none.
  public var limitBytes: Int?
  /// The size of the reserve that the options ask for.
  public var reserveBytes = 0
  /// The file of the reserve is there: the disk was not full, or is no longer.
  public var hasReserve = false
  public var firstLSN: LogSequenceNumber = 0
  public var lastLSN: LogSequenceNumber = 0
  public var durableLSN: LogSequenceNumber = 0
  /// Written but not yet synced.
  public var unsyncedBytes = 0
  /// Nothing more is written, because a write or a sync failed.
  public var isPoisoned = false

  public init() {}
}
