import Iceberg
import Testing

@Suite struct MaintenanceLeaseTests {
  @Test func onlyOneHoldsATablesLease() throws {
    let fixture = try MaintenanceFixture()
    let table = try fixture.table()
    guard case .acquired(let first) = try MaintenanceLease.acquire(table, holder: "optimize") else {
      Issue.record("the lease is free")
      return
    }
    guard case .locked(let holder) = try MaintenanceLease.acquire(table, holder: "vacuum") else {
      Issue.record("the lease is taken")
      return
    }
    #expect(holder.contains("optimize"))
    first.release()
    guard case .acquired(let second) = try MaintenanceLease.acquire(table, holder: "vacuum") else {
      Issue.record("the lease is free again")
      return
    }
    #expect(second.tableUUID == table.metadata.tableUUID)
  }

  @Test func tablesHaveLeasesOfTheirOwn() throws {
    let fixture = try MaintenanceFixture()
    let first = try MaintenanceLease.acquire(try fixture.table("db.a"), holder: "x")
    let second = try MaintenanceLease.acquire(try fixture.table("db.b"), holder: "x")
    var held = 0
    for outcome in [first, second] { if case .acquired = outcome { held += 1 } }
    #expect(held == 2)
  }
}
