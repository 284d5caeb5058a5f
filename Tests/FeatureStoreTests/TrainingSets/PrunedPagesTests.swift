import FeatureModel
import FeatureStore
import FileFormats
import Iceberg
import TestSupport
import Testing

/// Files of which some pages alone are read: a row has one number, whatever columns are read.
@Suite struct PrunedPagesTests {
  private static let rowCount: Int64 = 2500

  private static func vector(_ row: Int64, _ length: Int) -> [Int64] {
    var random = SeededGenerator(seed: UInt64(row))
    return (0..<length).map { _ in Int64.random(in: .min ... .max, using: &random) }
  }

  /// An event a second, of as many keys, in one file of several pages, with lists beside numbers.
  private static func store(length: Int) throws -> TrainingSetFixture {
    let fixture = try TrainingSetFixture()
    try fixture.store.createGroup(
      FeatureGroup(
        id: 0, name: "vectors", recordIdentifiers: [Feature("sensor", .long)], eventTimeName: "at",
        features: [
          Feature("value", .long), Feature("vector", .list(element: .long, dimension: length)),
        ]))
    var commit = try fixture.store.offlineTable("vectors").newCommit()
    commit.setProperties(["write.parquet.page-row-limit": "200"])
    _ = try commit.commit()
    let group = try fixture.store.online("vectors")
    for row in 0..<rowCount {
      try group.put(group.key(Int(row)), eventTime: row * 1_000_000) { put in
        put.set(0, row)
        put.set(1, vector(row, length))
      }
    }
    _ = try fixture.store.flush()
    return fixture
  }

  /// - Parameter length: of the lists; of short ones the file is a small one, which is read as a whole.
  @Test(arguments: [8, 64]) func listsAreThoseOfTheRowsThatWon(length: Int) throws {
    let fixture = try Self.store(length: length)
    let times = [1000, 1007, 1900, 2499].map { Int64($0) }
    let lines = times.map { "\($0),\(ValueText.timestamp(microseconds: $0 * 1_000_000))\n" }
    let path = try fixture.write("spine.csv", "sensor,t\n" + lines.joined())
    for features in [["value"], ["vector"], ["value", "vector"]] {
      var request = fixture.request(.files([path]))
      request.features = features.map { "vectors:\($0),ttl=1m" }
      request.nullReasons = .never
      let rows = try fixture.rows(request).map { $0.split(separator: " ").dropFirst(2) }
      let expected = times.map { time in
        let list = Self.vector(time, length).map(String.init).joined(separator: ",")
        return features.map { $0 == "value" ? "\(time)" : "[\(list)]" }
      }
      #expect(rows.map { $0.map(String.init) } == expected)
    }
  }
}
