import Foundation
import JSON
import Testing

/// Compaction on a disk that becomes full, and on one that is read-only: a clear error, nothing lost, and it works once
/// the cause is gone.
@Suite(.enabled(if: SmallDisk.isAllowed)) struct MaintenanceDiskTests {
  /// A store on the disk with five files of about a megabyte.
  private func store(on disk: SmallDisk) throws -> CommandFixture {
    let fixture = try CommandFixture(store: disk.path + "/store")
    #expect(try fixture.run("init", fixture.store).status == 0)
    try fixture.run(
      "group", "create", "readings", "--key", "sensor:string", "--event-time", "at", "--feature",
      "note:string")
    var generator = SystemRandomNumberGenerator()
    for round in 0..<5 {
      var text = "sensor,at,note\n"
      for row in 0..<1000 {
        // Random, so that Parquet cannot make it small.
        var note = ""
        while note.utf8.count < 1000 { note += String(generator.next(), radix: 36) }
        text += "s\(round)-\(row),2026-01-01T00:00:00Z,\(note)\n"
      }
      let file = try fixture.write("rows-\(round).csv", text)
      let ingested = try fixture.run("ingest", "readings", file)
      #expect(ingested.status == 0, "\(ingested.errors)")
    }
    return fixture
  }

  private func records(_ fixture: CommandFixture) throws -> Int64? {
    try fixture.run("files", "readings", "--summary", "--json").json()["records"]?.int64Value
  }

  private func dataFiles(_ fixture: CommandFixture) throws -> [String] {
    let described = try fixture.run("group", "describe", "readings", "--json").json()
    let location = try #require(described["table_directory"]?.stringValue)
    return try FileManager.default.contentsOfDirectory(atPath: location + "/data").sorted()
  }

  @Test func aFullDiskDuringCompactionLosesNothing() throws {
    let disk = try #require(try SmallDisk(megabytes: 160))
    let fixture = try store(on: disk)
    let before = try dataFiles(fixture)
    try disk.fill(leaving: 1 << 20)
    for arguments in [
      [], ["--sort-order", "note DESC"], ["--option", "partial-progress.enabled=false"],
    ] {
      let failed = try fixture.run(["optimize", "readings"] + arguments)
      #expect(failed.status == 71, "\(arguments): \(failed.status) \(failed.errors)")
      #expect(failed.errors.contains("No space left") || failed.errors.contains("full"))
      // What was begun is gone again.
      #expect(try dataFiles(fixture) == before)
    }
    #expect(try records(fixture) == 5000)
    try disk.free()
    let done = try fixture.run("optimize", "readings", "--json")
    #expect(try done.json()["readings"]?["rewritten-files"]?.int64Value == 5, "\(done.errors)")
    #expect(try records(fixture) == 5000)
    #expect(try fixture.run("verify").status == 0)
  }

  @Test func aReadOnlyDiskIsNamedAndADryRunWorks() throws {
    let disk = try #require(try SmallDisk(megabytes: 160))
    let fixture = try store(on: disk)
    try disk.setReadOnly(true)
    for command in ["optimize", "vacuum"] {
      let failed = try fixture.run(command, "readings")
      #expect(
        failed.status == 71 && failed.errors.contains("ead-only"), "\(command): \(failed.errors)")
    }
    let dry = try fixture.run("optimize", "readings", "--dry-run")
    #expect(dry.status == 0 && dry.output.contains("5 to rewrite"), "\(dry.errors)")
    try disk.setReadOnly(false)
    #expect(try fixture.run("optimize", "readings").status == 0)
    #expect(try records(fixture) == 5000)
  }
}
