import Foundation
import Iceberg
import JSON
import TestSupport
import Testing

/// Eight processes of ours and PyIceberg work with one table through one SQLite catalog: appending,
/// overwriting, deleting, compacting and expiring. From what each was told, and the order of the snapshots,
/// the table is made once more.
@Suite(.serialized, .enabled(if: Peer.isThere, Peer.hint)) struct ProcessConcurrencyTests {
  private struct Link {
    var parent: Int64
    var sequenceNumber: Int64
    var operation: String
  }

  /// `FSTORE_CONCURRENT_OPERATIONS` of each process.
  private static let operationCount =
    setting("FSTORE_CONCURRENT_OPERATIONS", 5)

  private static let roles: [TableWorker.Role] = [
    .append, .append, .append, .overwrite, .delete, .delete, .compact, .expire,
  ]

  @Test(arguments: [2, 3]) func theHistoryOfManyProcessesIsSerial(formatVersion: Int) async throws {
    let fixture = try InteropFixture()
    _ = try fixture.create(
      "db.t", TableSchema(fields: [.required(1, "id", .long), .optional(2, "writer", .string)]),
      properties: [
        "commit.retry.num-retries": "200", "commit.retry.min-wait-ms": "5",
        "commit.retry.max-wait-ms": "100",
        "write.delete.mode": formatVersion == 3 ? "merge-on-read" : "copy-on-write",
      ], formatVersion: formatVersion)
    let (folder, count) = (fixture.folder, Self.operationCount)
    // PyIceberg writes tables of version 2 only; in version 3 one of ours takes its place.
    let peerNumber = TableWorker.appenderCount - 1
    let peerRows = (0..<count).map { operation in
      TableWorker.row(
        Int64(peerNumber) * TableWorker.rowsPerWriter + Int64(operation), peerNumber)
    }
    let peerSnapshots = try await withThrowingTaskGroup(of: [Int64].self) { group in
      for (index, role) in Self.roles.enumerated() {
        // Numbers up to three are of those who append: three of ours, and the peer.
        let number = role == .append ? index : index + 1
        group.addTask {
          await #expect(processExitsWith: .success, "\(role) \(number)") {
            [
              folder = folder as String, role = role.rawValue as String, number = number as Int,
              count = count as Int
            ] in
            guard let role = TableWorker.Role(rawValue: role) else { abort() }
            var worker = try TableWorker(
              folder, role: role, number: number, operationCount: count)
            try worker.run()
          }
          return []
        }
      }
      if formatVersion == 2 {
        group.addTask {
          try Peer().call(
            "append_each", ["folder": .string(folder), "table": "db.t", "rows": .array(peerRows)]
          ).arrayValue?.compactMap(\.int64Value) ?? []
        }
      } else {
        group.addTask {
          await #expect(processExitsWith: .success, "append \(peerNumber)") {
            [folder = folder as String, number = peerNumber as Int, count = count as Int] in
            var worker = try TableWorker(
              folder, role: .append, number: number, operationCount: count)
            try worker.run()
          }
          return []
        }
      }
      return try await group.reduce(into: []) { $0 += $1 }
    }
    if formatVersion == 2 { #expect(peerSnapshots.count == count) }
    let notes = (0...Self.roles.count).flatMap { Notes.read(TableWorker.notesPath(folder, $0)) }
    try check(fixture, notes, peerSnapshots, peerRows)
  }

  /// Makes the table once more and compares.
  private func check(
    _ fixture: InteropFixture, _ notes: [[String]], _ peerSnapshots: [Int64],
    _ peerRows: [JSONValue]
  ) throws {
    let table = try fixture.load("db.t")
    let metadata = table.metadata
    var links: [Int64: Link] = [:]
    for snapshot in metadata.snapshots {
      links[snapshot.snapshotID] = Link(
        parent: snapshot.parentSnapshotID ?? 0, sequenceNumber: snapshot.sequenceNumber,
        operation: snapshot.operation?.text ?? "none")
    }
    var acknowledged: [Int64: [String]] = [:]
    for line in notes where line[0] != "c" {
      let numbers = line.dropFirst().compactMap { Int64($0) }
      if line[0] == "x" {
        links[numbers[0]] = Link(
          parent: numbers[1], sequenceNumber: numbers[2], operation: line[4])
      } else {
        #expect(acknowledged.updateValue(line, forKey: numbers[0]) == nil)
      }
    }
    for (snapshot, row) in zip(peerSnapshots, peerRows) {
      acknowledged[snapshot] = ["a", "\(snapshot)", row.arrayValue?[0].text() ?? ""]
    }
    // From the head back to the beginning, nothing missing between.
    var history: [Int64] = []
    var next = metadata.currentSnapshotID ?? 0
    while next != 0 {
      let link = try #require(links[next], "snapshot \(next) is unknown")
      history.append(next)
      if let last = links[link.parent] { #expect(last.sequenceNumber < link.sequenceNumber) }
      next = link.parent
    }
    #expect(Set(history).count == history.count)
    #expect(Set(acknowledged.keys).isSubset(of: history), "an acknowledged commit is lost")
    var rows: Set<Int64> = []
    for id in history.reversed() {
      guard let line = acknowledged[id] else {
        // Only who compacts makes snapshots without a line of their own.
        #expect(links[id]?.operation == "replace", "snapshot \(id) is nobody's")
        continue
      }
      let ids = line.dropFirst(2).compactMap { Int64($0) }
      switch line[0] {
      case "a": rows.formUnion(ids)
      case "o":
        rows.remove(ids[0])
        rows.insert(ids[1])
      default: rows.subtract(ids)
      }
    }
    let found = try table.rows().compactMap { $0.arrayValue?[0].int64Value }.sorted()
    #expect(found == rows.sorted())
    #expect(
      metadata.currentSnapshot?.summary["total-records"].flatMap { Int($0) } ?? 0 >= rows.count)
    #expect(notes.contains { $0[0] == "c" } && notes.contains { $0[0] == "x" })
    #expect(
      acknowledged.values.count { $0[0] == "a" } == TableWorker.appenderCount * Self.operationCount)
    // And as others read it.
    let theirs = try fixture.read("duckdb", "db.t").compactMap { $0.arrayValue?[0].int64Value }
    #expect(theirs.sorted() == found)
  }
}
