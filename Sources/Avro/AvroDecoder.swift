/// Reads Avro's binary encoding, value by value, from bytes that nobody vouches for: every length
/// and count is checked against what is left before anything is allocated.
public struct AvroDecoder: Sendable {
  private let bytes: [UInt8]
  public private(set) var position: Int
  private let end: Int

  public init(_ bytes: [UInt8]) { self.init(bytes, in: bytes.indices) }

  /// - Precondition: `range` lies within `bytes`.
  public init(_ bytes: [UInt8], in range: Range<Int>) {
    precondition(range.lowerBound >= 0 && range.upperBound <= bytes.count, "range out of bounds")
    self.bytes = bytes
    position = range.lowerBound
    end = range.upperBound
  }

  public var remaining: Int { end - position }
  public var isAtEnd: Bool { position == end }

  func error(_ message: String) -> AvroError { AvroError(message, byteOffset: position) }
}

// Scalars.
extension AvroDecoder {
  /// A zigzag varint of at most ten bytes.
  public mutating func readLong() throws(AvroError) -> Int64 {
    guard position < end else { throw error("unexpected end") }
    let first = bytes[position]
    if first < 0x80 {
      position += 1
      return Int64(first >> 1) ^ -Int64(first & 1)
    }
    var value = UInt64(first & 0x7F)
    var shift: UInt64 = 7
    var index = position + 1
    while true {
      guard index < end else { throw error("unexpected end in a number") }
      let byte = bytes[index]
      guard shift < 63 || byte <= 1 else { throw error("a number of more than 64 bits") }
      value |= UInt64(byte & 0x7F) &<< shift
      index += 1
      if byte < 0x80 { break }
      shift += 7
    }
    position = index
    return Int64(bitPattern: value >> 1) ^ -Int64(bitPattern: value & 1)
  }

  public mutating func readInt() throws(AvroError) -> Int32 {
    guard let value = Int32(exactly: try readLong()) else {
      throw error("a number of more than 32 bits")
    }
    return value
  }

  public mutating func readBoolean() throws(AvroError) -> Bool {
    guard position < end else { throw error("unexpected end") }
    let byte = bytes[position]
    guard byte <= 1 else { throw error("\(byte) is no boolean") }
    position += 1
    return byte == 1
  }

  public mutating func readFloat() throws(AvroError) -> Float {
    let range = try take(4)
    return Float(bitPattern: bytes[range].reversed().reduce(0) { $0 << 8 | UInt32($1) })
  }

  public mutating func readDouble() throws(AvroError) -> Double {
    let range = try take(8)
    return Double(bitPattern: bytes[range].reversed().reduce(0) { $0 << 8 | UInt64($1) })
  }

  public mutating func readBytes() throws(AvroError) -> [UInt8] { Array(bytes[try skipBytes()]) }

  public mutating func readFixed(_ size: Int) throws(AvroError) -> [UInt8] {
    Array(bytes[try take(size)])
  }

  /// Text; bytes that are not UTF-8 are an error.
  public mutating func readString() throws(AvroError) -> String {
    let range = try skipBytes()
    // Four times as fast as `String(validating:)`.
    do { return String(copying: try UTF8Span(validating: bytes.span.extracting(range))) } catch {
      throw self.error("a string is not UTF-8")
    }
  }

  /// Whether the value of a union is there: reads the branch.
  @inline(__always) public mutating func readPresence(_ nulls: AvroNulls) throws(AvroError) -> Bool
  {
    if nulls == .none { return true }
    let branch = try readLong()
    switch (nulls, branch) {
    case (.onlyBranch, 0): return true
    case (.firstBranch, 0), (.secondBranch, 1): return false
    case (.firstBranch, 1), (.secondBranch, 0): return true
    default: throw error("a union has no branch \(branch)")
    }
  }

  /// How many items the next block of an array or a map has; 0 at its end.
  ///
  /// Items of no bytes at all are refused beyond what is left, so that a few bytes cannot ask for
  /// millions of items.
  public mutating func readBlockCount() throws(AvroError) -> Int {
    var count = try readLong()
    if count < 0 {
      let size = try readLong()
      guard size >= 0, size <= Int64(remaining), count != Int64.min else {
        throw error("a block of \(size) bytes")
      }
      count = -count
    }
    guard count <= Int64(remaining) else {
      throw error("a block of \(count) items in \(remaining) bytes")
    }
    return Int(count)
  }

  private mutating func readLength() throws(AvroError) -> Int {
    let length = try readLong()
    guard length >= 0, length <= Int64(remaining) else {
      throw error("a length of \(length) with \(remaining) bytes left")
    }
    return Int(length)
  }

  @inline(__always) private mutating func take(_ count: Int) throws(AvroError) -> Range<Int> {
    guard count <= remaining else {
      throw error("\(count) bytes needed, \(remaining) left")
    }
    let start = position
    position += count
    return start..<position
  }
}

// Values that nobody wants.
extension AvroDecoder {
  /// Passes over a value of this schema.
  public mutating func skip(_ schema: AvroSchema) throws(AvroError) {
    switch schema.shape {
    case .null: break
    case .boolean: _ = try take(1)
    case .int, .long, .enumeration: _ = try readLong()
    case .float: _ = try take(4)
    case .double: _ = try take(8)
    case .bytes, .string: _ = try take(try readLength())
    case .fixed(_, let size): _ = try take(size)
    case .record(_, let fields): for field in fields { try skip(field.schema) }
    case .array(let items):
      try skipBlocks { (decoder: inout AvroDecoder) throws(AvroError) in try decoder.skip(items) }
    case .map(let values):
      try skipBlocks { (decoder: inout AvroDecoder) throws(AvroError) in
        _ = try decoder.take(try decoder.readLength())
        try decoder.skip(values)
      }
    case .union(let branches):
      let branch = try readLong()
      guard branch >= 0, branch < Int64(branches.count) else {
        throw error("a union has no branch \(branch)")
      }
      try skip(branches[Int(branch)])
    }
  }

  /// Passes over bytes or a string.
  @discardableResult public mutating func skipBytes() throws(AvroError) -> Range<Int> {
    try take(try readLength())
  }

  /// Blocks that tell their size are jumped over.
  private mutating func skipBlocks(
    _ skipItem: (inout AvroDecoder) throws(AvroError) -> Void
  ) throws(AvroError) {
    // Items that take no bytes would otherwise cost the square of the file's size.
    var allowed = Int64(remaining)
    while true {
      let count = try readLong()
      if count == 0 { return }
      if count < 0 {
        _ = try take(try readLength())
        continue
      }
      allowed -= count
      guard count <= Int64(remaining), allowed >= 0 else {
        throw error("a block of \(count) items in \(remaining) bytes")
      }
      for _ in 0..<count { try skipItem(&self) }
    }
  }
}
