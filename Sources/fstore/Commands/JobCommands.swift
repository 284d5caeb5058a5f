internal import FeatureStore
internal import JSON
internal import Synchronization

// Maintenance as jobs: when a group's table is optimized and vacuumed, and what became of it.
extension Command {
  private static let operation = CommandSyntax.Positional(
    name: "OPERATION",
    help: MaintenancePolicy.Operation.allCases.map(\.rawValue).joined(separator: ", "))

  static let jobsSet = Command(
    name: "jobs set", summary: "say when a group's table is optimized or vacuumed",
    discussion: """
      Gives a group a job, in place of the one that it has of that operation. A job is due by --every, a cron
      expression of five fields in UTC, by a threshold of the table's state, or by either. Nothing runs by itself:
      'fstore jobs run' from cron (see 'fstore schedule'), or MaintenanceScheduler in a service, runs what is due.
      --option takes Iceberg's names for optimize and rewrite-position-deletes (target-file-size-bytes, where,
      sort-order, ...), spec-id, sort-by and target-size-bytes for rewrite-manifests, and max-snapshot-age-ms,
      min-snapshots-to-keep, older-than-ms and remove-orphans for vacuum. Examples:

        fstore jobs set weather optimize --every '0 */6 * * *' --when small-files=200
        fstore jobs set weather vacuum --every @daily --option max-snapshot-age-ms=432000000
      """,
    syntax: CommandSyntax(
      positionals: [.init(name: "GROUP", help: "the feature group"), operation],
      options: [
        CommandSyntax.option("--every", "CRON", "minute hour day month weekday, or @daily"),
        CommandSyntax.option(
          "--when", "THRESHOLD=N",
          MaintenancePolicy.Threshold.allCases.map(\.rawValue).joined(separator: ", "),
          repeatable: true),
        CommandSyntax.option(
          "--option", "NAME=VALUE", "an option of the operation", repeatable: true),
        CommandSyntax.option("--retries", "COUNT", "how often a failed run is tried again (2)"),
        CommandSyntax.option("--timeout", "DURATION", "a run is ended after this, such as 2h"),
      ])
  ) { context in
    let arguments = context.arguments
    let group = arguments.positionals[0]
    var job = MaintenancePolicy.Job(operation: try operation(arguments))
    if let text = arguments.value("--every") { job.schedule = try CronExpression(text) }
    for (name, text) in try pairs(arguments, "--when") {
      guard let threshold = MaintenancePolicy.Threshold(rawValue: name) else {
        let names = MaintenancePolicy.Threshold.allCases.map(\.rawValue)
        throw UsageError(
          message: "--when knows no '\(name)'; there are: \(names.joined(separator: ", "))")
      }
      guard let value = Int64(text), value > 0 else {
        throw UsageError(
          message: "--when \(name) takes a whole number of at least 1, not '\(text)'")
      }
      job.thresholds[threshold] = value
    }
    for (name, value) in try pairs(arguments, "--option") { job.options[name] = value }
    if let count = try arguments.integer("--retries") { job.retryCount = Int(clamping: count) }
    if let limit = try arguments.duration("--timeout") {
      job.timeoutSeconds = max(1, limit / 1_000_000)
    }
    let chosen = job
    try context.withStore(.offline) { store in
      var policy = try store.maintenancePolicy(group) ?? MaintenancePolicy(jobs: [])
      policy.jobs.removeAll { $0.operation == chosen.operation }
      policy.jobs.append(chosen)
      try store.setMaintenancePolicy(policy, for: group)
    }
    context.output.print(chosen.json) { "\(group): \(describe(chosen))" }
    return .success
  }

  static let jobsRemove = Command(
    name: "jobs remove", summary: "take a job from a group",
    syntax: CommandSyntax(
      positionals: [.init(name: "GROUP", help: "the feature group"), operation])
  ) { context in
    let group = context.arguments.positionals[0]
    let operation = try operation(context.arguments)
    try context.withStore(.offline) { store in
      var policy = try store.maintenancePolicy(group) ?? MaintenancePolicy(jobs: [])
      guard policy.jobs.contains(where: { $0.operation == operation }) else {
        throw FeatureStoreError(.notFound, "'\(group)' has no job that does \(operation.rawValue)")
      }
      policy.jobs.removeAll { $0.operation == operation }
      try store.setMaintenancePolicy(policy.jobs.isEmpty ? nil : policy, for: group)
    }
    return .success
  }

