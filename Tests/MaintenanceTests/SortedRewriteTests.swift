import Columnar
import Foundation
import Iceberg
import Storage
import TestSupport
import Testing

/// Compaction that sorts.
@Suite struct SortedRewriteTests {
  private func rewrite(
    _ table: Table, _ options: [String: String]
  ) throws -> RewriteDataFilesResult {
    let job = try RewriteDataFiles(table, options: RewriteDataFilesOptions(options))
    return try job.execute(job.plan())
  }

  /// Six files of mixed ids, each id twice.
  private func mixed(_ fixture: MaintenanceFixture, spec: PartitionSpec = .unpartitioned) throws
    -> Table
  {
    var table = try fixture.table(spec: spec)
    var random = SeededGenerator(seed: 7)
    for _ in 0..<6 { table = try table.appending((0..<40).map { _ in Int64(random.below(60)) }) }
    return table
  }

  @Test func rowsAreSortedByTheKeysThatAreGiven() throws {
    let fixture = try MaintenanceFixture()
    let table = try mixed(fixture)
    let before = try table.allRows()
    let result = try rewrite(table, ["sort-order": "name DESC NULLS FIRST, id"])
    #expect(result.rewrittenFileCount == 6 && result.addedFileCount == 1)
    let after = try table.allRows()
    let expected = before.enumerated().sorted { left, right in
      let (a, b) = (left.element, right.element)
      if a.name != b.name {
        guard let first = a.name, let second = b.name else { return a.name == nil }
        return Array(second.utf8).lexicographicallyPrecedes(Array(first.utf8))
      }
      return a.id == b.id ? left.offset < right.offset : a.id < b.id
    }
    #expect(after == expected.map(\.element))
    #expect(try table.dataFiles().first?.sortOrderID == nil)
  }

  @Test func theTablesOwnOrderIsTakenAndItsIDNoted() throws {
    let fixture = try MaintenanceFixture()
    let order = SortOrder(
      orderID: 1, fields: [SortField(sourceID: 2, direction: .descending, nullOrder: .nullsLast)])
    let table = try fixture.catalog.createTable(
      try TableIdentifier("db.sorted"),
      TableDefinition(schema: MaintenanceFixture.schema, sortOrder: order)
    ).appending([3, 1, 2]).appending([9, 0]).appending([4]).appending([5]).appending([6])
    _ = try rewrite(table, ["strategy": "sort"])
    #expect(try table.allRows().map(\.id) == [9, 6, 5, 4, 3, 2, 1, 0])
    #expect(try table.dataFiles().first?.sortOrderID == table.metadata.defaultSortOrderID)
    // The same order, spelled out.
    _ = try rewrite(table, ["sort-order": "ts DESC NULLS LAST", "rewrite-all": "true"])
    #expect(try table.dataFiles().first?.sortOrderID == table.metadata.defaultSortOrderID)
  }

  @Test func transformsAndPartitionsGoWithIt() throws {
    let fixture = try MaintenanceFixture()
    let spec = PartitionSpec(fields: [
      PartitionField(sourceID: 1, fieldID: 1000, name: "id_bucket", transform: .bucket(2))
    ])
    let table = try mixed(fixture, spec: spec)
    let before = try table.sortedRows()
    let result = try rewrite(table, ["sort-order": "truncate(10, id) DESC, id ASC"])
    #expect(result.addedFileCount == 2)
    #expect(try table.sortedRows() == before)
    let scan = try table.refresh().newScan()
    for task in try scan.planFiles().tasks {
      var ids: [Int64] = []
      let file = try scan.batches(task)
      while let batch = try file.next() {
        let column = batch.columns[0]
        let values = column.values(as: Int64.self)
        for row in 0..<batch.rowCount { ids.append(values[row]) }
      }
      #expect(ids == ids.sorted { ($1 / 10, $0) < ($0 / 10, $1) })
    }
  }

  @Test func alongAZOrderCurveNeighboursInBothColumnsLieTogether() throws {
    let fixture = try MaintenanceFixture()
    var table = try fixture.table()
    // A grid of 64 by 64, in rows.
    for band in 0..<8 {
      let writer = try DataFileWriter(table)
      let rows = (0..<512).map { index in
        let (x, y) = (Int64(index % 64), Int64(band * 8 + index / 64))
        return TableRow(id: x, time: y, number: nil, name: nil)
      }
      try writer.write(recordBatch(rows))
      table = try table.newAppend(try writer.finish()).commit().table
    }
    let before = try table.allRows()
    _ = try rewrite(table, ["sort-order": "zorder(id, ts)"])
    let after = try table.allRows()
    #expect(Set(after) == Set(before) && after.count == before.count)
    // Every sixteenth part of the file is a square of 16 by 16.
    for part in 0..<16 {
      let rows = after[(part * 256)..<((part + 1) * 256)]
      #expect(Set(rows.map { $0.id / 16 }).count == 1 && Set(rows.map { $0.time / 16 }).count == 1)
    }
  }

