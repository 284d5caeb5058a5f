import BenchmarkSupport
import FileFormats
import Iceberg
import Storage

// Planning of tables whose data files are only described.
extension IcebergBenchmark {
  /// A file as a manifest describes it: metrics of twelve columns, a partition of one day.
  private static func file(_ index: Int, day: Int, folder: String) -> DataFile {
    var file = DataFile(
      path: "\(folder)/event_time_day=\(day)/\(index)-4d6f-8b1a-3c5e7f90a1b2.parquet", specID: 0,
      partition: [.date(Int32(day))], recordCount: 10_000, fileSizeInBytes: 1_048_576)
    let start = Int64(day) * 86_400_000_000 + Int64(index % 86_400) * 1_000_000
    for id in Int32(1)...12 {
      file.columnSizes[id] = 80_000 + Int64(index % 1000)
      file.valueCounts[id] = 10_000
      file.nullValueCounts[id] = id < 3 ? 0 : Int64(index % 500)
    }
    for id in Int32(3)...8 { file.nanValueCounts[id] = 0 }
    file.lowerBounds[1] = Literal.long(Int64(index % 977)).boundBytes
    file.upperBounds[1] = Literal.long(Int64(1_000_000 - index % 977)).boundBytes
    file.lowerBounds[2] = Literal.timestamptz(start).boundBytes
    file.upperBounds[2] = Literal.timestamptz(start + 999_999).boundBytes
    file.splitOffsets = [4]
    file.sortOrderID = 0
    return file
  }

  private static let firstDay = 20_000

  private static func definition() -> TableDefinition {
    TableDefinition(
      schema: Rows.schema,
      partitionSpec: PartitionSpec(
        specID: 0,
        fields: [
          PartitionField(sourceID: 2, fieldID: 1000, name: "event_time_day", transform: .day)
        ]))
  }

  /// A table of files that do not exist, day after day, in one commit.
  static func files(_ directory: String, count: Int, partitions: Int) throws -> String {
    let table = try create(directory, definition())
    let folder = table.metadata.dataFolder
    let files = (0..<count).map { index in
      file(index, day: firstDay + index * partitions / count, folder: folder)
    }
    let result = try table.newAppend(files).commit()
    return #"{"files": \#(count), "attempts": \#(result.attemptCount)}"#
  }

  private static func scan(_ table: Table, day: Int?) -> TableScan {
    var scan = table.newScan()
    if let day {
      let start = Int64(firstDay + day) * 86_400_000_000
      scan.filter =
        .and([
          .comparison("event_time", .greaterOrEqual, .timestamptz(start)),
          .comparison("event_time", .less, .timestamptz(start + 86_400_000_000)),
        ])
    }
    return scan
  }

  /// Loads the table and plans all of it, or one day.
  static func plan(_ directory: String, threads: Int, day: Int?) throws -> String {
    let begin = seconds()
    let table = try load(directory)
    let loaded = seconds()
    return try plan(scan(table, day: day), threads, loading: loaded - begin)
  }

  private static func plan(_ scan: TableScan, _ threads: Int, loading: Double) throws -> String {
    let processor = processorSeconds()
    let begin = seconds()
    let plan = try scan.tasks(threads: threads)
    var rows: Int64 = 0
    var files = 0
    while let task = try plan.next() {
      rows += task.dataFile.recordCount
      files += 1
    }
    let end = seconds()
    return #"{"seconds": \#(end - begin), "cpu-seconds": \#(processorSeconds() - processor), "#
      + #""loading": \#(loading), "files": \#(files), "rows": \#(rows), "#
      + #""skipped-files": \#(plan.skippedFileCount), "#
      + #""manifests": \#(plan.scannedManifestCount), "#
      + #""skipped-manifests": \#(plan.skippedManifestCount)}"#
  }

  // MARK: A table too large to write

  private static let simulatedFilesPerManifest = 25_000
  private static let simulatedManifests = 16

  /// Plans a table of so many files, all of it and one day. It has a manifest for every 25,000 files, with the list
  /// that such a table has; but only 16 of them were made, and each has many names.
  static func simulate(_ directory: String, files count: Int) throws -> String {
    let table = try simulated(directory, manifests: max(1, count / simulatedFilesPerManifest))
    let all = try plan(scan(table, day: nil), 2, loading: 0)
    let one = try plan(scan(table, day: 3), 2, loading: 0)
    return #"{"all": \#(all), "day": \#(one)}"#
  }

  private static func simulated(_ directory: String, manifests count: Int) throws -> Table {
    let table = try create(directory, definition())
    let metadata = table.metadata
    let fileSystem = table.io.fileSystem
    var templates: [(path: String, summary: WrittenManifest)] = []
    for number in 0..<simulatedManifests {
      var writer = try ManifestWriter(
        schema: metadata.currentSchema, spec: metadata.defaultPartitionSpec)
      for index in 0..<simulatedFilesPerManifest {
        try writer.add(
          ManifestEntry(
            status: .added,
            dataFile: file(
              number * simulatedFilesPerManifest + index,
              day: firstDay + number * 25 + index / 1000, folder: metadata.dataFolder)))
      }
      // Without the name in it, as other writers leave it.
      let (bytes, summary) = try writer.finish()
      let path = "\(metadata.metadataFolder)/template-\(number).avro"
      try table.io.write(path, bytes)
      templates.append((try table.io.path(of: path), summary))
    }
    var list: [ManifestFile] = []
    for index in 0..<count {
      let template = templates[index % templates.count]
      let path = "\(metadata.metadataFolder)/simulated-\(index).avro"
      guard try fileSystem.link(template.path, to: try table.io.path(of: path)) else {
        throw Failure(message: "the file system has no links")
      }
      var manifest = template.summary.manifestFile(path: path, addedSnapshotID: 1)
      if index >= templates.count {
        // Days that no other manifest has: the list is what a filter on the day looks at.
        let day = Int32(firstDay + index * 25)
        manifest.partitions?[0].lowerBound = Literal.date(day).boundBytes
        manifest.partitions?[0].upperBound = Literal.date(day + 24).boundBytes
      }
      list.append(manifest)
    }
    let location = "\(metadata.metadataFolder)/simulated-list.avro"
    try table.io.write(
      location,
      try ManifestList.write(list, snapshotID: 1, parentSnapshotID: nil, sequenceNumber: 1))
    var large = metadata
    large.snapshots = [
      Snapshot(
        snapshotID: 1, parentSnapshotID: nil, sequenceNumber: 1,
        timestampMilliseconds: metadata.lastUpdatedMilliseconds, manifestList: location,
        operation: .append, schemaID: metadata.currentSchemaID)
    ]
    large.currentSnapshotID = 1
    return Table(
      identifier: table.identifier,
      state: TableState(metadata: large, metadataLocation: table.metadataLocation),
      catalog: table.catalog, io: table.io, clock: table.clock)
  }
}
