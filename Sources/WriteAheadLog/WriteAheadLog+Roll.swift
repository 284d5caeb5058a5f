public import Storage

/// Beginning new segments, and the space for them.
extension WriteAheadLog {
  /// The file whose space is kept for maintenance.
  public static let reserveName = "RESERVE"

  /// Makes the tail a segment that has room for the group; why not, when it cannot.
  func roll(for group: Group) -> Refusal? {
    if tail.endOffset + group.bytes.count <= tail.segment.capacityBytes { return nil }
    guard tail.segment.header.segment < LogLimits.lastSegment else {
      return .harmless(.full(cause: outOfNumbers("begin a segment in")))
    }
    let capacity = max(
      options.segmentCapacityBytes, SegmentHeader.sizeBytes + group.bytes.count)
    let blank: BlankSegment
    do throws(WriteAheadLogError) {
      blank = try blankSegment(for: group, capacityBytes: capacity)
    } catch {
      if case .storage(let cause) = error { return .poisoning(cause) }
      return .harmless(error)
    }
    do throws(StorageError) { try begin(blank, firstLSN: group.firstLSN) } catch {
      return .poisoning(error)
    }
    if options.reserveBytes > 0 { restoreReserve() }
    return nil
  }

  /// What the old segment holds is durable before the new one has its name.
  private func begin(_ blank: BlankSegment, firstLSN: LogSequenceNumber) throws(StorageError) {
    let old = tail.segment
    let header = SegmentHeader(
      segment: old.header.segment + 1, store: store, firstLSN: firstLSN,
      salt: .random(in: .min ... .max), predecessorLength: tail.endOffset,
      predecessorChain: tail.chain)
    let isSynced = durableLSN >= firstLSN - 1
    try synchronizing(upTo: firstLSN - 1, beginning: header.segment) { () throws(StorageError) in
      if !isSynced { try old.file.synchronizeData() }
      let segment = try blank.begin(
        header, frames: [], directory: directory, fileSystem: fileSystem)
      segments.withLock { $0.append(segment) }
      tail.segment = segment
      tail.endOffset = SegmentHeader.sizeBytes
      tail.chain = 0
    }
  }

  /// A filled file: the one that was prepared, or a new one. For maintenance on a full disk the reserve
  /// goes, and if need be a smaller file does.
  private func blankSegment(
    for group: Group, capacityBytes: Int
  ) throws(WriteAheadLogError) -> BlankSegment {
    let isMaintenance = group.isMaintenance
    if !isMaintenance { try checkLimit(capacityBytes) }
    let prepared = spare.withLock { spare -> BlankSegment? in
      defer { spare = nil }
      return spare
    }
    if let prepared {
      if prepared.capacityBytes >= capacityBytes { return prepared }
      prepared.discard(fileSystem)
    }
    do throws(WriteAheadLogError) {
      return try newSegment(capacityBytes, isMaintenance: isMaintenance)
    } catch {
      // The mark of a proper close is not worth the reserve.
      guard isMaintenance, group.kind == .records, case .full = error else { throw error }
      let smaller = SegmentHeader.sizeBytes + max(group.bytes.count, options.groupLimitBytes * 4)
      if releaseReserve() {
        do { return try newSegment(capacityBytes, isMaintenance: true) } catch {}
      }
      guard smaller < capacityBytes else { throw error }
      return try newSegment(smaller, isMaintenance: true)
    }
  }

  private func newSegment(
    _ capacityBytes: Int, isMaintenance: Bool
  ) throws(WriteAheadLogError) -> BlankSegment {
    do throws(StorageError) {
      try checkSpace(capacityBytes, isMaintenance: isMaintenance)
      let blank = try BlankSegment.prepare(
        capacityBytes: capacityBytes, isFilled: options.fillsSegments, directory: directory,
        fileSystem: fileSystem)
      monitor.withLock { $0.statistics.segmentsFilledInline += 1 }
      return blank
    } catch {
      // Nothing has its name yet, so nothing is harmed.
      throw error.kind == .full ? .full(cause: error) : .storage(error)
    }
  }

  private func checkLimit(_ addedBytes: Int) throws(WriteAheadLogError) {
    guard let limit = limitBytes else { return }
    let size = sizeBytes
    if size + addedBytes > limit { throw .limitReached(sizeBytes: size, limitBytes: limit) }
  }

  /// Throws `.full` unless so much can be written and, unless this is for maintenance, the reserve
  /// stays.
  private func checkSpace(_ addedBytes: Int, isMaintenance: Bool) throws(StorageError) {
    guard options.reserveBytes > 0 else { return }
    try noticeReserve()
    let kept = isMaintenance || hasReserve.withLock { $0 } ? 0 : options.reserveBytes
    let available = try fileSystem.availableBytes(directory)
    guard available >= Int64(addedBytes) + Int64(kept) else {
      throw StorageError(
        .full, operation: "begin a segment in", path: directory,
        message: "it has \(available) bytes left, and \(addedBytes) are needed"
          + (kept > 0 ? " besides the \(kept) kept for maintenance" : ""))
    }
  }

