import Foundation
import JSON
import Testing

/// Wrong input: a clear error, a status that scripts can rely on, nothing lost.
@Suite struct BadInputTests {
  private func expectError(
    _ fixture: CommandFixture, _ arguments: [String], status: Int32, says text: String,
    sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    let result = try fixture.run(arguments)
    #expect(result.status == status, "\(result.errors)", sourceLocation: sourceLocation)
    #expect(result.errors.hasPrefix("error: "), "\(result.errors)", sourceLocation: sourceLocation)
    #expect(result.errors.contains(text), "\(result.errors)", sourceLocation: sourceLocation)
  }

  @Test func unknownNamesSuggestTheNearest() throws {
    let fixture = try CommandFixture.withReadings()
    try expectError(
      fixture, ["get", "reading", "sensor=a"], status: 68, says: "did you mean 'readings'?")
    try expectError(
      fixture, ["get", "readings", "sensor=a", "--feature", "valu"], status: 68,
      says: "did you mean 'value'?")
    try expectError(fixture, ["ingset"], status: 64, says: "did you mean 'ingest'?")
    try expectError(
      fixture, ["ingest", "readings", "x.csv", "--on-eror", "skip"], status: 64,
      says: "did you mean --on-error?")
    try expectError(fixture, ["group"], status: 64, says: "group create")
  }

  @Test func wrongValuesAreRefusedAndNothingIsWritten() throws {
    let fixture = try CommandFixture.withReadings()
    let time = "at=2026-01-01T00:00:00Z"
    try expectError(
      fixture, ["put", "readings", "sensor=a", time, "value=seven"], status: 65, says: "'seven'")
    try expectError(
      fixture, ["put", "readings", time, "value=7"], status: 65, says: "'sensor' is missing")
    try expectError(
      fixture, ["put", "readings", "sensor=a", "value=7"], status: 65, says: "'at' is missing")
    try expectError(
      fixture, ["put", "readings", "sensor=a", time, "valeu=7"], status: 68, says: "did you mean")
    let stats = try fixture.run("stats", "--json").json()
    #expect(stats["indexed_keys"]?.int64Value == 0)
  }

