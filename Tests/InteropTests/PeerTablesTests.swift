import Iceberg
import JSON
import Testing

/// What PyIceberg writes we read, maintain, and hand back.
@Suite(.enabled(if: Peer.isThere, Peer.hint)) struct PeerTablesTests {
  /// PyIceberg creates the table and appends; we read, compact and vacuum; all read again.
  private func expectTheSameRowsThroughout(
    _ columns: [AllTypes.Sample], _ appends: [[JSONValue]], _ partition: PartitionCase? = nil
  ) throws {
    let fixture = try InteropFixture()
    var partitions: [(Int32, Transform)] = []
    if let partition { partitions.append((2, partition.transform)) }
    try fixture.createByPeer("db.t", AllTypes.schema(columns), partitions: partitions)
    for rows in appends { try fixture.appendByPeer("db.t", rows) }
    // What PyIceberg lost when it wrote is no business of the readers.
    let all = AllTypes.asPyIcebergHasThem(appends.flatMap { $0 }, columns)
    expectSame(try fixture.load("db.t").rows(), all, "as written", #_sourceLocation)
    if let partition {
      try fixture.expectSameAnswers("db.t", partition.conditions(6, seed: 24), engines: [])
    }
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
      columns,
      [AllTypes.random(14, seed: 7, columns), AllTypes.random(14, firstID: 14, seed: 8, columns)],
      partition)
  }

  @Test(arguments: PartitionCase.ofVersion1)
  func everyTransformOfVersion1(_ partition: PartitionCase) throws {
    let fixture = try InteropFixture()
    let columns = [partition.sample]
    try fixture.createByPeer(
      "db.t", AllTypes.schema(columns), partitions: [(2, partition.transform)],
      properties: ["format-version": "1"])
    let rows = AllTypes.random(14, seed: 10, columns)
    try fixture.appendByPeer("db.t", rows)
    #expect(try fixture.load("db.t").metadata.formatVersion == 1)
    expectSame(try fixture.load("db.t").rows(), rows, "as written", #_sourceLocation)
    try fixture.expectSameAnswers(
      "db.t", partition.conditions(6, seed: 23), engines: [])
  }

  @Test func everyTypeOfVersion1() throws {
    let fixture = try InteropFixture()
    try fixture.createByPeer(
      "db.t", AllTypes.schema(), properties: ["format-version": "1"])
    let rows = AllTypes.random(40, seed: 13)
    try fixture.appendByPeer("db.t", rows)
    try fixture.expectRows(
      "db.t", AllTypes.asPyIcebergHasThem(rows), columns: AllTypes.columns)
  }
}
