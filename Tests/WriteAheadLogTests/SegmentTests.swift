import Storage
import TestSupport
import Testing
import WriteAheadLog

func smallSegments(isReadOnly: Bool = false) -> WriteAheadLogOptions {
  var options = WriteAheadLogOptions()
  options.segmentCapacityBytes = 8192
  options.preparesSegments = false
  options.isReadOnly = isReadOnly
  return options
}

func open(
  _ files: SimulatedFileSystem, _ options: WriteAheadLogOptions = smallSegments()
) throws -> WriteAheadLog {
  try WriteAheadLog.open(directory: "/log", fileSystem: files, options: options)
}

/// Appends one record each, of about 1000 bytes: three or so fill a segment of 8 KiB.
@discardableResult func append(
  _ log: WriteAheadLog, _ numbers: Range<Int>
) throws -> [LogPosition] {
  try numbers.map { number in
    let payload = [UInt8](repeating: UInt8(truncatingIfNeeded: number), count: 1000)
    return try log.append(LogRecords([payload])).positions[0]
  }
}

/// The first byte of each record from an LSN on, by LSN.
func contents(
  _ log: WriteAheadLog, from lsn: LogSequenceNumber
) throws -> [LogSequenceNumber: UInt8] {
  var found: [LogSequenceNumber: UInt8] = [:]
  try log.replay(from: lsn) { lsn, _, payload in
    found[lsn] = payload.loadLittleEndian(UInt8.self, at: 0)
    return true
  }
  return found
}

@Suite struct SegmentTests {
  @Test func segmentsAreListedWithTheirRecords() throws {
    let files = SimulatedFileSystem()
    let log = try open(files)
    let positions = try append(log, 0..<10)
    let list = log.segmentList
    #expect(list.count > 2 && list.map(\.isSealed) == list.dropLast().map { _ in true } + [false])
    #expect(list.first?.lsns.lowerBound == 1 && list.last?.lsns.upperBound == 11)
    #expect(zip(list, list.dropFirst()).allSatisfy { $0.lsns.upperBound == $1.lsns.lowerBound })
    for (index, position) in positions.enumerated() {
      let segment = try #require(list.first { $0.number == position.segment })
      #expect(segment.lsns.contains(Int64(index) + 1) && position.byteOffset < segment.usedBytes)
    }
    #expect(log.sizeBytes == list.reduce(0) { $0 + $1.sizeBytes })
    #expect(list.allSatisfy { files.bytes(of: "/log/" + $0.fileName)?.count == $0.sizeBytes })
  }

  @Test func removedSegmentsAreGoneAndTheLogOpensWithoutThem() throws {
    let files = SimulatedFileSystem()
    var log = try open(files)
    let positions = try append(log, 0..<10)
    let list = log.segmentList
    let removed = try log.removeSegments(upTo: list[1].lsns.upperBound - 1)
    #expect(removed == Array(list[..<2]) && log.segmentList == Array(list[2...]))
    let first = list[2].lsns.lowerBound
    #expect(log.firstLSN == first && files.bytes(of: "/log/00000001.log") == nil)
    #expect(throws: WriteAheadLogError.removed(firstLSN: first)) {
      try log.read(at: positions[0]) { lsn, _ in lsn }
    }
    #expect(throws: WriteAheadLogError.removed(firstLSN: first)) { try contents(log, from: 1) }
    try log.close()
    // Also after a crash: the removal was durable.
    log = try open(files.crashed(seed: 2))
    #expect(log.firstLSN == first)
    #expect(try contents(log, from: first).count == 11 - Int(first))
    #expect(try log.read(at: positions[Int(first) - 1]) { lsn, _ in lsn } == first)
    try append(log, 10..<12)
    #expect(log.readableLSN == 13, "one LSN went to the mark of the close")
  }

  @Test func theLastSegmentAndThoseWithLaterRecordsAreKept() throws {
    let log = try open(SimulatedFileSystem())
    try append(log, 0..<10)
    let list = log.segmentList
    #expect(try log.removeSegments(upTo: list[0].lsns.upperBound - 2).isEmpty)
    #expect(try log.removeSegments(upTo: .max).count == list.count - 1)
    #expect(log.segmentList == [try #require(list.last)])
    #expect(try log.removeSegments(upTo: .max).isEmpty)
  }

  @Test func anInterruptedRemovalIsFinishedByTheNextWriter() throws {
    let files = SimulatedFileSystem()
    let log = try open(files)
    try append(log, 0..<10)
    let list = log.segmentList
    // The new start is published in five calls; the sixth removes the first file.
    files.inject(.init(call: 7, kind: .inputOutput))
    #expect(throws: WriteAheadLogError.self) { try log.removeSegments(upTo: .max) }
    let disk = files.restarted()
    #expect(disk.paths.contains("/log/00000002.log"))
    #expect(throws: WriteAheadLogError.self, "the log is poisoned") { try append(log, 0..<1) }
    let again = try open(disk)
    #expect(again.segmentCount == 1 && again.firstLSN == list.last?.lsns.lowerBound)
    #expect(!disk.paths.contains("/log/00000002.log"))
  }

  @Test func theLastSegmentIsMissed() throws {
    let files = SimulatedFileSystem()
    let log = try open(files)
    try append(log, 0..<10)
    let last = try #require(log.segmentList.last)
    try log.close()
    for disk in [files.restarted(), files.crashed(seed: 0)] {
      _ = try disk.removeFile("/log/" + last.fileName)
      #expect(throws: WriteAheadLogError.self) { try open(disk) }
    }
  }

  @Test func theFirstSegmentIsMissed() throws {
    let files = SimulatedFileSystem()
    let log = try open(files)
    try append(log, 0..<10)
    try log.close()
    for name in ["00000001.log", "00000002.log"] {
      let disk = files.restarted()
      _ = try disk.removeFile("/log/" + name)
      #expect(throws: WriteAheadLogError.self) { try open(disk) }
    }
  }

  @Test func anOldStartOrNoneIsFoundOut() throws {
    let files = SimulatedFileSystem()
    let log = try open(files)
    try append(log, 0..<10)
    let old = try #require(files.bytes(of: "/log/START"))
    try log.removeSegments(upTo: 5)
    try log.close()
    #expect(files.bytes(of: "/log/START") != old)
    let disk = files.restarted()
    disk.overwrite("/log/START", with: old)
    #expect(throws: WriteAheadLogError.self) { try open(disk) }
    _ = try disk.removeFile("/log/START")
    #expect(throws: WriteAheadLogError.self) { try open(disk) }
  }
}

