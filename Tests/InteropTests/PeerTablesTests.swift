import Iceberg
import JSON
import Testing

/// What PyIceberg writes we read, maintain, and hand back.
@Suite(.enabled(if: Peer.isThere, Peer.hint)) struct PeerTablesTests {
  /// PyIceberg creates the table and appends; we read, compact and vacuum; all read again.
  private func expectTheSameRowsThroughout(
    _ columns: [AllTypes.Sample], partitions: [(Int32, Transform)] = [], _ appends: [[JSONValue]]
  ) throws {
    let fixture = try InteropFixture()
    try fixture.createByPeer("db.t", AllTypes.schema(columns), partitions: partitions)
    for rows in appends { try fixture.appendByPeer("db.t", rows) }
    // What PyIceberg lost when it wrote is no business of the readers.
    let all = AllTypes.asPyIcebergHasThem(appends.flatMap { $0 }, columns)
    try fixture.expectRows("db.t", all, "as written", columns: columns)
    let rewritten = try fixture.optimize("db.t")
    #expect(rewritten.rewrittenFileCount > 1 && rewritten.rowCount == Int64(all.count))
    try fixture.expectRows("db.t", all, "after the compaction", columns: columns)
    let vacuumed = try fixture.vacuum("db.t")
    #expect(vacuumed.expiredSnapshotCount >= appends.count && vacuumed.deletedFileCount > 1)
    try fixture.expectRows("db.t", all, "after the vacuum", columns: columns)
    // And PyIceberg goes on writing what we have maintained.
    let more = AllTypes.random(5, firstID: 1000, seed: 9, columns)
    try fixture.appendByPeer("db.t", more)
    try fixture.expectRows(
      "db.t", all + AllTypes.asPyIcebergHasThem(more, columns), "written on", columns: columns)
  }

  @Test func everyTypeUnpartitioned() throws {
    try expectTheSameRowsThroughout(
      AllTypes.columns,
      [
        AllTypes.random(40, seed: 5), AllTypes.random(3, firstID: 40, seed: 6),
        AllTypes.ascending(30),
      ])
  }

  @Test(arguments: PartitionCase.writtenByPeer)
  func everyTransform(_ partition: PartitionCase) throws {
    let columns = [partition.sample]
    try expectTheSameRowsThroughout(
      columns, partitions: [(2, partition.transform)],
      [AllTypes.random(14, seed: 7, columns), AllTypes.random(14, firstID: 14, seed: 8, columns)])
  }
}
