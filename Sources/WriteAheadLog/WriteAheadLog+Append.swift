internal import Storage

/// Where records went: their LSNs, in the order in which they were given, and their places.
public struct AppendReceipt: Hashable, Sendable {
  public let lsns: ClosedRange<LogSequenceNumber>
  public let positions: [LogPosition]
}

extension WriteAheadLog {
  /// Appends the records as one atomic commit and returns once they are as durable as the options say.
  /// Records must not be empty.
  public func append(_ records: LogRecords) throws(WriteAheadLogError) -> AppendReceipt {
    precondition(records.count > 0, "an append has at least one record")
    let limit = LogRecords.payloadLimitBytes
    guard records.largestPayload <= limit else {
      throw .tooLarge(sizeBytes: records.largestPayload, limitBytes: limit)
    }
    guard records.bytes.count <= Frame.limitBytes - Frame.headerBytes else {
      throw .tooLarge(sizeBytes: records.bytes.count, limitBytes: Frame.limitBytes)
    }
    let place = try commit(
      Group(
        kind: .records, payload: records.bytes, recordCount: records.count,
        lsnCount: Int64(records.count)))
    let positions = records.offsets.map { offset in
      LogPosition(
        segment: place.frame.segment, byteOffset: place.frame.byteOffset + place.offset + offset)
    }
    return AppendReceipt(
      lsns: place.firstLSN...place.firstLSN + Int64(records.count) - 1, positions: positions)
  }

  /// Takes `count` LSNs out of the order, durably, for rows that do not pass through the log.
  public func reserve(_ count: Int64) throws(WriteAheadLogError) -> ClosedRange<LogSequenceNumber> {
    precondition(count > 0 && count <= 1 << 56, "a reservation has between 1 and 2^56 LSNs")
    var payload: [UInt8] = []
    payload.appendLittleEndian(count)
    let group = Group(kind: .reservation, payload: payload, recordCount: 0, lsnCount: count)
    let place = try commit(group)
    return place.firstLSN...place.firstLSN + count - 1
  }

  /// Returns once everything acknowledged so far is on disk, whatever the durability.
  public func synchronize() throws(WriteAheadLogError) {
    let wanted = monitor.withLock { $0.acknowledgedLSN }
    let mustSync = try monitor.wait { state throws(WriteAheadLogError) -> Bool? in
      if let failure = state.failure { throw .poisoned(cause: failure) }
      if state.durableLSN >= wanted { return false }
      if state.isWriting { return nil }
      state.isWriting = true
      return true
    }
    guard mustSync else { return }
    let written = monitor.withLock { $0.acknowledgedLSN }
    var failure: StorageError?
    do throws(StorageError) {
      try tail.segment.file.synchronizeData()
      try writeMark(written)
    } catch { failure = error }
    finish(durableLSN: failure == nil ? written : nil, failure: failure, group: nil)
    if let failure { throw .appendFailed(cause: failure) }
  }

  struct Place {
    var frame: LogPosition
    /// Where the appended bytes begin in the frame.
    var offset: Int
    var firstLSN: LogSequenceNumber
  }

  /// Joins the gathering group, and writes it if no other thread does.
  func commit(
    _ entry: Group, isClosing: Bool = false
  ) throws(WriteAheadLogError) -> Place {
    let limit = options.groupLimitBytes
    if options.isReadOnly { throw .openedForReadingOnly }
    let (group, place) = try monitor.wait {
      state throws(WriteAheadLogError) -> (Group, Place)? in
      try state.checkWritable(isClosing: isClosing)
      let group = state.gathering
      let added = entry.bytes.count - Frame.headerBytes
      guard
        group.isEmpty
          || (group.kind == .records && entry.kind == .records
            && group.bytes.count + added <= limit)
      else { return nil }
      let place = Place(
        frame: LogPosition(rawValue: 0),
        offset: group.isEmpty ? Frame.headerBytes : group.bytes.count,
        firstLSN: state.nextLSN)
      state.nextLSN += entry.lsnCount
      if group.isEmpty {
        entry.firstLSN = place.firstLSN
        state.gathering = entry
        return (entry, place)
      }
      group.bytes += entry.bytes[Frame.headerBytes...]
      group.recordCount += entry.recordCount
      group.lsnCount += entry.lsnCount
      return (group, place)
    }
    if lead(group) {
      // Those who found the last group full may gather in the next one.
      monitor.broadcast()
      write(group)
    }
    var result = place
    switch group.outcome {
    case .written(let position):
      result.frame = position
      return result
    case .failed(let error): throw error
    case nil: preconditionFailure("a group has an outcome when its writer is done")
    }
  }

