internal import FeatureStore
internal import Iceberg
internal import JSON

// What a group's offline table is made of.
extension Command {
  private static let group = CommandSyntax.Positional(name: "GROUP", help: "the feature group")

  static let tableHistory = inspection(
    "history", "list when which snapshot of a group's offline table became the current one",
    [("time", .left), ("snapshot", .right), ("parent", .right), ("in use", .left)]
  ) { inspection in
    inspection.history.map { entry in
      (
        inspection.json(entry),
        [
          time(entry.madeCurrentMilliseconds), "\(entry.snapshotID)",
          entry.parentSnapshotID.map { "\($0)" } ?? "", entry.isCurrentAncestor ? "yes" : "no",
        ]
      )
    }
  }

  static let references = inspection(
    "refs", "list the branches and tags of a group's offline table",
    [
      ("name", .left), ("kind", .left), ("snapshot", .right), ("keeps snapshots", .right),
      ("max snapshot age ms", .right), ("max age ms", .right),
    ]
  ) { inspection in
    inspection.references.map { entry in
      let reference = entry.reference
      return (
        inspection.json(entry),
        [
          entry.name, reference.kind.rawValue, "\(reference.snapshotID)",
          reference.minSnapshotsToKeep.map { "\($0)" } ?? "",
          reference.maxSnapshotAgeMilliseconds.map { "\($0)" } ?? "",
          reference.maxReferenceAgeMilliseconds.map { "\($0)" } ?? "",
        ]
      )
    }
  }

  static let manifests = inspection(
    "manifests", "list the manifests of a group's offline table",
    [
      ("manifest", .left), ("content", .left), ("spec", .right), ("added", .right),
      ("existing", .right), ("deleted", .right), ("rows", .right), ("size", .right),
    ]
  ) { inspection in
    try inspection.manifests().map { manifest in
      let rows = (manifest.addedRowsCount ?? 0) &+ (manifest.existingRowsCount ?? 0)
      return (
        inspection.json(manifest),
        [
          manifest.path, manifest.content.text, "\(manifest.partitionSpecID)",
          "\(manifest.addedFilesCount ?? 0)", "\(manifest.existingFilesCount ?? 0)",
          "\(manifest.deletedFilesCount ?? 0)", countText(rows), bytesText(manifest.length),
        ]
      )
    }
  }

  static let partitions = inspection(
    "partitions", "list the partitions of a group's offline table",
    [
      ("partition", .left), ("spec", .right), ("records", .right), ("files", .right),
      ("size", .right), ("deletes", .right), ("updated", .left),
    ]
  ) { inspection in
    try inspection.partitions().map { partition in
      let json = inspection.json(partition)
      let deletes = partition.positionDeleteRecordCount &+ partition.equalityDeleteRecordCount
      return (
        json,
        [
          json["partition"]?.text() ?? "", "\(partition.specID)", countText(partition.recordCount),
          countText(partition.dataFileCount), bytesText(partition.dataFileBytes),
          countText(deletes), partition.lastUpdatedMilliseconds.map { time($0) } ?? "",
        ]
      )
    }
  }

  static let metadataLog = inspection(
    "metadata-log", "list the metadata files of a group's offline table",
    [("time", .left), ("file", .left), ("snapshot", .right)]
  ) { inspection in
    inspection.metadataLog.map { entry in
      (
        inspection.json(entry),
        [
          time(entry.timestampMilliseconds), entry.file,
          entry.snapshot.map { "\($0.snapshotID)" } ?? "",
        ]
      )
    }
  }

  private static func time(_ milliseconds: Int64) -> String {
    CivilTime.text(microseconds: milliseconds &* 1000)
  }

  /// A command that prints lines about a group's offline table.
  private static func inspection(
    _ name: String, _ summary: String, _ columns: [(String, TextTable.Alignment)],
    _ lines:
      @escaping @Sendable (TableInspection) throws -> [(json: JSONValue, cells: [String])]
  ) -> Command {
    Command(name: name, summary: summary, syntax: CommandSyntax(positionals: [group])) { context in
      let found = try context.withStore(.offline) { store in
        try lines(TableInspection(try store.offlineTable(context.arguments.positionals[0])))
      }
      context.output.print(.array(found.map(\.json))) {
        var rows = TextTable(columns)
        rows.rows = found.map(\.cells)
        return rows.text()
      }
      return .success
    }
  }
}
