import Columnar
import Iceberg
import JSON
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
    let skipped = try fixture.expectSameAnswers("db.t", Condition.some(36, sample, seed: 21))
    // Narrow bounds do skip files: this is no test of filters that read all.
    #expect(skipped > 20)
  }

  @Test(arguments: AllTypes.primitives)
  func theirBoundsDoNotMisleadUs(_ sample: AllTypes.Sample) throws {
    let fixture = try InteropFixture()
    try fixture.createByPeer("db.t", AllTypes.schema([sample]))
    for rows in Self.files([sample]) { try fixture.appendByPeer("db.t", rows) }
    let skipped = try fixture.expectSameAnswers(
      "db.t", Condition.some(20, sample, seed: 22), engines: ["duckdb"])
    #expect(skipped > 20)
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
