/// In which order a rewrite writes the rows of a group.
public enum RewriteStrategy: Hashable, Sendable {
  /// As they came, files from the oldest to the newest.
  case binPack
  /// Sorted by these keys; by the table's sort order when there are none.
  case sort([SortKey])
  /// Along a Z-order curve over these columns: rows that are near each other in each of them come to lie together.
  case zOrder([String])

  /// The word for it in options.
  public var name: String {
    switch self {
    case .binPack: "binpack"
    case .sort: "sort"
    case .zOrder: "zorder"
    }
  }
}

/// One key of an order to sort by: a column, or a transform of it.
public struct SortKey: Hashable, Sendable {
  /// The full name of a column that is not inside of another.
  public var column: String
  public var transform: Transform
  public var direction: SortField.Direction
  public var nullOrder: SortField.NullOrder

  /// - Parameter nullOrder: nil has nulls first going up and last going down, as the reference does.
  public init(
    _ column: String, transform: Transform = .identity,
    direction: SortField.Direction = .ascending, nullOrder: SortField.NullOrder? = nil
  ) {
    self.column = column
    self.transform = transform
    self.direction = direction
    self.nullOrder = nullOrder ?? (direction == .ascending ? .nullsFirst : .nullsLast)
  }
}

// From text, as options have it.
extension SortKey {
  /// Keys with commas between: `event_time DESC NULLS LAST, bucket(16, id)`. A transform is written as the reference's
  /// SQL has it: `year(a)`, `month(a)`, `day(a)`, `hour(a)`, `bucket(N, a)`, `truncate(N, a)`.
  public static func parse(_ text: String) throws(IcebergError) -> [SortKey] {
    var keys: [SortKey] = []
    for part in Self.parts(text) { keys.append(try SortKey(parsing: part)) }
    return keys
  }

  /// Cuts at commas outside of parentheses.
  static func parts(_ text: String) -> [String] {
    var parts = [""]
    var depth = 0
    for character in text {
      if character == "(" { depth += 1 }
      if character == ")" { depth -= 1 }
      if character == ",", depth == 0 {
        parts.append("")
      } else {
        parts[parts.count - 1].append(character)
      }
    }
    return parts.map(Self.trimmed)
  }

  static func trimmed(_ text: some StringProtocol) -> String {
    var rest = Substring(text)
    while rest.first?.isWhitespace == true { rest.removeFirst() }
    while rest.last?.isWhitespace == true { rest.removeLast() }
    return String(rest)
  }

  private init(parsing text: String) throws(IcebergError) {
    func refused(_ reason: String) -> IcebergError {
      IcebergError(
        .invalidArgument,
        "'\(text)' is no sort key: \(reason); it takes COLUMN [ASC|DESC] [NULLS FIRST|LAST]")
    }
    // What stands in parentheses is one word with what is before them.
    let end = text.lastIndex(of: ")").map { text.index(after: $0) }
    let term: String
    let rest: Substring
    if let end {
      term = String(text[..<end])
      rest = text[end...]
    } else {
      term = String(text.prefix { !$0.isWhitespace })
      rest = text.dropFirst(term.count)
    }
    var words = rest.split(whereSeparator: \.isWhitespace).map { $0.lowercased() }[...]
    var direction = SortField.Direction.ascending
    if let first = words.first, let found = SortField.Direction(rawValue: first) {
      direction = found
      words.removeFirst()
    }
    var nullOrder: SortField.NullOrder?
    if words.first == "nulls" {
      guard let found = SortField.NullOrder(rawValue: words.joined(separator: "-")) else {
        throw refused("'\(words.joined(separator: " "))' is not understood")
      }
      nullOrder = found
      words = []
    }
    guard words.isEmpty else { throw refused("'\(words.joined(separator: " "))' is too much") }
    let (column, transform) = try Self.term(term, refused)
    self.init(column, transform: transform, direction: direction, nullOrder: nullOrder)
  }

  private static func term(
    _ text: String, _ refused: (String) -> IcebergError
  ) throws(IcebergError) -> (column: String, transform: Transform) {
    guard let open = text.firstIndex(of: "(") else {
      guard !text.isEmpty else { throw refused("it names no column") }
      return (text, .identity)
    }
    let inner = text[text.index(after: open)...].dropLast()
    let arguments = inner.split(separator: ",").map { trimmed($0) }
    let name = trimmed(text[..<open]).lowercased()
    let transform =
      switch arguments.count {
      case 1: Transform(text: name)
      case 2: Transform(text: "\(name)[\(arguments[0])]")
      default: Transform.unknown(name)
      }
    guard let column = arguments.last, !column.isEmpty else { throw refused("it names no column") }
    if case .unknown = transform { throw refused("there is no such transform") }
    return (column, transform)
  }
}

extension RewriteStrategy {
  /// - Parameters:
  ///   - name: `binpack`, `sort` or `zorder`, also with a hyphen; nil for what the others say.
  ///   - sortOrder: keys, or `zorder(a, b)` as the reference's procedure has it.
  ///   - zOrder: columns with commas between.
  init(name: String?, sortOrder: String?, zOrder: String?) throws(IcebergError) {
    func refused(_ message: String) -> IcebergError { IcebergError(.invalidArgument, message) }
    var columns = zOrder.map { SortKey.parts($0) }
    var keys: [SortKey] = []
    if let sortOrder {
      let text = SortKey.trimmed(sortOrder)
      if text.lowercased().hasPrefix("zorder("), text.hasSuffix(")") {
        guard columns == nil else { throw refused("two Z-orders are given") }
        columns = SortKey.parts(String(text.dropFirst(7).dropLast()))
      } else {
        guard columns == nil else { throw refused("a sort order and a Z-order exclude each other") }
        keys = try SortKey.parse(text)
      }
    }
    if let columns, columns.contains("") { throw refused("a Z-order names an empty column") }
    switch name?.lowercased() {
    case nil:
      if let columns {
        self = .zOrder(columns)
      } else {
        self = sortOrder == nil ? .binPack : .sort(keys)
      }
    case "binpack", "bin-pack":
      guard columns == nil, sortOrder == nil else {
        throw refused("Cannot set strategy to sort or zorder, it has already been set to binpack")
      }
      self = .binPack
    case "sort":
      // The reference's name for both.
      if let columns { self = .zOrder(columns) } else { self = .sort(keys) }
    case "zorder", "z-order":
      guard let columns else { throw refused("a Z-order needs columns") }
      self = .zOrder(columns)
    case let other?:
      throw refused(
        "unsupported strategy: \(other). Only binpack, sort and zorder are supported")
    }
  }
}
