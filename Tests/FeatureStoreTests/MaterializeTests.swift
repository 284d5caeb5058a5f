import FeatureModel
import FeatureStore
import Foundation
import Iceberg
import TestSupport
import Testing

/// Online stores that come back from their offline tables, and history that never was online.
@Suite struct MaterializeTests {
  static var options: FeatureStore.Options {
    var options = FeatureStore.Options()
    options.flushesAutomatically = false
    options.logSegmentBytes = 256 << 10
    options.logMinimumBytes = 1 << 20
    return options
  }

  /// What an entity answers, with where it comes from.
  struct Answer: Hashable {
    var values: [FeatureAnswer]
  }

  static let keyCount = 1500

  static func answers(_ store: FeatureStore) throws -> [Answer] {
    try (0..<keyCount).map {
      Answer(values: try store.get("readings", fields: ["sensor": "s\($0)"]))
    }
  }

  /// A flushed store: several records of each key in several files, late ones, deletes.
  static func fill(_ directory: String) throws -> [Answer] {
    let store = try FeatureStore.open(at: directory, options: options)
    try store.createGroup(StoreFixture.group())
    var generator = SeededGenerator(seed: 12)
    for _ in 0..<8 {
      for _ in 0..<500 {
        let key = generator.below(keyCount)
        let time = "2026-01-01T00:00:\(10 + generator.below(50))Z"
        if generator.oneIn(12) {
          try store.delete("readings", key: ["sensor": "s\(key)"], eventTime: time)
        } else {
          try store.put(
            "readings",
            fields: [
              "sensor": "s\(key)", "at": time, "value": "\(generator.below(1 << 30))",
              "note": String(repeating: "n", count: generator.below(40)),
            ])
        }
      }
      try store.flush()
    }
    let answers = try answers(store)
    try store.close()
    return answers
  }

  /// The log is gone, all of it; a repair makes an empty one behind the tables.
  static func loseLog(_ directory: String) throws {
    let log = directory + "/log"
    for name in try FileManager.default.contentsOfDirectory(atPath: log) {
      try FileManager.default.removeItem(atPath: log + "/" + name)
    }
    let report = try FeatureStore.repair(at: directory)
    #expect(report.groupsToMaterialize == ["readings"])
  }

  static func hasMark(_ directory: String) throws -> Bool {
    try FileManager.default.contentsOfDirectory(atPath: directory + "/jobs")
      .contains { $0.hasPrefix("materialize") }
  }

  /// With all keys in memory at once, and with few.
  @Test(arguments: [512 << 20, 24 << 10])
  func afterALossEveryKeyAnswersAsBefore(memoryBytes: Int) throws {
    let fixture = try StoreFixture(options: Self.options)
    let before = try Self.fill(fixture.directory)
    let presentCount = before.count { $0.values[0].status != .neverWritten }
    #expect(before.contains { $0.values[0].status == .deleted })
    try Self.loseLog(fixture.directory)
    let store = try FeatureStore.open(at: fixture.directory, options: Self.options)
    #expect(try Self.answers(store).allSatisfy { $0.values[0].status == .neverWritten })
    var steps: [(Int64, Int64)] = []
    let report = try store.materialize("readings", memoryBytes: memoryBytes) {
      steps.append(($0, $1))
    }
    #expect(report.rowCount == 4000 && report.keyCount == presentCount)
    #expect(report.broughtCount == presentCount)
    #expect(try Self.answers(store) == before)
    // Progress never goes back, and ends at its end.
    #expect(zip(steps, steps.dropFirst()).allSatisfy { $0.0 <= $1.0 && $1.0 <= $1.1 })
    let last = try #require(steps.last)
    #expect(last.0 == last.1 && last.0 > 0 && steps.count >= 17)
    // Few keys at a time are more passes over the eight files.
    #expect((steps.count > 16 * 4) == (memoryBytes < 1 << 20))
    #expect(try !Self.hasMark(fixture.directory))
    #expect(try store.materialize("readings").broughtCount == 0)
    // Nothing lands a second time, and new records come after all others.
    #expect(try store.flush().isEmpty)
    let newest = try store.put(
      "readings", fields: ["sensor": "s0", "at": "2026-01-02T00:00:00Z", "value": "1"])
    #expect(newest.lastLSN > (before.compactMap { $0.values[0].lsn }.max() ?? .max))
    try store.close()
    let again = try FeatureStore.open(at: fixture.directory, options: Self.options)
    #expect(try Array(Self.answers(again).dropFirst()) == Array(before.dropFirst()))
    #expect(try again.verify().damages.isEmpty)
    try again.close()
  }

