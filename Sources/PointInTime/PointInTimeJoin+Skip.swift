/// What a join need not read.
public enum Skipping: Hashable, Sendable {
  /// It may change the result.
  case no
  /// It can change neither a value nor the reason of a null.
  case harmless
  /// It can change no value; but of keys that get null, it may hold rows that are too old or too new, so
  /// that the reason would be another.
  case hidesReasons
}

extension PointInTimeJoin {
  /// What is known of the slots, in ranges of time, so that asking costs no walk over all of them.
  ///
  /// It grows old as rows are consumed, but only to the safe side: what a slot holds can only get
  /// newer.
  struct SkipSummary: Sendable {
    let buckets: TimeBuckets
    /// The bucket of each slot.
    var bucketOfSlot: [UInt16]
    /// For each bucket: the oldest event time that a slot in it or in a later one holds; nil when one
    /// of them holds nothing.
    var oldestHeld: [Int64?] = []
    var consumedRowCount: Int64 = 0
  }

  /// Whether no row between these bounds can change a value of the result, so that it need not be
  /// read. Never skipping wrongly; `.no` when in doubt.
  ///
  /// - Parameter eventTimes: bounds of the event time in microseconds.
  /// - Complexity: logarithmic, but for a walk over the slots whenever as many rows as slots have been
  ///   consumed since the last.
  public mutating func canSkip(eventTimes: ClosedRange<Int64>) -> Skipping {
    guard let asked = spine.timeRange else { return .harmless }
    let known = rules.knownFrom(eventTimes.lowerBound)
    if known.map({ !rules.isBefore($0, asked.upperBound) }) ?? true { return .hidesReasons }
    if eventTimes.upperBound < JoinRules.oldest(rules.timeToLiveMicroseconds, at: asked.lowerBound)
    {
      return .hidesReasons
    }
    guard consumedRowCount > 0 else { return .no }
    let summary = freshSummary()
    guard summary.allHoldNewer(than: eventTimes) else { return .no }
    return summary.oldestHeld[0] == nil ? .hidesReasons : .harmless
  }

  private mutating func freshSummary() -> SkipSummary {
    if let skipSummary {
      // Looking at all slots is worth it after as many rows, and after half as many again if it was in vain.
      let isInVain = skipSummary.oldestHeld.allSatisfy { $0 == nil }
      let pause = max(
        Int64(max(spine.slotCount, 1 << 16)), isInVain ? skipSummary.consumedRowCount / 2 : 0)
      if consumedRowCount - skipSummary.consumedRowCount < pause { return skipSummary }
    }
    var summary = skipSummary ?? SkipSummary(spine)
    summary.oldestHeld = summary.oldest(spine, best)
    summary.consumedRowCount = consumedRowCount
    skipSummary = summary
    return summary
  }
}

extension PointInTimeJoin.SkipSummary {
  init(_ spine: Spine) {
    let buckets = TimeBuckets(of: spine.slotTimes)
    self.buckets = buckets
    bucketOfSlot = spine.slotTimes.map { UInt16(buckets.bucket(of: $0)) }
  }

  /// What `oldestHeld` is to be.
  func oldest(_ spine: Spine, _ best: [PointInTimeJoin.Best]) -> [Int64?] {
    var oldest = [Int64](repeating: .max, count: buckets.count)
    var hasGap = [Bool](repeating: false, count: buckets.count)
    let (held, bucketOfSlot) = (best.span, bucketOfSlot.span)
    for key in 0..<spine.keyCount {
      var carried = PointInTimeJoin.Best()
      for slot in spine.slots(ofKey: key) {
        let own = held[slot]
        if own.source >= 0, own.isNewer(than: carried) { carried = own }
        let bucket = Int(bucketOfSlot[slot])
        if carried.source >= 0 {
          oldest[bucket] = min(oldest[bucket], carried.eventTime)
        } else {
          hasGap[bucket] = true
        }
      }
    }
    var all = [Int64?](repeating: nil, count: oldest.count)
    var oldestLater = Int64.max
    for bucket in oldest.indices.reversed() {
      if hasGap[bucket] { break }
      oldestLater = min(oldestLater, oldest[bucket])
      all[bucket] = oldestLater
    }
    return all
  }

  /// Whether every slot that rows this old could reach holds something newer already. Equal times do
  /// not count: the LSN decides those.
  func allHoldNewer(than eventTimes: ClosedRange<Int64>) -> Bool {
    guard let held = oldestHeld[buckets.bucket(of: eventTimes.lowerBound)] else { return false }
    return held > eventTimes.upperBound
  }
}
