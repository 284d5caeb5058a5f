import FeatureModel
internal import FeatureStore
internal import Glibc

/// Finds the command, runs it, and turns what it throws into a message and an exit status.
func run(_ words: [String]) -> ExitStatus {
  guard let first = words.first, first != "help", first != "--help", first != "-h" else {
    return help(Array(words.dropFirst()))
  }
  if first == "--version" { return run(["version"]) }
  // Names have one or two words.
  let candidates = Command.all.filter { command in
    words.starts(with: command.name.split(separator: " ").map(String.init))
  }
  guard let command = candidates.max(by: { $0.name.count < $1.name.count }) else {
    // 'fstore jobs --help' asks for the commands of that name.
    guard words.contains("--help") || words.contains("-h") else { return unknownCommand(words) }
    return help(words.filter { !$0.hasPrefix("-") })
  }
  let rest = Array(words.dropFirst(command.name.split(separator: " ").count))
  if rest.contains("--help") || rest.contains("-h") {
    print(command.help)
    return .success
  }
  var isVerbose = rest.contains("--verbose")
  do {
    var syntax = command.syntax
    syntax.options += Command.commonOptions
    let arguments = try Arguments(rest, syntax: syntax)
    isVerbose = arguments.has("--verbose")
    if environment("SWIFT_DETERMINISTIC_HASHING") != nil {
      // Whoever knows the hashes can choose keys that make every table slow.
      Output.note("warning: SWIFT_DETERMINISTIC_HASHING is set: only for tests")
    }
    let store = arguments.value("--store") ?? environment("FSTORE_STORE") ?? "."
    let context = Context(
      arguments: arguments, output: Output(isJSON: arguments.has("--json")), storeDirectory: store)
    return try command.run(context)
  } catch let error as UsageError {
    Output.error(error.message)
    Output.note("usage: \(command.usage)\n'fstore \(command.name) --help' says more")
    return .usage
  } catch let error as FeatureStoreError {
    Output.error(error.message)
    var cause = error.cause
    while isVerbose, let next = cause {
      Output.note("  because: \(next)")
      cause = (next as? FeatureStoreError)?.cause
    }
    return ExitStatus(error.code)
  } catch {
    Output.error("\(error)")
    return .software
  }
}

func environment(_ name: String) -> String? {
  guard let value = unsafe getenv(name) else { return nil }
  let text = unsafe String(cString: value)
  return text.isEmpty ? nil : text
}

/// Where this program is, for others that shall call it.
func executablePath() -> String {
  guard let path = unsafe realpath("/proc/self/exe", nil) else { return "fstore" }
  defer { unsafe free(path) }
  return unsafe String(cString: path)
}

func help(_ words: [String]) -> ExitStatus {
  let name = words.joined(separator: " ")
  if let command = Command.all.first(where: { $0.name == name }) {
    print(command.help)
    return .success
  }
  let listed = Command.all.filter { name.isEmpty || $0.name.hasPrefix(name + " ") }
  guard !listed.isEmpty else { return unknownCommand(words) }
  let width = Command.all.map(\.name.count).max() ?? 0
  print(
    "fstore: a feature store whose offline tables are Apache Iceberg\n\nusage: fstore COMMAND ...\n"
  )
  for command in listed {
    let padding = String(repeating: " ", count: width - command.name.count + 2)
    print("  \(command.name)\(padding)\(command.summary)")
  }
  print("\n'fstore COMMAND --help' explains a command. Exit statuses: \(ExitStatus.explanation)")
  return .success
}

func unknownCommand(_ words: [String]) -> ExitStatus {
  let name = words.prefix(2).filter { !$0.hasPrefix("-") }.joined(separator: " ")
  let names = Command.all.map(\.name)
  let nearest = NearestName.find(name, in: names) ?? NearestName.find(words[0], in: names)
  let below = Command.all.filter { $0.name.hasPrefix(words[0] + " ") }.map(\.name)
  if below.isEmpty {
    Output.error(
      "unknown command '\(words[0])'" + (nearest.map { "; did you mean '\($0)'?" } ?? ""))
  } else {
    Output.error("'\(words[0])' needs one of: \(below.joined(separator: ", "))")
  }
  Output.note("'fstore help' lists the commands")
  return .usage
}

exit(run(Array(CommandLine.arguments.dropFirst())).rawValue)
