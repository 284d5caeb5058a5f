import Foundation
import Iceberg
import Storage
import TestSupport
import Testing

/// Compaction of files that already are large row groups: these are copied, and nobody can tell but by the time.
@Suite struct CopiedRewriteTests {
  /// Row groups of up to 100 rows, so that 25 make a large one.
  private static let properties = ["write.parquet.row-group-limit": "100"]

  private func rewrite(
    _ table: Table, _ options: [String: String] = [:]
  ) throws -> RewriteDataFilesResult {
    let job = try RewriteDataFiles(table, options: RewriteDataFilesOptions(options))
    return try job.execute(job.plan())
  }

  private func ids(_ start: Int64, _ count: Int64) -> [Int64] { Array(start..<(start + count)) }

  /// What the table says of its files, without their names and sizes.
  private func metrics(_ table: Table) throws -> [DataFile] {
    var scan = try table.refresh().newScan()
    scan.includesStatistics = true
    return try scan.planFiles().tasks.map { task in
      var file = task.dataFile
      #expect(!file.valueCounts.isEmpty)
      (file.path, file.fileSizeInBytes, file.columnSizes, file.splitOffsets) = ("", 0, [:], [])
      return file
    }
  }

  @Test func filesOfLargeRowGroupsAreCopied() throws {
    let fixture = try MaintenanceFixture()
    var table = try fixture.table(properties: Self.properties)
    table = try table.appending(files: 6, rowsEach: 150)
    let before = ids(0, 900).map { TableRow($0) }
    let result = try rewrite(table)
    #expect(result.copiedFileCount == 6 && result.copiedBytes == result.rewrittenBytes)
    #expect(result.rewrittenFileCount == 6 && result.addedFileCount == 1 && result.rowCount == 900)
    #expect(try table.allRows() == before)
    var scan = try table.refresh().newScan()
    scan.includesStatistics = true
    let file = try #require(try scan.planFiles().tasks.first?.dataFile)
    #expect(file.splitOffsets.count == 12 && file.splitOffsets.first == 4)
    #expect(file.columnSizes.values.reduce(0, +) < file.fileSizeInBytes)
    // The same as when everything is decoded.
    let copied = try metrics(table)
    let again = try rewrite(table, ["rewrite-all": "true"])
    #expect(again.copiedFileCount == 0 && again.rewrittenFileCount == 1)
    #expect(try metrics(table) == copied)
    #expect(try table.allRows() == before)
  }

