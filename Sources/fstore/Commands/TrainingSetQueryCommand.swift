internal import FeatureStore
internal import JSON

extension Command {
  /// What only `fstore training-set` takes.
  static let queryOptions = [
    CommandSyntax.flag("--include-unflushed", "also what the log has and the tables lack"),
    CommandSyntax.option(
      "--sql", "duckdb|spark|trino", "print the query that gives the same rows, and extract nothing"
    ),
    CommandSyntax.option(
      "--spine-table", "NAME", "with --sql: the engine's table with the spine's rows"),
  ]

  /// `fstore training-set --sql ENGINE`.
  static func printQuery(
    _ request: TrainingSetRequest, for name: String, _ context: Context
  ) throws -> ExitStatus {
    guard let dialect = SQLDialect(rawValue: name) else {
      throw UsageError(message: "--sql takes duckdb, spark or trino, not '\(name)'")
    }
    let query = try context.withStore(.offline) { store in
      try store.trainingSetQuery(
        request, for: dialect, spineTable: context.arguments.value("--spine-table"))
    }
    context.output.print(["query": .string(query)]) { String(query.dropLast()) }
    return .success
  }
}
