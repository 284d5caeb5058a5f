public import Storage

/// Salvages a damaged log: finds everything that is whole, and writes it to a log that opens.
///
/// What it rests on: a frame, and each record in it, has a checksum and its LSN; so whole ones are known
/// wherever they lie, and what lies between them is known to be lost. A lost range becomes a reservation of
/// its LSNs, so that no LSN is ever given again and followers beyond the range stay right.
///
/// Nothing is taken back to life that was never acknowledged: what lies beyond a segment's end, as its
/// successor states it, and what follows a torn write at the log's end, does not count.
///
/// The new segments have numbers of their own behind all others. Publishing START makes them the log; until
/// then the old files are the log, and before that they are copied to another directory (linked, where that
/// can be). So a crash at any moment leaves either log, and a repair can be made again.
///
/// Holds the writer's lock. Not thread-safe.
public final class LogRepair {
  /// What is wrong, each with its place.
  public private(set) var damages: [LogDamage] = []
  /// LSNs that cannot be read any more; some may never have been given to a record.
  public private(set) var lost: [ClosedRange<LogSequenceNumber>] = []
  /// Whole records, and those among them that were taken out of damaged frames.
  public private(set) var recordCount = 0
  public private(set) var looseRecordCount = 0
  /// The LSNs that the repaired log has, lost ones included.
  public private(set) var lsns: Range<LogSequenceNumber> = 1..<1
  /// The segments are written anew; otherwise at most START and DURABLE are.
  public private(set) var rewritesSegments = false
  /// Files that are put aside, by name.
  public private(set) var replaced: [String] = []

  let directory: String
  let fileSystem: any FileSystem
  let store: StoreIdentifier
  private(set) var pieces: [Piece] = []
  private(set) var nextNumber: UInt32 = 1
  private(set) var newStart: LogStart?
  private(set) var mark: DurableMark.Value?
  private(set) var removesMark = false
  private var start: LogStart?
  let lock: any FileLock

  /// What the new log consists of, in the order of LSNs.
  enum Piece {
    case run(SegmentSalvage.Run)
    case records([SegmentSalvage.LooseRecord])
    case lost(ClosedRange<LogSequenceNumber>)
  }

  public var isNeeded: Bool { !damages.isEmpty }

  /// Reads the whole log and decides what is to be done; changes nothing but for the lock file.
  ///
  /// - Parameters:
  ///   - store: which store's log it is; segments of others do not count.
  ///   - lsn: what followers have, and so what was durable once.
  public init(
    directory: String, fileSystem: any FileSystem, store: StoreIdentifier,
    mustReach lsn: LogSequenceNumber
  ) throws(WriteAheadLogError) {
    self.directory = directory
    self.fileSystem = fileSystem
    self.store = store
    do throws(StorageError) {
      try fileSystem.createDirectory(directory, withIntermediates: false)
      lock = try fileSystem.lock(StoragePath.join(directory, "LOCK"), holder: "fstore repair")
    } catch { throw .storage(error) }
    do throws(WriteAheadLogError) { try plan(mustReach: lsn) } catch {
      lock.release()
      throw error
    }
  }

  deinit { lock.release() }

  public func release() { lock.release() }

  func note(_ name: String, _ byteOffset: Int, _ reason: String) {
    damages.append(
      LogDamage(
        path: StoragePath.join(directory, name), byteOffset: byteOffset, reason: reason))
  }

  // MARK: Small files

