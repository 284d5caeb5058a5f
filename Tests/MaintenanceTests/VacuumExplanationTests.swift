import Foundation
import Iceberg
import JSON
import Storage
import Testing

/// Who holds the space of a table, and why each of its files stays or goes.
@Suite struct VacuumExplanationTests {
  private struct Setting {
    let fixture: MaintenanceFixture
    let table: Table
    let names: [String]
  }

  /// Five appends, of which the second is tagged, the third has a branch, and then a compaction by hand: the current
  /// snapshot has one file of 1,000 bytes. Beside them an old orphan, a young one and a hidden file.
  private func setting() throws -> Setting {
    let fixture = try MaintenanceFixture()
    var table = try fixture.table()
    for index in 0..<5 { table = try fixture.append("f\(index)", to: table) }
    let ids = table.metadata.snapshots.map(\.snapshotID)
    var commit = table.newCommit()
    commit.createTag("training", snapshotID: ids[1])
    commit.createBranch("audit", snapshotID: ids[2])
    table = try commit.commit().table
    fixture.clock.advance(milliseconds: 1000)
    let merged = try fixture.file("merged", in: table, rows: 50)
    var replace = table.newCommit()
    replace.replace(
      try table.dataFiles(), with: [merged], startingSnapshotID: try #require(ids.last))
    table = try replace.commit().table
    try fixture.write("data/old.parquet", in: table, days: 30)
    try fixture.write("data/young.parquet", in: table, days: 0.5)
    try fixture.write("data/_hidden.parquet", in: table, days: 30)
    return Setting(fixture: fixture, table: table, names: try fixture.files(of: table).sorted())
  }

  private func plan(_ table: Table, keep: Int64, explains: Bool = true) throws -> VacuumPlan {
    var options = VacuumOptions()
    options.olderThanMilliseconds = .max
    options.retainLast = keep
    options.explainsFiles = explains
    return try Vacuum(table, options: options).plan()
  }

  @Test func everyFileSaysWhyItStaysOrGoes() throws {
    let setting = try setting()
    let plan = try plan(setting.table, keep: 2)
    let why = Dictionary(uniqueKeysWithValues: plan.explanations.map { ($0.name, $0) })
    // Hidden names too, which the fixture's list leaves out only where they begin with a dot.
    #expect(why.keys.sorted() == setting.names)
    #expect(Set(plan.files.map(\.name)) == Set(why.values.filter { !$0.stays }.map(\.name)))
    for (name, stays, text) in [
      ("data/merged.parquet", true, "live: the current snapshot refers to it"),
      ("data/f0.parquet", true, "the head of branch 'audit' refers to it"),
      ("data/f2.parquet", true, "the head of branch 'audit' refers to it"),
      ("data/f3.parquet", true, "snapshot"),
      ("data/old.parquet", false, "nothing refers to it, and it is older"),
      ("data/young.parquet", true, "it is young"),
      ("data/_hidden.parquet", true, "hidden name"),
      ("metadata/version-hint.text", true, "the table's metadata names it"),
    ] {
      let found = try #require(why[name], "\(name)")
      #expect(found.stays == stays && found.why.contains(text), "\(name): \(found.why)")
    }
    let kept = try #require(why["data/f3.parquet"]?.why)
    #expect(kept.contains("among the least number that 'main' keeps"), "\(kept)")
    let gone = why.values.filter { !$0.stays && $0.why.contains("only snapshots that expire") }
    #expect(!gone.isEmpty && gone.allSatisfy { $0.kind == .manifestList || $0.kind == .manifest })
  }

  @Test func theSpaceIsCountedOnceAndByWhomItIsHeld() throws {
    let setting = try setting()
    let (table, fixture) = (setting.table, setting.fixture)
    func use(_ plan: VacuumPlan, _ holder: String) -> FileCounts {
      plan.use.shares.first { $0.holder == holder }?.counts ?? FileCounts()
    }
    let first = try plan(table, keep: 2, explains: false)
    #expect(first.explanations.isEmpty)
    let held = first.use.shares.reduce(0) { $0 + $1.counts.bytes }
    #expect(held == first.after.bytes && first.use.total.bytes == held + first.sizeBytes)
    #expect(first.use.shares.reduce(0) { $0 + $1.counts.files } == first.after.files)
    // Of data, the branch's head has f0 to f2, so the tag only its manifest list.
    #expect(use(first, "tag 'training'").files == 1)
    #expect(use(first, "retention").files >= 2)
    #expect(use(first, "nothing (young)").files == 1)
    let result = try Vacuum(table, options: options(keep: 2)).execute(first)
    #expect(result.after == first.after && result.use == first.use)
    #expect(result.json["held"]?.arrayValue?.count == first.use.shares.count)
    let left = try fixture.files(of: table).filter { !$0.contains("_hidden") }
    // And the metadata file that the expiry itself made.
    #expect(left.count == result.after.files + 1)
    // Without the branch, the tag holds what it names.
    var commit = try table.refresh().newCommit()
    commit.removeReference("audit")
    _ = try commit.commit()
    let second = try plan(table, keep: 1)
    #expect(use(second, "tag 'training'").files >= 3 && use(second, "retention").files == 0)
    #expect(second.explanations.first { $0.name == "data/f2.parquet" }?.stays == false)
    #expect(second.description.contains("held by"))
  }

  private func options(keep: Int64) -> VacuumOptions {
    var options = VacuumOptions()
    options.olderThanMilliseconds = .max
    options.retainLast = keep
    return options
  }

  @Test func settingsSayWhereTheyComeFrom() throws {
    let fixture = try MaintenanceFixture()
    let table = try fixture.table(properties: [
      "optimize_rewrite_delete_file_threshold": "2", "vacuum_max_snapshot_age_seconds": "3600",
      "history.expire.min-snapshots-to-keep": "7", "vacuum_max_metadata_files_to_keep": "20",
    ])
    let settings = try MaintenanceSettings(table.metadata).settings
    func value(_ name: String) -> [String?] {
      settings.first { $0.name == name }.map { [$0.value, $0.property] } ?? []
    }
    #expect(value("target-file-size-bytes") == ["536870912", nil])
    #expect(value("delete-file-threshold") == ["2", "optimize_rewrite_delete_file_threshold"])
    #expect(value("max-snapshot-age-ms") == ["3600000", "vacuum_max_snapshot_age_seconds"])
    #expect(value("min-snapshots-to-keep") == ["7", "history.expire.min-snapshots-to-keep"])
    #expect(value("metadata-files-to-keep") == ["20", "vacuum_max_metadata_files_to_keep"])
    #expect(value("max-ref-age-ms") == ["forever", nil])
    // Not below the floor of a day.
    #expect(value("older-than-ms") == ["86400000", "vacuum_max_snapshot_age_seconds"])
  }
}
