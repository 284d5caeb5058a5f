import Foundation
import OnlineStore
import Storage
import TestSupport
import Testing
import WriteAheadLog

/// kill -9, and power cuts, of a process whose threads put, delete, purge, write conditionally, read,
/// checkpoint and clean at once: every key answers as it was acknowledged, batches are whole, and nothing
/// that was purged is back.
@Suite struct OnlineKillTests {
  @Test func everyKeyAnswersAsAcknowledgedAfterKills() async throws {
    let rounds = setting("FSTORE_KILL_ROUNDS", 150)
    let first = UInt64(setting("FSTORE_KILL_SEED", 1))
    let base = FileManager.default.temporaryDirectory.appending(path: "fstore-\(UUID())").path
    try FileManager.default.createDirectory(atPath: base, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: base) }
    var model = OnlineMortal.Model()
    for round in 0..<rounds {
      if round.isMultiple(of: 15) { model = .init() }
      let (directory, seed) = ("\(base)/log-\(round / 15)", first &+ UInt64(round))
      let notes = "\(base)/notes-\(round)"
      await #expect(processExitsWith: .signal(SIGKILL), "seed \(seed)") {
        [directory = directory as String, notes = notes as String, seed = seed as UInt64] in
        OnlineMortal(directory, notes: notes, seed: seed, disk: nil).live()
      }
      #expect(Notes.finding(notes) == nil, "seed \(seed)")
      let problems = try model.problems(directory, Notes.read(notes))
      #expect(problems.isEmpty, "seed \(seed)")
    }
    #expect(model.acknowledgedCount > 0)
  }

  @Test(.enabled(if: !CutDisk.allowedKinds.isEmpty), .serialized, arguments: CutDisk.allowedKinds)
  func everyKeyAnswersAsAcknowledgedAfterPowerCuts(kind: CutDisk.Kind) async throws {
    let rounds = setting("FSTORE_CUT_ROUNDS", 13)
    let first = UInt64(setting("FSTORE_KILL_SEED", 1))
    var disk = try #require(try CutDisk(kind))
    var model = OnlineMortal.Model()
    for round in 0..<rounds {
      if round.isMultiple(of: 25), round > 0 { disk = try #require(try CutDisk(kind)) }
      if round.isMultiple(of: 25) { model = .init() }
      let (directory, notes) = (disk.path + "/log", disk.path + ".notes-\(round)")
      let (mount, seed) = (disk.path, first &+ UInt64(round))
      await #expect(processExitsWith: .signal(SIGKILL), "seed \(seed)") {
        [
          directory = directory as String, notes = notes as String, mount = mount as String,
          seed = seed as UInt64
        ] in
        OnlineMortal(directory, notes: notes, seed: seed, disk: mount).live()
      }
      try disk.restart()
      #expect(Notes.finding(notes) == nil, "seed \(seed)")
      let problems = try model.problems(directory, Notes.read(notes))
      #expect(problems.isEmpty, "seed \(seed)")
    }
    #expect(model.acknowledgedCount > 0)
  }

  /// That the cuts are real, and the check is one: a store that acknowledges before it syncs is found out.
  @Test(.enabled(if: CutDisk.allowedKinds.contains(.ext4)))
  func aStoreThatDoesNotSyncIsFoundOutByPowerCuts() async throws {
    let disk = try #require(try CutDisk(.ext4))
    var isFound = false
    // On a busy machine a process may die before it has acknowledged much.
    for round in 0..<60 as Range<UInt64> where !isFound {
      var model = OnlineMortal.Model()
      let (directory, notes) = (disk.path + "/log-\(round)", disk.path + ".notes-\(round)")
      let mount = disk.path
      await #expect(processExitsWith: .signal(SIGKILL)) {
        [
          directory = directory as String, notes = notes as String, mount = mount as String,
          seed = round as UInt64
        ] in
        OnlineMortal(directory, notes: notes, seed: seed, disk: mount, isDurable: false).live()
      }
      try disk.restart()
      let noted = Notes.read(notes)
      guard noted.contains(where: { $0[0] == "a" }) else { continue }
      // Without a sync not even the log need be there.
      let problems = try? model.problems(directory, noted)
      isFound = problems?.isEmpty != true
    }
    #expect(isFound)
  }
}

/// A process that works with an online store until it dies, and what must be true afterwards.
///
/// Each thread has keys of its own, so their history is known. Its notes: `i THREAD KEYS KIND TIME`
/// before a write, `a THREAD` when it is acknowledged.
struct OnlineMortal: Sendable {
  static let threads: UInt8 = 4
  static let keys: UInt8 = 12
  let directory: String
  let seed: UInt64
  let notes: Notes
  let death: Death
  let diesYoung: Bool
  /// Otherwise it acknowledges before it syncs.
  let isDurable: Bool

  static func options(isDurable: Bool) -> OnlineStoreOptions {
    var options = OnlineStoreOptions()
    if !isDurable { options.log.durability = .interval(milliseconds: 3_600_000) }
    options.log.segmentCapacityBytes = 32 << 10
    options.checkpointIntervalBytes = 1 << 16
    return options
  }

  init(
    _ directory: String, notes path: String, seed: UInt64, disk: String?, isDurable: Bool = true
  ) {
    self.directory = directory
    self.isDurable = isDurable
    self.seed = seed
    var generator = SeededGenerator(seed: seed)
    diesYoung = generator.oneIn(6)
    death = Death(
      delayMicroseconds: UInt32(generator.below(diesYoung ? 20_000 : 60_000)), disk: disk)
    notes = Notes(path)
  }

