import Foundation
import JSON
import Testing

/// `fstore latest`, `history`, `get --at` and `verify --parity`.
@Suite struct HistoryCommandTests {
  private static func fixture() throws -> CommandFixture {
    let fixture = try CommandFixture.withReadings()
    for (sensor, hour, value) in [("a", 1, 1), ("b", 1, 2), ("a", 3, 3)] {
      try fixture.run(
        "put", "readings", "sensor=\(sensor)", "at=2026-01-01T0\(hour):00:00Z", "value=\(value)")
      if value < 3 { try fixture.run("flush") }
    }
    return fixture
  }

  @Test func latestIsWrittenToAFileOrStandardOutput() throws {
    let fixture = try Self.fixture()
    let flushed = try fixture.run("latest", "readings", "--columns", "sensor,value")
    #expect(flushed.status == 0 && flushed.errors.contains("2 rows of 2 records"))
    #expect(Set(flushed.output.split(separator: "\n")) == ["sensor,value", "a,1", "b,2"])
    let all = try fixture.run(
      "latest", "readings", "--columns", "sensor,value", "--include-unflushed", "--output", "-")
    #expect(Set(all.output.split(separator: "\n")) == ["sensor,value", "a,3", "b,2"])
    for name in ["set.parquet", "set.arrow", "set.csv"] {
      let path = fixture.path(name)
      let report = try fixture.run("latest", "readings", "--output", path, "--json").json()
      #expect(report["rows"]?.int64Value == 2 && report["records"]?.int64Value == 2)
      #expect(FileManager.default.fileExists(atPath: path))
      #expect(try fixture.run("latest", "readings", "--output", path).status == 73)
      #expect(try fixture.run("latest", "readings", "--output", path, "--overwrite").status == 0)
    }
    let arrow = try Data(contentsOf: URL(filePath: fixture.path("set.arrow")))
    #expect(arrow.starts(with: Array("ARROW1".utf8)))
    let first = try fixture.run("snapshots", "readings", "--json").json()
    let id = try #require(
      first.arrayValue?.map { $0["snapshot-id"]?.int64Value ?? 0 }.min { $0 < $1 })
    #expect(try fixture.run("latest", "readings", "--as-of", "\(id)").status == 0)
    #expect(try fixture.run("latest", "readings", "--as-of", "tomorrow").status == 68)
    #expect(try fixture.run("latest", "readings", "--columns", "valeu").status == 68)
    #expect(try fixture.run("latest", "readings", "--format", "xml").status == 64)
    #expect(try fixture.run("latest", "readings", "--json").status == 64)
    #expect(try fixture.run("latest", "nothing").status == 68)
  }

  @Test func historyListsWhatWasWritten() throws {
    let fixture = try Self.fixture()
    let all = try fixture.run("history", "readings", "sensor=a", "--json").json().arrayValue ?? []
    #expect(all.map { $0["features"]?["value"]?.int64Value } == [3, 1])
    #expect(all[0]["file"] == .null && all[1]["file"]?.stringValue?.hasSuffix(".parquet") == true)
    #expect(all[1]["snapshot_id"]?.int64Value != nil && all[0]["expires_at"] == .null)
    func values(_ options: String...) throws -> [Int64?] {
      let found = try fixture.run(["history", "readings", "sensor=a", "--json"] + options).json()
      return found.arrayValue?.map { $0["features"]?["value"]?.int64Value } ?? []
    }
    #expect(try values("--last", "1") == [3])
    #expect(try values("--flushed-only") == [1])
    #expect(try values("--to", "2026-01-01T02:00:00Z") == [1])
    #expect(try values("--from", "2026-01-01T02:00:00Z") == [3])
    let text = try fixture.run("history", "readings", "sensor=a")
    #expect(text.output.contains("not flushed"))
    // Without a key it is the table's.
    #expect(try fixture.run("history", "readings", "--json").json().arrayValue?.count == 2)
    #expect(try fixture.run("history", "readings", "--last", "1").status == 64)
    #expect(
      try fixture.run(
        "history", "readings", "sensor=a", "--from", "2026-01-02T00:00:00Z", "--to",
        "2026-01-01T00:00:00Z"
      ).status == 64)
  }

  @Test func getAnswersForAMoment() throws {
    let fixture = try Self.fixture()
    func value(_ options: String...) throws -> JSONValue? {
      let answer = try fixture.run(["get", "readings", "sensor=a", "--json"] + options).json()
      return answer.arrayValue?[0]
    }
    #expect(try value()?["value"]?.int64Value == 3)
    let then = try value("--at", "2026-01-01T02:00:00Z", "--visibility", "event")
    #expect(then?["value"]?.int64Value == 1)
    // It was written only now.
    #expect(try value("--at", "2026-01-01T02:00:00Z")?["status"]?.stringValue == "never written")
    #expect(try value("--at", "2100-01-01T00:00:00Z")?["value"]?.int64Value == 3)
    #expect(try fixture.run("get", "readings", "sensor=a", "--visibility", "event").status == 64)
    #expect(try fixture.run("get", "readings", "sensor=a", "--at", "noon").status == 64)
  }

  @Test func parityIsComparedAndDifferencesListed() throws {
    let fixture = try Self.fixture()
    let found = try fixture.run("verify", "--parity", "--json")
    #expect(found.status == 0)
    let group = try found.json()["groups"]?.arrayValue?.first
    #expect(group?["keys"]?.int64Value == 2 && group?["equal"]?.int64Value == 2)
    // History that was never brought online.
    let file = try fixture.write("old.csv", "sensor,at,value\nz,2025-01-01T00:00:00Z,9\n")
    try fixture.run("ingest", "readings", file, "--offline-only")
    let differing = try fixture.run("verify", "--parity", "readings")
    #expect(differing.status == 65)
    #expect(differing.errors.contains("readings sensor=z: value is 9 offline, null online"))
    #expect(differing.errors.contains("fstore materialize readings"))
    try fixture.run("materialize", "readings")
    #expect(try fixture.run("verify", "--parity", "readings").status == 0)
    #expect(try fixture.run("verify", "--parity", "nothing").status == 68)
    #expect(try fixture.run("verify", "one", "two").status == 64)
  }
}

