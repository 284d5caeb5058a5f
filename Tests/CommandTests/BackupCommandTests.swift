import FeatureStore
import Foundation
import JSON
import Testing

@Suite struct BackupCommandTests {
  @Test func aBackupOfAStoreThatAnotherProcessWritesIsRestored() throws {
    let fixture = try CommandFixture.withReadings()
    let writer = try FeatureStore.open(at: fixture.store)
    func put(_ numbers: Range<Int>) throws {
      for number in numbers {
        try writer.put(
          "readings",
          fields: ["sensor": "s\(number)", "at": "2026-01-01T00:00:00Z", "value": "\(number)"])
      }
    }
    try put(0..<60)
    try writer.flush()
    try put(60..<80)
    let backups = fixture.path("backups")
    let made = try fixture.run("backup", backups, "--json")
    #expect(made.status == 0, "\(made.errors)")
    let report = try made.json()
    #expect(report["last_lsn"]?.int64Value == 80)
    let directory = try #require(report["directory"]?.stringValue)
    #expect(directory.hasPrefix(backups + "/"))
    try put(80..<90)
    #expect(try fixture.run("verify", backups).status == 0)

    let restored = fixture.path("restored")
    let result = try fixture.run("restore", backups, restored)
    #expect(result.status == 0, "\(result.errors)")
    #expect(result.output.contains("up to lsn 80"))
    func count(_ name: String) throws -> Int64? {
      try fixture.run("stats", "--json", "--store", restored).json()[name]?.int64Value
    }
    #expect(try count("indexed_keys") == 80)
    #expect(try fixture.run("verify", "--store", restored).status == 0)
    #expect(try fixture.run("flush", "--store", restored).status == 0)
    let summary = try fixture.run("files", "readings", "--summary", "--json", "--store", restored)
    #expect(try summary.json()["records"]?.int64Value == 80)
    // Not into what is there already, and not from what is none.
    #expect(try fixture.run("restore", backups, restored).status == 73)
    #expect(try fixture.run("restore", restored, fixture.path("x")).status == 66)
    try writer.close()
  }

  @Test func aDamagedBackupIsNamedByVerifyAndRefusedByRestore() throws {
    let fixture = try CommandFixture.withReadings()
    let made = try fixture.run("backup", fixture.path("backups"), "--json").json()
    let path = try #require(made["directory"]?.stringValue) + "/definitions.json"
    let text = try String(contentsOfFile: path, encoding: .utf8)
    try text.replacingOccurrences(of: "sensor", with: "senbor")
      .write(toFile: path, atomically: false, encoding: .utf8)
    let verified = try fixture.run("verify", fixture.path("backups"))
    #expect(verified.status == 65 && verified.errors.contains(path))
    let refused = try fixture.run("restore", fixture.path("backups"), fixture.path("restored"))
    #expect(refused.status == 65 && refused.errors.contains(path))
    #expect(!FileManager.default.fileExists(atPath: fixture.path("restored")))
  }

  @Test(.enabled(if: SmallDisk.isAllowed))
  func aFullDiskEndsABackupWithAClearErrorAndNothingLeft() throws {
    let disk = try #require(try SmallDisk(megabytes: 3))
    let fixture = try CommandFixture.withReadings()
    var text = "sensor,at,value,note\n"
    for number in 0..<4000 {
      text += "s\(number),2026-01-01T00:00:00Z,\(number),\(String(repeating: "x", count: 1000))\n"
    }
    #expect(
      try fixture.run("ingest", "readings", fixture.write("rows.csv", text)).status == 0)
    let failed = try fixture.run("backup", disk.path + "/backups")
    #expect(failed.status == 71, "\(failed.errors)")
    #expect(failed.errors.contains("No space left"))
    let left = try FileManager.default.contentsOfDirectory(atPath: disk.path + "/backups")
    #expect(left == [".lock"])
    #expect(try fixture.run("verify").status == 0)
  }

  /// The tables of a restored store are whole for other engines too, in their new place.
  @Test(.enabled(if: CommandFixture.hasPeers))
  func peersReadTheTablesOfARestoredStore() throws {
    let fixture = try CommandFixture.withReadings()
    for round in 0..<3 {
      let rows = (0..<40).map { "s\(round)-\($0),2026-01-01T00:00:00Z,\($0)\n" }.joined()
      let file = try fixture.write("rows\(round).csv", "sensor,at,value\n" + rows)
      #expect(try fixture.run("ingest", "readings", file).status == 0)
    }
    #expect(try fixture.run("backup", fixture.path("backups")).status == 0)
    // Whoever followed an old location would find nothing there.
    try FileManager.default.removeItem(atPath: fixture.store)
    let restored = fixture.path("elsewhere/restored")
    #expect(try fixture.run("restore", fixture.path("backups"), restored).status == 0)
    let program = """
      import sys
      from pyiceberg.catalog import load_catalog
      root = sys.argv[1]
      catalog = load_catalog("fstore", type="sql", uri="sqlite:///" + root + "/warehouse/catalog.db")
      table = catalog.load_table("features.readings")
      print(table.scan().to_arrow().num_rows)
      print([table.scan(snapshot_id=s.snapshot_id).to_arrow().num_rows for s in table.snapshots()])
      """
    let result = try CommandFixture.run(
      CommandFixture.python, [fixture.write("peers.py", program), restored])
    #expect(result.output == "120\n[40, 80, 120]\n", "\(result.errors)")
  }
}
