import Columnar
import FeatureModel
import FeatureStore
import Foundation
import OnlineStore
import Storage
import Testing

/// Typed values through a prepared group.
@Suite struct OnlineGroupTests {
  static let time: Int64 = 1_767_225_600_000_000

  static func store(
    _ fixture: StoreFixture, timeToLive: TimeToLive = .infinite
  ) throws -> FeatureStore {
    let store = try FeatureStore.open(at: fixture.directory, options: manual)
    try store.createGroup(
      FeatureGroup(
        id: 0, name: "weather", recordIdentifiers: [Feature("origin", .string)],
        eventTimeName: "at",
        features: [
          Feature("temp", .double), Feature("gusts", .long), Feature("sky", .string),
          Feature("vector", .list(element: .float, dimension: 3)), Feature("calm", .boolean),
        ], timeToLive: timeToLive))
    return store
  }

  static var manual: FeatureStore.Options {
    var options = FeatureStore.Options()
    options.flushesAutomatically = false
    options.logSegmentBytes = 4 << 20
    return options
  }

  /// What of the five features answers, read in place.
  static func read(_ record: OnlineRecord) throws -> [FeatureValue] {
    var floats = [Float](repeating: 0, count: 3)
    var span = floats.mutableSpan
    let count = try record.copyFloats(3, to: &span)
    return [
      try record.double(0).map { .double($0) } ?? .null,
      try record.int64(1).map { .long($0) } ?? .null,
      try record.string(2).map { .string($0) } ?? .null,
      count.map { .list(floats.prefix($0).map { .float($0) }) } ?? .null,
      try record.boolean(4).map { .boolean($0) } ?? .null,
    ]
  }