  static let jobsList = Command(
    name: "jobs list", summary: "list the jobs, when they are due, and their last runs"
  ) { context in
    struct Row {
      var group: String
      var job: MaintenancePolicy.Job
      var next: Int64?
      var last: JobRun?
    }
    let rows = try context.withStore(.offline) { store in
      let scheduled = try store.nextScheduledRuns()
      return try store.groupsWithMaintenancePolicy().flatMap { group -> [Row] in
        let runs = try store.jobRuns(group: group).runs
        return (try store.maintenancePolicy(group)?.jobs ?? []).map { job in
          Row(
            group: group, job: job,
            next: scheduled.first { $0.due.group == group && $0.due.job == job }?.microseconds,
            last: runs.first { $0.operation == job.operation })
        }
      }
    }
    let json = rows.map { row -> JSONValue in
      [
        "group": .string(row.group), "job": row.job.json,
        "next_microseconds": row.next.map { .integer($0) } ?? .null,
        "last_run": row.last?.json ?? .null,
      ]
    }
    context.output.print(.array(json)) {
      guard !rows.isEmpty else { return "no jobs; 'fstore jobs set --help' says how to make one" }
      var table = TextTable([
        ("group", .left), ("job", .left), ("next", .left), ("last run", .left), ("outcome", .left),
      ])
      for row in rows {
        table.rows.append([
          row.group, describe(row.job), row.next.map { CivilTime.text(microseconds: $0) } ?? "",
          row.last.map { CivilTime.text(microseconds: $0.startMicroseconds) } ?? "never",
          row.last?.outcome.rawValue ?? "",
        ])
      }
      return table.text()
    }
    return .success
  }

  static let jobsShow = Command(
    name: "jobs show", summary: "show the jobs of a group, and whether they are due now",
    syntax: CommandSyntax(positionals: [.init(name: "GROUP", help: "the feature group")])
  ) { context in
    let group = context.arguments.positionals[0]
    let (policy, due) = try context.withStore(.offline) { store in
      (try store.maintenancePolicy(group), try store.dueJobs().filter { $0.group == group })
    }
    let jobs = policy?.jobs ?? []
    func trigger(_ job: MaintenancePolicy.Job) -> String? {
      due.first { $0.job == job }?.trigger
    }
    let json = jobs.map { job -> JSONValue in
      var object = job.json.objectValue ?? JSONObject()
      object["due"] = trigger(job).map { .string($0) } ?? .null
      return .object(object)
    }
    context.output.print(.array(json)) {
      guard !jobs.isEmpty else { return "'\(group)' has no jobs" }
      return jobs.map { job in
        "\(describe(job))\n  " + (trigger(job).map { "due: \($0)" } ?? "not due")
      }.joined(separator: "\n")
    }
    return .success
  }

  static let jobsHistory = Command(
    name: "jobs history", summary: "list runs of jobs, newest first",
    syntax: CommandSyntax(
      positionals: [.init(name: "GROUP", help: "only this group's", isRequired: false)],
      options: [CommandSyntax.option("--last", "COUNT", "so many at most (100)")])
  ) { context in
    let count = try context.arguments.integer("--last", minimum: 1) ?? 100
    let group = context.arguments.positionals.first
    let (runs, unreadable) = try context.withStore(.offline) { store in
      if let group { _ = try store.maintenancePolicy(group) }
      return try store.jobRuns(last: Int(clamping: count), group: group)
    }
    if unreadable > 0 {
      Output.note("warning: \(unreadable) records of runs cannot be read")
    }
    context.output.print(.array(runs.map(\.json))) {
      var table = TextTable([
        ("start", .left), ("group", .left), ("operation", .left), ("took", .right),
        ("attempts", .right), ("outcome", .left), ("why", .left), ("error", .left),
      ])
      for run in runs {
        table.rows.append([
          CivilTime.text(microseconds: run.startMicroseconds), run.group, run.operation.rawValue,
          run.durationMicroseconds.map { decimals(Double($0) / 1e6, 1) + " s" } ?? "",
          "\(run.attemptCount)", run.outcome.rawValue, run.trigger, run.error ?? "",
        ])
      }
      return table.text()
    }
    return .success
  }

