/// Paths as text, separated by `/`. Purely lexical: nothing is looked up.
public enum StoragePath {
  /// Everything before the last component: `a/b` gives `a`, `b` gives `.`, `/b` gives `/`.
  public static func directory(of path: String) -> String {
    let bytes = path.utf8
    guard let last = lastSlash(bytes, before: end(bytes, before: bytes.endIndex)) else {
      return bytes.first == slash ? "/" : "."
    }
    let parent = path[..<end(bytes, before: last)]
    return parent.isEmpty ? "/" : String(parent)
  }

  /// The last component: `a/b` gives `b`.
  public static func lastComponent(of path: String) -> String {
    let bytes = path.utf8
    let end = end(bytes, before: bytes.endIndex)
    guard end > bytes.startIndex else { return path }
    let start = lastSlash(bytes, before: end).map { bytes.index(after: $0) } ?? bytes.startIndex
    return String(path[start..<end])
  }

  private static let slash = UInt8(ascii: "/")

  /// Where the component ends that has nothing but slashes between it and an index.
  private static func end(_ bytes: String.UTF8View, before index: String.Index) -> String.Index {
    var end = index
    while end > bytes.startIndex, case let previous = bytes.index(before: end),
      bytes[previous] == slash
    {
      end = previous
    }
    return end
  }

  private static func lastSlash(
    _ bytes: String.UTF8View, before end: String.Index
  ) -> String.Index? {
    var index = end
    while index > bytes.startIndex {
      index = bytes.index(before: index)
      if bytes[index] == slash { return index }
    }
    return nil
  }

  /// What leads from a folder to a path at or below it; nil when the path is not there. `.` and
  /// repeated slashes do not count.
  public static func relative(_ path: String, to folder: String) -> String? {
    if let rest = plainRest(of: path, below: folder) { return rest }
    func components(_ text: String) -> [Substring.UTF8View] {
      text.utf8.split(separator: slash).filter { !$0.elementsEqual(".".utf8) }
    }
    let (inner, outer) = (components(path), components(folder))
    guard inner.count >= outer.count,
      zip(inner, outer).allSatisfy({ $0.elementsEqual($1) })
    else { return nil }
    let rest = inner[outer.count...].map { String(Substring($0)) }
    return rest.isEmpty ? "." : rest.joined(separator: "/")
  }

  /// The same of a path that begins as the folder does and has nothing behind it that does not count; else nil.
  private static func plainRest(of path: String, below folder: String) -> String? {
    let dot = UInt8(ascii: ".")
    guard path.utf8.count > folder.utf8.count + 1, folder.utf8.last != slash,
      path.utf8.starts(with: folder.utf8)
    else { return nil }
    let rest = path.utf8.dropFirst(folder.utf8.count)
    guard rest.first == slash, rest.last != slash else { return nil }
    var previous: UInt8 = 0
    for byte in rest {
      // Perhaps a component of one dot.
      if previous == slash, byte == slash || byte == dot { return nil }
      previous = byte
    }
    return String(Substring(rest.dropFirst()))
  }

  public static func join(_ directory: String, _ name: String) -> String {
    directory.utf8.last == slash ? directory + name : "\(directory)/\(name)"
  }
}
