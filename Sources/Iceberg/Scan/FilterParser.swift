/// Reads a filter from text, in the words of SQL:
///
///     a = 1 and (b in ('x', 'y') or c is null) and not d >= timestamp '2026-01-01T00:00:00'
///
/// Conditions are `=`, `!=` or `<>`, `<`, `<=`, `>`, `>=`, `[not] in (...)`, `[not] between ... and ...`,
/// `is [not] null`, `is [not] nan`, `starts_with(column, 'text')`, and `true` and `false`; `not` binds
/// closer than `and`, and that closer than `or`. Columns are words, or anything within double quotes; those
/// within a structure are named by full name (`a.b`). Words of the language may be in any case.
///
/// Values are whole numbers, numbers with a point or an exponent (of type double), texts within single
/// quotes, `true` and `false`, and texts with a type before them: `date`, `time`, `timestamp`,
/// `timestamptz`, `timestamp_ns`, `timestamptz_ns`, `uuid`, `decimal` (with as many digits behind the point
/// as the column has), `float`, `double` (also `'nan'` and `'inf'`) and `x` (bytes, as hexadecimal digits).
/// A quote within quotes is written twice; nothing else is escaped.
///
/// The text may come from anywhere: its size, its depth and the length of lists are limited.
struct FilterParser {
  static let maximumSizeBytes = 1 << 16
  static let maximumDepth = 64
  static let maximumListCount = 10_000

  private var tokens: FilterTokens
  private var next: FilterTokens.Token

  static func parse(_ text: String) throws(IcebergError) -> FilterExpression {
    guard text.utf8.count <= maximumSizeBytes else {
      throw IcebergError(
        .invalidArgument, "a filter of \(text.utf8.count) bytes; \(maximumSizeBytes) are read")
    }
    var parser = try FilterParser(text)
    let expression = try parser.disjunction(depth: 0)
    guard case .end = parser.next.kind else { throw parser.unexpected("'and', 'or' or the end") }
    return expression
  }

  private init(_ text: String) throws(IcebergError) {
    tokens = FilterTokens(text)
    next = try tokens.next()
  }

  // MARK: Conditions

  private mutating func disjunction(depth: Int) throws(IcebergError) -> FilterExpression {
    var operands = [try conjunction(depth: depth)]
    while try take(word: "or") { operands.append(try conjunction(depth: depth)) }
    return operands.count == 1 ? operands[0] : .or(operands)
  }

  private mutating func conjunction(depth: Int) throws(IcebergError) -> FilterExpression {
    var operands = [try negation(depth: depth)]
    while try take(word: "and") { operands.append(try negation(depth: depth)) }
    return operands.count == 1 ? operands[0] : .and(operands)
  }

  private mutating func negation(depth: Int) throws(IcebergError) -> FilterExpression {
    guard depth < FilterParser.maximumDepth else {
      throw error("the filter is nested deeper than \(FilterParser.maximumDepth) levels")
    }
    if try take(word: "not") { return .not(try negation(depth: depth + 1)) }
    if try take(symbol: "(") {
      let inner = try disjunction(depth: depth + 1)
      try expect(symbol: ")")
      return inner
    }
    return try condition()
  }

  private mutating func condition() throws(IcebergError) -> FilterExpression {
    if try take(word: "true") { return .alwaysTrue }
    if try take(word: "false") { return .alwaysFalse }
    if case .word("starts_with") = next.kind {
      let column = next
      try advance()
      // A column may have that name.
      if try take(symbol: "(") { return try prefix() }
      return try comparison(try tokens.columnName(column))
    }
    guard let column = try tokens.columnNameIfAny(next) else {
      throw unexpected("a column or a condition")
    }
    try advance()
    return try comparison(column)
  }

  private mutating func prefix() throws(IcebergError) -> FilterExpression {
    guard let column = try tokens.columnNameIfAny(next) else { throw unexpected("a column") }
    try advance()
    try expect(symbol: ",")
    guard case .text(let prefix) = next.kind else { throw unexpected("a text") }
    try advance()
    try expect(symbol: ")")
    return .startsWith(column, prefix)
  }

  private mutating func comparison(_ column: String) throws(IcebergError) -> FilterExpression {
    if case .symbol(let symbol) = next.kind, let comparison = FilterParser.comparisons[symbol] {
      try advance()
      return .comparison(column, comparison, try value())
    }
    if try take(word: "is") {
      let isNegated = try take(word: "not")
      let test: FilterExpression
      if try take(word: "null") {
        test = .isNull(column)
      } else if try take(word: "nan") {
        test = .isNaN(column)
      } else {
        throw unexpected("'null' or 'nan'")
      }
      return isNegated ? .not(test) : test
    }
    let isNegated = try take(word: "not")
    let test: FilterExpression
    if try take(word: "in") {
      test = .isIn(column, try list())
    } else if try take(word: "between") {
      let low = try value()
      guard try take(word: "and") else { throw unexpected("'and'") }
      test = .and([
        .comparison(column, .greaterOrEqual, low), .comparison(column, .lessOrEqual, try value()),
      ])
    } else {
      throw unexpected(isNegated ? "'in' or 'between'" : "a comparison")
    }
    return isNegated ? .not(test) : test
  }

