import OnlineStore
import Storage
import TestSupport
import Testing
import WriteAheadLog

/// A store opened for reading beside the one that writes.
@Suite struct ReaderTests {
  func open(_ directory: String, isReadOnly: Bool) throws -> OnlineStore {
    var options = OnlineStoreOptions()
    options.log.segmentCapacityBytes = 16 << 10
    options.log.isReadOnly = isReadOnly
    options.log.preparesSegments = false
    options.checkpointIntervalBytes = 1 << 17
    return try OnlineStore.open(
      directory: directory + "/log", fileSystem: POSIXFileSystem(), clock: SystemClock(),
      options: options)
  }

  func put(_ key: UInt8, _ eventTime: Int64, _ size: Int = 10) -> LogEntry {
    LogEntry(
      .put, groupID: 7, eventTime: eventTime, key: [key],
      row: [UInt8](repeating: UInt8(truncatingIfNeeded: eventTime), count: size))
  }

  @Test func aReaderSeesWhatIsWrittenAndPurgedOnceItLooks() throws {
    try withTemporaryDirectory { directory in
      let writer = try open(directory, isReadOnly: false)
      _ = try writer.append([put(1, 1), put(2, 1)])
      let reader = try open(directory, isReadOnly: true)
      #expect(try reader.get(groupID: 7, key: [1])?.entry.eventTime == 1)
      _ = try writer.append([put(1, 2)])
      try writer.purge(groupID: 7, key: [2])
      #expect(try reader.get(groupID: 7, key: [1])?.entry.eventTime == 1)
      #expect(try reader.refresh() == 4)
      #expect(try reader.get(groupID: 7, key: [1])?.entry.eventTime == 2)
      #expect(try reader.get(groupID: 7, key: [2]) == nil)
      #expect(reader.statistics.groups == writer.statistics.groups)
      #expect(throws: OnlineStoreError.self) { try reader.append([put(1, 3)]) }
      #expect(try writer.refresh() == 4)
    }
  }

  @Test func aReaderFollowsAWriterThatCleans() throws {
    for seed in 0..<4 as Range<UInt64> {
      try withTemporaryDirectory { directory in
        var generator = SeededGenerator(seed: seed)
        let writer = try open(directory, isReadOnly: false)
        _ = try writer.append([put(255, 0)])
        var reader = try open(directory, isReadOnly: true)
        for round in 1...60 as ClosedRange<Int64> {
          for _ in 0..<20 {
            _ = try writer.append([put(UInt8(generator.below(40)), round, generator.below(600))])
          }
          if generator.oneIn(8) {
            try writer.purge(groupID: 7, key: [UInt8(generator.below(40))])
          }
          if generator.oneIn(3) {
            // Old records count no more.
            try writer.clean(upTo: writer.log.durableLSN, minimumLogBytes: 48 << 10) { _, time in
              time < round - 20
            }
          }
          guard generator.oneIn(2) else { continue }
          do {
            try reader.refresh()
          } catch OnlineStoreError.log(.removed) {
            reader = try open(directory, isReadOnly: true)
          }
          for key in 0..<40 as Range<UInt8> {
            let expected = try writer.get(groupID: 7, key: [key])
            let found = try reader.get(groupID: 7, key: [key])
            // What the writer dropped because it had expired may still lie in a segment that stays.
            let isDropped = expected == nil && found.map { $0.entry.eventTime < round - 20 } == true
            #expect(found == expected || isDropped, "seed \(seed), round \(round), key \(key)")
          }
        }
        try writer.close()
      }
    }
  }
}
