import Columnar
import Iceberg
import JSON
import Testing

/// Tables of format version 3, which PyIceberg 0.12 and DuckDB 1.5.5 read: by every transform, after
/// maintenance, and with a past in versions 1 and 2.
@Suite(.enabled(if: Peer.isThere, Peer.hint)) struct Version3Tests {
  /// Three types of each transform, or all that it takes.
  static let partitions: [PartitionCase] = Dictionary(
    grouping: PartitionCase.all, by: \.transform.text
  ).sorted { $0.key < $1.key }.flatMap { _, cases in
    cases.enumerated().filter { $0.offset % max(1, cases.count / 3) == 0 }.map(\.element)
  }

  private func appended(
    _ columns: [AllTypes.Sample], _ spec: PartitionSpec, properties: [String: String] = [:]
  ) throws -> (InteropFixture, [JSONValue]) {
    let fixture = try InteropFixture()
    var table = try fixture.create(
      "db.t", AllTypes.schema(columns), spec: spec, properties: properties, formatVersion: 3)
    var all: [JSONValue] = []
    for append in Int64(0)..<3 {
      let rows = AllTypes.random(8, firstID: append * 8, seed: UInt64(append + 31), columns)
      table = try table.appending(rows)
      all += rows
    }
    return (fixture, all)
  }

  @Test(arguments: partitions) func everyTransform(_ partition: PartitionCase) throws {
    let columns = [partition.sample]
    let spec = PartitionSpec(fields: [
      PartitionField(sourceID: 2, fieldID: 1000, name: "part", transform: partition.transform)
    ])
    let (fixture, all) = try appended(columns, spec)
    try fixture.expectRows("db.t", all, "as written", columns: columns)
    try fixture.expectSameAnswers(
      "db.t", partition.conditions(3, seed: 61), engines: partition.readers)
    #expect(try fixture.optimize("db.t").rewrittenFileCount > 1)
    try fixture.expectRows("db.t", all, "after the compaction", columns: columns)
    #expect(try fixture.vacuum("db.t").expiredSnapshotCount > 2)
    try fixture.expectRows("db.t", all, "after the vacuum", columns: columns)
  }

  private func id(_ row: JSONValue) -> Int64 { row.arrayValue?[0].int64Value ?? -1 }

  /// By the row's own id: what identifies it for ever, and when it changed.
  private func lineage(_ table: Table) throws -> [Int64: [JSONValue]] {
    let rows = try table.rows { scan in
      scan.columns = ["id", "_row_id", "_last_updated_sequence_number"]
    }
    return Dictionary(uniqueKeysWithValues: rows.map { (id($0), $0.arrayValue ?? []) })
  }

  @Test(arguments: [DeleteRows.Mode.copyOnWrite, .mergeOnRead])
  func rowIDsStayThroughDeletesAndMaintenance(mode: DeleteRows.Mode) throws {
    let columns = Array(AllTypes.primitives.prefix(4))
    let spec = PartitionSpec(fields: [
      PartitionField(sourceID: 1, fieldID: 1000, name: "part", transform: .bucket(2))
    ])
    let (fixture, all) = try appended(
      columns, spec, properties: ["write.delete.mode": mode.rawValue])
    let before = try lineage(try fixture.load("db.t"))
    #expect(Set(before.values.map { $0[1] }).count == all.count)
    #expect(Set(before.values.compactMap { $0[1].int64Value }) == Set(0..<Int64(all.count)))
    try fixture.load("db.t").deleteRows(where: .isIn("id", [.long(0), .long(9), .long(23)]))
    let kept = all.filter { ![0, 9, 23].contains(id($0)) }
    let expected = before.filter { ![0, 9, 23].contains($0.key) }
    try fixture.expectRows("db.t", kept, "after the deletion")
    #expect(try lineage(try fixture.load("db.t")) == expected)
    try fixture.optimize("db.t")
    try fixture.expectRows("db.t", kept, "after the compaction")
    #expect(try lineage(try fixture.load("db.t")) == expected)
    try fixture.vacuum("db.t")
    try fixture.expectRows("db.t", kept, "after the vacuum")
    #expect(try lineage(try fixture.load("db.t")) == expected)
    // Rows that come later get ids of their own.
    try fixture.load("db.t").appending(AllTypes.random(5, firstID: 100, seed: 34, columns))
    let later = try lineage(try fixture.load("db.t")).filter { $0.key >= 100 }
    let oldest = later.values.compactMap { $0[1].int64Value }.min() ?? 0
    #expect(later.count == 5 && oldest >= Int64(all.count))
  }

  /// A table that PyIceberg began in version 1 is written in 2 by both, and in 3 by us.
  @Test func aTableGoesThroughAllVersions() throws {
    let fixture = try InteropFixture()
    let columns = Array(AllTypes.primitives.prefix(4))
    var all: [JSONValue] = []
    func next(_ count: Int) -> [JSONValue] {
      let rows = AllTypes.random(
        count, firstID: Int64(all.count), seed: UInt64(all.count + 1), columns)
      all += rows
      return rows
    }
    func upgrade(to version: Int) throws {
      var commit = try fixture.load("db.t").newCommit()
      commit.upgradeFormatVersion(to: version)
      #expect(try commit.commit().table.metadata.formatVersion == version)
    }
    try fixture.createByPeer(
      "db.t", AllTypes.schema(columns), properties: ["format-version": "1"])
    try fixture.appendByPeer("db.t", next(6))
    try fixture.appendByPeer("db.t", next(6))
    try fixture.expectRows("db.t", all, "version 1")
    try upgrade(to: 2)
    try fixture.appendByPeer("db.t", next(6))
    try fixture.load("db.t").appending(next(6))
    try fixture.expectRows("db.t", all, "version 2")
    try fixture.load("db.t").deleteRows(where: .comparison("id", .equal, .long(3)))
    all.removeAll { id($0) == 3 }
    try fixture.expectRows("db.t", all, "version 2, a row deleted")
    try upgrade(to: 3)
    try fixture.expectRows("db.t", all, "version 3, as it came")
    try fixture.load("db.t").appending(
      AllTypes.random(6, firstID: 500, seed: 77, columns))
    all += AllTypes.random(6, firstID: 500, seed: 77, columns)
    try fixture.expectRows("db.t", all, "version 3")
    try fixture.load("db.t").deleteRows(where: .isIn("id", [.long(7), .long(501)]))
    all.removeAll { [7, 501].contains(id($0)) }
    try fixture.expectRows("db.t", all, "version 3, rows deleted")
    let before = try lineage(try fixture.load("db.t"))
    #expect(Set(before.values.map { $0[1] }).count == all.count)
    try fixture.optimize("db.t")
    try fixture.vacuum("db.t")
    try fixture.expectRows("db.t", all, "version 3, after maintenance")
    #expect(try lineage(try fixture.load("db.t")) == before)
  }
}
