import Columnar

/// Where in a file the rows are that a reader gives one after the other: not always from the start,
/// since row groups and pages may be left out.
struct RowPositions {
  private let ranges: [Range<Int64>]
  private var index = 0
  private var taken: Int64 = 0

  init(_ ranges: [Range<Int64>]) { self.ranges = ranges }

  /// The positions of the next rows.
  mutating func next(_ count: Int) throws(IcebergError) -> [Range<Int64>] {
    var found: [Range<Int64>] = []
    var left = Int64(count)
    while left > 0 {
      guard index < ranges.count else {
        throw IcebergError(.invalidMetadata, "the file has more rows than its footer says")
      }
      let start = ranges[index].lowerBound + taken
      let length = min(left, ranges[index].upperBound - start)
      if length > 0 { found.append(start..<(start + length)) }
      left -= length
      taken += length
      if start + length == ranges[index].upperBound {
        index += 1
        taken = 0
      }
    }
    return found
  }

  /// Throws when rows that were to come did not.
  func checkComplete() throws(IcebergError) {
    if ranges.dropFirst(index).allSatisfy(\.isEmpty) { return }
    throw IcebergError(.invalidMetadata, "the file is damaged: rows of it cannot be read")
  }

  /// A column of positions, counted from `first`.
  static func column(_ ranges: [Range<Int64>], first: Int64 = 0) -> Column {
    var values: [Int64] = []
    for range in ranges {
      for position in range { values.append(first &+ position) }
    }
    return Column(type: .int64, count: values.count, buffers: [Buffer(copying: values)])
  }
}
