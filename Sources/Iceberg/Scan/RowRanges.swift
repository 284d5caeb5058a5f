/// Rows of a row group, as ranges that ascend and do not touch.
struct RowRanges: Hashable {
  private(set) var ranges: [Range<Int64>]

  /// - Parameter ascending: may touch.
  init(_ ascending: [Range<Int64>]) {
    ranges = []
    for range in ascending where !range.isEmpty {
      if let last = ranges.last, last.upperBound >= range.lowerBound {
        ranges[ranges.count - 1] = last.lowerBound..<max(last.upperBound, range.upperBound)
      } else {
        ranges.append(range)
      }
    }
  }

  var isEmpty: Bool { ranges.isEmpty }

  func union(_ other: RowRanges) -> RowRanges {
    RowRanges((ranges + other.ranges).sorted { $0.lowerBound < $1.lowerBound })
  }

  func intersection(_ other: RowRanges) -> RowRanges {
    var common: [Range<Int64>] = []
    var (own, others) = (0, 0)
    while own < ranges.count, others < other.ranges.count {
      let (first, second) = (ranges[own], other.ranges[others])
      common.append(first.clamped(to: second))
      if first.upperBound <= second.upperBound { own += 1 } else { others += 1 }
    }
    return RowRanges(common)
  }
}
