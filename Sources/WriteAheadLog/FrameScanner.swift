internal import Storage

/// Reads a segment's frames in their order, a window at a time.
struct FrameScanner {
  enum Step {
    case frame(Frame.Header, byteOffset: Int)
    /// No valid frame begins here.
    case end(byteOffset: Int)
  }

  let segment: Segment
  /// Nothing beyond is looked at.
  let limit: Int
  private(set) var offset: Int
  private(set) var expectedLSN: LogSequenceNumber
  private var window: [UInt8] = []
  private var windowStart = 0
  /// Where the last frame lies in the window.
  private(set) var frameRange = 0..<0

  private static let windowBytes = 256 << 10

  init(
    _ segment: Segment, from offset: Int = SegmentHeader.sizeBytes, limit: Int,
    expectedLSN: LogSequenceNumber
  ) {
    self.segment = segment
    self.offset = offset
    self.limit = limit
    self.expectedLSN = expectedLSN
  }

  /// The bytes of the frame that `next` returned last.
  var frame: RawSpan {
    @_lifetime(borrow self)
    get { window.rawSpan.extracting(frameRange) }
  }

  mutating func next() throws(StorageError) -> Step {
    guard offset + Frame.headerBytes <= limit else { return .end(byteOffset: offset) }
    try fill(Frame.headerBytes)
    guard
      let length = Frame.plausibleLength(
        window.rawSpan.extracting(droppingFirst: min(offset - windowStart, window.count))),
      offset + length <= limit
    else { return .end(byteOffset: offset) }
    try fill(length)
    let start = offset - windowStart
    guard start + length <= window.count,
      let header = Frame.validate(
        window.rawSpan.extracting(start..<start + length), salt: segment.header.salt),
      header.firstLSN == expectedLSN
    else { return .end(byteOffset: offset) }
    frameRange = start..<start + length
    let found = offset
    offset += length
    expectedLSN = header.nextLSN
    return .frame(header, byteOffset: found)
  }

  /// Makes the window hold `count` bytes from `offset`, or what the file has of them.
  private mutating func fill(_ count: Int) throws(StorageError) {
    let start = offset - windowStart
    if start >= 0, start + count <= window.count { return }
    let wanted = min(max(count, FrameScanner.windowBytes), limit - offset)
    window = try segment.file.read(count: wanted, at: Int64(offset))
    windowStart = offset
  }
}
