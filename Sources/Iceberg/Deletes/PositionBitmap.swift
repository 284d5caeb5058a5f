import Storage

/// A set of row positions, compressed by blocks of 65,536: what a deletion vector holds.
///
/// A block is an ascending array of offsets until an array would be larger than its bits. The
/// serialised form is in `PositionBitmap+Roaring.swift`.
public struct PositionBitmap: Hashable, Sendable {
  enum Block: Hashable, Sendable {
    /// Ascending, without repetition, at most `arrayLimit` of them.
    case array([UInt16])
    /// 1,024 words, and how many bits are set.
    case bits([UInt64], count: Int)

    /// Up to so many offsets two bytes each are no more than the bits.
    static let arrayLimit = 4096
    static let wordCount = 1024
  }

  /// By the position's bits above the lowest 16.
  private(set) var blocks: [UInt64: Block] = [:]

  /// Positions are row numbers of one file; Iceberg's libraries stop here, and so do we.
  public static let maximumPosition: Int64 = 0x7FFF_FFFE_8000_0000

  public init() {}

  public init(_ positions: some Sequence<Int64>) throws(IcebergError) {
    for position in positions { try insert(position) }
  }

  public var isEmpty: Bool { blocks.isEmpty }

  public var count: Int64 { blocks.values.reduce(0) { $0 + Int64($1.count) } }

  /// Adds a position; amortised constant when positions come in order.
  ///
  /// - Throws: `invalidMetadata` for what is no position.
  public mutating func insert(_ position: Int64) throws(IcebergError) {
    guard position >= 0, position <= PositionBitmap.maximumPosition else {
      throw IcebergError(.invalidMetadata, "\(position) is no row position")
    }
    blocks[UInt64(position) >> 16, default: .array([])].insert(
      UInt16(truncatingIfNeeded: position))
  }

  public mutating func formUnion(_ other: PositionBitmap) {
    for (key, block) in other.blocks {
      guard blocks[key] != nil else {
        blocks[key] = block
        continue
      }
      block.visit { blocks[key]?.insert($0) }
    }
  }

  /// Replaces or adds one block; for readers of the serialised form.
  mutating func setBlock(_ block: Block, key: UInt64) { blocks[key] = block }

  public func contains(_ position: Int64) -> Bool {
    guard position >= 0, let block = blocks[UInt64(position) >> 16] else { return false }
    return block.contains(UInt16(truncatingIfNeeded: position))
  }

  /// All positions, ascending.
  public var positions: [Int64] {
    var positions: [Int64] = []
    for (key, block) in blocks.sorted(by: { $0.key < $1.key }) {
      block.visit { positions.append(Int64(key << 16) + Int64($0)) }
    }
    return positions
  }

  /// Clears the flags of rows in `range` that are in the set; `flags[start]` is that of the first.
  func clear(_ range: Range<Int64>, in flags: inout [Bool], start: Int) {
    guard !range.isEmpty, !blocks.isEmpty else { return }
    for key in (UInt64(range.lowerBound) >> 16)...(UInt64(range.upperBound - 1) >> 16) {
      guard let block = blocks[key] else { continue }
      let base = Int64(key << 16)
      block.visit { offset in
        let position = base + Int64(offset)
        guard range.contains(position) else { return }
        flags[start + Int(position - range.lowerBound)] = false
      }
    }
  }
}

extension PositionBitmap.Block {
  var count: Int {
    switch self {
    case .array(let offsets): offsets.count
    case .bits(_, let count): count
    }
  }

  func contains(_ offset: UInt16) -> Bool {
    switch self {
    case .array(let offsets):
      let index = offsets.insertionIndex(of: offset)
      return index < offsets.count && offsets[index] == offset
    case .bits(let words, _): return words[Int(offset >> 6)] >> UInt64(offset & 63) & 1 == 1
    }
  }

  mutating func insert(_ offset: UInt16) {
    switch self {
    case .array(var offsets):
      self = .array([])
      if let last = offsets.last, last < offset {
        offsets.append(offset)
      } else {
        let index = offsets.insertionIndex(of: offset)
        if index == offsets.count || offsets[index] != offset { offsets.insert(offset, at: index) }
      }
      self = offsets.count > Self.arrayLimit ? Self.bits(of: offsets) : .array(offsets)
    case .bits(var words, var count):
      self = .array([])
      let mask = UInt64(1) << UInt64(offset & 63)
      if words[Int(offset >> 6)] & mask == 0 { count += 1 }
      words[Int(offset >> 6)] |= mask
      self = .bits(words, count: count)
    }
  }

  private static func bits(of offsets: [UInt16]) -> PositionBitmap.Block {
    var words = [UInt64](repeating: 0, count: wordCount)
    for offset in offsets { words[Int(offset >> 6)] |= UInt64(1) << UInt64(offset & 63) }
    return .bits(words, count: offsets.count)
  }

  /// Calls `body` with each offset, ascending.
  func visit(_ body: (UInt16) -> Void) {
    switch self {
    case .array(let offsets): for offset in offsets { body(offset) }
    case .bits(let words, _):
      for index in words.indices {
        var word = words[index]
        while word != 0 {
          body(UInt16(truncatingIfNeeded: index * 64 + word.trailingZeroBitCount))
          word &= word - 1
        }
      }
    }
  }
}

extension [UInt16] {
  /// The index of the first element that is not below `value`.
  fileprivate func insertionIndex(of value: UInt16) -> Int {
    partitionPoint { $0 < value }
  }
}
