import FeatureModel
import FeatureStore
import Foundation
import Glibc
import Storage
import Synchronization
import TestSupport
import Testing

/// What was written, by LSN, so that the state at any of them is known.
final class WriteHistory: Sendable {
  struct Write: Sendable {
    var sensor: String
    /// nil for a deletion.
    var value: Int64?
  }

  private let writes = Lock<[Int64: Write]>([:])

  var all: [Int64: Write] { writes.withLock { $0 } }

  /// The acknowledged LSNs.
  var lsns: Set<Int64> { Set(all.keys) }

  func put(_ store: FeatureStore, _ sensor: String, _ value: Int64) throws {
    let receipt = try store.put(
      "readings",
      fields: ["sensor": sensor, "at": "2026-01-01T00:00:00Z", "value": "\(value)"])
    writes.withLock { $0[receipt.lastLSN] = Write(sensor: sensor, value: value) }
  }

  func delete(_ store: FeatureStore, _ sensor: String) throws {
    let receipt = try store.delete(
      "readings", key: ["sensor": sensor], eventTime: "2026-01-01T00:00:00Z")
    writes.withLock { $0[receipt.lastLSN] = Write(sensor: sensor, value: nil) }
  }

  /// Compares a store with the writes up to `lsn`: online each key's last, offline each exactly once.
  func check(_ store: FeatureStore, upTo lsn: Int64, _ label: Comment? = nil) throws {
    let kept = all.filter { $0.key <= lsn }
    var newest: [String: (lsn: Int64, write: Write)] = [:]
    for (lsn, write) in kept where newest[write.sensor].map({ $0.lsn < lsn }) ?? true {
      newest[write.sensor] = (lsn, write)
    }
    for (sensor, expected) in newest {
      let answers = try store.get("readings", fields: ["sensor": sensor], features: ["value"])
      #expect(answers[0].value == expected.write.value.map { .long($0) } ?? .null, label)
    }
    _ = try store.flush()
    let rows = try StoreFixture.offlineRows(store).filter { $0.lsn <= lsn }
    #expect(rows.count == kept.count, label)
    for row in rows {
      let write = try #require(kept[row.lsn], label)
      #expect(write.sensor == row.sensor && write.value == row.value, label)
      #expect(row.isDeleted == (write.value == nil), label)
    }
  }
}

@Suite struct BackupTests {
  static var options: FeatureStore.Options {
    var options = FeatureStore.Options()
    // Small, so that segments are sealed, and cleaned away after each flush.
    options.logSegmentBytes = 64 << 10
    options.logMinimumBytes = 0
    options.flushesAutomatically = false
    options.isDurable = false
    return options
  }

  static func store(
    isDurable: Bool = false, logMinimumBytes: Int = 0
  ) throws -> (StoreFixture, FeatureStore) {
    var options = options
    options.isDurable = isDurable
    options.logMinimumBytes = logMinimumBytes
    let fixture = try StoreFixture(options: options)
    let store = try FeatureStore.open(at: fixture.directory, options: options)
    try store.createGroup(StoreFixture.group())
    return (fixture, store)
  }

  static func open(_ directory: String, logMinimumBytes: Int = 0) throws -> FeatureStore {
    var options = options
    options.logMinimumBytes = logMinimumBytes
    return try FeatureStore.open(at: directory, options: options)
  }

  /// The files below a directory, relative to it.
  static func files(_ directory: String) throws -> [String] {
    try FileManager.default.subpathsOfDirectory(atPath: directory).filter { name in
      var isDirectory: ObjCBool = false
      _ = FileManager.default.fileExists(
        atPath: directory + "/" + name, isDirectory: &isDirectory)
      return !isDirectory.boolValue
    }.sorted()
  }

