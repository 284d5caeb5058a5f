internal import FeatureStore
internal import JSON

extension Command {
  static let all: [Command] = [
    initialize, groupCreate, groupAddFeatures, groupList, groupDescribe, viewCreate, viewList,
    ingest, put, get, delete, purge, flush, materialize, trainingSet, trainingSetCreate,
    trainingSetList, trainingSetDescribe, trainingSetReproduce, trainingSetDelete,
    trainingSetExplain, trainingSetAudit, latest, optimize, vacuum,
    snapshots, files, manifests, partitions, history, references, metadataLog, verify, backup,
    restore, repair, jobsSet, jobsRemove, jobsList, jobsShow, jobsHistory, jobsRun, schedule,
    health, stats, configure, version,
  ]

  static let stats = Command(
    name: "stats", summary: "show counts and sizes of the store",
    discussion:
      "--openmetrics prints them for Prometheus: for node_exporter's text files, from cron.",
    syntax: CommandSyntax(options: [
      CommandSyntax.flag("--openmetrics", "print OpenMetrics text")
    ])
  ) { context in
    let report = try context.withStore(.readOnly) { try $0.statistics() }
    if context.arguments.has("--openmetrics") {
      print(report.openMetrics, terminator: "")
      return .success
    }
    context.output.print(report.json) {
      var table = TextTable([
        ("group", .left), ("online keys", .right), ("deleted", .right), ("offline records", .right),
        ("files", .right), ("size", .right), ("snapshots", .right), ("behind by", .right),
      ])
      for group in report.groups {
        table.rows.append([
          group.name, countText(group.onlineKeyCount), countText(group.deletedKeyCount),
          countText(group.offlineRecordCount), countText(group.fileCount),
          bytesText(group.offlineBytes), "\(group.snapshotCount)",
          group.isOffline ? behind(group) : "-",
        ])
      }
      return table.text()
        + "\n\nlog: \(bytesText(report.logBytes)) in \(report.segmentCount) segments, "
        + "last lsn \(countText(report.lastLSN)); index: \(countText(report.indexedKeyCount)) keys, "
        + "\(bytesText(report.indexBytes))" + warnings(report)
    }
    return .success
  }

  private static func behind(_ group: StoreStatistics.Group) -> String {
    let count = countText(group.unflushedRecordCount) + " records"
    return group.unflushedRecordCount == 0 ? count : "\(count), \(Int(group.lagSeconds)) s"
  }

  /// What should not be so.
  private static func warnings(_ report: StoreStatistics) -> String {
    var lines: [String] = []
    if let limit = report.logLimitBytes, report.logBytes > limit / 5 * 4 {
      lines.append("the log is close to its limit of \(bytesText(limit))")
    }
    if report.reserveBytes > 0, !report.hasReserve {
      lines.append(
        "the reserve of \(bytesText(report.reserveBytes)) is not kept: "
          + "\(bytesText(report.availableBytes)) are free")
    }
    return lines.map { "\nwarning: \($0)" }.joined()
  }

  static let configure = Command(
    name: "configure", summary: "show or change how the store uses its disk",
    discussion: """
      While the log takes as much as --log-limit, writes are refused until a flush makes room: the offline
      tables could not follow. --reserve is kept free on the disk for flushes, cleaning, checkpoints, optimize and
      vacuum, for the day when the disk is full. 'default' is 16GiB (or four times what live records take, if that is
      more), and 128MiB. Without options the settings are shown. Example:

        fstore configure --log-limit 64GiB
      """,
    syntax: CommandSyntax(options: settingsOptions)
  ) { context in
    let arguments = context.arguments
    let isChange = settingsOptions.contains { arguments.value($0.name) != nil }
    let settings = try context.withStore(isChange ? .readWrite : .offline) { store in
      var settings = store.settings
      guard isChange else { return settings }
      try change(&settings, arguments)
      try store.configure(settings)
      return settings
    }
    context.output.print([
      "log_limit_bytes": settings.logLimitBytes.map { .integer(Int64($0)) } ?? .null,
      "reserve_bytes": settings.logReserveBytes.map { .integer(Int64($0)) } ?? .null,
    ]) {
      func text(_ bytes: Int?) -> String {
        bytes.map { $0 == 0 ? "none" : bytesText(Int64($0)) } ?? "default"
      }
      return
        "log limit: \(text(settings.logLimitBytes)); reserve: \(text(settings.logReserveBytes))"
    }
    return .success
  }

