import FeatureModel

/// What one command takes: positional arguments, options with a value, flags.
struct CommandSyntax: Sendable {
  struct Option: Sendable {
    var name: String
    /// What stands for the value in `--help`; nil for a flag.
    var placeholder: String?
    var help: String
    var isRepeatable = false
  }

  struct Positional: Sendable {
    var name: String
    var help: String
    var isRequired = true
    var isRepeatable = false
  }

  var positionals: [Positional] = []
  var options: [Option] = []

  static func option(
    _ name: String, _ placeholder: String, _ help: String, repeatable: Bool = false
  ) -> Option {
    Option(name: name, placeholder: placeholder, help: help, isRepeatable: repeatable)
  }

  static func flag(_ name: String, _ help: String) -> Option {
    Option(name: name, placeholder: nil, help: help)
  }
}

/// The command line was wrong; the message says how and what is allowed.
struct UsageError: Error {
  var message: String
}

/// Parsed arguments of one command.
struct Arguments {
  private(set) var positionals: [String] = []
  private var values: [String: [String]] = [:]
  private var flags: Set<String> = []

  /// Takes `--name value`, `--name=value`, flags, and positionals in any order; `--` ends options.
  init(_ arguments: some Sequence<String>, syntax: CommandSyntax) throws(UsageError) {
    var rest = Array(arguments)[...]
    var optionsEnded = false
    while let argument = rest.popFirst() {
      guard !optionsEnded, argument.hasPrefix("-"), argument != "-", !Self.isNumber(argument) else {
        positionals.append(argument)
        continue
      }
      if argument == "--" {
        optionsEnded = true
        continue
      }
      let parts = argument.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      let name = String(parts[0])
      guard let option = syntax.options.first(where: { $0.name == name }) else {
        throw UsageError(message: Self.unknown(name, among: syntax.options.map(\.name)))
      }
      guard option.placeholder != nil else {
        guard parts.count == 1 else { throw UsageError(message: "\(name) takes no value") }
        flags.insert(name)
        continue
      }
      guard let value = parts.count == 2 ? String(parts[1]) : rest.popFirst() else {
        throw UsageError(message: "\(name) needs a value: \(name) \(option.placeholder ?? "")")
      }
      guard option.isRepeatable || values[name] == nil else {
        throw UsageError(message: "\(name) is given twice")
      }
      values[name, default: []].append(value)
    }
    try check(syntax)
  }

  private func check(_ syntax: CommandSyntax) throws(UsageError) {
    let required = syntax.positionals.filter(\.isRequired)
    if positionals.count < required.count {
      throw UsageError(message: "missing argument: \(required[positionals.count].name)")
    }
    let takesMore = syntax.positionals.last?.isRepeatable ?? false
    if positionals.count > syntax.positionals.count, !takesMore {
      throw UsageError(message: "unexpected argument: \(positionals[syntax.positionals.count])")
    }
  }

  private static func isNumber(_ text: String) -> Bool { Double(text) != nil }

  static func unknown(_ name: String, among names: [String]) -> String {
    let nearest = NearestName.find(name, in: names)
    return "unknown option \(name)" + (nearest.map { "; did you mean \($0)?" } ?? "")
  }

  func has(_ flag: String) -> Bool { flags.contains(flag) }

  func value(_ name: String) -> String? { values[name]?.first }

  func all(_ name: String) -> [String] { values[name] ?? [] }

  func required(_ name: String) throws(UsageError) -> String {
    guard let value = value(name) else { throw UsageError(message: "\(name) is needed") }
    return value
  }

  /// A whole number of at least `minimum`.
  func integer(_ name: String, minimum: Int64 = 0) throws(UsageError) -> Int64? {
    guard let text = value(name) else { return nil }
    guard let number = Int64(text), number >= minimum else {
      throw UsageError(
        message: "\(name) takes a whole number of at least \(minimum), not '\(text)'")
    }
    return number
  }

  /// Bytes, with an optional unit: 512MB, 64MiB, 1000.
  func byteCount(_ name: String) throws(UsageError) -> Int64? {
    guard let text = value(name) else { return nil }
    let units: [(String, Int64)] = [
      ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("KB", 1_000), ("MB", 1_000_000),
      ("GB", 1_000_000_000), ("B", 1), ("", 1),
    ]
    for (unit, factor) in units where text.lowercased().hasSuffix(unit.lowercased()) {
      if let number = Int64(text.dropLast(unit.count)), number >= 0 {
        let (bytes, overflow) = number.multipliedReportingOverflow(by: factor)
        if !overflow { return bytes }
      }
    }
    throw UsageError(message: "\(name) takes a size such as 512MB or 64MiB, not '\(text)'")
  }

  /// A length of time in microseconds: 90s, 15m, 6h, 7d, 250ms.
  func duration(_ name: String) throws(UsageError) -> Int64? {
    guard let text = value(name) else { return nil }
    guard let microseconds = DurationText.microseconds(text) else {
      throw UsageError(
        message: "\(name) takes a length of time such as 90s, 15m, 6h or 7d, not '\(text)'")
    }
    return microseconds
  }
}
