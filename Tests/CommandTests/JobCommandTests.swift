import Foundation
import JSON
import Testing

@Suite struct JobCommandTests {
  static func fixture() throws -> CommandFixture {
    let fixture = try CommandFixture.withReadings()
    for round in 0..<6 {
      let file = try fixture.write(
        "rows\(round).csv", "sensor,at,value\ns,2026-01-01T00:00:0\(round)Z,\(round)\n")
      #expect(try fixture.run("ingest", "readings", file).status == 0)
    }
    return fixture
  }

  @Test func jobsAreSetListedRunShownAndRemoved() throws {
    let fixture = try Self.fixture()
    #expect(try fixture.run("jobs", "list").output.contains("no jobs"))
    let set = try fixture.run(
      "jobs", "set", "readings", "optimize", "--every", "0 */6 * * *", "--when", "small-files=6",
      "--timeout", "2h")
    #expect(set.status == 0, "\(set.errors)")
    #expect(
      set.output
        == "readings: optimize at '0 */6 * * *' UTC when small-files >= 6 within 7200 s\n")
    #expect(try fixture.run("jobs", "show", "readings").output.contains("due: small-files 6 >= 6"))
    let dry = try fixture.run("jobs", "run", "--dry-run", "--json").json()
    #expect(dry.arrayValue?.first?["trigger"]?.stringValue == "small-files 6 >= 6")
    let run = try fixture.run("jobs", "run")
    #expect(run.status == 0 && run.output == "readings optimize: succeeded\n", "\(run.errors)")
    #expect(try fixture.run("jobs", "run").output == "\n")
    #expect(try fixture.run("jobs", "show", "readings").output.contains("not due"))
    let again = try fixture.run("jobs", "run", "readings", "--force", "--json").json()
    #expect(again.arrayValue?.first?["outcome"]?.stringValue == "succeeded")
    let history = try fixture.run("jobs", "history", "--json").json().arrayValue ?? []
    #expect(history.map { $0["trigger"]?.stringValue } == ["asked for", "small-files 6 >= 6"])
    #expect(history.last?["report"]?["rewritten-files"]?.int64Value == 6)
    let list = try fixture.run("jobs", "list", "--json").json().arrayValue ?? []
    #expect(list.first?["last_run"]?["outcome"]?.stringValue == "succeeded")
    #expect((list.first?["next_microseconds"]?.int64Value ?? 0) > 0)
    #expect(try fixture.run("jobs", "remove", "readings", "optimize").status == 0)
    #expect(try fixture.run("jobs", "remove", "readings", "optimize").status == 68)
  }

  @Test func wrongJobsAreExplained() throws {
    let fixture = try Self.fixture()
    for (arguments, status, text) in [
      (["readings", "compact"], 64, "there are: optimize, rewrite-manifests"),
      (["readings", "optimize"], 64, "schedule or a threshold"),
      (["readings", "optimize", "--every", "99 * * * *"], 64, "'99' is no minute"),
      (["readings", "optimize", "--when", "smal-files=1"], 64, "small-files"),
      (["readings", "optimize", "--when", "small-files=none"], 64, "'none'"),
      (["reading", "optimize", "--every", "@daily"], 68, "did you mean 'readings'?"),
    ] {
      let result = try fixture.run(["jobs", "set"] + arguments)
      #expect(result.status == status && result.errors.contains(text), "\(result.errors)")
    }
  }

  @Test func aFailedJobIsStatusOneAndTheOthersRun() throws {
    let fixture = try Self.fixture()
    try fixture.run(
      "group", "create", "others", "--key", "sensor:string", "--event-time", "at", "--feature",
      "value:long")
    for group in ["others", "readings"] {
      #expect(
        try fixture.run("jobs", "set", group, "optimize", "--every", "@daily", "--retries", "0")
          .status
          == 0)
    }
    let table = try fixture.run("group", "describe", "others", "--json").json()
    let location = try #require(table["table_directory"]?.stringValue)
    let metadata = try FileManager.default.contentsOfDirectory(atPath: location + "/metadata")
    for name in metadata {
      try FileManager.default.removeItem(atPath: location + "/metadata/" + name)
    }
    let run = try fixture.run("jobs", "run", "others", "readings", "--force", "--json")
    #expect(run.status == 1)
    let outcomes = try run.json().arrayValue?.map { $0["outcome"]?.stringValue }
    #expect(outcomes == ["failed", "succeeded"])
  }

  @Test func theScheduleIsForThisStoreAndCommand() throws {
    let fixture = try Self.fixture()
    let line = try fixture.run("schedule", "--interval", "30m").output
    #expect(line.hasPrefix("*/30 * * * * "))
    #expect(line.contains("/fstore jobs run --store ") && line.contains(fixture.store))
    #expect(try fixture.run("schedule", "--systemd").output.contains("OnCalendar=*:0/15"))
    #expect(try fixture.run("schedule", "--interval", "2h").status == 64)
  }

  @Test func healthIsTextJSONAndAPageOfItsOwn() throws {
    let fixture = try Self.fixture()
    let text = try fixture.run("health", "readings")
    #expect(text.status == 0, "\(text.errors)")
    #expect(text.output.contains("optimize would make about 1 of 6 files"))
    let json = try fixture.run("health", "readings", "--json").json()
    #expect(json["data-files"]?.int64Value == 6 && json["small-files"]?.int64Value == 6)
    #expect(json["optimize"]?["rewritten-files"]?.int64Value == 6)
    #expect(json["optimize"]?["file-count-gain"]?.doubleValue == 6)
    #expect(json["growth"]?.arrayValue?.count == 6)
    let sizes = json["file-sizes"]?.arrayValue ?? []
    #expect(sizes.reduce(0) { $0 + ($1["files"]?.int64Value ?? 0) } == 6)
    let page = try fixture.run("health", "readings", "--html").output
    #expect(page.hasPrefix("<!DOCTYPE html>") && page.hasSuffix("</html>\n"))
    #expect(page.contains("<polyline") && page.contains("<rect"))
    // Nothing from elsewhere, and no script.
    #expect(!page.contains("http") && !page.contains("<script") && !page.contains("src="))
    #expect(try fixture.run("optimize", "readings").status == 0)
    let after = try fixture.run("health", "readings", "--json").json()
    #expect(after["optimize"]?["rewritten-files"]?.int64Value == 0)
    #expect(after["optimize"]?["file-count-gain"]?.doubleValue == 1)
    #expect(try fixture.run("health", "reading").status == 68)
  }
}
