import FeatureStore
import Foundation
import JSON
import Testing

/// Full disks, read-only disks and other writers: a clear error, a status that scripts can rely on, nothing
/// lost, and work goes on once the cause is gone.
@Suite struct DiskTests {
  /// A store with the group `readings` on the disk, and rows for it beside it.
  private func store(on disk: SmallDisk) throws -> CommandFixture {
    let fixture = try CommandFixture(store: disk.path + "/store")
    #expect(try fixture.run("init", fixture.store).status == 0)
    let created = try fixture.run(
      "group", "create", "readings", "--key", "sensor:string", "--event-time", "at", "--feature",
      "value:long", "--feature", "note:string")
    #expect(created.status == 0, "\(created.errors)")
    return fixture
  }

  private func rows(
    _ fixture: CommandFixture, _ numbers: Range<Int>, noteBytes: Int
  ) throws -> String {
    var text = "sensor,at,value,note\n"
    var generator = SystemRandomNumberGenerator()
    for number in numbers {
      // Random, so that Parquet cannot make it small.
      var note = ""
      while note.utf8.count < noteBytes { note += String(generator.next(), radix: 36) }
      text += "s\(number),2026-01-01T00:00:00Z,\(number),\(note)\n"
    }
    return try fixture.write("rows-\(numbers.lowerBound).csv", text)
  }

  private func offlineRecords(_ fixture: CommandFixture) throws -> Int64? {
    try fixture.run("files", "readings", "--summary", "--json").json()["records"]?.int64Value
  }

  @Test(.enabled(if: SmallDisk.isAllowed))
  func aFlushToAFullDiskFailsAndTheNextOneTakesEverythingOnce() throws {
    let disk = try #require(try SmallDisk(megabytes: 160))
    let fixture = try store(on: disk)
    let file = try rows(fixture, 0..<2000, noteBytes: 500)
    try disk.fill(leaving: 256 << 10)
    let failed = try fixture.run("ingest", "readings", file)
    #expect(failed.status == 71, "\(failed.errors)")
    #expect(failed.errors.contains("No space left"))
    // It went through the log, which had its space already; so it is online, and was not lost.
    let answer = try fixture.run("get", "readings", "sensor=s1999", "--json").json().arrayValue
    #expect(answer?.first?["value"]?.int64Value == 1999)
    #expect(try offlineRecords(fixture) == 0)

    try disk.free()
    let flushed = try fixture.run("flush")
    #expect(flushed.status == 0, "\(flushed.errors)")
    #expect(try offlineRecords(fixture) == 2000)
    #expect(try fixture.run("verify").status == 0)
  }

  @Test(.enabled(if: SmallDisk.isAllowed))
  func aFullDiskEndsAnIngestWithWhatItAcceptedKept() throws {
    let disk = try #require(try SmallDisk(megabytes: 420))
    let fixture = try store(on: disk)
    // More than the segment that there is can take; no room for the next one.
    let file = try rows(fixture, 0..<36_000, noteBytes: 2000)
    try disk.fill(leaving: 1 << 20)
    let failed = try fixture.run("ingest", "readings", file, "--no-flush")
    #expect(failed.status == 71, "\(failed.errors)")
    #expect(failed.errors.contains("the disk is full"))
    let kept = try fixture.run("stats", "--json").json()["indexed_keys"]?.int64Value ?? 0
    #expect(kept > 20_000 && kept < 36_000)
    #expect(try fixture.run("get", "readings", "sensor=s0").status == 0)

    try disk.free()
    let again = try fixture.run("ingest", "readings", file, "--json")
    #expect(again.status == 0, "\(again.errors)")
    #expect(try again.json()["accepted"]?.int64Value == 36_000)
    // The table has both ingests' records, each once.
    #expect(try offlineRecords(fixture) == kept + 36_000)
    #expect(try fixture.run("verify").status == 0)
  }

  @Test(.enabled(if: SmallDisk.isAllowed))
  func aReadOnlyDiskIsReadAndNotWritten() throws {
    let disk = try #require(try SmallDisk(megabytes: 160))
    let fixture = try store(on: disk)
    let record = ["put", "readings", "sensor=a", "at=2026-01-01T00:00:00Z", "value=1"]
    #expect(try fixture.run(record).status == 0)
    #expect(try fixture.run("flush").status == 0)
    try disk.setReadOnly(true)
    for arguments in [record, ["flush"], ["optimize", "--all"], ["vacuum", "--all"]] {
      let result = try fixture.run(arguments)
      #expect(result.status == 71, "\(arguments): \(result.errors)")
      #expect(
        result.errors.hasPrefix("error: ") && result.errors.lowercased().contains("read-only")
          || result.errors.contains("readonly"))
    }
    for arguments in [
      ["get", "readings", "sensor=a"], ["stats"], ["verify"], ["files", "readings"],
      ["snapshots", "readings"], ["group", "describe", "readings"],
    ] {
      let result = try fixture.run(arguments)
      #expect(result.status == 0, "\(arguments): \(result.errors)")
    }
    try disk.setReadOnly(false)
    #expect(try fixture.run(record).status == 0)
  }

  @Test func aSecondWriterIsToldWhoWritesAndReadersAreNotDisturbed() throws {
    let fixture = try CommandFixture.withReadings()
    let record = ["put", "readings", "sensor=a", "at=2026-01-01T00:00:00Z", "value=1"]
    #expect(try fixture.run(record).status == 0)
    let writer = try FeatureStore.open(at: fixture.store)
    let refused = try fixture.run(record)
    #expect(refused.status == 75)
    #expect(refused.errors.contains("\(ProcessInfo.processInfo.processIdentifier)"))
    #expect(try fixture.run("get", "readings", "sensor=a").status == 0)
    #expect(try fixture.run("optimize", "--all").status == 0)
    try writer.close()
    #expect(try fixture.run(record).status == 0)
  }
}
