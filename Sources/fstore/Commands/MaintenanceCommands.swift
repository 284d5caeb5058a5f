internal import FeatureStore
internal import Iceberg
internal import JSON

extension Command {
  static let optimize = Command(
    name: "optimize", summary: "compact small files",
    discussion: """
      Rewrites data files that are too small, too large or mostly deleted, by the rules and defaults of
      Iceberg's rewrite_data_files, and takes out delete files that apply to nothing any more. Safe beside
      writers and from cron: a second run on the same table exits at once with status 75. Old files stay until
      vacuum. With several groups it goes on past one that fails, and names it at the end.

      --strategy bin-pack (the default) keeps the rows' order; sort brings them into --sort-order, or the
      table's own order; z-order keeps rows together that are near in every column of --z-order. Examples:

        fstore optimize --all
        fstore optimize weather --target-file-size 128MiB --min-input-files 2 --dry-run
        fstore optimize weather --where "observed_at >= '2026-01-01'" --sort-order 'origin, observed_at DESC'
        fstore optimize weather --z-order origin,observed_at --max-memory 512MiB

      --rewrite-manifests and --rewrite-position-deletes touch no data file: they write the table's manifests
      anew, few and sorted by partition (--option spec-id, sort-by, target-size-bytes), or put few position
      delete files in the place of many (--where, and options of sizes and groups).

      --option takes every other option by Iceberg's name: min-file-size-bytes, max-file-size-bytes,
      delete-file-threshold, delete-ratio-threshold, max-file-group-size-bytes, max-file-group-input-files,
      rewrite-all, max-files-to-rewrite, max-concurrent-file-group-rewrites, partial-progress.enabled,
      partial-progress.max-commits, partial-progress.max-failed-commits, use-starting-sequence-number,
      rewrite-job-order, output-spec-id, remove-dangling-deletes, compression-factor,
      shuffle-partitions-per-file, var-length-contribution, max-output-size.
      """,
    syntax: CommandSyntax(
      positionals: groupNames,
      options: [
        allGroups,
        CommandSyntax.option("--where", "FILTER", "only files that may have such rows"),
        CommandSyntax.option("--strategy", "NAME", "bin-pack, sort or z-order"),
        CommandSyntax.option("--sort-order", "KEYS", "COLUMN [ASC|DESC] [NULLS FIRST|LAST], ..."),
        CommandSyntax.option("--z-order", "COLUMNS", "columns with commas between"),
        CommandSyntax.option("--target-file-size", "SIZE", "size of the new files (512MiB)"),
        CommandSyntax.option("--min-input-files", "COUNT", "fewest files worth a rewrite (5)"),
        CommandSyntax.option("--max-memory", "SIZE", "what it may hold in memory (2GiB)"),
        CommandSyntax.option("--threads", "COUNT", "threads (one a processor, four at most)"),
        CommandSyntax.option(
          "--option", "NAME=VALUE", "an option by Iceberg's name", repeatable: true),
        CommandSyntax.flag("--rewrite-manifests", "rewrite manifests instead"),
        CommandSyntax.flag("--rewrite-position-deletes", "rewrite position delete files instead"),
      ] + runOptions)
  ) { context in
    let arguments = context.arguments
    var options: [String: String] = [:]
    for pair in arguments.all("--option") {
      guard let equals = pair.firstIndex(of: "=") else {
        throw UsageError(message: "--option takes NAME=VALUE, not '\(pair)'")
      }
      options[String(pair[..<equals])] = String(pair[pair.index(after: equals)...])
    }
    for name in ["where", "strategy", "sort-order", "z-order"] {
      if let text = arguments.value("--" + name) { options[name] = text }
    }
    if let size = try arguments.byteCount("--target-file-size") {
      options["target-file-size-bytes"] = "\(size)"
    }
    if let count = try arguments.integer("--min-input-files", minimum: 1) {
      options["min-input-files"] = "\(count)"
    }
    if let size = try arguments.byteCount("--max-memory") {
      options["max-memory-bytes"] = "\(size)"
    }
    let threads = try arguments.integer("--threads", minimum: 1).map { Int(clamping: $0) }
    let chosen = options
    let isDryRun = arguments.has("--dry-run")
    switch (arguments.has("--rewrite-manifests"), arguments.has("--rewrite-position-deletes")) {
    case (true, true):
      throw UsageError(
        message: "either --rewrite-manifests or --rewrite-position-deletes, not both")
    case (true, false):
      return try MaintenanceRun(
        context, operation: "rewrite_manifests", label: "rewriting manifests of"
      ).run { store, group, _, _ throws(FeatureStoreError) in
        try store.rewriteManifests(group, options: chosen, isDryRun: isDryRun)
      }
    case (false, true):
      return try MaintenanceRun(
        context, operation: "rewrite_position_deletes", label: "rewriting deletes of"
      ).run { store, group, progress, attempts throws(FeatureStoreError) in
        try store.rewritePositionDeletes(
          group, options: chosen, isDryRun: isDryRun, progress: progress,
          isStopped: { attempts.isOver })
      }
    case (false, false): break
    }
    return try MaintenanceRun(context, operation: "optimize", label: "optimizing").run {
      store, group, progress, attempts throws(FeatureStoreError) in
      try store.optimize(
        group, options: chosen, threads: threads, isDryRun: isDryRun,
        progress: progress, isStopped: { attempts.isOver })
    }
  }

