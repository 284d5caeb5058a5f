import Foundation
import JSON
import Testing

/// The README's tour on the sample data, checked against engines that others wrote.
@Suite struct TourTests {
  /// The demo's groups and view over January's flights, with many small flushes.
  private func flights() throws -> CommandFixture {
    let fixture = try CommandFixture()
    func run(_ line: String) throws {
      let result = try fixture.run(line.split(separator: " ").map(String.init))
      #expect(result.status == 0, "\(line): \(result.errors)")
    }
    let data = CommandFixture.root.appending(path: "sample-data").path
    try run("init \(fixture.store)")
    try run(
      "group create weather --key origin:string --event-time observed_at --ttl 6h --feature month:int"
        + " --feature day:int --feature hour:int --feature temp:double --feature dewp:double"
        + " --feature humid:double --feature wind_dir:int --feature wind_speed:double"
        + " --feature wind_gust:double --feature precip:double --feature pressure:double"
        + " --feature visib:double")
    try run(
      "group create planes --key tailnum:string --event-time registered_at --feature built:int"
        + " --feature type:string --feature manufacturer:string --feature model:string"
        + " --feature engines:int --feature seats:int --feature engine:string")
    try run(
      "group create arrivals --key tailnum:string --event-time arrived_at --feature arr_delay:int"
        + " --feature last_origin:string --feature last_dest:string")
    try run("view create flight weather:* planes:* arrivals:*")
    try run("ingest weather \(data)/weather.csv --flush-every 250")
    try run("ingest planes \(data)/planes.csv")
    try run("ingest arrivals \(data)/arrivals.csv --flush-every 2000")
    return fixture
  }

  private func extract(_ fixture: CommandFixture, _ name: String) throws -> String {
    let output = fixture.path(name)
    let result = try fixture.run(
      "training-set", "--spine",
      CommandFixture.root.appending(path: "sample-data/flights.csv").path, "--time",
      "scheduled_departure", "--view", "flight", "--output", output, "--json")
    #expect(result.status == 0, "\(result.errors)")
    #expect(try result.json()["rows"]?.int64Value == 27_004)
    return output
  }

  private func python(_ arguments: String...) throws -> CommandFixture.Result {
    let scripts = CommandFixture.root.appending(path: "Tests/Interop")
    return try CommandFixture.run(
      CommandFixture.python, [scripts.appending(path: arguments[0]).path] + arguments.dropFirst())
  }

  @Test(
    .enabled(
      if: CommandFixture.hasPeers, "'scripts/bootstrap --peers' installs PyIceberg and DuckDB"))
  func theTrainingSetIsDuckDBsAndMaintenanceChangesNothing() throws {
    let fixture = try flights()
    let first = try extract(fixture, "first.parquet")
    let data = CommandFixture.root.appending(path: "sample-data").path
    let compared = try python("expected_training_set.py", data, "--compare", first)
    #expect(compared.status == 0, "\(compared.output)\(compared.errors)")
    let before = try python("read_tables.py", fixture.store, "--json")
    #expect(before.status == 0, "\(before.errors)")

    let optimized = try fixture.run("optimize", "--all", "--json")
    #expect(optimized.status == 0, "\(optimized.errors)")
    #expect(try optimized.json()["arrivals"]?["rewritten-files"]?.int64Value ?? 0 >= 5)
    let afterOptimize = try python("read_tables.py", fixture.store, "--json")
    try expectSameRows(before, afterOptimize)

    let vacuumed = try fixture.run(
      "vacuum", "--all", "--max-snapshot-age", "0s", "--older-than", "1d", "--json")
    #expect(vacuumed.status == 0, "\(vacuumed.errors)")
    #expect(try vacuumed.json()["arrivals"]?["deleted-files"]?.int64Value ?? 0 >= 5)
    let afterVacuum = try python("read_tables.py", fixture.store, "--json")
    try expectSameRows(before, afterVacuum)

    let second = try extract(fixture, "second.parquet")
    #expect(
      FileManager.default.contentsEqual(atPath: first, andPath: second),
      "the same training set byte for byte")
    #expect(try fixture.run("verify").status == 0)
  }

  private func expectSameRows(
    _ before: CommandFixture.Result, _ after: CommandFixture.Result
  ) throws {
    #expect(after.status == 0, "\(after.errors)")
    let (first, second) = (try before.json(), try after.json())
    for table in ["weather", "planes", "arrivals"] {
      for key in ["rows", "pyiceberg", "duckdb"] {
        #expect(first[table]?[key] == second[table]?[key], "\(table): \(key)")
      }
    }
  }

  @Test func aViewAnswersOnlineWithWhyValuesAreMissing() throws {
    let fixture = try flights()
    let result = try fixture.run(
      "get", "--view", "flight", "origin=JFK", "tailnum=NOPLANE", "--json")
    let answers = try result.json().arrayValue ?? []
    #expect(answers.count == 22)
    // The weather of 2013 is long expired; the plane was never there.
    #expect(answers.first?["status"]?.stringValue == "expired")
    #expect(answers.last?["status"]?.stringValue == "never written")
    let plane = try fixture.run("get", "arrivals", "tailnum=N14228", "--json").json().arrayValue
    #expect(plane?.count == 3)
    #expect(plane?.first?["status"]?.stringValue == "present")
  }

  @Test func csvOutputHasTheSpinesRowsInItsOrder() throws {
    let fixture = try CommandFixture.withReadings()
    try fixture.ingestReadings()
    let spine = try fixture.write(
      "spine.csv",
      "label,sensor,t\nx,b,2026-01-05T00:00:00Z\ny,a,2026-01-02T00:00:00Z\nz,,2026-01-02T00:00:00Z\n"
        + "w,a,2025-01-01T00:00:00Z\nv,a,2026-01-03T00:00:00Z\n")
    let output = fixture.path("set.csv")
    let result = try fixture.run(
      "training-set", "--spine", spine, "--time", "t", "--feature", "readings:value", "--output",
      output)
    #expect(result.status == 0, "\(result.errors)")
    let lines = try String(contentsOfFile: output, encoding: .utf8).split(separator: "\n")
    #expect(lines.first == "label,sensor,t,value")
    #expect(
      lines.dropFirst().map { $0.split(separator: ",", omittingEmptySubsequences: false).first }
        == ["x", "y", "z", "w", "v"])
    #expect(
      lines.dropFirst().map { $0.split(separator: ",", omittingEmptySubsequences: false).last } == [
        "2", "1", "", "", "3",
      ])
  }
}
