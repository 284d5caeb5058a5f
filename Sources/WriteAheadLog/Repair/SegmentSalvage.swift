internal import Storage

/// What can still be read of one file of a damaged log.
struct SegmentSalvage {
  /// Whole frames behind each other, with LSNs behind each other.
  struct Run {
    var segment: Segment
    var start: Int
    var end: Int
    var firstLSN: LogSequenceNumber
    var nextLSN: LogSequenceNumber
    var recordCount: Int
  }

  /// A whole record of a damaged frame.
  struct LooseRecord {
    var segment: Segment
    var byteOffset: Int
    var sizeBytes: Int
    var lsn: LogSequenceNumber
  }

  /// Bytes that are no frame.
  struct Gap {
    var start: Int
    var end: Int
    /// The LSNs that may have been in them: from this one on.
    var firstLSN: LogSequenceNumber
  }

  let segment: Segment
  private(set) var runs: [Run] = []
  private(set) var loose: [LooseRecord] = []
  private(set) var gaps: [Gap] = []
  /// The greatest LSN that a whole frame says to be durable.
  private(set) var durableUpTo: LogSequenceNumber = 0
  /// The chained checksum of the first run.
  private(set) var chain: UInt32 = 0

  /// - Parameters:
  ///   - limit: where the segment's frames end, as far as that is known.
  ///   - lsns: those that may be in it.
  init(
    _ segment: Segment, limit: Int, lsns: Range<LogSequenceNumber>
  ) throws(StorageError) {
    self.segment = segment
    var offset = SegmentHeader.sizeBytes
    var expected = lsns.lowerBound
    while offset + Frame.headerBytes <= limit {
      var start = offset
      if try firstLSN(at: offset, limit, expected..<lsns.upperBound) == nil {
        let found = try nextFrame(after: offset, limit, expected..<lsns.upperBound)
        gaps.append(Gap(start: offset, end: found ?? limit, firstLSN: expected))
        guard let found else { break }
        start = found
      }
      guard let first = try firstLSN(at: start, limit, expected..<lsns.upperBound) else { break }
      if start == offset, first != expected {
        gaps.append(Gap(start: offset, end: offset, firstLSN: expected))
      }
      var run = Run(
        segment: segment, start: start, end: start, firstLSN: first, nextLSN: first, recordCount: 0)
      var scanner = FrameScanner(segment, from: start, limit: limit, expectedLSN: first)
      while case .frame(let header, _) = try scanner.next(), header.nextLSN <= lsns.upperBound {
        run.nextLSN = header.nextLSN
        run.end = scanner.offset
        run.recordCount += header.recordCount
        durableUpTo = max(
          durableUpTo, header.kind == .closed ? header.firstLSN : header.durableUpTo)
        if runs.isEmpty { chain = Frame.chain(chain, after: header) }
      }
      runs.append(run)
      expected = run.nextLSN
      offset = run.end
    }
  }

  /// The first LSN of the whole frame at `offset`; nil when there is none with LSNs in the range.
  private func firstLSN(
    at offset: Int, _ limit: Int, _ lsns: Range<LogSequenceNumber>
  ) throws(StorageError) -> LogSequenceNumber? {
    let head = try segment.file.read(count: Frame.headerBytes, at: Int64(offset))
    guard let length = Frame.plausibleLength(head.rawSpan), length <= limit - offset else {
      return nil
    }
    let bytes = try segment.file.read(count: length, at: Int64(offset))
    return frame(bytes.rawSpan, lsns)?.firstLSN
  }

  private func frame(_ bytes: RawSpan, _ lsns: Range<LogSequenceNumber>) -> Frame.Header? {
    // Most offsets are no frame's beginning, and to look at the LSN is cheaper than a checksum.
    guard bytes.byteCount >= Frame.headerBytes,
      lsns.contains(bytes.loadLittleEndian(Int64.self, at: 8)),
      let header = Frame.validate(bytes, salt: segment.header.salt),
      header.nextLSN <= lsns.upperBound
    else { return nil }
    return header
  }

  /// Where the next whole frame begins.
  private func nextFrame(
    after start: Int, _ limit: Int, _ lsns: Range<LogSequenceNumber>
  ) throws(StorageError) -> Int? {
    var begin = start + 8
    var windowBytes = 256 << 10
    while begin + Frame.headerBytes <= limit {
      let window = try segment.file.read(
        count: min(windowBytes, limit - begin), at: Int64(begin))
      let isLast = begin + window.count >= limit || window.count < windowBytes
      var offset = 0
      var needsMore = false
      while offset + Frame.headerBytes <= window.count {
        let rest = window.rawSpan.extracting(droppingFirst: offset)
        if let length = Frame.plausibleLength(rest),
          lsns.contains(rest.loadLittleEndian(Int64.self, at: 8))
        {
          if length <= rest.byteCount {
            if frame(rest.extracting(first: length), lsns) != nil { return begin + offset }
          } else if !isLast {
            needsMore = true
            break
          }
        }
        offset += 8
      }
      if isLast { return nil }
      // A frame that the window cuts is looked at with a larger one.
      windowBytes = needsMore && offset == 0 ? windowBytes * 4 : 256 << 10
      begin += offset
    }
    return nil
  }

  /// Leaves out all but the first runs: what comes after a gap was perhaps never acknowledged.
  mutating func keepRuns(_ count: Int) { runs.removeLast(runs.count - count) }

  /// Finds whole records in the gaps, of frames that were durable.
  mutating func findLooseRecords(
    below bound: LogSequenceNumber
  ) throws(StorageError) {
    for gap in gaps {
      // What is whole behind the gap says which LSNs can be in it.
      let next = runs.first { $0.start >= gap.end }?.firstLSN ?? .max
      try findLooseRecords(gap, gap.firstLSN..<max(gap.firstLSN, min(bound, next)))
    }
  }

  private mutating func findLooseRecords(
    _ gap: Gap, _ lsns: Range<LogSequenceNumber>
  ) throws(StorageError) {
    if lsns.isEmpty { return }
    let bytes = try segment.file.read(count: gap.end - gap.start, at: Int64(gap.start))
    var offset = 0
    var expected = lsns.lowerBound
    while offset + LogRecords.recordHeaderBytes <= bytes.count {
      let rest = bytes.rawSpan.extracting(droppingFirst: offset)
      let lsn = rest.loadLittleEndian(Int64.self, at: 8)
      let payload = Int(rest.loadLittleEndian(UInt32.self, at: 0))
      let size = LogRecords.sizeBytes(payload: payload)
      if lsn >= expected, lsn < lsns.upperBound, payload <= LogRecords.payloadLimitBytes,
        size <= rest.byteCount,
        rest.loadLittleEndian(UInt32.self, at: 4)
          == Frame.recordChecksum(rest.extracting(first: size), salt: segment.header.salt)
      {
        loose.append(
          LooseRecord(
            segment: segment, byteOffset: gap.start + offset, sizeBytes: size, lsn: lsn))
        expected = lsn + 1
        offset += size
      } else {
        offset += 8
      }
    }
  }
}
