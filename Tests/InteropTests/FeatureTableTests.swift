import FeatureModel
import FeatureStore
import Foundation
import Iceberg
import JSON
import Testing

/// Another engine writes to a feature group's table between the store's flushes: the position in the
/// log stays with the table, and every record lands exactly once.
@Suite(.serialized, .enabled(if: Peer.isThere, Peer.hint)) struct FeatureTableTests {
  /// A store with one group, in a temporary directory that goes with the last reference.
  private final class Fixture: Sendable {
    let directory: String
    let store: FeatureStore
    var warehouse: JSONValue { .string(directory + "/warehouse") }

    init() throws {
      directory =
        FileManager.default.temporaryDirectory
        .appending(path: "fstore-interop-\(UUID().uuidString)").path
      try FeatureStore.create(at: directory)
      store = try FeatureStore.open(at: directory)
      try store.createGroup(
        FeatureGroup(
          id: 0, name: "readings", recordIdentifiers: [Feature("sensor", .string)],
          eventTimeName: "at", features: [Feature("value", .long)]))
    }

    deinit {
      try? store.close()
      try? FileManager.default.removeItem(atPath: directory)
    }

    /// Puts a record a value; returns the last one's place in the log.
    @discardableResult
    func put(_ values: Range<Int64>) throws -> Int64 {
      var last: Int64 = 0
      for value in values {
        let fields = ["sensor": "s\(value)", "at": "2026-01-01T00:00:00Z", "value": "\(value)"]
        last = try store.put("readings", fields: fields).lastLSN
      }
      return last
    }

    @discardableResult
    func call(_ function: String, _ arguments: JSONObject, by peer: Peer? = nil) throws -> JSONValue
    {
      var arguments = arguments
      arguments["folder"] = warehouse
      arguments["table"] = "features.readings"
      arguments["catalog_name"] = "fstore"
      return try peer?.call(function, arguments) ?? Peer.call(function, arguments)
    }

    /// The values of all rows, as each engine reads them.
    func expectValues(_ expected: [Int64], _ comment: Comment) throws {
      let own = try store.offlineTable("readings").rows { $0.columns = ["value"] }
      let wanted = expected.sorted()
      #expect(own.compactMap { $0.arrayValue?[0].int64Value }.sorted() == wanted, comment)
      for engine in ["pyiceberg", "duckdb"] {
        let rows = try call("read", ["engine": .string(engine), "columns": ["value"]])
        let values = (rows.arrayValue ?? []).compactMap { $0.arrayValue?[0].int64Value }
        #expect(values.sorted() == wanted, comment)
      }
    }

    var position: String? {
      get throws { try store.offlineTable("readings").properties["fstore.lsn"] }
    }
  }

  /// A row as another engine may write it: sensor, at, value, write_time, is_deleted, lsn,
  /// expires_at.
  private static func foreign(_ value: Int64) -> JSONValue {
    ["foreign", 1_767_225_600_000_000, .integer(value), 1_767_225_600_000_000, false, -1, .null]
  }

  @Test func theWriterGoesOnAfterAForeignRewrite() throws {
    let fixture = try Fixture()
    try fixture.put(0..<20)
    try fixture.store.flush()
    let position = try fixture.position
    // Copy on write: every file is another one afterwards.
    try fixture.call("delete", ["filter": "value < 5"])
    try fixture.call(
      "overwrite", ["rows": [Self.foreign(1000)], "filter": "value == 10 or value == 11"])
    #expect(try fixture.position == position)
    let rest = (5..<20).filter { $0 != 10 && $0 != 11 }.map { Int64($0) } + [1000]
    try fixture.expectValues(rest, "after the rewrite")
    #expect(try fixture.store.flush().isEmpty, "nothing that was deleted comes back")
    try fixture.put(20..<30)
    #expect(try fixture.store.flush().map(\.recordCount) == [10])
    try fixture.expectValues(rest + (20..<30), "after the next flush")

    let optimized = try fixture.store.optimize("readings", options: ["rewrite-all": "true"])
    #expect(!optimized.isPartial)
    var request = FeatureStore.VacuumRequest()
    request.maxSnapshotAgeMilliseconds = 0
    request.minSnapshotsToKeep = 1
    #expect(try !fixture.store.vacuum("readings", request: request).isPartial)
    try fixture.expectValues(rest + (20..<30), "after maintenance")
    try fixture.put(30..<35)
    try fixture.store.flush()
    try fixture.call("delete", ["filter": "value >= 30 and value < 100"])
    #expect(try fixture.store.flush().isEmpty)
    try fixture.expectValues(rest + (20..<30), "at the end")
  }

  @Test func flushesAndMaintenanceAmongForeignWritersLoseNothing() throws {
    let fixture = try Fixture()
    let peer = try Peer()
    try fixture.call(
      "properties",
      ["set": ["commit.retry.num-retries": "100", "commit.retry.min-wait-ms": "5"]])
    let foreign = (1000..<1020).map { Int64($0) }
    let group = DispatchGroup()
    group.enter()
    let isDone = Answer()
    Thread.detachNewThread {
      isDone.set(
        Result {
          try fixture.call(
            "append_each", ["rows": .array(foreign.map { Self.foreign($0) })], by: peer)
        })
      group.leave()
    }
    var next: Int64 = 0
    var last: Int64 = 0
    var rounds = 0
    while isDone.value == nil || rounds < 3 {
      last = try fixture.put(next..<(next + 3))
      next += 3
      let reports = try fixture.store.flush()
      #expect(reports.map(\.recordCount) == [3])
      let optimized = try fixture.store.optimize("readings", options: ["rewrite-all": "true"])
      #expect(!optimized.isPartial)
      var request = FeatureStore.VacuumRequest()
      request.maxSnapshotAgeMilliseconds = 0
      request.minSnapshotsToKeep = 1
      #expect(try !fixture.store.vacuum("readings", request: request).isPartial)
      rounds += 1
    }
    group.wait()
    let answer = try #require(isDone.value).get()
    #expect(answer.arrayValue?.count == foreign.count)
    try fixture.expectValues(Array(0..<next) + foreign, "\(rounds) rounds")
    #expect(try fixture.position == "\(last)")
    #expect(try fixture.store.flush().isEmpty)
  }

  private final class Answer: @unchecked Sendable {
    // Unchecked: the value is under the lock.
    private let lock = NSLock()
    private var stored: Result<JSONValue, any Error>?
    var value: Result<JSONValue, any Error>? { lock.withLock { stored } }
    func set(_ value: Result<JSONValue, any Error>) { lock.withLock { stored = value } }
  }
}