  private func plan(mustReach: LogSequenceNumber) throws(WriteAheadLogError) {
    let startWasThere = try readStart()
    try readMark()
    guard max(mustReach, mark?.durableLSN ?? 0) <= LogLimits.lastLSN else {
      throw .corrupt(
        path: directory, byteOffset: 0,
        reason: "LSN \(max(mustReach, mark?.durableLSN ?? 0)), which was durable, cannot be")
    }
    var files = try segmentFiles()
    leaveOutUnfinishedRepair(&files)
    let found = try salvage(files)
    let durable = max(mustReach, mark?.durableLSN ?? 0)
    var accepted = found
    do throws(StorageError) {
      try choose(&accepted, durable: durable)
    } catch { throw .storage(error) }
    checkOrder(files, accepted)
    // A follower may have had all that was durable: those LSNs are not given again.
    let shown = accepted.map { max($0.lsnBefore, $0.salvage.durableUpTo) }.max() ?? 0
    assemble(accepted, reach: max(durable, shown))
    if !lost.isEmpty, damages.isEmpty, let end = lost.last?.lowerBound {
      note("", 0, "it ends before LSN \(end), which was durable")
    }
    rewritesSegments =
      rewritesSegments || !lost.isEmpty || accepted.isEmpty || looseRecordCount > 0
    if rewritesSegments {
      replaced += files.map(\.name)
      if damages.isEmpty { note("", 0, "it has no segments") }
    } else {
      newStart = start == nil ? LogStart(files[0].segment.header) : nil
      if newStart != nil, !startWasThere {
        note(
          LogStart.name, 0, "the file is missing: the log is taken to begin with '\(files[0].name)'"
        )
      }
    }
    let isMissing = mark == nil && !removesMark
    if isMissing, !files.isEmpty { note(DurableMark.name, 0, "the file is missing") }
    var seen: Set<String> = []
    replaced.removeAll { !seen.insert($0).inserted }
  }

  /// Returns whether there is a file.
  private func readStart() throws(WriteAheadLogError) -> Bool {
    do throws(WriteAheadLogError) {
      start = try LogStart.read(directory: directory, fileSystem: fileSystem)
      if let start, start.store != store {
        note(LogStart.name, 16, "it belongs to another store")
      } else {
        return start != nil
      }
    } catch {
      guard case .corrupt(_, let byteOffset, let reason) = error else { throw error }
      note(LogStart.name, byteOffset, reason)
    }
    start = nil
    replaced.append(LogStart.name)
    return true
  }

  private func readMark() throws(WriteAheadLogError) {
    do throws(StorageError) {
      mark = try DurableMark.read(directory: directory, fileSystem: fileSystem)
      let isThere =
        try fileSystem.information(StoragePath.join(directory, DurableMark.name)) != nil
      removesMark = isThere && mark?.store != store
    } catch { throw .storage(error) }
    guard removesMark else { return }
    note(
      DurableMark.name, 0,
      mark == nil ? "it is not what was written" : "it belongs to another store")
    mark = nil
    replaced.append(DurableMark.name)
  }

  // MARK: Segments

  /// A file with a segment's name.
  struct SegmentFile {
    var name: String
    /// What the header says, or where that is damaged, the name.
    var number: UInt32
    var hasHeader: Bool
    /// With a header made up where the file's is damaged.
    var segment: Segment
  }

  private func segmentFiles() throws(WriteAheadLogError) -> [SegmentFile] {
    var files: [SegmentFile] = []
    var greatest = max(start?.segment ?? 0, mark?.segment ?? 0)
    do throws(StorageError) {
      for name in try fileSystem.contentsOfDirectory(directory).sorted() {
        guard let number = Segment.number(ofName: name) else { continue }
        greatest = max(greatest, number)
        // Its removal was cut short.
        if let start, number < start.segment { continue }
        let file = try fileSystem.open(StoragePath.join(directory, name), .read)
        let size = Int(try file.size())
        let head = try file.read(count: SegmentHeader.sizeBytes, at: 0)
        let (header, reason) = SegmentHeader.decode(head.rawSpan)
        if let header {
          greatest = max(greatest, header.segment)
          if header.store != store {
            rewrite(name, 16, "it belongs to another store")
            continue
          }
          if header.segment != number { rewrite(name, 12, "it holds segment \(header.segment)") }
          files.append(
            SegmentFile(
              name: name, number: header.segment, hasHeader: true,
              segment: Segment(header: header, file: file, capacityBytes: size)))
        } else {
          rewrite(name, 0, reason)
          guard let salt = try salt(of: file, size, head, number) else { continue }
          let made = SegmentHeader(
            segment: number, store: store, firstLSN: 1, salt: salt, predecessorLength: 0,
            predecessorChain: 0)
          files.append(
            SegmentFile(
              name: name, number: number, hasHeader: false,
              segment: Segment(header: made, file: file, capacityBytes: size)))
        }
      }
    } catch { throw .storage(error) }
    guard greatest <= LogLimits.lastSegment - 1 << 20 else {
      throw .corrupt(path: directory, byteOffset: 0, reason: "there are no segment numbers left")
    }
    nextNumber = greatest + 1
    return files.sorted { ($0.number, $0.name) < ($1.number, $1.name) }
  }

