import Columnar
import FeatureModel
import FeatureStore

// What the library's users call, above the engine: prepared groups of a feature store. Three groups of the same
// shape, ten features in about 200 bytes; every answer is checked.

struct PreparedGroups {
  static let names = ["first", "second", "third"]
  static let notes = String(repeating: "a note of forty bytes ", count: 2)

  let store: FeatureStore
  let groups: [OnlineGroup]
  let keyCount: Int

  init(_ directory: String, keyCount: Int) throws {
    var options = FeatureStore.Options()
    options.isDurable = false
    options.flushesAutomatically = false
    try FeatureStore.create(at: directory, options: options)
    let store = try FeatureStore.open(at: directory, options: options)
    let features =
      (0..<6).map { Feature("d\($0)", .double) }
      + [
        Feature("l0", .long), Feature("l1", .long), Feature("s0", .string), Feature("s1", .string),
      ]
    for name in Self.names {
      try store.createGroup(
        FeatureGroup(
          id: 0, name: name, recordIdentifiers: [Feature("id", .long)], eventTimeName: "at",
          features: features, isOffline: false))
    }
    try store.createView(
      FeatureView(
        name: "all",
        features: Self.names.flatMap { group in
          ["d0", "l0", "s0"].map {
            FeatureReference(group: group, feature: $0, outputName: "\(group)_\($0)")
          }
        }))
    self.store = store
    self.keyCount = keyCount
    groups = try Self.names.map { try store.online($0) }
  }

  /// Puts all keys of all groups; records a second.
  func load() throws -> Double {
    let start = now()
    for group in groups {
      for first in stride(from: 0, to: keyCount, by: 1000) {
        var batch = group.newBatch()
        for number in first..<min(first + 1000, keyCount) {
          try batch.put(group.key(number), eventTime: 1) { row in
            for feature in 0..<6 { row.set(feature, Double(number + feature)) }
            row.set(6, number)
            row.set(7, -number)
            row.set(8, Self.notes)
            row.set(9, Self.notes)
          }
        }
        try group.write(batch)
      }
    }
    return Double(keyCount * groups.count) / (Double(now() - start) / 1e9)
  }

  /// Three of ten features of one entity, from key to values; the nanoseconds of each.
  func gets(_ numbers: ArraySlice<Int>) throws -> [UInt64] {
    var times: [UInt64] = []
    times.reserveCapacity(numbers.count)
    for number in numbers {
      let start = now()
      let key = try groups[0].key(number)
      let isRight = try groups[0].withRecord(key) { record in
        try record.double(0) == Double(number) && record.int64(6) == Int64(number)
          && record.bytes(8)?.byteCount == Self.notes.utf8.count
      }
      times.append(now() - start)
      guard isRight == true else { fatalError("a wrong answer for \(number)") }
    }
    return times
  }

  /// The same of a hundred entities of three groups in one call, read in place.
  func batches(_ numbers: ArraySlice<Int>) throws -> [UInt64] {
    var times: [UInt64] = []
    for first in stride(from: numbers.startIndex, to: numbers.endIndex - 99, by: 100) {
      let asked = numbers[first..<first + 100]
      var count = 0
      let start = now()
      var keys: [EntityKey] = []
      keys.reserveCapacity(300)
      for group in groups { for number in asked { keys.append(try group.key(number)) } }
      try store.withRecords(keys, of: groups) { index, record in
        let number = numbers[first + index % 100]
        let isRight =
          try record.double(0) == Double(number) && record.int64(6) == Int64(number)
          && record.bytes(8)?.byteCount == Self.notes.utf8.count
        if isRight { count += 1 }
      }
      times.append(now() - start)
      guard count == 300 else { fatalError("\(count) of 300 answers are right") }
    }
    return times
  }

  /// The same as columns of a view.
  func columns(_ numbers: ArraySlice<Int>) throws -> [UInt64] {
    var times: [UInt64] = []
    for first in stride(from: numbers.startIndex, to: numbers.endIndex - 99, by: 100) {
      let start = now()
      var ids = FixedWidthBuilder(.int64, zero: Int64(0))
      for number in numbers[first..<first + 100] { ids.append(Int64(number)) }
      let answer = try store.getFeatures(
        "all",
        keys: RecordBatch(
          schema: Schema([Field("id", .int64)]), columns: [ids.finish()], rowCount: 100))
      times.append(now() - start)
      let column = answer.features.columns[7]
      let values = column.values(as: Int64.self)
      for row in 0..<100 where values[row] != Int64(numbers[first + row]) {
        fatalError("a wrong answer for \(numbers[first + row])")
      }
    }
    return times
  }
}

/// Gets and batches of prepared groups: from typed keys to typed values.
func preparedPart(_ results: inout Results) throws {
  let prepared = try PreparedGroups(directory + "/prepared", keyCount: keyCount)
  let rate = try prepared.load()
  results.note(
    "prepared load in batches of 1000", "fstore", rate, "records/s", isHigherBetter: true)
  let workload = Workload(count: keyCount)
  for round in 1...rounds {
    let numbers = workload.uniform(200_000, seed: UInt64(round))
    _ = try prepared.gets(numbers.prefix(50_000))
    let figures = [
      ("prepared get of 3 of 10 features", try prepared.gets(numbers[...])),
      ("prepared getBatch of 100 of 3 groups", try prepared.batches(numbers[...])),
      ("view of 3 groups for 100 keys as columns", try prepared.columns(numbers[...])),
    ]
    for (name, times) in figures {
      let percentiles = Percentiles(times)
      results.note(name + " p50", "fstore", percentiles.median / 1e3, "us")
      results.note(name + " p99", "fstore", percentiles.p99 / 1e3, "us")
    }
    print("prepared groups, round \(round) of \(rounds) done")
  }
  try prepared.store.close()
}
