import Storage
import TestSupport
import Testing
import WriteAheadLog

@Suite struct DamageTests {
  var options: WriteAheadLogOptions {
    var options = WriteAheadLogOptions()
    options.segmentCapacityBytes = 8192
    options.preparesSegments = false
    return options
  }

  /// Two segments of a log, closed properly.
  func closedLog() throws -> (files: SimulatedFileSystem, records: [[UInt8]]) {
    let files = SimulatedFileSystem()
    let log = try WriteAheadLog.open(directory: "/log", fileSystem: files, options: options)
    var records: [[UInt8]] = []
    for number in 0..<6 as Range<UInt8> {
      let payloads = [[number], [UInt8](repeating: number, count: 900)]
      records += payloads
      _ = try log.append(LogRecords(payloads))
    }
    try log.close()
    return (files, records)
  }

  @Test func everyFlippedByteIsFoundOrHarmless() throws {
    let (files, records) = try closedLog()
    let paths = files.paths.filter { $0.hasSuffix(".log") }
    #expect(paths.count == 2)
    var found = 0
    for path in paths {
      let bytes = files.bytes(of: path) ?? []
      for index in bytes.indices {
        let disk = files.restarted()
        var damaged = bytes
        damaged[index] ^= 1 << UInt8(index % 8)
        disk.overwrite(path, with: damaged)
        do {
          let recovered = try recoveredRecords(disk, options: options)
          let isSame = recovered == records
          #expect(isSame, "byte \(index) of \(path)")
        } catch WriteAheadLogError.corrupt { found += 1 }
      }
    }
    #expect(found > 8192)
  }

  @Test func anUnfinishedTailIsSetAsideAndCounted() throws {
    let files = SimulatedFileSystem()
    let log = try WriteAheadLog.open(directory: "/log", fileSystem: files, options: options)
    _ = try log.append(LogRecords([[1]]))
    let disk = files.restarted()
    // Without it only a later frame proves a sync.
    _ = try disk.removeFile("/log/DURABLE")
    let path = "/log/00000001.log"
    var bytes = try #require(disk.bytes(of: path))
    bytes.replaceSubrange(4096 + 56..<4096 + 60, with: [40, 0, 0, 0])
    disk.overwrite(path, with: bytes)
    let again = try WriteAheadLog.open(directory: "/log", fileSystem: disk, options: options)
    #expect(again.recovery.tornBytes == 1 && again.recovery.tornFile == path + ".torn")
    #expect(again.recovery.copiedRecordCount == 1 && !again.recovery.wasCleanlyClosed)
    #expect(again.readableLSN == 1)
    // It is not cut, for others may have it mapped; a later opening knows where it ends all the same.
    #expect(disk.bytes(of: path) == bytes)
    try again.close()
    let third = try WriteAheadLog.open(directory: "/log", fileSystem: disk, options: options)
    #expect(third.readableLSN == 2 && third.recovery.wasCleanlyClosed)
  }

  @Test func damageBeforeAProvenFrameRefusesToOpen() throws {
    let files = SimulatedFileSystem()
    let log = try WriteAheadLog.open(directory: "/log", fileSystem: files, options: options)
    _ = try log.append(LogRecords([[1]]))
    _ = try log.append(LogRecords([[2]]))
    let path = "/log/00000001.log"
    var bytes = try #require(files.bytes(of: path))
    bytes[4096 + 48] ^= 1
    let disk = files.restarted()
    disk.overwrite(path, with: bytes)
    // With the mark, and with nothing but the later frame to prove it.
    for isMarked in [true, false] {
      if !isMarked { _ = try disk.removeFile("/log/DURABLE") }
      let error = #expect(throws: WriteAheadLogError.self) {
        try WriteAheadLog.open(
          directory: "/log", fileSystem: disk.restarted(), options: options)
      }
      guard case .corrupt(path, 4096, _) = error else {
        Issue.record("\(String(describing: error))")
        return
      }
    }
  }

  @Test func aMissingSegmentRefusesToOpen() throws {
    let (files, _) = try closedLog()
    let more = try WriteAheadLog.open(directory: "/log", fileSystem: files, options: options)
    for number in 0..<6 as Range<UInt8> {
      _ = try more.append(LogRecords([[UInt8](repeating: number, count: 900)]))
    }
    try more.close()
    _ = try files.removeFile("/log/00000002.log")
    #expect(throws: WriteAheadLogError.self) {
      try WriteAheadLog.open(directory: "/log", fileSystem: files, options: options)
    }
  }

  @Test func afterAFailedSyncNothingIsWrittenAndReadsGoOn() throws {
    let files = SimulatedFileSystem()
    let log = try WriteAheadLog.open(directory: "/log", fileSystem: files, options: options)
    let receipt = try log.append(LogRecords([[1]]))
    files.inject(.init(call: 2, kind: .inputOutput))
    let failed = #expect(throws: WriteAheadLogError.self) { try log.append(LogRecords([[2]])) }
    guard case .appendFailed = failed else { return }
    let calls = files.calls
    let later = #expect(throws: WriteAheadLogError.self) { try log.append(LogRecords([[3]])) }
    guard case .poisoned = later else {
      Issue.record("\(String(describing: later))")
      return
    }
    #expect(files.calls == calls)
    #expect(try log.read(at: receipt.positions[0]) { lsn, _ in lsn } == 1)
    #expect(log.readableLSN == 1)
  }

  /// A process that is killed in the last sync leaves a mark of the close that may not survive.
  @Test func aCloseThatWasNotSyncedIsMadeDurableByTheNextOpening() throws {
    let files = SimulatedFileSystem()
    let log = try WriteAheadLog.open(directory: "/log", fileSystem: files, options: options)
    _ = try log.append(LogRecords([[1]]))
    let killed = Lock<SimulatedFileSystem?>(nil)
    files.beforeSynchronizing { killed.withLock { $0 = files.restarted() } }
    try log.close()
    files.beforeSynchronizing(nil)
    let disk = try #require(killed.withLock { $0 })
    let next = try WriteAheadLog.open(directory: "/log", fileSystem: disk, options: options)
    #expect(next.readableLSN == 2 && next.recovery.wasCleanlyClosed)
    for seed in 0..<20 as Range<UInt64> {
      let records = try recoveredRecords(disk.crashed(seed: seed), options: options)
      #expect(records == [[1]], "seed \(seed)")
    }
  }

  @Test func intervalDurabilitySyncsInTheBackground() throws {
    var options = options
    options.durability = .interval(milliseconds: 2)
    let files = SimulatedFileSystem()
    let log = try WriteAheadLog.open(directory: "/log", fileSystem: files, options: options)
    for number in 0..<40 as Range<UInt8> {
      _ = try log.append(LogRecords([[UInt8](repeating: number, count: 300)]))
    }
    #expect(log.readableLSN == 40)
    try log.synchronize()
    #expect(log.durableLSN == 40)
    let recovered = try recoveredRecords(files.crashed(seed: 1), options: options)
    #expect(recovered.count == 40)
    try log.close()
  }
}
