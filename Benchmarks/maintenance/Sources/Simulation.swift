import BenchmarkSupport
import Iceberg
import Storage

/// The plan of a table that is too large to write here.
extension MaintenanceBenchmark {
  private static let filesPerManifest = 25_000
  /// So many manifests are made, and each has many names: more files than a plan holds, so that none is met twice.
  private static let manifestsMade = 16

  /// Makes the metadata of a table of so many small files, a manifest for every 25,000, and plans its compaction:
  /// the first of the plans that it takes.
  static func simulate(_ directory: String, files count: Int) throws {
    let catalog = try catalog(directory)
    try catalog.createNamespace(try Namespace("bench"))
    let table = try catalog.createTable(try identifier(), TableDefinition(schema: schema))
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
    let start = seconds()
    let cpuBefore = usage().cpu
    let plan = try RewriteDataFiles(try catalog.loadTable(try identifier())).plan()
    let end = seconds()
    let used = usage()
    print(
      #"{"files": \#(manifests * filesPerManifest), "manifests": \#(manifests), "#
        + #""planned-files": \#(plan.files.fileCount), "is-cut": \#(plan.files.isCut), "#
        + #""planning": \#(end - start), "planning-cpu": \#(used.cpu - cpuBefore), "#
        + #""peak-mib": \#(used.peak)}"#)
  }
}
