import Columnar
import FeatureModel
import FeatureStore
import FileFormats
import Foundation
import Storage
import Testing

/// Where a spine comes from, and that nothing of it is lost or changed.
@Suite struct SpineTests {
  private typealias Fixture = TrainingSetFixture

  /// a: 1 at 1 o'clock, 5 at 5; b: 2 at 2, deleted at 6; others: a 10 at 4.
  private func filled() throws -> Fixture {
    let fixture = try Fixture()
    try fixture.put("a", 1, 1)
    try fixture.put("b", 2, 2)
    try fixture.put("a", 5, 5)
    try fixture.delete("b", 6)
    try fixture.put("a", 4, 10, "others")
    try fixture.store.flush()
    return fixture
  }

  @Test func filesOfAllFormatsGiveTheSameRows() throws {
    let fixture = try filled()
    let csv = try fixture.write(
      "spine.csv", "label,sensor,t", "x,a,2026-01-02T03:00:00Z", "y,,2026-01-02T03:00:00Z",
      "z,b,2026-01-02T03:00:00Z", "w,a,", "v,a,2026-01-02T09:00:00Z")
    let first = fixture.request(.files([csv]), output: .file(fixture.path("s.parquet")))
    _ = try fixture.store.extractTrainingSet(first)
    let expected = [
      "x a 2026-01-02T03:00:00Z 1", "y - 2026-01-02T03:00:00Z -", "z b 2026-01-02T03:00:00Z 2",
      "w a - -", "v a 2026-01-02T09:00:00Z 5",
    ]
    #expect(try Fixture.fileRows(fixture.path("s.parquet")) == expected)
    for name in ["s.arrow", "s.arrows"] {
      _ = try fixture.store.extractTrainingSet(
        fixture.request(.files([csv]), output: .file(fixture.path(name))))
      #expect(try Fixture.fileRows(fixture.path(name)) == expected)
    }
    for name in ["s.parquet", "s.arrow"] {
      let again = try fixture.rows(
        fixture.request(.files([fixture.path(name)]), features: "readings:value=again"))
      #expect(again == expected.map { $0 + " " + $0.split(separator: " ")[3] })
    }
    let json = try fixture.write(
      "spine.jsonl", #"{"label":"x","sensor":"a","t":"2026-01-02T03:00:00Z"}"#,
      #"{"label":"y","sensor":null,"t":"2026-01-02T03:00:00Z"}"#)
    #expect(try fixture.rows(fixture.request(.files([json]))) == Array(expected[..<2]))
  }

  @Test func filesAndFoldersFollowOneAnotherInTheOrderOfTheirPaths() throws {
    let fixture = try filled()
    func spine(_ name: String, _ lines: String...) throws -> String {
      try fixture.write(
        name, "n,sensor,t",
        lines.map { $0 + ",2026-01-02T09:00:00Z" }.joined(separator: "\n"))
    }
    _ = try spine("in/b.csv", "3,a")
    _ = try spine("in/a/z.csv", "1,a", "2,b")
    _ = try spine("in/_hidden.csv", "8,a")
    _ = try spine("in/.hidden.csv", "9,a")
    _ = try fixture.write("in/notes.txt", "no rows")
    let last = try spine("last.csv", "4.5,a")
    let request = fixture.request(.files([fixture.path("in"), last]))
    // Whole in one file and not in the other: both are doubles.
    #expect(
      try fixture.rows(request).map { $0.split(separator: " ")[0] } == ["1.0", "2.0", "3.0", "4.5"])

    let other = try fixture.write("other.csv", "n,sensor,t,more", "1,a,2026-01-02T09:00:00Z,x")
    let lacking = try fixture.write("lacking.csv", "sensor,t", "a,2026-01-02T09:00:00Z")
    let text = try fixture.write("text.csv", "n,sensor,t", "one,a,2026-01-02T09:00:00Z")
    for path in [other, lacking, text] {
      do {
        _ = try fixture.rows(fixture.request(.files([last, path])))
        Issue.record("accepted \(path)")
      } catch {
        let error = try #require(error as? FeatureStoreError)
        #expect(error.code == .invalidInput && error.message.contains(path), "\(error)")
      }
    }
    #expect(throws: FeatureStoreError.self) {
      try fixture.rows(fixture.request(.files([fixture.path("nowhere.csv")])))
    }
    try FileManager.default.createDirectory(
      atPath: fixture.path("empty"), withIntermediateDirectories: true)
    #expect(throws: FeatureStoreError.self) {
      try fixture.rows(fixture.request(.files([fixture.path("empty")])))
    }
  }

  @Test func aRowThatDoesNotFitIsNeverLeftOut() throws {
    let fixture = try filled()
    let bad = try fixture.write(
      "bad.csv", "sensor,t", "a,2026-01-02T03:00:00Z", "a,yesterday")
    do {
      _ = try fixture.store.extractTrainingSet(fixture.request(.files([bad])))
      Issue.record("accepted a bad time")
    } catch {
      #expect(error.code == .invalidInput && error.message.contains("line 3"), "\(error)")
    }
    #expect(try fixture.contents() == ["bad.csv"])
  }

  @Test func columnsOfTypedFilesKeepTheirTypes() throws {
    let fixture = try filled()
    let schema = Schema([
      Field("sensor", .string), Field("t", .timestampNanoseconds(isUTC: false)),
      Field("i", .int32), Field("l", .list(Field("item", .float32))),
    ])
    let items = AnyColumnBuilder(schema.fields[3].type)
    items.children[0].append(Float(1.5))
    items.appendList()
    items.appendNull()
    var sensors = BytesBuilder(.string)
    sensors.append("a")
    sensors.append("b")
    var numbers = FixedWidthBuilder(.int32, zero: Int32(0))
    numbers.append(7)
    numbers.appendNull()
    let hour = try FeatureStore.moment(Fixture.hour(3)) * 1000
    var times = FixedWidthBuilder(.timestampNanoseconds(isUTC: false), zero: Int64(0))
    times.append(hour)
    times.append(hour)
    let batch = RecordBatch(
      schema: schema,
      columns: [sensors.finish(), times.finish(), numbers.finish(), items.finish()], rowCount: 2)
    let set = try fixture.store.trainingSet(
      fixture.request(.batches([batch, batch.slice(1..<2), batch.slice(0..<0)])))
    #expect(set.schema.fields.dropLast().map(\.type) == schema.fields.map(\.type))
    let rows = try Fixture.rows(set)
    #expect(rows.map { $0.split(separator: " ").last } == ["1", "2", "2"])
    #expect(rows[0].contains(" 7 [1.5] "))

    let file = try POSIXFileSystem().open(fixture.path("typed.parquet"), .create)
    let writer = try ParquetWriter(file: file, schema: schema)
    try writer.write(batch)
    _ = try writer.finish()
    let read = try fixture.store.trainingSet(
      fixture.request(.files([fixture.path("typed.parquet")])))
    #expect(read.schema.fields[1].type == schema.fields[1].type)
    #expect(read.schema.fields[2].type == .int32)
    #expect(try Fixture.rows(read) == Array(rows[..<2]))

    #expect(throws: FeatureStoreError.self) { try fixture.rows(fixture.request(.batches([]))) }
    let other = RecordBatch(schema: Schema([]), columns: [], rowCount: 0)
    #expect(throws: FeatureStoreError.self) {
      try fixture.rows(fixture.request(.batches([batch, other])))
    }
  }

  @Test func recordsOfAGroupAreASpine() throws {
    let fixture = try filled()
    let all = try fixture.rows(
      fixture.request(
        .group("readings", features: ["value"]), features: "others:value=other"))
    #expect(
      all == [
        "a 2026-01-02T01:00:00Z 1 -", "b 2026-01-02T02:00:00Z 2 -", "a 2026-01-02T05:00:00Z 5 10",
      ])
    let some = try fixture.rows(
      fixture.request(.group("readings", filter: "value > 1 and sensor = 'a'")))
    #expect(some == ["a 2026-01-02T05:00:00Z 5"])
    // What was known before the record itself.
    var strict = fixture.request(.group("readings", filter: "sensor = 'a'"))
    strict.isStrict = true
    #expect(try fixture.rows(strict).map { $0.split(separator: " ").last } == ["-", "1"])
    for filter in ["value >", "nothing = 1"] {
      #expect(throws: FeatureStoreError.self) {
        try fixture.rows(fixture.request(.group("readings", filter: filter)))
      }
    }
    for features in [["values"], ["value", "value"]] {
      #expect(throws: FeatureStoreError.self) {
        try fixture.rows(fixture.request(.group("readings", features: features)))
      }
    }
  }

  @Test func allKeysAtGivenTimes() throws {
    let fixture = try filled()
    try fixture.put("c", 3, 30, "others")
    try fixture.store.flush()
    let moments = try [6, 1, 2, 6].map { try FeatureStore.moment(Fixture.hour($0)) }
    let rows = try fixture.rows(
      fixture.request(
        .allKeys(at: moments), features: "readings:value", "others:value=other"))
    #expect(
      rows == [
        "a 2026-01-02T01:00:00Z 1 -", "a 2026-01-02T02:00:00Z 1 -", "b 2026-01-02T02:00:00Z 2 -",
        "a 2026-01-02T06:00:00Z 5 10", "b 2026-01-02T06:00:00Z - -", "c 2026-01-02T06:00:00Z - 30",
      ])
    let one = try fixture.rows(
      fixture.request(.allKeys(of: ["others"], at: [moments[0]]), time: "moment"))
    #expect(one.map { $0.split(separator: " ")[0] } == ["a", "c"])
    #expect(throws: FeatureStoreError.self) {
      try fixture.rows(fixture.request(.allKeys(at: [])))
    }
    #expect(try fixture.rows(fixture.request(.allKeys(at: [0]))).isEmpty)
  }

  @Test func everyChangeInARangeOfTime() throws {
    let fixture = try filled()
    // A correction, and the same moment in two groups: one row each.
    try fixture.put("a", 5, 55)
    try fixture.put("a", 5, 50, "others")
    try fixture.store.flush()
    let (from, to) = try (
      FeatureStore.moment(Fixture.hour(2)), FeatureStore.moment(Fixture.hour(6))
    )
    #expect(
      try fixture.rows(fixture.request(.changes(from: from, to: to)))
        == ["b 2026-01-02T02:00:00Z 2", "a 2026-01-02T05:00:00Z 55"])
    let both = try fixture.rows(
      fixture.request(
        .changes(from: from, to: to + 1), features: "readings:value", "others:value=other"))
    #expect(
      both == [
        "b 2026-01-02T02:00:00Z 2 -", "a 2026-01-02T04:00:00Z 1 10", "a 2026-01-02T05:00:00Z 55 50",
        "b 2026-01-02T06:00:00Z - -",
      ])
    #expect(throws: FeatureStoreError.self) {
      try fixture.rows(fixture.request(.changes(from: to, to: from)))
    }
  }

  @Test func keysComeInTheOrderOfTheirTypes() throws {
    let fixture = try Fixture()
    try fixture.store.createGroup(
      FeatureGroup(
        id: 0, name: "pairs", recordIdentifiers: [Feature("n", .int), Feature("s", .string)],
        eventTimeName: "at", features: [Feature("v", .long)]))
    let keys: [(Int, String)] = [
      (300, "a"), (-1, "z"), (2, "bc"), (2, "b"), (2, ""), (2, "é"), (300, "a"),
    ]
    for (index, key) in keys.enumerated() {
      try fixture.store.put(
        "pairs",
        fields: ["n": "\(key.0)", "s": key.1, "at": Fixture.hour(1), "v": "\(index)"])
    }
    try fixture.store.flush()
    let moment = try FeatureStore.moment(Fixture.hour(1))
    let rows = try fixture.rows(
      fixture.request(.allKeys(at: [moment]), features: "pairs:v"))
    #expect(
      rows.map { $0.replacing(" 2026-01-02T01:00:00Z", with: "") }
        == ["-1 z 1", "2  4", "2 b 3", "2 bc 2", "2 é 5", "300 a 6"])
    // Keys of other groups are others.
    do {
      _ = try fixture.rows(
        fixture.request(.allKeys(at: [moment]), features: "pairs:v", "readings:value"))
      Issue.record("accepted groups of different keys")
    } catch { #expect((error as? FeatureStoreError)?.code == .invalidArgument) }
  }

  @Test func featuresMayBeAskedForAtSeveralTimes() throws {
    let fixture = try filled()
    let spine = try fixture.write(
      "spine.csv", "sensor,booked,flown", "a,2026-01-02T03:00:00Z,2026-01-02T07:00:00Z",
      "b,2026-01-02T07:00:00Z,2026-01-02T03:00:00Z", "a,,2026-01-02T07:00:00Z")
    var request = fixture.request(
      .files([spine]), features: "readings:value=flown_value",
      "readings:value=booked_value,time=booked",
      "readings:value=brief,ttl=1h", "others:value", time: "flown")
    request.timeColumns = ["others": "booked"]
    let set = try fixture.store.trainingSet(request)
    #expect(
      try Fixture.rows(set).map { $0.split(separator: " ").suffix(4).joined(separator: " ") }
        == ["5 1 - -", "2 - 2 -", "5 - - -"])
    #expect(set.report.groups.map(\.timeColumn) == ["flown", "booked", "booked"])
    #expect(
      set.report.groups.map(\.columns) == [
        ["flown_value", "brief"], ["booked_value"], ["value"],
      ])
    #expect(set.report.groups[1].noKeyCount == 1)
    request.timeColumns = ["nobody": "booked"]
    #expect(throws: FeatureStoreError.self) { try fixture.rows(request) }
    request.timeColumns = ["others": "nothing"]
    #expect(throws: FeatureStoreError.self) { try fixture.rows(request) }
  }

  @Test func listsAreFeaturesToo() throws {
    let fixture = try Fixture()
    try fixture.store.createGroup(
      FeatureGroup(
        id: 0, name: "vectors", recordIdentifiers: [Feature("sensor", .string)],
        eventTimeName: "at", features: [Feature("v", try FeatureType(parsing: "list<float>"))]))
    try fixture.store.put(
      "vectors", fields: ["sensor": "a", "at": Fixture.hour(1), "v": "[1.5, 2]"])
    try fixture.store.flush()
    let moment = try FeatureStore.moment(Fixture.hour(1))
    let rows = try fixture.rows(
      fixture.request(.allKeys(at: [moment, moment - 1]), features: "vectors:v"))
    #expect(rows.count == 1 && rows[0].hasPrefix("a 2026-01-02T01:00:00Z [1.5"), "\(rows)")
  }

  /// More rows than a batch has, in files that end anywhere.
  @Test func manyRowsKeepTheirOrder() throws {
    let fixture = try filled()
    var paths: [String] = []
    var number = 0
    for count in [1, 70_000, 3, 61_000, 0, 5] {
      var lines = ["n,sensor,t"]
      for _ in 0..<count {
        lines.append("\(number),\(number % 3 == 0 ? "a" : "b"),2026-01-02T03:00:00Z")
        number += 1
      }
      let name = "part-\(paths.count).csv"
      if count == 0 { lines = ["n,sensor,t", "-1,x,2026-01-02T03:00:00Z"] }
      paths.append(
        try fixture.write(name, lines.joined(separator: "\n")))
    }
    let set = try fixture.store.trainingSet(fixture.request(.files(paths)))
    var counts: [Int] = []
    var next = 0
    while let batch = try set.next() {
      counts.append(batch.rowCount)
      let (first, last) = (batch.columns[0], batch.columns[3])
      let values = last.values(as: Int64.self)
      let numbers = first.values(as: Int64.self)
      for row in 0..<batch.rowCount {
        guard numbers[row] >= 0 else {
          guard last.isNull(row) else {
            Issue.record("a value for an unknown key")
            return
          }
          continue
        }
        guard numbers[row] == next, values[row] == (next % 3 == 0 ? 1 : 2) else {
          Issue.record("row \(next)")
          return
        }
        next += 1
      }
    }
    #expect(next == number)
    #expect(counts == [65_536, 65_474])
  }

  @Test func whatIsKnownLaterCountsLater() throws {
    let fixture = try filled()
    try fixture.store.createGroup(
      FeatureGroup(
        id: 0, name: "delayed", recordIdentifiers: [Feature("sensor", .string)],
        eventTimeName: "at", features: [Feature("value", .long)],
        timeToLive: .microseconds(3 * 3_600_000_000), dataDelayMicroseconds: 2 * 3_600_000_000))
    for hour in [1, 4] { try fixture.put("a", hour, hour, "delayed") }
    try fixture.store.flush()
    let spine = try fixture.write(
      "spine.csv", "sensor,t", (1...9).map { "a,\(Fixture.hour($0))" }.joined(separator: "\n"))
    var request = fixture.request(.files([spine]), features: "delayed:value")
    func values() throws -> String {
      try fixture.rows(request).map { String($0.split(separator: " ")[2]) }.joined()
    }
    // Known from 3 and 6 on, and too old after 4 and 7.
    #expect(try values() == "--11-44--")
    request.dataDelays = ["delayed": 0]
    #expect(try values() == "1114444--")
    request.dataDelays = ["delayed": 4 * 3_600_000_000]
    #expect(try values() == "---------")
    for delays in [["delayed": Int64(-1)], ["readings": 1]] {
      request.dataDelays = delays
      #expect(throws: FeatureStoreError.self) { try values() }
    }
    // All of it was written just now, long after these moments.
    request.dataDelays = [:]
    request.excludesLate = true
    let set = try fixture.store.trainingSet(request)
    #expect(set.report.groups[0].writtenLaterCount == 4)
    #expect(try values() == "---------")
  }
}
