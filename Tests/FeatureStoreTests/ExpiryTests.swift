import Columnar
import FeatureModel
import FeatureStore
import Foundation
import Iceberg
import OnlineStore
import Testing

/// Records that expire by themselves: the same online and in training sets.
@Suite struct ExpiryTests {
  private func trainingSet(
    _ store: FeatureStore, at times: [String], _ visibility: TrainingSetRequest.Visibility = .event
  ) throws -> [String] {
    let folder = FileManager.default.temporaryDirectory
    let name = UUID().uuidString
    let (spine, output) = (
      folder.appending(path: "\(name).csv").path, folder.appending(path: "\(name)-set.csv").path
    )
    defer {
      for path in [spine, output] { try? FileManager.default.removeItem(atPath: path) }
    }
    let rows = times.map { "a,\($0)\n" }.joined()
    try ("sensor,time\n" + rows).write(toFile: spine, atomically: true, encoding: .utf8)
    var request = TrainingSetRequest(spineFile: spine, timeColumn: "time", outputFile: output)
    request.features = ["readings:value"]
    request.visibility = visibility
    _ = try store.extractTrainingSet(request)
    let text = try String(contentsOfFile: output, encoding: .utf8)
    return text.split(separator: "\n").dropFirst().map {
      String($0.split(separator: ",", omittingEmptySubsequences: false)[2])
    }
  }

  private func expiries(_ store: FeatureStore) throws -> [Int64?] {
    var scan = try store.offlineTable("readings").newScan()
    scan.columns = ["expires_at"]
    var times: [Int64?] = []
    for task in try scan.planFiles().tasks {
      let batches = try scan.batches(task)
      while let batch = try batches.next() {
        let column = batch.columns[0]
        for row in 0..<batch.rowCount {
          times.append(column.isNull(row) ? nil : column.values(as: Int64.self)[row])
        }
      }
    }
    return times
  }

  private func put(
    _ store: FeatureStore, _ time: String, _ value: Int, ttl: Int64? = nil
  ) throws {
    try store.put(
      "readings", fields: ["sensor": "a", "at": time, "value": "\(value)"],
      timeToLiveMicroseconds: ttl)
  }

  /// Makes the table as it was before there was the column.
  private func dropColumn(_ store: FeatureStore) throws {
    var update = SchemaUpdate()
    update.drop("expires_at")
    var commit = try store.offlineTable("readings").newCommit()
    commit.updateSchema(update)
    _ = try commit.commit()
  }

  private static let hour: Int64 = 3_600_000_000
  private static let day = "2026-01-02T"