  static let vacuum = Command(
    name: "vacuum", summary: "expire snapshots, delete what nothing refers to",
    discussion: """
      Expires snapshots by age and number, then deletes files that no snapshot reaches, orphans older than
      --older-than, and old metadata. What is not given follows the table's properties, Iceberg's or Athena's
      ('fstore group describe' shows them). --dry-run prints the plan; exactly that plan is what runs. It says
      how many files and bytes there are before and after, and who holds the rest: the current snapshot, branches,
      tags, or snapshots that are not to expire yet. --explain says it of every file, and deletes nothing. Examples:

        fstore vacuum --all --max-snapshot-age 5d --min-snapshots-to-keep 1
        fstore vacuum weather --explain --json
      """,
    syntax: CommandSyntax(
      positionals: groupNames,
      options: [
        allGroups,
        CommandSyntax.option("--max-snapshot-age", "DURATION", "older snapshots expire (5d)"),
        CommandSyntax.option(
          "--min-snapshots-to-keep", "COUNT", "each branch keeps so many at least (1)"),
        CommandSyntax.option(
          "--snapshot", "ID", "expire this one, whatever its age", repeatable: true),
        CommandSyntax.option(
          "--older-than", "DURATION", "orphans older than this go (3d; at least 1d)"),
        CommandSyntax.flag("--no-orphans", "only expire; leave orphans alone"),
        CommandSyntax.flag("--explain", "say of every file why it stays or goes; delete nothing"),
      ] + runOptions)
  ) { context in
    let arguments = context.arguments
    var request = FeatureStore.VacuumRequest()
    request.maxSnapshotAgeMilliseconds = try arguments.duration("--max-snapshot-age").map {
      $0 / 1000
    }
    request.minSnapshotsToKeep = try arguments.integer("--min-snapshots-to-keep", minimum: 1)
    for text in arguments.all("--snapshot") {
      guard let id = Int64(text) else {
        throw UsageError(message: "--snapshot takes a snapshot's id, not '\(text)'")
      }
      request.snapshotIDs.insert(id)
    }
    request.orphanAgeMilliseconds = try arguments.duration("--older-than").map { $0 / 1000 }
    request.removesOrphans = !arguments.has("--no-orphans")
    request.isDryRun = arguments.has("--dry-run")
    request.explainsFiles = arguments.has("--explain")
    let chosen = request
    return try MaintenanceRun(context, operation: "vacuum", label: "vacuuming").run {
      store, group, progress, attempts throws(FeatureStoreError) in
      try store.vacuum(
        group, request: chosen, progress: progress, isStopped: { attempts.isOver })
    }
  }

  private static let groupNames: [CommandSyntax.Positional] = [
    .init(name: "GROUP", help: "feature groups", isRequired: false, isRepeatable: true)
  ]

  private static let allGroups = CommandSyntax.flag("--all", "all groups with an offline table")

