import Columnar
import Foundation
import Iceberg
import Storage
import TestSupport
import Testing

/// Deleting and overwriting by filter, in both modes and both versions that we write.
@Suite struct DeleteRowsTests {
  struct Way: Sendable, CustomTestStringConvertible {
    var mode: DeleteRows.Mode
    var formatVersion: Int
    var testDescription: String { "\(mode.rawValue), version \(formatVersion)" }
  }

  static let ways = [2, 3].flatMap { version in
    [DeleteRows.Mode.copyOnWrite, .mergeOnRead].map { Way(mode: $0, formatVersion: version) }
  }

  let rows = (0..<60).map { (index: Int) -> Row in
    let x: Double? = index % 7 == 0 ? nil : Double(index % 10)
    return Row(id: Int64(index), ts: 0, x: x, name: "n\(index % 4)")
  }

  private func table(_ warehouse: Warehouse, _ way: Way) throws -> Table {
    try warehouse.catalog.createTable(
      try TableIdentifier("db.t"),
      TableDefinition(
        schema: Warehouse.schema, properties: ["write.delete.mode": way.mode.rawValue],
        formatVersion: way.formatVersion)
    ).writing(rows, fileRows: 20)
  }

  @Test(arguments: ways) func whatMatchesGoesAndNothingElse(way: Way) throws {
    let warehouse = try Warehouse()
    let table = try table(warehouse, way)
    // Null is not "less than 5": those rows stay.
    let result = try table.deleteRows(where: .comparison("x", .less, .double(5)))
    let left = rows.filter { $0.x.map { $0 >= 5 } ?? true }
    #expect(try result.table.newScan().rows() == left)
    #expect(result.deletedRowCount == Int64(60 - left.count))
    #expect(result.rewrittenFileCount == (way.mode == .copyOnWrite ? 3 : 0))
    #expect(result.addedDeleteFileCount == (way.mode == .copyOnWrite ? 0 : 3))
    // Again nothing matches, so there is no snapshot.
    let again = try result.table.deleteRows(where: .comparison("x", .less, .double(5)))
    #expect(again.snapshotID == nil && again.deletedRowCount == 0)
    // A second deletion in the same files.
    let second = try result.table.deleteRows(where: .isNull("x"))
    #expect(try second.table.newScan().rows() == left.filter { $0.x != nil })
    if way.formatVersion == 3, way.mode == .mergeOnRead {
      for task in try second.table.newScan().planFiles().tasks {
        #expect(task.deletes.count == 1 && task.deletes[0].dataFile.isDeletionVector)
      }
      let head = try #require(second.table.metadata.currentSnapshot)
      #expect(head.summary["added-dvs"] == "3" && head.summary["removed-dvs"] == "3")
    }
  }

  @Test(arguments: ways) func wholeFilesAreNotRead(way: Way) throws {
    let warehouse = try Warehouse()
    let table = try table(warehouse, way)
    let plan = try DeleteRows(table, where: .comparison("id", .less, .long(40))).plan()
    #expect(plan.wholeFiles.count == 2 && plan.candidates.isEmpty)
    for task in plan.wholeFiles { try table.io.delete(task.dataFile.path) }
    let result = try table.deleteRows(where: .comparison("id", .less, .long(40)))
    #expect(result.removedFileCount == 2 && result.table.metadata.snapshots.count == 2)
    #expect(result.table.metadata.currentSnapshot?.operation == .delete)
    #expect(try result.table.newScan().rows() == Array(rows[40...]))
  }

  @Test(arguments: ways) func aFileThatLosesItsLastRowsGoes(way: Way) throws {
    let warehouse = try Warehouse()
    var table = try table(warehouse, way)
    for name in ["n0", "n1", "n2", "n3"] {
      table = try table.deleteRows(where: .comparison("name", .equal, .string(name))).table
    }
    #expect(try table.newScan().planFiles().tasks.isEmpty)
    #expect(table.metadata.currentSnapshot?.summary["total-records"] == "0")
    if way.formatVersion == 3 {
      // S27: their deletion vectors went with them.
      #expect(table.metadata.currentSnapshot?.summary["total-delete-files"] == "0")
    }
  }

