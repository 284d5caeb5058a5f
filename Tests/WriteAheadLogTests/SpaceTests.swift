import Storage
import TestSupport
import Testing
import WriteAheadLog

@Suite struct SpaceTests {
  func options(_ change: (inout WriteAheadLogOptions) -> Void = { _ in }) -> WriteAheadLogOptions {
    var options = smallSegments()
    options.preparesSegments = false
    change(&options)
    return options
  }

  /// Appends until one is refused; the error.
  func fill(_ log: WriteAheadLog, from first: Int) -> (count: Int, error: WriteAheadLogError?) {
    for number in first..<first + 200 {
      do { try append(log, number..<number + 1) } catch {
        return (number - first, error as? WriteAheadLogError)
      }
    }
    return (200, nil)
  }

  @Test func aPreparedSegmentIsTaken() throws {
    let files = SimulatedFileSystem()
    let log = try open(files, options())
    log.prepareNextSegment()
    let prepared = files.paths.filter { $0.hasSuffix(".tmp") }
    #expect(prepared.count == 1 && log.statistics.diskBytes == 2 * 8192)
    try append(log, 0..<5)
    #expect(log.statistics.segmentsBegun == 1 && log.statistics.segmentsFilledInline == 0)
    #expect(files.bytes(of: "/log/00000002.log")?.count == 8192)
    try append(log, 5..<10)
    #expect(log.statistics.segmentsBegun == 3 && log.statistics.segmentsFilledInline == 2)
    #expect(!files.paths.contains { $0.hasSuffix(".tmp") })
  }

  @Test func aThreadPreparesTheNextSegment() throws {
    let files = SimulatedFileSystem()
    let log = try open(files, options { $0.preparesSegments = true })
    try append(log, 0..<2)
    for _ in 0..<2000 where log.statistics.diskBytes == 8192 { yieldBriefly() }
    #expect(log.statistics.diskBytes == 2 * 8192)
    try append(log, 2..<5)
    #expect(log.statistics.segmentsBegun == 1 && log.statistics.segmentsFilledInline == 0)
    try log.close()
    #expect(!files.paths.contains { $0.hasSuffix(".tmp") })
  }

  @Test func whatAKilledWriterPreparedIsTidiedUp() throws {
    let files = SimulatedFileSystem()
    let log = try open(files, options())
    log.prepareNextSegment()
    try append(log, 0..<1)
    let disk = files.restarted()
    _ = try open(disk, options())
    #expect(files.paths.contains { $0.hasSuffix(".tmp") })
    #expect(!disk.paths.contains { $0.hasSuffix(".tmp") })
  }

  @Test func pastItsLimitTheLogTakesNoAppendsUntilItShrinks() throws {
    let limit = 3 * 8192
    let log = try open(SimulatedFileSystem(), options { $0.limitBytes = limit })
    let (count, error) = fill(log, from: 0)
    #expect(error == .limitReached(sizeBytes: limit, limitBytes: limit))
    #expect(count == 9 && log.sizeBytes == limit && log.readableLSN == 9)
    #expect(log.statistics.refusedAppends == 1 && !log.statistics.isPoisoned)
    #expect(try contents(log, from: 1).count == 9)
    // Cleaning writes before it can remove.
    let moved = try log.append(
      LogRecords([[UInt8](repeating: 9, count: 1000)]), isMaintenance: true)
    #expect(moved.lsns == 10...10)
    try log.removeSegments(upTo: 6)
    try append(log, 10..<11)
    #expect(log.readableLSN == 11)
  }