  private static let comparisons: [String: FilterExpression.Comparison] = [
    "=": .equal, "!=": .notEqual, "<>": .notEqual, "<": .less, "<=": .lessOrEqual, ">": .greater,
    ">=": .greaterOrEqual,
  ]

  private mutating func list() throws(IcebergError) -> [Literal] {
    try expect(symbol: "(")
    var values = [try value()]
    while try take(symbol: ",") {
      guard values.count < FilterParser.maximumListCount else {
        throw error("a list of more than \(FilterParser.maximumListCount) values")
      }
      values.append(try value())
    }
    try expect(symbol: ")")
    return values
  }

  // MARK: Values

  private mutating func value() throws(IcebergError) -> Literal {
    let token = next
    switch token.kind {
    case .text(let text):
      try advance()
      return .string(text)
    case .number(let text):
      try advance()
      if let whole = Int64(text) { return .long(whole) }
      let isWhole = text.utf8.allSatisfy { $0 == UInt8(ascii: "-") || 48...57 ~= $0 }
      guard !isWhole, let number = Double(text), number.isFinite else {
        throw error("the number \(text) is out of range", at: token)
      }
      return .double(number)
    case .word("true"):
      try advance()
      return .boolean(true)
    case .word("false"):
      try advance()
      return .boolean(false)
    case .word(let type):
      guard FilterParser.typeNames.contains(type) else { throw unexpected("a value") }
      try advance()
      guard case .text(let text) = next.kind else { throw unexpected("a text within quotes") }
      guard let literal = FilterParser.literal(type, text) else {
        throw error("'\(text)' is no \(type == "x" ? "hexadecimal text" : type)")
      }
      try advance()
      return literal
    default: throw unexpected("a value")
    }
  }

  static let typeNames: Set<String> = [
    "date", "time", "timestamp", "timestamptz", "timestamp_ns", "timestamptz_ns", "uuid",
    "decimal", "float", "double", "x",
  ]

  private static func literal(_ type: String, _ text: String) -> Literal? {
    switch type {
    case "date": return CivilTime.days(text).map { .date($0) }
    case "time": return CivilTime.timeMicroseconds(text).map { .time($0) }
    case "timestamp": return CivilTime.timestamp(text, type: .timestamp)
    case "timestamptz": return CivilTime.timestamp(text, type: .timestamptz)
    case "timestamp_ns": return CivilTime.timestamp(text, type: .timestampNs)
    case "timestamptz_ns": return CivilTime.timestamp(text, type: .timestamptzNs)
    case "uuid": return Literal.uuid(text)
    case "x": return Literal.hexadecimal(text).map { .binary($0) }
    case "float": return Float(text).map { .float($0) }
    case "double": return Double(text).map { .double($0) }
    default:
      let scale = text.utf8.lastIndex(of: UInt8(ascii: ".")).map {
        text.utf8.distance(from: text.utf8.index(after: $0), to: text.utf8.endIndex)
      }
      guard scale ?? 0 <= 38 else { return nil }
      return CivilTime.unscaledDecimal(text, precision: 38, scale: scale ?? 0)
        .map { .decimal(unscaled: $0, scale: scale ?? 0) }
    }
  }

  // MARK: Tokens

  private mutating func advance() throws(IcebergError) { next = try tokens.next() }

  private mutating func take(word: String) throws(IcebergError) -> Bool {
    guard case .word(word) = next.kind else { return false }
    try advance()
    return true
  }

  private mutating func take(symbol: String) throws(IcebergError) -> Bool {
    guard case .symbol(symbol) = next.kind else { return false }
    try advance()
    return true
  }

  private mutating func expect(symbol: String) throws(IcebergError) {
    guard try take(symbol: symbol) else { throw unexpected("'\(symbol)'") }
  }

  private func unexpected(_ expected: String) -> IcebergError {
    error("expected \(expected), found \(tokens.text(of: next))")
  }

  private func error(_ message: String, at token: FilterTokens.Token? = nil) -> IcebergError {
    tokens.error(message, at: (token ?? next).start)
  }
}

/// The words, numbers, texts and signs of a filter's text.
struct FilterTokens {
  struct Token {
    enum Kind: Equatable {
      /// In lower case.
      case word(String)
      case quotedName(String)
      case text(String)
      case number(String)
      case symbol(String)
      case end
    }