@Suite struct ReplayTests {
  /// The LSNs that opening from one shows.
  func shown(
    _ files: SimulatedFileSystem, from lsn: LogSequenceNumber?
  ) throws -> (lsns: [LogSequenceNumber], log: WriteAheadLog) {
    var lsns: [LogSequenceNumber] = []
    var positions: [LogPosition] = []
    let log = try WriteAheadLog.open(
      directory: "/log", fileSystem: files, options: smallSegments(), from: lsn
    ) { lsn, position, _ in
      lsns.append(lsn)
      positions.append(position)
      return true
    }
    for (lsn, position) in zip(lsns, positions) {
      let isSame = try log.read(at: position) { found, _ in found == lsn }
      if !isSame { throw WriteAheadLogError.noSuchPosition(position) }
    }
    return (lsns, log)
  }

  func written(closing: Bool) throws -> SimulatedFileSystem {
    let files = SimulatedFileSystem()
    let log = try open(files)
    try append(log, 0..<10)
    if closing { try log.close() }
    return files.restarted()
  }

  @Test func openingShowsEachRecordOnce() throws {
    for closing in [true, false] {
      let files = try written(closing: closing)
      #expect(try shown(files.restarted(), from: nil).lsns == Array(1...10))
      #expect(try shown(files.restarted(), from: 4).lsns == Array(4...10))
      #expect(try shown(files.restarted(), from: 11).lsns.isEmpty)
    }
  }

  @Test func aRecordAtTheTailIsShownWhereItWasCopiedTo() throws {
    let files = try written(closing: false)
    _ = try files.removeFile("/log/DURABLE")
    let (lsns, log) = try shown(files, from: nil)
    #expect(lsns == Array(1...10) && log.recovery.copiedRecordCount == 1)
  }

  @Test func openingFromACheckpointReadsTheTailOnly() throws {
    let files = try written(closing: true)
    let segments = try open(files.restarted()).segmentList
    let before = files.bytesRead
    _ = try shown(files, from: 11)
    // A header each, the last segment, and the small files.
    #expect(files.bytesRead - before <= segments.count * 4096 + 8192 + 1024)
  }

  @Test func openingReadsTheLogOnce() throws {
    let files = try written(closing: true)
    let before = files.bytesRead
    _ = try WriteAheadLog.open(
      directory: "/log", fileSystem: files, options: smallSegments(), from: nil
    ) { _, _, _ in true }
    let size = files.paths.reduce(0) { $0 + (files.bytes(of: $1)?.count ?? 0) }
    #expect(files.bytesRead - before <= size + 1024)
  }

  @Test func askingForWhatWasRemovedOrNeverWrittenFails() throws {
    let files = try written(closing: true)
    let log = try open(files)
    let list = log.segmentList
    try log.removeSegments(upTo: list[0].lsns.upperBound - 1)
    try log.close()
    let first = list[1].lsns.lowerBound
    #expect(throws: WriteAheadLogError.removed(firstLSN: first)) { try shown(files, from: 1) }
    #expect(throws: WriteAheadLogError.self) { try shown(files.restarted(), from: 99) }
    #expect(try shown(files.restarted(), from: first).lsns.first == first)
  }

  @Test func aBodyThatHasEnoughIsNotCalledAgain() throws {
    let files = try written(closing: true)
    var count = 0
    let log = try WriteAheadLog.open(
      directory: "/log", fileSystem: files, options: smallSegments(), from: nil
    ) { _, _, _ in
      count += 1
      return count < 3
    }
    #expect(count == 3 && log.readableLSN == 11)
  }
}
