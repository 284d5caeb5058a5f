extension FilterExpression: CustomStringConvertible {
  /// Reads a filter in the words of SQL, for example `a = 1 and (b in ('x', 'y') or c is null)`; the
  /// values have types of their own, as `date '2026-01-31'`. Cost: linear in the text.
  ///
  /// - Throws: `invalidArgument` with the place of the error, counted in characters from 1; also for a
  ///   text of more than 64 KiB, one that is nested deeper than 64 levels, or a list of more than 10,000
  ///   values. Whether the columns are there is only found out by who uses the filter.
  public init(parsing text: String) throws(IcebergError) { self = try FilterParser.parse(text) }

  /// Text that is parsed as this filter, if it was parsed itself.
  public var description: String { text(isOperand: false) }

  private func text(isOperand: Bool) -> String {
    switch self {
    case .alwaysTrue: return "true"
    case .alwaysFalse: return "false"
    case .comparison(let column, let comparison, let value):
      return "\(Self.name(column)) \(comparison.symbol) \(value.filterText)"
    case .isIn(let column, let values):
      return values.isEmpty
        ? "false" : "\(Self.name(column)) in (\(values.map(\.filterText).joined(separator: ", ")))"
    case .isNull(let column): return "\(Self.name(column)) is null"
    case .isNaN(let column): return "\(Self.name(column)) is nan"
    case .startsWith(let column, let prefix):
      return "starts_with(\(Self.name(column)), \(Literal.string(prefix).filterText))"
    case .not(let inner): return "not \(inner.text(isOperand: true))"
    case .and(let operands): return Self.joined(operands, "and", isOperand, none: "true")
    case .or(let operands): return Self.joined(operands, "or", isOperand, none: "false")
    }
  }

  private static func joined(
    _ operands: [FilterExpression], _ word: String, _ isOperand: Bool, none: String
  ) -> String {
    guard !operands.isEmpty else { return none }
    let text = operands.map { $0.text(isOperand: true) }.joined(separator: " \(word) ")
    return isOperand ? "(\(text))" : text
  }

  /// A column's name, quoted where it would be read as something else.
  private static func name(_ column: String) -> String {
    let isPlain =
      column.utf8.allSatisfy { FilterTokens.isWordByte($0) || $0 == UInt8(ascii: ".") }
      && !FilterTokens.reservedWords.contains(column.lowercased())
      && column.utf8.first.map { !(48...57 ~= $0) && $0 != UInt8(ascii: ".") } ?? false
      && column.lowercased() != "starts_with"
    return isPlain ? column : Literal.quoted(column, "\"")
  }
}

extension FilterExpression.Comparison {
  fileprivate var symbol: String {
    switch self {
    case .less: "<"
    case .lessOrEqual: "<="
    case .equal: "="
    case .notEqual: "!="
    case .greaterOrEqual: ">="
    case .greater: ">"
    }
  }
}

extension Literal {
  fileprivate static func quoted(_ text: String, _ quote: Character) -> String {
    var quoted = String(quote)
    for scalar in text.unicodeScalars {
      quoted.unicodeScalars.append(scalar)
      if Character(scalar) == quote { quoted.unicodeScalars.append(scalar) }
    }
    return quoted + String(quote)
  }

  fileprivate var filterText: String {
    switch self {
    case .boolean, .int, .long: return description
    case .double(let value) where value.isFinite: return description
    case .string(let text): return Literal.quoted(text, "'")
    default: return filterTypeName + " " + Literal.quoted(description, "'")
    }
  }

  private var filterTypeName: String {
    switch self {
    case .boolean, .int, .long, .string: ""
    case .float: "float"
    case .double: "double"
    case .decimal: "decimal"
    case .date: "date"
    case .time: "time"
    case .timestamp: "timestamp"
    case .timestamptz: "timestamptz"
    case .timestampNs: "timestamp_ns"
    case .timestamptzNs: "timestamptz_ns"
    case .uuid: "uuid"
    case .fixed, .binary: "x"
    }
  }
}