  private func rewrite(_ name: String, _ byteOffset: Int, _ reason: String) {
    note(name, byteOffset, reason)
    rewritesSegments = true
    replaced.append(name)
  }

  private func salt(
    of file: any File, _ size: Int, _ head: [UInt8], _ number: UInt32
  ) throws(StorageError) -> UInt32? {
    let bytes = try file.read(
      count: max(0, size - SegmentHeader.sizeBytes), at: Int64(SegmentHeader.sizeBytes))
    var guesses: [UInt32] = []
    if head.count >= 44 { guesses.append(head.rawSpan.loadLittleEndian(UInt32.self, at: 40)) }
    if let start, start.segment == number { guesses.append(start.salt) }
    return LostSalt.find(bytes.rawSpan, guesses: guesses)
  }

  /// New segments of a repair that did not come to its end: all that they hold the old ones hold.
  private func leaveOutUnfinishedRepair(_ files: inout [SegmentFile]) {
    guard let first = files.first else { return }
    let begin = files.firstIndex {
      $0.hasHeader && $0.segment.header.predecessorLength == 0 && $0.number > first.number
        && $0.number > (start?.segment ?? 0)
    }
    guard let begin else { return }
    for file in files[begin...] {
      rewrite(file.name, 0, "it was written by a repair that did not come to its end")
    }
    files.removeSubrange(begin...)
  }

  /// A file and what is whole in it.
  private struct Found {
    var file: SegmentFile
    var salvage: SegmentSalvage
    /// Where its frames end, as its successor says; nil when nobody does.
    var end: Int?
    var isLast: Bool
    /// The LSN before its first, which was durable before the file had its name.
    var lsnBefore: LogSequenceNumber
  }

  private func salvage(_ files: [SegmentFile]) throws(WriteAheadLogError) -> [Found] {
    var found: [Found] = []
    // From the last file to the first: LSNs that a later file has are never taken from an earlier one,
    // where they can be those of a write that was cut off.
    var bound = LogSequenceNumber.max
    var index = files.count
    while index > 0 {
      index -= 1
      let file = files[index]
      let successor = files.first { $0.hasHeader && $0.number == file.number + 1 }
      let stated = successor.map { $0.segment.header.predecessorLength }
      let end = stated.flatMap { $0 >= SegmentHeader.sizeBytes ? $0 : nil }
      let capacity = file.segment.capacityBytes
      let first = file.hasHeader ? file.segment.header.firstLSN : 1
      let salvage: SegmentSalvage
      do throws(StorageError) {
        salvage = try SegmentSalvage(
          file.segment, limit: min(end ?? capacity, capacity), lsns: first..<max(first, bound))
      } catch { throw .storage(error) }
      if let end, end > capacity {
        rewrite(file.name, capacity, "it is cut short; it had \(end) bytes")
      }
      let known = file.hasHeader ? first : salvage.runs.first?.firstLSN
      if let known { bound = min(bound, known) }
      let isLast =
        file.number == files[files.count - 1].number && file.number >= mark?.segment ?? 0
      found.append(
        Found(
          file: file, salvage: salvage, end: end, isLast: isLast,
          lsnBefore: file.hasHeader ? first - 1 : 0))
    }
    return found.reversed()
  }

  /// Decides what of each file counts, and notes its damage.
  private func choose(_ found: inout [Found], durable: LogSequenceNumber) throws(StorageError) {
    for index in found.indices {
      let item = found[index]
      let salvage = item.salvage
      var bound = LogSequenceNumber.max
      if item.end == nil {
        // Only what was durable is known to have been acknowledged; the rest goes on without a gap.
        bound = item.isLast ? max(durable, salvage.durableUpTo, item.lsnBefore) : item.lsnBefore
        let first = item.file.hasHeader ? item.lsnBefore + 1 : salvage.runs.first?.firstLSN
        let begins = salvage.runs.first.map {
          $0.start == SegmentHeader.sizeBytes && $0.firstLSN == first
        }
        var kept = begins == true ? 1 : 0
        while kept < salvage.runs.count, item.isLast,
          salvage.runs[kept].firstLSN - 1 <= bound
        { kept += 1 }
        found[index].salvage.keepRuns(kept)
        bound += bound < .max ? 1 : 0
      }
      try found[index].salvage.findLooseRecords(below: bound)
      for gap in salvage.gaps {
        if item.end == nil, try !isDamage(gap, item, bound) { continue }
        note(
          item.file.name, gap.start,
          "from LSN \(gap.firstLSN) on bytes are not as they were written")
        rewritesSegments = true
      }
    }
  }

