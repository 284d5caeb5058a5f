import Columnar
import Iceberg
import JSON
import TestSupport
import Testing

/// A filter finds the same rows whether files, row groups and partitions are skipped by it or not:
/// our bounds under the others' readers, theirs under ours.
@Suite(.enabled(if: Peer.isThere, Peer.hint)) struct FilterTests {
  /// Ten files of four rows with values that ascend, then two with any values.
  private static func files(_ columns: [AllTypes.Sample]) -> [[JSONValue]] {
    let ascending = AllTypes.ascending(40, columns)
    return stride(from: 0, to: 40, by: 4).map { Array(ascending[$0..<($0 + 4)]) } + [
      AllTypes.random(6, firstID: 100, seed: 11, columns),
      AllTypes.random(6, firstID: 200, seed: 12, columns),
    ]
  }

  @Test(arguments: AllTypes.primitives)
  func ourBoundsMisleadNobody(_ sample: AllTypes.Sample) throws {
    let fixture = try InteropFixture()
    let table = try fixture.create("db.t", AllTypes.schema([sample]))
    let files = try Self.files([sample]).flatMap { try table.writing($0) }
    _ = try table.newAppend(files).commit()
    let skipped = try fixture.expectSameAnswers("db.t", Condition.some(24, sample, seed: 21))
    // Narrow bounds do skip files: this is no test of filters that read all.
    #expect(skipped > 20)
  }

  @Test(arguments: AllTypes.primitives)
  func theirBoundsDoNotMisleadUs(_ sample: AllTypes.Sample) throws {
    let fixture = try InteropFixture()
    try fixture.createByPeer("db.t", AllTypes.schema([sample]))
    for rows in Self.files([sample]) { try fixture.appendByPeer("db.t", rows) }
    let skipped = try fixture.expectSameAnswers(
      "db.t", Condition.some(24, sample, seed: 22), engines: [])
    #expect(skipped > 20)
  }

  /// Tables of any columns under any partitioning that all engines understand, and conditions that
  /// are made of others. Floats are left out, whose NaN no two engines compare alike, and so is
  /// PyIceberg of tables with nulls: it fails where such a condition meets a null partition value.
  @Test(arguments: UInt64(1)...10)
  func anyFilterOnAnyTable(_ seed: UInt64) throws {
    var generator = SeededGenerator(seed: seed)
    let candidates = PartitionCase.all.filter {
      $0.readers.count == 2 && $0.sample.type != .float && $0.sample.type != .double
        && ![.void, .year, .month].contains($0.transform)
    }
    let hasNulls = seed % 2 == 0
    let engines = hasNulls ? ["duckdb"] : ["pyiceberg", "duckdb"]
    var columns: [AllTypes.Sample] = []
    var fields: [PartitionField] = []
    while columns.count < 3 {
      let partition = candidates[generator.below(candidates.count)]
      guard !columns.contains(where: { $0.name == partition.sample.name }) else { continue }
      columns.append(partition.sample)
      guard !generator.oneIn(3) else { continue }
      fields.append(
        PartitionField(
          sourceID: Int32(columns.count + 1), fieldID: Int32(1000 + fields.count),
          name: "p\(fields.count)", transform: partition.transform))
    }
    let fixture = try InteropFixture()
    var table = try fixture.create(
      "db.t", AllTypes.schema(columns), spec: PartitionSpec(fields: fields))
    for append in 0..<3 {
      let rows = AllTypes.random(
        8, firstID: Int64(append * 8), seed: generator.next(), hasNulls: hasNulls, columns)
      table = try table.appending(rows)
    }
    let conditions = (0..<16).map { _ in Condition.random(columns, depth: 3, &generator) }
    try fixture.expectSameAnswers("db.t", conditions, engines: engines)
    try fixture.optimize("db.t")
    try fixture.expectSameAnswers("db.t", conditions, engines: engines)
  }
}

extension InteropFixture {
  /// Expects each engine to find the same rows by each condition, with skipping and without.
  ///
  /// - Returns: how many files our planning skipped, over all conditions.
  @discardableResult
  func expectSameAnswers(
    _ name: String, _ conditions: [Condition], engines: [String] = ["pyiceberg", "duckdb"],
    sourceLocation: SourceLocation = #_sourceLocation
  ) throws -> Int {
    let answers = try call(
      "filters", name,
      [
        "conditions": .array(conditions.map(\.json)),
        "engines": .array(engines.map { .string($0) }),
      ])
    let table = try load(name)
    var skipped = 0
    for (condition, answer) in zip(conditions, answers.arrayValue ?? []) {
      var scan = table.newScan()
      scan.columns = ["id"]
      scan.filter = condition.expression
      let plan = try scan.planFiles()
      skipped += plan.skippedFileCount
      var own: [Int64] = []
      for task in plan.tasks {
        let file = try scan.batches(task)
        while let batch = try file.next() {
          own += Canonical.values(batch.columns[0]).compactMap(\.int64Value)
        }
      }
      let wanted = answer["matching"]?.arrayValue?.compactMap(\.int64Value)
      #expect(own.sorted() == wanted, "\(condition): ours", sourceLocation: sourceLocation)
      for engine in engines {
        #expect(
          answer["\(engine) misses"] == [], "\(condition): \(engine)",
          sourceLocation: sourceLocation)
      }
    }
    #expect(answers.arrayValue?.count == conditions.count)
    return skipped
  }
}
