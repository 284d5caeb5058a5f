import FeatureModel
import FeatureStore
import Foundation
import TestSupport
import Testing

/// kill -9 of a process whose threads put, delete, purge, read, flush, clean and ingest at once: what it
/// acknowledged is there, online and offline, and nothing is there twice.
@Suite struct KillTests {
  /// `FSTORE_KILL_ROUNDS` kills, of seeds from `FSTORE_KILL_SEED` on.
  @Test func nothingAcknowledgedIsLostOrDoubledByKills() async throws {
    let rounds = setting("FSTORE_KILL_ROUNDS", 150)
    let first = UInt64(setting("FSTORE_KILL_SEED", 1))
    var fixture = try StoreFixture()
    var withRecords = 0
    for round in 0..<rounds {
      // A fresh store now and then keeps the checks quick.
      if round.isMultiple(of: 10) {
        fixture = try StoreFixture(options: Mortal.options)
        try Mortal.prepare(fixture.directory)
      }
      let (directory, seed) = (fixture.directory, first &+ UInt64(round))
      await #expect(processExitsWith: .signal(SIGKILL), "seed \(seed)") {
        [directory = directory as String, seed = seed as UInt64] in
        Mortal(directory, notes: directory + ".notes", seed: seed, disk: nil).live()
      }
      #expect(Notes.finding(directory + ".notes") == nil, "seed \(seed)")
      let noted = Notes.read(directory + ".notes")
      try Mortal.check(directory, noted, "seed \(seed)")
      if !noted.isEmpty { withRecords += 1 }
    }
    #expect(withRecords >= rounds * 3 / 4)
  }
}

/// Power cuts of the disk that a store lies on, under the same load: what was acknowledged before is
/// there. Skipped, loudly, where loop mounts are not allowed.
@Suite(.enabled(if: !CutDisk.allowedKinds.isEmpty)) struct PowerCutTests {
  /// `FSTORE_CUT_ROUNDS` cuts of each file system, of seeds from `FSTORE_KILL_SEED` on.
  @Test(.serialized, arguments: CutDisk.allowedKinds)
  func nothingAcknowledgedIsLostOrDoubledByPowerCuts(kind: CutDisk.Kind) async throws {
    let rounds = setting("FSTORE_CUT_ROUNDS", 13)
    let first = UInt64(setting("FSTORE_KILL_SEED", 1))
    var disk = try #require(try CutDisk(kind))
    var withRecords = 0
    for round in 0..<rounds {
      if round.isMultiple(of: 25), round > 0 { disk = try #require(try CutDisk(kind)) }
      let store = disk.path + "/store-\(round / 5)"
      // Beside the disk, not on it.
      let notes = disk.path + ".notes-\(round / 5)"
      if round.isMultiple(of: 5) {
        try FeatureStore.create(at: store, options: Mortal.options)
        try Mortal.prepare(store)
        disk.settle()
      }
      let (mount, seed) = (disk.path, first &+ UInt64(round))
      await #expect(processExitsWith: .signal(SIGKILL), "seed \(seed)") {
        [
          store = store as String, notes = notes as String, mount = mount as String,
          seed = seed as UInt64
        ] in
        Mortal(store, notes: notes, seed: seed, disk: mount).live()
      }
      try disk.restart()
      #expect(Notes.finding(notes) == nil, "seed \(seed)")
      let noted = Notes.read(notes)
      try Mortal.check(store, noted, "\(kind), seed \(seed)")
      if !noted.isEmpty { withRecords += 1 }
    }
    #expect(withRecords >= rounds / 2)
  }
}
