internal import FeatureStore
internal import JSON

extension Command {
  static let trainingSet = Command(
    name: "training-set", summary: "extract a point-in-time correct training set",
    discussion: """
      For each row of the spine, each feature is what was known of the row's entity at the row's time: the
      newest value with an event time not after it and not older than the group's ttl; null if there is none.
      The output has the spine's rows, in its order, with its own columns first. Formats by the files' names:
      .csv, .jsonl, .parquet, .arrow for the spine; .parquet or .csv for the output. Files that cannot hold an
      answer are not read; where some were, "never written" may also mean "written only later". Example:

        fstore training-set --spine flights.csv --time scheduled_departure --view flight --output set.parquet
      """,
    syntax: CommandSyntax(options: [
      CommandSyntax.option("--spine", "FILE", "entity keys, times and any other columns"),
      CommandSyntax.option("--time", "COLUMN", "the spine's time column"),
      CommandSyntax.option("--view", "VIEW", "the features of a view"),
      CommandSyntax.option(
        "--feature", "GROUP:FEATURE[=NAME]", "a feature, or GROUP:*", repeatable: true),
      CommandSyntax.option(
        "--key", "COLUMN=IDENTIFIER", "the spine's name for a record identifier", repeatable: true),
      CommandSyntax.option("--output", "FILE", "where to write the training set"),
      CommandSyntax.option(
        "--visibility", "event|ingested", "ingested counts only what was written by the row's time"),
      CommandSyntax.option("--as-of", "TIME", "read the tables as they were then"),
      CommandSyntax.flag("--overwrite", "replace the output file"),
    ])
  ) { context in
    let arguments = context.arguments
    var request = TrainingSetRequest(
      spineFile: try arguments.required("--spine"), timeColumn: try arguments.required("--time"),
      outputFile: try arguments.required("--output"))
    request.view = arguments.value("--view")
    request.features = arguments.all("--feature")
    request.replacesOutput = arguments.has("--overwrite")
    guard (request.view == nil) != request.features.isEmpty else {
      throw UsageError(message: "either --view or --feature is needed")
    }
    for pair in arguments.all("--key") {
      guard let equals = pair.firstIndex(of: "=") else {
        throw UsageError(message: "--key takes COLUMN=IDENTIFIER, not '\(pair)'")
      }
      let identifier = String(pair[pair.index(after: equals)...])
      request.keyColumns[identifier] = String(pair[..<equals])
    }
    switch arguments.value("--visibility") ?? "event" {
    case "event": request.visibility = .event
    case "ingested": request.visibility = .ingested
    case let other:
      throw UsageError(message: "--visibility takes event or ingested, not '\(other)'")
    }
    request.asOf = arguments.value("--as-of")
    let bar = ProgressBar("extracting")
    let report = try context.withStore(.offline) { store in
      defer { bar.finish() }
      return try store.extractTrainingSet(request) { done, total in
        bar.update(done, of: total, detail: "\(bytesText(done)) of \(bytesText(total))")
      }
    }
    context.output.print(json(report)) { text(report, request.outputFile) }
    return .success
  }

  private static func text(_ report: TrainingSetReport, _ file: String) -> String {
    var table = TextTable([
      ("group", .left), ("rows answered", .right), ("never written", .right),
      ("only later", .right), ("late", .right), ("expired", .right), ("deleted", .right),
      ("no key", .right), ("files read", .right), ("skipped", .right),
    ])
    for group in report.groups {
      table.rows.append([
        group.name, countText(group.foundCount), countText(group.neverWrittenCount),
        countText(group.onlyLaterCount), countText(group.lateCount), countText(group.expiredCount),
        countText(group.deletedCount), countText(group.noKeyCount), "\(group.filesRead)",
        "\(group.filesSkipped)",
      ])
    }
    return table.text()
      + "\n\n\(countText(report.rowCount)) rows x \(report.columnCount) columns in "
      + "\(file) (\(bytesText(report.sizeBytes)))"
  }

  private static func json(_ report: TrainingSetReport) -> JSONValue {
    [
      "rows": .integer(Int64(report.rowCount)), "columns": .integer(Int64(report.columnCount)),
      "bytes": .integer(report.sizeBytes),
      "groups": .array(
        report.groups.map { group in
          [
            "group": .string(group.name),
            "snapshot_id": group.snapshotID.map { .integer($0) } ?? .null,
            "found": .integer(Int64(group.foundCount)),
            "never_written": .integer(Int64(group.neverWrittenCount)),
            "only_later": .integer(Int64(group.onlyLaterCount)),
            "late": .integer(Int64(group.lateCount)),
            "expired": .integer(Int64(group.expiredCount)),
            "deleted": .integer(Int64(group.deletedCount)),
            "no_key": .integer(Int64(group.noKeyCount)),
            "files_read": .integer(Int64(group.filesRead)),
            "files_skipped": .integer(Int64(group.filesSkipped)),
          ]
        }),
    ]
  }
}
