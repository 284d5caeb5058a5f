/// Paths as text, separated by `/`. Purely lexical: nothing is looked up.
public enum StoragePath {
  /// Everything before the last component: `a/b` gives `a`, `b` gives `.`, `/b` gives `/`.
  public static func directory(of path: String) -> String {
    var bytes = path.utf8[...]
    while bytes.count > 1, bytes.last == UInt8(ascii: "/") { bytes = bytes.dropLast() }
    guard let slash = bytes.lastIndex(of: UInt8(ascii: "/")) else { return "." }
    var parent = bytes[..<slash]
    while parent.last == UInt8(ascii: "/") { parent = parent.dropLast() }
    return parent.isEmpty ? "/" : String(Substring(parent))
  }

  /// The last component: `a/b` gives `b`.
  public static func lastComponent(of path: String) -> String {
    let parts = path.utf8.split(separator: UInt8(ascii: "/"))
    return parts.last.map { String(Substring($0)) } ?? path
  }

  public static func join(_ directory: String, _ name: String) -> String {
    directory.utf8.last == UInt8(ascii: "/") ? directory + name : "\(directory)/\(name)"
  }
}