  static let jobsRun = Command(
    name: "jobs run", summary: "run the jobs that are due, once",
    discussion: """
      For cron and systemd timers: runs what is due by schedule or threshold, one job after the other, and notes each
      run. A time that was missed while the machine was down is made up for once. Status 0: all that was due went well, or nothing was
      due; 1: something failed or was left in part; 75: another run is at it. --force runs a group's jobs now, due or not.
      """,
    syntax: CommandSyntax(
      positionals: [
        .init(name: "GROUP", help: "only these groups'", isRequired: false, isRepeatable: true)
      ],
      options: [
        CommandSyntax.flag("--force", "run the groups' jobs now, due or not"),
        CommandSyntax.flag("--dry-run", "print what is due and do nothing"),
      ])
  ) { context in
    let groups = context.arguments.positionals
    return try context.withStore(.offline) { store in
      var due = try context.arguments.has("--force") ? forced(store, groups) : store.dueJobs()
      for group in groups { _ = try store.maintenancePolicy(group) }
      if !groups.isEmpty { due.removeAll { !groups.contains($0.group) } }
      if context.arguments.has("--dry-run") {
        let json = due.map { due -> JSONValue in
          [
            "group": .string(due.group), "operation": .string(due.job.operation.rawValue),
            "trigger": .string(due.trigger),
          ]
        }
        context.output.print(.array(json)) {
          due.map { "\($0.group) \($0.job.operation.rawValue): \($0.trigger)" }
            .joined(separator: "\n")
        }
        return .success
      }
      var runs: [JobRun] = []
      for job in due { runs.append(try store.runJob(job)) }
      context.output.print(.array(runs.map(\.json))) {
        runs.map { run in
          "\(run.group) \(run.operation.rawValue): \(run.outcome.rawValue)"
            + (run.error.map { ": \($0)" } ?? "")
        }.joined(separator: "\n")
      }
      if runs.contains(where: { ![.succeeded, .locked].contains($0.outcome) }) { return .partial }
      return runs.contains { $0.outcome == .locked } ? .temporaryFailure : .success
    }
  }

  static let schedule = Command(
    name: "schedule", summary: "print crontab lines or systemd units that run the due jobs",
    discussion: """
      Prints text to install; installs nothing. Examples:

        fstore schedule | crontab -
        fstore schedule --systemd
      """,
    syntax: CommandSyntax(options: [
      CommandSyntax.flag("--systemd", "a service and a timer instead of a crontab line"),
      CommandSyntax.option("--interval", "DURATION", "how often due jobs are looked for (15m)"),
      CommandSyntax.option("--command", "PATH", "where fstore is (this executable)"),
    ])
  ) { context in
    let microseconds = try context.arguments.duration("--interval") ?? 15 * 60_000_000
    let minutes = microseconds / 60_000_000
    guard (1...59).contains(minutes) else {
      throw UsageError(message: "--interval takes 1m to 59m")
    }
    let directory = try context.withStore(.offline) { $0.directory }
    let text = ScheduleText(
      command: context.arguments.value("--command") ?? executablePath(), store: directory,
      intervalMinutes: Int(minutes))
    if context.arguments.has("--systemd") {
      let files = text.systemd
      context.output.print(.object(JSONObject(files.map { ($0.name, .string($0.text)) }))) {
        files.map { "# \($0.name)\n\($0.text)" }.joined(separator: "\n")
      }
    } else {
      context.output.print(.string(text.crontab)) { String(text.crontab.dropLast()) }
    }
    return .success
  }

  private static func forced(_ store: FeatureStore, _ groups: [String]) throws -> [DueJob] {
    guard !groups.isEmpty else { throw UsageError(message: "--force needs the names of groups") }
    return try groups.flatMap { group in
      (try store.maintenancePolicy(group)?.jobs ?? []).map {
        DueJob(group: group, job: $0, trigger: "asked for")
      }
    }
  }

  private static func operation(
    _ arguments: Arguments
  ) throws(UsageError) -> MaintenancePolicy.Operation {
    let name = arguments.positionals[1]
    guard let operation = MaintenancePolicy.Operation(rawValue: name) else {
      let names = MaintenancePolicy.Operation.allCases.map(\.rawValue)
      throw UsageError(
        message: "'\(name)' is no operation; there are: \(names.joined(separator: ", "))")
    }
    return operation
  }

  private static func pairs(
    _ arguments: Arguments, _ name: String
  ) throws(UsageError) -> [(String, String)] {
    var pairs: [(String, String)] = []
    for pair in arguments.all(name) {
      guard let equals = pair.firstIndex(of: "=") else {
        throw UsageError(message: "\(name) takes NAME=VALUE, not '\(pair)'")
      }
      pairs.append((String(pair[..<equals]), String(pair[pair.index(after: equals)...])))
    }
    return pairs
  }

  private static func describe(_ job: MaintenancePolicy.Job) -> String {
    var text = job.operation.rawValue
    if let schedule = job.schedule { text += " at '\(schedule)' UTC" }
    for threshold in MaintenancePolicy.Threshold.allCases {
      if let value = job.thresholds[threshold] { text += " when \(threshold.rawValue) >= \(value)" }
    }
    for (name, value) in job.options.sorted(by: { $0.key < $1.key }) { text += " \(name)=\(value)" }
    if let limit = job.timeoutSeconds { text += " within \(limit) s" }
    return text
  }
}