  @Test func killedAgainAndAgainItGoesOnWhereItWas() async throws {
    let fixture = try StoreFixture(options: Self.options)
    let before = try Self.fill(fixture.directory)
    try Self.loseLog(fixture.directory)
    let directory = fixture.directory
    var broughtBefore = 0
    for round in 0..<4 {
      // 8 KiB make many parts; each of the 16 files of a part is a step.
      await #expect(processExitsWith: .signal(SIGKILL)) {
        [directory = directory as String, round = round as Int] in
        do {
          let store = try FeatureStore.open(at: directory, options: MaterializeTests.options)
          var steps = 0
          _ = try store.materialize("readings", memoryBytes: 8 << 10) { _, _ in
            steps += 1
            if steps == 20 + round * 5 { kill(getpid(), SIGKILL) }
          }
        } catch {}
      }
      let reader = try FeatureStore.open(at: directory, access: .readOnly, options: Self.options)
      let brought = try reader.statistics().indexedKeyCount
      #expect(brought >= broughtBefore)
      broughtBefore = brought
      try reader.close()
    }
    #expect(try Self.hasMark(directory))
    #expect(broughtBefore > 0)
    let store = try FeatureStore.open(at: directory, options: Self.options)
    let report = try store.materialize("readings", memoryBytes: 8 << 10)
    let presentCount = before.count { $0.values[0].status != .neverWritten }
    // Parts that were done are not looked at again, nor are keys brought twice.
    #expect(report.keyCount < presentCount, "\(report)")
    #expect(report.broughtCount <= presentCount - broughtBefore)
    #expect(try Self.answers(store) == before)
    #expect(try !Self.hasMark(directory))
    try store.close()
  }

  @Test func aTableThatChangedIsLookedAtFromTheBeginning() throws {
    let fixture = try StoreFixture(options: Self.options)
    var before = try Self.fill(fixture.directory)
    try Self.loseLog(fixture.directory)
    let store = try FeatureStore.open(at: fixture.directory, options: Self.options)
    // A mark that would leave everything out, of another state of the table.
    let table = try store.offlineTable("readings").metadata
    let group = try store.group("readings").id
    let mark = """
      {"table": "\(table.tableUUID ?? "")", "snapshot_id": 7, "parts": [], "files_done": 0}
      """
    try mark.write(
      toFile: fixture.directory + "/jobs/materialize-\(group)", atomically: true, encoding: .utf8)
    _ = try store.materialize("readings")
    #expect(try Self.answers(store) == before)
    // And one that nobody understands.
    try store.purge("readings", key: ["sensor": "s1"])
    try "{".write(
      toFile: fixture.directory + "/jobs/materialize-\(group)", atomically: true, encoding: .utf8)
    _ = try store.materialize("readings")
    before[1] = Answer(values: before[1].values)
    #expect(try Self.answers(store) == before)
    try store.close()
  }

  @Test func atTheLimitOfTheLogItFlushesForRoom() throws {
    var options = Self.options
    options.logSegmentBytes = 64 << 10
    options.logMinimumBytes = 64 << 10
    options.logLimitBytes = 1 << 20
    let fixture = try StoreFixture(options: options)
    let store = try FeatureStore.open(at: fixture.directory, options: options)
    for name in ["readings", "other"] { try store.createGroup(StoreFixture.group(name)) }
    for number in 0..<200 { try PressureTests.put(store, "s\(number)", number) }
    try store.flush()
    for number in 0..<200 { try store.purge("readings", key: ["sensor": "s\(number)"]) }
    #expect(throws: FeatureStoreError.self) {
      for number in 0..<2000 {
        try store.put(
          "other",
          fields: [
            "sensor": "s\(number % 9)", "at": "2026-01-01T00:00:00Z", "value": "\(number)",
            "note": PressureTests.note,
          ])
      }
    }
    #expect(try store.statistics().groups[1].unflushedRecordCount > 0)
    #expect(try store.materialize("readings").broughtCount == 200)
    #expect(
      try store.get("readings", fields: ["sensor": "s9"], features: ["value"])[0].value == .long(9))
    #expect(try store.statistics().groups[1].unflushedRecordCount == 0)
    try store.close()
  }
}
