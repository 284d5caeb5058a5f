// Transforms of single values. Arithmetic wraps where Java's does: Int32.min truncated to tens is
// a large positive number, in every implementation.
extension Transform {
  /// The derived value; null (nil) stays null, and `void` makes everything null.
  ///
  /// Throws when the transform is unknown or does not fit the value's type.
  public func apply(_ value: Literal?) throws(IcebergError) -> Literal? {
    guard let value else { return nil }
    let result: Literal? =
      switch self {
      case .void: nil
      case .identity: value
      case .bucket(let count): value.bucketHash.map { .int(Transform.bucket($0, count)) }
      case .truncate(let width): value.truncated(to: width)
      case .year, .month, .day, .hour: value.calendarUnits(self)
      case .unknown: nil
      }
    guard result != nil || self == .void else {
      throw IcebergError(.invalidArgument, "'\(self)' cannot be applied to '\(value)'")
    }
    return result
  }

  @inline(__always) static func bucket(_ hash: Int32, _ count: Int32) -> Int32 {
    (hash & Int32.max) % count
  }

  /// The largest multiple of the width that is not above the value, wrapping at the type's end.
  @inline(__always) static func truncate<Number: FixedWidthInteger>(
    _ value: Number, _ width: Number
  ) -> Number {
    value &- (((value % width) &+ width) % width)
  }

  /// Years, months or days since 1970 of a number of days.
  @inline(__always) func units(ofDays days: Int64) -> Int32 {
    switch self {
    case .year: return Int32(truncatingIfNeeded: CivilTime.civil(days).year - 1970)
    case .month:
      let (year, month, _) = CivilTime.civil(days)
      return Int32(truncatingIfNeeded: (year - 1970) * 12 + month - 1)
    default: return Int32(truncatingIfNeeded: days)
    }
  }

  /// Years, months, days or hours since 1970 of a timestamp in so many units a second.
  @inline(__always) func units(ofTimestamp value: Int64, perSecond: Int64) -> Int32 {
    if self == .hour {
      return Int32(truncatingIfNeeded: CivilTime.flooredQuotient(value, 3_600 * perSecond).0)
    }
    return units(ofDays: CivilTime.flooredQuotient(value, 86_400 * perSecond).0)
  }
}

extension Literal {
  /// The hash that the specification defines for the value; nil for types that are not bucketed,
  /// although it defines hashes for some of them.
  var bucketHash: Int32? {
    switch self {
    case .int(let value), .date(let value): Murmur3.hash(Int64(value))
    case .long(let value), .time(let value), .timestamp(let value), .timestamptz(let value):
      Murmur3.hash(value)
    case .timestampNs(let value), .timestamptzNs(let value):
      // Nanoseconds hash as their microseconds, so that a promotion keeps buckets.
      Murmur3.hash(CivilTime.flooredQuotient(value, 1_000).0)
    case .decimal, .string, .uuid, .fixed, .binary: Murmur3.hash(boundBytes.span)
    case .boolean, .float, .double: nil
    }
  }

  fileprivate func truncated(to width: Int32) -> Literal? {
    switch self {
    case .int(let value): .int(Transform.truncate(value, width))
    case .long(let value): .long(Transform.truncate(value, Int64(width)))
    case .decimal(let unscaled, let scale):
      .decimal(unscaled: Transform.truncate(unscaled, Int128(width)), scale: scale)
    case .string(let text):
      .string(String(text.unicodeScalars.prefix(Int(width))))
    case .binary(let bytes): .binary(Array(bytes.prefix(Int(width))))
    default: nil
    }
  }

  fileprivate func calendarUnits(_ transform: Transform) -> Literal? {
    let units: Int32
    switch self {
    case .date(let days):
      guard transform != .hour else { return nil }
      units = transform.units(ofDays: Int64(days))
    case .timestamp(let value), .timestamptz(let value):
      units = transform.units(ofTimestamp: value, perSecond: 1_000_000)
    case .timestampNs(let value), .timestamptzNs(let value):
      units = transform.units(ofTimestamp: value, perSecond: 1_000_000_000)
    default: return nil
    }
    return transform == .day ? .date(units) : .int(units)
  }
}
