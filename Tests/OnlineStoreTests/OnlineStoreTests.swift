import FeatureModel
import OnlineStore
import Storage
import TestSupport
import Testing
import WriteAheadLog

@Suite struct OnlineStoreTests {
  func open(_ directory: String) throws -> OnlineStore {
    var options = OnlineStoreOptions()
    options.log.segmentCapacityBytes = 64 << 10
    return try OnlineStore.open(
      directory: directory + "/log", fileSystem: POSIXFileSystem(), clock: SystemClock(),
      options: options)
  }

  func put(_ key: UInt8, _ eventTime: Int64, _ row: [UInt8]) -> LogEntry {
    LogEntry(.put, groupID: 7, schemaVersion: 1, eventTime: eventTime, key: [key], row: row)
  }

  @Test func theGreatestEventTimeAnswers() throws {
    try withTemporaryDirectory { directory in
      let store = try open(directory)
      _ = try store.append([put(1, 100, [1])])
      _ = try store.append([put(1, 50, [2])])
      #expect(try store.get(groupID: 7, key: [1])?.entry.row == [1])
      #expect(try store.get(groupID: 8, key: [1]) == nil)
      #expect(try store.get(groupID: 7, key: [2]) == nil)
    }
  }

  @Test func ofEqualEventTimesTheLaterRecordAnswers() throws {
    try withTemporaryDirectory { directory in
      let store = try open(directory)
      _ = try store.append([put(1, 100, [1]), put(1, 100, [2])])
      #expect(try store.get(groupID: 7, key: [1])?.entry.row == [2])
      let lsns = try store.append([put(1, 100, [3])])
      let answer = try store.get(groupID: 7, key: [1])
      #expect(answer?.entry.row == [3] && answer?.lsn == lsns.lowerBound)
    }
  }

  @Test func tombstonesTakePartInTheOrder() throws {
    try withTemporaryDirectory { directory in
      let store = try open(directory)
      _ = try store.append([put(1, 100, [1])])
      _ = try store.append([LogEntry(.tombstone, groupID: 7, eventTime: 90, key: [1])])
      #expect(try store.get(groupID: 7, key: [1])?.isTombstone == false)
      _ = try store.append([LogEntry(.tombstone, groupID: 7, eventTime: 110, key: [1])])
      #expect(try store.get(groupID: 7, key: [1])?.isTombstone == true)
      #expect(store.statistics.groups[7]?.deletedKeys == 1)
      #expect(store.statistics.groups[7]?.liveKeys == 0)
    }
  }

  @Test func openingAgainGivesTheSameAnswers() throws {
    try withTemporaryDirectory { directory in
      var generator = SeededGenerator(seed: 5)
      let store = try open(directory)
      for _ in 0..<300 {
        let batch = (0..<1 + generator.below(5)).map { _ in
          put(
            UInt8(generator.below(50)), Int64(generator.below(100)),
            [UInt8](repeating: UInt8(generator.below(256)), count: generator.below(3000)))
        }
        _ = try store.append(batch)
      }
      let answers = try (0..<50).map { try store.get(groupID: 7, key: [UInt8($0)]) }
      let count = try store.verify()
      let statistics = store.statistics
      #expect(statistics.segmentCount > 3)
      try store.close()
      let again = try open(directory)
      #expect(again.log.recovery.wasCleanlyClosed)
      #expect(again.metrics.replayedRecords == UInt64(count))
      #expect(try again.getBatch(groupID: 7, keys: (0..<50).map { [UInt8($0)] }) == answers)
      #expect(again.statistics.groups == statistics.groups)
      #expect(try again.verify() == count)
    }
  }

  @Test func followersSeeEveryEntryInOrder() throws {
    try withTemporaryDirectory { directory in
      let store = try open(directory)
      for number in 0..<200 { _ = try store.append([put(UInt8(number), 1, [])]) }
      _ = try store.append([LogEntry(.control, groupID: 0, row: [9])])
      var next: LogSequenceNumber = 1
      var keys: [UInt8] = []
      var times: [Int64] = []
      while true {
        let (entries, following) = try store.follow(from: next, limitBytes: 500)
        if entries.isEmpty { break }
        #expect(entries.first?.lsn == next)
        keys += entries.flatMap(\.entry.key)
        times += entries.map(\.entry.writeTime)
        next = following
      }
      #expect(keys == (0..<200).map { UInt8($0) })
      #expect(times == times.sorted() && Set(times).count == 201)
    }
  }

  @Test func aSecondWriterIsRefused() throws {
    try withTemporaryDirectory { directory in
      let store = try open(directory)
      _ = try store.append([put(1, 1, [])])
      let error = #expect(throws: OnlineStoreError.self) { try open(directory) }
      #expect(error?.description.contains("pid") == true)
    }
  }

  @Test func threadsPutAndGetAtOnce() throws {
    try withTemporaryDirectory { directory in
      let store = try open(directory)
      let failures = Lock<[String]>([])
      let threads = try (0..<6).map { thread in
        try BackgroundThread(name: "put") {
          do {
            for round in 1...60 {
              let lsns = try store.append([
                put(UInt8(thread), Int64(round), [UInt8(round)]), put(99, Int64(round), [1]),
              ])
              let own = try store.get(groupID: 7, key: [UInt8(thread)])
              if own?.entry.row != [UInt8(round)] || own?.lsn != lsns.lowerBound {
                failures.withLock { $0.append("\(thread) \(round)") }
              }
              _ = try store.get(groupID: 7, key: [99])
            }
          } catch { failures.withLock { $0.append("\(error)") } }
        }
      }
      for thread in threads { thread.join() }
      #expect(failures.withLock { $0 } == [])
      #expect(try store.verify() == 720)
    }
  }

  @Test func aBatchOfSeveralGroupsAnswersLikeSingleGets() throws {
    try withTemporaryDirectory { directory in
      var generator = SeededGenerator(seed: 21)
      let store = try open(directory)
      for number in 0..<400 as Range<Int64> {
        _ = try store.append([
          LogEntry(
            .put, groupID: UInt32(generator.below(4)), eventTime: number,
            key: [UInt8(generator.below(100))], row: [UInt8](repeating: 1, count: 300))
        ])
      }
      var keys = EncodedRows()
      var groups: [UInt32] = []
      for _ in 0..<500 {
        keys.append([UInt8(generator.below(120))])
        groups.append(UInt32(generator.below(5)))
      }
      var answers = [StoredEntry?](repeating: nil, count: keys.count)
      var order: [Int] = []
      try store.withRecords(groupIDs: groups, keys: keys) {
        answers[$0] = $1.stored
        order.append($0)
      }
      #expect(order == order.sorted() && order.count > 100 && order.count < 500)
      for index in 0..<keys.count {
        #expect(
          try store.get(groupID: groups[index], key: keys.array(index)) == answers[index])
      }
    }
  }

  @Test func whatIsNoEntryIsRefused() {
    var bytes = put(1, 2, [3]).encoded
    #expect(LogEntry(decoding: bytes.rawSpan) == put(1, 2, [3]))
    for count in 0..<32 {
      #expect(LogEntry(decoding: bytes.rawSpan.extracting(first: count)) == nil)
    }
    bytes.storeLittleEndian(UInt32(100), at: 12)
    #expect(LogEntry(decoding: bytes.rawSpan) == nil)
  }
}
