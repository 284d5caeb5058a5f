/// Takes typed options out of texts, and notices those that nobody asked for.
struct OptionReader {
  private var options: [String: String]
  private let properties: [String: String]

  /// - Parameters:
  ///   - options: what the caller said; they win.
  ///   - properties: what the table says.
  init(options: [String: String], properties: [String: String]) {
    self.options = options
    self.properties = properties
  }

  mutating func text(_ name: String, properties names: [String] = []) -> String? {
    if let value = options.removeValue(forKey: name) { return value }
    for name in names { if let value = properties[name] { return value } }
    return nil
  }

  mutating func optionalInteger(
    _ name: String, properties names: [String] = []
  ) throws(IcebergError) -> Int64? {
    guard let text = text(name, properties: names) else { return nil }
    guard let value = Int64(text) else { throw refused(name, text, "an integer") }
    return value
  }

  mutating func integer(
    _ name: String, properties names: [String] = [], otherwise value: Int64
  ) throws(IcebergError) -> Int64 {
    try optionalInteger(name, properties: names) ?? value
  }

  mutating func number(_ name: String, otherwise value: Double) throws(IcebergError) -> Double {
    guard let text = text(name) else { return value }
    guard let number = Double(text), number.isFinite else { throw refused(name, text, "a number") }
    return number
  }

  mutating func boolean(_ name: String, otherwise value: Bool) throws(IcebergError) -> Bool {
    guard let text = text(name) else { return value }
    switch text.lowercased() {
    case "true": return true
    case "false": return false
    default: throw refused(name, text, "true or false")
    }
  }

  /// Throws if an option is left that was not asked for.
  func refuseOthers() throws(IcebergError) {
    guard options.isEmpty else {
      throw IcebergError(
        .invalidArgument,
        "Cannot use options [\(options.keys.sorted().joined(separator: ", "))], "
          + "they are not supported by the action or the rewriter")
    }
  }

  private func refused(_ name: String, _ text: String, _ expected: String) -> IcebergError {
    IcebergError(.invalidArgument, "'\(name)' is set to '\(text)' but must be \(expected)")
  }
}
