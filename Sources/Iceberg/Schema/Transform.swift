/// How a partition value or a sort key is derived from a column's value.
///
/// Every transform of null is null.
public enum Transform: Hashable, Sendable {
  case identity
  /// The value's hash modulo a number of buckets.
  case bucket(Int32)
  /// Numbers down to a multiple of the width, texts to so many code points, binaries to bytes.
  case truncate(Int32)
  case year
  case month
  case day
  case hour
  /// Always null: what is left of a dropped partition field.
  case void
  /// A transform that we do not know: read and kept, never written with, never used for pruning.
  case unknown(String)
}

extension Transform {
  /// A transform from its text in metadata; text that nobody knows becomes `unknown`.
  public init(text: String) {
    switch text.lowercased() {
    case "identity": self = .identity
    case "year", "years": self = .year
    case "month", "months": self = .month
    case "day", "days": self = .day
    case "hour", "hours": self = .hour
    case "void": self = .void
    case let lowered:
      if let width = lowered.between("bucket[", "]").flatMap({ Int32($0) }), width > 0 {
        self = .bucket(width)
      } else if let width = lowered.between("truncate[", "]").flatMap({ Int32($0) }), width > 0 {
        self = .truncate(width)
      } else {
        self = .unknown(text)
      }
    }
  }

  public var text: String {
    switch self {
    case .identity: "identity"
    case .bucket(let count): "bucket[\(count)]"
    case .truncate(let width): "truncate[\(width)]"
    case .year: "year"
    case .month: "month"
    case .day: "day"
    case .hour: "hour"
    case .void: "void"
    case .unknown(let text): text
    }
  }

  /// The type of the derived value; nil when the transform is unknown or does not fit the source.
  public func resultType(of source: IcebergType) -> IcebergType? {
    switch self {
    case .identity: source.isPrimitive && source != .unknown ? source : nil
    case .void: source
    case .bucket: Transform.canBucket(source) ? .int : nil
    case .truncate: Transform.canTruncate(source) ? source : nil
    case .year, .month: Transform.hasDate(source) ? .int : nil
    case .day: Transform.hasDate(source) ? .date : nil
    case .hour: Transform.hasDate(source) && source != .date ? .int : nil
    case .unknown: nil
    }
  }

  private static func canBucket(_ type: IcebergType) -> Bool {
    switch type {
    case .boolean, .float, .double, .unknown, .structure, .list, .map: false
    default: true
    }
  }

  private static func canTruncate(_ type: IcebergType) -> Bool {
    switch type {
    case .int, .long, .decimal, .string, .binary: true
    default: false
    }
  }

  private static func hasDate(_ type: IcebergType) -> Bool {
    switch type {
    case .date, .timestamp, .timestamptz, .timestampNs, .timestamptzNs: true
    default: false
    }
  }

  /// The name that Java gives a partition field of the column `source`.
  public func defaultFieldName(source: String) -> String {
    switch self {
    case .identity: source
    case .bucket: source + "_bucket"
    case .truncate: source + "_trunc"
    case .year: source + "_year"
    case .month: source + "_month"
    case .day: source + "_day"
    case .hour: source + "_hour"
    case .void: source + "_null"
    case .unknown: source + "_unknown"
    }
  }
}

extension Transform: CustomStringConvertible {
  public var description: String { text }
}
