import Columnar
import FileFormats
import Iceberg
import JSON
import Testing

/// Rows that we delete are deleted to PyIceberg and DuckDB, too.
@Suite(.enabled(if: Peer.isThere, Peer.hint)) struct DeleteInteropTests {
  private static let columns = Array(AllTypes.primitives.prefix(4))

  private func id(_ row: JSONValue) -> Int64 { row.arrayValue?[0].int64Value ?? -1 }

  @Test(arguments: [2, 3], [DeleteRows.Mode.copyOnWrite, .mergeOnRead])
  func deletedRowsAreGoneForAll(formatVersion: Int, mode: DeleteRows.Mode) throws {
    let fixture = try InteropFixture()
    let spec = PartitionSpec(fields: [
      PartitionField(sourceID: 1, fieldID: 1000, name: "part", transform: .bucket(2))
    ])
    var table = try fixture.create(
      "db.t", AllTypes.schema(Self.columns), spec: spec,
      properties: ["write.delete.mode": mode.rawValue], formatVersion: formatVersion)
    var all: [JSONValue] = []
    for append in Int64(0)..<3 {
      let rows = AllTypes.random(10, firstID: append * 10, seed: UInt64(append + 7), Self.columns)
      table = try table.appending(rows)
      all += rows
    }
    for round in Int64(0)..<2 {
      let filter: FilterExpression = .isIn("id", (0..<6).map { .long($0 * 5 + round) })
      let result = try table.deleteRows(where: filter)
      #expect(result.deletedRowCount == 6)
      table = result.table
      all.removeAll { id($0) % 5 == round }
      try fixture.expectRows("db.t", all, "\(mode.rawValue), version \(formatVersion), \(round)")
    }
    try fixture.optimize("db.t")
    try fixture.expectRows("db.t", all, "after the compaction")
  }

  @Test func equalityDeletesOfOthersLeaveOutWhatTheyLeaveOutInDuckDB() throws {
    let fixture = try InteropFixture()
    var table = try fixture.create("db.t", AllTypes.schema(Self.columns))
    let rows = AllTypes.random(20, firstID: 0, seed: 9, Self.columns)
    table = try table.appending(rows)
    let schema = Schema([Field("id", .int64, isNullable: false, fieldID: 1)])
    let location = table.metadata.dataFolder + "/equality.parquet"
    let file = try table.io.create(location)
    let writer = try ParquetWriter(file: file, schema: schema)
    try writer.write(try Canonical.batch([[3], [4], [77]], schema))
    let size = try writer.finish().fileSizeBytes
    try table.io.publish(file)
    var delete = DataFile(
      content: .equalityDeletes, path: location, recordCount: 3, fileSizeInBytes: size)
    delete.equalityIDs = [1]
    var commit = table.newCommit()
    commit.addDeletes([delete])
    table = try commit.commit().table
    let kept = rows.filter { ![3, 4].contains(id($0)) }
    expectSame(try table.rows(), kept, "ours", #_sourceLocation)
    expectSame(try fixture.read("duckdb", "db.t"), kept, "DuckDB", #_sourceLocation)
  }
}
