import Columnar

/// Which rows of a column have a value, also within the structs around it.
struct Presence {
  private let words: [UInt64]
  private let rowCount: Int
  let presentCount: Int

  /// nil when all rows have one.
  init?(of column: Column, within parent: Presence?) {
    guard let validity = column.validity else {
      guard let parent else { return nil }
      self = parent
      return
    }
    var bits = BitmapBuilder()
    bits.append(bits: validity.bytes, offset: column.offset, count: column.count)
    var words = bits.words
    if let parent { for index in words.indices { words[index] &= parent.words[index] } }
    self.words = words
    rowCount = column.count
    presentCount = words.reduce(0) { $0 + $1.nonzeroBitCount }
  }

  /// The first row from an index on whose bit is set, or is not where bits are flipped; their number when there is none.
  @inline(__always) fileprivate func next(from index: Int, flipped: UInt64) -> Int {
    guard index < rowCount else { return rowCount }
    var place = index >> 6
    var word = (words[place] ^ flipped) & (.max << UInt64(index & 63))
    while word == 0 {
      place += 1
      guard place < words.count else { return rowCount }
      word = words[place] ^ flipped
    }
    return min(place << 6 + word.trailingZeroBitCount, rowCount)
  }
}

/// The rows of a column that have a value, in order, in the longest ranges.
struct PresentRows: IteratorProtocol {
  private let presence: Presence?
  private let rowCount: Int
  private var end = 0

  /// - Parameter presence: nil when all have one.
  init(_ presence: Presence?, rowCount: Int) {
    self.presence = presence
    self.rowCount = rowCount
  }

  @inline(__always) mutating func next() -> Range<Int>? {
    let start = presence?.next(from: end, flipped: 0) ?? end
    guard start < rowCount else { return nil }
    end = presence?.next(from: start, flipped: .max) ?? rowCount
    return start..<end
  }
}
