internal import Storage

/// Bytes of a log that are not what was written.
public struct LogDamage: Hashable, Sendable, CustomStringConvertible {
  public let path: String
  /// Where the damage begins.
  public let byteOffset: Int
  public let reason: String

  public var description: String { "byte \(byteOffset) of '\(path)': \(reason)" }
}

/// What reading a whole log found.
public struct LogVerification: Hashable, Sendable {
  /// Whole records, and the bytes of the frames that hold them.
  public var recordCount = 0
  public var sizeBytes = 0
  /// All damages, also those that are not listed.
  public private(set) var damageCount = 0
  /// The first damages, at most `listedDamageLimit`.
  public private(set) var damages: [LogDamage] = []
  public static let listedDamageLimit = 1000

  public init() {}

  mutating func note(_ path: String, _ byteOffset: Int, _ reason: String) {
    damageCount += 1
    guard damages.count < Self.listedDamageLimit else { return }
    damages.append(LogDamage(path: path, byteOffset: byteOffset, reason: reason))
  }
}

extension WriteAheadLog {
  /// Reads every segment again and lists all damage: of headers, of frames, of their order, of the
  /// small files. Appends and cleaning go on meanwhile, also in another process. After a damaged frame it looks for the next whole one, so
  /// that each damage is named. `progress` is told of each segment before it is read.
  public func verify(
    _ progress: (LogSegment) -> Void = { _ in }
  ) throws(WriteAheadLogError) -> LogVerification {
    var report = LogVerification()
    let until = readableLSN
    let list = segmentList
    let known = segments.withLock { $0 }
    for (index, segment) in known.enumerated() {
      if let shown = list.first(where: { $0.number == segment.header.segment }) { progress(shown) }
      let successor = index + 1 < known.count ? known[index + 1].header : nil
      // Removed meanwhile: nobody will read it again.
      if segment.header.segment < (segments.withLock { $0[0].header.segment }) { continue }
      do throws(StorageError) {
        try verify(segment, successor, until: until, &report)
      } catch {
        report.note(segment.file.path, 0, error.description)
      }
    }
    try verifySmallFiles(&report)
    return report
  }

  private func verify(
    _ segment: Segment, _ successor: SegmentHeader?, until: LogSequenceNumber,
    _ report: inout LogVerification
  ) throws(StorageError) {
    func note(_ byteOffset: Int, _ reason: String) {
      report.note(segment.file.path, byteOffset, reason)
    }
    let header = try segment.file.read(count: SegmentHeader.sizeBytes, at: 0)
    if header != segment.header.encoded() { note(0, "the header is not as it was written") }
    let limit = successor?.predecessorLength ?? segment.capacityBytes
    let end = (successor?.firstLSN ?? until + 1) - 1
    var scanner = FrameScanner(segment, limit: limit, expectedLSN: segment.header.firstLSN)
    var chain: UInt32 = 0
    var isWhole = true
    while scanner.expectedLSN <= end {
      switch try scanner.next() {
      case .frame(let header, _):
        chain = Frame.chain(chain, after: header)
        report.recordCount += header.recordCount
        report.sizeBytes += header.length
      case .end(let byteOffset):
        isWhole = false
        guard let next = try nextFrame(segment, after: byteOffset, limit: limit, scanner) else {
          note(byteOffset, "from LSN \(scanner.expectedLSN) on nothing can be read")
          return
        }
        note(
          byteOffset,
          "LSN \(scanner.expectedLSN) to \(next.lsn - 1) cannot be read; the next is whole")
        scanner = FrameScanner(segment, from: next.byteOffset, limit: limit, expectedLSN: next.lsn)
      }
    }
    if let successor, isWhole,
      chain != successor.predecessorChain || scanner.expectedLSN != successor.firstLSN
        || scanner.offset != limit
    {
      note(limit, "its frames are not those that its successor follows")
    }
  }

  /// The first whole frame of later records behind a damaged one.
  private func nextFrame(
    _ segment: Segment, after byteOffset: Int, limit: Int, _ scanner: FrameScanner
  ) throws(StorageError) -> (lsn: LogSequenceNumber, byteOffset: Int)? {
    let rest = try segment.file.read(
      count: max(0, limit - byteOffset), at: Int64(byteOffset))
    var offset = 8
    while offset + Frame.headerBytes <= rest.count {
      let bytes = rest.rawSpan.extracting(droppingFirst: offset)
      if let length = Frame.plausibleLength(bytes), length <= bytes.byteCount,
        let header = Frame.validate(bytes.extracting(first: length), salt: segment.header.salt),
        header.firstLSN > scanner.expectedLSN
      {
        return (header.firstLSN, byteOffset + offset)
      }
      offset += 8
    }
    return nil
  }

  private func verifySmallFiles(_ report: inout LogVerification) throws(WriteAheadLogError) {
    func note(_ name: String, _ reason: String) {
      report.note(StoragePath.join(directory, name), 0, reason)
    }
    do throws(WriteAheadLogError) {
      if let reason = try startDamage() { note(LogStart.name, reason) }
    } catch {
      guard case .corrupt(_, _, let reason) = error else { throw error }
      note(LogStart.name, reason)
    }
    do throws(StorageError) {
      if try !hasMark() { note(DurableMark.name, "it is missing, or not as it was written") }
    } catch { throw .storage(error) }
  }

  /// What is wrong with START; nil for nothing.
  private func startDamage() throws(WriteAheadLogError) -> String? {
    // Nobody in this process removes segments meanwhile.
    try maintenance.withLock { _ throws(WriteAheadLogError) in
      let first = segments.withLock { $0[0].header }
      for _ in 0..<16 {
        guard let start = try LogStart.read(directory: directory, fileSystem: fileSystem) else {
          return "the file is missing"
        }
        if start == LogStart(first) { return nil }
        // The writer, in another process, may have removed segments since this one looked.
        guard options.isReadOnly, start.store == store, start.segment > first.segment else { break }
        do throws(WriteAheadLogError) {
          let segment = try Segment.open(
            start.segment, directory: directory, mode: .read, fileSystem: fileSystem)
          if start == LogStart(segment.header) { return nil }
          break
        } catch {
          // And has removed that one too.
          guard case .storage(let cause) = error, cause.kind == .notFound else { throw error }
        }
      }
      return "it does not name the first segment"
    }
  }

  /// Whether DURABLE is what was written. It is written over in place, so a look may come in between.
  private func hasMark() throws(StorageError) -> Bool {
    let pause = Monitor(())
    for _ in 0..<16 {
      let value = try DurableMark.read(directory: directory, fileSystem: fileSystem)
      if let value { return value.store == store }
      _ = pause.wait(timeoutMilliseconds: 1) { _ -> Bool? in nil }
    }
    return false
  }
}
