/// One typed value: a bound, a value of a partition tuple, an operand of a filter.
///
/// Equality and hashing are by representation: texts by their UTF-8 bytes (Swift's own equality of
/// strings would merge different ones), all NaNs equal, and -0.0 differs from 0.0.
public enum Literal: Sendable {
  case boolean(Bool)
  case int(Int32)
  case long(Int64)
  case float(Float)
  case double(Double)
  case decimal(unscaled: Int128, scale: Int)
  /// Days since 1970-01-01.
  case date(Int32)
  /// Microseconds since midnight.
  case time(Int64)
  /// Microseconds since 1970-01-01T00:00:00.
  case timestamp(Int64)
  case timestamptz(Int64)
  /// Nanoseconds since 1970-01-01T00:00:00.
  case timestampNs(Int64)
  case timestamptzNs(Int64)
  case string(String)
  /// The sixteen bytes read as a big-endian number.
  case uuid(UInt128)
  case fixed([UInt8])
  case binary([UInt8])
}

extension Literal {
  /// Whether this is a floating-point NaN, which never is a bound.
  public var isNaN: Bool {
    switch self {
    case .float(let value): value.isNaN
    case .double(let value): value.isNaN
    default: false
    }
  }

  /// Whether the value is one of a column of `type`.
  public func fits(_ type: IcebergType) -> Bool {
    switch (self, type) {
    case (.boolean, .boolean), (.int, .int), (.long, .long), (.float, .float), (.double, .double),
      (.date, .date), (.time, .time), (.timestamp, .timestamp), (.timestamptz, .timestamptz),
      (.timestampNs, .timestampNs), (.timestamptzNs, .timestamptzNs), (.string, .string),
      (.uuid, .uuid), (.binary, .binary):
      true
    case (.fixed(let bytes), .fixed(let length)): bytes.count == length
    case (.decimal(_, let scale), .decimal(_, let typeScale)): scale == typeScale
    default: false
    }
  }

  /// The value as one of a wider type (int to long, float to double, date to timestamp); itself
  /// when it already fits; nil where the specification allows no such promotion.
  public func promoted(to type: IcebergType) -> Literal? {
    switch (self, type) {
    case (.int(let value), .long): .long(Int64(value))
    case (.float(let value), .double): .double(Double(value))
    case (.int(let value), .date): .date(value)
    case (.date(let days), .timestamp): .timestamp(Int64(days) * 86_400_000_000)
    case (.date(let days), .timestampNs):
      {
        let (nanoseconds, overflow) = Int64(days).multipliedReportingOverflow(
          by: 86_400_000_000_000)
        return overflow ? nil : .timestampNs(nanoseconds)
      }()
    default: fits(type) ? self : nil
    }
  }
}

// The order of values of one type, as the specification has it.
extension Literal {
  /// Whether this comes before `other`, which must be of the same type; values of different types
  /// are ordered by type, so that sorting anything is safe.
  ///
  /// Floats: -NaN, -infinity, ..., -0, 0, ..., infinity, NaN. Texts and bytes: by unsigned bytes,
  /// which for UTF-8 is the order of code points.
  public func precedes(_ other: Literal) -> Bool {
    switch (self, other) {
    case (.boolean(let left), .boolean(let right)): !left && right
    case (.int(let left), .int(let right)), (.date(let left), .date(let right)): left < right
    case (.long(let left), .long(let right)), (.time(let left), .time(let right)),
      (.timestamp(let left), .timestamp(let right)),
      (.timestamptz(let left), .timestamptz(let right)),
      (.timestampNs(let left), .timestampNs(let right)),
      (.timestamptzNs(let left), .timestamptzNs(let right)):
      left < right
    case (.float(let left), .float(let right)): left.totalOrderKey < right.totalOrderKey
    case (.double(let left), .double(let right)): left.totalOrderKey < right.totalOrderKey
    case (.decimal(let left, let leftScale), .decimal(let right, let rightScale)):
      leftScale == rightScale
        ? left < right : Literal.decimalPrecedes(left, leftScale, right, rightScale)
    case (.string(let left), .string(let right)): left.utf8.lexicographicallyPrecedes(right.utf8)
    case (.uuid(let left), .uuid(let right)): left < right
    case (.fixed(let left), .fixed(let right)), (.binary(let left), .binary(let right)):
      left.lexicographicallyPrecedes(right)
    default: typeRank < other.typeRank
    }
  }

