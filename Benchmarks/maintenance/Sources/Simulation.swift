import BenchmarkSupport
import Iceberg
import Storage

/// A table that is too large to write here: the first plan of its compaction, and its commit.
extension MaintenanceBenchmark {
  private static let filesPerManifest = 25_000
  /// So many manifests are made, and each has many names: more files than a plan holds, so that none is met twice.
  private static let manifestsMade = 16

  /// Makes the metadata of a table of so many small files, a manifest for every 25,000.
  static func simulate(_ directory: String, files count: Int) throws {
    let catalog = try catalog(directory)
    try catalog.createNamespace(try Namespace("bench"))
    // Manifests are as large as they are to be: others have been merged by the commits before.
    let table = try catalog.createTable(
      try identifier(),
      TableDefinition(
        schema: schema, properties: ["commit.manifest.target-size-bytes": "\(1 << 20)"]))
    var builder = try HistoryBuilder(table)
    let manifests = max(1, count / filesPerManifest)
    let made = try (0..<min(manifests, manifestsMade)).map { number in
      try builder.manifest(
        (0..<filesPerManifest).map { index in
          ManifestEntry(
            status: .added,
            dataFile: file(
              "small", number * filesPerManifest + index, table.metadata.dataFolder, bytes: 2000))
        }, isNamed: false)
    }
    var list: [ManifestFile] = []
    for index in 0..<manifests {
      var manifest = made[index % made.count]
      let path = try table.io.path(of: manifest.path)
      manifest.path = "\(table.metadata.metadataFolder)/simulated-\(index).avro"
      guard try table.io.fileSystem.link(path, to: try table.io.path(of: manifest.path)) else {
        throw Failure(message: "the file system has no links")
      }
      list.append(manifest)
    }
    try builder.snapshot(.append, list)
    try catalog.dropTable(try identifier())
    _ = try catalog.registerTable(try identifier(), metadataLocation: try builder.finish())
    print(#"{"files": \#(manifests * filesPerManifest), "manifests": \#(manifests)}"#)
  }

  /// The first of the plans that its compaction takes, and the commit that puts one file in the place of those of the
  /// plan. Files are neither read nor written.
  static func simulateCompaction(_ directory: String) throws {
    let start = seconds()
    let plan = try RewriteDataFiles(try catalog(directory).loadTable(try identifier())).plan()
    let (planned, planning) = (seconds(), usage())
    let files = plan.files.groups.flatMap(\.files)
    var added = file("large", 0, plan.table.metadata.dataFolder, bytes: plan.files.sizeBytes)
    added.recordCount = files.reduce(0) { $0 + $1.recordCount }
    var commit = plan.table.newCommit()
    commit.replace(
      files.map {
        DataFile(
          path: $0.path, recordCount: $0.recordCount, fileSizeInBytes: $0.sizeBytes)
      }, with: [added], startingSnapshotID: plan.startingSnapshot?.snapshotID ?? -1)
    _ = try commit.commit()
    let (end, used) = (seconds(), usage())
    print(
      #"{"planned-files": \#(files.count), "is-cut": \#(plan.files.isCut), "#
        + #""planning": \#(planned - start), "planning-cpu": \#(planning.cpu), "#
        + #""planning-mib": \#(planning.peak), "committing": \#(end - planned), "#
        + #""committing-cpu": \#(used.cpu - planning.cpu), "peak-mib": \#(used.peak)}"#)
  }
}
