internal import Storage

extension Recovery {
  /// A frame of the last segment that nothing proves to be durable.
  private struct Unproven {
    var header: Frame.Header
    var byteOffset: Int
    /// The chained checksum before it.
    var chainBefore: UInt32
    var bytes: [UInt8]
  }

  /// What the scan of the last segment found.
  private struct Tail {
    var unproven: [Unproven] = []
    var endOffset = 0
    var chain: UInt32 = 0
    var nextLSN: LogSequenceNumber = 0
    var durableUpTo: LogSequenceNumber
    var endsClosed = false

    /// The frames that what was read since proves to be durable, in their order.
    mutating func takeProven() -> [Unproven] {
      let count = unproven.firstIndex { $0.header.nextLSN - 1 > durableUpTo } ?? unproven.count
      if count == 0 { return [] }
      defer { unproven.removeFirst(count) }
      return Array(unproven[..<count])
    }
  }

  func examineTail(
    _ segments: [Segment], _ mark: DurableMark.Value?, _ report: RecoveryReport,
    _ show: RecordVisitor
  ) throws(WriteAheadLogError) -> Result {
    let segment = segments[segments.count - 1]
    var report = report
    let tail = try scan(segment, mark, &report, show)
    var result = Result(
      segments: segments, endOffset: tail.endOffset, chain: tail.chain, nextLSN: tail.nextLSN,
      endsClosed: tail.endsClosed, report: report)
    result.report.wasCleanlyClosed = tail.endsClosed
    if let mark, mark.durableLSN >= tail.nextLSN {
      throw .corrupt(
        path: segment.file.path, byteOffset: tail.endOffset,
        reason: "LSN \(tail.nextLSN) was durable, as \(DurableMark.name) says, and cannot be read")
    }
    if options.isReadOnly {
      // Beside a writer the rest is what it writes just now, and changes while it is looked at.
      result.nextLSN = tail.unproven.first?.header.firstLSN ?? tail.nextLSN
      return result
    }
    let (rest, used) = try readRest(segment, from: tail.endOffset)
    guard used > 0 || !tail.unproven.isEmpty else {
      // What was written after the last proof of a sync, and is no record, is made durable.
      if tail.endOffset > SegmentHeader.sizeBytes {
        try stored { () throws(StorageError) in try segment.file.synchronizeData() }
      }
      return result
    }
    try refuseProvenDamage(rest, segment, tail)
    result.report.wasCleanlyClosed = false
    result.report.tornBytes = used
    return try repair(result, torn: Array(rest.prefix(used)), tail.unproven, show)
  }

  /// Goes through the last segment's frames, and shows those that are durable.
  private func scan(
    _ segment: Segment, _ mark: DurableMark.Value?, _ report: inout RecoveryReport,
    _ show: RecordVisitor
  ) throws(WriteAheadLogError) -> Tail {
    var scanner = FrameScanner(
      segment, limit: segment.capacityBytes, expectedLSN: segment.header.firstLSN)
    // Whatever came before this segment was synced before it was named.
    var tail = Tail(durableUpTo: max(segment.header.firstLSN - 1, mark?.durableLSN ?? 0))
    tail.endsClosed = segment.header.firstLSN == 1
    while case .frame(let header, let byteOffset) = try step(&scanner) {
      tail.durableUpTo = max(tail.durableUpTo, header.durableUpTo)
      tail.endsClosed = header.kind == .closed
      // A writer reads past the page cache and sees this mark on disk: it came after a sync. A reader
      // knows of what comes before it.
      if header.kind == .closed {
        tail.durableUpTo = max(
          tail.durableUpTo, options.isReadOnly ? header.firstLSN - 1 : header.firstLSN)
      }
      for frame in tail.takeProven() {
        showRecords(frame.bytes, frame.header, segment, frame.byteOffset, show)
      }
      if header.nextLSN - 1 <= tail.durableUpTo {
        _ = Frame.showRecords(
          scanner.frame, header, at: (segment.header.segment, byteOffset),
          from: replayStart ?? 0, show)
      } else {
        var bytes: [UInt8] = []
        bytes.append(contentsOf: scanner.frame)
        tail.unproven.append(
          Unproven(
            header: header, byteOffset: byteOffset, chainBefore: tail.chain, bytes: bytes))
      }
      tail.chain = Frame.chain(tail.chain, after: header)
      report.recordCount += header.recordCount
    }
    tail.endOffset = scanner.offset
    tail.nextLSN = scanner.expectedLSN
    return tail
  }