  @Test func anExpiryCountsOnlineInTrainingSetsAndAfterMaterializing() throws {
    let fixture = try StoreFixture()
    let store = try FeatureStore.open(at: fixture.directory, options: OnlineGroupTests.manual)
    try store.createGroup(StoreFixture.group())
    try put(store, Self.day + "00:00:00Z", 1)
    try put(store, Self.day + "02:00:00Z", 2, ttl: Self.hour)
    #expect(try store.get("readings", fields: ["sensor": "a"])[0].status == .expired)
    try store.flush()
    let moment = Int64(1_767_312_000_000_000) + 3 * Self.hour
    #expect(try expiries(store) == [nil, moment])
    let times = ["01:00:00", "02:00:00", "03:00:00", "03:00:00.000001", "09:00:00"]
    let spine = times.map { Self.day + $0 + "Z" }
    // After its expiry the record hides the older one, as it does online.
    #expect(try trainingSet(store, at: spine) == ["1", "2", "2", "", ""])
    let late = ["2026-01-01T00:00:00Z", "2126-01-01T00:00:00Z"]
    #expect(try trainingSet(store, at: late, .ingested) == ["", ""])

    try store.purge("readings", key: ["sensor": "a"])
    #expect(try store.get("readings", fields: ["sensor": "a"])[0].status == .neverWritten)
    #expect(try store.materialize("readings").broughtCount == 1)
    #expect(try store.get("readings", fields: ["sensor": "a"])[0].status == .expired)
    let readings = try store.online("readings")
    #expect(try readings.withRecord(readings.key("a")) { $0.expiresAt } == moment)

    // And the largest expiry that there is counts for ever.
    try put(store, Self.day + "04:00:00Z", 3, ttl: .max)
    #expect(try store.get("readings", fields: ["sensor": "a"])[0].value == .long(3))
    do {
      try put(store, Self.day + "05:00:00Z", 4, ttl: -1)
      Issue.record("accepted a negative ttl")
    } catch { #expect((error as? FeatureStoreError)?.code == .invalidArgument) }
    try store.close()
  }

  @Test func aTableOfBeforeGetsTheColumnWithTheFirstExpiry() async throws {
    let fixture = try StoreFixture()
    let store = try FeatureStore.open(at: fixture.directory, options: OnlineGroupTests.manual)
    try store.createGroup(StoreFixture.group())
    try dropColumn(store)
    try put(store, Self.day + "00:00:00Z", 1)
    try store.flush()
    #expect(try store.offlineTable("readings").schema.field(named: "expires_at") == nil)
    #expect(try trainingSet(store, at: [Self.day + "09:00:00Z"]) == ["1"])

    let readings = try store.online("readings")
    let key = try readings.key("a")
    let moment = Int64(1_767_312_000_000_000) + 3 * Self.hour
    try await readings.put(key, eventTime: moment - Self.hour, expiresAt: moment) { $0.set(0, 2) }
    #expect(try readings.withRecord(key) { $0.status } == .expired)
    try await readings.put(
      readings.key("b"), eventTime: .max, expiresAt: .max, if: .newer
    ) { $0.set(0, 3) }
    try store.flush()
    #expect(try expiries(store).contains(moment) && expiries(store).contains(.max))
    let spine = [Self.day + "01:00:00Z", Self.day + "03:00:00Z", Self.day + "09:00:00Z"]
    #expect(try trainingSet(store, at: spine) == ["1", "2", ""])

    // A column that is lost later does not let expiries be lost with it.
    try dropColumn(store)
    try await readings.put(key, eventTime: moment, expiresAt: moment) { $0.set(0, 4) }
    do {
      try store.flush()
      Issue.record("a flush lost an expiry")
    } catch { #expect(error.code == .conflict && error.message.contains("expires_at")) }
    try store.close()
  }

  @Test func theColumnsNameIsReservedButForGroupsThatHadItBefore() throws {
    let fixture = try StoreFixture()
    var store = try FeatureStore.open(at: fixture.directory, options: OnlineGroupTests.manual)
    let old = try FeatureGroup(
      id: 0, name: "readings", recordIdentifiers: [Feature("sensor", .string)],
      eventTimeName: "at", features: [Feature("value", .long), Feature("expires_in", .timestamp)])
    var new = old
    new.features[1].name = "Expires_at"
    do {
      try store.createGroup(new)
      Issue.record("created a group with a reserved name")
    } catch { #expect(error.code == .invalidArgument && error.message.contains("reserved")) }
    try store.createGroup(StoreFixture.group("others"))
    do {
      try store.addFeatures([Feature("expires_at", .timestamp)], to: "others")
      Issue.record("added a feature with a reserved name")
    } catch { #expect(error.code == .invalidArgument) }
    try store.createGroup(old)
    try store.close()

    // A store from before: the name stands in its definitions, and the table's column is the feature.
    let definitions = fixture.directory + "/store.json"
    let text = try String(contentsOfFile: definitions, encoding: .utf8)
    let checksum = try #require(text.range(of: ",\n  \"checksum\": "))
    try (text[..<checksum.lowerBound] + "\n}")
      .replacingOccurrences(of: "expires_in", with: "expires_at")
      .write(toFile: definitions, atomically: true, encoding: .utf8)
    store = try FeatureStore.open(at: fixture.directory, options: OnlineGroupTests.manual)
    try dropColumn(store)
    var update = SchemaUpdate()
    update.rename("expires_in", to: "expires_at")
    var commit = try store.offlineTable("readings").newCommit()
    commit.updateSchema(update)
    _ = try commit.commit()
    try store.put(
      "readings",
      fields: [
        "sensor": "a", "at": Self.day + "00:00:00Z", "value": "1",
        "expires_at": Self.day + "01:00:00Z",
      ])
    try store.flush()
    #expect(try trainingSet(store, at: [Self.day + "09:00:00Z"]) == ["1"])
    do {
      try put(store, Self.day + "05:00:00Z", 4, ttl: 1)
      Issue.record("accepted an expiry that the table cannot hold")
    } catch { #expect((error as? FeatureStoreError)?.code == .invalidArgument) }
    try store.close()
  }
}
