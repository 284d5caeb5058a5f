internal import Storage

/// Where a replay may go on.
struct ReplayPlace {
  var lsn: LogSequenceNumber
  var segment: UInt32
  var byteOffset: Int
  /// The chained checksum of the segment's frames before.
  var chain: UInt32
}

extension WriteAheadLog {
  private static let rememberedReplays = 16

  /// Shows the records from `lsn` on, in order, up to what is acknowledged when it begins; also while
  /// others append. Stops when `body` returns false. Returns the LSN from which to go on.
  ///
  /// What it passes is checked as opening checks it: every frame, and that none is missing. Throws
  /// `.removed` when the log begins after `lsn`. Reserved ranges are passed over. Going on where the last replay ended costs no search.
  @discardableResult public func replay(
    from lsn: LogSequenceNumber,
    _ body: (LogSequenceNumber, LogPosition, RawSpan) -> Bool
  ) throws(WriteAheadLogError) -> LogSequenceNumber {
    let until = readableLSN
    let segments = self.segments.withLock { $0 }
    guard lsn <= until else { return lsn }
    let first = segments[0].header.firstLSN
    // The last segment that begins at or before it.
    guard var index = segments.lastIndex(where: { $0.header.firstLSN <= lsn }) else {
      throw .removed(firstLSN: first)
    }
    var place = ReplayPlace(
      lsn: segments[index].header.firstLSN, segment: segments[index].header.segment,
      byteOffset: SegmentHeader.sizeBytes, chain: 0)
    if let last = replayEnds.withLock({ $0.last { $0.lsn == lsn } }),
      let known = segments.firstIndex(where: { $0.header.segment == last.segment })
    {
      (index, place) = (known, last)
    }
    while index < segments.count {
      let successor = index + 1 < segments.count ? segments[index + 1].header : nil
      let limit = successor?.predecessorLength ?? segments[index].capacityBytes
      var scanner = FrameScanner(
        segments[index], from: place.byteOffset, limit: limit, expectedLSN: place.lsn)
      if let stop = try replay(
        &scanner, &place.chain, isLast: successor == nil, from: lsn, until: until, body)
      {
        return stop
      }
      guard let successor else { break }
      guard scanner.expectedLSN == successor.firstLSN, scanner.offset == limit,
        place.chain == successor.predecessorChain
      else { throw damage(scanner) }
      index += 1
      place = ReplayPlace(
        lsn: successor.firstLSN, segment: successor.segment,
        byteOffset: SegmentHeader.sizeBytes, chain: 0)
    }
    return until + 1
  }

  /// Goes through one segment; returns where to go on if that is the end of the replay.
  private func replay(
    _ scanner: inout FrameScanner, _ chain: inout UInt32, isLast: Bool, from lsn: LogSequenceNumber,
    until: LogSequenceNumber,
    _ body: (LogSequenceNumber, LogPosition, RawSpan) -> Bool
  ) throws(WriteAheadLogError) -> LogSequenceNumber? {
    let number = scanner.segment.header.segment
    while scanner.expectedLSN <= until {
      let step: FrameScanner.Step
      do throws(StorageError) { step = try scanner.next() } catch { throw .storage(error) }
      guard case .frame(let header, let byteOffset) = step else {
        // In the last segment everything acknowledged must be there.
        if isLast { throw damage(scanner) }
        return nil
      }
      chain = Frame.chain(chain, after: header)
      let stop = Frame.showRecords(
        scanner.frame, header, at: (number, byteOffset), from: lsn, body)
      if let stop { return stop + 1 }
    }
    let next = scanner.expectedLSN
    let end = ReplayPlace(
      lsn: next, segment: number, byteOffset: scanner.offset, chain: chain)
    replayEnds.withLock { ends in
      // This follower's last place is of no more use; of others the newest few are kept.
      ends.removeAll { $0.lsn == lsn || $0.lsn == next }
      if ends.count >= WriteAheadLog.rememberedReplays { ends.removeFirst() }
      ends.append(end)
    }
    return max(next, lsn)
  }

  private func damage(_ scanner: FrameScanner) -> WriteAheadLogError {
    .corrupt(
      path: scanner.segment.file.path, byteOffset: scanner.offset,
      reason: "LSN \(scanner.expectedLSN) cannot be read")
  }

  /// Reads one record and checks it: one system call for a small one. `body` gets its LSN and payload.
  public func read<Result>(
    at position: LogPosition, _ body: (LogSequenceNumber, RawSpan) -> Result
  ) throws(WriteAheadLogError) -> Result {
    let segment = try segment(of: position)
    let offset = Int64(position.byteOffset)
    do throws(StorageError) {
      var bytes = try segment.file.read(count: 1024, at: offset)
      guard bytes.count >= LogRecords.recordHeaderBytes else {
        throw StorageError(.inputOutput, operation: "read", path: "", message: "")
      }
      let length = Int(bytes.rawSpan.loadLittleEndian(UInt32.self, at: 0))
      let size = LogRecords.sizeBytes(payload: length)
      if length <= LogRecords.payloadLimitBytes, size > bytes.count {
        bytes = try segment.file.read(count: size, at: offset)
      }
      if length <= LogRecords.payloadLimitBytes, size <= bytes.count {
        let record = bytes.rawSpan.extracting(first: size)
        let checksum = Frame.recordChecksum(record, salt: segment.header.salt)
        if record.loadLittleEndian(UInt32.self, at: 4) == checksum {
          let start = LogRecords.recordHeaderBytes
          return body(
            record.loadLittleEndian(Int64.self, at: 8), record.extracting(start..<start + length))
        }
      }
    } catch {
      if !error.path.isEmpty { throw .storage(error) }
    }
    throw .corrupt(
      path: segment.file.path, byteOffset: position.byteOffset,
      reason: "the record's checksum does not match")
  }

  private func segment(of position: LogPosition) throws(WriteAheadLogError) -> Segment {
    let (found, first) = segments.withLock { segments -> (Segment?, SegmentHeader) in
      let first = segments[0].header
      guard position.segment >= first.segment, position.segment - first.segment < segments.count
      else { return (nil, first) }
      return (segments[Int(position.segment - first.segment)], first)
    }
    if position.segment < first.segment { throw .removed(firstLSN: first.firstLSN) }
    guard let found, position.byteOffset >= SegmentHeader.sizeBytes + Frame.headerBytes else {
      throw .noSuchPosition(position)
    }
    return found
  }
}