  static let settingsOptions = [
    CommandSyntax.option("--log-limit", "SIZE", "bound on the log: a size, none or default"),
    CommandSyntax.option("--reserve", "SIZE", "space kept for maintenance, likewise"),
  ]

  static func change(
    _ settings: inout StoreSettings, _ arguments: Arguments
  ) throws(UsageError) {
    func bytes(_ name: String, _ current: Int?) throws(UsageError) -> Int? {
      switch arguments.value(name) {
      case nil: current
      case "none": 0
      case "default": nil
      default: try arguments.byteCount(name).map { Int(clamping: $0) }
      }
    }
    settings.logLimitBytes = try bytes("--log-limit", settings.logLimitBytes)
    settings.logReserveBytes = try bytes("--reserve", settings.logReserveBytes)
  }

  static let materialize = Command(
    name: "materialize", summary: "fill the online store from an offline table",
    discussion: """
      Brings the newest record of every key of the table online where it is not yet: after the log was lost, or
      for history that never passed through it. Nothing lands offline a second time; it may be run again at any
      time, and goes on where it was interrupted. Example:

        fstore materialize weather
      """,
    syntax: CommandSyntax(positionals: [.init(name: "GROUP", help: "the feature group")])
  ) { context in
    let bar = ProgressBar("materializing")
    let report = try context.withStore(.readWrite) { store in
      defer { bar.finish() }
      return try store.materialize(context.arguments.positionals[0]) { done, total in
        bar.update(done, of: total, detail: "\(bytesText(done)) of \(bytesText(total))")
      }
    }
    let json: JSONValue = [
      "rows": .integer(report.rowCount), "keys": .integer(Int64(report.keyCount)),
      "brought": .integer(Int64(report.broughtCount)),
    ]
    context.output.print(json) {
      "\(countText(report.broughtCount)) of \(countText(report.keyCount)) keys brought online, from "
        + "\(countText(report.rowCount)) rows"
    }
    return .success
  }

  static let verify = Command(
    name: "verify", summary: "check every record, the index and the offline tables",
    discussion: """
      Reads every frame of the log and checks its checksum, asks the index for every record, and checks that
      every file of every offline table is there with its size and row count. Every damage is named; the status
      is 65 if there is any. With BACKUP every file of that backup is compared with what was written, and the
      store is not looked at.

      With --parity every key and value of the online store is compared with the offline table, replayed to now
      with what the log has not flushed; of the groups named, else of all. Differences are listed, with which is
      newer and why; the status is 65 if there is any. Example:

        fstore verify --parity weather
      """,
    syntax: CommandSyntax(
      positionals: [
        .init(
          name: "BACKUP", help: "a backup to check, or a directory of backups: the newest",
          isRequired: false, isRepeatable: true)
      ],
      options: [
        CommandSyntax.flag("--parity", "compare online with offline; takes groups, not BACKUP"),
        CommandSyntax.option("--memory", "SIZE", "with --parity: for keys, about; 512MiB"),
      ])
  ) { context in
    if context.arguments.has("--parity") { return try verifyParity(context) }
    guard context.arguments.positionals.count < 2 else {
      throw UsageError(message: "one backup is checked at a time; --parity takes groups")
    }
    if let backup = context.arguments.positionals.first { return try verifyBackup(backup, context) }
    let bar = ProgressBar("verifying")
    let report = try context.withStore(.readOnly) { store in
      defer { bar.finish() }
      return try store.verify()
    }
    let json: JSONValue = [
      "log_records": .integer(Int64(report.logRecordCount)),
      "tables": .integer(Int64(report.tableCount)), "files": .integer(Int64(report.fileCount)),
      "offline_records": .integer(report.offlineRecordCount),
      "damage_count": .integer(Int64(report.damageCount)),
      "damages": .array(report.damages.map { .string($0) }),
    ]
    context.output.print(json) {
      "\(countText(report.logRecordCount)) log records and \(countText(report.fileCount)) files of "
        + "\(report.tableCount) tables (\(countText(report.offlineRecordCount)) records): "
        + (report.damages.isEmpty ? "no damage" : "\(countText(report.damageCount)) damages")
    }
    for damage in report.damages { Output.error(damage) }
    let rest = report.damageCount - report.damages.count
    if rest > 0 { Output.error("and \(countText(rest)) more") }
    return report.damages.isEmpty ? .success : .data
  }

  static let version = Command(name: "version", summary: "print the version") { context in
    context.output.print(["version": .string(FeatureStore.version)]) {
      "fstore \(FeatureStore.version)"
    }
    return .success
  }
}
