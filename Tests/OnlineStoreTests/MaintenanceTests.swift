import Foundation
import OnlineStore
import Storage
import StoreSimulation
import TestSupport
import Testing
import WriteAheadLog

/// Checkpoints and cleaning: what is acknowledged is answered, whatever happens in between.
@Suite struct MaintenanceTests {
  @Test func everySequenceOfOperationsAnswersLikeTheModel() throws {
    for seed in 0..<UInt64(setting("FSTORE_MODEL_SEEDS", 60)) {
      var generator = SeededGenerator(seed: seed)
      let model = try StoreModel(SimulatedFileSystem(mapsFiles: !seed.isMultiple(of: 3)))
      for step in 0..<80 {
        try model.perform(&generator)
        if step % 16 == 15 {
          let broken = try model.violation(model.store)
          #expect(broken == nil, "seed \(seed), step \(step): \(broken ?? "")")
        }
      }
    }
  }

  /// Runs a workload until a call crashes, then looks at what the disk has kept.
  private func crash(seed: UInt64, call: Int?) throws -> (calls: Int, broken: String?) {
    var generator = SeededGenerator(seed: seed)
    let files = SimulatedFileSystem(mapsFiles: !seed.isMultiple(of: 3))
    let model = try StoreModel(files)
    files.inject(call.map { .init(call: $0, kind: .crash) })
    do { for _ in 0..<24 { try model.perform(&generator) } } catch {}
    guard let call else { return (files.calls, nil) }
    for outcome in 0..<2 as Range<UInt64> {
      var disk = files.crashed(seed: seed &* 7919 &+ UInt64(call) &* 2 &+ outcome)
      if outcome == 1 {
        // A second crash, while opening.
        disk.inject(.init(call: 1 + call % 29, kind: .crash))
        _ = try? StoreModel.open(disk)
        disk = disk.crashed(seed: seed &+ UInt64(call))
      }
      do {
        let opened = try StoreModel.open(disk)
        if let broken = try model.violation(opened) { return (0, "outcome \(outcome): \(broken)") }
        // It goes on from there, checkpoint and cleaning included.
        _ = try opened.append([LogEntry(.put, groupID: 9, eventTime: 1, key: [1], row: [1])])
        try opened.clean(upTo: opened.log.durableLSN, minimumLogBytes: 8192)
        if let broken = try model.violation(opened) { return (0, "after cleaning: \(broken)") }
      } catch { return (0, "outcome \(outcome): \(error)") }
    }
    return (0, nil)
  }

  @Test func afterACrashInAnyCallEverythingAcknowledgedIsAnswered() throws {
    for seed in 0..<UInt64(setting("FSTORE_CRASH_SEEDS", 3)) {
      let calls = try crash(seed: seed, call: nil).calls
      for call in 1...calls {
        let broken = try crash(seed: seed, call: call).broken
        #expect(broken == nil, "seed \(seed), call \(call): \(broken ?? "")")
      }
    }
  }

  @Test func openingReadsOnlyTheLogAfterTheCheckpoint() throws {
    let files = SimulatedFileSystem()
    let store = try StoreModel.open(files)
    for number in 0..<400 {
      _ = try store.append([
        LogEntry(.put, groupID: 7, eventTime: 1, key: [UInt8(number % 200)], row: [1, 2, 3])
      ])
    }
    try store.checkpoint()
    _ = try store.append([LogEntry(.put, groupID: 7, eventTime: 2, key: [1], row: [9])])
    try store.close()
    let again = try StoreModel.open(files)
    #expect(again.metrics.replayedRecords == 1)
    #expect(again.statistics.indexedKeys == 200)
    #expect(again.statistics.groups == store.statistics.groups)
    #expect(again.statistics.liveBytes == store.statistics.liveBytes)
    #expect(try again.get(groupID: 7, key: [1])?.entry.row == [9])
    #expect(try again.get(groupID: 7, key: [2])?.entry.row == [1, 2, 3])
  }