  private func showRecords(
    _ bytes: [UInt8], _ header: Frame.Header, _ segment: Segment, _ byteOffset: Int,
    _ show: RecordVisitor
  ) {
    _ = Frame.showRecords(
      bytes.rawSpan, header, at: (segment.header.segment, byteOffset), from: replayStart ?? 0, show)
  }

  /// What follows the last valid frame, and how much of it is not the zeros that the segment was
  /// filled with. (A frame may end with zeros of its own, so all of it is looked at.)
  private func readRest(
    _ segment: Segment, from end: Int
  ) throws(WriteAheadLogError) -> (bytes: [UInt8], used: Int) {
    do {
      let rest = try segment.file.read(count: max(0, segment.capacityBytes - end), at: Int64(end))
      let used = rest.countBeforeTrailingZeros
      return used == 0 ? ([], 0) : (rest, used)
    } catch { throw .storage(error) }
  }

  /// Throws when what cannot be read here had been synced.
  private func refuseProvenDamage(
    _ rest: [UInt8], _ segment: Segment, _ tail: Tail
  ) throws(WriteAheadLogError) {
    var offset = 0
    while offset + Frame.headerBytes <= rest.count {
      let bytes = rest.rawSpan.extracting(droppingFirst: offset)
      if let length = Frame.plausibleLength(bytes), length <= bytes.byteCount,
        let header = Frame.validate(
          bytes.extracting(first: length), salt: segment.header.salt),
        header.firstLSN >= tail.nextLSN, header.durableUpTo >= tail.nextLSN
      {
        throw .corrupt(
          path: segment.file.path, byteOffset: tail.endOffset,
          reason: "LSN \(tail.nextLSN) was durable, as byte \(tail.endOffset + offset) shows, "
            + "and cannot be read")
      }
      offset += 8
    }
  }

  private func repair(
    _ found: Result, torn: [UInt8], _ unproven: [Unproven], _ show: RecordVisitor
  ) throws(WriteAheadLogError) -> Result {
    var result = found
    let segment = found.segments[found.segments.count - 1]
    var header = segment.header
    guard header.segment < LogLimits.lastSegment else {
      throw .corrupt(
        path: segment.file.path, byteOffset: 12, reason: "it is the last that a log can have")
    }
    header.segment += 1
    header.firstLSN = unproven.first?.header.firstLSN ?? found.nextLSN
    header.salt = UInt32.random(in: .min ... .max)
    header.predecessorLength = unproven.first?.byteOffset ?? found.endOffset
    header.predecessorChain = unproven.first?.chainBefore ?? found.chain
    var frames: [UInt8] = []
    result.chain = 0
    for frame in unproven {
      var bytes = frame.bytes
      // The new segment has no name before it is synced, so all of it will be durable.
      Frame.seal(
        &bytes, kind: frame.header.kind, firstLSN: frame.header.firstLSN,
        recordCount: frame.header.recordCount, durableUpTo: found.nextLSN - 1, salt: header.salt)
      result.chain = Frame.chain(result.chain, bytes: bytes)
      result.report.copiedRecordCount += frame.header.recordCount
      frames += bytes
    }
    do throws(StorageError) {
      if !torn.isEmpty {
        let path = segment.file.path + ".torn"
        try fileSystem.publish(torn, at: path, replacing: true)
        result.report.tornFile = path
      }
      let successor = try Segment.create(
        header, frames: frames, capacityBytes: options.segmentCapacityBytes,
        isFilled: options.fillsSegments, directory: directory, fileSystem: fileSystem)
      // Its successor says where it ends. It is not cut there: other processes may have it mapped.
      result.segments[result.segments.count - 1] = Segment(
        header: segment.header, file: segment.file, capacityBytes: header.predecessorLength)
      result.segments.append(successor)
      result.endOffset = SegmentHeader.sizeBytes + frames.count
      result.report.segmentCount += 1
      var byteOffset = SegmentHeader.sizeBytes
      for frame in unproven {
        showRecords(frame.bytes, frame.header, successor, byteOffset, show)
        byteOffset += frame.bytes.count
      }
      return result
    } catch { throw .storage(error) }
  }
}
