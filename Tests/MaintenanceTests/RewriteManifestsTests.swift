import Foundation
import Iceberg
import Storage
import Testing

/// Manifests written anew.
@Suite struct RewriteManifestsTests {
  static let bucketed = PartitionSpec(fields: [
    PartitionField(sourceID: 1, fieldID: 1000, name: "id_bucket", transform: .bucket(4))
  ])

  private func manifests(_ table: Table) throws -> [ManifestFile] {
    let table = try table.refresh()
    let list = try #require(table.metadata.currentSnapshot?.manifestList)
    return try ManifestList.read(try table.io.readAll(list))
  }

  private func table(_ fixture: MaintenanceFixture, files: Int = 8) throws -> Table {
    try fixture.table(
      properties: ["commit.manifest-merge.enabled": "false"], spec: Self.bucketed
    ).appending(files: files)
  }

  @Test func manyManifestsBecomeOneAndNothingElseChanges() throws {
    let fixture = try MaintenanceFixture()
    let table = try table(fixture)
    let (rows, files) = (try table.sortedRows(), try Set(table.dataFiles().map(\.path)))
    let numbers = try table.newScan().planFiles().tasks.map {
      [$0.sequenceNumber, $0.dataFile.recordCount]
    }
    #expect(try manifests(table).count == 8)
    let job = RewriteManifests(table)
    let plan = try job.plan()
    #expect(plan.rewrittenCount == 8 && plan.expectedCount == 1)
    let result = try job.execute(plan)
    #expect(result.rewrittenCount == 8 && result.addedCount == 1)
    let snapshot = try #require(result.table.metadata.currentSnapshot)
    let written = try manifests(table)
    #expect(written.count == 1 && written[0].addedSnapshotID == snapshot.snapshotID)
    #expect(written[0].existingFilesCount == Int32(files.count) && written[0].addedFilesCount == 0)
    #expect(snapshot.operation == .replace && snapshot.summary["manifests-replaced"] == "8")
    #expect(snapshot.summary["manifests-created"] == "1")
    #expect(snapshot.summary["entries-processed"] == "\(files.count)")
    #expect(try table.sortedRows() == rows)
    #expect(try Set(table.dataFiles().map(\.path)) == files)
    let after = try result.table.newScan().planFiles().tasks.map {
      [$0.sequenceNumber, $0.dataFile.recordCount]
    }
    #expect(
      after.sorted { $0[0] < $1[0] }.map { $0[0] } == numbers.sorted { $0[0] < $1[0] }.map { $0[0] }
    )
    // Another run has nothing to do.
    #expect(try job.plan().isEmpty)
    #expect(try job.execute(job.plan()).addedCount == 0)
  }

  @Test func filesOfAPartitionComeToLieTogether() throws {
    let fixture = try MaintenanceFixture()
    let table = try table(fixture, files: 12)
    let before = try manifests(table)
    var options = RewriteManifests.Options()
    options.targetSizeBytes = before.reduce(0) { $0 + $1.length } / 4
    let job = RewriteManifests(table, options: options)
    let result = try job.execute(job.plan())
    #expect((3...5).contains(result.addedCount))
    // Before, every manifest had files of nearly all partitions; now each has a range of them.
    let ranges = try manifests(table).map { manifest -> Int in
      let partition = try #require(manifest.partitions?.first)
      let low = try #require(partition.lowerBound).first ?? 0
      let high = try #require(partition.upperBound).first ?? 0
      return Int(high) - Int(low)
    }
    #expect(ranges.allSatisfy { $0 <= 1 }, "\(ranges)")
    let scan = { () throws -> ScanPlan in
      var scan = try table.refresh().newScan()
      scan.filter = .comparison("id", .equal, .long(5))
      return try scan.planFiles()
    }
    #expect(try scan().skippedManifestCount >= 2)
  }

  @Test func deleteManifestsAreRewrittenTooAndDeletesStill() throws {
    let fixture = try MaintenanceFixture()
    var table = try fixture.table(properties: ["commit.manifest-merge.enabled": "false"])
      .appending(files: 3)
    for file in try table.dataFiles() {
      table = try table.deleting([
        try table.positionDeletes("d\(file.recordCount)-\(UUID().uuidString)", of: file.path, [1])
      ])
    }
    let rows = try table.sortedRows()
    #expect(rows.count == 27)
    let job = RewriteManifests(table)
    let result = try job.execute(job.plan())
    #expect(result.rewrittenCount == 6 && result.addedCount == 2)
    #expect(try manifests(table).map(\.content) == [.data, .deletes])
    #expect(try table.sortedRows() == rows)
  }

  @Test func anAppendMeanwhileSurvivesAndAMergeMeanwhileIsPlannedAgain() throws {
    let fixture = try MaintenanceFixture()
    let table = try table(fixture, files: 4)
    let job = RewriteManifests(table)
    let plan = try job.plan()
    var later = try table.appending(Array(500..<510))
    #expect(try job.execute(plan).rewrittenCount == 4)
    #expect(try table.sortedRows().count == 50)
    let second = try job.plan()
    // Somebody else does the same in between.
    let other = RewriteManifests(table)
    _ = try other.execute(other.plan())
    later = try table.refresh().appending(Array(600..<610))
    #expect(try job.execute(second).addedCount == 1)
    #expect(try later.sortedRows().count == 60)
    // What was written for nothing is gone.
    let known = try Set(
      later.refresh().metadata.snapshots.flatMap { snapshot in
        try ManifestList.read(try table.io.readAll(snapshot.manifestList ?? "")).map(\.path)
      })
    let there = try fixture.files(of: table).filter { $0.contains("optimized") }
    #expect(there.allSatisfy { name in known.contains { $0.hasSuffix(name) } })
  }

  @Test func rowIDsOfVersionThreeStay() throws {
    let fixture = try MaintenanceFixture()
    var table = try table(fixture, files: 3)
    var upgrade = table.newCommit()
    upgrade.upgradeFormatVersion(to: 3)
    table = try upgrade.commit().table
    for index in 0..<3 {
      table = try table.appending(Array((100 * Int64(index))..<(100 * Int64(index) + 4)))
    }
    func ids() throws -> [String: Int64?] {
      Dictionary(
        uniqueKeysWithValues: try table.refresh().newScan().planFiles().tasks.map {
          ($0.dataFile.path, $0.dataFile.firstRowID)
        })
    }
    let before = try ids()
    let job = RewriteManifests(table)
    _ = try job.execute(job.plan())
    #expect(try ids() == before && before.values.contains { $0 != nil })
  }

  @Test func optionsThatMakeNoSenseAreRefused() throws {
    let fixture = try MaintenanceFixture()
    let table = try table(fixture, files: 2)
    #expect(throws: IcebergError.self) { try RewriteManifests.Options(["sort": "a"]) }
    #expect(throws: IcebergError.self) { try RewriteManifests.Options(["target-size-bytes": "0"]) }
    var options = try RewriteManifests.Options(["spec-id": "9"])
    #expect(throws: IcebergError.self) { try RewriteManifests(table, options: options).plan() }
    options = try RewriteManifests.Options(["sort-by": "nothing"])
    let error = #expect(throws: IcebergError.self) {
      try RewriteManifests(table, options: options).plan()
    }
    #expect(error?.message.contains("there are: [id_bucket]") == true)
  }
}
