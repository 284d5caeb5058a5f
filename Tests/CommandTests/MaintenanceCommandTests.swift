import Foundation
import JSON
import Storage
import Testing

/// `optimize`, `vacuum` and what they say.
@Suite struct MaintenanceCommandTests {
  /// Two groups with six small files each, and where the table of the second lies.
  private func fixture() throws -> (CommandFixture, location: String) {
    let fixture = try JobCommandTests.fixture()
    try fixture.run(
      "group", "create", "others", "--key", "sensor:string", "--event-time", "at", "--feature",
      "value:long", "--property", "optimize_rewrite_data_file_threshold=2", "--property",
      "vacuum_max_snapshot_age_seconds=7200")
    for round in 0..<6 {
      let file = try fixture.write(
        "others\(round).csv",
        "sensor,at,value\nt\(9 - round),2026-01-01T00:00:0\(round)Z,\(round)\n")
      #expect(try fixture.run("ingest", "others", file).status == 0)
    }
    let described = try fixture.run("group", "describe", "others", "--json").json()
    return (fixture, try #require(described["table_directory"]?.stringValue))
  }

  @Test func aLockedGroupDoesNotKeepTheOthersFromBeingDone() throws {
    let (fixture, location) = try fixture()
    let lock = try POSIXFileSystem().lock(location + "/.maintenance.lock", holder: "somebody")
    defer { lock.release() }
    let alone = try fixture.run("optimize", "others")
    #expect(alone.status == 75 && alone.errors.contains("somebody"), "\(alone.errors)")
    // A dry run needs no lease.
    for command in [["optimize"], ["vacuum"], ["optimize", "--rewrite-manifests"]] {
      let dry = try fixture.run(command + ["others", "--dry-run"])
      #expect(dry.status == 0, "\(dry.errors)")
    }
    let all = try fixture.run("optimize", "--all", "--json")
    #expect(all.status == 75, "\(all.errors)")
    #expect(all.errors.contains("not done: others") && all.errors.contains("error: others:"))
    let json = try all.json()
    #expect(json["readings"]?["rewritten-files"]?.int64Value == 6)
    #expect(json["others"]?["error"]?.stringValue?.contains("somebody") == true)
  }

  @Test func aBrokenGroupIsNamedAndTheOthersAreDone() throws {
    let (fixture, location) = try fixture()
    let metadata = try FileManager.default.contentsOfDirectory(atPath: location + "/metadata")
    for name in metadata {
      try FileManager.default.removeItem(atPath: location + "/metadata/" + name)
    }
    let metrics = fixture.path("fstore.prom")
    let all = try fixture.run("optimize", "--all", "--metrics-file", metrics)
    #expect(all.status == 1 && all.errors.contains("not done: others"), "\(all.errors)")
    #expect(all.output.hasPrefix("readings: 6 files"))
    let text = try String(contentsOfFile: metrics, encoding: .utf8)
    for line in [
      "# TYPE fstore_optimize_success gauge", "fstore_optimize_success{group=\"readings\"} 1",
      "fstore_optimize_success{group=\"others\"} 0",
      "fstore_optimize_rewritten_files{group=\"readings\"} 6",
      "fstore_optimize_before_files{group=\"readings\"} 6",
      "fstore_optimize_after_files{group=\"readings\"} 1", "# EOF",
    ] {
      #expect(text.split(separator: "\n").contains { $0 == line }, "\(line) in \(text)")
    }
  }

  @Test func rowsAreSortedAndFilteredAsAsked() throws {
    let (fixture, _) = try fixture()
    let none = try fixture.run("optimize", "others", "--where", "sensor = 'nobody'", "--json")
      .json()
    #expect(none["others"]?["rewritten-files"]?.int64Value == 0)
    let sorted = try fixture.run(
      "optimize", "others", "--sort-order", "sensor DESC", "--max-memory", "128MiB", "--threads",
      "1",
      "--timeout", "10m", "--retries", "2", "--json")
    #expect(try sorted.json()["others"]?["rewritten-files"]?.int64Value == 6, "\(sorted.errors)")
    for (arguments, text) in [
      (["--strategy", "sort"], "no sort order is provided"),
      (["--sort-order", "nothing"], "no column 'nothing'"),
      (["--where", "value >"], "filter"), (["--max-memory", "1MiB"], "max-memory-bytes"),
      (["--option", "output-spec-id=9"], "not a valid spec id"),
      (["--rewrite-manifests", "--rewrite-position-deletes"], "not both"),
      (["--rewrite-manifests", "--where", "value = 1"], "[where]"),
    ] {
      let wrong = try fixture.run(["optimize", "others"] + arguments)
      #expect(wrong.status == 64 && wrong.errors.contains(text), "\(arguments): \(wrong.errors)")
    }
  }

  @Test func manifestsAndDeletesAreRewrittenByCommandAndJob() throws {
    let (fixture, _) = try fixture()
    let manifests = try fixture.run("optimize", "others", "--rewrite-manifests", "--json").json()
    #expect((manifests["others"]?["rewritten-manifests"]?.int64Value ?? 0) > 1)
    let deletes = try fixture.run("optimize", "others", "--rewrite-position-deletes", "--json")
    #expect(try deletes.json()["others"]?["rewritten-delete-files"]?.int64Value == 0)
    let set = try fixture.run(
      "jobs", "set", "readings", "rewrite-manifests", "--when", "manifests=2")
    #expect(set.status == 0, "\(set.errors)")
    #expect(
      try fixture.run("jobs", "run").output == "readings rewrite-manifests: succeeded\n")
    #expect(try fixture.run("jobs", "show", "readings").output.contains("not due"))
    let wrong = try fixture.run(
      "jobs", "set", "readings", "rewrite-manifests", "--every", "@daily", "--option", "where=x = 1"
    )
    #expect(wrong.status == 64 && wrong.errors.contains("[where]"))
  }

