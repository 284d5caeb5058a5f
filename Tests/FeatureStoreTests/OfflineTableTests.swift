import FeatureModel
import FeatureStore
import Foundation
import Iceberg
import Storage
import Testing

/// What the tables of feature groups are like.
@Suite struct OfflineTableTests {
  private func put(_ store: FeatureStore, _ sensors: [String], at hour: Int) throws {
    for sensor in sensors {
      try store.put(
        "readings", fields: ["sensor": sensor, "at": "2026-01-01T0\(hour):00:00Z", "value": "1"])
    }
    try store.flush()
  }

  @Test func recordIdentifiersHaveBloomFilters() throws {
    let fixture = try StoreFixture()
    let store = try FeatureStore.open(at: fixture.directory)
    defer { try? store.close() }
    try store.createGroup(
      try FeatureGroup(
        id: 0, name: "readings",
        recordIdentifiers: [Feature("sensor", .string), Feature("isLeft", .boolean)],
        eventTimeName: "at", features: [Feature("value", .long)]))
    for sensor in ["a", "m", "z"] {
      try store.put(
        "readings",
        fields: ["sensor": sensor, "isLeft": "true", "at": "2026-01-01T00:00:00Z", "value": "1"])
    }
    try store.flush()
    let table = try store.offlineTable("readings")
    #expect(table.properties["write.parquet.bloom-filter-enabled.column.sensor"] == "true")
    #expect(table.properties["write.parquet.bloom-filter-enabled.column.isLeft"] == nil)
    // "k" is between the file's bounds: only the filter knows that it is not there.
    var skipped: [String: Int] = [:]
    for sensor in ["a", "k", "m"] {
      var scan = table.newScan()
      scan.filter = .comparison("sensor", .equal, .string(sensor))
      for task in try scan.planFiles().tasks {
        skipped[sensor, default: 0] += try scan.batches(task).skippedRowGroupCount
      }
    }
    #expect(skipped == ["a": 0, "k": 1, "m": 0])
  }

  @Test func theUsersOwnPropertiesWin() throws {
    let fixture = try StoreFixture()
    let store = try FeatureStore.open(at: fixture.directory)
    defer { try? store.close() }
    let name = "write.parquet.bloom-filter-enabled.column.sensor"
    var group = try StoreFixture.group()
    group.tableProperties = [name: "false"]
    try store.createGroup(group)
    #expect(try store.offlineTable("readings").properties[name] == "false")
  }

  @Test func filesLieInTheStoreOrWhereItsOwnerSays() throws {
    let fixture = try StoreFixture()
    let outside = fixture.directory + "-outside"
    var group = try StoreFixture.group()
    group.tableProperties = ["write.data.path": outside]
    var options = FeatureStore.Options()
    options.flushesAutomatically = false
    var store = try FeatureStore.open(at: fixture.directory, options: options)
    try store.createGroup(group)
    let error = #expect(throws: FeatureStoreError.self) { try put(store, ["a"], at: 1) }
    #expect(error?.message.contains("outside the folders that may be used") == true)
    #expect(!FileManager.default.fileExists(atPath: outside))
    try store.close()
    // Nothing is lost: it is flushed once the folder is named.
    options.tableFolders = [outside]
    store = try FeatureStore.open(at: fixture.directory, options: options)
    try put(store, ["b"], at: 2)
    #expect(try StoreFixture.offlineRows(store).map(\.sensor).sorted() == ["a", "b"])
    #expect(try !FileManager.default.contentsOfDirectory(atPath: outside).isEmpty)
    try store.close()
  }
}