  @Test func smallFilesComeBehindThemIntoTheSameFile() throws {
    let fixture = try MaintenanceFixture()
    var table = try fixture.table(properties: Self.properties)
    table = try table.appending(ids(0, 90)).appending(ids(90, 40))
    for start in 0..<9 { table = try table.appending(ids(130 + Int64(start) * 5, 5)) }
    table = try table.appending(ids(200, 30))
    let before = try table.sortedRows()
    let result = try rewrite(table)
    #expect(result.copiedFileCount == 3 && result.rewrittenFileCount == 12)
    #expect(result.addedFileCount == 1 && result.rowCount == 205)
    #expect(
      try table.allRows().map(\.id) == ids(0, 130) + ids(200, 30) + ids(130, 45))
    #expect(try table.sortedRows() == before)
    let again = try rewrite(table)
    #expect(again.commitCount == 0)
  }

  /// A table of tiny files is read in one open each: whether they are to be copied is seen without.
  @Test func smallFilesAreOpenedOnce() throws {
    let fileSystem = FailingFileSystem(POSIXFileSystem())
    let fixture = try MaintenanceFixture(fileSystem: fileSystem)
    let table = try fixture.table().appending(files: 20, rowsEach: 3)
    let opens = Lock([String: Int]())
    fileSystem.watch { operation, path in
      if operation == "open", path.hasSuffix(".parquet") {
        opens.withLock { $0[path, default: 0] += 1 }
      }
    }
    let result = try rewrite(table)
    #expect(result.rewrittenFileCount == 20 && result.addedFileCount == 1)
    // And the new one.
    #expect(opens.withLock { $0 }.count == 21)
    #expect(opens.withLock { $0 }.values.allSatisfy { $0 == 1 })
  }

  /// Rows whose bounds, nulls and texts differ from file to file, and modes that keep less than all.
  @Test(arguments: ["full", "truncate(3)", "counts", "none"])
  func whatTheTableSaysOfCopiedFilesIsTrue(mode: String) throws {
    let fixture = try MaintenanceFixture()
    var properties = Self.properties
    properties["write.metadata.metrics.column.name"] = mode
    properties["write.metadata.metrics.column.x"] = mode
    var table = try fixture.table(properties: properties)
    for start in [400, 0, 900, 35] as [Int64] { table = try table.appending(ids(start, 33)) }
    // Only nulls.
    let nulls = ids(700, 30).map { TableRow(id: $0, time: 5, number: nil, name: nil) }
    let writer = try DataFileWriter(table)
    try writer.write(recordBatch(nulls))
    table = try table.newAppend(try writer.finish()).commit().table
    let result = try rewrite(table)
    #expect(result.copiedFileCount == 5)
    let copied = try metrics(table)
    _ = try rewrite(table, ["rewrite-all": "true"])
    #expect(try metrics(table) == copied)
  }

  /// A column that got bounds meanwhile has them after a rewrite: files without are decoded.
  @Test func filesWithoutTheMetricsWantedAreDecoded() throws {
    let fixture = try MaintenanceFixture()
    var properties = Self.properties
    properties["write.metadata.metrics.column.name"] = "counts"
    var table = try fixture.table(properties: properties)
    table = try table.appending(files: 3, rowsEach: 40)
    var commit = table.newCommit()
    commit.setProperties(["write.metadata.metrics.column.name": "full"])
    table = try commit.commit().table
    for start in 3..<6 { table = try table.appending(ids(Int64(start) * 40, 40)) }
    let result = try rewrite(table)
    #expect(result.copiedFileCount == 3 && result.rewrittenFileCount == 6)
    let file = try #require(try metrics(table).first)
    #expect(file.lowerBounds[4] == Array("name 1".utf8))
  }

  @Test func targetsHold() throws {
    let fixture = try MaintenanceFixture()
    var table = try fixture.table(properties: Self.properties)
    table = try table.appending(files: 12, rowsEach: 100)
    let size = try #require(try table.dataFiles().map(\.fileSizeInBytes).max())
    let before = try table.sortedRows()
    let result = try rewrite(table, ["target-file-size-bytes": "\(size * 4)"])
    #expect(result.copiedFileCount == 12 && result.addedFileCount > 1)
    #expect(try table.dataFiles().allSatisfy { $0.fileSizeInBytes < size * 6 })
    #expect(try table.sortedRows() == before)
  }

  @Test func deletedRowsDoNotComeBack() throws {
    let fixture = try MaintenanceFixture()
    var properties = Self.properties
    properties["write.delete.mode"] = "merge-on-read"
    var table = try fixture.table(properties: properties)
    table = try table.appending(files: 6, rowsEach: 40)
    table = try table.deleteRows(where: .comparison("id", .equal, .long(50))).table
    let result = try rewrite(table)
    #expect(result.copiedFileCount == 5 && result.removedRowCount == 1 && result.rowCount == 239)
    #expect(try table.sortedRows().map(\.id) == ids(0, 50) + ids(51, 189))
  }

  @Test func whatNeedsDecodingIsDecoded() throws {
    let fixture = try MaintenanceFixture()
    func filled(_ name: String, _ properties: [String: String] = [:]) throws -> Table {
      var table = try fixture.table(
        name, properties: Self.properties.merging(properties) { $1 })
      table = try table.appending(files: 6, rowsEach: 40)
      return table
    }
    // Sorted, of version 3, of another compression, of another schema.
    let sorted = try filled("db.sorted")
    #expect(try rewrite(sorted, ["sort-order": "id DESC"]).copiedFileCount == 0)
    #expect(try sorted.allRows().map(\.id) == ids(0, 240).reversed())
    var table = try filled("db.third")
    var upgrade = table.newCommit()
    upgrade.upgradeFormatVersion(to: 3)
    table = try upgrade.commit().table
    #expect(try rewrite(table).copiedFileCount == 0)
    table = try filled("db.compressed")
    var commit = table.newCommit()
    commit.setProperties(["write.parquet.compression-codec": "snappy"])
    table = try commit.commit().table
    #expect(try rewrite(table).copiedFileCount == 0)
    table = try filled("db.evolved")
    var evolution = table.newCommit()
    evolution.addColumns([.optional(99, "extra", .string)])
    table = try evolution.commit().table
    #expect(try rewrite(table).copiedFileCount == 0)
    #expect(try table.sortedRows().map(\.id) == ids(0, 240))
  }

  /// Every partition's files are copied into a file of that partition.
  @Test func partitionsStayApart() throws {
    let fixture = try MaintenanceFixture()
    let spec = PartitionSpec(fields: [
      PartitionField(sourceID: 1, fieldID: 1000, name: "b", transform: .bucket(2))
    ])
    var table = try fixture.table(properties: Self.properties, spec: spec)
    for start in 0..<6 {
      let writer = try DataFileWriter(table)
      try writer.write(recordBatch(ids(Int64(start) * 80, 80).map { TableRow($0) }))
      table = try table.newAppend(try writer.finish()).commit().table
    }
    let before = try table.sortedRows()
    let result = try rewrite(table)
    #expect(result.copiedFileCount == 12 && result.addedFileCount == 2)
    #expect(try Set(table.dataFiles().map(\.partition)) == [[.int(0)], [.int(1)]])
    #expect(try table.sortedRows() == before)
  }

  @Test func s23AFileWithOtherRowsThanTheTableSaysIsNotCopied() throws {
    let fixture = try MaintenanceFixture()
    var table = try fixture.table(properties: Self.properties)
    table = try table.appending(files: 5, rowsEach: 40)
    var file = try #require(try table.writeFiles([ids(200, 40)]).first)
    file.recordCount += 1
    table = try table.newAppend([file]).commit().table
    let result = try rewrite(table)
    #expect(result.commitCount == 0 && result.failures.count == 1)
    #expect(result.failures.first?.error.description.contains("has 40 rows") == true)
  }

  @Test func aDamagedFileIsNotCopied() throws {
    let fixture = try MaintenanceFixture()
    var table = try fixture.table(properties: Self.properties)
    table = try table.appending(files: 6, rowsEach: 40)
    let file = try #require(try table.dataFiles().last)
    let path = try Location.path(of: file.path)
    var bytes = try Data(contentsOf: URL(fileURLWithPath: path))
    bytes[60] ^= 4
    try bytes.write(to: URL(fileURLWithPath: path))
    let result = try rewrite(table)
    #expect(result.commitCount == 0 && result.failures.count == 1)
    #expect(try table.dataFiles().count == 6)
    #expect(try fixture.files(of: table).filter { $0.hasPrefix("data/") }.count == 6)
  }
}
