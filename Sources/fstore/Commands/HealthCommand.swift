internal import FeatureStore
internal import Iceberg
internal import JSON

extension Command {
  static let health = Command(
    name: "health",
    summary: "show how a group's offline table is doing, and what optimize would gain",
    discussion: """
      Sizes of the data files, small files, deletes, growth of snapshots and metadata, and how many files optimize
      would rewrite. --html prints a page for a browser instead, with plots, in one file that needs nothing else. Examples:

        fstore health weather
        fstore health weather --html > weather.html
      """,
    syntax: CommandSyntax(
      positionals: [.init(name: "GROUP", help: "the feature group")],
      options: [CommandSyntax.flag("--html", "print a self-contained HTML page")])
  ) { context in
    let group = context.arguments.positionals[0]
    guard !(context.arguments.has("--html") && context.output.isJSON) else {
      throw UsageError(message: "either --html or --json, not both")
    }
    let (health, now) = try context.withStore(.offline) {
      (try $0.health(group), $0.nowMicroseconds)
    }
    let page = HealthPage(group: group, health: health, madeMicroseconds: now)
    if context.arguments.has("--html") {
      print(page.html, terminator: "")
      return .success
    }
    context.output.print(health.json) {
      var facts = TextTable([("table", .left), (group, .left)])
      facts.rows = HealthPage.facts(health).map { [$0.0, $0.1] }
      var sizes = TextTable([("file size", .left), ("files", .right), ("bytes", .right)])
      for bucket in health.sizeBuckets where bucket.fileCount > 0 {
        sizes.rows.append([
          bucket.upperBoundBytes.map { "< \(HealthPage.binaryText($0))" } ?? "larger",
          countText(bucket.fileCount), bytesText(bucket.bytes),
        ])
      }
      return facts.text() + "\n\n" + sizes.text() + "\n\n" + page.advice
    }
    return .success
  }
}
