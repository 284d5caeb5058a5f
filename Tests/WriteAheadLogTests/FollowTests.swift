import Storage
import TestSupport
import Testing
import WriteAheadLog

@Suite struct FollowTests {
  @Test func aReaderSeesWhatIsAcknowledgedAfterEachRefresh() throws {
    let files = SimulatedFileSystem()
    let writer = try open(files)
    let reader = try open(files, smallSegments(isReadOnly: true))
    var seen: [LogSequenceNumber: UInt8] = [:]
    var next: LogSequenceNumber = 1
    for number in 0..<20 {
      try append(writer, number..<number + 1)
      #expect(try reader.refresh() == Int64(number) + 1)
      next = try reader.replay(from: next) { lsn, _, payload in
        seen[lsn] = payload.loadLittleEndian(UInt8.self, at: 0)
        return true
      }
      #expect(seen.count == number + 1 && seen[Int64(number) + 1] == UInt8(number))
    }
    #expect(reader.segmentCount == writer.segmentCount && reader.segmentCount > 4)
  }

  @Test func aReaderSeesOnlyWhatIsOnDisk() throws {
    let files = SimulatedFileSystem()
    var options = smallSegments()
    options.durability = .interval(milliseconds: 3_600_000)
    let writer = try open(files, options)
    let reader = try open(files, smallSegments(isReadOnly: true))
    try append(writer, 0..<2)
    #expect(writer.readableLSN == 2)
    #expect(try reader.refresh() == 0)
    #expect(try open(files, smallSegments(isReadOnly: true)).readableLSN == 0)
    try writer.synchronize()
    #expect(try reader.refresh() == 2)
    #expect(try contents(reader, from: 1).count == 2)
    try writer.close()
  }

  @Test func aReaderGoesOnAfterSegmentsItHasSeenAreRemoved() throws {
    let files = SimulatedFileSystem()
    let writer = try open(files)
    try append(writer, 0..<10)
    let reader = try open(files, smallSegments(isReadOnly: true))
    try writer.removeSegments(upTo: .max)
    try append(writer, 10..<20)
    #expect(try reader.refresh() == 20)
    #expect(reader.firstLSN == writer.firstLSN)
    #expect(try contents(reader, from: 11).count == 10)
    #expect(throws: WriteAheadLogError.removed(firstLSN: writer.firstLSN)) {
      try contents(reader, from: 1)
    }
  }

  @Test func aReaderThatFellBehindIsTold() throws {
    let files = SimulatedFileSystem()
    let writer = try open(files)
    try append(writer, 0..<2)
    let reader = try open(files, smallSegments(isReadOnly: true))
    try append(writer, 2..<20)
    try writer.removeSegments(upTo: .max)
    #expect(throws: WriteAheadLogError.removed(firstLSN: writer.firstLSN)) {
      try reader.refresh()
    }
    let again = try open(files, smallSegments(isReadOnly: true))
    #expect(again.readableLSN == 20 && again.firstLSN == writer.firstLSN)
  }

  @Test func withoutTheMarkAReaderSeesWhatFramesProve() throws {
    let files = SimulatedFileSystem()
    let writer = try open(files)
    let reader = try open(files, smallSegments(isReadOnly: true))
    try append(writer, 0..<5)
    _ = try files.removeFile("/log/DURABLE")
    #expect(try reader.refresh() == 4)
    #expect(try open(files, smallSegments(isReadOnly: true)).readableLSN == 4)
  }

  @Test func aReaderFollowsAWriterOfAnotherLife() throws {
    let files = SimulatedFileSystem()
    var writer = try open(files)
    try append(writer, 0..<2)
    let reader = try open(files, smallSegments(isReadOnly: true))
    try writer.close()
    writer = try open(files)
    try append(writer, 2..<4)
    #expect(try reader.refresh() == 5)
    #expect(try contents(reader, from: 1).values.sorted() == [0, 1, 2, 3])
  }

  @Test func readersBesideAWriterSeeAPrefixInOrder() throws {
    try withTemporaryDirectory { directory in
      let system = POSIXFileSystem()
      let writer = try WriteAheadLog.open(
        directory: directory, fileSystem: system, options: smallSegments())
      let outcome = Lock<(count: Int, problem: String?)>((0, nil))
      let thread = try BackgroundThread(name: "reader") {
        do {
          let reader = try WriteAheadLog.open(
            directory: directory, fileSystem: system, options: smallSegments(isReadOnly: true))
          var next: LogSequenceNumber = 1
          while next <= 300 {
            let readable = try reader.refresh()
            var expected = next
            next = try reader.replay(from: next) { lsn, _, payload in
              let isRight =
                lsn == expected
                && payload.loadLittleEndian(UInt8.self, at: 0)
                  == UInt8(truncatingIfNeeded: lsn - 1)
              expected += 1
              outcome.withLock {
                $0.count += 1
                if !isRight { $0.problem = "LSN \(lsn) is wrong" }
              }
              return isRight
            }
            if next != readable + 1 { throw WriteAheadLogError.closed }
          }
        } catch { outcome.withLock { $0.problem = "\(error)" } }
      }
      try append(writer, 0..<300)
      thread.join()
      #expect(outcome.withLock { $0.problem } == nil)
      #expect(outcome.withLock { $0.count } == 300)
    }
  }
}
