import Storage
import TestSupport
import Testing
import WriteAheadLog

@Suite struct ConcurrencyTests {
  /// Eight threads append and check what they were told; the problem they found.
  func appendFromThreads(_ log: WriteAheadLog, each count: Int) throws -> String? {
    let problem = Lock<String?>(nil)
    let threads = try (0..<8).map { thread in
      try BackgroundThread(name: "appender") {
        do {
          for number in 0..<count {
            let payloads = (0..<1 + number % 3).map { [UInt8(thread), UInt8(number), UInt8($0)] }
            let receipt = try log.append(LogRecords(payloads))
            for (index, position) in receipt.positions.enumerated() {
              let isRight = try log.read(at: position) { lsn, payload in
                lsn == receipt.lsns.lowerBound + Int64(index) && payload.byteCount == 3
                  && payload.loadLittleEndian(UInt8.self, at: 0) == payloads[index][0]
                  && payload.loadLittleEndian(UInt8.self, at: 1) == payloads[index][1]
                  && payload.loadLittleEndian(UInt8.self, at: 2) == payloads[index][2]
              }
              if !isRight { problem.withLock { $0 = "\(position) is not what was appended" } }
            }
          }
        } catch { problem.withLock { $0 = "\(error)" } }
      }
    }
    for thread in threads { thread.join() }
    return problem.withLock { $0 }
  }

  @Test func threadsGetTheirOwnRecordsBack() throws {
    for milliseconds in [nil, 1] {
      try withTemporaryDirectory { directory in
        var options = smallSegments()
        options.preparesSegments = true
        if let milliseconds { options.durability = .interval(milliseconds: milliseconds) }
        let log = try WriteAheadLog.open(
          directory: directory, fileSystem: POSIXFileSystem(), options: options)
        #expect(try appendFromThreads(log, each: 60) == nil)
        let expected = (0..<60).reduce(0) { $0 + 1 + $1 % 3 } * 8
        let statistics = log.statistics
        #expect(log.readableLSN == Int64(expected) && statistics.records == UInt64(expected))
        #expect(statistics.appends == 480 && statistics.appendsPerGroup.sum == 480)
        try log.close()
        let again = try WriteAheadLog.open(
          directory: directory, fileSystem: POSIXFileSystem(), options: options)
        #expect(again.recovery.recordCount == expected && again.recovery.wasCleanlyClosed)
      }
    }
  }

  /// A follower that goes on behind the durable LSN must have seen everything up to there.
  @Test func whatIsDurableCanBeRead() throws {
    let log = try open(SimulatedFileSystem(), largeSegments())
    let isDone = Lock(false)
    let ahead = Lock(0)
    let readers = try (0..<3).map { _ in
      try BackgroundThread(name: "reader") {
        while !isDone.withLock({ $0 }) {
          let durable = log.durableLSN
          if durable > log.readableLSN { ahead.withLock { $0 += 1 } }
        }
      }
    }
    for _ in 0..<10_000 { _ = try log.append(LogRecords([[1]])) }
    isDone.withLock { $0 = true }
    for reader in readers { reader.join() }
    #expect(ahead.withLock { $0 } == 0)
  }

  private func largeSegments() -> WriteAheadLogOptions {
    var options = smallSegments()
    options.segmentCapacityBytes = 64 << 20
    return options
  }

  @Test func appendsGoOnWhileASyncRuns() throws {
    let files = SimulatedFileSystem()
    var options = smallSegments()
    options.segmentCapacityBytes = 1 << 20
    options.preparesSegments = false
    options.durability = .interval(milliseconds: 3_600_000)
    let log = try open(files, options)
    try append(log, 0..<3)
    let gate = Monitor<(isReached: Bool, isOpen: Bool)>((false, false))
    files.beforeSynchronizing {
      gate.withLock { $0.isReached = true }
      gate.broadcast()
      gate.wait { $0.isOpen ? () : nil }
    }
    let thread = try BackgroundThread(name: "sync") {
      do { try log.synchronize() } catch { Issue.record("\(error)") }
    }
    gate.wait { $0.isReached ? () : nil }
    // The sync hangs until the gate opens; if appends waited for it this would never end.
    try append(log, 3..<10)
    #expect(log.readableLSN == 10 && log.durableLSN == 0)
    files.beforeSynchronizing(nil)
    gate.withLock { $0.isOpen = true }
    gate.broadcast()
    thread.join()
    #expect(log.durableLSN == 3, "the sync covers what was there when it began")
    #expect(log.statistics.unsyncedBytes > 0)
    try log.synchronize()
    #expect(log.durableLSN == 10 && log.statistics.unsyncedBytes == 0)
    try log.close()
  }

  @Test func aSyncThatFailsInTheBackgroundPoisonsTheLog() throws {
    let files = SimulatedFileSystem()
    var options = smallSegments()
    options.durability = .interval(milliseconds: 3_600_000)
    let log = try open(files, options)
    try append(log, 0..<1)
    files.inject(.init(call: 1, kind: .inputOutput))
    #expect(throws: WriteAheadLogError.self) { try log.synchronize() }
    let error = #expect(throws: WriteAheadLogError.self) { try append(log, 1..<2) }
    guard case .poisoned = error else {
      Issue.record("\(String(describing: error))")
      return
    }
    #expect(log.statistics.isPoisoned && log.durableLSN == 0)
    #expect(try contents(log, from: 1).count == 1)
  }

  @Test func theIntervalThreadSyncsWithoutBeingAsked() throws {
    var options = smallSegments()
    options.durability = .interval(milliseconds: 2)
    let log = try open(SimulatedFileSystem(), options)
    try append(log, 0..<1)
    for _ in 0..<2000 where log.durableLSN < 1 { yieldBriefly() }
    #expect(log.durableLSN == 1)
    try log.close()
  }

  @Test func removalBesideAppendsLosesNothing() throws {
    let files = SimulatedFileSystem()
    let log = try open(files)
    let isDone = Lock(false)
    let remover = try BackgroundThread(name: "remover") {
      while !isDone.withLock({ $0 }) {
        do { try log.removeSegments(upTo: log.durableLSN - 5) } catch { Issue.record("\(error)") }
      }
    }
    try append(log, 0..<150)
    isDone.withLock { $0 = true }
    remover.join()
    let first = log.firstLSN
    #expect(first <= 146)
    try log.close()
    let again = try open(files)
    #expect(again.firstLSN == first)
    #expect(try contents(again, from: first).count == 151 - Int(first))
  }
}

@Suite struct HistogramTests {
  @Test func percentilesAreRightWithinAnEighth() {
    var generator = SeededGenerator(seed: 5)
    var histogram = Histogram()
    var values: [UInt64] = []
    for _ in 0..<5000 {
      let value = generator.next() >> UInt64(generator.below(64))
      values.append(value)
      histogram.add(value)
    }
    values.sort()
    for share in [0.01, 0.5, 0.9, 0.99, 0.999, 1] {
      let exact = values[Int((Double(values.count) * share).rounded(.up)) - 1]
      let found = histogram.percentile(share)
      #expect(found >= exact && found - exact <= exact / 8 + 1, "\(share): \(found), \(exact)")
    }
    #expect(histogram.maximum == values.last && histogram.count == 5000)
    #expect(Histogram().percentile(0.5) == 0)
  }
}