  @Test func aRestoredStoreHasEveryWriteAndGoesOn() throws {
    let (fixture, store) = try Self.store(isDurable: true)
    let history = WriteHistory()
    for number in 0..<200 { try history.put(store, "s\(number % 50)", Int64(number)) }
    try store.flush()
    for number in 0..<20 { try history.delete(store, "s\(number)") }
    let report = try store.backup(to: fixture.directory + "-backups")
    #expect(report.lastLSN == history.lsns.max())
    // What comes later is not in it.
    try history.put(store, "later", 1)
    let restored = fixture.directory + "-restored"
    let done = try FeatureStore.restore(fixture.directory + "-backups", to: restored)
    #expect(done.storeID == store.storeID && done.fileCount == report.fileCount)
    let copy = try FeatureStore.open(at: restored)
    try history.check(copy, upTo: report.lastLSN)
    #expect(try copy.get("readings", fields: ["sensor": "later"])[0].status == .neverWritten)
    #expect(try copy.verify().damages.isEmpty)
    for number in 0..<300 {
      try copy.put(
        "readings", fields: ["sensor": "n\(number)", "at": "2026-01-02T00:00:00Z", "value": "1"])
    }
    try copy.flush()
    try copy.close()
    let again = try Self.open(restored)
    #expect(try StoreFixture.offlineRows(again).count == 220 + 300)
    #expect(try again.verify().damages.isEmpty)
    // The one that was backed up is as it was.
    try history.check(store, upTo: .max)
    try store.close()
  }

  /// Everything that a store does happens between any two pieces that are copied.
  @Test func aBackupBesideAWriterIsConsistentWhateverComesBetween() throws {
    for seed in 0..<4 as Range<UInt64> {
      var generator = SeededGenerator(seed: seed)
      let (fixture, store) = try Self.store(isDurable: seed == 0)
      let history = WriteHistory()
      func act() throws {
        let count = Int.random(in: 1...60, using: &generator)
        for _ in 0..<count {
          let sensor = "s\(Int.random(in: 0..<40, using: &generator))"
          if Bool.random(using: &generator) {
            try history.put(store, sensor, .random(in: 0..<1000, using: &generator))
          } else {
            try history.delete(store, sensor)
          }
        }
        switch Int.random(in: 0..<6, using: &generator) {
        case 0, 1, 2: try store.flush()
        case 3: _ = try store.optimize("readings", options: ["min-input-files": "2"])
        case 4:
          var request = FeatureStore.VacuumRequest()
          request.maxSnapshotAgeMilliseconds = 0
          request.minSnapshotsToKeep = 1
          _ = try store.vacuum("readings", request: request)
        default: break
        }
      }
      for _ in 0..<20 { try act() }
      let backups = fixture.directory + "-backups"
      for round in 0..<2 {
        let before = history.lsns
        var calls = 0
        var failure: (any Error)?
        let report = try store.backup(to: backups) { _, _ in
          calls += 1
          do { if calls.isMultiple(of: 5) { try act() } } catch { failure = error }
        }
        #expect(failure == nil, "seed \(seed), round \(round)")
        #expect(before.allSatisfy { $0 <= report.lastLSN }, "seed \(seed), round \(round)")
        let restored = fixture.directory + "-restored-\(round)"
        _ = try FeatureStore.restore(report.directory, to: restored)
        let copy = try Self.open(restored)
        let damages = try copy.verify().damages
        #expect(damages.isEmpty, "seed \(seed), round \(round): \(damages)")
        try history.check(copy, upTo: report.lastLSN, "seed \(seed), round \(round)")
        try copy.close()
      }
      try store.close()
    }
  }

  @Test func aBackupBesideThreadsThatWriteFlushAndCleanIsConsistent() throws {
    let (fixture, store) = try Self.store(isDurable: true)
    let history = WriteHistory()
    let isStopped = Mutex(false)
    let group = DispatchGroup()
    let failures = Mutex<[String]>([])
    func start(_ body: @escaping @Sendable (Int) throws -> Void) {
      DispatchQueue.global().async(group: group) {
        var round = 0
        while !isStopped.withLock({ $0 }) {
          do { try body(round) } catch { failures.withLock { $0.append("\(error)") } }
          round += 1
        }
      }
    }
    for writer in 0..<2 {
      start { round in
        try history.put(store, "w\(writer)-\(round % 70)", Int64(round))
        if round.isMultiple(of: 5) { try history.delete(store, "w\(writer)-\(round % 35)") }
      }
    }
    start { _ in
      try store.flush()
      usleep(3000)
    }
    start { round in
      try store.createGroup(StoreFixture.group("other\(round)"))
      usleep(100_000)
    }
    for round in 0..<4 {
      usleep(50_000)
      let before = history.lsns
      let report = try store.backup(to: fixture.directory + "-backups")
      #expect(before.allSatisfy { $0 <= report.lastLSN })
      let restored = fixture.directory + "-restored-\(round)"
      _ = try FeatureStore.restore(report.directory, to: restored)
      let copy = try Self.open(restored)
      let damages = try copy.verify().damages
      #expect(damages.isEmpty, "\(damages)")
      // A write may be in the log before its writer has noted it.
      usleep(20_000)
      try history.check(copy, upTo: report.lastLSN)
      try copy.close()
    }
    isStopped.withLock { $0 = true }
    group.wait()
    #expect(failures.withLock { $0 }.isEmpty)
    try store.close()
  }