    var kind: Kind
    /// Offsets of bytes.
    var start: Int
    var end: Int
  }

  /// Words that are no columns unless they are quoted.
  static let reservedWords: Set<String> = [
    "and", "or", "not", "in", "is", "null", "nan", "between", "true", "false",
  ]

  private let bytes: [UInt8]
  private var position = 0

  init(_ text: String) { bytes = Array(text.utf8) }

  mutating func next() throws(IcebergError) -> Token {
    while let byte = peek(), [0x20, 0x09, 0x0A, 0x0D].contains(byte) { position += 1 }
    let start = position
    guard let byte = peek() else { return Token(kind: .end, start: start, end: start) }
    let kind: Token.Kind
    switch byte {
    case UInt8(ascii: "'"): kind = .text(try quoted(byte))
    case UInt8(ascii: "\""): kind = .quotedName(try quoted(byte))
    case UInt8(ascii: "("), UInt8(ascii: ")"), UInt8(ascii: ","), UInt8(ascii: "="):
      position += 1
      kind = .symbol(string(start))
    case UInt8(ascii: "<"), UInt8(ascii: ">"), UInt8(ascii: "!"):
      position += 1
      if peek() == UInt8(ascii: "=") || byte == UInt8(ascii: "<") && peek() == UInt8(ascii: ">") {
        position += 1
      }
      guard string(start) != "!" else { throw error("'!' is no condition", at: start) }
      kind = .symbol(string(start))
    case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"):
      kind = .number(try number())
    default:
      guard FilterTokens.isWordByte(byte) else {
        throw error("a character that no filter has", at: start)
      }
      while let byte = peek(), FilterTokens.isWordByte(byte) || byte == UInt8(ascii: ".") {
        position += 1
      }
      kind = .word(string(start).lowercased())
    }
    return Token(kind: kind, start: start, end: position)
  }

  /// The column that a token names, in the case in which it was written.
  func columnNameIfAny(_ token: Token) throws(IcebergError) -> String? {
    switch token.kind {
    case .quotedName(let name): return name
    case .word(let word):
      return FilterTokens.reservedWords.contains(word) ? nil : try columnName(token)
    default: return nil
    }
  }

  func columnName(_ token: Token) throws(IcebergError) -> String {
    String(decoding: bytes[token.start..<token.end], as: UTF8.self)
  }

  /// How a message shows it.
  func text(of token: Token) -> String {
    if case .end = token.kind { return "the end" }
    return
      "'\(String(decoding: bytes[token.start..<min(token.end, token.start + 40)], as: UTF8.self))'"
  }

  func error(_ message: String, at start: Int) -> IcebergError {
    let before = String(decoding: bytes[..<start], as: UTF8.self)
    return IcebergError(
      .invalidArgument, "the filter, character \(before.unicodeScalars.count + 1): \(message)")
  }

  static func isWordByte(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"):
      true
    default: false
    }
  }

  private func peek() -> UInt8? { position < bytes.count ? bytes[position] : nil }

  private func string(_ start: Int) -> String {
    String(decoding: bytes[start..<position], as: UTF8.self)
  }

  /// What stands between quotes; a doubled one stands for itself.
  private mutating func quoted(_ quote: UInt8) throws(IcebergError) -> String {
    let start = position
    position += 1
    var content: [UInt8] = []
    while let byte = peek() {
      position += 1
      guard byte == quote else {
        content.append(byte)
        continue
      }
      guard peek() == quote else { return String(decoding: content, as: UTF8.self) }
      position += 1
      content.append(quote)
    }
    throw error("the quote has no end", at: start)
  }

  private mutating func number() throws(IcebergError) -> String {
    let start = position
    if peek() == UInt8(ascii: "-") { position += 1 }
    func isDigit(_ byte: UInt8?) -> Bool { byte.map { 48...57 ~= $0 } ?? false }
    guard isDigit(peek()) else { throw error("'-' without a number", at: start) }
    while isDigit(peek()) { position += 1 }
    if peek() == UInt8(ascii: ".") {
      position += 1
      while isDigit(peek()) { position += 1 }
    }
    if let byte = peek(), byte == UInt8(ascii: "e") || byte == UInt8(ascii: "E") {
      position += 1
      if let sign = peek(), sign == UInt8(ascii: "+") || sign == UInt8(ascii: "-") { position += 1 }
      while isDigit(peek()) { position += 1 }
    }
    if let byte = peek(), FilterTokens.isWordByte(byte) || byte == UInt8(ascii: ".") {
      throw error("a number that goes on with other characters", at: start)
    }
    return string(start)
  }
}
