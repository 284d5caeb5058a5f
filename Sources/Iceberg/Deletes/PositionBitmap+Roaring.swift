// The portable serialisation of 64-bit Roaring bitmaps: how many 32-bit bitmaps there are, then for
// each the upper 32 bits of its positions and the bitmap. Everything is little-endian.
//
// A 32-bit bitmap: a cookie (with or without runs), a key and a cardinality a container, offsets
// (which are not needed for reading), then the containers: arrays, bits or runs.
extension PositionBitmap {
  private static let cookieWithoutRuns: UInt32 = 12346
  private static let cookieWithRuns: UInt32 = 12347
  /// With runs, so few containers have no offsets.
  private static let noOffsetThreshold = 4

  /// Reads a whole serialised bitmap.
  ///
  /// - Throws: `invalidMetadata` for anything else than exactly one bitmap.
  public init(roaring bytes: [UInt8]) throws(IcebergError) {
    self.init()
    var input = LittleEndianReader(bytes)
    let bitmapCount = try input.uint64()
    // Each takes twelve bytes at least.
    guard bitmapCount <= UInt64(bytes.count / 12) else {
      throw LittleEndianReader.damaged("\(bitmapCount) bitmaps in \(bytes.count) bytes")
    }
    var previous: UInt32?
    for _ in 0..<bitmapCount {
      let key = try input.uint32()
      if let previous, key <= previous {
        throw LittleEndianReader.damaged("bitmaps are not in order")
      }
      guard key <= UInt32(PositionBitmap.maximumPosition >> 32) else {
        throw LittleEndianReader.damaged("a bitmap for rows beyond any file")
      }
      previous = key
      try readBitmap(&input, UInt64(key) << 16)
    }
    guard input.isAtEnd else { throw LittleEndianReader.damaged("bytes after the last bitmap") }
  }

  private mutating func readBitmap(
    _ input: inout LittleEndianReader, _ base: UInt64
  ) throws(IcebergError) {
    let cookie = try input.uint32()
    var containerCount: Int
    var runFlags: [UInt8] = []
    if cookie & 0xFFFF == PositionBitmap.cookieWithRuns {
      containerCount = Int(cookie >> 16) + 1
      runFlags = try input.bytes((containerCount + 7) / 8)
    } else if cookie == PositionBitmap.cookieWithoutRuns {
      containerCount = Int(try input.uint32())
    } else {
      throw LittleEndianReader.damaged("\(cookie) is no cookie of a bitmap")
    }
    guard containerCount <= 65_536 else {
      throw LittleEndianReader.damaged("\(containerCount) containers")
    }
    var headers: [(key: UInt16, cardinality: Int)] = []
    for _ in 0..<containerCount {
      let key = try input.uint16()
      if let last = headers.last, last.key >= key {
        throw LittleEndianReader.damaged("containers are not in order")
      }
      headers.append((key, Int(try input.uint16()) + 1))
    }
    if runFlags.isEmpty || containerCount >= PositionBitmap.noOffsetThreshold {
      _ = try input.bytes(4 * containerCount)
    }
    for (index, header) in headers.enumerated() {
      let isRun = !runFlags.isEmpty && runFlags[index / 8] >> UInt8(index % 8) & 1 == 1
      setBlock(
        try PositionBitmap.readBlock(&input, header.cardinality, isRun: isRun),
        key: base | UInt64(header.key))
    }
  }

  private static func readBlock(
    _ input: inout LittleEndianReader, _ cardinality: Int, isRun: Bool
  ) throws(IcebergError) -> Block {
    if isRun { return try readRuns(&input, cardinality) }
    if cardinality <= Block.arrayLimit {
      var offsets: [UInt16] = []
      offsets.reserveCapacity(cardinality)
      for _ in 0..<cardinality {
        let offset = try input.uint16()
        if let last = offsets.last, last >= offset {
          throw LittleEndianReader.damaged("offsets are not in order")
        }
        offsets.append(offset)
      }
      return .array(offsets)
    }
    var words: [UInt64] = []
    words.reserveCapacity(Block.wordCount)
    for _ in 0..<Block.wordCount { words.append(try input.uint64()) }
    guard words.reduce(0, { $0 + $1.nonzeroBitCount }) == cardinality else {
      throw LittleEndianReader.damaged("a container with another number of bits")
    }
    return .bits(words, count: cardinality)
  }

  private static func readRuns(
    _ input: inout LittleEndianReader, _ cardinality: Int
  ) throws(IcebergError) -> Block {
    var block = Block.array([])
    var next = 0
    for _ in 0..<(try input.uint16()) {
      let start = Int(try input.uint16())
      let end = start + Int(try input.uint16())
      guard start >= next, end <= 65_535 else { throw LittleEndianReader.damaged("runs overlap") }
      for offset in start...end { block.insert(UInt16(offset)) }
      next = end + 1
    }
    guard block.count == cardinality else {
      throw LittleEndianReader.damaged("runs of another number of positions")
    }
    return block
  }