  @Test func aStoreRestoredToItsOldPlaceIsTheSame() throws {
    let (fixture, store) = try Self.store()
    let history = WriteHistory()
    for number in 0..<30 { try history.put(store, "s\(number)", Int64(number)) }
    try store.flush()
    let report = try store.backup(to: fixture.directory + "-backups")
    try store.close()
    let metadata = try Self.files(fixture.directory).filter { $0.hasSuffix(".avro") }
    let before = try metadata.map {
      try Data(contentsOf: URL(filePath: fixture.directory + "/" + $0))
    }
    try FileManager.default.removeItem(atPath: fixture.directory)
    _ = try FeatureStore.restore(report.directory, to: fixture.directory)
    let after = try metadata.map {
      try Data(contentsOf: URL(filePath: fixture.directory + "/" + $0))
    }
    #expect(before == after)
    try history.check(try Self.open(fixture.directory), upTo: report.lastLSN)
  }

  @Test func aSecondBackupSharesWhatHasNotChangedAndNeedsNotTheFirst() throws {
    let (fixture, store) = try Self.store()
    let history = WriteHistory()
    for number in 0..<3000 { try history.put(store, "s\(number)", Int64(number)) }
    let backups = fixture.directory + "-backups"
    let first = try store.backup(to: backups)
    #expect(first.copiedBytes == first.sizeBytes)
    try history.put(store, "new", 1)
    let second = try store.backup(to: backups)
    #expect(second.directory > first.directory)
    #expect(second.copiedBytes < second.sizeBytes / 2)
    var options = BackupOptions()
    options.isFull = true
    let third = try store.backup(to: backups, options: options)
    #expect(third.copiedBytes == third.sizeBytes)
    try store.close()
    for directory in [first.directory, third.directory] {
      try FileManager.default.removeItem(atPath: directory)
    }
    let restored = fixture.directory + "-restored"
    _ = try FeatureStore.restore(backups, to: restored)
    try history.check(try Self.open(restored), upTo: second.lastLSN)
  }

  @Test func aDamagedSegmentOfAnEarlierBackupIsCopiedAnew() throws {
    let (fixture, store) = try Self.store()
    let history = WriteHistory()
    for number in 0..<2000 { try history.put(store, "s\(number)", Int64(number)) }
    let backups = fixture.directory + "-backups"
    let first = try store.backup(to: backups)
    let segment = first.directory + "/log/00000001.log"
    try Self.flip(segment, at: 20_000)
    let second = try store.backup(to: backups)
    #expect(try FeatureStore.verifyBackup(second.directory).damages.isEmpty)
    #expect(try FeatureStore.verifyBackup(first.directory).damages.count == 1)
    try store.close()
  }

  static func flip(_ path: String, at offset: Int) throws {
    let file = try FileHandle(forUpdating: URL(filePath: path))
    try file.seek(toOffset: UInt64(offset))
    let byte = try file.read(upToCount: 1)?.first ?? 0
    try file.seek(toOffset: UInt64(offset))
    try file.write(contentsOf: Data([byte ^ 1]))
    try file.close()
  }

