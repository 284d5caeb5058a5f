import Iceberg
import JSON
import TestSupport

/// A condition on one column or, made of others, on several: for us and for the peers.
struct Condition: CustomStringConvertible {
  var sample: AllTypes.Sample
  /// The test of the column; or `and`, `or` or `not` of the parts.
  var comparison: String
  var operands: [JSONValue] = []
  var parts: [Condition] = []

  var description: String { json.text() }

  /// [column, operator, operand], as `peer.py` takes it.
  var json: JSONValue {
    guard parts.isEmpty else { return .array([.string(comparison)] + parts.map(\.json)) }
    var parts: [JSONValue] = [.string(sample.name), .string(comparison)]
    if comparison.hasSuffix("in") {
      parts.append(.array(operands))
    } else {
      parts += operands
    }
    return .array(parts)
  }

  var expression: FilterExpression {
    let name = sample.name
    let literals = operands.compactMap { Canonical.literal($0, sample.type) }
    switch comparison {
    case "and": return .and(parts.map(\.expression))
    case "or": return .or(parts.map(\.expression))
    case "not": return .not(parts[0].expression)
    case "is null": return .isNull(name)
    case "is not null": return .notNull(name)
    case "is nan": return .isNaN(name)
    case "is not nan": return .not(.isNaN(name))
    case "in": return .isIn(name, literals)
    case "not in": return .not(.isIn(name, literals))
    case "starts with": return .startsWith(name, operands[0].stringValue ?? "")
    case "not starts with": return .not(.startsWith(name, operands[0].stringValue ?? ""))
    default: return .comparison(name, Self.comparisons[comparison] ?? .equal, literals[0])
    }
  }

  static let comparisons: [String: FilterExpression.Comparison] = [
    "<": .less, "<=": .lessOrEqual, "=": .equal, "!=": .notEqual, ">=": .greaterOrEqual,
    ">": .greater,
  ]

  /// Whether the condition holds for a row, by plain comparison of integers.
  ///
  /// - Precondition: the column is one of integers, days or times.
  func holds(_ row: JSONValue, _ columns: [AllTypes.Sample]) -> Bool {
    guard let index = columns.firstIndex(where: { $0.name == sample.name }),
      let value = row.arrayValue?[index + 1].int64Value
    else { return comparison == "is null" }
    let others = operands.compactMap(\.int64Value)
    switch comparison {
    case "is null": return false
    case "is not null": return true
    case "in": return others.contains(value)
    case "not in": return !others.contains(value)
    case "<": return value < others[0]
    case "<=": return value <= others[0]
    case "=": return value == others[0]
    case "!=": return value != others[0]
    case ">=": return value >= others[0]
    default: return value > others[0]
    }
  }

  /// Every test of a column with each of its values. NaN is no operand: PyIceberg finds nothing
  /// equal to it, DuckDB and we do.
  static func all(_ sample: AllTypes.Sample, seed: UInt64) -> [Condition] {
    var generator = SeededGenerator(seed: seed)
    let operands = sample.values.filter { $0 != "nan" }
    var conditions = ["is null", "is not null"].map { Condition(sample: sample, comparison: $0) }
    if sample.type == .float || sample.type == .double {
      conditions += ["is nan", "is not nan"].map { Condition(sample: sample, comparison: $0) }
    }
    for operand in operands {
      for comparison in comparisons.keys.sorted() {
        conditions.append(Condition(sample: sample, comparison: comparison, operands: [operand]))
      }
    }
    for comparison in ["in", "not in"] {
      let chosen = (0..<2).map { _ in operands[generator.below(operands.count)] }
      conditions.append(Condition(sample: sample, comparison: comparison, operands: chosen))
    }
    if sample.type == .string {
      let x = String(repeating: "x", count: 20)
      for prefix in ["x", x, x + "y", "na", "\u{65E5}", "\u{1F600}", "\u{10FFFF}x", "zz"] {
        for comparison in ["starts with", "not starts with"] {
          conditions.append(
            Condition(sample: sample, comparison: comparison, operands: [.string(prefix)]))
        }
      }
    }
    return conditions
  }

  /// Some of them, chosen by the seed.
  static func some(_ count: Int, _ sample: AllTypes.Sample, seed: UInt64) -> [Condition] {
    var generator = SeededGenerator(seed: seed)
    var conditions = all(sample, seed: seed)
    conditions.shuffle(using: &generator)
    return Array(conditions.prefix(count))
  }

  /// A condition on any of the columns, up to so many levels deep.
  static func random(
    _ columns: [AllTypes.Sample], depth: Int, _ generator: inout SeededGenerator
  ) -> Condition {
    let sample = columns[generator.below(columns.count)]
    guard depth > 0, !generator.oneIn(4) else {
      let all = all(sample, seed: generator.next())
      return all[generator.below(all.count)]
    }
    let kind = ["and", "or", "and", "or", "not"][generator.below(5)]
    let parts = (0..<(kind == "not" ? 1 : 2)).map { _ in
      random(columns, depth: depth - 1, &generator)
    }
    return Condition(sample: sample, comparison: kind, parts: parts)
  }
}
