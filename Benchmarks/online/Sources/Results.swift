import Glibc

/// Figures by case and contender, one a round; what is reported are medians.
struct Results {
  struct Case {
    let name: String
    let unit: String
    /// A rate, not a time or a size.
    let isHigherBetter: Bool
    var contenders: [(name: String, values: [Double])] = []

    func median(_ contender: String) -> Double? {
      contenders.first { $0.name == contender }.map { Results.median($0.values) }
    }
  }

  private(set) var cases: [Case] = []

  static func median(_ values: [Double]) -> Double {
    let sorted = values.sorted()
    let middle = sorted.count / 2
    return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
  }

  mutating func note(
    _ name: String, _ contender: String, _ value: Double, _ unit: String,
    isHigherBetter: Bool = false
  ) {
    let index: Int
    if let found = cases.firstIndex(where: { $0.name == name }) {
      index = found
    } else {
      index = cases.count
      cases.append(Case(name: name, unit: unit, isHigherBetter: isHigherBetter))
    }
    if let place = cases[index].contenders.firstIndex(where: { $0.name == contender }) {
      cases[index].contenders[place].values.append(value)
    } else {
      cases[index].contenders.append((contender, [value]))
    }
  }

  /// The table for people, then one line a comparison for people and scripts: a value above 1 is better for
  /// fstore.
  func print(limits: Set<String>) {
    for entry in cases {
      Swift.print("\n\(entry.name), \(entry.unit)")
      for (name, values) in entry.contenders {
        let sorted = values.sorted()
        let range =
          sorted.count > 1
          ? "   (\(Results.text(sorted[0])) to \(Results.text(sorted[sorted.count - 1])))" : ""
        Swift.print("  \(name.padded(to: 24))\(Results.text(Results.median(values)))\(range)")
      }
    }
    Swift.print("")
    for entry in cases {
      guard let ours = entry.median("fstore") else { continue }
      for (name, values) in entry.contenders where name != "fstore" {
        let theirs = Results.median(values)
        let value = entry.isHigherBetter ? ours / theirs : theirs / ours
        let isLimit = limits.contains(name)
        Swift.print(
          "\(isLimit ? "limit" : "ratio") \(entry.name.replacing(" ", with: "-")) "
            + "\(Results.text(value)) (ours \(Results.text(ours)) \(entry.unit), "
            + "\(isLimit ? "limit " : "")\(name) \(Results.text(theirs)) \(entry.unit))")
      }
    }
  }

  /// Everything measured, not only the medians.
  func json(_ facts: [(String, String)]) -> String {
    func quoted(_ text: String) -> String { "\"\(text)\"" }
    let head = facts.map { "  \(quoted($0.0)): \(quoted($0.1))" }
    let body = cases.map { entry in
      let contenders = entry.contenders.map { name, values in
        "\(quoted(name)): {\"median\": \(Results.median(values)), \"values\": \(values)}"
      }
      return
        "    {\"case\": \(quoted(entry.name)), \"unit\": \(quoted(entry.unit)), \"contenders\": {"
        + contenders.joined(separator: ", ") + "}}"
    }
    return "{\n" + head.joined(separator: ",\n") + ",\n  \"cases\": [\n"
      + body.joined(separator: ",\n") + "\n  ]\n}\n"
  }

  /// Three digits that count.
  static func text(_ value: Double) -> String {
    guard value != 0, value.isFinite else { return "\(value)" }
    if value.magnitude >= 1000 { return "\(Int(value.rounded()))" }
    let digits = max(0, 2 - Int(log10(value.magnitude).rounded(.down)))
    let scale = pow(10.0, Double(digits))
    return "\((value * scale).rounded() / scale)"
  }
}

extension String {
  func padded(to width: Int) -> String {
    self + String(repeating: " ", count: max(1, width - count))
  }

  func replacing(_ character: Character, with other: String) -> String {
    map { $0 == character ? other : String($0) }.joined()
  }
}
