import Columnar
import FeatureModel
import FeatureStore
import Foundation
import Iceberg
import Storage

/// A store in a temporary directory, removed with the fixture.
final class StoreFixture {
  private let base: URL
  let directory: String

  init(options: FeatureStore.Options = FeatureStore.Options()) throws {
    base = FileManager.default.temporaryDirectory.appending(path: "fstore-\(UUID().uuidString)")
    directory = base.appending(path: "store").path
    try FeatureStore.create(at: directory, options: options)
  }

  deinit { try? FileManager.default.removeItem(at: base) }

  static func group(
    _ name: String = "readings", timeToLive: TimeToLive = .infinite,
    partitioning: Partitioning = .none
  ) throws -> FeatureGroup {
    try FeatureGroup(
      id: 0, name: name, recordIdentifiers: [Feature("sensor", .string)], eventTimeName: "at",
      features: [Feature("value", .long), Feature("note", .string)], timeToLive: timeToLive,
      partitioning: partitioning)
  }

  /// All rows of a group's offline table as (sensor, value, lsn, is_deleted).
  static func offlineRows(_ store: FeatureStore, _ group: String = "readings") throws
    -> [(sensor: String, value: Int64?, lsn: Int64, isDeleted: Bool)]
  {
    var scan = try store.offlineTable(group).newScan()
    scan.columns = ["sensor", "value", "lsn", "is_deleted"]
    var rows: [(String, Int64?, Int64, Bool)] = []
    for task in try scan.planFiles().tasks {
      let batches = try scan.batches(task)
      while let batch = try batches.next() {
        let (sensors, numbers, flags) = (batch.columns[0], batch.columns[1], batch.columns[3])
        let lsnColumn = batch.columns[2]
        let values = numbers.values(as: Int64.self)
        let lsns = lsnColumn.values(as: Int64.self)
        for row in 0..<batch.rowCount {
          rows.append(
            (
              sensors.string(at: row), numbers.isNull(row) ? nil : values[row], lsns[row],
              flags.boolean(at: row)
            ))
        }
      }
    }
    return rows
  }
}