  /// Fills the next segment now, unless there is one, or the log has no room for it: what the thread
  /// behind the log does when the last segment is half full.
  public func prepareNextSegment() {
    guard let preparation = preparation() else { return }
    if let blank = preparation.run() { keep(blank) }
  }

  /// What it takes to fill the next segment without holding the log.
  private struct Preparation {
    let capacityBytes: Int
    let isFilled: Bool
    let directory: String
    let fileSystem: any FileSystem
    let monitor: Monitor<LogState>

    func run() -> BlankSegment? {
      do throws(StorageError) {
        return try BlankSegment.prepare(
          capacityBytes: capacityBytes, isFilled: isFilled, directory: directory,
          fileSystem: fileSystem,
          isStopped: { monitor.withLock { $0.isClosing || $0.isClosed || $0.failure != nil } })
      } catch {
        // The segment will be filled when it is needed, and if that fails too an append says why.
        monitor.withLock { $0.statistics.failedPreparations += 1 }
        return nil
      }
    }
  }

  private func preparation() -> Preparation? {
    let capacity = options.segmentCapacityBytes
    guard !options.isReadOnly, spare.withLock({ $0 == nil }) else { return nil }
    do {
      try checkLimit(capacity)
      try checkSpace(capacity, isMaintenance: false)
      return Preparation(
        capacityBytes: capacity, isFilled: options.fillsSegments, directory: directory,
        fileSystem: fileSystem, monitor: monitor)
    } catch {
      monitor.withLock { $0.statistics.failedPreparations += 1 }
      return nil
    }
  }

  private func keep(_ blank: BlankSegment) {
    let surplus = spare.withLock { spare -> BlankSegment? in
      if spare != nil { return blank }
      spare = blank
      return nil
    }
    surplus?.discard(fileSystem)
  }

  func startPreparing() throws(StorageError) {
    let (monitor, wanted, fileSystem) = (self.monitor, spareWanted, self.fileSystem)
    let thread = try BackgroundThread(name: "fstore-segments") { [weak self] in
      while monitor.wait(
        for: wanted,
        { state -> Bool? in
          if state.isClosing || state.isClosed || state.failure != nil { return false }
          guard state.isSpareWanted else { return nil }
          state.isSpareWanted = false
          return true
        })
      {
        // The log is not held while this takes its time: who lets go of it lets go of its lock.
        guard let preparation = self?.preparation(), let blank = preparation.run() else { continue }
        if let self { self.keep(blank) } else { blank.discard(fileSystem) }
      }
    }
    threads.withLock { $0.append(thread) }
  }

  /// Gives the space that is kept for maintenance back to the disk, for maintenance that finds it full.
  /// The reserve is kept again once there is room for it and a segment: `restoreReserve` and each new
  /// segment look. Returns whether there was something to give.
  @discardableResult public func releaseReserve() -> Bool {
    guard !options.isReadOnly else { return false }
    hasReserve.withLock { $0 = false }
    return WriteAheadLog.releaseReserve(directory: directory, fileSystem: fileSystem)
  }

  /// The same for a log that this process has not opened: its writer, if there is one, takes notice.
  @discardableResult public static func releaseReserve(
    directory: String, fileSystem: any FileSystem
  ) -> Bool {
    do throws(StorageError) {
      return try fileSystem.removeFile(StoragePath.join(directory, reserveName))
    } catch {
      // Whoever needs the space will say that there is none.
      return false
    }
  }

  /// Another process may have taken the reserve for its own maintenance.
  func noticeReserve() throws(StorageError) {
    let path = StoragePath.join(directory, WriteAheadLog.reserveName)
    let isThere = try fileSystem.information(path)?.sizeBytes == Int64(options.reserveBytes)
    hasReserve.withLock { $0 = isThere }
  }

  /// Keeps the space for maintenance again, if the disk has room for it and a segment.
  public func restoreReserve() {
    guard options.reserveBytes > 0, !options.isReadOnly else { return }
    reserving.withLock { _ in
      do throws(StorageError) {
        try noticeReserve()
        if !hasReserve.withLock({ $0 }) { try makeReserve() }
      } catch {
        // Without it maintenance has less room on a full disk; nothing else depends on it.
      }
    }
  }

  private func makeReserve() throws(StorageError) {
    let path = StoragePath.join(directory, WriteAheadLog.reserveName)
    let size = Int64(options.reserveBytes)
    // One of another size, for other options.
    try fileSystem.removeFile(path)
    let available = try fileSystem.availableBytes(directory)
    guard available >= size + Int64(options.segmentCapacityBytes) else { return }
    let file = try fileSystem.open(path, .create)
    do throws(StorageError) {
      try file.allocate(sizeBytes: size)
      try file.close()
    } catch {
      try fileSystem.removeFile(path)
      throw error
    }
    hasReserve.withLock { $0 = true }
  }
}
