internal import Storage

/// One file of the log, as those see it who clean, back up or watch the log.
public struct LogSegment: Hashable, Sendable {
  /// Positions carry it: `LogPosition.segment`.
  public let number: UInt32
  public let fileName: String
  /// The LSNs in it; empty when nothing was written to it yet.
  public let lsns: Range<LogSequenceNumber>
  /// What the file takes on disk.
  public let sizeBytes: Int
  /// Where the records end in it; of the last segment, how far it is written.
  public let usedBytes: Int
  /// Another segment follows, so nothing is written to it any more.
  public let isSealed: Bool
}

extension WriteAheadLog {
  public var segmentCount: Int { segments.withLock { $0.count } }

  /// What the segments take on disk.
  public var sizeBytes: Int { segments.withLock { $0.reduce(0) { $0 + $1.capacityBytes } } }

  /// The segments, oldest first. Costs no input or output.
  public var segmentList: [LogSegment] {
    let (end, offset, number) = monitor.withLock {
      ($0.acknowledgedLSN + 1, $0.acknowledgedOffset, $0.acknowledgedSegment.header.segment)
    }
    let segments = self.segments.withLock { $0 }
    return segments.enumerated().map { index, segment in
      let header = segment.header
      let successor = index + 1 < segments.count ? segments[index + 1].header : nil
      let used = header.segment == number ? offset : SegmentHeader.sizeBytes
      return LogSegment(
        number: header.segment, fileName: Segment.name(header.segment),
        lsns: header.firstLSN..<(successor?.firstLSN ?? max(end, header.firstLSN)),
        sizeBytes: segment.capacityBytes, usedBytes: successor?.predecessorLength ?? used,
        isSealed: successor != nil)
    }
  }

  /// Removes the segments that hold nothing after `lsn`, but never the last one; durably, when it
  /// returns. Gives back those that were removed. Whoever reads a record in them meanwhile may finish.
  ///
  /// The new start of the log is durable before the first file goes, so that a crash at any moment
  /// leaves a log that opens. Costs two or three syncs, whatever the number of segments. A failure for
  /// want of space harms nothing; any other poisons the log.
  @discardableResult public func removeSegments(
    upTo lsn: LogSequenceNumber
  ) throws(WriteAheadLogError) -> [LogSegment] {
    if options.isReadOnly { throw .openedForReadingOnly }
    return try maintenance.withLock { _ throws(WriteAheadLogError) in
      try monitor.withLock { state throws(WriteAheadLogError) in
        try state.checkWritable(isClosing: false)
      }
      let goners = segmentList.prefix { $0.isSealed && $0.lsns.upperBound - 1 <= lsn }
      if goners.isEmpty { return [] }
      let first = segments.withLock { $0[goners.count] }
      do throws(StorageError) {
        try LogStart(first.header).publish(directory: directory, fileSystem: fileSystem)
        segments.withLock { $0.removeFirst(goners.count) }
        for segment in goners {
          try fileSystem.removeFile(StoragePath.join(directory, segment.fileName))
        }
        try fileSystem.synchronizeDirectory(directory)
      } catch {
        if error.kind == .full { throw .storage(error) }
        monitor.withLock { $0.poison(error) }
        wakeEverybody()
        throw .appendFailed(cause: error)
      }
      return Array(goners)
    }
  }
}

extension WriteAheadLog {
  /// Counters and sizes now; a copy that may be kept. Costs microseconds.
  public var statistics: LogStatistics {
    var found = monitor.withLock { state in
      var found = state.statistics
      found.lastLSN = state.nextLSN - 1
      found.durableLSN = state.durableLSN
      found.unsyncedBytes = state.unsyncedBytes
      found.isPoisoned = state.failure != nil
      return found
    }
    found.segmentCount = segmentCount
    found.firstLSN = firstLSN
    found.limitBytes = limitBytes
    found.reserveBytes = options.reserveBytes
    if options.isReadOnly {
      do throws(StorageError) { try noticeReserve() } catch {}
    }
    found.hasReserve = hasReserve.withLock { $0 }
    found.diskBytes =
      sizeBytes + spare.withLock { $0?.capacityBytes ?? 0 }
      + (found.hasReserve ? options.reserveBytes : 0)
    return found
  }
}
