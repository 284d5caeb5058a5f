/// The distinct rows that won, numbered by source and row: a bit for each row of a source up to its last
/// winner, and how many winners come before each word of bits. Neither sorting nor searching is needed.
struct WinnerPlaces: Sendable {
  /// Ascending.
  let sources: [Int32]
  /// Where each source's words begin, by source number; one more than sources.
  private let firstWords: [Int]
  private let bits: [UInt64]
  /// Winners before each word; one more than words.
  private let ranks: [Int32]

  init(_ best: [PointInTimeJoin.Best], _ outcomes: [PointInTimeResult.Outcome]) {
    var wordCounts: [Int] = []
    for slot in best.indices where outcomes[slot] == .found {
      let source = Int(best[slot].source)
      if source >= wordCounts.count {
        wordCounts += repeatElement(0, count: source + 1 - wordCounts.count)
      }
      wordCounts[source] = max(wordCounts[source], best[slot].row >> 6 + 1)
    }
    var firstWords = [0]
    firstWords.reserveCapacity(wordCounts.count + 1)
    for count in wordCounts { firstWords.append(firstWords[firstWords.count - 1] + count) }
    var bits = [UInt64](repeating: 0, count: firstWords[firstWords.count - 1])
    for slot in best.indices where outcomes[slot] == .found {
      let row = best[slot].row
      bits[firstWords[Int(best[slot].source)] + row >> 6] |= 1 << UInt64(row & 63)
    }
    var ranks: [Int32] = [0]
    ranks.reserveCapacity(bits.count + 1)
    var rank: Int32 = 0
    for word in bits {
      rank += Int32(word.nonzeroBitCount)
      ranks.append(rank)
    }
    sources = wordCounts.indices.filter { wordCounts[$0] > 0 }.map { Int32($0) }
    self.firstWords = firstWords
    self.bits = bits
    self.ranks = ranks
  }

  var count: Int { Int(ranks[ranks.count - 1]) }

  func count(ofSourceAt index: Int) -> Int {
    let source = Int(sources[index])
    return Int(ranks[firstWords[source + 1]] - ranks[firstWords[source]])
  }

  func position(of best: PointInTimeJoin.Best) -> Int32 {
    let word = firstWords[Int(best.source)] + best.row >> 6
    let below = bits[word] & ((1 << UInt64(best.row & 63)) - 1)
    return ranks[word] + Int32(below.nonzeroBitCount)
  }

  func rows(of source: Int32) -> [Int32] {
    guard source >= 0, Int(source) + 1 < firstWords.count else { return [] }
    let words = firstWords[Int(source)]..<firstWords[Int(source) + 1]
    var rows: [Int32] = []
    rows.reserveCapacity(Int(ranks[words.upperBound] - ranks[words.lowerBound]))
    for word in words {
      var rest = bits[word]
      while rest != 0 {
        rows.append(Int32((word - words.lowerBound) << 6 + rest.trailingZeroBitCount))
        rest &= rest - 1
      }
    }
    return rows
  }
}
