import Columnar
import FeatureModel
import FeatureStore
import Foundation
import Storage
import TestSupport

/// A store with a group of composite keys, written to at random, and every record that was written: what
/// slow models look at. Event times come late, and often meet.
final class RandomHistory {
  struct Record: Hashable {
    var sensor: String
    var zone: Int32
    var eventTime: Int64
    var writeTime: Int64
    var lsn: Int64
    var isDeleted = false
    var expiresAt: Int64?
    var value: Int64?
    var note: String?

    var key: String { "\(sensor)|\(zone)" }
    var order: (Int64, Int64) { (eventTime, lsn) }
  }

  static let start: Int64 = 1_767_225_600_000_000

  let fixture: StoreFixture
  let clock: TickingClock
  let store: FeatureStore
  let group: OnlineGroup
  var random: SeededGenerator
  private(set) var records: [Record] = []
  /// How many records each snapshot has.
  private(set) var snapshots: [(id: Int64, recordCount: Int)] = []

  static var options: FeatureStore.Options {
    var options = FeatureStore.Options()
    options.flushesAutomatically = false
    options.isDurable = false
    options.logSegmentBytes = 64 << 10
    options.logMinimumBytes = 128 << 10
    return options
  }

  /// A view of the note as `text`, the value, and the value with a ttl of its own as `fresh`.
  func createView(_ name: String, freshTimeToLive: TimeToLive) throws {
    try store.createView(
      FeatureView(
        name: name,
        features: [
          FeatureReference(group: "readings", feature: "note", outputName: "text"),
          FeatureReference(group: "readings", feature: "value"),
          FeatureReference(
            group: "readings", feature: "value", outputName: "fresh", timeToLive: freshTimeToLive),
        ]))
  }

  init(seed: UInt64, timeToLive: TimeToLive = .infinite) throws {
    fixture = try StoreFixture(options: Self.options)
    clock = TickingClock(Self.start)
    random = SeededGenerator(seed: seed)
    store = try FeatureStore.open(at: fixture.directory, options: Self.options, clock: clock)
    try store.createGroup(
      FeatureGroup(
        id: 0, name: "readings",
        recordIdentifiers: [Feature("sensor", .string), Feature("zone", .int)],
        eventTimeName: "at", features: [Feature("value", .long), Feature("note", .string)],
        timeToLive: timeToLive))
    group = try store.online("readings")
  }

  /// Writes a few records: puts, some of which expire by themselves, and tombstones; of few keys, so that they
  /// meet.
  func write(_ count: Int, keyCount: Int = 12, expiresOnceIn: Int = 6) throws {
    var batch = group.newBatch()
    clock.advance(Int64(1 + random.below(5)))
    let now = clock.nowMicroseconds()
    var written: [Record] = []
    for _ in 0..<count {
      let number = random.below(keyCount)
      // ("1", 11) and ("11", 1) must not meet.
      var record = Record(
        sensor: String(repeating: "1", count: 1 + number % 3), zone: Int32(number / 3),
        eventTime: max(Self.start, now - Int64(random.below(40))), writeTime: now, lsn: 0)
      let key = try group.key(.string(record.sensor), .int(record.zone))
      if random.oneIn(6) {
        record.isDeleted = true
        try batch.delete(key, eventTime: record.eventTime)
      } else {
        if random.oneIn(expiresOnceIn) {
          record.expiresAt = record.eventTime + Int64(random.below(60))
        }
        record.value = random.oneIn(5) ? nil : Int64(random.below(1000))
        record.note = random.oneIn(5) ? nil : String(repeating: "n", count: random.below(9))
        try batch.put(key, eventTime: record.eventTime, expiresAt: record.expiresAt) { row in
          if let value = record.value { row.set(0, value) }
          if let note = record.note { row.set(1, note) }
        }
      }
      written.append(record)
    }
    let receipt = try group.write(batch)
    for (offset, record) in written.enumerated() {
      var record = record
      record.lsn = receipt.firstLSN + Int64(offset)
      records.append(record)
    }
  }

  func flush() throws {
    clock.advance(1000)
    for report in try store.flush() { snapshots.append((report.snapshotID, records.count)) }
    clock.advance(1000)
  }

  /// The newest record of each key, by the definition; tombstones among them.
  static func newest(_ records: some Sequence<Record>) -> [String: Record] {
    var newest: [String: Record] = [:]
    for record in records {
      if let best = newest[record.key], best.order >= record.order { continue }
      newest[record.key] = record
    }
    return newest
  }

  /// What `latest` gives, by the definition.
  static func latest(
    _ records: some Sequence<Record>, timeToLive: TimeToLive = .infinite,
    expiredAt moment: Int64? = nil
  ) -> Set<Record> {
    Set(
      newest(records).values.filter { record in
        guard !record.isDeleted else { return false }
        guard let moment else { return true }
        return record.eventTime >= timeToLive.oldestEventTime(at: moment)
          && (record.expiresAt ?? .max) >= moment
      })
  }

  /// Rows of all of the table's columns as records.
  static func records(_ batch: RecordBatch) -> [Record] {
    func long(_ name: String, _ row: Int) -> Int64? {
      guard let column = batch.column(named: name), !column.isNull(row) else { return nil }
      return column.values(as: Int64.self)[row]
    }
    guard let sensors = batch.column(named: "sensor"), let zones = batch.column(named: "zone"),
      let notes = batch.column(named: "note")
    else { return [] }
    return (0..<batch.rowCount).map { row in
      Record(
        sensor: sensors.string(at: row), zone: zones.values(as: Int32.self)[row],
        eventTime: long("at", row) ?? -1, writeTime: long("write_time", row) ?? -1,
        lsn: long("lsn", row) ?? -1, expiresAt: long("expires_at", row),
        value: long("value", row), note: notes.isNull(row) ? nil : notes.string(at: row))
    }
  }

  static let columns = ["sensor", "zone", "at", "value", "note", "write_time", "lsn", "expires_at"]
}
