import Iceberg
import JSON
import Testing

/// What we write, others read: every type, every transform, before and after maintenance.
@Suite(.enabled(if: Peer.isThere, Peer.hint)) struct OurTablesTests {
  /// Writes rows in several appends and expects them from everybody, again after a compaction and
  /// after a vacuum.
  private func expectTheSameRowsThroughout(
    _ fixture: InteropFixture, _ name: String, _ columns: [AllTypes.Sample],
    _ appends: [[JSONValue]]
  ) throws {
    for rows in appends { try fixture.load(name).appending(rows) }
    let all = appends.flatMap { $0 }
    try fixture.expectRows(name, all, "as written", columns: columns)
    let rewritten = try fixture.optimize(name)
    #expect(rewritten.rewrittenFileCount > 1 && rewritten.rowCount == Int64(all.count))
    try fixture.expectRows(name, all, "after the compaction", columns: columns)
    let vacuumed = try fixture.vacuum(name)
    #expect(vacuumed.expiredSnapshotCount >= appends.count && vacuumed.deletedFileCount > 1)
    try fixture.expectRows(name, all, "after the vacuum", columns: columns)
    #expect(
      try fixture.read("duckdb", name, ["hint": true]).count == all.count, "by the version hint")
  }

  @Test func everyTypeUnpartitioned() throws {
    let fixture = try InteropFixture()
    _ = try fixture.create("db.t", AllTypes.schema())
    try expectTheSameRowsThroughout(
      fixture, "db.t", AllTypes.columns,
      [
        AllTypes.random(40, seed: 1), AllTypes.random(3, firstID: 40, seed: 2),
        AllTypes.ascending(30),
      ])
  }

  @Test(arguments: PartitionCase.all)
  func everyTransform(_ partition: PartitionCase) throws {
    let fixture = try InteropFixture()
    let columns = [partition.sample]
    let spec = PartitionSpec(fields: [
      PartitionField(sourceID: 2, fieldID: 1000, name: "part", transform: partition.transform)
    ])
    _ = try fixture.create("db.t", AllTypes.schema(columns), spec: spec)
    try expectTheSameRowsThroughout(
      fixture, "db.t", columns,
      [AllTypes.random(14, seed: 3, columns), AllTypes.random(14, firstID: 14, seed: 4, columns)])
  }
}

/// A transform and a column that it is applied to.
struct PartitionCase: Sendable, CustomTestStringConvertible {
  var transform: Transform
  var sample: AllTypes.Sample

  var testDescription: String { "\(transform) of \(sample.type)" }

  /// Every transform with every type that it takes.
  static let all: [PartitionCase] = {
    let transforms: [Transform] = [
      .identity, .bucket(4), .truncate(3), .year, .month, .day, .hour, .void,
    ]
    return transforms.flatMap { transform in
      AllTypes.primitives.filter { transform.resultType(of: $0.type) != nil }
        .map { PartitionCase(transform: transform, sample: $0) }
    }
  }()

  /// Those that PyIceberg 0.12 can write: it cannot group rows by UUIDs, hash times, truncate large
  /// binaries or split off a partition of NaN.
  static let writtenByPeer: [PartitionCase] = all.compactMap { partition in
    switch (partition.transform, partition.sample.type) {
    case (.identity, .uuid), (.void, .uuid), (.bucket, .time), (.truncate, .binary): return nil
    case (.identity, .float), (.identity, .double):
      var partition = partition
      partition.sample.values.removeAll { $0 == "nan" }
      return partition
    default: return partition
    }
  }
}