  static func open(_ directory: String, isDurable: Bool = true) throws -> OnlineStore {
    try OnlineStore.open(
      directory: directory, fileSystem: POSIXFileSystem(), clock: SystemClock(),
      options: options(isDurable: isDurable))
  }

  func live() {
    if diesYoung { death.arm(notes) }
    var store: OnlineStore?
    Death.guarded(notes) { store = try Self.open(directory, isDurable: isDurable) }
    guard let store else { return }
    if !diesYoung { death.arm(notes) }
    for thread in 0..<Self.threads {
      Thread.detachNewThread { Death.guarded(notes) { try work(store, thread) } }
    }
    Thread.detachNewThread {
      Death.guarded(notes) {
        while true {
          try store.clean(upTo: store.log.durableLSN, minimumLogBytes: 64 << 10)
          usleep(500)
        }
      }
    }
    Thread.detachNewThread {
      Death.guarded(notes) {
        while true {
          try store.checkpoint()
          usleep(2000)
        }
      }
    }
    while true { sleep(60) }
  }

  static func row(_ time: Int64, _ key: UInt8) -> [UInt8] {
    [UInt8](repeating: UInt8(truncatingIfNeeded: time) ^ key, count: Int(time % 900))
  }

  private func work(_ store: OnlineStore, _ thread: UInt8) throws {
    var generator = SeededGenerator(seed: seed &* 31 &+ UInt64(thread))
    var times: [UInt8: Int64] = [:]
    for key in 0..<Self.keys {
      times[key] = try store.get(groupID: UInt32(thread), key: [key])?.entry.eventTime
    }
    var time = Int64(seed) * 1_000_000
    while true {
      time += 1
      let first = UInt8(generator.below(Int(Self.keys)))
      let keys = (0...UInt8(generator.below(3))).map { (first + $0) % Self.keys }
      let kind = ["put", "put", "newer", "expected", "wrong", "delete", "purge"][
        generator.below(7)]
      let chosen = kind == "expected" || kind == "purge" ? [first] : keys
      let list = chosen.map { "\($0)" }.joined(separator: ",")
      notes.note("i \(thread) \(list) \(kind) \(time)")
      let entries = chosen.map {
        LogEntry(
          kind == "delete" ? .tombstone : .put, groupID: UInt32(thread), eventTime: time, key: [$0],
          row: kind == "delete" ? [] : Self.row(time, $0))
      }
      var isWritten = true
      switch kind {
      case "purge": try store.purge(groupID: UInt32(thread), key: [first])
      case "put", "delete": _ = try store.append(entries)
      default:
        let condition: WriteCondition =
          kind == "newer" ? .newer : .eventTime(kind == "wrong" ? -1 : times[first])
        for case .refused in try store.write(entries, if: condition) { isWritten = false }
      }
      if isWritten == (kind == "wrong") { abort() }
      notes.note("a \(thread)")
      if isWritten { for key in chosen { times[key] = kind == "purge" ? nil : time } }
      let found = try store.get(groupID: UInt32(thread), key: [first])?.entry.eventTime
      if found != times[first] { abort() }
    }
  }

  // MARK: Afterwards

  struct Write: Equatable {
    var keys: [UInt8]
    var kind: String
    var time: Int64
  }

  /// What each key answers: the kind of the last write and its time.
  struct Model {
    private var states: [[UInt8]: (kind: String, time: Int64)] = [:]
    private(set) var acknowledgedCount = 0

    mutating func apply(_ thread: UInt8, _ write: Write) {
      if write.kind == "wrong" { return }
      for key in write.keys {
        states[[thread, key]] = write.kind == "purge" ? nil : (write.kind, write.time)
      }
    }

    /// Opens the store and compares; what was not acknowledged may be there or not, as a whole.
    mutating func problems(_ directory: String, _ noted: [[String]]) throws -> [String] {
      var pending: [UInt8: Write] = [:]
      for line in noted {
        let thread = try #require(UInt8(line[1]))
        if line[0] == "i" {
          pending[thread] = Write(
            keys: line[2].split(separator: ",").compactMap { UInt8($0) }, kind: line[3],
            time: try #require(Int64(line[4])))
        } else if let write = pending.removeValue(forKey: thread) {
          apply(thread, write)
          acknowledgedCount += 1
        }
      }
      let store = try OnlineMortal.open(directory)
      for (thread, write) in pending {
        var other = self
        other.apply(thread, write)
        if try other.problem(store, thread) == nil { self = other }
      }
      var problems: [String] = []
      for thread in 0..<OnlineMortal.threads {
        if let problem = try problem(store, thread) { problems.append(problem) }
      }
      let keys = store.statistics.groups.values.reduce(0) { $0 + $1.liveKeys + $1.deletedKeys }
      if keys != states.count { problems.append("\(keys) keys are counted, not \(states.count)") }
      _ = try store.verify()
      try store.close()
      return problems
    }

    private func problem(_ store: OnlineStore, _ thread: UInt8) throws -> String? {
      for key in 0..<OnlineMortal.keys {
        let found = try store.get(groupID: UInt32(thread), key: [key])
        let state = states[[thread, key]]
        let isRight =
          found?.entry.eventTime == state?.time
          && (found?.isTombstone ?? false) == (state?.kind == "delete")
          && (found?.isTombstone != false
            || found?.entry.row == OnlineMortal.row(state?.time ?? 0, key))
        if !isRight {
          return "key \(key) of thread \(thread): \(String(describing: found?.entry.eventTime)), "
            + "not \(String(describing: state))"
        }
      }
      return nil
    }
  }
}
