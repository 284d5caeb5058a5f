/// Ranges of time that have about as many of some moments each. The first has no beginning, the last no end.
///
/// A grid of even cells says where to look, so that finding the range of a moment hardly needs a search.
struct TimeBuckets: Sendable {
  /// Ascending: where each range begins.
  private let starts: [Int64]
  /// Where the grid begins, and how wide its cells are, as a shift.
  private let gridStart: Int64
  private let cellShift: UInt64
  /// The range in which each cell begins, and that of the end of the last.
  private let firstBuckets: [Int32]

  /// About so many; fewer where moments are, or differ, less.
  private static let bucketCount = 1024
  private static let cellCount: UInt64 = 4096
  /// Quantiles of a sample are good enough: ranges need not be even.
  private static let sampleCount = 16_384

  init(of times: [Int64]) {
    let step = max(1, times.count / Self.sampleCount)
    let sample = stride(from: 0, to: times.count, by: step).map { times[$0] }.sorted()
    let width = max(1, sample.count / Self.bucketCount)
    var starts = [Int64.min]
    for place in stride(from: width, to: sample.count, by: width)
    where sample[place] > starts[starts.count - 1] {
      starts.append(sample[place])
    }
    let gridStart = starts.count > 1 ? starts[1] : 0
    let length = starts.count > 1 ? Self.distance(gridStart, starts[starts.count - 1]) : 0
    var shift: UInt64 = 0
    while length >> shift >= Self.cellCount { shift += 1 }
    let lastCell = length >> shift
    firstBuckets =
      (0...lastCell).map { cell in
        Int32(
          Self.search(starts.span, 0..<starts.count, gridStart &+ Int64(bitPattern: cell << shift)))
      } + [Int32(starts.count - 1)]
    (self.starts, self.gridStart, cellShift) = (starts, gridStart, shift)
  }

  var count: Int { starts.count }

  /// The last range that begins at or before `time`.
  func bucket(of time: Int64) -> Int {
    guard time >= gridStart else { return 0 }
    let cell = Self.distance(gridStart, time) >> cellShift
    guard cell < UInt64(firstBuckets.count - 1) else { return starts.count - 1 }
    let first = Int(firstBuckets[Int(cell)])
    return Self.search(starts.span, first..<(Int(firstBuckets[Int(cell) + 1]) + 1), time)
  }

  /// From an earlier moment to a later one, which may be further than an `Int64` reaches.
  private static func distance(_ from: Int64, _ to: Int64) -> UInt64 {
    UInt64(bitPattern: to &- from)
  }

  /// The last place of `range` that is at or before `time`, or its first.
  private static func search(_ starts: Span<Int64>, _ range: Range<Int>, _ time: Int64) -> Int {
    var (low, high) = (range.lowerBound, range.upperBound)
    while high - low > 1 {
      let middle = (low + high) / 2
      if starts[middle] <= time { low = middle } else { high = middle }
    }
    return low
  }
}