  /// Bytes and sectors of the checkpoint damaged, its end cut off, an older one or another store's in its
  /// place: live keys, tombstones and batches answer as before, and purged keys do not. `simulate --damage`
  /// does that to all bytes of all files.
  @Test(arguments: [false, true]) func aDamagedCheckpointIsNeverBelieved(isCovered: Bool) throws {
    let store = try StoreDamage(isCovered: isCovered)
    let damages = store.all.filter { damage in
      if case .byte(_, let index) = damage, index % 11 != 0 { return false }
      return damage.path == StoreDamage.indexPath
    }
    var found = 0
    for damage in damages {
      let (problem, isFound) = try store.problem(damage)
      #expect(problem == nil, "\(damage)")
      if isFound { found += 1 }
    }
    #expect(found > 250)
  }

  /// Under checksums that are right, counts that cannot be: their sums would overflow.
  @Test(arguments: [8, 24 + 8, 24 + 16], [Int64.max, -1])
  func impossibleCountsInACheckpointAreNotBelieved(place: Int, count: Int64) throws {
    let files = SimulatedFileSystem()
    let store = try StoreModel.open(files)
    for key in 0..<40 as Range<UInt8> {
      _ = try store.append([LogEntry(.put, groupID: 7, eventTime: 1, key: [key], row: [key])])
    }
    try store.checkpoint()
    try store.close()
    var index = try #require(files.bytes(of: "/log/INDEX"))
    // Shard after shard: keys, live bytes, groups, checksum; then the groups, then the keys.
    var offset = 64
    while offset < index.count {
      let keys = Int(index.rawSpan.loadLittleEndian(UInt64.self, at: offset))
      let groups = Int(index.rawSpan.loadLittleEndian(UInt32.self, at: offset + 16))
      let end = offset + 24 + groups * 24 + keys * 16
      if groups > 0 { index.storeLittleEndian(count, at: offset + place) }
      offset = end
    }
    forgeChecksums(ofCheckpoint: &index)
    files.overwrite("/log/INDEX", with: index)
    let again = try StoreModel.open(files.restarted())
    #expect(again.statistics.groups == store.statistics.groups)
    #expect(again.statistics.liveBytes == store.statistics.liveBytes)
  }

  @Test func cleaningGivesSpaceBackAndFollowersSeeNothingTwice() throws {
    let files = SimulatedFileSystem()
    let store = try StoreModel.open(files)
    // A key that is never written again lies in the first segment.
    _ = try store.append([LogEntry(.put, groupID: 7, eventTime: 5, key: [99], row: [99])])
    for round in 0..<60 as Range<UInt8> {
      for key in 0..<10 as Range<UInt8> {
        _ = try store.append([
          LogEntry(
            .put, groupID: 7, eventTime: Int64(round), key: [key],
            row: [UInt8](repeating: round, count: 300))
        ])
      }
    }
    let before = store.log.sizeBytes
    let followed = store.log.durableLSN
    let report = try store.clean(upTo: followed, minimumLogBytes: 16_384)
    #expect(report.removedSegmentCount > 10 && report.copiedRecordCount > 0)
    #expect(try store.get(groupID: 7, key: [99])?.lsn == 1)
    #expect(store.log.sizeBytes < before / 4)
    #expect(try store.follow(from: followed + 1, limitBytes: 1 << 20).entries.isEmpty)
    for key in 0..<10 as Range<UInt8> {
      #expect(try store.get(groupID: 7, key: [key])?.entry.row.first == 59)
    }
    // What a follower has not seen stays.
    let kept = store.log.firstLSN
    for number in 0..<200 {
      _ = try store.append([
        LogEntry(
          .put, groupID: 7, eventTime: Int64(number), key: [1],
          row: [UInt8](repeating: 1, count: 300))
      ])
    }
    let none = try store.clean(upTo: kept - 1, minimumLogBytes: 16_384)
    #expect(none.removedSegmentCount == 0 && store.log.firstLSN == kept)
  }