  @Test(arguments: ways) func rowsAreReplacedInOneCommit(way: Way) throws {
    let warehouse = try Warehouse()
    let table = try table(warehouse, way)
    let writer = try DataFileWriter(table)
    let fresh = (100..<105).map { Row(id: Int64($0), ts: 1, x: nil, name: nil) }
    try writer.write(batch(fresh))
    let result = try table.overwriteRows(
      where: .comparison("name", .equal, .string("n1")), with: try writer.finish())
    #expect(result.table.metadata.snapshots.count == 2)
    #expect(result.table.metadata.currentSnapshot?.operation == .overwrite)
    #expect(try result.table.newScan().rows() == rows.filter { $0.name != "n1" } + fresh)
  }

  @Test(arguments: ways) func othersRowsThatMayMatchAreAConflictWhenSerializable(way: Way) throws {
    for isolation in [IsolationLevel.serializable, .snapshot] {
      let warehouse = try Warehouse()
      let table = try table(warehouse, way)
      var change = DeleteRows(table, where: .comparison("name", .equal, .string("n1")))
      change.isolation = isolation
      let plan = try change.plan()
      _ = try table.writing([Row(id: 200, ts: 0, x: nil, name: "n1")])
      if isolation == .serializable {
        let error = #expect(throws: IcebergError.self) { try change.execute(plan) }
        #expect(error?.kind == .validationFailed)
        #expect(error?.description.contains("meanwhile") == true)
        let names = try warehouse.names(table.location + "/data")
        #expect(names.count == 4, "what the failed deletion wrote is gone: \(names)")
        #expect(try table.refresh().newScan().rows().count == 61)
      } else {
        let result = try change.execute(plan)
        #expect(try result.table.newScan().rows().count == 46)
      }
    }
  }

  @Test(arguments: ways) func othersRowsThatCannotMatchAreNoConflict(way: Way) throws {
    let warehouse = try Warehouse()
    let table = try table(warehouse, way)
    let change = DeleteRows(table, where: .comparison("id", .less, .long(5)))
    let plan = try change.plan()
    _ = try table.writing([Row(id: 200, ts: 0, x: nil, name: "n1")])
    #expect(try change.execute(plan).table.newScan().rows().count == 56)
  }

  @Test(arguments: ways) func s24RowsThatOthersDeleteInTheSameFileAreAConflict(way: Way) throws {
    let warehouse = try Warehouse()
    let table = try table(warehouse, way)
    let change = DeleteRows(table, where: .comparison("id", .equal, .long(5)))
    let plan = try change.plan()
    let other = try table.deleteRows(where: .comparison("id", .equal, .long(6))).table
    // Position delete files of two writers go together; anything else does not.
    if way.formatVersion == 2, way.mode == .mergeOnRead {
      #expect(try change.execute(plan).table.newScan().rows().count == 58)
      return
    }
    let error = #expect(throws: IcebergError.self) { try change.execute(plan) }
    #expect(error?.kind == .validationFailed)
    #expect(try other.refresh().newScan().rows().count == 59)
    #expect(try change.execute().table.newScan().rows().count == 58)
  }

  @Test func s26DeletesForAFileThatOthersRemovedAreAConflict() throws {
    let warehouse = try Warehouse()
    let table = try table(warehouse, Way(mode: .mergeOnRead, formatVersion: 2))
    let change = DeleteRows(table, where: .comparison("id", .equal, .long(5)))
    let plan = try change.plan()
    _ = try table.deleteRows(where: .comparison("id", .less, .long(20)))
    let error = #expect(throws: IcebergError.self) { try change.execute(plan) }
    #expect(error?.kind == .validationFailed)
  }

