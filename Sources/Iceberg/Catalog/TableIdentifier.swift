/// A namespace: one or more names from the outermost in.
public struct Namespace: Hashable, Sendable, CustomStringConvertible {
  public let levels: [String]

  /// - Throws: `invalidArgument` for no level, an empty one, or one with a `.` or a NUL, which the
  ///   catalog's layout cannot tell apart from a separator.
  public init(_ levels: [String]) throws(IcebergError) {
    guard !levels.isEmpty, levels.allSatisfy({ Namespace.isName($0) && !$0.contains(".") }) else {
      throw IcebergError(.invalidArgument, "'\(levels.joined(separator: "."))' is no namespace")
    }
    self.levels = levels
  }

  /// A namespace from its text, levels separated by dots.
  public init(_ text: String) throws(IcebergError) {
    try self.init(text.split(separator: ".", omittingEmptySubsequences: false).map(String.init))
  }

  public var description: String { levels.joined(separator: ".") }

  static func isName(_ text: String) -> Bool {
    !text.isEmpty && text.utf8.count <= 255 && !text.utf8.contains { $0 < 0x20 }
  }
}

/// A table's name in a catalog.
public struct TableIdentifier: Hashable, Sendable, CustomStringConvertible {
  public let namespace: Namespace
  public let name: String

  public init(_ namespace: Namespace, _ name: String) throws(IcebergError) {
    guard Namespace.isName(name) else {
      throw IcebergError(.invalidArgument, "'\(name)' is no name of a table")
    }
    self.namespace = namespace
    self.name = name
  }

  /// An identifier from text such as `features.transactions`: what is after the last dot is the
  /// table's name.
  public init(_ text: String) throws(IcebergError) {
    guard let dot = text.lastIndex(of: ".") else {
      throw IcebergError(.invalidArgument, "'\(text)' has no namespace: write 'namespace.table'")
    }
    try self.init(try Namespace(String(text[..<dot])), String(text[text.index(after: dot)...]))
  }

  public var description: String { "\(namespace).\(name)" }
}