  @Test func aFullDiskRefusesAppendsAndNothingElse() throws {
    let files = SimulatedFileSystem()
    files.limit(toBytes: 60_000)
    let options = options { $0.reserveBytes = 16_384 }
    let log = try open(files, options)
    #expect(log.statistics.hasReserve)
    let (count, error) = fill(log, from: 0)
    guard case .full = error else {
      Issue.record("\(String(describing: error))")
      return
    }
    // The reserve stays: others may fill the disk before maintenance comes.
    #expect(files.paths.contains("/log/RESERVE") && log.statistics.hasReserve)
    #expect(fill(log, from: 0).count == 0 && files.usedBytes <= 60_000)
    #expect(try contents(log, from: 1).count == count)
    files.limit(toBytes: files.usedBytes)
    // Maintenance takes it, and appends leave its space to maintenance.
    let last = UInt8(count)
    _ = try log.append(
      LogRecords([[UInt8](repeating: last, count: 3000), [last + 1]]), isMaintenance: true)
    #expect(!files.paths.contains("/log/RESERVE") && !log.statistics.hasReserve)
    #expect(fill(log, from: count + 2).count <= 2)
    let kept = files.usedBytes
    #expect(fill(log, from: 0).count == 0 && files.usedBytes == kept)
    // Removed segments make room for appends only when the reserve's space is free besides.
    let held = Int(log.readableLSN)
    try log.removeSegments(upTo: 9)
    let more = fill(log, from: held)
    #expect(more.count > 0)
    #expect(log.readableLSN == Int64(held + more.count), "a refused append takes no LSN")
    // With room for both, the reserve comes back with the next segment.
    files.limit(toBytes: 200_000)
    try append(log, 0..<5)
    #expect(log.statistics.hasReserve && files.bytes(of: "/log/RESERVE")?.count == 16_384)
    try log.close()
  }

  @Test func maintenanceMakesDoWithASmallerSegment() throws {
    let files = SimulatedFileSystem()
    let options = options {
      $0.segmentCapacityBytes = 64 << 10
      $0.groupLimitBytes = 1000
    }
    let log = try open(files, options)
    _ = try log.append(LogRecords([[UInt8](repeating: 1, count: 59_000)]))
    files.limit(toBytes: files.usedBytes + (16 << 10))
    #expect(throws: WriteAheadLogError.self) {
      try log.append(LogRecords([[UInt8](repeating: 2, count: 3000)]))
    }
    _ = try log.append(LogRecords([[UInt8](repeating: 2, count: 3000)]), isMaintenance: true)
    #expect(log.segmentList.map(\.sizeBytes) == [64 << 10, 4096 + 4000])
    try log.close()
    #expect(try contents(open(files, options), from: 1) == [1: 1, 2: 2])
  }

  @Test func aReserveThatAnotherProcessTookIsMissed() throws {
    let files = SimulatedFileSystem()
    let options = options { $0.reserveBytes = 16_384 }
    let log = try open(files, options)
    #expect(WriteAheadLog.releaseReserve(directory: "/log", fileSystem: files))
    #expect(!WriteAheadLog.releaseReserve(directory: "/log", fileSystem: files))
    files.limit(toBytes: files.usedBytes + 16_384)
    // Its space is not for appends.
    #expect(fill(log, from: 0).error != nil && log.segmentCount == 1)
    files.limit(toBytes: 200_000)
    log.restoreReserve()
    #expect(log.statistics.hasReserve && files.bytes(of: "/log/RESERVE")?.count == 16_384)
    try log.close()
  }

  @Test func otherwiseFullDisksRefuseCleanlyToo() throws {
    // Without a reserve the write itself finds out.
    let files = SimulatedFileSystem()
    files.limit(toBytes: 40_000)
    let log = try open(files, options())
    let (count, error) = fill(log, from: 0)
    guard case .full = error else {
      Issue.record("\(String(describing: error))")
      return
    }
    #expect(!files.paths.contains { $0.hasSuffix(".tmp") })
    files.limit(toBytes: 100_000)
    try append(log, count..<count + 3)
    #expect(log.readableLSN == Int64(count) + 3)
    try log.close()
    #expect(try open(files, options()).recovery.wasCleanlyClosed)
  }

  @Test func aLogOnAFullDiskClosesAndOpens() throws {
    let files = SimulatedFileSystem()
    files.limit(toBytes: 33_000)
    let log = try open(files, options())
    let (count, _) = fill(log, from: 0)
    try log.close()
    let again = try open(files, options())
    #expect(try contents(again, from: 1).count == count)
  }
}

/// Lets other threads run.
func yieldBriefly() {
  let monitor = Monitor(0)
  _ = monitor.wait(timeoutMilliseconds: 2) { _ -> Int? in nil }
}
