import Foundation
import Iceberg
import Storage
import Testing

/// Plans whose files come one by one, from manifests that are large enough for several threads.
@Suite struct ScanTaskStreamTests {
  /// A table of two manifests of more than half a MiB each, with bounds of three columns.
  private func table(_ warehouse: Warehouse, filesPerManifest: Int = 6000) throws -> Table {
    var table = try warehouse.table(properties: ["commit.manifest-merge.enabled": "false"])
    for manifest in 0..<2 {
      let files = (0..<filesPerManifest).map { index in
        // Names that do not compress, so that the manifests are large.
        var file = fakeFile(
          "\(UUID().uuidString)-\(UUID().uuidString)-\(UUID().uuidString)", in: table)
        let id = Int64(manifest * filesPerManifest + index)
        for column in Int32(1)...3 { file.valueCounts[column] = 10 }
        for column in Int32(1)...2 { file.nullValueCounts[column] = 0 }
        file.columnSizes[1] = 40
        file.lowerBounds[1] = Literal.long(id * 10).boundBytes
        file.upperBounds[1] = Literal.long(id * 10 + 9).boundBytes
        file.lowerBounds[2] = Literal.timestamptz(0).boundBytes
        return file
      }
      table = try table.newAppend(files).commit().table
    }
    return table
  }

  @Test func filesComeInTheOrderOfThePlanWhateverTheThreads() throws {
    let warehouse = try Warehouse()
    let table = try table(warehouse)
    let expected = try table.newScan().planFiles(threads: 1)
    #expect(expected.tasks.count == 12_000)
    #expect(expected.scannedManifestCount == 2)
    for threads in [1, 2, 5] {
      let stream = try table.newScan().tasks(threads: threads)
      var index = 0
      while let task = try stream.next() {
        #expect(task.dataFile.path == expected.tasks[index].dataFile.path)
        #expect(task.sequenceNumber == expected.tasks[index].sequenceNumber)
        index += 1
      }
      #expect(index == expected.tasks.count, "\(threads) threads")
      #expect(try stream.next() == nil)
    }
  }

  @Test func aFilterSkipsFilesAndKeepsTheStatisticsOfItsColumnsOnly() throws {
    let warehouse = try Warehouse()
    let table = try table(warehouse)
    for threads in [1, 3] {
      var scan = table.newScan()
      scan.filter = .comparison("id", .less, .long(30))
      let plan = try scan.planFiles(threads: threads)
      #expect(plan.tasks.count == 3)
      #expect(plan.skippedFileCount == 11_997)
      let file = try #require(plan.tasks.first?.dataFile)
      // Which columns a file has is always known.
      #expect(file.valueCounts.count == 3 && file.nullValueCounts == [1: 0])
      #expect(Set(file.lowerBounds.keys) == [1] && Set(file.upperBounds.keys) == [1])
      #expect(file.columnSizes.isEmpty)
      scan.includesStatistics = true
      let whole = try #require(try scan.planFiles(threads: threads).tasks.first?.dataFile)
      #expect(whole.valueCounts.count == 3 && whole.lowerBounds.count == 2)
      #expect(whole.columnSizes == [1: 40])
    }
  }

  @Test func aPlanMayBeGivenUp() throws {
    let warehouse = try Warehouse()
    let table = try table(warehouse)
    let stream = try table.newScan().tasks(threads: 2)
    #expect(try stream.next() != nil)
    stream.cancel()
    #expect(try stream.next() == nil)
    // Dropping it in the middle ends its threads, too.
    let dropped = try table.newScan().tasks(threads: 2)
    #expect(try dropped.next() != nil)
  }

  @Test func aDamagedManifestIsAnErrorWhateverTheThreads() throws {
    let warehouse = try Warehouse()
    let table = try table(warehouse)
    let path = try warehouse.path(try TableInspection(table).manifests()[1].path)
    let handle = try FileHandle(forUpdating: URL(fileURLWithPath: path))
    try handle.seek(toOffset: 300_000)
    try handle.write(contentsOf: Data(repeating: 0x5A, count: 64))
    try handle.close()
    for threads in [1, 2] {
      let stream = try table.newScan().tasks(threads: threads)
      #expect(throws: IcebergError.self) { while try stream.next() != nil {} }
    }
  }
}
