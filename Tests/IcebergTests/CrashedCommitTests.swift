import Foundation
import Iceberg
import Storage
import TestSupport
import Testing

/// A machine that stops, or a disk that fails, at every call of an operation: the table is as it was before or
/// as it is after, and all that any of its snapshots speaks of can be read.
@Suite struct CrashedCommitTests {
  enum Operation: CaseIterable, Sendable {
    case append, delete, compact, vacuum, evolve
  }

  /// A table of two files and some history on a disk of its own.
  private struct Place {
    let system = SimulatedFileSystem()
    let catalog: InMemoryCatalog
    let table: Table

    init(formatVersion: Int) throws {
      catalog = InMemoryCatalog(
        name: "s", warehouse: "/w", io: try FileIO(fileSystem: system), clock: SystemClock())
      let identifier = try TableIdentifier("db.t")
      try catalog.createNamespace(identifier.namespace)
      var table = try catalog.createTable(
        identifier,
        TableDefinition(
          schema: Warehouse.schema, properties: ["write.delete.mode": "merge-on-read"],
          formatVersion: formatVersion))
      for ids in [[Int64(1), 2], [3, 4]] {
        table = try table.writing(ids.map { Row(id: $0, ts: 0, x: nil, name: nil) })
      }
      self.table = table
    }

    /// The table as the catalog has it, on another disk.
    func reopened(on system: SimulatedFileSystem) throws -> Table {
      let location = try catalog.loadState(table.identifier).metadataLocation
      let io = try FileIO(fileSystem: system)
      let metadata = try TableMetadata(fileContent: try io.readAll(location))
      return Table(
        identifier: table.identifier,
        state: TableState(metadata: metadata, metadataLocation: location), catalog: catalog, io: io,
        clock: SystemClock())
    }
  }

  private func perform(_ operation: Operation, _ table: Table) throws {
    switch operation {
    case .append: _ = try table.writing([Row(id: 5, ts: 0, x: nil, name: nil)])
    case .delete: _ = try table.deleteRows(where: .comparison("id", .equal, .long(2)))
    case .compact:
      let job = try RewriteDataFiles(
        table, options: try RewriteDataFilesOptions(["rewrite-all": "true"]))
      if let failure = try job.execute(try job.plan()).failures.first {
        throw IcebergError(.inputOutput, "\(failure)")
      }
    case .vacuum:
      var options = VacuumOptions()
      options.olderThanMilliseconds = .max
      options.retainLast = 1
      let vacuum = Vacuum(table, options: options)
      if let failure = try vacuum.execute(vacuum.plan()).failure { throw failure }
    case .evolve:
      var commit = table.newCommit()
      commit.addColumns([.optional(1, "more", .string)])
      _ = try commit.commit()
    }
  }

  private func ids(after operation: Operation) -> [Int64] {
    switch operation {
    case .append: [1, 2, 3, 4, 5]
    case .delete: [1, 3, 4]
    default: [1, 2, 3, 4]
    }
  }

  @Test(arguments: Operation.allCases, [2, 3])
  func aFailureAtAnyCallLeavesTheOldOrTheNewTable(
    operation: Operation, formatVersion: Int
  ) throws {
    let kinds: [SimulatedFileSystem.Fault.Kind] =
      formatVersion == 2 ? [.crash] : [.crash, .inputOutput]
    for kind in kinds {
      var call = 1
      while true {
        let place = try Place(formatVersion: formatVersion)
        let old = try place.catalog.loadState(place.table.identifier).metadataLocation
        place.system.inject(.init(call: call, kind: kind))
        var isDone = true
        do { try perform(operation, place.table) } catch { isDone = false }
        let reached = place.system.calls >= call
        place.system.inject(nil)
        let comment: Comment = "\(kind) at call \(call)"
        let disk = kind == .crash ? place.system.crashed(seed: UInt64(call)) : place.system
        let table = try place.reopened(on: disk)
        let isOld = table.metadataLocation == old
        // A vacuum may have expired snapshots before it failed to delete a file.
        if isDone { #expect(!isOld, comment) }
        let found = try table.newScan().rows().map(\.id)
        #expect(found == (isOld ? [1, 2, 3, 4] : ids(after: operation)), comment)
        for snapshot in table.metadata.snapshots {
          var scan = table.newScan()
          scan.version = .snapshot(snapshot.snapshotID)
          _ = try scan.rows()
        }
        guard reached else {
          #expect(isDone && call > 3, comment)
          break
        }
        call += 1
      }
    }
  }
}
