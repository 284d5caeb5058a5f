internal import FeatureStore
internal import Iceberg
internal import JSON

extension Command {
  static let snapshots = Command(
    name: "snapshots", summary: "list the snapshots of a group's offline table",
    syntax: CommandSyntax(positionals: [.init(name: "GROUP", help: "the feature group")])
  ) { context in
    let table = try context.withStore(.offline) {
      try $0.offlineTable(context.arguments.positionals[0])
    }
    let current = table.metadata.currentSnapshotID
    context.output.print(
      .array(table.metadata.snapshots.map { $0.json(formatVersion: table.metadata.formatVersion) })
    ) {
      var rows = TextTable([
        ("snapshot", .right), ("", .left), ("time", .left), ("operation", .left),
        ("added", .right), ("removed", .right), ("files", .right), ("records", .right),
        ("lsn", .right),
      ])
      for snapshot in table.metadata.snapshots {
        let summary = snapshot.summary
        rows.rows.append([
          "\(snapshot.snapshotID)", snapshot.snapshotID == current ? "*" : "",
          CivilTime.text(microseconds: snapshot.timestampMilliseconds &* 1000),
          snapshot.operation?.text ?? "", summary["added-data-files"] ?? "0",
          summary["deleted-data-files"] ?? "0", summary["total-data-files"] ?? "",
          summary["total-records"] ?? "", summary["fstore.lsn"] ?? "",
        ])
      }
      return rows.text()
    }
    return .success
  }

  static let files = Command(
    name: "files", summary: "list the data files of a group's offline table",
    syntax: CommandSyntax(
      positionals: [.init(name: "GROUP", help: "the feature group")],
      options: [CommandSyntax.flag("--summary", "counts and sizes instead of the list")])
  ) { context in
    let files = try context.withStore(.offline) {
      try $0.dataFiles(context.arguments.positionals[0])
    }
    let bytes = files.reduce(Int64(0)) { $0 &+ $1.fileSizeInBytes }
    let records = files.reduce(Int64(0)) { $0 &+ $1.recordCount }
    if context.arguments.has("--summary") {
      let json: JSONValue = [
        "files": .integer(Int64(files.count)), "bytes": .integer(bytes),
        "records": .integer(records),
      ]
      context.output.print(json) {
        "\(countText(files.count)) files, \(bytesText(bytes)), \(countText(records)) records"
          + (files.isEmpty ? "" : ", \(bytesText(bytes / Int64(files.count))) a file")
      }
      return .success
    }
    let json = files.map { file -> JSONValue in
      [
        "path": .string(file.path), "records": .integer(file.recordCount),
        "bytes": .integer(file.fileSizeInBytes),
      ]
    }
    context.output.print(.array(json)) {
      var rows = TextTable([("file", .left), ("records", .right), ("size", .right)])
      for file in files {
        rows.rows.append([file.path, countText(file.recordCount), bytesText(file.fileSizeInBytes)])
      }
      return rows.text()
    }
    return .success
  }

  /// The groups that a maintenance command was asked to do.
  static func maintainedGroups(_ context: Context, _ store: FeatureStore) throws -> [String] {
    let named = context.arguments.positionals
    if context.arguments.has("--all") {
      guard named.isEmpty else { throw UsageError(message: "either groups or --all, not both") }
      return store.offlineGroupNames
    }
    guard !named.isEmpty else { throw UsageError(message: "name the groups, or --all") }
    return named
  }
}
