import Foundation
import Iceberg
import JSON
import Testing

/// Several processes write one table through one catalog, PyIceberg's among them.
@Suite(.serialized, .enabled(if: Peer.isThere, Peer.hint)) struct ConcurrencyTests {
  /// What the writers were told, gathered from all threads.
  private final class Outcome: @unchecked Sendable {
    // Unchecked: everything is under the lock.
    private let lock = NSLock()
    private var acknowledged: [Int64] = []
    private var failures: [String] = []

    func add(_ snapshots: [Int64]) { lock.withLock { acknowledged += snapshots } }
    func fail(_ error: any Error) { lock.withLock { failures.append("\(error)") } }
    var snapshots: [Int64] { lock.withLock { acknowledged } }
    var errors: [String] { lock.withLock { failures } }
  }

  /// Runs all bodies at once, each in a thread of its own, and waits for them.
  private func together(_ bodies: [@Sendable () throws -> [Int64]]) -> Outcome {
    let outcome = Outcome()
    let group = DispatchGroup()
    for body in bodies {
      group.enter()
      Thread.detachNewThread {
        do { outcome.add(try body()) } catch { outcome.fail(error) }
        group.leave()
      }
    }
    group.wait()
    return outcome
  }

  private static let schema = TableSchema(fields: [
    .required(1, "id", .long), .optional(2, "writer", .string),
  ])

  @Test func everyAcknowledgedCommitIsInTheHistoryOnce() throws {
    let fixture = try InteropFixture()
    let commits: Int64 = 15
    _ = try fixture.create(
      "db.t", Self.schema,
      properties: [
        "commit.retry.num-retries": "100", "commit.retry.min-wait-ms": "5",
        "commit.retry.max-wait-ms": "100",
      ])
    let folder = fixture.folder
    @Sendable func rows(_ writer: Int64) -> [JSONValue] {
      (0..<commits).map { [.integer(writer * 1000 + $0), .string("writer \(writer)")] }
    }
    let peers = try (0..<2).map { _ in try Peer() }
    var writers: [@Sendable () throws -> [Int64]] = []
    for (index, peer) in peers.enumerated() {
      writers.append {
        let arguments: JSONObject = [
          "folder": .string(folder), "table": "db.t", "rows": .array(rows(Int64(index))),
        ]
        return try peer.call("append_each", arguments).arrayValue?.compactMap(\.int64Value) ?? []
      }
    }
    for writer in Int64(2)..<4 {
      writers.append {
        let catalog = try InteropFixture.open(folder)
        return try rows(writer).map { row in
          let table = try catalog.loadTable(try TableIdentifier("db.t"))
          return try table.newAppend(try table.writing([row])).commit().snapshotID ?? 0
        }
      }
    }
    let outcome = together(writers)
    #expect(outcome.errors.isEmpty)
    let metadata = try fixture.load("db.t").metadata
    let total = Int(4 * commits)
    // One snapshot an acknowledged commit, none besides, and every one an ancestor of the head.
    #expect(outcome.snapshots.count == total)
    #expect(Set(outcome.snapshots) == Set(metadata.snapshots.map(\.snapshotID)))
    var ancestors: [Int64] = []
    var next = metadata.currentSnapshot
    while let snapshot = next {
      ancestors.append(snapshot.snapshotID)
      next = snapshot.parentSnapshotID.flatMap { metadata.snapshot(id: $0) }
    }
    #expect(ancestors.count == total && Set(ancestors) == Set(outcome.snapshots))
    #expect(
      metadata.snapshots.map(\.sequenceNumber).sorted() == Array(1...Int64(total)))
    #expect(metadata.currentSnapshot?.summary["total-records"] == "\(total)")
    try fixture.expectRows("db.t", (0..<4).flatMap { rows($0) })
  }

  @Test func maintenanceAmongForeignWritersLosesNothing() throws {
    let fixture = try InteropFixture()
    _ = try fixture.create(
      "db.t", Self.schema,
      properties: ["commit.retry.num-retries": "100", "commit.retry.min-wait-ms": "5"])
    let rows: [JSONValue] = (0..<25).map { [.integer($0), "peer"] }
    let more: [JSONValue] = (100..<125).map { [.integer($0), "ours"] }
    let folder = fixture.folder
    let peer = try Peer()
    let isDone = Flag()
    let outcome = together([
      {
        defer { isDone.set() }
        return try peer.call(
          "append_each", ["folder": .string(folder), "table": "db.t", "rows": .array(rows)]
        ).arrayValue?.compactMap(\.int64Value) ?? []
      },
      {
        for row in more { try fixture.load("db.t").appending([row]) }
        return []
      },
      {
        var rewrites = 0
        while !isDone.isSet {
          rewrites += try fixture.optimize("db.t").commitCount
          try fixture.vacuum("db.t")
        }
        #expect(rewrites > 2)
        return []
      },
    ])
    #expect(outcome.errors.isEmpty)
    #expect(outcome.snapshots.count == rows.count)
    try fixture.expectRows("db.t", rows + more, "after it all")
    try fixture.optimize("db.t")
    try fixture.vacuum("db.t")
    try fixture.expectRows("db.t", rows + more, "at rest")
    #expect(try fixture.load("db.t").newScan().planFiles().tasks.count == 1)
  }

  private final class Flag: @unchecked Sendable {
    // Unchecked: the value is under the lock.
    private let lock = NSLock()
    private var value = false
    var isSet: Bool { lock.withLock { value } }
    func set() { lock.withLock { value = true } }
  }
}