  private static let runOptions: [CommandSyntax.Option] = [
    CommandSyntax.flag("--dry-run", "print the plan and do nothing"),
    CommandSyntax.option("--timeout", "DURATION", "end each group after this, such as 2h"),
    CommandSyntax.option("--retries", "COUNT", "how often what failed is tried again (0)"),
    CommandSyntax.option(
      "--metrics-file", "FILE", "write what was done there, as OpenMetrics text"),
  ]
}

/// One operation on each group that was asked for, with a progress bar. One that fails does not keep the others from
/// being done.
struct MaintenanceRun {
  typealias Body = (
    FeatureStore, String, @escaping MaintenanceProgress.Report, MaintenanceAttempts
  ) throws(FeatureStoreError) -> MaintenanceReport

  private let context: Context
  private let operation: String
  private let label: String

  init(_ context: Context, operation: String, label: String) {
    self.context = context
    self.operation = operation
    self.label = label
  }

  func run(_ body: Body) throws -> ExitStatus {
    let arguments = context.arguments
    let timeout = try arguments.duration("--timeout").map { max(1, $0 / 1_000_000) }
    let retries = try arguments.integer("--retries").map { Int(clamping: $0) } ?? 0
    var outcomes: [(group: String, result: Result<MaintenanceReport, FeatureStoreError>)] = []
    var metrics: [MaintenanceMetrics.Run] = []
    try context.withStore(.offline) { store in
      for group in try Command.maintainedGroups(context, store) {
        let attempts = MaintenanceAttempts(retryCount: retries, timeoutSeconds: timeout)
        let start = ContinuousClock.now
        let result = perform(store, group, attempts, body)
        let took = (ContinuousClock.now - start).components
        outcomes.append((group, result))
        let done: MaintenanceReport? = if case .success(let report) = result { report } else { nil }
        metrics.append(
          MaintenanceMetrics.Run(
            group: group, endMicroseconds: store.nowMicroseconds,
            durationSeconds: Double(took.seconds) + Double(took.attoseconds) / 1e18,
            isSuccessful: done.map { !$0.isPartial } ?? false, report: done?.json))
      }
    }
    if let path = arguments.value("--metrics-file"), !arguments.has("--dry-run") {
      try MaintenanceMetrics(operation: operation, runs: metrics).write(to: path)
    }
    return try report(outcomes)
  }

  private func perform(
    _ store: FeatureStore, _ group: String, _ attempts: MaintenanceAttempts, _ body: Body
  ) -> Result<MaintenanceReport, FeatureStoreError> {
    let bar = ProgressBar("\(label) \(group)")
    defer { bar.finish() }
    return Result { () throws(FeatureStoreError) in
      try attempts.run { () throws(FeatureStoreError) in
        try body(
          store, group,
          { progress in
            bar.update(
              progress.bytesDone, of: progress.bytesTotal,
              detail: "\(progress.filesDone) of \(progress.filesTotal) files, "
                + "\(bytesText(progress.bytesDone)) of \(bytesText(progress.bytesTotal))")
          }, attempts)
      }
    }
  }

  /// Prints what came of each group. Alone, a group that failed fails the command as it did.
  private func report(
    _ outcomes: [(group: String, result: Result<MaintenanceReport, FeatureStoreError>)]
  ) throws -> ExitStatus {
    if outcomes.count == 1 { _ = try outcomes[0].result.get() }
    var reports: [MaintenanceReport] = []
    var failures: [(group: String, error: FeatureStoreError)] = []
    var json = JSONObject()
    for (group, result) in outcomes {
      switch result {
      case .success(let report):
        reports.append(report)
        json[group] = report.json
      case .failure(let error):
        failures.append((group, error))
        json[group] = ["error": .string(error.message)]
      }
    }
    context.output.print(.object(json)) {
      reports.map { "\($0.group): \($0.text)" }.joined(separator: "\n")
    }
    for (group, error) in failures { Output.error("\(group): \(error.message)") }
    if failures.isEmpty { return reports.contains(where: \.isPartial) ? .partial : .success }
    let names = failures.map(\.group).joined(separator: ", ")
    Output.note("not done: \(names)")
    guard reports.isEmpty else {
      // Somebody else is at the rest: nothing is wrong.
      let isLocked = failures.allSatisfy { $0.error.code == .locked }
      return isLocked && !reports.contains(where: \.isPartial) ? .temporaryFailure : .partial
    }
    return ExitStatus(failures[0].error.code)
  }
}