  /// Waits until the group is written, or until this thread has to write it.
  private func lead(_ group: Group) -> Bool {
    monitor.wait { state in
      if group.outcome != nil { return false }
      guard !state.isWriting, state.gathering === group else { return nil }
      state.isWriting = true
      state.gathering = Group(kind: .records, payload: [], recordCount: 0, lsnCount: 0)
      return true
    }
  }

  private func write(_ group: Group) {
    let isSynchronous = options.durability == .synchronous || group.kind != .records
    do throws(StorageError) {
      if tail.endOffset + group.bytes.count > tail.segment.capacityBytes { try roll(for: group) }
      let offset = tail.endOffset
      Frame.seal(
        &group.bytes, kind: group.kind, firstLSN: group.firstLSN, recordCount: group.recordCount,
        durableUpTo: durableLSN, salt: tail.segment.header.salt)
      try tail.segment.file.write(group.bytes, at: Int64(offset))
      if isSynchronous {
        try tail.segment.file.synchronizeData()
        try writeMark(group.firstLSN + group.lsnCount - 1)
      }
      tail.endOffset += group.bytes.count
      tail.chain = Frame.chain(tail.chain, bytes: group.bytes)
      let position = LogPosition(segment: tail.segment.header.segment, byteOffset: offset)
      let last = group.firstLSN + group.lsnCount - 1
      finish(durableLSN: isSynchronous ? last : nil, failure: nil, group: group, at: position)
    } catch {
      finish(durableLSN: nil, failure: error, group: group)
    }
  }

  /// Begins a new segment. What the old one holds is durable before the new one has its name.
  private func roll(for group: Group) throws(StorageError) {
    let written = group.firstLSN - 1
    if durableLSN < written {
      try tail.segment.file.synchronizeData()
      monitor.withLock { $0.durableLSN = written }
    }
    let header = SegmentHeader(
      segment: tail.segment.header.segment + 1, store: store, firstLSN: group.firstLSN,
      salt: .random(in: .min ... .max), predecessorLength: tail.endOffset,
      predecessorChain: tail.chain)
    let segment = try Segment.create(
      header, frames: [],
      capacityBytes: max(
        options.segmentCapacityBytes, SegmentHeader.sizeBytes + group.bytes.count),
      directory: directory, fileSystem: fileSystem)
    segments.withLock { $0.append(segment) }
    tail.segment = segment
    // From now on a log without this segment is known to be damaged.
    try writeMark(written)
    try mark?.synchronize()
    tail.endOffset = SegmentHeader.sizeBytes
    tail.chain = 0
  }

  /// Lets nothing be written any more.
  func poison(_ failure: StorageError) {
    monitor.withLock { state in
      if state.failure == nil { state.failure = failure }
      if !state.gathering.isEmpty {
        state.gathering.outcome = .failed(.poisoned(cause: failure))
      }
    }
    monitor.broadcast()
  }

  /// Says that everything up to there is on disk. Only by the thread that has set `isWriting`.
  private func writeMark(_ lsn: LogSequenceNumber) throws(StorageError) {
    try mark?.write(
      .init(store: store, segment: tail.segment.header.segment, durableLSN: lsn))
  }

  /// Lets the next thread write, and tells everybody how this one fared.
  private func finish(
    durableLSN: LogSequenceNumber?, failure: StorageError?, group: Group?,
    at position: LogPosition? = nil
  ) {
    monitor.withLock { state in
      state.isWriting = false
      if let durableLSN { state.durableLSN = max(state.durableLSN, durableLSN) }
      if let failure {
        state.failure = failure
        group?.outcome = .failed(.appendFailed(cause: failure))
        state.gathering.outcome = .failed(.poisoned(cause: failure))
      } else if let group, let position {
        group.outcome = .written(position)
        state.acknowledgedLSN = group.firstLSN + group.lsnCount - 1
        state.acknowledgedSegment = position.segment
        state.acknowledgedOffset = position.byteOffset + group.bytes.count
        state.isMarkerNeeded = group.kind != .closed
      }
    }
    monitor.broadcast()
  }
}
