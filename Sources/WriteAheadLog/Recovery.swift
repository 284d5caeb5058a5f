internal import Storage

/// Shows a record: its LSN, its place and its payload. The result says whether to go on.
typealias RecordVisitor = (LogSequenceNumber, LogPosition, RawSpan) -> Bool

/// Reads a log's segments as they were left, decides what of the last one counts, and repairs it.
///
/// The rule: whatever was durable once must be there and whole, or opening throws. Durable is, for
/// certain, everything in a segment that has a successor, everything that a later valid frame
/// declares durable, and everything up to the durable mark. What is left is the tail: its whole frames
/// are kept and written again to a new segment (a sync that failed may have left them in memory only),
/// its rest is torn: set aside, cut.
///
/// Segments that end before the first LSN asked for are opened, and their headers checked against each
/// other; their frames are not read.
struct Recovery {
  let directory: String
  let fileSystem: any FileSystem
  var options: WriteAheadLogOptions
  /// The first LSN to be shown; nil for the log's first.
  let replayStart: LogSequenceNumber?
  /// Whether all segments with records from there on are read, or the last alone.
  let checksSealedSegments: Bool

  init(
    _ directory: String, _ fileSystem: any FileSystem, _ options: WriteAheadLogOptions,
    replayStart: LogSequenceNumber?, checksSealedSegments: Bool = true
  ) {
    self.directory = directory
    self.fileSystem = fileSystem
    self.options = options
    self.options.segmentCapacityBytes = max(options.segmentCapacityBytes, 8192)
    self.replayStart = replayStart
    self.checksSealedSegments = checksSealedSegments
  }

  struct Result {
    var segments: [Segment]
    /// Where the next frame goes in the last segment.
    var endOffset: Int
    var chain: UInt32
    var nextLSN: LogSequenceNumber
    /// The log ends with the mark of a proper close, or is new.
    var endsClosed: Bool
    var report: RecoveryReport
  }

  /// nil when there is no log yet. What was shown before an error was thrown does not count.
  func run(_ show: RecordVisitor) throws(WriteAheadLogError) -> Result? {
    // Before anything else: what it says is durable is there for whoever looks later.
    let mark = try stored { () throws(StorageError) in
      try DurableMark.read(directory: directory, fileSystem: fileSystem)
    }
    let start = try LogStart.read(directory: directory, fileSystem: fileSystem)
    let (numbers, leftovers) = try segmentNumbers(from: start?.segment ?? 1)
    guard let last = numbers.last else {
      guard start == nil else { throw missing(start?.segment ?? 1) }
      return nil
    }
    if let mark, mark.segment > last { throw missing(mark.segment) }
    let segments = try open(numbers, start: start, mark: mark)
    if let replayStart, replayStart < segments[0].header.firstLSN {
      throw .removed(firstLSN: segments[0].header.firstLSN)
    }
    if !options.isReadOnly { try remove(leftovers) }
    var report = RecoveryReport()
    report.segmentCount = numbers.count
    var isWanted = true
    let visitor: RecordVisitor = { lsn, position, payload in
      if isWanted { isWanted = show(lsn, position, payload) }
      return isWanted
    }
    var first = segments.count - 1
    if checksSealedSegments {
      first = segments.lastIndex { $0.header.firstLSN <= replayStart ?? 0 } ?? 0
    }
    for index in first..<segments.count - 1 {
      try checkSealed(segments[index], successor: segments[index + 1].header, &report, visitor)
    }
    let result = try examineTail(segments, mark, report, visitor)
    if let replayStart, replayStart > result.nextLSN {
      throw .corrupt(
        path: segments[segments.count - 1].file.path, byteOffset: result.endOffset,
        reason: "it ends before LSN \(replayStart), which was to be replayed")
    }
    return result
  }

  func stored<Value>(
    _ body: () throws(StorageError) -> Value
  ) throws(WriteAheadLogError) -> Value {
    do throws(StorageError) { return try body() } catch { throw .storage(error) }
  }

