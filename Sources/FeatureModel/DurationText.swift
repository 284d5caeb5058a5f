/// Lengths of time as people write them: `90s`, `15m`, `6h`, `7d`, `250ms`, `10us`.
public enum DurationText {
  private static let units: [(name: String, microseconds: Int64)] = [
    ("ms", 1_000), ("us", 1), ("d", 86_400_000_000), ("h", 3_600_000_000), ("m", 60_000_000),
    ("s", 1_000_000),
  ]

  /// Microseconds; nil for what is no length of time, or beyond 64 bits. Zero needs no unit.
  public static func microseconds(_ text: String) -> Int64? {
    for (unit, factor) in units where text.hasSuffix(unit) {
      guard let number = Int64(text.dropLast(unit.count)), number >= 0 else { continue }
      let (result, overflow) = number.multipliedReportingOverflow(by: factor)
      return overflow ? nil : result
    }
    return text == "0" ? 0 : nil
  }

  /// The same length in the greatest unit that says it exactly.
  public static func text(_ microseconds: Int64) -> String {
    let descending = units.sorted { $0.microseconds > $1.microseconds }
    for (unit, factor) in descending where microseconds % factor == 0 {
      return "\(microseconds / factor)\(unit)"
    }
    return "\(microseconds)us"
  }
}

extension TimeToLive: CustomStringConvertible {
  /// `infinite`, or a length of time.
  public init?(parsing text: String) {
    if text == "infinite" {
      self = .infinite
    } else if let length = DurationText.microseconds(text) {
      self = .microseconds(length)
    } else {
      return nil
    }
  }

  public var description: String {
    switch self {
    case .infinite: "infinite"
    case .microseconds(let length): DurationText.text(length)
    }
  }
}

extension TimeToLive: Comparable {
  public static func < (left: TimeToLive, right: TimeToLive) -> Bool {
    switch (left, right) {
    case (.microseconds(let left), .microseconds(let right)): left < right
    case (.microseconds, .infinite): true
    case (.infinite, _): false
    }
  }
}
