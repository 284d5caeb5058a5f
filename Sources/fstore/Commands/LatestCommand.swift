internal import FeatureStore
internal import JSON
internal import Storage

extension Command {
  static let latest = Command(
    name: "latest", summary: "write the latest record of every key of an offline table",
    discussion: """
      Of a key's records the one with the newest event time, and of those the last one written: no key twice, and
      none that was deleted. Without --output, or with '-', the rows go to standard output, as CSV unless --format says
      otherwise; what was found is said on standard error then. Examples:

        fstore latest weather --output weather.parquet
        fstore latest weather --as-of 2026-01-01T00:00:00Z --columns origin,temp > weather.csv
        fstore latest weather --include-unflushed --without-expired --output - --format arrow | ...
      """,
    syntax: CommandSyntax(
      positionals: [.init(name: "GROUP", help: "the feature group")],
      options: [
        CommandSyntax.option(
          "--as-of", "TIME|SNAPSHOT|TAG", "the table as it was then"),
        CommandSyntax.option(
          "--columns", "NAME,...", "only these; else key, event time, features, write_time, lsn"),
        CommandSyntax.flag("--without-expired", "leave out what has expired, by ttl or by itself"),
        CommandSyntax.flag("--include-unflushed", "also what the log has and the table lacks"),
        CommandSyntax.option("--output", "FILE|-", "a .parquet, .arrow, .arrows or .csv file"),
        CommandSyntax.option(
          "--format", "parquet|arrow|arrow-stream|csv", "instead of what FILE's name says"),
        CommandSyntax.flag("--overwrite", "replace the output file"),
      ])
  ) { context in
    let arguments = context.arguments
    var request = LatestRequest(group: arguments.positionals[0])
    request.columns = arguments.value("--columns").map { $0.split(separator: ",").map(String.init) }
    request.leavesOutExpired = arguments.has("--without-expired")
    request.includesUnflushed = arguments.has("--include-unflushed")
    request.version = arguments.value("--as-of").map { .init(parsing: $0) }
    let format = try arguments.value("--format").map { name throws(UsageError) in
      guard let format = RowFormat(optionValue: name) else {
        throw UsageError(
          message: "--format takes parquet, arrow, arrow-stream or csv, not '\(name)'")
      }
      return format
    }
    let path = arguments.value("--output") ?? "-"
    if path == "-", context.output.isJSON {
      throw UsageError(message: "--json reports on an --output FILE; '-' has the rows themselves")
    }
    let bar = ProgressBar("reading \(request.group)")
    let access: FeatureStore.Access = request.includesUnflushed ? .readOnly : .offline
    let report = try context.withStore(access) { store in
      defer { bar.finish() }
      func show(_ done: Int64, _ total: Int64) {
        bar.update(done, of: total, detail: "\(bytesText(done)) of \(bytesText(total))")
      }
      if path == "-" {
        return try store.writeLatest(
          request, into: StandardOutput(), format: format ?? .csv, progress: show)
      }
      return try store.writeLatest(
        request, to: path, format: format, replacesOutput: arguments.has("--overwrite"),
        progress: show)
    }
    let text =
      "\(countText(report.rowCount)) rows of \(countText(report.recordCount)) records"
      + (report.deletedKeyCount > 0 ? ", \(countText(report.deletedKeyCount)) keys deleted" : "")
      + (report.expiredKeyCount > 0 ? ", \(countText(report.expiredKeyCount)) expired" : "")
    guard path != "-" else {
      Output.note(text)
      return .success
    }
    context.output.print([
      "rows": .integer(Int64(report.rowCount)), "records": .integer(report.recordCount),
      "deleted_keys": .integer(Int64(report.deletedKeyCount)),
      "expired_keys": .integer(Int64(report.expiredKeyCount)),
      "unflushed_records": .integer(Int64(report.unflushedRecordCount)),
      "snapshot_id": report.snapshotID.map { .integer($0) } ?? .null,
      "bytes": .integer(report.sizeBytes),
    ]) { "\(text), in \(path) (\(bytesText(report.sizeBytes)))" }
    return .success
  }
}

extension RowFormat {
  /// By the name that `--format` has for it.
  init?(optionValue name: String) {
    switch name {
    case "parquet": self = .parquet
    case "arrow": self = .arrowFile
    case "arrow-stream": self = .arrowStream
    case "csv": self = .csv
    default: return nil
    }
  }
}
