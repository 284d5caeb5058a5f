/// Locations as tables record them, and the local paths that they mean.
///
/// We write `file:///path`; others also write `file:/path` and `/path`. All three mean the same
/// file, so locations are compared by their path. Nothing is ever percent-decoded: what a table
/// records is the name, byte for byte.
public enum Location {
  /// The absolute local path of a location.
  ///
  /// Refuses other schemes, relative paths, `..` and NUL: a location comes out of metadata that
  /// somebody else may have written, and must not lead elsewhere.
  public static func path(of location: String) throws(IcebergError) -> String {
    let path = try pathPart(of: location)
    if !isPlain(path) { try check(path, of: location) }
    return path
  }

  private static func check(_ path: String, of location: String) throws(IcebergError) {
    guard path.utf8.first == UInt8(ascii: "/") else {
      throw IcebergError(.invalidArgument, "'\(location)' is no absolute location")
    }
    guard !path.utf8.contains(0) else {
      throw IcebergError(.invalidMetadata, "a location contains a NUL byte")
    }
    guard
      !path.utf8.split(separator: UInt8(ascii: "/")).contains(where: { $0.elementsEqual("..".utf8) }
      )
    else {
      throw IcebergError(.invalidMetadata, "'\(location)' contains '..', which is refused")
    }
  }

  /// Whether a path is absolute and all its components are names: none is empty, `.` or `..`, none has a
  /// NUL. Nearly all paths are, and then there is nothing to take apart.
  private static func isPlain(_ path: String) -> Bool {
    guard path.utf8.first == UInt8(ascii: "/") else { return false }
    // Of the component so far.
    var length = 0
    var dots = 0
    for byte in path.utf8.dropFirst() {
      if byte == UInt8(ascii: "/") {
        if length == dots, dots <= 2 { return false }
        length = 0
        dots = 0
      } else {
        if byte == 0 { return false }
        length += 1
        if byte == UInt8(ascii: ".") { dots += 1 }
      }
    }
    return length > dots || dots > 2
  }

  private static func pathPart(of location: String) throws(IcebergError) -> String {
    let bytes = location.utf8
    if bytes.first == UInt8(ascii: "/") { return location }
    guard let colon = bytes.firstIndex(of: UInt8(ascii: ":")) else { return location }
    let scheme = location[..<colon]
    guard scheme.lowercased() == "file" else {
      throw IcebergError(
        .unsupported, "'\(location)': only local files (file:) are supported, not '\(scheme):'")
    }
    let rest = location[bytes.index(after: colon)...]
    guard rest.utf8.starts(with: "//".utf8) else { return String(rest) }
    let afterSlashes = rest.utf8.index(rest.utf8.startIndex, offsetBy: 2)
    let authority = rest.utf8[afterSlashes...].prefix { $0 != UInt8(ascii: "/") }
    guard authority.isEmpty || authority.elementsEqual("localhost".utf8) else {
      throw IcebergError(.unsupported, "'\(location)' is on another machine")
    }
    return String(rest[authority.endIndex...])
  }

  /// The location of an absolute path, as we record it.
  public static func location(ofPath path: String) -> String { "file://" + path }

  /// `name` below `base`, with exactly one slash in between.
  public static func join(_ base: String, _ name: String) -> String {
    withoutTrailingSlash(base) + "/" + name
  }

  /// One or more trailing slashes removed; tables in the wild have them.
  public static func withoutTrailingSlash(_ location: String) -> String {
    var text = location[...]
    while text.utf8.count > 1, text.utf8.last == UInt8(ascii: "/") { text = text.dropLast() }
    return String(text)
  }

  /// What stands before the last slash of a path or a location.
  public static func parent(of location: String) -> String {
    guard let slash = location.utf8.lastIndex(of: UInt8(ascii: "/")) else { return "" }
    return slash == location.utf8.startIndex ? "/" : String(location[..<slash])
  }

  /// What stands after the last slash.
  public static func lastComponent(of location: String) -> String {
    guard let slash = location.utf8.lastIndex(of: UInt8(ascii: "/")) else { return location }
    return String(location[location.utf8.index(after: slash)...])
  }

  /// A form in which two spellings of one location are equal: the path with repeated slashes, `.`
  /// and the trailing slash removed. For comparison only.
  public static func comparable(_ location: String) throws(IcebergError) -> String {
    let path = try pathPart(of: location)
    if isPlain(path) { return path }
    try check(path, of: location)
    let components = path.utf8.split(separator: UInt8(ascii: "/"))
      .filter { !$0.elementsEqual(".".utf8) }
    return "/" + components.map { String(decoding: $0, as: UTF8.self) }.joined(separator: "/")
  }

  /// Whether one location is the other or lies below it, or the other way round.
  public static func overlap(_ left: String, _ right: String) throws(IcebergError) -> Bool {
    let left = try comparable(left)
    let right = try comparable(right)
    return left == right || isBelow(left, right) || isBelow(right, left)
  }

  private static func isBelow(_ path: String, _ folder: String) -> Bool {
    path.utf8.starts(with: (folder == "/" ? folder : folder + "/").utf8)
  }

  /// A name for a file or folder made of whatever a catalog allows as a table's name: everything
  /// but letters, digits, `_`, `-` and `.` becomes `_`.
  static func fileName(for name: String) -> String {
    let safe = name.unicodeScalars.map { scalar in
      switch scalar {
      case "a"..."z", "A"..."Z", "0"..."9", "_", "-", ".": Character(scalar)
      default: Character("_")
      }
    }
    let text = String(safe.prefix(100))
    return text.allSatisfy { $0 == "." } ? "_" : text
  }
}
