import Foundation
import Iceberg
import Storage
import TestSupport
import Testing

/// Processes that append, delete, compact, rewrite metadata, expire and remove orphans at once, each killed at some
/// moment: no row is lost or doubled, no file that a snapshot refers to is gone, and nothing is left over in the end.
@Suite(.serialized) struct MaintenanceKillTests {
  /// `FSTORE_MAINTENANCE_KILL_ROUNDS` rounds of eight kills, of seeds from `FSTORE_KILL_SEED` on.
  @Test func maintenanceBesideWritersSurvivesKills() async throws {
    let rounds = setting("FSTORE_MAINTENANCE_KILL_ROUNDS", 8)
    let first = UInt64(setting("FSTORE_KILL_SEED", 1))
    var fixture = try MaintenanceFixture()
    var (rows, snapshots) = (0, 0)
    for round in 0..<rounds {
      // A fresh table now and then keeps the checks quick.
      if round.isMultiple(of: 8) {
        fixture = try MaintenanceFixture()
        try MaintenanceMortal.prepare(fixture)
      }
      let folder = fixture.folder
      await withTaskGroup(of: Void.self) { group in
        for (index, role) in MaintenanceMortal.roles.enumerated() {
          let seed = (first &+ UInt64(round)) &* 16 &+ UInt64(index)
          group.addTask {
            await #expect(processExitsWith: .signal(SIGKILL), "\(role), seed \(seed)") {
              [folder = folder as String, role = role.rawValue as String, seed = seed as UInt64] in
              guard let role = MaintenanceMortal.Role(rawValue: role) else { abort() }
              MaintenanceMortal(folder: folder, role: role, seed: seed).live()
            }
          }
        }
      }
      let found = try MaintenanceMortal.check(folder, "round \(round)")
      rows += found.rows
      snapshots += found.snapshots
      if round % 8 == 7 || round == rounds - 1 {
        try MaintenanceMortal.checkNothingIsLeftOver(folder)
      }
    }
    #expect(rows > 0 && snapshots > rounds)
  }

  @Test func theLeaseOfAProcessThatWasKilledIsFree() async throws {
    let fixture = try MaintenanceFixture()
    let table = try fixture.table().appending(files: 1)
    await #expect(processExitsWith: .signal(SIGKILL)) { [folder = fixture.folder as String] in
      let table = try MaintenanceMortal.load(folder)
      guard case .acquired(let lease) = try MaintenanceLease.acquire(table, holder: "mortal") else {
        abort()
      }
      withExtendedLifetime(lease) { _ = kill(getpid(), SIGKILL) }
    }
    guard case .acquired = try MaintenanceLease.acquire(table, holder: "test") else {
      Issue.record("the lease is still held")
      return
    }
  }
}
