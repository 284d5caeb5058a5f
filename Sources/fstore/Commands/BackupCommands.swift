internal import FeatureStore
internal import JSON

extension Command {
  static let backup = Command(
    name: "backup", summary: "copy the whole store while it is in use",
    discussion: """
      Makes a consistent copy of the store in a new directory in DIRECTORY, named after the time, while another
      process goes on writing: definitions, log, index, catalog and tables. It has every write that was on disk
      when it began. Files that the newest backup in DIRECTORY has already are linked and take no space; backups
      may be removed in any order (rm -r). 'fstore restore' makes a store of one. Examples:

        fstore backup /mnt/backups
        fstore backup /mnt/backups --full && fstore verify /mnt/backups
      """,
    syntax: CommandSyntax(
      positionals: [.init(name: "DIRECTORY", help: "where backups are kept")],
      options: [
        CommandSyntax.flag("--online-only", "leave the offline tables out"),
        CommandSyntax.flag("--full", "copy also what an earlier backup has already"),
      ])
  ) { context in
    var options = BackupOptions()
    options.includesTables = !context.arguments.has("--online-only")
    options.isFull = context.arguments.has("--full")
    let chosen = options
    let bar = ProgressBar("backing up")
    let report = try context.withStore(.offline) { store in
      defer { bar.finish() }
      return try store.backup(to: context.arguments.positionals[0], options: chosen) {
        done, total in
        bar.update(done, of: total, detail: "\(bytesText(done)) of \(bytesText(total))")
      }
    }
    context.output.print(report.json) {
      "\(report.directory): \(countText(report.fileCount)) files, \(bytesText(report.sizeBytes)) "
        + "(\(bytesText(report.copiedBytes)) copied), up to lsn \(countText(report.lastLSN))"
    }
    return .success
  }

  static let restore = Command(
    name: "restore", summary: "make a store of a backup",
    discussion: """
      Checks every file of the backup while it is copied, and refuses one that is damaged. The directory must be
      empty or not be there yet. What was written after the backup is not in the store; a flush goes on where the
      backup's tables end. Example:

        fstore restore /mnt/backups store
      """,
    syntax: CommandSyntax(positionals: [
      .init(name: "BACKUP", help: "a backup, or a directory of backups: the newest"),
      .init(name: "DIRECTORY", help: "where; the --store otherwise", isRequired: false),
    ])
  ) { context in
    let arguments = context.arguments.positionals
    let bar = ProgressBar("restoring")
    defer { bar.finish() }
    let report = try FeatureStore.restore(
      arguments[0], to: arguments.count > 1 ? arguments[1] : context.storeDirectory
    ) { done, total in
      bar.update(done, of: total, detail: "\(bytesText(done)) of \(bytesText(total))")
    }
    bar.finish()
    context.output.print(report.json) {
      "\(report.directory): \(countText(report.fileCount)) files, \(bytesText(report.sizeBytes)), "
        + "up to lsn \(countText(report.lastLSN)), as of "
        + CivilTime.text(microseconds: report.createdMicroseconds)
        + (report.hasTables
          ? "" : "\nthe backup has no tables: they begin empty, with what the log still has")
    }
    return .success
  }

  /// `verify BACKUP`.
  static func verifyBackup(_ backup: String, _ context: Context) throws -> ExitStatus {
    let bar = ProgressBar("verifying")
    defer { bar.finish() }
    let report = try FeatureStore.verifyBackup(backup) { done, total in
      bar.update(done, of: total, detail: "\(bytesText(done)) of \(bytesText(total))")
    }
    bar.finish()
    let json: JSONValue = [
      "directory": .string(report.directory), "files": .integer(Int64(report.fileCount)),
      "bytes": .integer(report.sizeBytes),
      "damages": .array(report.damages.map { .string($0) }),
    ]
    context.output.print(json) {
      "\(report.directory): \(countText(report.fileCount)) files, \(bytesText(report.sizeBytes)): "
        + (report.damages.isEmpty ? "no damage" : "\(report.damages.count) damages")
    }
    for damage in report.damages { Output.error(damage) }
    return report.damages.isEmpty ? .success : .data
  }
}
