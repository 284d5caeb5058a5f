import Foundation
import JSON
import Testing

/// `configure`, and `ingest --offline-only`.
@Suite struct StoreCommandTests {
  @Test func theUseOfTheDiskIsShownAndChanged() throws {
    let fixture = try CommandFixture.withReadings()
    let initial = try fixture.run("configure")
    #expect(initial.output == "log limit: default; reserve: default\n")
    let changed = try fixture.run("configure", "--log-limit", "64GiB", "--reserve", "none")
    #expect(changed.status == 0 && changed.output == "log limit: 68.7 GB; reserve: none\n")
    // The next process finds it; what is not named stays.
    try fixture.run("configure", "--reserve", "256MiB")
    let shown = try fixture.run("configure", "--json").json()
    #expect(shown["log_limit_bytes"]?.int64Value == 64 << 30)
    #expect(shown["reserve_bytes"]?.int64Value == 256 << 20)
    try fixture.run("configure", "--log-limit", "default")
    let last = try fixture.run("configure", "--json").json()
    #expect(last["log_limit_bytes"] == .null)
    #expect(last["reserve_bytes"]?.int64Value == 256 << 20)
    #expect(try fixture.run("verify").status == 0)
  }

  @Test(arguments: ["much", "-1", "64XiB", ""])
  func whatIsNoSizeIsRefused(size: String) throws {
    let fixture = try CommandFixture.withReadings()
    let refused = try fixture.run("configure", "--log-limit", size)
    #expect(refused.status == 64 && refused.errors.contains("--log-limit"), "\(refused)")
    #expect(try fixture.run("configure").output == "log limit: default; reserve: default\n")
  }

  @Test func aLimitIsKept() throws {
    let fixture = try CommandFixture.withReadings()
    let small = try fixture.run("configure", "--log-limit", "1")
    #expect(small.status != 0 && small.errors.contains("limit"), "\(small)")
  }

  @Test func historyGoesPastTheLogOnceAndWhole() throws {
    let fixture = try CommandFixture.withReadings()
    let file = try fixture.write(
      "history.csv", "sensor,at,value\na,2025-01-01T00:00:00Z,1\nb,2025-01-02T00:00:00Z,2\n")
    let first = try fixture.run("ingest", "readings", file, "--offline-only", "--json")
    #expect(first.status == 0)
    #expect(try first.json()["accepted"]?.int64Value == 2)
    // Offline, not online.
    #expect(try status(fixture, "sensor=a") == "never written")
    let second = try fixture.run("ingest", "readings", file, "--offline-only")
    #expect(second.status == 0 && second.output.contains("already"), "\(second)")
    #expect(try rows(fixture) == 2)
    try fixture.run("ingest", "readings", file, "--offline-only", "--again")
    #expect(try rows(fixture) == 4)
    // A row that does not fit: none of the file.
    let bad = try fixture.write(
      "bad.csv", "sensor,at,value\nc,2025-01-03T00:00:00Z,3\nd,someday,4\n")
    #expect(try fixture.run("ingest", "readings", bad, "--offline-only").status == 65)
    #expect(try rows(fixture) == 4)
    try fixture.run("materialize", "readings")
    #expect(try status(fixture, "sensor=a") == "present")
    #expect(try status(fixture, "sensor=c") == "never written")
  }

  private func status(_ fixture: CommandFixture, _ key: String) throws -> String? {
    try fixture.run("get", "readings", key, "--json").json()
      .arrayValue?.first?["status"]?.stringValue
  }

  /// How many the table has.
  private func rows(_ fixture: CommandFixture) throws -> Int64? {
    try fixture.run("files", "readings", "--summary", "--json").json()["records"]?.int64Value
  }
}
