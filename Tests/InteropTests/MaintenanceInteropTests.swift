import Iceberg
import JSON
import Testing

/// Every kind of maintenance leaves the rows as they are, as we, PyIceberg and DuckDB read them.
@Suite(.enabled(if: Peer.isThere, Peer.hint)) struct MaintenanceInteropTests {
  private static let columns = Array(AllTypes.primitives.prefix(6))

  @Test(arguments: [false, true])
  func rowsAreTheSameAfterEveryOperation(isPartitioned: Bool) throws {
    let fixture = try InteropFixture()
    let spec = PartitionSpec(
      fields: isPartitioned
        ? [PartitionField(sourceID: 1, fieldID: 1000, name: "part", transform: .bucket(2))] : [])
    var table = try fixture.create(
      "db.t", AllTypes.schema(Self.columns), spec: spec,
      properties: [
        "write.delete.mode": "merge-on-read", "commit.manifest-merge.enabled": "false",
      ])
    var rows: [JSONValue] = []
    for append in Int64(0)..<5 {
      let more = AllTypes.random(
        12, firstID: append * 12, seed: UInt64(append + 5), Self.columns)
      table = try table.appending(more)
      rows += more
    }
    for id in stride(from: Int64(1), to: 60, by: 7) {
      table = try table.deleteRows(where: .comparison("id", .equal, .long(id))).table
      rows.removeAll { $0.arrayValue?[0].int64Value == id }
    }
    try fixture.expectRows("db.t", rows, "as written")
    let deletes = RewritePositionDeleteFiles(
      table, options: try .init(["min-input-files": "2"], tableProperties: table.properties))
    #expect(try deletes.execute(deletes.plan()).rewrittenCount >= 4)
    try fixture.expectRows("db.t", rows, "with fewer delete files")
    let manifests = RewriteManifests(table)
    #expect(try manifests.execute(manifests.plan()).rewrittenCount >= 5)
    try fixture.expectRows("db.t", rows, "with fewer manifests")
    for options in [
      ["sort-order": "id DESC"], ["z-order": "id", "rewrite-all": "true"], ["rewrite-all": "true"],
    ] {
      let job = try RewriteDataFiles(table, options: RewriteDataFilesOptions(options))
      let result = try job.execute(job.plan())
      #expect(result.rewrittenFileCount > 0 && result.danglingDeletesError == nil)
      try fixture.expectRows("db.t", rows, "compacted with \(options)")
    }
    // The deletes that were applied are taken out.
    let summary = try table.refresh().metadata.currentSnapshot?.summary ?? [:]
    #expect(summary["total-delete-files"] ?? "0" == "0")
    try fixture.vacuum("db.t")
    try fixture.expectRows("db.t", rows, "after the vacuum")
  }

  /// Row groups that were copied into another file are read by everybody.
  @Test func copiedRowGroupsAreReadByAll() throws {
    let fixture = try InteropFixture()
    var table = try fixture.create(
      "db.copied", AllTypes.schema(AllTypes.primitives),
      properties: ["write.parquet.row-group-limit": "40"])
    var rows: [JSONValue] = []
    for append in Int64(0)..<6 {
      let more = AllTypes.random(
        50, firstID: append * 50, seed: UInt64(append + 5), AllTypes.primitives)
      table = try table.appending(more)
      rows += more
    }
    let job = try RewriteDataFiles(table)
    let result = try job.execute(job.plan())
    #expect(result.copiedFileCount == 6 && result.addedFileCount == 1)
    try fixture.vacuum("db.copied")
    try fixture.expectRows("db.copied", rows, "copied", columns: AllTypes.primitives)
  }
}
