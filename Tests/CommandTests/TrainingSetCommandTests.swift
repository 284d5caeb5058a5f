import Foundation
import JSON
import Testing

/// `fstore training-set` and its subcommands, and what Python makes of their outputs.
@Suite struct TrainingSetCommandTests {
  private func filled() throws -> (CommandFixture, spine: String) {
    let fixture = try CommandFixture.withReadings()
    try fixture.ingestReadings()
    let spine = try fixture.write(
      "spine.csv", "sensor,t\nb,2026-01-05T00:00:00Z\na,2026-01-02T00:00:00Z\n,\n")
    return (fixture, spine)
  }

  private func expectSuccess(
    _ fixture: CommandFixture, _ line: String
  ) throws -> CommandFixture.Result {
    let result = try fixture.run(line.split(separator: " ").map(String.init))
    #expect(result.status == 0, "\(line): \(result.errors)")
    return result
  }

  @Test func standardOutputHasTheRowsAndNothingElse() throws {
    let (fixture, spine) = try filled()
    let result = try expectSuccess(
      fixture,
      "training-set --spine \(spine) --time t --feature readings:value --output - --format csv")
    #expect(
      result.output
        == "sensor,t,value\nb,2026-01-05T00:00:00Z,2\na,2026-01-02T00:00:00Z,1\n,,\n")
    #expect(result.errors.contains("3 rows x 3 columns"))
    let keys = try expectSuccess(
      fixture,
      "training-set --all-keys --at 2026-01-02 --feature readings:value --output - --format csv")
    #expect(
      keys.output
        == "sensor,event_time,value\na,2026-01-02T00:00:00Z,1\nb,2026-01-02T00:00:00Z,2\n")
    let changes = try expectSuccess(
      fixture,
      "training-set --changes 2026-01-02..2026-01-04 --time when --feature readings:value --output - "
        + "--format csv --strict")
    #expect(
      changes.output
        == "sensor,when,value\nb,2026-01-02T00:00:00Z,\na,2026-01-03T00:00:00Z,1\n")
    let records = try fixture.run(
      "training-set", "--spine-group", "readings", "--where", "value >= 2", "--spine-feature",
      "value",
      "--feature", "readings:value=same", "--output", "-", "--format", "csv")
    #expect(
      records.output
        == "sensor,at,value,same\na,2026-01-03T00:00:00Z,3,3\nb,2026-01-02T00:00:00Z,2,2\n")
  }

  @Test(
    .enabled(
      if: CommandFixture.hasPeers, "'scripts/bootstrap --peers' installs PyIceberg and DuckDB"))
  func pythonReadsEveryForm() throws {
    let (fixture, spine) = try filled()
    let common = "training-set --spine \(spine) --time t --feature readings:value"
    for output in ["set.parquet", "set.arrow", "set.csv", "folder --partition-by sensor"] {
      _ = try expectSuccess(fixture, "\(common) --output \(fixture.path(output))")
    }
    let script = """
      import subprocess, sys, duckdb, pyarrow as pa, pyarrow.csv, pyarrow.feather, pyarrow.parquet
      command, base = sys.argv[1], sys.argv[2]
      stream = subprocess.Popen(sys.argv[1:2] + sys.argv[3:], stdout=subprocess.PIPE)
      tables = [pa.ipc.open_stream(stream.stdout).read_all(),
                pa.parquet.read_table(base + "/set.parquet"),
                pa.feather.read_table(base + "/set.arrow", memory_map=True)]
      assert stream.wait() == 0
      for found in tables:
          assert found.column_names == ["sensor", "t", "value"], found.schema
          assert found["sensor"].to_pylist() == ["b", "a", None], found
          assert found["value"].to_pylist() == [2, 1, None], found
          assert str(found.schema.field("t").type) == "timestamp[us, tz=UTC]", found.schema
          rows = duckdb.sql("select sensor, value from found order by value").fetchall()
          assert rows == [("a", 1), ("b", 2), (None, None)], rows
      rows = duckdb.sql(f"select sensor, value from read_parquet('{base}/folder/**/*.parquet', "
                        "hive_partitioning=true) order by value").fetchall()
      assert rows[:2] == [("a", 1), ("b", 2)], rows
      assert rows[2][1] is None, rows
      print("the same")
      """
    let file = try fixture.write("read.py", script)
    let arguments =
      [file, CommandFixture.command.path, fixture.directory.path, "--store", fixture.store]
      + common.split(separator: " ").map(String.init) + [
        "--output", "-", "--format", "arrow-stream",
      ]
    // The store's option comes after the command's name.
    let ordered = Array(arguments[..<3]) + Array(arguments[5...]) + Array(arguments[3..<5])
    let result = try CommandFixture.run(CommandFixture.python, ordered)
    #expect(result.status == 0 && result.output.contains("the same"), "\(result.errors)")
  }

  @Test func aTrainingSetHasALife() throws {
    let (fixture, spine) = try filled()
    let output = fixture.path("set.parquet")
    let created = try expectSuccess(
      fixture,
      "training-set create first --spine \(spine) --time t --feature readings:value --output \(output) "
        + "--json"
    ).json()
    #expect(created["training_set"]?["is_complete"]?.boolValue == true)
    let hash = try #require(created["training_set"]?["sha256"]?.stringValue)
    let sum = try CommandFixture.run(URL(filePath: "/usr/bin/sha256sum"), [output])
    #expect(sum.output.hasPrefix(hash))

    #expect(try fixture.run("put", "readings", "sensor=a", "at=2026-01-02", "value=9").status == 0)
    #expect(try fixture.run("flush").status == 0)
    #expect(try fixture.run("optimize", "--all", "--rewrite-all").status != 70)
    let vacuum = try fixture.run(
      "vacuum", "--all", "--max-snapshot-age", "0s", "--older-than", "1d")
    #expect(vacuum.status == 0, "\(vacuum.errors)")
    let listed = try expectSuccess(fixture, "training-set list --json").json().arrayValue
    #expect(listed?.map { $0["name"]?.stringValue } == ["first"])
    let described = try expectSuccess(fixture, "training-set describe first --json").json()
    #expect(described["rows"]?.int64Value == 3)
    #expect(described["snapshots"]?["readings"]?.int64Value != nil)
    let again = fixture.path("again.parquet")
    let made = try expectSuccess(
      fixture, "training-set reproduce first --output \(again) --json"
    ).json()
    #expect(made["is_identical"]?.boolValue == true)
    #expect(FileManager.default.contentsEqual(atPath: output, andPath: again))

    // Checked by what it was made of: its output, or a copy of it.
    for file in ["", " \(again)"] {
      let audit = try expectSuccess(fixture, "training-set audit\(file) --set first --json").json()
      #expect(audit["differing_cells"]?.int64Value == 0 && audit["rows"]?.int64Value == 3)
      let cells = try expectSuccess(
        fixture, "training-set explain\(file) --set first --row 0 --json"
      ).json()
      #expect(cells.arrayValue?.count == 1)
    }
    #expect(try fixture.run("training-set", "audit").status == 64)
    #expect(try fixture.run("training-set", "audit", "--set", "first", "--strict").status == 64)
    #expect(try fixture.run("training-set", "audit", "--set", "second").status == 68)

    #expect(try fixture.run("training-set", "delete", "first").status == 64)
    _ = try expectSuccess(fixture, "training-set delete first --yes")
    #expect(try fixture.run("training-set", "describe", "first").status == 68)
    #expect(try expectSuccess(fixture, "training-set list --json").json().arrayValue == [])
  }

  @Test func splitsAndVersionsByTheCommand() throws {
    let (fixture, spine) = try filled()
    let base = "training-set --spine \(spine) --time t --feature readings:value --json"
    let split = try expectSuccess(
      fixture,
      "\(base) --output \(fixture.path("s.csv")) --split train=0.5,test=0.5 --split-by sensor "
        + "--split-seed 3"
    ).json()
    #expect(split["parts"]?.arrayValue?.count == 2)
    let timed = try expectSuccess(
      fixture, "\(base) --output \(fixture.path("t.csv")) --split-at 2026-01-03"
    ).json()
    #expect(timed["parts"]?.arrayValue?.compactMap { $0["rows"]?.int64Value } == [1, 2])
    let train = try String(contentsOfFile: fixture.path("t-train.csv"), encoding: .utf8)
    #expect(train == "sensor,t,value\na,2026-01-02T00:00:00Z,1\n")
    let young = try expectSuccess(
      fixture, "\(base) --output \(fixture.path("y.csv")) --as-of 2001-01-01"
    ).json()
    #expect(young["groups"]?.arrayValue?.first?["is_younger"]?.boolValue == true)
    let text = try expectSuccess(
      fixture,
      "training-set --spine \(spine) --time t --feature readings:value --as-of readings=2001-01-01 "
        + "--output \(fixture.path("z.csv"))"
    ).output
    #expect(text.contains("younger"))
  }

  @Test(arguments: [
    "", "--spine a.csv", "--spine a.csv --all-keys --at 2026-01-01",
    "--spine a.csv --where x=1", "--all-keys", "--changes 2026-01-01",
    "--changes 2026-01-01..soon", "--all-keys --at soon", "--spine-group readings --time t",
    "--spine a.csv --time t --at 2026-01-01", "--spine a.csv --time t --keys-of readings",
    "--spine a.csv --time t --spine-feature value", "--spine a.csv --time t --split train=1",
    "--spine a.csv --time t --split train,test --split-by sensor",
    "--spine a.csv --time t --split train=a,test=b --split-by sensor",
    "--spine a.csv --time t --split-by sensor",
    "--spine a.csv --time t --split train=0.5,test=0.5 --split-by sensor --split-at 2026-01-01",
    "--spine a.csv --time t --format csv", "--spine a.csv --time t --time-of t",
    "--spine a.csv --time t --as-of a=", "--spine a.csv --time t --as-of a --as-of b",
    "--spine a.csv --time t --visibility all", "--spine a.csv --time t --rows-per-file 0",
  ])
  func wrongOptionsAreExplained(options: String) throws {
    let fixture = try CommandFixture.withReadings()
    let line = "training-set \(options) --feature readings:value --output \(fixture.path("o.csv"))"
    let result = try fixture.run(line.split(separator: " ").map(String.init))
    #expect(result.status == 64, "\(options): \(result.errors)")
    #expect(result.errors.hasPrefix("error: "))
  }

  @Test(arguments: ["", " --format parquet", " --format csv --rows-per-file 3"])
  func standardOutputTakesWhatStreams(options: String) throws {
    let (fixture, spine) = try filled()
    let line =
      "training-set --spine \(spine) --time t --feature readings:value --output -\(options)"
    let result = try fixture.run(line.split(separator: " ").map(String.init))
    #expect(result.status == 64, "\(result.errors)")
    #expect(result.output.isEmpty)
  }
}
