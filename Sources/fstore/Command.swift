internal import FeatureStore

/// One command: what it is called, what it takes, what it does.
struct Command: Sendable {
  /// The words that call it: `group create`.
  var name: String
  /// One line, for the list of commands.
  var summary: String
  /// What `--help` says beyond the summary; examples included.
  var discussion = ""
  var syntax = CommandSyntax()
  var run: @Sendable (Context) throws -> ExitStatus

  /// Options that every command takes.
  static let commonOptions: [CommandSyntax.Option] = [
    CommandSyntax.option(
      "--store", "DIRECTORY", "the store; $FSTORE_STORE, else the working directory"),
    CommandSyntax.flag("--json", "print one JSON value"),
    CommandSyntax.flag("--verbose", "print the errors below an error"),
    CommandSyntax.flag("--help", "print this help"),
  ]

  var usage: String {
    var words = ["fstore", name]
    for positional in syntax.positionals {
      let shown = positional.name + (positional.isRepeatable ? "..." : "")
      words.append(positional.isRequired ? shown : "[\(shown)]")
    }
    if !syntax.options.isEmpty { words.append("[options]") }
    return words.joined(separator: " ")
  }

  var help: String {
    var lines = [summary, "", "usage: \(usage)"]
    func section(_ title: String, _ rows: [(String, String)]) {
      guard !rows.isEmpty else { return }
      let width = rows.map(\.0.count).max() ?? 0
      lines += ["", title + ":"]
      for (term, text) in rows {
        lines.append("  " + term + String(repeating: " ", count: width - term.count + 2) + text)
      }
    }
    section("arguments", syntax.positionals.map { ($0.name, $0.help) })
    func terms(_ options: [CommandSyntax.Option]) -> [(String, String)] {
      options.map { option in
        (
          option.name + (option.placeholder.map { " " + $0 } ?? ""),
          option.help + (option.isRepeatable ? " (may be repeated)" : "")
        )
      }
    }
    section("options", terms(syntax.options))
    section("options of every command", terms(Self.commonOptions))
    if !discussion.isEmpty { lines += ["", discussion] }
    return lines.joined(separator: "\n")
  }
}

/// What a running command knows: its arguments, where to print, which store.
struct Context {
  let arguments: Arguments
  let output: Output
  let storeDirectory: String

  func open(_ access: FeatureStore.Access) throws -> FeatureStore {
    var options = FeatureStore.Options()
    // A flush for each command would make a file for each record.
    options.flushesAutomatically = false
    options.tableFolders =
      environment("FSTORE_TABLE_FOLDERS")?.split(separator: ":").map(String.init) ?? []
    return try FeatureStore.open(at: storeDirectory, access: access, options: options)
  }

  /// Opens the store, runs `body`, and closes the store however that ends.
  func withStore<Result>(
    _ access: FeatureStore.Access, _ body: (FeatureStore) throws -> Result
  ) throws -> Result {
    let store = try open(access)
    let result: Result
    do {
      result = try body(store)
    } catch {
      // The first error is the one to report.
      do { try store.close() } catch {}
      throw error
    }
    try store.close()
    return result
  }
}
