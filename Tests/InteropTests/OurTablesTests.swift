import Iceberg
import JSON
import TestSupport
import Testing

/// What we write, others read: every type, every transform, before and after maintenance.
@Suite(.enabled(if: Peer.isThere, Peer.hint)) struct OurTablesTests {
  /// Writes rows in several appends and expects them from everybody, again after a compaction and
  /// after a vacuum.
  private func expectTheSameRowsThroughout(
    _ fixture: InteropFixture, _ name: String, _ columns: [AllTypes.Sample],
    _ appends: [[JSONValue]], _ partition: PartitionCase? = nil
  ) throws {
    for rows in appends { try fixture.load(name).appending(rows) }
    let all = appends.flatMap { $0 }
    try fixture.expectRows(name, all, "as written", columns: columns)
    if let partition {
      try fixture.expectSameAnswers(
        name, partition.conditions(6, seed: 25), engines: partition.readers)
    }
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

  /// PyIceberg 0.12 reads version 3 but does not write it; DuckDB 1.5.5 knows no timestamptz_ns.
  @Test func everyTypeOfVersion3() throws {
    let fixture = try InteropFixture()
    let nanoseconds: [JSONValue] = [-1, 0, 1_709_164_800_000_000_001]
    let columns =
      AllTypes.columns + [.init(name: "c_nanos", type: .timestampNs, values: nanoseconds)]
    let all = columns + [.init(name: "c_nanostz", type: .timestamptzNs, values: nanoseconds)]
    for (name, columns) in [("db.t", columns), ("db.all", all)] {
      let table = try fixture.create(name, AllTypes.schema(columns), formatVersion: 3)
      let rows = AllTypes.random(20, seed: 15, columns)
      let more = AllTypes.random(20, firstID: 20, seed: 16, columns)
      try table.appending(rows).appending(more)
      #expect(try fixture.load(name).metadata.nextRowID == 40)
      if name == "db.t" {
        try fixture.expectRows(name, rows + more, columns: columns)
      } else {
        expectSame(try fixture.load(name).rows(), rows + more, name, #_sourceLocation)
        expectSame(
          try fixture.read("pyiceberg", name),
          AllTypes.asPyIcebergHasThem(rows + more, columns), name, #_sourceLocation)
      }
    }
  }

  /// Days and moments at the ends of their integers, five million and 292,000 years away. To DuckDB
  /// the last ones are infinite, so it is not asked.
  @Test func theEndsOfTime() throws {
    let fixture = try InteropFixture()
    let columns: [AllTypes.Sample] = [
      .init(
        name: "day", type: .date, values: [.integer(Int64(Int32.min)), .integer(Int64(Int32.max))]),
      .init(name: "local", type: .timestamp, values: [.integer(.min), .integer(.max)]),
      .init(name: "moment", type: .timestamptz, values: [.integer(.min), .integer(.max)]),
    ]
    for source in Int32(1)...4 {
      let name = "db.t\(source)"
      let spec = PartitionSpec(fields: [
        PartitionField(
          sourceID: source, fieldID: 1000, name: "part",
          transform: source == 1 ? .void : source == 2 ? .year : .day)
      ])
      let table = try fixture.create(name, AllTypes.schema(columns), spec: spec)
      let rows = AllTypes.random(12, seed: 14, columns)
      try table.appending(rows)
      expectSame(try fixture.load(name).rows(), rows, name, #_sourceLocation)
      expectSame(try fixture.read("pyiceberg", name), rows, name, #_sourceLocation)
      try fixture.optimize(name)
      expectSame(try fixture.read("pyiceberg", name), rows, name, #_sourceLocation)
      for sample in columns {
        for condition in Condition.all(sample, seed: 26) {
          let expected = rows.filter { condition.holds($0, columns) }
          let found = try fixture.load(name).rows { $0.filter = condition.expression }
          expectSame(found, expected, "\(name): \(condition)", #_sourceLocation)
        }
      }
    }
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
      [AllTypes.random(14, seed: 3, columns), AllTypes.random(14, firstID: 14, seed: 4, columns)],
      partition)
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
  /// binaries, split off a partition of NaN, or keep one of -0.0 apart from that of 0.0 (it writes
  /// the rows of both twice).
  static let writtenByPeer: [PartitionCase] = all.compactMap { partition in
    switch (partition.transform, partition.sample.type) {
    case (.identity, .uuid), (.void, .uuid), (.bucket, .time), (.truncate, .binary): return nil
    case (.identity, .float), (.identity, .double):
      var partition = partition
      partition.sample.values.removeAll { ["nan", "80000000", "8000000000000000"].contains($0) }
      return partition
    default: return partition
    }
  }

  /// One of each transform and type, of those that PyIceberg writes also in version 1.
  static let ofVersion1: [PartitionCase] = writtenByPeer.filter { $0.transform != .void }

  /// The engines that use partitions rightly. DuckDB 1.5.5 rounds times before 1970 up, hashes UUIDs
  /// as something else and cannot truncate decimals, whoever wrote the table; PyIceberg 0.12
  /// cannot compare a partition's UUID; truncated integers wrap at the lowest, which neither expects.
  var readers: [String] {
    switch (transform, sample.type) {
    case (.month, .timestamp), (.month, .timestamptz), (.day, .timestamp), (.day, .timestamptz),
      (.bucket, .uuid), (.truncate, .decimal):
      return ["pyiceberg"]
    case (.identity, .uuid): return ["duckdb"]
    case (.truncate, .int), (.truncate, .long): return []
    default: return ["pyiceberg", "duckdb"]
    }
  }

  /// Some conditions on the column. PyIceberg cannot project those on the year 1.
  func conditions(_ count: Int, seed: UInt64) -> [Condition] {
    var conditions = Condition.all(sample, seed: seed)
    if transform == .year || transform == .month {
      conditions.removeAll { $0.operands.contains(sample.values[0]) }
    }
    var generator = SeededGenerator(seed: seed)
    conditions.shuffle(using: &generator)
    return Array(conditions.prefix(count))
  }
}
