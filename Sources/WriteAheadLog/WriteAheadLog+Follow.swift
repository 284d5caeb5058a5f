internal import Storage

/// Reading beside a writer in another process.
extension WriteAheadLog {
  /// How often an opening begins again because the writer removed segments under its eyes.
  private static let attempts = 8

  static func openForReading(
    _ recovery: Recovery, _ body: RecordVisitor
  ) throws(WriteAheadLogError) -> WriteAheadLog {
    func start() throws(WriteAheadLogError) -> LogStart? {
      try LogStart.read(directory: recovery.directory, fileSystem: recovery.fileSystem)
    }
    var found: Recovery.Result?
    for attempt in 1...attempts {
      let before = try start()
      do throws(WriteAheadLogError) {
        found = try recovery.run(body)
        break
      } catch {
        // Once all segments are open none can vanish, so nothing was shown yet.
        if attempt == attempts { throw error }
        guard try start() != before else { throw error }
      }
    }
    guard let found else {
      throw .storage(
        StorageError(
          .notFound, operation: "open", path: recovery.directory,
          message: "there is no log in it"))
    }
    do throws(StorageError) {
      return try WriteAheadLog(found, recovery, mark: nil, lock: nil)
    } catch { throw .storage(error) }
  }

  /// Takes notice of what the writer did since: new records (only what it knows to be on disk), new
  /// segments, removed ones. Returns the LSN up to which can be read now. Costs a read of 64 bytes and
  /// a look for the next segment and the log's start; nothing in the log that writes.
  ///
  /// Throws `.removed` when the writer removed segments that this reader never saw: what it read so far
  /// has a hole then, and it begins again by opening the log anew.
  @discardableResult public func refresh() throws(WriteAheadLogError) -> LogSequenceNumber {
    guard options.isReadOnly else { return readableLSN }
    return try maintenance.withLock { _ throws(WriteAheadLogError) in
      let mark: DurableMark.Value?
      do throws(StorageError) {
        mark = try DurableMark.read(directory: directory, fileSystem: fileSystem)
      } catch { throw .storage(error) }
      let start = try LogStart.read(directory: directory, fileSystem: fileSystem)
      guard mark?.store ?? store == store, start?.store ?? store == store else {
        throw .corrupt(
          path: directory, byteOffset: 0, reason: "another log has taken its place")
      }
      try findSegments(start)
      var durable = mark?.durableLSN ?? 0
      if mark == nil { durable = try provenLSN() }
      return monitor.withLock { state in
        state.acknowledgedLSN = max(state.acknowledgedLSN, durable)
        state.durableLSN = state.acknowledgedLSN
        state.nextLSN = state.acknowledgedLSN + 1
        return state.acknowledgedLSN
      }
    }
  }

  private func findSegments(_ start: LogStart?) throws(WriteAheadLogError) {
    var known = segments.withLock { $0 }
    if let start {
      guard start.segment <= known[known.count - 1].header.segment else {
        throw .removed(firstLSN: start.firstLSN)
      }
      known.removeAll { $0.header.segment < start.segment }
    }
    while true {
      let last = known[known.count - 1]
      do throws(WriteAheadLogError) {
        let next = try Segment.open(
          last.header.segment + 1, directory: directory, mode: .read, fileSystem: fileSystem)
        try next.header.checkFollows(last)
        known.append(next)
      } catch {
        guard case .storage(let cause) = error, cause.kind == .notFound else { throw error }
        break
      }
    }
    // Between the look at the start and the look for the next one several may have come and gone.
    if let now = try LogStart.read(directory: directory, fileSystem: fileSystem),
      now.segment > known[known.count - 1].header.segment
    {
      throw .removed(firstLSN: now.firstLSN)
    }
    segments.withLock { $0 = known }
  }

  /// What the frames of the last segment prove, when there is no mark to say it.
  private func provenLSN() throws(WriteAheadLogError) -> LogSequenceNumber {
    let last = segments.withLock { $0[$0.count - 1] }
    var scanner = FrameScanner(
      last, limit: last.capacityBytes, expectedLSN: last.header.firstLSN)
    var proven = last.header.firstLSN - 1
    do throws(StorageError) {
      while case .frame(let header, _) = try scanner.next() {
        proven = max(
          proven, header.kind == .closed ? header.firstLSN - 1 : header.durableUpTo)
      }
    } catch { throw .storage(error) }
    return proven
  }
}