  @Test(arguments: ways.filter { $0.formatVersion == 3 })
  func s28RowsKeepTheirIDsWhenTheirFileIsRewritten(way: Way) throws {
    let warehouse = try Warehouse()
    var table = try table(warehouse, way)
    let before = try table.lineage()
    #expect(Set(before.values.map(\.rowID)) == Set(0..<60))
    table = try table.deleteRows(where: .comparison("name", .equal, .string("n2"))).table
    let kept = before.filter { $0.key % 4 != 2 }
    #expect(try table.lineage() == kept)
    table = try table.writing([Row(id: 300, ts: 0, x: nil, name: nil)])
    let options = try RewriteDataFilesOptions(["rewrite-all": "true"])
    let job = try RewriteDataFiles(table, options: options)
    let result = try job.execute(job.plan())
    #expect(result.failures.isEmpty && result.commitCount == 1)
    let after = try result.table.lineage()
    #expect(after.filter { $0.key < 300 } == kept)
    #expect(try #require(after[300]).rowID >= 60)
    #expect(Set(after.values.map(\.rowID)).count == after.count)
    #expect(try result.table.newScan().planFiles().tasks.allSatisfy { $0.deletes.isEmpty })
    let deleteFiles = result.table.metadata.currentSnapshot?.summary["total-delete-files"]
    #expect(deleteFiles == "0")
  }

  @Test func s28RowsGetTheirIDsWhenATableIsUpgraded() throws {
    let warehouse = try Warehouse()
    var table = try table(warehouse, Way(mode: .mergeOnRead, formatVersion: 2))
    table = try table.deleteRows(where: .comparison("id", .equal, .long(30))).table
    var commit = table.newCommit()
    commit.upgradeFormatVersion(to: 3)
    table = try commit.commit().table
    // Position delete files of before go on to apply; the next deletion makes them a vector.
    #expect(try table.newScan().rows().count == 59)
    table = try table.deleteRows(where: .comparison("id", .equal, .long(31))).table
    #expect(try table.newScan().rows().count == 58)
    let file = try #require(
      try table.newScan().planFiles().tasks.first { !$0.deletes.isEmpty })
    #expect(file.deletes.map(\.dataFile.isDeletionVector) == [true])
    let lineage = try table.lineage()
    #expect(Set(lineage.values.map(\.rowID)).count == 58)
    #expect(lineage.values.allSatisfy { $0.rowID >= 0 && $0.sequenceNumber == 1 })
  }

  @Test func randomDeletionsLeaveWhatAFilterOfAllRowsLeaves() throws {
    for seed in UInt64(1)...6 {
      var random = SeededGenerator(seed: seed)
      let warehouse = try Warehouse()
      let way = try #require(Self.ways.randomElement(using: &random))
      var table = try table(warehouse, way)
      var model = rows
      for step in 0..<6 {
        let low = Int64.random(in: 0..<60, using: &random)
        let number = Double.random(in: 0..<10, using: &random).rounded()
        let filter: FilterExpression = .and([
          .comparison("id", .greaterOrEqual, .long(low)), .comparison("x", .equal, .double(number)),
        ])
        table = try table.deleteRows(where: filter).table
        model.removeAll { $0.id >= low && $0.x == number }
        #expect(try table.newScan().rows() == model, "seed \(seed), step \(step), \(way)")
      }
    }
  }
}

struct Lineage: Hashable {
  var rowID: Int64
  var sequenceNumber: Int64
}

extension Table {
  /// By id of the row.
  func lineage() throws -> [Int64: Lineage] {
    var scan = newScan()
    scan.columns = ["id", "_row_id", "_last_updated_sequence_number"]
    var found: [Int64: Lineage] = [:]
    for task in try scan.planFiles().tasks {
      let file = try scan.batches(task)
      while let batch = try file.next() {
        let (ids, rowIDs, numbers) = (
          batch.columns[0].int64s, batch.columns[1].int64s, batch.columns[2].int64s
        )
        for row in 0..<batch.rowCount {
          found[ids[row]] = Lineage(
            rowID: batch.columns[1].isNull(row) ? -1 : rowIDs[row], sequenceNumber: numbers[row])
        }
      }
    }
    return found
  }
}