  @Test(arguments: [16 << 10, 200 << 10, 64 << 20])
  func whatDoesNotFitInMemoryIsMergedFromFiles(memoryBytes: Int64) throws {
    let fixture = try MaintenanceFixture()
    let table = try fixture.table()
    let options = try RewriteDataFilesOptions(["sort-order": "x, name DESC"])
    let sort = try ExternalSort(table, options, memoryBytes: memoryBytes)
    var random = SeededGenerator(seed: 3)
    var rows: [TableRow] = []
    for count in [1, 700, 0, 2500, 900, 3000, 5, 4000] {
      let batch = (0..<count).map { _ in TableRow(Int64(random.below(500))) }
      rows += batch
      // The fixture's batches have no field ids, as a scan's have.
      for start in stride(from: 0, to: count, by: 300) {
        try sort.add(scanned(Array(batch[start..<min(start + 300, count)])))
      }
    }
    var found: [TableRow] = []
    try sort.finish { batch throws(IcebergError) in
      #expect(batch.valueBytes <= 2 << 20)
      found += batch.tableRows
    }
    let expected = rows.enumerated().sorted { left, right in
      let (a, b) = (left.element, right.element)
      if a.number != b.number {
        guard let first = a.number, let second = b.number else { return a.number == nil }
        return first < second
      }
      if a.name != b.name {
        guard let first = a.name, let second = b.name else { return b.name == nil }
        return Array(second.utf8).lexicographicallyPrecedes(Array(first.utf8))
      }
      return left.offset < right.offset
    }.map(\.element)
    #expect(found == expected)
    #expect((sort.runCount > 0) == (memoryBytes < 1 << 20))
    #expect(memoryBytes > 100 << 10 || sort.runCount > 16, "\(sort.runCount) runs")
    // The files never had a name for long.
    #expect(try !fixture.files(of: table).contains { $0.hasSuffix(".arrow") })
  }

  private func scanned(_ rows: [TableRow]) -> RecordBatch {
    let batch = recordBatch(rows)
    return RecordBatch(
      schema: MaintenanceFixture.schema.columnarSchema, columns: batch.columns,
      rowCount: batch.rowCount)
  }

  @Test func ordersThatMakeNoSenseAreRefused() throws {
    let fixture = try MaintenanceFixture()
    let table = try fixture.table().appending(files: 5)
    for (options, text) in [
      (["strategy": "sort"], "no sort order is provided"),
      (["sort-order": "nothing"], "no column 'nothing'"),
      (["sort-order": "bucket(4, x)"], "cannot be sorted by"),
      (["z-order": "id,id"], "twice"),
    ] {
      let job = try RewriteDataFiles(table, options: RewriteDataFilesOptions(options))
      let error = #expect(throws: IcebergError.self) { try job.plan() }
      #expect(error?.message.contains(text) == true, "\(error?.message ?? "")")
    }
    for (options, text) in [
      (["sort-order": "id SIDEWAYS"], "'sideways' is too much"),
      (["sort-order": "id NULLS MAYBE"], "'nulls maybe' is not understood"),
      (["sort-order": "id,"], "names no column"),
      (["sort-order": "twist(3, id)"], "no such transform"),
      (["strategy": "zorder"], "needs columns"),
      (["strategy": "random"], "unsupported strategy"),
      (["strategy": "binpack", "sort-order": "id"], "already been set to binpack"),
      (["max-output-size": "4"], "[max-output-size]"),
      (["compression-factor": "2"], "[compression-factor]"),
      (["sort-order": "id", "var-length-contribution": "4"], "[var-length-contribution]"),
      (["z-order": "id", "var-length-contribution": "0"], "'var-length-contribution'"),
      (["max-memory-bytes": "1000"], "'max-memory-bytes'"),
    ] {
      let error = #expect(throws: IcebergError.self) { try RewriteDataFilesOptions(options) }
      #expect(error?.message.contains(text) == true, "\(options): \(error?.message ?? "")")
    }
  }

  @Test func sortOrdersAreReadAsTheReferencesSQLHasThem() throws {
    #expect(
      try SortKey.parse(" a desc , bucket( 16 , b ) NULLS LAST, day(c) ASC NULLS FIRST") == [
        SortKey("a", direction: .descending, nullOrder: .nullsLast),
        SortKey("b", transform: .bucket(16), nullOrder: .nullsLast),
        SortKey("c", transform: .day, nullOrder: .nullsFirst),
      ])
    #expect(
      try RewriteDataFilesOptions(["sort-order": "zorder(a, b)"]).strategy == .zOrder(["a", "b"]))
    #expect(try RewriteDataFilesOptions(["strategy": "sort"]).strategy == .sort([]))
  }

  @Test func anotherSpecMayBeWritten() throws {
    let fixture = try MaintenanceFixture()
    let spec = PartitionSpec(fields: [
      PartitionField(sourceID: 1, fieldID: 1000, name: "id_bucket", transform: .bucket(4))
    ])
    var table = try fixture.table(spec: spec)
    for _ in 0..<3 { table = try table.appending(Array(0..<40)) }
    var change = table.newCommit()
    var update = PartitionSpecUpdate()
    update.remove("id_bucket")
    change.updatePartitionSpec(update)
    table = try change.commit().table
    let before = try table.sortedRows()
    let old = table.metadata.partitionSpecs.first { !$0.isUnpartitioned }?.specID ?? -1
    _ = try rewrite(table, ["output-spec-id": "\(old)", "rewrite-all": "true"])
    #expect(try table.dataFiles().allSatisfy { $0.specID == old })
    #expect(try table.dataFiles().count == 4)
    _ = try rewrite(table, ["rewrite-all": "true"])
    #expect(try table.dataFiles().map(\.specID) == [table.metadata.defaultSpecID])
    #expect(try table.sortedRows() == before)
    let error = #expect(throws: IcebergError.self) { try rewrite(table, ["output-spec-id": "77"]) }
    #expect(error?.message.contains("77 is not a valid spec id") == true)
  }
}