  private func missing(_ number: UInt32) -> WriteAheadLogError {
    .corrupt(
      path: StoragePath.join(directory, Segment.name(number)), byteOffset: 0,
      reason: "the segment is missing")
  }

  /// The log's segments, and those from before its start: their removal was cut short.
  private func segmentNumbers(
    from start: UInt32
  ) throws(WriteAheadLogError) -> (log: [UInt32], leftovers: [UInt32]) {
    try stored { () throws(StorageError) in
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
      numbers.sort()
      let end = numbers.firstIndex { $0 >= start } ?? numbers.count
      return (Array(numbers[end...]), Array(numbers[..<end]))
    }
  }

  private func remove(_ leftovers: [UInt32]) throws(WriteAheadLogError) {
    if leftovers.isEmpty { return }
    try stored { () throws(StorageError) in
      for number in leftovers {
        try fileSystem.removeFile(StoragePath.join(directory, Segment.name(number)))
      }
      try fileSystem.synchronizeDirectory(directory)
    }
  }

  /// Opens the segments and checks that each follows the one before.
  private func open(
    _ numbers: [UInt32], start: LogStart?, mark: DurableMark.Value?
  ) throws(WriteAheadLogError) -> [Segment] {
    var segments: [Segment] = []
    for number in numbers {
      let expected = segments.last.map { $0.header.segment + 1 } ?? start?.segment ?? 1
      guard number == expected else { throw missing(expected) }
      let isLast = number == numbers[numbers.count - 1]
      let segment = try Segment.open(
        number, directory: directory, mode: isLast && !options.isReadOnly ? .readWrite : .read,
        fileSystem: fileSystem)
      if let last = segments.last { try segment.header.checkFollows(last) }
      segments.append(segment)
    }
    let header = segments[0].header
    if let start, start != LogStart(header) {
      throw .corrupt(
        path: segments[0].file.path, byteOffset: 0,
        reason: "it is not the segment with which this log begins")
    }
    if let mark, mark.store != header.store {
      throw .corrupt(
        path: StoragePath.join(directory, DurableMark.name), byteOffset: 16,
        reason: "it belongs to another store")
    }
    return segments
  }

  /// Everything in a segment with a successor was synced before the successor was named.
  func checkSealed(
    _ segment: Segment, successor: SegmentHeader, _ report: inout RecoveryReport,
    _ show: RecordVisitor
  ) throws(WriteAheadLogError) {
    func damage(_ byteOffset: Int, _ reason: String) -> WriteAheadLogError {
      .corrupt(path: segment.file.path, byteOffset: byteOffset, reason: reason)
    }
    let end = successor.predecessorLength
    var scanner = FrameScanner(segment, limit: end, expectedLSN: segment.header.firstLSN)
    var chain: UInt32 = 0
    scan: while true {
      switch try step(&scanner) {
      case .frame(let header, let byteOffset):
        chain = Frame.chain(chain, after: header)
        report.recordCount += header.recordCount
        _ = Frame.showRecords(
          scanner.frame, header, at: (segment.header.segment, byteOffset),
          from: replayStart ?? 0, show)
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

  func step(_ scanner: inout FrameScanner) throws(WriteAheadLogError) -> FrameScanner.Step {
    do { return try scanner.next() } catch { throw .storage(error) }
  }
}

extension SegmentHeader {
  /// Throws `.corrupt` unless this is the header of the segment after `previous`.
  func checkFollows(_ previous: Segment) throws(WriteAheadLogError) {
    func damage(_ byteOffset: Int, _ reason: String) -> WriteAheadLogError {
      .corrupt(path: previous.file.path, byteOffset: byteOffset, reason: reason)
    }
    guard store == previous.header.store else {
      throw damage(16, "it belongs to another store than its successor")
    }
    guard firstLSN >= previous.header.firstLSN else {
      throw damage(32, "its successor begins with an earlier LSN")
    }
    let limit = max(previous.capacityBytes, SegmentHeader.sizeBytes)
    guard SegmentHeader.sizeBytes...limit ~= predecessorLength else {
      throw damage(previous.capacityBytes, "it is shorter than its successor says")
    }
  }
}
