internal import FeatureStore
internal import JSON

extension Command {
  static let repair = Command(
    name: "repair", summary: "bring a damaged store back to where it opens",
    discussion: """
      For a store that is damaged ('fstore verify' says so, or it does not open) and is not in use. Without --yes
      it only prints what it would do. Every record of the log that is whole is kept; LSNs that are lost are listed,
      and never given again. Nothing is deleted: what is replaced is kept in the store's directory 'damaged'. A
      backup is better where there is one. Examples:

        fstore repair
        fstore repair --yes && fstore materialize weather
      """,
    syntax: CommandSyntax(options: [
      CommandSyntax.flag("--yes", "do it"),
      CommandSyntax.flag("--dry-run", "print what would be done and do nothing; the status is 0"),
    ])
  ) { context in
    let isDryRun = context.arguments.has("--dry-run")
    guard !isDryRun || !context.arguments.has("--yes") else {
      throw UsageError(message: "--yes and --dry-run exclude each other")
    }
    let bar = ProgressBar("repairing")
    defer { bar.finish() }
    let report = try FeatureStore.repair(
      at: context.storeDirectory, isDryRun: !context.arguments.has("--yes")
    ) { done, total in
      bar.update(done, of: total, detail: "\(bytesText(done)) of \(bytesText(total))")
    }
    bar.finish()
    context.output.print(report.json) { report.text }
    for damage in report.remainingDamages { Output.error(damage) }
    if report.isNeeded, !report.isDone {
      Output.note("nothing was changed; 'fstore repair --yes' does it")
      return isDryRun ? .success : .data
    }
    if !report.remainingDamages.isEmpty { return .data }
    return report.lost.isEmpty ? .success : .partial
  }
}