  /// Compares decimals of different scale: whole parts first, then fractions as so many digits.
  private static func decimalPrecedes(
    _ left: Int128, _ leftScale: Int, _ right: Int128, _ rightScale: Int
  ) -> Bool {
    let leftPower = powerOfTen(leftScale)
    let rightPower = powerOfTen(rightScale)
    let leftParts = left.flooredQuotient(leftPower)
    let rightParts = right.flooredQuotient(rightPower)
    if leftParts.quotient != rightParts.quotient {
      return leftParts.quotient < rightParts.quotient
    }
    // Fractions have fewer digits than their scale, so their products fit in 256 bits.
    let leftProduct = leftParts.remainder.multipliedFullWidth(by: rightPower)
    let rightProduct = rightParts.remainder.multipliedFullWidth(by: leftPower)
    return (leftProduct.high, leftProduct.low) < (rightProduct.high, rightProduct.low)
  }

  /// 10 to the power of a scale between 0 and 38.
  static func powerOfTen(_ exponent: Int) -> Int128 {
    var power: Int128 = 1
    for _ in 0..<min(max(exponent, 0), 38) { power *= 10 }
    return power
  }

  private var typeRank: Int {
    switch self {
    case .boolean: 0
    case .int: 1
    case .long: 2
    case .float: 3
    case .double: 4
    case .decimal: 5
    case .date: 6
    case .time: 7
    case .timestamp: 8
    case .timestamptz: 9
    case .timestampNs: 10
    case .timestamptzNs: 11
    case .string: 12
    case .uuid: 13
    case .fixed: 14
    case .binary: 15
    }
  }
}

extension Literal: Comparable {
  public static func < (left: Literal, right: Literal) -> Bool { left.precedes(right) }

  public static func == (left: Literal, right: Literal) -> Bool {
    switch (left, right) {
    case (.float(let left), .float(let right)):
      left.bitPattern == right.bitPattern || (left.isNaN && right.isNaN)
    case (.double(let left), .double(let right)):
      left.bitPattern == right.bitPattern || (left.isNaN && right.isNaN)
    case (.decimal(let left, let leftScale), .decimal(let right, let rightScale)):
      left == right && leftScale == rightScale
    case (.string(let left), .string(let right)): left.utf8.elementsEqual(right.utf8)
    case (.uuid(let left), .uuid(let right)): left == right
    default:
      left.typeRank == right.typeRank && !left.precedes(right) && !right.precedes(left)
    }
  }
}

extension Literal: Hashable {
  public func hash(into hasher: inout Hasher) {
    hasher.combine(typeRank)
    switch self {
    case .boolean(let value): hasher.combine(value)
    case .int(let value), .date(let value): hasher.combine(value)
    case .long(let value), .time(let value), .timestamp(let value), .timestamptz(let value),
      .timestampNs(let value), .timestamptzNs(let value):
      hasher.combine(value)
    case .float(let value): hasher.combine(value.isNaN ? 0x7fc0_0000 : value.bitPattern)
    case .double(let value):
      hasher.combine(value.isNaN ? 0x7ff8_0000_0000_0000 : value.bitPattern)
    case .decimal(let unscaled, let scale):
      hasher.combine(unscaled)
      hasher.combine(scale)
    case .string(let value): for byte in value.utf8 { hasher.combine(byte) }
    case .uuid(let value): hasher.combine(value)
    case .fixed(let bytes), .binary(let bytes): hasher.combine(bytes)
    }
  }
}

extension Float {
  /// An integer whose order is the specification's order of floats.
  @inline(__always) var totalOrderKey: Int32 {
    let bits = Int32(bitPattern: bitPattern)
    return bits < 0 ? bits ^ Int32.max : bits
  }
}

extension Double {
  @inline(__always) var totalOrderKey: Int64 {
    let bits = Int64(bitPattern: bitPattern)
    return bits < 0 ? bits ^ Int64.max : bits
  }
}

extension Int128 {
  /// The quotient rounded down, and the remainder, never negative.
  func flooredQuotient(_ divisor: Int128) -> (quotient: Int128, remainder: Int128) {
    let (quotient, remainder) = quotientAndRemainder(dividingBy: divisor)
    return remainder < 0 ? (quotient - 1, remainder + divisor) : (quotient, remainder)
  }
}
