internal import FeatureStore
internal import Iceberg
internal import JSON

extension Command {
  static let optimize = Command(
    name: "optimize", summary: "compact small files",
    discussion: """
      Bin-packs data files that are too small, too large or mostly deleted, by the rules and defaults of
      Iceberg's rewrite_data_files. Safe beside writers and from cron: a second run on the same table exits at
      once with status 75. Old files stay until vacuum. Examples:

        fstore optimize --all
        fstore optimize weather --target-file-size 128MiB --min-input-files 2 --dry-run
      """,
    syntax: CommandSyntax(
      positionals: [
        .init(name: "GROUP", help: "feature groups", isRequired: false, isRepeatable: true)
      ],
      options: [
        CommandSyntax.flag("--all", "all groups with an offline table"),
        CommandSyntax.option("--target-file-size", "SIZE", "size of the new files (512MiB)"),
        CommandSyntax.option("--min-input-files", "COUNT", "fewest files worth a rewrite (5)"),
        CommandSyntax.option(
          "--option", "NAME=VALUE", "an option by Iceberg's name", repeatable: true),
        CommandSyntax.flag("--dry-run", "print the plan and do nothing"),
      ])
  ) { context in
    let arguments = context.arguments
    var options: [String: String] = [:]
    for pair in arguments.all("--option") {
      guard let equals = pair.firstIndex(of: "=") else {
        throw UsageError(message: "--option takes NAME=VALUE, not '\(pair)'")
      }
      options[String(pair[..<equals])] = String(pair[pair.index(after: equals)...])
    }
    if let size = try arguments.byteCount("--target-file-size") {
      options["target-file-size-bytes"] = "\(size)"
    }
    if let count = try arguments.integer("--min-input-files", minimum: 1) {
      options["min-input-files"] = "\(count)"
    }
    let chosen = options
    return try maintain(context, "optimizing") { store, group, progress in
      try store.optimize(
        group, options: chosen, isDryRun: arguments.has("--dry-run"), progress: progress)
    }
  }

  static let vacuum = Command(
    name: "vacuum", summary: "expire snapshots, delete what nothing refers to",
    discussion: """
      Expires snapshots by age and number, then deletes files that no snapshot reaches, orphans older than
      --older-than, and old metadata. --dry-run prints the plan; exactly that plan is what runs. Example:

        fstore vacuum --all --max-snapshot-age 5d --min-snapshots-to-keep 1
      """,
    syntax: CommandSyntax(
      positionals: [
        .init(name: "GROUP", help: "feature groups", isRequired: false, isRepeatable: true)
      ],
      options: [
        CommandSyntax.flag("--all", "all groups with an offline table"),
        CommandSyntax.option("--max-snapshot-age", "DURATION", "older snapshots expire (5d)"),
        CommandSyntax.option(
          "--min-snapshots-to-keep", "COUNT", "each branch keeps so many at least (1)"),
        CommandSyntax.option(
          "--older-than", "DURATION", "orphans older than this go (3d; at least 1d)"),
        CommandSyntax.flag("--dry-run", "print the plan and do nothing"),
      ])
  ) { context in
    let arguments = context.arguments
    var request = FeatureStore.VacuumRequest()
    request.maxSnapshotAgeMilliseconds = try arguments.duration("--max-snapshot-age").map {
      $0 / 1000
    }
    request.minSnapshotsToKeep = try arguments.integer("--min-snapshots-to-keep", minimum: 1)
    request.orphanAgeMilliseconds = try arguments.duration("--older-than").map { $0 / 1000 }
    request.isDryRun = arguments.has("--dry-run")
    let chosen = request
    return try maintain(context, "vacuuming") { store, group, progress in
      try store.vacuum(group, request: chosen, progress: progress)
    }
  }

  /// Runs a job for each group asked for, with a progress bar, and prints the reports.
  private static func maintain(
    _ context: Context, _ label: String,
    _ job: (FeatureStore, String, @escaping MaintenanceProgress.Report) throws -> MaintenanceReport
  ) throws -> ExitStatus {
    let reports = try context.withStore(.offline) { store in
      try maintainedGroups(context, store).map { group in
        let bar = ProgressBar("\(label) \(group)")
        defer { bar.finish() }
        return try job(store, group) { progress in
          bar.update(
            progress.bytesDone, of: progress.bytesTotal,
            detail: "\(progress.filesDone) of \(progress.filesTotal) files")
        }
      }
    }
    let json = JSONObject(reports.map { ($0.group, $0.json) })
    context.output.print(.object(json)) {
      reports.map { "\($0.group): \($0.text)" }.joined(separator: "\n")
    }
    return reports.contains(where: \.isPartial) ? .partial : .success
  }
}
