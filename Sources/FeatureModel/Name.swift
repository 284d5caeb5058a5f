/// The rule for names of groups, views, features and identifiers.
public enum Name {
  public static let maximumUTF8Count = 64

  /// Columns that every offline table has beyond the user's own. `FeatureGroup.expiryName` is refused too, for
  /// new columns.
  public static let reserved: Set<String> = ["write_time", "is_deleted", "lsn"]

  /// Throws `.invalidName`, saying what is allowed, unless `name` is `[A-Za-z_][A-Za-z0-9_]*` of at
  /// most 64 bytes.
  public static func validate(_ name: String, as role: String) throws(FeatureModelError) {
    let bytes = name.utf8
    let isValid =
      (1...maximumUTF8Count).contains(bytes.count)
      && bytes.allSatisfy { isLetter($0) || isDigit($0) } && !(bytes.first.map(isDigit) ?? true)
    guard isValid else {
      let shown = bytes.count > 80 ? String(name.prefix(40)) + "..." : name
      throw FeatureModelError(
        .invalidName,
        "'\(shown)' is no valid name for a \(role): letters, digits and underscores, "
          + "not beginning with a digit, at most \(maximumUTF8Count) bytes")
    }
  }

  /// As `validate`, and refuses the names of the system's own columns.
  static func validateColumn(_ name: String, as role: String) throws(FeatureModelError) {
    try validate(name, as: role)
    guard !reserved.contains(name.lowercased()) else {
      throw FeatureModelError(
        .invalidName,
        "'\(name)' is reserved: every offline table has write_time, is_deleted and lsn of its own")
    }
  }

  private static func isLetter(_ byte: UInt8) -> Bool {
    (byte | 0x20) &- UInt8(ascii: "a") < 26 || byte == UInt8(ascii: "_")
  }

  private static func isDigit(_ byte: UInt8) -> Bool { byte &- UInt8(ascii: "0") < 10 }
}

/// The candidate that is nearest to a mistyped name, for error messages.
public enum NearestName {
  /// The candidate within an edit distance of a third of the name's length (at least 2, or 1 for a
  /// name of up to three letters); nil when none is that close.
  public static func find(_ name: String, in candidates: some Sequence<String>) -> String? {
    let limit = name.utf8.count <= 3 ? 1 : max(2, name.utf8.count / 3)
    let nearest =
      candidates
      .map { ($0, distance(Array(name.lowercased().utf8), Array($0.lowercased().utf8))) }
      .min { ($0.1, $0.0) < ($1.1, $1.0) }
    guard let nearest, nearest.1 <= limit else { return nil }
    return nearest.0
  }

  /// Levenshtein's distance.
  private static func distance(_ left: [UInt8], _ right: [UInt8]) -> Int {
    var row = Array(0...right.count)
    for i in left.indices {
      var diagonal = row[0]
      row[0] = i + 1
      for j in right.indices {
        let substitution = diagonal + (left[i] == right[j] ? 0 : 1)
        diagonal = row[j + 1]
        row[j + 1] = min(substitution, row[j] + 1, row[j + 1] + 1)
      }
    }
    return row[right.count]
  }
}