  @Test func anyFlippedByteOfABackupIsRefusedAndLeavesNothing() throws {
    let (fixture, store) = try Self.store()
    let history = WriteHistory()
    for number in 0..<100 { try history.put(store, "s\(number)", Int64(number)) }
    try store.flush()
    try store.close()
    let report = try store.backup(to: fixture.directory + "-backups")
    let restored = fixture.directory + "-restored"
    let files = try Self.files(report.directory)
    #expect(files.count == report.fileCount + 1)
    var generator = SystemRandomNumberGenerator()
    for name in files {
      let path = report.directory + "/" + name
      let size = try #require(
        try FileManager.default.attributesOfItem(atPath: path)[.size] as? Int)
      for offset in [0, size - 1, Int.random(in: 0..<size, using: &generator)] {
        try Self.flip(path, at: offset)
        let error = #expect(throws: FeatureStoreError.self, "\(name) at \(offset)") {
          try FeatureStore.restore(report.directory, to: restored)
        }
        #expect(error?.code == .corrupt, "\(name) at \(offset): \(String(describing: error))")
        #expect(error?.message.contains(name) == true, "\(name): \(error?.message ?? "")")
        #expect(!FileManager.default.fileExists(atPath: restored))
        try Self.flip(path, at: offset)
      }
    }
    // And one that is missing.
    let path = report.directory + "/log/00000001.log"
    try FileManager.default.moveItem(atPath: path, toPath: path + ".away")
    let error = #expect(throws: FeatureStoreError.self) {
      try FeatureStore.restore(report.directory, to: restored)
    }
    #expect(error?.code == .corrupt)
    try FileManager.default.moveItem(atPath: path + ".away", toPath: path)
    _ = try FeatureStore.restore(report.directory, to: restored)
    try history.check(try Self.open(restored), upTo: report.lastLSN)
  }

  @Test func aBackupWithoutTablesBeginsThemAnew() throws {
    let (fixture, store) = try Self.store()
    let history = WriteHistory()
    for number in 0..<50 { try history.put(store, "s\(number)", Int64(number)) }
    var options = BackupOptions()
    options.includesTables = false
    let report = try store.backup(to: fixture.directory + "-backups", options: options)
    try store.close()
    #expect(try Self.files(report.directory).allSatisfy { !$0.hasPrefix("warehouse") })
    let restored = fixture.directory + "-restored"
    #expect(try !FeatureStore.restore(report.directory, to: restored).hasTables)
    let copy = try Self.open(restored)
    try history.check(copy, upTo: report.lastLSN)
    #expect(try copy.verify().damages.isEmpty)
  }

  @Test func whatIsNoBackupOrNoPlaceForOneIsRefused() throws {
    let (fixture, store) = try Self.store()
    func code(_ body: () throws -> Void) -> FeatureStoreError.Code? {
      do { try body() } catch { return (error as? FeatureStoreError)?.code }
      return nil
    }
    let restored = fixture.directory + "-restored"
    #expect(code { _ = try FeatureStore.restore(fixture.directory, to: restored) } == .notAStore)
    #expect(code { _ = try FeatureStore.restore("/nowhere", to: restored) } == .notAStore)
    #expect(code { _ = try store.backup(to: fixture.directory + "/log") } == .invalidArgument)
    #expect(code { _ = try store.backup(to: fixture.directory) } == .invalidArgument)
    let report = try store.backup(to: fixture.directory + "-backups")
    #expect(code { _ = try store.backup(to: report.directory) } == .invalidArgument)
    #expect(code { _ = try FeatureStore.open(at: report.directory) } == .notAStore)
    #expect(
      code { _ = try FeatureStore.restore(report.directory, to: fixture.directory) }
        == .alreadyExists)
    try store.close()
  }

  @Test func aKilledBackupLeavesNothingThatRestoreAccepts() async throws {
    let (fixture, store) = try Self.store(isDurable: true)
    for batch in 0..<20 {
      for number in 0..<5 {
        try store.put(
          "readings",
          fields: ["sensor": "s\(batch)-\(number)", "at": "2026-01-01T00:00:00Z", "value": "1"])
      }
      try store.flush()
    }
    try store.close()
    let directory = fixture.directory
    let (backups, restored) = (directory + "-backups", directory + "-restored")
    var unfinished = 0
    for round in 0..<8 {
      await #expect(processExitsWith: .signal(SIGKILL)) {
        [directory = directory as String, round = round as Int] in
        let store = try FeatureStore.open(at: directory, access: .offline)
        var calls = 0
        _ = try store.backup(to: directory + "-backups") { _, _ in
          calls += 1
          if calls == 1 + round * 11 { kill(getpid(), SIGKILL) }
        }
        kill(getpid(), SIGKILL)
      }
      for name in try FileManager.default.contentsOfDirectory(atPath: backups)
      where name.hasSuffix(".unfinished") {
        unfinished += 1
        let error = #expect(throws: FeatureStoreError.self) {
          try FeatureStore.restore(backups + "/" + name, to: restored)
        }
        #expect(error?.code == .notAStore)
      }
    }
    #expect(unfinished >= 4)
    let report = try store.backup(to: backups)
    #expect(
      try FileManager.default.contentsOfDirectory(atPath: backups)
        .allSatisfy { !$0.hasSuffix(".unfinished") })
    _ = try FeatureStore.restore(report.directory, to: restored)
    #expect(try StoreFixture.offlineRows(try Self.open(restored)).count == 100)
  }
}
