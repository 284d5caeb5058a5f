internal import Storage

/// Reads a log's segments as they were left, decides what of the last one counts, and repairs it.
///
/// The rule: whatever was durable once must be there and whole, or opening throws. Durable is, for
/// certain, everything in a segment that has a successor, and everything that a later valid frame
/// declares durable. What is left is the tail: its whole frames are kept and written again to a new
/// segment (a sync that failed may have left them in memory only), its rest is torn: set aside, cut.
struct Recovery {
  let directory: String
  let fileSystem: any FileSystem
  let options: WriteAheadLogOptions

  /// A frame found in the last segment.
  struct Found {
    var header: Frame.Header
    var byteOffset: Int
    /// The chained checksum before it.
    var chainBefore: UInt32
  }

  struct Result {
    var segments: [Segment]
    /// Where the next frame goes in the last segment.
    var endOffset: Int
    var chain: UInt32
    var nextLSN: LogSequenceNumber
    var report: RecoveryReport
  }

  /// nil when there is no log yet.
  func run() throws(WriteAheadLogError) -> Result? {
    let numbers = try segmentNumbers()
    guard let first = numbers.first, let last = numbers.last else { return nil }
    var report = RecoveryReport()
    report.segmentCount = numbers.count
    var segments: [Segment] = []
    for number in numbers {
      let mode: OpenMode = number == last && !options.isReadOnly ? .readWrite : .read
      let segment = try Segment.open(
        number, directory: directory, mode: mode, fileSystem: fileSystem)
      if number > first {
        guard number == segments[segments.count - 1].header.segment + 1 else {
          throw .corrupt(
            path: StoragePath.join(directory, Segment.name(number - 1)), byteOffset: 0,
            reason: "the segment is missing")
        }
      }
      segments.append(segment)
    }
    for index in segments.indices.dropLast() {
      try checkSealed(segments[index], successor: segments[index + 1].header, &report)
    }
    return try examineTail(segments, report)
  }

  private func segmentNumbers() throws(WriteAheadLogError) -> [UInt32] {
    do {
      var numbers: [UInt32] = []
      for name in try fileSystem.contentsOfDirectory(directory) {
        if let number = Segment.number(ofName: name) { numbers.append(number) }
        // A segment that never got its name; only the writer may tidy up.
        if !options.isReadOnly, name.hasPrefix("."), name.hasSuffix(".tmp") {
          try fileSystem.removeFile(StoragePath.join(directory, name))
        }
      }
      // A writer before may have ended between naming a segment and making the name durable.
      if !options.isReadOnly { try fileSystem.synchronizeDirectory(directory) }
      return numbers.sorted()
    } catch { throw .storage(error) }
  }

  /// Everything in a segment with a successor was synced before the successor was named.
  private func checkSealed(
    _ segment: Segment, successor: SegmentHeader, _ report: inout RecoveryReport
  ) throws(WriteAheadLogError) {
    func damage(_ byteOffset: Int, _ reason: String) -> WriteAheadLogError {
      .corrupt(path: segment.file.path, byteOffset: byteOffset, reason: reason)
    }
    guard successor.store == segment.header.store else {
      throw damage(16, "it belongs to another store than its successor")
    }
    let end = successor.predecessorLength
    guard SegmentHeader.sizeBytes...max(segment.capacityBytes, SegmentHeader.sizeBytes) ~= end
    else { throw damage(segment.capacityBytes, "it is shorter than its successor says") }
    var scanner = FrameScanner(segment, limit: end, expectedLSN: segment.header.firstLSN)
    var chain: UInt32 = 0
    scan: while true {
      switch try step(&scanner) {
      case .frame(let header, _):
        chain = Frame.chain(chain, after: header)
        report.recordCount += header.recordCount
      case .end(let byteOffset):
        guard byteOffset == end else {
          throw damage(byteOffset, "a frame is not as it was written")
        }
        break scan
      }
    }
    guard chain == successor.predecessorChain, scanner.expectedLSN == successor.firstLSN else {
      throw damage(end, "its frames are not those that its successor follows")
    }
  }

  private func step(_ scanner: inout FrameScanner) throws(WriteAheadLogError) -> FrameScanner.Step {
    do { return try scanner.next() } catch { throw .storage(error) }
  }

