/// First parts of keys: what files and row groups are chosen by.
public enum FirstKeys: Hashable, Sendable {
  /// Ascending booleans (0, 1), integers, dates or timestamps.
  case integers([Int64])
  /// Ascending strings, binary or fixed bytes, in unsigned byte order.
  case bytes([[UInt8]])
}

extension Spine {
  /// The event times that may count for some row, both ends included; nil when none can.
  public func eventTimes(_ rules: JoinRules) -> ClosedRange<Int64>? {
    guard let timeRange else { return nil }
    let (known, overflow) = timeRange.upperBound.subtractingReportingOverflow(
      rules.offsetMicroseconds)
    if overflow || (rules.bounds == .strict && known == .min) { return nil }
    let last = rules.bounds == .strict ? known - 1 : known
    let first = JoinRules.oldest(rules.timeToLiveMicroseconds, at: timeRange.lowerBound)
    return first <= last ? first...last : nil
  }

  /// The distinct first parts of the keys, if there are not more than so many; else the least and the greatest
  /// of integers, and nil for bytes.
  public func firstKeys(
    atMost limit: Int
  ) -> (keys: FirstKeys, areAll: Bool)? {
    let part = interner.parts[0]
    guard part.isWord else {
      guard part.count <= limit else { return nil }
      return (.bytes(part.bytes.values.sorted { $0.lexicographicallyPrecedes($1) }), true)
    }
    let keys = part.words.words.map { Int64(bitPattern: $0) }
    if part.count <= limit { return (.integers(keys.sorted()), true) }
    guard let least = keys.min(), let greatest = keys.max() else { return nil }
    return (.integers([least, greatest]), false)
  }
}
