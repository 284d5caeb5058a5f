import Foundation
import Iceberg
import JSON
import Storage
import Testing

/// Tables and surroundings that somebody else has prepared.
@Suite struct HostileTableTests {
  @Test func absurdCountsAreShownAndEndNothing() throws {
    let fixture = try CommandFixture.withReadings()
    let rows = try fixture.write("r.csv", "sensor,at,value,note\na,2024-01-01T00:00:00Z,1,x\n")
    #expect(try fixture.run("ingest", "readings", rows).status == 0)
    let catalog = try SQLiteCatalog(
      databasePath: fixture.store + "/warehouse/catalog.db", name: "fstore",
      warehouse: fixture.store + "/warehouse", io: try FileIO(fileSystem: POSIXFileSystem()),
      clock: SystemClock())
    let table = try catalog.loadTable(try TableIdentifier("features.readings"))
    var grown = table
    for name in ["a", "b"] {
      let file = DataFile(
        path: table.location + "/data/\(name).parquet", recordCount: .max, fileSizeInBytes: .max)
      grown = try grown.newAppend([file], mergesManifests: false).commit().table
    }
    for command in ["files", "snapshots", "history", "manifests", "partitions", "metadata-log"] {
      let text = try fixture.run(command, "readings")
      #expect(text.status == 0 && !text.output.isEmpty, "\(command): \(text.errors)")
      #expect(try fixture.run(command, "readings", "--json").status == 0)
    }
    #expect(try fixture.run("files", "readings", "--summary").status == 0)
  }

  @Test func hashesThatCanBeForeseenAreWarnedOf() throws {
    let fixture = try CommandFixture.withReadings()
    let quiet = try fixture.run("verify")
    #expect(!quiet.errors.contains("HASHING"))
    let result = try CommandFixture.run(
      CommandFixture.command, ["verify"],
      environment: ["FSTORE_STORE": fixture.store, "SWIFT_DETERMINISTIC_HASHING": "1"])
    #expect(result.status == 0 && result.errors.contains("SWIFT_DETERMINISTIC_HASHING"))
  }

  @Test func aTablesOtherFoldersAreNamedInTheEnvironment() throws {
    let fixture = try CommandFixture()
    let outside = fixture.path("outside")
    try fixture.run("init", fixture.store)
    try fixture.run(
      "group", "create", "g", "--key", "k:long", "--event-time", "t", "--feature", "x:double",
      "--property", "write.data.path=\(outside)")
    let rows = try fixture.write("r.csv", "k,t,x\n1,2024-01-01T00:00:00Z,1.5\n")
    let refused = try fixture.run("ingest", "g", rows)
    #expect(refused.status != 0 && refused.errors.contains("outside the folders"))
    let result = try CommandFixture.run(
      CommandFixture.command, ["ingest", "g", rows],
      environment: ["FSTORE_STORE": fixture.store, "FSTORE_TABLE_FOLDERS": "/nothing:\(outside)"])
    #expect(result.status == 0, "\(result.errors)")
    #expect(FileManager.default.fileExists(atPath: outside))
  }
}