  @Test func aBrokenRowInTheMiddleIsNamedAndNothingBeforeItIsLost() throws {
    let fixture = try CommandFixture.withReadings()
    let file = try fixture.write(
      "rows.csv",
      "sensor,at,value\na,2026-01-01T00:00:00Z,1\nb,2026-01-01T00:00:00Z,two\n"
        + "c,2026-01-01T00:00:00Z,3\n,2026-01-01T00:00:00Z,4\nd,2026-01-01T00:00:00Z\n"
        + "e,2026-01-01T00:00:00Z,6\n")
    let stopped = try fixture.run("ingest", "readings", file, "--json")
    #expect(stopped.status == 65)
    #expect(try stopped.json()["accepted"]?.int64Value == 1)
    #expect(stopped.errors.contains("line 3"))
    #expect(stopped.errors.contains("'value'"))
    #expect(stopped.errors.contains("two"))
    let kept = try fixture.run("get", "readings", "sensor=a", "--json").json().arrayValue
    #expect(kept?.first?["value"]?.int64Value == 1)

    let skipped = try fixture.run("ingest", "readings", file, "--on-error", "skip", "--json")
    #expect(skipped.status == 1)
    #expect(try skipped.json()["accepted"]?.int64Value == 3)
    #expect(try skipped.json()["refused"]?.int64Value == 3)
    let lines = try skipped.json()["refused_rows"]?.arrayValue?.map { $0["line"]?.int64Value }
    #expect(lines == [3, 5, 6])
    #expect(
      try fixture.run("files", "readings", "--summary", "--json").json()["records"]?.int64Value == 4
    )
  }

  @Test func emptyAndMissingFilesAreErrors() throws {
    let fixture = try CommandFixture.withReadings()
    let empty = try fixture.write("empty.csv", "")
    try expectError(fixture, ["ingest", "readings", empty], status: 65, says: "empty")
    try expectError(
      fixture, ["ingest", "readings", fixture.path("none.csv")], status: 68, says: "none.csv")
    let columns = try fixture.write("columns.csv", "sensor,value\na,1\n")
    try expectError(fixture, ["ingest", "readings", columns], status: 65, says: "'at'")
  }

  @Test func truncatedParquetIsAnErrorAndNothingIsWritten() throws {
    let fixture = try CommandFixture.withReadings()
    let rows = try fixture.write("rows.csv", "sensor,at,value\na,2026-01-01T00:00:00Z,1\n")
    #expect(try fixture.run("ingest", "readings", rows).status == 0)
    let spine = try fixture.write("spine.csv", "sensor,t\na,2026-01-02T00:00:00Z\n")
    let whole = fixture.path("whole.parquet")
    #expect(
      try fixture.run(
        "training-set", "--spine", spine, "--time", "t", "--feature", "readings:value=x",
        "--output",
        whole
      ).status == 0)
    let bytes = try Data(contentsOf: URL(filePath: whole))
    for count in [0, 3, 11, bytes.count / 2, bytes.count - 1] {
      let cut = fixture.path("cut.parquet")
      try bytes.prefix(count).write(to: URL(filePath: cut))
      let result = try fixture.run("ingest", "readings", cut, "--map", "t=at")
      #expect(result.status == 65, "\(count) bytes: \(result.errors)")
      #expect(result.errors.contains("cut.parquet"))
    }
    let stats = try fixture.run("stats", "--json").json()
    #expect(stats["indexed_keys"]?.int64Value == 1)
  }

  @Test func aDirectoryThatIsNoStoreIsRefused() throws {
    let fixture = try CommandFixture()
    try expectError(fixture, ["group", "list"], status: 66, says: "no feature store")
    _ = try fixture.write("something", "else")
    let result = try fixture.run("init", fixture.directory.path)
    #expect(result.status == 73)
    #expect(result.errors.contains("not empty"))
  }

  @Test func everyCommandExplainsItself() throws {
    let fixture = try CommandFixture()
    let list = try fixture.run("help")
    #expect(list.status == 0)
    // "  name  summary": names have one or two words, one space between.
    let names: [String] = list.output.split(separator: "\n").compactMap { line in
      let entry = line.dropFirst(2)
      guard line.hasPrefix("  "), let end = entry.range(of: "  ") else { return nil }
      return String(entry[..<end.lowerBound])
    }
    #expect(names.count > 25 && names.contains("group add-features") && names.contains("version"))
    for name in names {
      for words in [["help", name], name.split(separator: " ").map(String.init) + ["--help"]] {
        let help = try fixture.run(words)
        #expect(help.status == 0 && help.output.contains("usage: fstore \(name)"), "\(words)")
      }
    }
  }

  @Test func helpOnWhatIsNoCommandIsAnError() throws {
    let fixture = try CommandFixture()
    try expectError(fixture, ["help", "nonsense"], status: 64, says: "unknown command 'nonsense'")
    try expectError(fixture, ["help", "ingset"], status: 64, says: "did you mean 'ingest'?")
    let groups = try fixture.run("help", "group")
    #expect(try fixture.run("group", "--help").output == groups.output)
    try expectError(
      fixture, ["nonsense", "--help"], status: 64, says: "unknown command 'nonsense'")
    #expect(groups.status == 0 && groups.output.contains("  group create "))
    #expect(!groups.output.contains("  ingest "))
  }

  @Test func aViewNamesItsFeaturesItself() throws {
    let fixture = try CommandFixture.withReadings()
    #expect(try fixture.run("view", "create", "all", "readings:*").status == 0)
    try expectError(
      fixture, ["get", "--view", "all", "sensor=a", "--feature", "value"], status: 64,
      says: "--feature")
    #expect(try fixture.run("get", "--view", "all", "sensor=a").status == 0)
  }

  @Test func aPutMayDependOnTheEventTimeAndExpire() throws {
    let fixture = try CommandFixture.withReadings()
    func put(_ time: String, _ options: String...) throws -> JSONValue {
      let words = ["put", "readings", "sensor=a", "at=\(time)", "value=7", "--json"]
      let result = try fixture.run(words + options)
      #expect(result.status == 0, "\(result.errors)")
      return try result.json()
    }
    #expect(try put("2026-01-02T00:00:00Z", "--if-newer")["written"]?.boolValue == true)
    let refused = try put("2026-01-02T00:00:00Z", "--if-newer")
    #expect(refused["written"]?.boolValue == false)
    #expect(refused["current_event_time"]?.stringValue == "2026-01-02T00:00:00Z")
    _ = try put("2026-01-03T00:00:00Z", "--if-newer", "--ttl", "1h")
    let answer = try fixture.run("get", "readings", "sensor=a", "--json").json().arrayValue?.first
    #expect(answer?["status"]?.stringValue == "expired")
    // Null and from before: what expires is not what came before it.
    #expect(answer?["value"] == .null)
    try expectError(
      fixture, ["put", "readings", "sensor=a", "at=2026-01-01T00:00:00Z", "--ttl", "soon"],
      status: 64, says: "'soon'")
  }
}
