import Columnar
import FeatureModel
import FeatureStore
import Foundation
import Iceberg
import Storage
import TestSupport
import Testing

/// Parts of training sets: no key and no future crosses.
@Suite struct SplitTests {
  private typealias Fixture = TrainingSetFixture

  /// The hash is the one that the specification gives examples of, and seeds are Murmur3's own.
  @Test func theHashIsMurmur3() {
    func hash(_ text: String, seed: UInt32) -> UInt32 {
      Murmur3.hash(Array(text.utf8).rawSpan, seed: seed)
    }
    #expect(Murmur3.hash(34, seed: 0) == 2_017_239_379)
    #expect(hash("iceberg", seed: 0) == 1_210_000_089)
    #expect(hash("Hello, world!", seed: 0x9747_B28C) == 0x2488_4CBA)
    #expect(hash("", seed: 1) == 0x514E_28B7)
  }

  private func spine(
    _ fixture: Fixture, _ name: String, _ rows: [(key: String?, other: Int, time: String)]
  ) throws -> String {
    try fixture.write(
      name,
      (["sensor,other,t"] + rows.map { "\($0.key ?? ""),\($0.other),\($0.time)" })
        .joined(separator: "\n"))
  }

  private func parts(
    _ fixture: Fixture, _ request: TrainingSetRequest
  ) throws -> [String: [String]] {
    var request = request
    request.replacesOutput = true
    let report = try fixture.store.extractTrainingSet(request)
    var parts: [String: [String]] = [:]
    for (part, file) in zip(report.parts, report.files) {
      #expect(file.name.hasSuffix("set-\(part.name).csv"))
      let text = try String(contentsOfFile: file.name, encoding: .utf8)
      parts[part.name] = text.split(separator: "\n").dropFirst().map(String.init)
      #expect(parts[part.name]?.count == part.rowCount)
    }
    return parts
  }

  @Test(arguments: 1...12 as ClosedRange<UInt64>)
  func noKeyIsInTwoPartsAndOrderIsKept(seed: UInt64) throws {
    var random = SeededGenerator(seed: seed)
    let fixture = try Fixture()
    try fixture.put("k1", 1, 1)
    try fixture.store.flush()
    let rows = (0..<2000).map { index in
      let key = Int.random(in: 0..<300, using: &random)
      return (
        key: key == 0 ? nil : "k\(key)", other: index,
        time: Fixture.hour(Int.random(in: 0..<24, using: &random))
      )
    }
    var request = fixture.request(.files([try spine(fixture, "spine.csv", rows)]))
    let shares = [
      TrainingSetSplit.Share(name: "train", share: 0.7),
      TrainingSetSplit.Share(name: "test", share: 0.2),
      TrainingSetSplit.Share(name: "rest", share: 0.1),
    ]
    request.split = .byKey(columns: ["sensor"], shares: shares, seed: UInt32(seed % 3))
    let first = try parts(fixture, request)
    var partOfKey: [String: String] = [:]
    for (part, lines) in first {
      var last = -1
      for line in lines {
        let fields = line.split(separator: ",", omittingEmptySubsequences: false)
        let key = String(fields[0])
        #expect(partOfKey[key, default: part] == part, "\(key), seed \(seed)")
        partOfKey[key] = part
        let number = try #require(Int(fields[1]))
        #expect(number > last, "order, seed \(seed)")
        last = number
      }
    }
    #expect(first.values.reduce(0) { $0 + $1.count } == rows.count)
    let trainKeys = partOfKey.values.filter { $0 == "train" }.count
    #expect((150...260).contains(trainKeys), "\(trainKeys) of \(partOfKey.count), seed \(seed)")

    // Other rows of the same keys: the same parts.
    request.spine = .files([try spine(fixture, "spine.csv", rows.reversed().dropLast(500))])
    for (part, lines) in try parts(fixture, request) {
      for line in lines {
        let key = String(line.split(separator: ",", omittingEmptySubsequences: false)[0])
        #expect(partOfKey[key] == part, "\(key), seed \(seed)")
      }
    }
  }

  @Test func keysOfSeveralColumnsAreTuplesAndTypesDoNotMatter() throws {
    let fixture = try Fixture()
    try fixture.put("a", 1, 1)
    try fixture.store.flush()
    var rows: [(key: String?, other: Int, time: String)] = []
    for number in 0..<200 { rows.append(("a", number, Fixture.hour(3))) }
    var request = fixture.request(.files([try spine(fixture, "spine.csv", rows)]))
    let shares = [
      TrainingSetSplit.Share(name: "train", share: 0.5),
      TrainingSetSplit.Share(name: "test", share: 0.5),
    ]
    request.split = .byKey(columns: ["sensor", "other"], shares: shares)
    let both = try parts(fixture, request)
    #expect(both.values.allSatisfy { (70...130).contains($0.count) })
    request.split = .byKey(columns: ["other"], shares: shares)
    let one = try parts(fixture, request)
    #expect(one != both)
    // As an int instead of a long.
    let long = RecordBatch(
      schema: Schema([Field("sensor", .string), Field("other", .int32), Field("t", .int64)]),
      columns: [
        .nulls(.string, count: 200),
        Column(type: .int32, count: 200, buffers: [Buffer(copying: (0..<200).map { Int32($0) })]),
        .nulls(.int64, count: 200),
      ], rowCount: 200)
    var typed = request
    typed.spine = .batches([
      RecordBatch(
        schema: Schema([
          Field("sensor", .string), Field("other", .int32), Field("t", .timestamp(isUTC: true)),
        ]),
        columns: [long.columns[0], long.columns[1], .nulls(.timestamp(isUTC: true), count: 200)],
        rowCount: 200)
    ])
    func others(_ parts: [String: [String]]) -> [String: [Substring]] {
      parts.mapValues { $0.map { $0.split(separator: ",", omittingEmptySubsequences: false)[1] } }
    }
    #expect(try others(parts(fixture, typed)) == others(one))
  }