  @Test func vacuumSaysWhoHoldsTheSpaceAndWhy() throws {
    let (fixture, location) = try fixture()
    try fixture.run("optimize", "others")
    let explained = try fixture.run("vacuum", "others", "--explain", "--json").json()
    let files = explained["others"]?["explanations"]?.arrayValue ?? []
    #expect(files.contains { $0["why"]?.stringValue?.contains("current snapshot refers") == true })
    #expect(
      files.contains { $0["why"]?.stringValue?.contains("younger than 'main' lets go") == true })
    #expect(files.allSatisfy { $0["stays"]?.boolValue == true })
    let text = try fixture.run("vacuum", "others", "--explain").output
    #expect(text.contains("stays\t") && text.contains("held by"))
    let data = location + "/data"
    let before = try FileManager.default.contentsOfDirectory(atPath: data).count
    let report = try fixture.run("vacuum", "others", "--max-snapshot-age", "0", "--json").json()
    let held = report["others"]?["held"]?.arrayValue ?? []
    #expect(held.first?["by"]?.stringValue == "current snapshot" || held.count > 1)
    let deleted = report["others"]?["deleted-by-kind"]?["data"]?["files"]?.int64Value
    #expect(before == 7 && deleted == 6)
    let (was, is_) = (
      report["others"]?["before"]?["bytes"]?.int64Value,
      report["others"]?["after"]?["bytes"]?.int64Value
    )
    #expect(
      was != nil && is_ != nil
        && (was ?? 0) - (is_ ?? 0) == report["others"]?["deleted-bytes"]?.int64Value)
  }

  @Test func describeShowsWhatMaintenanceGoesBy() throws {
    let (fixture, _) = try fixture()
    let text = try fixture.run("group", "describe", "others").output
    #expect(text.contains("min-input-files = 2 (optimize_rewrite_data_file_threshold)"))
    #expect(text.contains("max-snapshot-age-ms = 7200000 (vacuum_max_snapshot_age_seconds)"))
    #expect(text.contains("target-file-size-bytes = 536870912 (default)"))
    let json = try fixture.run("group", "describe", "others", "--json").json()
    #expect(json["maintenance"]?["min-input-files"]?["value"]?.stringValue == "2")
  }
}
