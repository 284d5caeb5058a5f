import Columnar
import FeatureModel
import FeatureStore
import Foundation
import Iceberg
import Storage
import TestSupport
import Testing

/// Features of all types, in files of all shapes: whichever of them are asked for, and whatever of the files is left
/// out for it, each value is that of the record that won.
@Suite struct RandomFeatureTests {
  private struct Put {
    var key: Int
    var eventTime: Int64
    var isDeleted: Bool
  }

  /// A group of one key with random features, and what was put into it: each feature's values as text, in the order
  /// of the log.
  private struct History {
    let fixture: TrainingSetFixture
    let features: [Feature]
    var puts: [Put] = []
    var texts: [[String]]
    let keyCount: Int

    init(_ random: inout SeededGenerator) throws {
      fixture = try TrainingSetFixture(isDurable: false)
      features = (0...random.below(7)).map { Feature("f\($0)", random.featureType()) }
      texts = features.map { _ in [] }
      keyCount = 1 + random.below(400)
      try fixture.store.createGroup(
        FeatureGroup(
          id: 0, name: "g", recordIdentifiers: [Feature("k", .long)], eventTimeName: "at",
          features: features + [Feature("filler", .binary)]))
      // Small files are read as a whole, others by pages.
      let isLarge = !random.oneIn(3)
      var properties = [
        "write.parquet.page-row-limit": "\([10, 100, 1000][random.below(3)])",
        "write.parquet.row-group-limit": "\([300, 1_000_000][random.below(2)])",
        "write.parquet.page-size-bytes": "\([500, 1 << 20][random.below(2)])",
      ]
      if isLarge {
        properties["write.parquet.compression-codec"] = "uncompressed"
        properties["write.parquet.dict-size-bytes"] = "1"
      }
      var commit = try fixture.store.offlineTable("g").newCommit()
      commit.setProperties(properties)
      _ = try commit.commit()
      let isInOrder = !random.oneIn(4)
      let narrow = features.map { _ in random.oneIn(2) }
      for _ in 0...random.below(3) {
        try put(1 + random.below(1200), isInOrder: isInOrder, isLarge: isLarge, narrow, &random)
        _ = try fixture.store.flush()
      }
      if random.oneIn(3) {
        _ = try fixture.store.optimize("g", options: ["min-input-files": "2"])
      }
    }

    private mutating func put(
      _ count: Int, isInOrder: Bool, isLarge: Bool, _ narrow: [Bool],
      _ random: inout SeededGenerator
    ) throws {
      let group = try fixture.store.online("g")
      var columns = features.map { ValueColumnBuilder($0.type) }
      let filler = [UInt8](repeating: 7, count: 2000)
      for _ in 0..<count {
        let put = Put(
          key: random.below(keyCount),
          eventTime: isInOrder ? Int64(puts.count) : Int64(random.below(4000)),
          isDeleted: random.oneIn(20))
        puts.append(put)
        let values = features.indices.map { feature in
          put.isDeleted
            ? FeatureValue.null
            : random.featureValue(features[feature].type, isNarrow: narrow[feature])
        }
        for feature in features.indices { try columns[feature].append(values[feature]) }
        if put.isDeleted {
          try group.delete([group.key(put.key)], eventTime: put.eventTime)
        } else {
          try group.put(group.key(put.key), eventTime: put.eventTime) { row in
            for feature in values.indices { row.set(feature, values[feature]) }
            if isLarge { row.set(values.count, filler) }
          }
        }
      }
      for feature in features.indices {
        let column = columns[feature].finish()
        texts[feature] += (0..<count).map { TrainingSetFixture.text(column, $0) }
      }
    }

    /// The record that is known of a key at a time; of equal event times the later put.
    func winner(_ key: Int, _ time: Int64, timeToLive: Int64?) -> Int? {
      var best: Int?
      for (number, put) in puts.enumerated() where put.key == key && put.eventTime <= time {
        if best.map({ put.eventTime >= puts[$0].eventTime }) ?? true { best = number }
      }
      guard let best, !puts[best].isDeleted else { return nil }
      if let timeToLive, puts[best].eventTime < time - timeToLive { return nil }
      return best
    }
  }

  @Test func everyValueIsOfTheRecordThatWon() throws {
    var (found, leftOut) = (0, 0)
    for seed in 0..<setting("FSTORE_FEATURE_SEEDS", 20) {
      var random = SeededGenerator(seed: UInt64(seed))
      let history = try History(&random)
      for _ in 0..<5 {
        let (start, span) = (Int64(random.below(4000)), 1 + random.below(300))
        let (firstKey, keys) = (random.below(history.keyCount), 1 + random.below(history.keyCount))
        let labels = (0..<(1 + random.below(60))).map { _ in
          (
            key: (firstKey + random.below(keys)) % history.keyCount,
            time: start + Int64(random.below(span))
          )
        }
        let timeToLive = random.oneIn(3) ? nil : Int64(random.below(300))
        let wanted = Array(
          history.features.indices.shuffled(using: &random).prefix(1 + random.below(4)))
        var request = history.fixture.request(.batches([Self.spine(labels)]))
        request.features = wanted.map { feature in
          "g:\(history.features[feature].name)" + (timeToLive.map { ",ttl=\($0)us" } ?? "")
        }
        request.nullReasons = random.oneIn(3) ? .always : .never
        let set = try history.fixture.store.trainingSet(request)
        var rows: [[String]] = []
        while let batch = try set.next() {
          for row in 0..<batch.rowCount {
            rows.append(batch.columns.dropFirst(2).map { TrainingSetFixture.text($0, row) })
          }
        }
        let winners = labels.map { history.winner($0.key, $0.time, timeToLive: timeToLive) }
        let expected = winners.map { winner in
          wanted.map { feature in winner.map { history.texts[feature][$0] } ?? "-" }
        }
        #expect(rows == expected, "seed \(seed), \(history.features), \(wanted)")
        found += winners.count { $0 != nil }
        leftOut += Int(set.report.groups[0].notReadCount)
      }
    }
    // Without either the test would show nothing.
    #expect(found > 100 && leftOut > 100)
  }

  private static func spine(_ labels: [(key: Int, time: Int64)]) -> RecordBatch {
    var keys = FixedWidthBuilder<Int64>(.int64, zero: 0)
    var times = FixedWidthBuilder<Int64>(.timestamp(isUTC: true), zero: 0)
    for label in labels {
      keys.append(Int64(label.key))
      times.append(label.time)
    }
    return RecordBatch(
      schema: Schema([Field("k", .int64), Field("t", .timestamp(isUTC: true))]),
      columns: [keys.finish(), times.finish()], rowCount: labels.count)
  }
}
