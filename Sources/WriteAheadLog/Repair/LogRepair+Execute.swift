internal import Storage

extension LogRepair {
  /// Carries the repair out; `release()`, and the log opens. What it replaces is in `folder` then, which must be a
  /// directory on the same or another file system.
  ///
  /// - Parameters:
  ///   - others: more files of the log's directory that are to be put aside.
  ///   - progress: bytes written, of all.
  public func execute(
    puttingAside others: [String], in folder: String,
    progress: (Int64, Int64) -> Void = { _, _ in }
  ) throws(WriteAheadLogError) {
    do throws(StorageError) {
      let aside = replaced + others
      for name in aside { try keep(name, in: folder) }
      try fileSystem.synchronizeDirectory(folder)
      var start = newStart
      if rewritesSegments { start = try writeSegments(progress) }
      // A checkpoint names places in the old segments; a mark that is wrong keeps every log from opening.
      for name in others + (removesMark ? [DurableMark.name] : []) { try remove(name) }
      try fileSystem.synchronizeDirectory(directory)
      // From here on the new log is the log.
      try start?.publish(directory: directory, fileSystem: fileSystem)
      if rewritesSegments {
        for name in aside where Segment.number(ofName: name) != nil { try remove(name) }
        try fileSystem.synchronizeDirectory(directory)
      }
    } catch { throw .storage(error) }
  }

  private func remove(_ name: String) throws(StorageError) {
    try fileSystem.removeFile(StoragePath.join(directory, name))
  }

  /// Gives a file a second name in the folder, or copies it there.
  private func keep(_ name: String, in folder: String) throws(StorageError) {
    let old = StoragePath.join(directory, name)
    let new = StoragePath.join(folder, name)
    if try fileSystem.information(old) == nil { return }
    if try fileSystem.link(old, to: new) { return }
    let source = try fileSystem.open(old, .read)
    let copy = try fileSystem.open(new, .create)
    let size = try source.size()
    var offset: Int64 = 0
    while offset < size {
      let bytes = try source.read(count: Int(min(1 << 20, size - offset)), at: offset)
      if bytes.isEmpty { break }
      try copy.write(bytes, at: offset)
      offset += Int64(bytes.count)
    }
    try copy.synchronizeData()
    try copy.close()
    try source.close()
  }

  // MARK: Segments

  private static let segmentBytes = 64 << 20

  /// Writes all that is whole to new segments, of which nobody knows yet, and returns where they begin.
  private func writeSegments(_ progress: (Int64, Int64) -> Void) throws(StorageError) -> LogStart {
    var writer = SegmentWriter(self)
    let total = pieces.reduce(Int64(0)) { sum, piece in
      if case .run(let run) = piece { sum + Int64(run.end - run.start) } else { sum }
    }
    do throws(StorageError) {
      var done: Int64 = 0
      for piece in pieces {
        switch piece {
        case .run(let run):
          var scanner = FrameScanner(
            run.segment, from: run.start, limit: run.end, expectedLSN: run.firstLSN)
          while case .frame(let header, _) = try scanner.next() {
            var bytes: [UInt8] = []
            bytes.append(contentsOf: scanner.frame)
            try writer.add(bytes, header.kind, lsns: header.lsnCount, records: header.recordCount)
          }
          done += Int64(run.end - run.start)
          progress(done, total)
        case .records(let records):
          var bytes = [UInt8](repeating: 0, count: Frame.headerBytes)
          for record in records {
            bytes += try record.segment.file.read(
              count: record.sizeBytes, at: Int64(record.byteOffset))
          }
          try writer.add(bytes, .records, lsns: Int64(records.count), records: records.count)
        case .lost(let range):
          var bytes = [UInt8](repeating: 0, count: Frame.headerBytes)
          bytes.appendLittleEndian(Int64(range.count))
          try writer.add(bytes, .reservation, lsns: Int64(range.count), records: 0)
        }
      }
      return try writer.finish()
    } catch {
      // Nobody knows of them; a file that stays is put aside by the next repair.
      for name in writer.names {
        do throws(StorageError) {
          try fileSystem.removeFile(StoragePath.join(directory, name))
        } catch {}
      }
      throw error
    }
  }

  /// Fills segments with frames, sealed anew.
  private struct SegmentWriter {
    private let repair: LogRepair
    private(set) var names: [String] = []
    private var header: SegmentHeader
    private var frames: [UInt8] = []
    private var chain: UInt32 = 0
    private var nextLSN: LogSequenceNumber
    private var first: SegmentHeader?

    init(_ repair: LogRepair) {
      self.repair = repair
      nextLSN = repair.lsns.lowerBound
      // Of the first, a predecessor of no length says that there is none.
      header = SegmentHeader(
        segment: repair.nextNumber, store: repair.store, firstLSN: nextLSN,
        salt: .random(in: .min ... .max), predecessorLength: 0, predecessorChain: 0)
    }

    mutating func add(
      _ bytes: [UInt8], _ kind: Frame.Kind, lsns: Int64, records: Int
    ) throws(StorageError) {
      let size = SegmentHeader.sizeBytes + frames.count + bytes.count
      if !frames.isEmpty, size > LogRepair.segmentBytes { try seal() }
      var bytes = bytes
      Frame.seal(
        &bytes, kind: kind, firstLSN: nextLSN, recordCount: records,
        durableUpTo: header.firstLSN - 1, salt: header.salt)
      chain = Frame.chain(chain, bytes: bytes)
      frames += bytes
      nextLSN += lsns
    }

    private mutating func seal() throws(StorageError) {
      let size = SegmentHeader.sizeBytes + frames.count
      names.append(Segment.name(header.segment))
      let segment = try Segment.create(
        header, frames: frames, capacityBytes: size, isFilled: false,
        directory: repair.directory, fileSystem: repair.fileSystem)
      try segment.file.close()
      first = first ?? header
      header = SegmentHeader(
        segment: header.segment + 1, store: repair.store, firstLSN: nextLSN,
        salt: .random(in: .min ... .max), predecessorLength: size, predecessorChain: chain)
      frames = []
      chain = 0
    }

    /// Ends with an empty segment, so that all before is known to be durable.
    mutating func finish() throws(StorageError) -> LogStart {
      if !frames.isEmpty { try seal() }
      try seal()
      return LogStart(first ?? header)
    }
  }
}
