import OnlineStore
import Storage
import TestSupport
import Testing
import WriteAheadLog

/// Conditional writes, purges, records with an expiry of their own, writes of tasks.
@Suite struct WriteTests {
  func put(
    _ key: UInt8, _ eventTime: Int64, _ row: [UInt8] = [1], expiresAt: Int64? = nil
  ) -> LogEntry {
    LogEntry(
      .put, groupID: 7, schemaVersion: 1, eventTime: eventTime, expiresAt: expiresAt, key: [key],
      row: row)
  }

  /// Enough other records that cleaning removes what was written before.
  func fill(_ store: OnlineStore) throws {
    for number in 0..<200 as Range<Int64> {
      _ = try store.append([
        LogEntry(
          .put, groupID: 8, eventTime: number, key: [9], row: [UInt8](repeating: 1, count: 300))
      ])
    }
  }

  @Test func aWriteSaysWhichOfItsEntriesAnswer() throws {
    let store = try StoreModel.open(SimulatedFileSystem())
    #expect(
      try store.write([put(1, 10), put(1, 5), put(2, 1), put(1, 10)]) == [
        .written(1, isAnswer: true), .written(2, isAnswer: false), .written(3, isAnswer: true),
        .written(4, isAnswer: true),
      ])
    #expect(try store.write([]) == [])
  }

  @Test func onlyNewerEventTimesAreWrittenWhenThatIsTheCondition() throws {
    let store = try StoreModel.open(SimulatedFileSystem())
    _ = try store.append([put(1, 10)])
    let outcomes = try store.write(
      [put(1, 10), put(1, 11), put(1, 11), put(2, .min)], if: .newer)
    #expect(
      outcomes == [
        .refused(currentEventTime: 10), .written(2, isAnswer: true),
        .refused(currentEventTime: 11), .written(3, isAnswer: true),
      ])
    #expect(store.log.lastLSN == 3)
    #expect(store.metrics.refusedEntries == 2 && store.metrics.writtenEntries == 3)
  }

  @Test func anExpectedEventTimeMustBeTheOneThatAnswers() throws {
    let store = try StoreModel.open(SimulatedFileSystem())
    #expect(
      try store.write([put(1, 10)], if: .eventTime(5)) == [.refused(currentEventTime: nil)])
    #expect(try store.write([put(1, 10)], if: .eventTime(nil)) == [.written(1, isAnswer: true)])
    #expect(
      try store.write([put(1, 20)], if: .eventTime(nil)) == [.refused(currentEventTime: 10)])
    // An older one is written, for history, and does not answer.
    #expect(try store.write([put(1, 9)], if: .eventTime(10)) == [.written(2, isAnswer: false)])
    let tombstone = LogEntry(.tombstone, groupID: 7, eventTime: 30, key: [1])
    #expect(try store.write([tombstone], if: .eventTime(10)) == [.written(3, isAnswer: true)])
    #expect(
      try store.write([put(1, 31)], if: .eventTime(10)) == [.refused(currentEventTime: 30)])
  }

  @Test func ofManyWhoExpectTheSameEventTimeOneWins() throws {
    try withTemporaryDirectory { directory in
      let store = try OnlineStore.open(
        directory: directory + "/log", fileSystem: POSIXFileSystem(), clock: SystemClock())
      let wins = Lock<[Int64: Int]>([:])
      let failures = Lock<[String]>([])
      let threads = try (0..<4).map { _ in
        try BackgroundThread(name: "write") {
          for time in 1...50 as ClosedRange<Int64> {
            do {
              let entries = [put(1, time), put(2, time)]
              let outcomes = try store.write(
                entries, if: .eventTime(time == 1 ? nil : time - 1))
              for case .written in outcomes { wins.withLock { $0[time, default: 0] += 1 } }
              // Wait until somebody has brought this time.
              while try store.get(groupID: 7, key: [2])?.entry.eventTime ?? 0 < time {}
            } catch { failures.withLock { $0.append("\(error)") } }
          }
        }
      }
      for thread in threads { thread.join() }
      #expect(failures.withLock { $0 } == [])
      #expect(wins.withLock { $0 } == Dictionary(uniqueKeysWithValues: (1...50).map { ($0, 2) }))
      try store.close()
    }
  }

  @Test func aPurgedKeyAnswersNothingAndMayBeginAnew() throws {
    let files = SimulatedFileSystem()
    let store = try StoreModel.open(files)
    _ = try store.append([put(1, 10), put(1, 20), put(2, 5)])
    let lsn = try store.purge(groupID: 7, key: [1])
    #expect(lsn == 4)
    #expect(try store.get(groupID: 7, key: [1]) == nil)
    #expect(try store.get(groupID: 7, key: [2])?.entry.eventTime == 5)
    #expect(store.statistics.indexedKeys == 1 && store.statistics.groups[7]?.liveKeys == 1)
    #expect(try store.follow(from: 1, limitBytes: 1 << 20).entries.map(\.lsn) == [1, 2, 3])
    #expect(try store.follow(from: 1, limitBytes: 1 << 20).next == 5)
    #expect(try store.verify() == 4)
    // An older event time than what was purged.
    #expect(try store.write([put(1, 3)]) == [.written(5, isAnswer: true)])
    try store.purge(groupID: 7, key: [2])
    try store.close()
    let again = try StoreModel.open(files)
    #expect(try again.get(groupID: 7, key: [1])?.entry.eventTime == 3)
    #expect(try again.get(groupID: 7, key: [2]) == nil)
    #expect(again.statistics.indexedKeys == 1)
    try again.verify()
  }

  @Test func aPurgedKeyStaysAwayThroughCheckpointsAndCleaning() throws {
    let files = SimulatedFileSystem()
    let store = try StoreModel.open(files)
    _ = try store.append([put(1, 10), put(2, 10)])
    try fill(store)
    // The records of both keys become copies at the log's end.
    #expect(
      try store.clean(upTo: store.log.durableLSN, minimumLogBytes: 8192).copiedRecordCount > 1)
    try store.purge(groupID: 7, key: [1])
    try store.checkpoint()
    try store.close()
    let again = try StoreModel.open(files)
    #expect(try again.get(groupID: 7, key: [1]) == nil)
    try fill(again)
    try again.clean(upTo: again.log.durableLSN, minimumLogBytes: 8192)
    try again.close()
    #expect(try files.removeFile("/log/INDEX"))
    let rebuilt = try StoreModel.open(files)
    #expect(try rebuilt.get(groupID: 7, key: [1]) == nil)
    #expect(try rebuilt.get(groupID: 7, key: [2])?.lsn == 2)
    try rebuilt.verify()
  }

  @Test func purgesBesideWritesAndCleaningLeaveNothingBehind() throws {
    try withTemporaryDirectory { directory in
      var options = OnlineStoreOptions()
      options.log.segmentCapacityBytes = 64 << 10
      options.log.durability = .interval(milliseconds: 50)
      let store = try OnlineStore.open(
        directory: directory + "/log", fileSystem: POSIXFileSystem(), clock: SystemClock(),
        options: options)
      let failures = Lock<[String]>([])
      let isDone = Lock(false)
      let writers = try (0..<3 as Range<UInt8>).map { thread in
        try BackgroundThread(name: "write") {
          var round: Int64 = 0
          while !isDone.withLock({ $0 }) {
            round += 1
            do {
              _ = try store.append([put(thread, round, [UInt8](repeating: 1, count: 400))])
              if round % 10 == 0 {
                try store.purge(groupID: 7, key: [thread])
                if try store.get(groupID: 7, key: [thread]) != nil {
                  failures.withLock { $0.append("\(thread) at \(round)") }
                }
              }
            } catch { failures.withLock { $0.append("\(error)") } }
          }
          do { try store.purge(groupID: 7, key: [thread]) } catch {
            failures.withLock { $0.append("\(error)") }
          }
        }
      }
      for _ in 0..<20 {
        try store.clean(upTo: store.log.durableLSN, minimumLogBytes: 128 << 10)
        try store.checkpoint()
      }
      isDone.withLock { $0 = true }
      for thread in writers { thread.join() }
      #expect(failures.withLock { $0.prefix(3) } == [])
      #expect(store.statistics.indexedKeys == 0 && store.statistics.liveBytes == 0)
      try store.close()
      let again = try OnlineStore.open(
        directory: directory + "/log", fileSystem: POSIXFileSystem(), clock: SystemClock(),
        options: options)
      #expect(again.statistics.indexedKeys == 0)
      try again.close()
    }
  }

  /// A record that was written before the purge, but indexed after it, must not come back.
  @Test func nothingFromBeforeAPurgeAnswersAfterIt() throws {
    try withTemporaryDirectory { directory in
      let store = try OnlineStore.open(
        directory: directory + "/log", fileSystem: POSIXFileSystem(), clock: SystemClock())
      let isDone = Lock(false)
      let failures = Lock<[String]>([])
      let writers = try (0..<4 as Range<Int64>).map { thread in
        try BackgroundThread(name: "write") {
          var round: Int64 = 0
          while !isDone.withLock({ $0 }) {
            round += 1
            do { _ = try store.append((0..<20).map { put(1, round, [$0]) }) } catch {
              failures.withLock { $0.append("\(error)") }
            }
          }
        }
      }
      for _ in 0..<60 {
        let purged = try store.purge(groupID: 7, key: [1])
        for _ in 0..<20 {
          if let found = try store.get(groupID: 7, key: [1]), found.lsn < purged {
            failures.withLock { $0.append("LSN \(found.lsn) after the purge \(purged)") }
          }
        }
      }
      isDone.withLock { $0 = true }
      for thread in writers { thread.join() }
      #expect(failures.withLock { $0.prefix(3) } == [])
      let answer = try store.get(groupID: 7, key: [1])
      try store.close()
      let again = try OnlineStore.open(
        directory: directory + "/log", fileSystem: POSIXFileSystem(), clock: SystemClock())
      #expect(try again.get(groupID: 7, key: [1]) == answer)
      try again.close()
    }
  }

  @Test func aRecordsOwnExpiryIsKeptAndItsRowGoesOnceItHasCome() throws {
    let files = SimulatedFileSystem()
    let store = try StoreModel.open(files)
    // The clock of these tests stands at 1,000,000.
    _ = try store.append([
      put(1, 10, [1], expiresAt: 999_999), put(2, 10, [2], expiresAt: 1_000_000),
    ])
    // Later in the log, earlier in time: it must not answer once the other has expired.
    _ = try store.append([put(1, 5, [3])])
    try fill(store)
    let report = try store.clean(upTo: store.log.durableLSN, minimumLogBytes: 8192)
    #expect(report.expiredRecordCount == 1)
    try store.close()
    for name in ["", "/log/INDEX"] {
      if !name.isEmpty { #expect(try files.removeFile(name)) }
      let again = try StoreModel.open(files)
      let expired = try again.get(groupID: 7, key: [1])
      #expect(expired?.isTombstone == true && expired?.entry.expiresAt == 999_999)
      #expect(expired?.entry.eventTime == 10 && expired?.lsn == 1)
      let kept = try again.get(groupID: 7, key: [2])
      #expect(kept?.entry.row == [2] && kept?.entry.expiresAt == 1_000_000)
      #expect(again.statistics.groups[7]?.deletedKeys == 1)
      try again.verify()
      try again.close()
    }
  }

  @Test func manyTasksWriteWithoutThreadsOfTheirOwn() async throws {
    let files = SimulatedFileSystem()
    let store = try StoreModel.open(files)
    let outcomes = try await withThrowingTaskGroup(of: [WriteOutcome].self) { group in
      for number in 0..<100 as Range<UInt8> {
        group.addTask {
          try await store.writeAsynchronously(
            [put(number, 1), put(200, Int64(number))], if: number % 10 == 0 ? .newer : .always)
        }
      }
      return try await group.reduce(into: []) { $0.append($1) }
    }
    #expect(outcomes.count == 100 && outcomes.allSatisfy { $0.count == 2 })
    for number in 0..<100 as Range<UInt8> {
      #expect(try store.get(groupID: 7, key: [number])?.entry.eventTime == 1)
    }
    #expect(try store.get(groupID: 7, key: [200])?.entry.eventTime == 99)
    let tooLong = LogEntry(
      .put, groupID: 7, key: [UInt8](repeating: 1, count: LogEntry.keyLimitBytes + 1))
    await #expect(throws: OnlineStoreError.self) { try await store.writeAsynchronously([tooLong]) }
    try store.close()
    await #expect(throws: OnlineStoreError.self) {
      try await store.writeAsynchronously([put(1, 1)])
    }
  }

  @Test func metricsTellWhatWasDone() throws {
    let store = try StoreModel.open(SimulatedFileSystem())
    _ = try store.append([put(1, 1), put(2, 1)])
    try fill(store)
    let report = try store.clean(upTo: store.log.durableLSN, minimumLogBytes: 8192)
    let metrics = store.metrics
    #expect(metrics.writtenEntries == 202 && metrics.commits == 201)
    #expect(metrics.commitNanoseconds.count == 201)
    #expect(
      metrics.commitNanoseconds.percentile(0.5) <= metrics.commitNanoseconds.percentile(0.999))
    #expect(metrics.cleanings == 1 && metrics.cleaned == report)
    #expect(metrics.online.indexedKeys == 3 && metrics.liveShare > 0 && metrics.liveShare < 1)
  }

  @Test func aCheckNamesEachDamage() throws {
    let files = SimulatedFileSystem()
    let store = try StoreModel.open(files)
    for key in 0..<50 as Range<UInt8> { _ = try store.append([put(key, 1)]) }
    try store.checkpoint()
    #expect(try store.inspect(followers: ["table": 50]).damages.isEmpty)
    let ahead = try store.inspect(followers: ["table": 51]).damages.map(\.description)
    #expect(ahead == ["'table' has records up to LSN 51, the log ends at 50"])
    var index = try #require(files.bytes(of: "/log/INDEX"))
    index[index.count - 1] ^= 1
    files.overwrite("/log/INDEX", with: index)
    var segment = try #require(files.bytes(of: "/log/00000001.log"))
    segment[4096 + 60] ^= 1
    files.overwrite("/log/00000001.log", with: segment)
    let report = try store.inspect()
    #expect(report.damages.count == 2, "\(report.damages)")
    #expect(report.damages.map(\.description).contains { $0.contains("00000001.log") })
    #expect(report.damages.map(\.description).contains { $0.contains("INDEX") })
  }

  @Test func anEntryWithAnExpiryIsReadAsItWasWritten() {
    var generator = SeededGenerator(seed: 11)
    for _ in 0..<2000 {
      let kinds: [LogEntry.Kind] = [.put, .tombstone, .control, .purge]
      let entry = LogEntry(
        kinds[generator.below(4)], groupID: UInt32(generator.below(1 << 30)),
        eventTime: Int64(generator.below(1 << 40)), writeTime: 5,
        originalLSN: generator.oneIn(2) ? Int64(generator.below(1 << 40)) : nil,
        expiresAt: generator.oneIn(2) ? Int64(generator.below(1 << 40)) : nil,
        key: (0..<generator.below(20)).map { UInt8($0) },
        row: (0..<generator.below(20)).map { UInt8($0) })
      let bytes = entry.encoded
      #expect(LogEntry(decoding: bytes.rawSpan) == entry)
      let shortest = bytes.count - entry.row.count
      for count in 0..<shortest {
        #expect(LogEntry(decoding: bytes.rawSpan.extracting(first: count)) == nil)
      }
    }
  }
}
