/// What a file, row group or page says of its first key column; both ends may be wider than its values.
public enum KeyBounds: Hashable, Sendable {
  /// Of booleans (0, 1), integers, dates and timestamps.
  case integers(ClosedRange<Int64>)
  /// Of strings, binary and fixed bytes, in unsigned byte order. An absent end is open.
  case bytes(lower: [UInt8]?, upper: [UInt8]?)
}

extension PointInTimeJoin {
  /// What is known of the slots, in ranges of time, so that asking costs no walk over all of them.
  ///
  /// It grows old as rows are consumed, but only to the safe side: what a slot holds can only get
  /// newer.
  struct SkipSummary: Sendable {
    /// Ascending: where each bucket's slots begin in time. The last bucket has no end.
    var bucketStarts: [Int64] = []
    /// For each bucket: the oldest event time that a slot in it or in a later one holds; nil when one
    /// of them holds nothing.
    var oldestHeld: [Int64?] = []
    var consumedRowCount: Int64 = 0
    var integerKeys: [Int64] = []
    var byteKeys: [[UInt8]] = []
  }

  /// Whether no row between these bounds can change a value of the result, so that it need not be
  /// read. Never true wrongly; false when in doubt.
  ///
  /// What is skipped cannot say why a value is null: after skipping, a null's outcome may read
  /// `neverWritten` where the whole table would say `noneBefore`, `late` or `expired`.
  ///
  /// - Parameters:
  ///   - eventTimes: bounds of the event time in microseconds.
  ///   - firstKey: bounds of the first key column, if known.
  /// - Complexity: logarithmic, but for a walk over the slots whenever as many rows as slots have been
  ///   consumed since the last.
  public mutating func canSkip(
    eventTimes: ClosedRange<Int64>, firstKey: KeyBounds? = nil
  ) -> Bool {
    guard let asked = spine.timeRange else { return true }
    if eventTimes.lowerBound > asked.upperBound { return true }
    if bounds == .strict, eventTimes.lowerBound == asked.upperBound { return true }
    if let ttl = timeToLiveMicroseconds {
      let (oldest, overflow) = asked.lowerBound.subtractingReportingOverflow(ttl)
      if !overflow, eventTimes.upperBound < oldest { return true }
    }
    let summary = freshSummary()
    if let firstKey, !summary.mayContain(firstKey) { return true }
    return summary.allHoldNewer(than: eventTimes)
  }

  private mutating func freshSummary() -> SkipSummary {
    if let skipSummary,
      consumedRowCount - skipSummary.consumedRowCount < Int64(max(spine.slotCount, 1 << 16))
    {
      return skipSummary
    }
    var summary = skipSummary ?? SkipSummary(spine)
    summary.update(spine: spine, groups: groups, best: best)
    summary.consumedRowCount = consumedRowCount
    skipSummary = summary
    return summary
  }
}

extension PointInTimeJoin.SkipSummary {
  init(_ spine: Spine) {
    let part = spine.interner.parts[0]
    if part.isWord {
      integerKeys = part.words.words.map { Int64(bitPattern: $0) }.sorted()
    } else {
      byteKeys = part.bytes.values.sorted { $0.lexicographicallyPrecedes($1) }
    }
    // Quantiles of a sample are good enough: buckets need not be even.
    let step = max(1, spine.slotCount / 65_536)
    let sample = stride(from: 0, to: spine.slotCount, by: step).map { spine.slotTimes[$0] }.sorted()
    let width = max(1, sample.count / 1024)
    var starts = [Int64.min]
    for place in stride(from: width, to: sample.count, by: width) {
      if sample[place] > starts[starts.count - 1] { starts.append(sample[place]) }
    }
    bucketStarts = starts
  }

  mutating func update(
    spine: Spine, groups: [Spine.Group], best: [PointInTimeJoin.Best]
  ) {
    var oldest = [Int64?](repeating: .max, count: bucketStarts.count)
    for group in groups {
      var carried = PointInTimeJoin.Best()
      let first = Int(group.firstSlot)
      for slot in first..<(first + Int(group.slotCount)) {
        if best[slot].source >= 0, best[slot].isNewer(than: carried) { carried = best[slot] }
        let bucket = bucket(of: spine.slotTimes[slot])
        guard let held = oldest[bucket] else { continue }
        oldest[bucket] = carried.source >= 0 ? min(held, carried.eventTime) : nil
      }
    }
    for bucket in oldest.indices.dropLast().reversed() {
      if let here = oldest[bucket], let later = oldest[bucket + 1] {
        oldest[bucket] = min(here, later)
      } else {
        oldest[bucket] = nil
      }
    }
    oldestHeld = oldest
  }

  /// The last bucket that starts at or before `time`.
  private func bucket(of time: Int64) -> Int {
    var low = 0
    var high = bucketStarts.count
    while high - low > 1 {
      let middle = (low + high) / 2
      if bucketStarts[middle] <= time { low = middle } else { high = middle }
    }
    return low
  }

  /// Whether every slot that rows this old could reach holds something newer already. Equal times do
  /// not count: the LSN decides those.
  func allHoldNewer(than eventTimes: ClosedRange<Int64>) -> Bool {
    guard let held = oldestHeld[bucket(of: eventTimes.lowerBound)] else { return false }
    return held > eventTimes.upperBound
  }

  func mayContain(_ bounds: KeyBounds) -> Bool {
    switch bounds {
    case .integers(let range):
      guard byteKeys.isEmpty else { return true }
      let place = integerKeys.partitioningIndex { $0 >= range.lowerBound }
      return place < integerKeys.count && integerKeys[place] <= range.upperBound
    case .bytes(let lower, let upper):
      guard integerKeys.isEmpty else { return true }
      let place =
        lower.map { lower in
          byteKeys.partitioningIndex { !$0.lexicographicallyPrecedes(lower) }
        } ?? 0
      guard place < byteKeys.count else { return false }
      return upper.map { !$0.lexicographicallyPrecedes(byteKeys[place]) } ?? true
    }
  }
}

extension Array {
  /// The first place whose element satisfies `predicate`, which must hold for all after it.
  fileprivate func partitioningIndex(_ predicate: (Element) -> Bool) -> Int {
    var low = 0
    var high = count
    while low < high {
      let middle = (low + high) / 2
      if predicate(self[middle]) { high = middle } else { low = middle + 1 }
    }
    return low
  }
}