  @Test func typedValuesComeBackInPlaceAndAsText() throws {
    let fixture = try StoreFixture()
    let store = try Self.store(fixture)
    let weather = try store.online("weather")
    let jfk = try weather.key("JFK")
    #expect(try weather.position(of: "sky") == 2)
    let receipt = try weather.put(jfk, eventTime: Self.time) { row in
      row.set(0, 39.02)
      row.set(1, 7)
      row.set(2, "overcast, with a chance of rain")
      row.set(3, [0.5, -1, 2] as [Float])
    }
    let values: [FeatureValue] = [
      .double(39.02), .long(7), .string("overcast, with a chance of rain"),
      .list([.float(0.5), .float(-1), .float(2)]), .null,
    ]
    #expect(try weather.withRecord(jfk) { try Self.read($0) } == values)
    try weather.withRecord(jfk) { record in
      #expect(record.status == .present && record.lsn == receipt.lastLSN)
      #expect(record.eventTime == Self.time && record.expiresAt == nil)
      let (isCalm, isTemp) = (try record.isNull(4), try record.isNull(0))
      let size = try record.bytes(2)?.byteCount
      #expect(isCalm && !isTemp && size == 31)
    }
    #expect(try store.get("weather", fields: ["origin": "JFK"]).map(\.value) == values)
    let some = try weather.get(jfk, features: [1, 0])
    #expect(
      some.map(\.value) == [.long(7), .double(39.02)] && some.map(\.name) == ["gusts", "temp"])
    #expect(try weather.withRecord(weather.key("LGA")) { _ in true } == nil)
    try store.flush()
    #expect(try store.statistics().groups[0].offlineRecordCount == 1)
    try store.close()
  }

  @Test func whatDoesNotFitIsRefusedAndNothingIsWritten() throws {
    let fixture = try StoreFixture()
    let store = try Self.store(fixture)
    try store.createGroup(StoreFixture.group())
    let weather = try store.online("weather")
    let jfk = try weather.key("JFK")
    func refusal(_ body: () throws(FeatureStoreError) -> Void) -> (FeatureStoreError.Code, String)?
    {
      do {
        try body()
        return nil
      } catch { return (error.code, error.message) }
    }
    let wrong = refusal { () throws(FeatureStoreError) in
      try weather.put(jfk, eventTime: 1) { $0.set(0, "warm") }
    }
    #expect(wrong?.0 == .invalidInput && wrong?.1 == "weather:temp: is double, not a string")
    let short = refusal { () throws(FeatureStoreError) in
      try weather.put(jfk, eventTime: 1) { $0.set(3, [1] as [Float]) }
    }
    #expect(short?.0 == .invalidInput && short?.1.contains("1 elements, not 3") == true)
    let sensor = try store.online("readings").key("a")
    let other = refusal { () throws(FeatureStoreError) in
      try weather.put(sensor, eventTime: 1) { _ in }
    }
    #expect(other?.0 == .invalidArgument)
    let unknown = refusal { () throws(FeatureStoreError) in _ = try weather.position(of: "tmp") }
    #expect(unknown?.0 == .notFound && unknown?.1.contains("'temp'") == true)
    let number = refusal { () throws(FeatureStoreError) in _ = try weather.key(7) }
    #expect(number?.0 == .invalidInput)
    let empty = refusal { () throws(FeatureStoreError) in try weather.write(weather.newBatch()) }
    #expect(empty?.0 == .invalidArgument)
    #expect(try store.statistics().lastLSN == 0)

    try weather.put(jfk, eventTime: 1) { $0.set(0, 1.5) }
    #expect(throws: FeatureStoreError.self) { try weather.withRecord(jfk) { try $0.int64(0) } }
    #expect(throws: FeatureStoreError.self) { try weather.withRecord(jfk) { try $0.int64(9) } }
    struct OwnError: Error {}
    #expect(throws: OwnError.self) { try weather.withRecord(jfk) { _ in throw OwnError() } }
    try store.close()
    let reader = try FeatureStore.open(at: fixture.directory, access: .readOnly)
    let read = try reader.online("weather")
    #expect(try read.withRecord(jfk) { try $0.double(0) } == 1.5)
    let refused = refusal { () throws(FeatureStoreError) in
      try read.put(jfk, eventTime: 2) { _ in }
    }
    #expect(refused?.0 == .readOnly)
    try reader.close()
  }

  @Test func aWriteMayDependOnWhatAnswers() throws {
    let fixture = try StoreFixture()
    let store = try Self.store(fixture)
    let weather = try store.online("weather")
    let (a, b) = (try weather.key("A"), try weather.key("B"))
    #expect(
      try weather.put(a, eventTime: 10, if: .newer) { $0.set(1, 1) }
        == .written(1, isAnswer: true))
    #expect(
      try weather.put(a, eventTime: 10, if: .newer) { $0.set(1, 2) }
        == .refused(currentEventTime: 10))
    var batch = weather.newBatch()
    try batch.put(a, eventTime: 20) { $0.set(1, 3) }
    try batch.put(b, eventTime: 20) { $0.set(1, 4) }
    try batch.delete(b, eventTime: 30)
    #expect(
      try weather.write(batch, if: .eventTime(10)) == [
        .written(2, isAnswer: true), .refused(currentEventTime: nil),
        .refused(currentEventTime: nil),
      ])
    #expect(try weather.withRecord(a) { try $0.int64(1) } == 3)
    #expect(try weather.withRecord(b) { _ in true } == nil)
    try store.close()
  }

  @Test func batchesOfSeveralGroupsAreReadInOnePass() throws {
    let fixture = try StoreFixture()
    let store = try Self.store(fixture, timeToLive: .microseconds(1))
    try store.createGroup(StoreFixture.group())
    let (weather, readings) = (try store.online("weather"), try store.online("readings"))
    var batch = weather.newBatch()
    for number in 0..<300 {
      try batch.put(try weather.key("w\(number)"), eventTime: .max) { $0.set(1, number) }
    }
    #expect(batch.count == 300)
    let receipt = try weather.write(batch)
    #expect(receipt.count == 300 && receipt.lastLSN == receipt.firstLSN + 299)
    try readings.put(readings.key("r"), eventTime: 1) { $0.set(0, 1000) }
    try weather.put(weather.key("old"), eventTime: 1) { $0.set(1, 1) }
    try weather.delete([weather.key("w7"), weather.key("w8")], eventTime: .max)
    #expect(try weather.purge([weather.key("w9"), weather.key("w10")]).count == 2)

    var keys: [EntityKey] = [try readings.key("r"), try readings.key("none")]
    for number in 0..<12 { keys.append(try weather.key("w\(number)")) }
    keys.append(try weather.key("old"))
    var seen: [Int: (FeatureAnswer.Status, Int64?)] = [:]
    try store.withRecords(keys, of: [weather, readings]) { index, record in
      let isReading = index < 2
      seen[index] = (record.status, try record.int64(isReading ? 0 : 1))
    }
    #expect(seen[0]! == (.present, 1000) && seen[1] == nil)
    for number in 0..<7 { #expect(seen[2 + number]! == (.present, Int64(number))) }
    #expect(seen[9]! == (.deleted, nil) && seen[10]! == (.deleted, nil))
    #expect(seen[11] == nil && seen[12] == nil)
    #expect(seen[13]! == (.present, 11) && seen[14]! == (.expired, nil))
    #expect(throws: FeatureStoreError.self) { try weather.withRecords(keys) { _, _ in } }
    struct OwnError: Error {}
    var count = 0
    #expect(throws: OwnError.self) {
      try store.withRecords(keys, of: [weather, readings]) { _, _ in
        count += 1
        throw OwnError()
      }
    }
    #expect(count == 1)
    try store.close()
  }

  @Test func tasksWriteTogetherAndReadWithoutWaiting() async throws {
    let fixture = try StoreFixture()
    let store = try Self.store(fixture)
    let weather = try store.online("weather")
    try await withThrowingTaskGroup(of: Void.self) { tasks in
      for number in 0..<64 {
        tasks.addTask {
          let key = try weather.key("w\(number)")
          let receipt = try await weather.put(key, eventTime: 5) { $0.set(1, number) }
          #expect(receipt.count == 1)
          #expect(try weather.withRecord(key) { try $0.int64(1) } == Int64(number))
          #expect(
            try await weather.put(key, eventTime: 5, if: .newer) { _ in }
              == .refused(currentEventTime: 5))
        }
      }
      try await tasks.waitForAll()
    }
    let activity = try store.statistics().activity
    #expect(activity.writtenRecordCount == 64 && activity.commitCount <= 64)
    var batch = weather.newBatch()
    for number in 0..<1500 {
      try batch.put(weather.key("b\(number)"), eventTime: 1) { $0.set(1, number) }
    }
    let receipt = try await weather.write(batch)
    #expect(receipt.count == 1500 && receipt.lastLSN == receipt.firstLSN + 1499)
    #expect(try await weather.delete([weather.key("b3")], eventTime: 2).count == 1)

    // More keys than one task may read without a break; one of them is not there.
    var names = BytesBuilder(.string)
    for number in 0...1500 { names.append("b\(number)") }
    let column = names.finish()
    let keys = RecordBatch(
      schema: Schema([Field("origin", column.type)]), columns: [column], rowCount: column.count)
    let answer = try await store.get("weather", keys: keys, features: ["gusts"])
    let numbers = answer.features.columns[0]
    #expect(answer.features.rowCount == 1501 && answer.groups[0].statuses.count == 1501)
    for number in 0...1500 {
      let isThere = number != 3 && number != 1500
      #expect(numbers.isNull(number) != isThere)
      if isThere { #expect(numbers.values(as: Int64.self)[number] == Int64(number)) }
    }
    #expect(answer.groups[0].statuses[3] == .deleted)
    #expect(answer.groups[0].statuses[1500] == .neverWritten)
    do {
      try await weather.put(weather.key("x"), eventTime: 1) { $0.set(0, true) }
      Issue.record("accepted a boolean as a double")
    } catch { #expect(error.code == .invalidInput) }
    try store.close()
    do {
      try await weather.put(weather.key("x"), eventTime: 1) { _ in }
      Issue.record("a closed store wrote")
    } catch { #expect(error.code == .closed) }
  }

  @Test func aBatchDecodesOnlyWhatIsAskedFor() throws {
    let fixture = try StoreFixture()
    let store = try Self.store(fixture)
    let weather = try store.online("weather")
    try weather.put(weather.key("A"), eventTime: 1) { row in
      row.set(1, 7)
      row.set(2, "grey")
    }
    var names = BytesBuilder(.string)
    for name in ["A", "B", "A"] { names.append(name) }
    let column = names.finish()
    let keys = RecordBatch(
      schema: Schema([Field("origin", column.type)]), columns: [column], rowCount: 3)
    let answer = try store.get("weather", keys: keys, features: ["sky", "gusts", "sky"])
    #expect(answer.features.schema.fields.map(\.name) == ["sky", "gusts", "sky"])
    let (sky, gusts) = (answer.features.columns[2], answer.features.columns[1])
    #expect(sky.string(at: 0) == "grey" && sky.isNull(1) && sky.string(at: 2) == "grey")
    #expect(gusts.values(as: Int64.self)[2] == 7)
    #expect(answer.groups[0].statuses == [.present, .neverWritten, .present])
    try store.close()
  }
}
