import FeatureModel
import Foundation
import OnlineStore
import Storage
import Synchronization
import TestSupport
import Testing
import WriteAheadLog

/// Mixed load with cleaning beside it, some seconds long, or as long as FSTORE_SOAK_SECONDS says: what
/// readers see is right at every moment, and memory and disk come to a plateau. Memory is only judged in
/// a long run, which has the process to itself.
@Suite struct SoakTests {
  static let seconds = ProcessInfo.processInfo.environment["FSTORE_SOAK_SECONDS"].flatMap(
    Double.init)
  static let isLong = seconds != nil
  static let keyCount = isLong ? 100_000 : 4000
  static let minimumLogBytes = isLong ? 32 << 20 : 1 << 20
  static let segmentBytes = isLong ? 4 << 20 : 256 << 10

  @Test func memoryAndDiskReachAPlateauUnderMixedLoad() throws {
    try withTemporaryDirectory { directory in
      var options = OnlineStoreOptions()
      options.log.segmentCapacityBytes = Self.segmentBytes
      options.log.durability = .interval(milliseconds: 50)
      options.checkpointIntervalBytes = Self.minimumLogBytes / 2
      let store = try OnlineStore.open(
        directory: directory + "/log", fileSystem: POSIXFileSystem(), clock: SystemClock(),
        options: options)
      let load = Load(store)
      let threads = [load.put, load.change, load.get, load.getBatch, load.clean].enumerated().map {
        load.start(seed: UInt64($0), $1)
      }
      let samples = watch(store, load, seconds: Self.seconds ?? 4)
      load.isStopping.store(true, ordering: .relaxed)
      for thread in threads { thread.wait() }
      #expect(load.failure.withLock { $0 } == nil)
      #expect(load.gets.load(ordering: .relaxed) > 1000)
      #expect(try store.verify() > 0)
      try judge(samples, store, load)
      try store.close()
    }
  }

  struct Sample {
    var logBytes: Int
    var liveBytes: Int
    var indexBytes: Int
    var keys: Int
    /// Memory that is the process's own, not the page cache's.
    var anonymousBytes: Int
  }

  func watch(_ store: OnlineStore, _ load: Load, seconds: Double) -> [Sample] {
    var samples: [Sample] = []
    let start = ContinuousClock.now
    // On a busy machine the thread that cleans may get its first turn later.
    func isOver() -> Bool {
      let elapsed = ContinuousClock.now - start
      let hasCleaned = store.metrics.cleaned.removedSegmentCount > 0
      return elapsed >= .seconds(hasCleaned ? seconds : max(seconds, 60))
    }
    while !isOver(), load.failure.withLock({ $0 }) == nil {
      Thread.sleep(forTimeInterval: seconds / 64)
      let statistics = store.statistics
      samples.append(
        Sample(
          logBytes: statistics.logBytes, liveBytes: statistics.liveBytes,
          indexBytes: statistics.indexBytes, keys: statistics.indexedKeys,
          anonymousBytes: anonymousBytes()))
    }
    return samples
  }

  func anonymousBytes() -> Int {
    let status = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
    let line = status.split(separator: "\n").first { $0.hasPrefix("RssAnon:") }
    return (line?.split(whereSeparator: { !$0.isNumber }).first.flatMap { Int($0) } ?? 0) * 1024
  }

  /// A cleaning works on one round of segments while another is written.
  func expectBounded(_ logBytes: Int, _ liveBytes: Int) {
    let bound = max(Self.minimumLogBytes, liveBytes * 2)
    #expect(logBytes <= bound * 2 + 8 * Self.segmentBytes)
  }

  func judge(_ samples: [Sample], _ store: OnlineStore, _ load: Load) throws {
    let quarters = stride(from: 0, to: samples.count, by: samples.count / 4).map {
      samples[$0..<min(samples.count, $0 + samples.count / 4)]
    }
    for (number, quarter) in quarters.prefix(4).enumerated() {
      print(
        "soak, quarter \(number + 1): log at most \(quarter.map(\.logBytes).max()! >> 20) MiB,"
          + " live \(quarter.map(\.liveBytes).max()! >> 20) MiB,"
          + " index \(quarter.map(\.indexBytes).max()! >> 10) KiB of \(quarter.last!.keys) keys,"
          + " memory \(quarter.map(\.anonymousBytes).max()! >> 20) MiB")
    }
    let metrics = store.metrics
    print(
      "soak: \(metrics.writtenEntries) entries in \(metrics.commits) commits,"
        + " \(load.gets.load(ordering: .relaxed)) gets,"
        + " \(metrics.cleaned.removedSegmentCount) segments removed,"
        + " \(metrics.cleaned.copiedRecordCount) records copied")
    #expect(metrics.cleaned.removedSegmentCount > 0)
    for sample in samples[(samples.count / 4)...] {
      #expect(sample.indexBytes <= sample.keys * 26 + 64 * 64 * 16)
      // In a few seconds the thread that cleans may hardly get a turn on a busy machine.
      if Self.isLong { expectBounded(sample.logBytes, sample.liveBytes) }
    }
    try store.clean(upTo: store.log.durableLSN, minimumLogBytes: Self.minimumLogBytes)
    expectBounded(store.statistics.logBytes, store.statistics.liveBytes)
    guard Self.isLong else { return }
    let (second, last) = (quarters[1], quarters[3])
    let before = second.map(\.anonymousBytes).max()!
    let after = last.map(\.anonymousBytes).max()!
    #expect(after <= before + before / 10 + 8 << 20, "memory went from \(before) to \(after)")
    let (logBefore, logAfter) = (second.map(\.logBytes).max()!, last.map(\.logBytes).max()!)
    #expect(logAfter <= logBefore + logBefore / 4, "the log went from \(logBefore) to \(logAfter)")
  }
}