  @Test func expiredRecordsAreDroppedAndTombstonesAreKept() throws {
    let store = try StoreModel.open(SimulatedFileSystem())
    _ = try store.append([
      LogEntry(.put, groupID: 7, eventTime: 5, key: [1], row: [1]),
      LogEntry(.put, groupID: 7, eventTime: 50, key: [2], row: [2]),
      LogEntry(.tombstone, groupID: 7, eventTime: 5, key: [3]),
    ])
    for number in 0..<200 {
      _ = try store.append([
        LogEntry(
          .put, groupID: 8, eventTime: Int64(number), key: [9],
          row: [UInt8](repeating: 1, count: 300))
      ])
    }
    let lsn = try store.get(groupID: 7, key: [2])?.lsn
    let report = try store.clean(upTo: store.log.durableLSN, minimumLogBytes: 8192) { group, time in
      group == 7 && time < 10
    }
    #expect(report.expiredKeyCount == 1 && report.removedSegmentCount > 1)
    #expect(try store.get(groupID: 7, key: [1]) == nil)
    let kept = try store.get(groupID: 7, key: [2])
    #expect(kept?.entry.row == [2] && kept?.lsn == lsn)
    #expect(try store.get(groupID: 7, key: [3])?.isTombstone == true)
    #expect(store.statistics.groups[7]?.liveKeys == 1)
    try store.verify()
  }

  @Test func readersAndWritersGoOnWhileTheLogIsCleaned() throws {
    try withTemporaryDirectory { directory in
      var options = OnlineStoreOptions()
      options.log.segmentCapacityBytes = 64 << 10
      options.checkpointIntervalBytes = 1 << 17
      let store = try OnlineStore.open(
        directory: directory + "/log", fileSystem: POSIXFileSystem(), clock: SystemClock(),
        options: options)
      let failures = Lock<[String]>([])
      let isDone = Lock(false)
      let threads = try (0..<4 as Range<UInt8>).map { thread in
        try BackgroundThread(name: "work") {
          var generator = SeededGenerator(seed: UInt64(thread))
          var latest: [UInt8: Int64] = [:]
          var round: Int64 = 0
          while !isDone.withLock({ $0 }) {
            round += 1
            let key = UInt8(generator.below(50))
            do {
              _ = try store.append([
                LogEntry(
                  .put, groupID: UInt32(thread), eventTime: round, key: [key],
                  row: [UInt8](repeating: key, count: 500))
              ])
              latest[key] = round
              let asked = UInt8(generator.below(50))
              let found = try store.get(groupID: UInt32(thread), key: [asked])
              if found?.entry.eventTime != latest[asked]
                || found.map({ $0.entry.row[0] != asked }) == true
              {
                failures.withLock { $0.append("\(thread): \(asked) at \(round)") }
              }
            } catch { failures.withLock { $0.append("\(error)") } }
          }
        }
      }
      var removed = 0
      // At least so often; on a busy machine until the writers have written enough to be cleaned.
      var rounds = 0
      while rounds < 40 || (removed == 0 && rounds < 4000) {
        rounds += 1
        removed += try store.clean(upTo: store.log.durableLSN, minimumLogBytes: 256 << 10)
          .removedSegmentCount
        usleep(5000)
      }
      isDone.withLock { $0 = true }
      for thread in threads { thread.join() }
      #expect(failures.withLock { $0.prefix(3) } == [])
      #expect(removed > 0)
      let keys = store.statistics.indexedKeys
      try store.verify()
      try store.close()
      let again = try OnlineStore.open(
        directory: directory + "/log", fileSystem: POSIXFileSystem(), clock: SystemClock(),
        options: options)
      #expect(again.statistics.indexedKeys == keys)
      try again.verify()
    }
  }
}