  private func examineTail(
    _ segments: [Segment], _ report: RecoveryReport
  ) throws(WriteAheadLogError) -> Result {
    var report = report
    let segment = segments[segments.count - 1]
    var scanner = FrameScanner(
      segment, limit: segment.capacityBytes, expectedLSN: segment.header.firstLSN)
    var chain: UInt32 = 0
    // Whatever came before this segment was synced before it was named.
    var durableUpTo = segment.header.firstLSN - 1
    var unproven: [Found] = []
    scan: while true {
      guard case .frame(let header, let byteOffset) = try step(&scanner) else { break scan }
      unproven.append(Found(header: header, byteOffset: byteOffset, chainBefore: chain))
      chain = Frame.chain(chain, after: header)
      report.recordCount += header.recordCount
      durableUpTo = max(durableUpTo, header.durableUpTo)
      if header.kind == .closed {
        // It was written after a sync, and read past the page cache just now.
        durableUpTo = header.firstLSN
      }
      let proven = unproven.firstIndex { $0.header.nextLSN - 1 > durableUpTo } ?? unproven.count
      unproven.removeFirst(proven)
    }
    let end = scanner.offset
    let lost = scanner.expectedLSN
    let (rest, used) = try readRest(segment, from: end)
    var result = Result(
      segments: segments, endOffset: end, chain: chain, nextLSN: lost, report: report)
    guard !rest.isEmpty || !unproven.isEmpty else { return result }
    try refuseProvenDamage(rest, segment, end: end, lost: lost, durableUpTo: durableUpTo)
    result.report.wasCleanlyClosed = false
    result.report.tornBytes = used
    if options.isReadOnly { return result }
    return try repair(result, torn: Array(rest.prefix(used)), unproven: unproven)
  }

  /// What follows the last valid frame, and how much of it is not the zeros that the segment was
  /// filled with. (A frame may end with zeros of its own, so all of it is looked at.)
  private func readRest(
    _ segment: Segment, from end: Int
  ) throws(WriteAheadLogError) -> (bytes: [UInt8], used: Int) {
    do {
      let rest = try segment.file.read(count: max(0, segment.capacityBytes - end), at: Int64(end))
      let used = rest.lastIndex { $0 != 0 }.map { $0 + 1 } ?? 0
      return used == 0 ? ([], 0) : (rest, used)
    } catch { throw .storage(error) }
  }

  /// Throws when what cannot be read here had been synced.
  private func refuseProvenDamage(
    _ rest: [UInt8], _ segment: Segment, end: Int, lost: LogSequenceNumber,
    durableUpTo: LogSequenceNumber
  ) throws(WriteAheadLogError) {
    var offset = 0
    while offset + Frame.headerBytes <= rest.count {
      let bytes = rest.rawSpan.extracting(droppingFirst: offset)
      if let length = Frame.plausibleLength(bytes), length <= bytes.byteCount,
        let header = Frame.validate(
          bytes.extracting(first: length), salt: segment.header.salt),
        header.firstLSN >= lost, header.durableUpTo >= lost
      {
        throw .corrupt(
          path: segment.file.path, byteOffset: end,
          reason: "LSN \(lost) was durable, as byte \(end + offset) shows, and cannot be read")
      }
      offset += 8
    }
  }

  private func repair(
    _ found: Result, torn: [UInt8], unproven: [Found]
  ) throws(WriteAheadLogError) -> Result {
    var result = found
    let segment = found.segments[found.segments.count - 1]
    do throws(StorageError) {
      if !torn.isEmpty {
        let path = segment.file.path + ".torn"
        try fileSystem.publish(torn, at: path, replacing: true)
        result.report.tornFile = path
      }
      let cut = unproven.first?.byteOffset ?? found.endOffset
      var header = segment.header
      header.segment += 1
      header.firstLSN = unproven.first?.header.firstLSN ?? found.nextLSN
      header.salt = UInt32.random(in: .min ... .max)
      header.predecessorLength = cut
      header.predecessorChain = unproven.first?.chainBefore ?? found.chain
      var frames: [UInt8] = []
      var chain: UInt32 = 0
      for frame in unproven {
        var bytes = try segment.file.read(count: frame.header.length, at: Int64(frame.byteOffset))
        // The new segment has no name before it is synced, so all of it will be durable.
        Frame.seal(
          &bytes, kind: frame.header.kind, firstLSN: frame.header.firstLSN,
          recordCount: frame.header.recordCount, durableUpTo: found.nextLSN - 1, salt: header.salt)
        chain = Frame.chain(chain, bytes: bytes)
        result.report.copiedRecordCount += frame.header.recordCount
        frames += bytes
      }
      let successor = try Segment.create(
        header, frames: frames, capacityBytes: options.segmentCapacityBytes,
        directory: directory, fileSystem: fileSystem)
      // Its successor says where it ends; cutting it only tidies up.
      try segment.file.truncate(to: Int64(cut))
      try segment.file.synchronizeData()
      result.segments.append(successor)
      result.endOffset = SegmentHeader.sizeBytes + frames.count
      result.chain = chain
      result.report.segmentCount += 1
      return result
    } catch { throw .storage(error) }
  }
}