  @Test(arguments: 1...8 as ClosedRange<UInt64>)
  func theFutureIsNeverInAnEarlierPart(seed: UInt64) throws {
    var random = SeededGenerator(seed: seed)
    let fixture = try Fixture()
    for _ in 0..<60 {
      try fixture.put(
        "k\(Int.random(in: 0..<5, using: &random))", Int.random(in: 0..<24, using: &random),
        Int.random(in: 0..<100, using: &random))
    }
    try fixture.store.flush()
    // The value that is used is the hour of the event: one group says when its value was.
    try fixture.store.createGroup(
      FeatureGroup(
        id: 0, name: "stamps", recordIdentifiers: [Feature("sensor", .string)],
        eventTimeName: "at", features: [Feature("happened", .timestamp)]))
    for hour in 0..<24 {
      for key in 0..<5 where Bool.random(using: &random) {
        try fixture.store.put(
          "stamps",
          fields: [
            "sensor": "k\(key)", "at": Fixture.hour(hour), "happened": Fixture.hour(hour),
          ])
      }
    }
    try fixture.store.flush()
    var lines = ["sensor,t,u"]
    func moment() -> String {
      let hour = Int.random(in: -1..<24, using: &random)
      return hour < 0 ? "" : Fixture.hour(hour)
    }
    for _ in 0..<500 {
      lines.append("k\(Int.random(in: 0..<6, using: &random)),\(moment()),\(moment())")
    }
    let spine = try fixture.write("spine.csv", lines.joined(separator: "\n"))
    var request = fixture.request(
      .files([spine]), features: "stamps:happened=at_t", "stamps:happened=at_u,time=u")
    let cuts = [Fixture.hour(8), Fixture.hour(16)]
    request.split = .byTime(try cuts.map { try FeatureStore.moment($0) })
    let found = try parts(fixture, request)
    #expect(found.values.reduce(0) { $0 + $1.count } == 500)
    for (part, cut) in [("train", cuts[0]), ("validation", cuts[1])] {
      let rows = try #require(found[part])
      #expect(rows.count > 5, "seed \(seed)")
      for row in rows {
        let fields = row.split(separator: ",", omittingEmptySubsequences: false)
        #expect(fields[1...2].allSatisfy { !$0.isEmpty && $0 < cut }, "\(row), seed \(seed)")
        #expect(fields[3...4].allSatisfy { $0.isEmpty || $0 < cut }, "\(row), seed \(seed)")
      }
    }
    let late = try #require(found["validation"]).filter { row in
      row.split(separator: ",", omittingEmptySubsequences: false)[1...2].contains { $0 >= cuts[0] }
    }
    #expect(late.count == found["validation"]?.count, "the earlier rows are in train")
  }

  @Test func splitsThatMakeNoSenseAreRefused() throws {
    let fixture = try Fixture()
    let spine = try fixture.write("spine.csv", "sensor,x,t", "a,1.5,2026-01-02T03:00:00Z")
    func share(_ name: String, _ share: Double) -> TrainingSetSplit.Share {
      TrainingSetSplit.Share(name: name, share: share)
    }
    let half = [share("a", 0.5), share("b", 0.5)]
    let wrong: [TrainingSetSplit] = [
      .byKey(columns: [], shares: half), .byKey(columns: ["nothing"], shares: half),
      .byKey(columns: ["x"], shares: half), .byKey(columns: ["sensor"], shares: [share("a", 1)]),
      .byKey(columns: ["sensor"], shares: [share("a", 0.5), share("b", 0.6)]),
      .byKey(columns: ["sensor"], shares: [share("a", -0.5), share("b", 1.5)]),
      .byKey(columns: ["sensor"], shares: [share("a", 0.5), share("A", 0.5)]),
      .byKey(columns: ["sensor"], shares: [share("../a", 0.5), share("b", 0.5)]),
      .byKey(columns: ["sensor"], shares: [share("a", .nan), share("b", 0.5)]), .byTime([]),
      .byTime([2, 1]), .byTime([1, 1]), .byTime([1, 2, 3]),
    ]
    for split in wrong {
      var request = fixture.request(.files([spine]))
      request.split = split
      do {
        _ = try fixture.store.extractTrainingSet(request)
        Issue.record("accepted \(split)")
      } catch {
        #expect([.invalidArgument, .notFound, .invalidInput].contains(error.code), "\(error)")
      }
      #expect(try fixture.contents() == ["spine.csv"])
    }
  }
}