  /// Whether a gap in a file whose end is not known is more than a write that was cut off.
  private func isDamage(
    _ gap: SegmentSalvage.Gap, _ item: Found, _ bound: LogSequenceNumber
  ) throws(StorageError) -> Bool {
    if item.isLast { return gap.firstLSN < bound }
    // Its successor is missing or damaged, which is named; what is not zeros here may be anything.
    return gap.end < item.file.segment.capacityBytes
  }

  /// Checks that the files follow each other as their headers say.
  private func checkOrder(_ files: [SegmentFile], _ found: [Found]) {
    if let start, files.first.map({ $0.number > start.segment }) ?? true {
      missing(start.segment, before: files.first?.number)
    } else if let start, let first = files.first, first.hasHeader,
      LogStart(first.segment.header) != start
    {
      rewrite(first.name, 0, "it is not the segment with which this log begins")
    }
    for (index, item) in found.enumerated().dropLast() {
      let next = found[index + 1]
      guard next.file.number > item.file.number else {
        rewrite(next.file.name, 12, "there is another file with this segment")
        continue
      }
      guard next.file.number == item.file.number + 1 else {
        missing(item.file.number + 1, before: next.file.number)
        continue
      }
      guard next.file.hasHeader, item.file.hasHeader, item.salvage.gaps.isEmpty, let end = item.end
      else { continue }
      let last = item.salvage.runs.last
      if item.salvage.runs.count > 1
        || item.salvage.chain != next.file.segment.header.predecessorChain
        || last?.end ?? SegmentHeader.sizeBytes != end
        || last?.nextLSN ?? item.lsnBefore + 1 != next.file.segment.header.firstLSN
      {
        rewrite(item.file.name, end, "its frames are not those that its successor follows")
      }
    }
    if let mark, let last = files.last, mark.segment > last.number {
      missing(last.number + 1, before: mark.segment + 1)
    }
  }

  private func missing(_ number: UInt32, before next: UInt32?) {
    let last = (next ?? number + 1) - 1
    note(
      Segment.name(number), 0,
      last > number
        ? "the segments up to '\(Segment.name(last))' are missing" : "the segment is missing")
    rewritesSegments = true
  }

  // MARK: The new log

  /// Puts what is whole in the order of LSNs, and finds what is not there.
  private func assemble(_ found: [Found], reach: LogSequenceNumber) {
    let runs = found.flatMap(\.salvage.runs).sorted { $0.firstLSN < $1.firstLSN }
    var loose = found.flatMap(\.salvage.loose).sorted { $0.lsn < $1.lsn }[...]
    let known = found.first { $0.file.hasHeader }.map { $0.lsnBefore + 1 }
    let begin = start?.firstLSN ?? min(known ?? .max, runs.first?.firstLSN ?? .max)
    var next = begin == .max ? 1 : begin
    lsns = next..<next
    func fill(upTo end: LogSequenceNumber) {
      var records: [SegmentSalvage.LooseRecord] = []
      func take() {
        if !records.isEmpty { pieces.append(.records(records)) }
        records = []
      }
      func lose(upTo end: LogSequenceNumber) {
        if next >= end { return }
        take()
        pieces.append(.lost(next...end - 1))
        lost.append(next...end - 1)
        next = end
      }
      while let record = loose.first, record.lsn < end {
        loose.removeFirst()
        if record.lsn < next { continue }
        lose(upTo: record.lsn)
        records.append(record)
        next = record.lsn + 1
        recordCount += 1
        looseRecordCount += 1
      }
      lose(upTo: end)
      take()
    }
    for run in runs where run.nextLSN > next {
      // Of two files with the same records one is enough.
      guard run.firstLSN >= next else { continue }
      fill(upTo: run.firstLSN)
      pieces.append(.run(run))
      recordCount += run.recordCount
      next = run.nextLSN
    }
    fill(upTo: reach + 1)
    lsns = lsns.lowerBound..<max(next, lsns.lowerBound)
  }
}