  /// The serialised form; runs where they are shorter, as other writers have it.
  public var roaring: [UInt8] {
    var output = LittleEndianWriter()
    let groups = Dictionary(grouping: blocks) { $0.key >> 16 }.sorted { $0.key < $1.key }
    output.append(UInt64(groups.count))
    for (key, members) in groups {
      output.append(UInt32(truncatingIfNeeded: key))
      PositionBitmap.write(members.sorted { $0.key < $1.key }, &output)
    }
    return output.bytes
  }

  private static func write(
    _ blocks: [(key: UInt64, value: Block)], _ output: inout LittleEndianWriter
  ) {
    let runs = blocks.map { $0.value.shorterRuns }
    let hasRuns = runs.contains { $0 != nil }
    if hasRuns {
      output.append(cookieWithRuns | UInt32(blocks.count - 1) << 16)
      var flags = [UInt8](repeating: 0, count: (blocks.count + 7) / 8)
      for index in runs.indices where runs[index] != nil { flags[index / 8] |= 1 << (index % 8) }
      output.bytes += flags
    } else {
      output.append(cookieWithoutRuns)
      output.append(UInt32(blocks.count))
    }
    for (key, block) in blocks {
      output.append(UInt16(truncatingIfNeeded: key))
      output.append(UInt16(block.count - 1))
    }
    var contents: [[UInt8]] = []
    for (index, (_, block)) in blocks.enumerated() {
      contents.append(block.content(runs: runs[index]))
    }
    if !hasRuns || blocks.count >= noOffsetThreshold {
      // Offsets count from the cookie of this bitmap.
      let head = hasRuns ? 4 + (blocks.count + 7) / 8 : 8
      var offset = head + 8 * blocks.count
      for content in contents {
        output.append(UInt32(offset))
        offset += content.count
      }
    }
    for content in contents { output.bytes += content }
  }
}

extension PositionBitmap.Block {
  /// Runs as (start, length - 1), if they take fewer bytes than the block otherwise does.
  fileprivate var shorterRuns: [(UInt16, UInt16)]? {
    var runs: [(UInt16, UInt16)] = []
    visit { offset in
      if let last = runs.last, Int(last.0) + Int(last.1) + 1 == Int(offset) {
        runs[runs.count - 1].1 += 1
      } else {
        runs.append((offset, 0))
      }
    }
    let size = count <= Self.arrayLimit ? 2 * count : 8 * Self.wordCount
    return 2 + 4 * runs.count < size ? runs : nil
  }

  fileprivate func content(runs: [(UInt16, UInt16)]?) -> [UInt8] {
    var output = LittleEndianWriter()
    if let runs {
      output.append(UInt16(runs.count))
      for (start, length) in runs {
        output.append(start)
        output.append(length)
      }
      return output.bytes
    }
    switch self {
    case .bits(let words, let count) where count > Self.arrayLimit:
      for word in words { output.append(word) }
    default: visit { output.append($0) }
    }
    return output.bytes
  }
}

/// Reads little-endian integers from bytes that somebody else wrote.
struct LittleEndianReader {
  private let input: [UInt8]
  private(set) var position = 0

  init(_ bytes: [UInt8]) { input = bytes }

  var isAtEnd: Bool { position == input.count }

  mutating func bytes(_ count: Int) throws(IcebergError) -> [UInt8] {
    guard count <= input.count - position else {
      throw LittleEndianReader.damaged("it ends too early")
    }
    defer { position += count }
    return Array(input[position..<(position + count)])
  }

  mutating func uint16() throws(IcebergError) -> UInt16 { UInt16(try integer(2)) }
  mutating func uint32() throws(IcebergError) -> UInt32 { UInt32(try integer(4)) }
  mutating func uint64() throws(IcebergError) -> UInt64 { try integer(8) }

  private mutating func integer(_ width: Int) throws(IcebergError) -> UInt64 {
    guard width <= input.count - position else {
      throw LittleEndianReader.damaged("it ends too early")
    }
    var value: UInt64 = 0
    for index in (0..<width).reversed() { value = value << 8 | UInt64(input[position + index]) }
    position += width
    return value
  }

  static func damaged(_ what: String) -> IcebergError {
    IcebergError(.invalidMetadata, "a bitmap of positions is damaged: \(what)")
  }
}

struct LittleEndianWriter {
  var bytes: [UInt8] = []

  mutating func append<Number: FixedWidthInteger>(_ number: Number) {
    for shift in stride(from: 0, to: Number.bitWidth, by: 8) {
      bytes.append(UInt8(truncatingIfNeeded: number >> shift))
    }
  }
}
