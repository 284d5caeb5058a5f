internal import Storage

/// Where records went: their LSNs, in the order in which they were given, and their places.
public struct AppendReceipt: Sendable {
  public let lsns: ClosedRange<LogSequenceNumber>
  public let positions: [LogPosition]
  /// The frame that they were written in, and where that begins in its segment.
  fileprivate let frame: [UInt8]
  fileprivate let frameOffset: Int

  /// The payload of a record as it was written.
  @_lifetime(borrow self)
  public func payload(_ index: Int) -> RawSpan {
    let start = positions[index].byteOffset - frameOffset
    let length = Int(frame.rawSpan.loadLittleEndian(UInt32.self, at: start))
    let first = start + LogRecords.recordHeaderBytes
    let payload = frame.rawSpan.extracting(first..<first + length)
    return unsafe _overrideLifetime(payload, borrowing: self)
  }
}

extension WriteAheadLog {
  /// Appends the records as one atomic commit and returns once they are as durable as the options say.
  /// Records must not be empty.
  ///
  /// Maintenance, which makes room by writing (cleaning), may pass the log's limit and use the space
  /// that is kept for it. `.full` and `.limitReached` say that nothing was written, and harm nothing:
  /// the same append may succeed once there is room.
  public func append(
    _ records: consuming LogRecords, isMaintenance: Bool = false
  ) throws(WriteAheadLogError) -> AppendReceipt {
    precondition(records.count > 0, "an append has at least one record")
    let limit = LogRecords.payloadLimitBytes
    guard records.largestPayload <= limit else {
      throw .tooLarge(sizeBytes: records.largestPayload, limitBytes: limit)
    }
    guard records.bytes.count <= Frame.limitBytes else {
      throw .tooLarge(sizeBytes: records.bytes.count, limitBytes: Frame.limitBytes)
    }
    let offsets = records.offsets
    let place = try commit(Group(records, isMaintenance: isMaintenance))
    let positions = offsets.map { offset in
      LogPosition(
        segment: place.frame.segment, byteOffset: place.frame.byteOffset + place.offset + offset)
    }
    return AppendReceipt(
      lsns: place.firstLSN...place.firstLSN + Int64(offsets.count) - 1, positions: positions,
      frame: place.bytes, frameOffset: place.frame.byteOffset)
  }

  /// Takes `count` LSNs out of the order, durably, for rows that do not pass through the log.
  public func reserve(_ count: Int64) throws(WriteAheadLogError) -> ClosedRange<LogSequenceNumber> {
    precondition(count > 0 && count <= 1 << 56, "a reservation has between 1 and 2^56 LSNs")
    let place = try commit(Group(reserving: count))
    return place.firstLSN...place.firstLSN + count - 1
  }

  struct Place {
    var frame: LogPosition
    /// How far the appended bytes are from where they would be alone in the frame.
    var offset: Int
    var firstLSN: LogSequenceNumber
    /// The frame as it was written.
    var bytes: [UInt8]
  }

  /// Joins the gathering group, and writes it if it is the first of it.
  func commit(
    _ entry: Group, isClosing: Bool = false
  ) throws(WriteAheadLogError) -> Place {
    if options.isReadOnly { throw .openedForReadingOnly }
    let (group, offset, lsnOffset) = try join(entry, isClosing: isClosing)
    if group === entry {
      if lead(group) { write(group) }
    } else {
      guard let done = group.done else { preconditionFailure("joining makes the condition") }
      monitor.wait(for: done) { _ in group.outcome == nil ? nil : () }
    }
    switch group.outcome {
    case .written(let position):
      return Place(
        frame: position, offset: offset, firstLSN: group.firstLSN + lsnOffset, bytes: group.bytes)
    case .failed(let error): throw error
    case nil: preconditionFailure("a group has an outcome when its writer is done")
    }
  }

  private func join(
    _ entry: Group, isClosing: Bool
  ) throws(WriteAheadLogError) -> (group: Group, offset: Int, lsnOffset: Int64) {
    let limit = options.groupLimitBytes
    var isWaiting = false
    return try monitor.wait(for: room) {
      state throws(WriteAheadLogError) -> (Group, Int, Int64)? in
      if isWaiting {
        state.waitersForRoom -= 1
        isWaiting = false
      }
      try state.checkWritable(isClosing: isClosing)
      let group = state.gathering
      guard entry.lsnCount <= LogLimits.lastLSN - state.nextLSN - group.lsnCount + 1 else {
        throw .full(cause: outOfNumbers("append to"))
      }
      guard group.takes(entry, limitBytes: limit) else {
        state.waitersForRoom += 1
        isWaiting = true
        return nil
      }
      if group.isEmpty {
        state.gathering = entry
        return (entry, 0, 0)
      }
      let place = (group, group.bytes.count - Frame.headerBytes, group.lsnCount)
      group.add(entry)
      if group.done == nil { group.done = Condition() }
      return place
    }
  }