/// What the threads do, and what they found.
final class Load: Sendable {
  let store: OnlineStore
  let isStopping = Atomic(false)
  let gets = Atomic(0)
  let failure = Lock<String?>(nil)
  private let clock = Atomic<Int64>(1)

  init(_ store: OnlineStore) { self.store = store }

  /// A thread that repeats `body` until the end, or a failure.
  func start(
    seed: UInt64, _ body: @escaping @Sendable (inout SeededGenerator) throws -> Void
  ) -> DispatchSemaphore {
    let done = DispatchSemaphore(value: 0)
    Thread.detachNewThread {
      var generator = SeededGenerator(seed: seed)
      do {
        while !self.isStopping.load(ordering: .relaxed), self.failure.withLock({ $0 }) == nil {
          try body(&generator)
        }
      } catch { self.failure.withLock { $0 = "\(error)" } }
      done.signal()
    }
    return done
  }

  /// Keys of which some are much more popular than others.
  private func number(_ generator: inout SeededGenerator) -> Int {
    let limit = generator.oneIn(3) ? SoakTests.keyCount : SoakTests.keyCount / 50
    return generator.below(limit)
  }

  private func key(_ number: Int) -> [UInt8] { Array("entity \(number)".utf8) }

  private func entry(_ number: Int, _ generator: inout SeededGenerator) -> LogEntry {
    let time = clock.wrappingAdd(1, ordering: .relaxed).newValue
    let row = [UInt8](
      repeating: UInt8(truncatingIfNeeded: Int64(number) &* 31 &+ time),
      count: 80 + generator.below(200))
    return LogEntry(
      .put, groupID: 1, eventTime: time, expiresAt: generator.oneIn(10) ? time : nil,
      key: key(number), row: row)
  }

  func put(_ generator: inout SeededGenerator) throws {
    let entries = (0..<1 + generator.below(32)).map { _ in
      entry(number(&generator), &generator)
    }
    _ = try store.append(entries)
  }

  /// Deletes, purges and conditional puts.
  func change(_ generator: inout SeededGenerator) throws {
    let number = number(&generator)
    var entry = entry(number, &generator)
    switch generator.below(10) {
    case 0:
      entry.kind = .tombstone
      entry.row = []
      entry.expiresAt = nil
      _ = try store.append([entry])
    case 1: try store.purge(groupID: 1, key: key(number))
    default: _ = try store.write([entry], if: .newer)
    }
  }

  private func check(_ number: Int, _ record: RecordView) {
    if record.isTombstone { return }
    let expected = UInt8(truncatingIfNeeded: Int64(number) &* 31 &+ record.eventTime)
    let row = record.row
    let isRight = row.withUnsafeBytes { $0.count >= 80 && $0.allSatisfy { $0 == expected } }
    if !isRight { failure.withLock { $0 = "a wrong value of key \(number)" } }
  }

  func get(_ generator: inout SeededGenerator) throws {
    let number = number(&generator)
    let key = key(number)
    _ = try store.withRecord(groupID: 1, key: key.rawSpan) { check(number, $0) }
    gets.add(1, ordering: .relaxed)
  }

  func getBatch(_ generator: inout SeededGenerator) throws {
    var numbers: [Int] = []
    for _ in 0..<100 { numbers.append(number(&generator)) }
    var keys = EncodedRows()
    for number in numbers { keys.append(key(number)) }
    try store.withRecords(groupID: 1, keys: keys) { check(numbers[$0], $1) }
    gets.add(100, ordering: .relaxed)
  }

  func clean(_ generator: inout SeededGenerator) throws {
    Thread.sleep(forTimeInterval: 0.05)
    try store.clean(
      upTo: store.log.durableLSN, minimumLogBytes: SoakTests.minimumLogBytes)
  }
}
