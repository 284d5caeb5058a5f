import OnlineStore
import Storage
import StoreSimulation
import TestSupport
import Testing
import WriteAheadLog

/// Calls that fail under an online store. `simulate --store --faults` fails every one.
@Suite struct FaultTests {
  @Test(arguments: StoreSimulation.faults)
  func everyFailingCallIsReportedAndNoAnswerIsLost(fault: StoreSimulation.Fault) throws {
    // One call in so many, all of them in the optimized program.
    let step = setting("FSTORE_FAULT_STEP", 17)
    var failures = 0
    for (index, operations) in StoreSimulation.sequences(1).enumerated() {
      let durability = StoreSimulationTests.durabilities[index % 2]
      let (looked, problem) = try StoreSimulation().fail(
        operations, durability, fault, seed: UInt64(index), everyCalls: step)
      failures += looked
      #expect(problem == nil)
    }
    #expect(failures > 10)
  }

  /// Random histories before a failure, of seeds of their own in a nightly run.
  @Test func aFailureAfterALongHistoryLosesNothing() throws {
    let first = UInt64(setting("FSTORE_FAULT_SEED", 1))
    let all = StoreSimulation.Operation.allCases
    for seed in first..<first + UInt64(setting("FSTORE_FAULT_SEEDS", 4)) {
      var generator = SeededGenerator(seed: seed)
      let operations = (0..<3 + generator.below(15)).map { _ in all[generator.below(all.count)] }
      let fault = StoreSimulation.faults[generator.below(StoreSimulation.faults.count)]
      let (_, problem) = try StoreSimulation().fail(
        operations, StoreSimulationTests.durabilities[generator.below(2)], fault, seed: seed,
        everyCalls: setting("FSTORE_FAULT_STEP", 17))
      #expect(problem == nil)
    }
  }

  private func put(_ key: UInt8, _ eventTime: Int64, size: Int = 1) -> LogEntry {
    LogEntry(
      .put, groupID: 7, eventTime: eventTime, key: [key],
      row: [UInt8](repeating: UInt8(truncatingIfNeeded: eventTime), count: size))
  }

  /// A put whose predecessor could not be read was in the log and not in the index, and the checkpoint after
  /// it said that the index had everything: opened again, the store never answered with it.
  @Test(arguments: [true, false])
  func aCheckpointDoesNotLoseWhatCouldNotBeIndexed(mapsFiles: Bool) throws {
    let files = SimulatedFileSystem(mapsFiles: mapsFiles)
    let store = try StoreModel.open(files)
    _ = try store.append([put(1, 1)])
    func flip() throws {
      var bytes = try #require(files.bytes(of: "/log/00000001.log"))
      bytes[4096 + 60] ^= 1
      files.overwrite("/log/00000001.log", with: bytes)
    }
    try flip()
    #expect(throws: OnlineStoreError.self) { try store.append([put(1, 2), put(2, 1)]) }
    #expect(try store.get(groupID: 7, key: [2])?.entry.eventTime == 1)
    #expect(throws: OnlineStoreError.self) { try store.purge(groupID: 7, key: [1]) }
    #expect(throws: OnlineStoreError.self) { try store.checkpoint() }
    try flip()
    let again = try StoreModel.open(files.restarted())
    #expect(try again.get(groupID: 7, key: [1]) == nil)
    #expect(try again.get(groupID: 7, key: [2])?.entry.eventTime == 1)
    try again.checkpoint()
  }

  /// The reader as it is now; opened anew when the writer has removed what it never saw.
  private func refreshed(
    _ reader: OnlineStore, _ open: () throws -> OnlineStore
  ) throws -> OnlineStore {
    do {
      try reader.refresh()
      return reader
    } catch OnlineStoreError.log(.removed) { return try open() }
  }

  /// What a reader in another process sees when its disk fails at any call.
  @Test(arguments: [true, false], [true, false])
  func aReaderWhoseDiskFailsIsRightBeforeAndAfter(mapsFiles: Bool, lasts: Bool) throws {
    var options = StoreModel.options
    options.log.isReadOnly = true
    func openReader(_ files: SimulatedFileSystem) throws -> OnlineStore {
      try OnlineStore.open(
        directory: "/log", fileSystem: files, clock: FixedClock(), options: options)
    }
    var call = 1
    var failures = 0
    while true {
      let files = SimulatedFileSystem(mapsFiles: mapsFiles)
      let writer = try StoreModel.open(files)
      for time in 0..<8 as Range<Int64> {
        _ = try writer.append((0..<4).map { put($0, time, size: 300) })
      }
      var reader = try openReader(files)
      let before = try (0..<5).map { try reader.get(groupID: 7, key: [$0]) }
      for time in 8..<20 as Range<Int64> {
        _ = try writer.append((0..<3).map { put($0, time, size: 300) })
      }
      try writer.purge(groupID: 7, key: [3])
      let cleaned = try writer.clean(upTo: 40, minimumLogBytes: 8192)
      #expect(cleaned.removedSegmentCount > 0)
      let after = try (0..<5).map { try writer.get(groupID: 7, key: [$0]) }
      files.inject(.init(call: call, kind: .inputOutput, lasts: lasts))
      var hasFailed = false
      do {
        try reader.refresh()
        for key in 0..<5 as Range<UInt8> { _ = try reader.get(groupID: 7, key: [key]) }
        try openReader(files).close()
      } catch is OnlineStoreError { hasFailed = true }
      let isReached = files.calls >= call
      files.inject(nil)
      for key in 0..<5 {
        var answers = [before[key], after[key]]
        do { answers.append(try reader.get(groupID: 7, key: [UInt8(key)])) } catch {
          // Of segments that are gone only a mapping has the records.
          #expect(!mapsFiles, "call \(call): \(error)")
          continue
        }
        #expect(answers[2] == answers[0] || answers[2] == answers[1], "call \(call), key \(key)")
      }
      reader = try refreshed(reader) { try openReader(files) }
      let found = try (0..<5).map { try reader.get(groupID: 7, key: [$0]) }
      #expect(found == after, "call \(call)")
      guard isReached else { break }
      if hasFailed { failures += 1 }
      call += 1
    }
    #expect(failures > 3)
  }
}