extension HistoryCommandTests {
  @Test func trainingSetsAreExplainedAuditedAndPrintedAsSQL() throws {
    let fixture = try CommandFixture.withReadings()
    for (hour, value) in [(1, 1), (3, 3)] {
      try fixture.run(
        "put", "readings", "sensor=a", "at=2026-01-01T0\(hour):00:00Z", "value=\(value)")
    }
    try fixture.run("flush")
    let spine = try fixture.write("spine.csv", "sensor,moment\na,2026-01-01T02:00:00Z\n")
    let set = fixture.path("set.csv")
    let definition = ["--time", "moment", "--feature", "readings:value"]
    #expect(
      try fixture.run(["training-set", "--spine", spine, "--output", set] + definition).status == 0)
    let cells = try fixture.run(
      ["training-set", "explain", set, "--row", "0", "--json"] + definition
    ).json().arrayValue
    #expect(cells?[0]["value"]?.int64Value == 1 && cells?[0]["outcome"]?.stringValue == "found")
    #expect(
      cells?[0]["records"]?.arrayValue?.map { $0["standing"]?.stringValue } == [
        "only later", "won",
      ])
    let text = try fixture.run(["training-set", "explain", set, "--row", "0"] + definition).output
    #expect(text.contains("value (readings:value) at 2026-01-01T02:00:00Z: 1, found"))
    #expect(
      try fixture.run(["training-set", "explain", set, "--row", "1"] + definition).status == 68)
    #expect(try fixture.run(["training-set", "explain", set] + definition).status == 64)
    #expect(try fixture.run(["training-set", "audit", set] + definition).status == 0)
    let wrong = try fixture.write("wrong.csv", "sensor,moment,value\na,2026-01-01T02:00:00Z,3\n")
    let audit = try fixture.run(["training-set", "audit", wrong] + definition)
    #expect(audit.status == 65)
    #expect(audit.errors.contains("row 0, value at 2026-01-01T02:00:00Z: knows the future: has 3"))
    let query = try fixture.run(["training-set", "--spine", spine, "--sql", "spark"] + definition)
    #expect(
      query.status == 0 && query.output.contains("from spine join fstore.features.`readings`"))
    #expect(
      try fixture.run(["training-set", "--spine", spine, "--sql", "oracle"] + definition).status
        == 64)
    try fixture.run("put", "readings", "sensor=a", "at=2026-01-01T01:30:00Z", "value=2")
    #expect(
      try fixture.run(
        ["training-set", "--spine", spine, "--output", set, "--overwrite", "--include-unflushed"]
          + definition
      ).status == 0)
    #expect(try String(contentsOfFile: set, encoding: .utf8).contains(",2\n"))
  }
}