  /// The log has counted as far as it can.
  func outOfNumbers(_ operation: String) -> StorageError {
    StorageError(
      .full, operation: operation, path: directory, message: "its numbers are used up")
  }

  /// Waits until this thread may write the group; false when a failure came before.
  private func lead(_ group: Group) -> Bool {
    let (mayWrite, hasWaiters) = monitor.wait(for: turn) { state -> (Bool, Bool)? in
      if group.outcome != nil { return (false, false) }
      if state.isWriting { return nil }
      state.isWriting = true
      state.gathering = Group()
      group.firstLSN = state.nextLSN
      group.durableUpTo = state.durableLSN
      state.nextLSN += group.lsnCount
      return (true, state.waitersForRoom > 0)
    }
    if hasWaiters { room.broadcast() }
    if !mayWrite { group.done?.broadcast() }
    return mayWrite
  }

  /// Writes the group's frame, and lets the next one be written.
  private func write(_ group: Group) {
    let isSynchronous = options.durability == .synchronous || group.kind != .records
    if let refusal = roll(for: group) {
      finish(group, refusal)
      return
    }
    let offset = tail.endOffset
    Frame.seal(
      &group.bytes, kind: group.kind, firstLSN: group.firstLSN, recordCount: group.recordCount,
      durableUpTo: group.durableUpTo, salt: tail.segment.header.salt)
    do throws(StorageError) {
      try tail.segment.file.write(group.bytes, at: Int64(offset))
      tail.endOffset += group.bytes.count
      tail.chain = Frame.chain(tail.chain, bytes: group.bytes)
      if isSynchronous {
        try synchronizing(upTo: group.firstLSN + group.lsnCount - 1) { () throws(StorageError) in
          try tail.segment.file.synchronizeData()
        }
      }
      finish(
        group, at: LogPosition(segment: tail.segment.header.segment, byteOffset: offset))
    } catch { finish(group, .poisoning(error)) }
  }

  /// Why a group was not written.
  enum Refusal {
    /// Nothing happened; a later one may succeed.
    case harmless(WriteAheadLogError)
    case poisoning(StorageError)
  }

  private func finish(_ group: Group, at position: LogPosition) {
    let (isSpareWanted, isSyncWanted) = monitor.withLock { state -> (Bool, Bool) in
      state.isWriting = false
      if let failure = state.failure {
        // A sync beside this write failed: nobody knows what the disk has of it.
        group.outcome = .failed(.appendFailed(cause: failure))
        return (false, false)
      }
      group.outcome = .written(position)
      let end = position.byteOffset + group.bytes.count
      state.acknowledgedLSN = group.firstLSN + group.lsnCount - 1
      state.acknowledgedSegment = tail.segment
      state.acknowledgedOffset = end
      state.isMarkerNeeded = group.kind != .closed
      state.statistics.records += UInt64(group.recordCount)
      state.statistics.appends += UInt64(group.appendCount)
      state.statistics.bytes += UInt64(group.bytes.count)
      state.statistics.appendsPerGroup.add(UInt64(group.appendCount))
      let unsynced = state.unsyncedBytes
      let isDurable = state.durableLSN >= state.acknowledgedLSN
      state.unsyncedBytes = isDurable ? 0 : unsynced + group.bytes.count
      let limit = WriteAheadLog.unsyncedLimitBytes
      // Once a segment.
      let half = tail.segment.capacityBytes / 2
      let isHalfFull = end > half && position.byteOffset <= half
      if isHalfFull { state.isSpareWanted = true }
      return (isHalfFull, unsynced < limit && state.unsyncedBytes >= limit)
    }
    turn.signal()
    group.done?.broadcast()
    if isSpareWanted { spareWanted.signal() }
    if isSyncWanted { monitor.broadcast() }
  }

  private func finish(_ group: Group, _ refusal: Refusal) {
    monitor.withLock { state in
      state.isWriting = false
      switch refusal {
      case .harmless(let error):
        // Nobody else had a turn since, so the LSNs can be given again.
        state.nextLSN = group.firstLSN
        state.statistics.refusedAppends += UInt64(group.appendCount)
        group.outcome = .failed(error)
      case .poisoning(let failure):
        group.outcome = .failed(.appendFailed(cause: failure))
        state.poison(failure)
      }
    }
    group.done?.broadcast()
    wakeEverybody()
  }

  /// After a failure nobody must go on waiting.
  func wakeEverybody() {
    turn.broadcast()
    room.broadcast()
    spareWanted.broadcast()
    monitor.broadcast()
  }
}
