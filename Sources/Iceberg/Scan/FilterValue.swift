/// An operand of a filter in the type of the column that it is compared with.
///
/// Numbers are converted as the reference implementation does: to the nearest floating-point number, to
/// decimals rounded half up, and what lies beyond all values of the column decides the comparison. Texts
/// are read as dates, times, UUIDs and decimals.
enum FilterValue: Equatable {
  case value(Literal)
  /// Greater than every value of the column but infinity and NaN.
  case above
  /// Less than every value of the column but negative infinity.
  case below

  /// - Throws: `invalidArgument` for a value that no value of the column can be compared with.
  init(_ value: Literal, _ field: NestedField) throws(IcebergError) {
    guard let converted = FilterValue.converted(value, field.type) else {
      throw IcebergError(
        .invalidArgument, "'\(field.name)' of type \(field.type) cannot be compared with \(value)")
    }
    if case .value(let literal) = converted {
      self = .value(literal.withPositiveZero)
    } else {
      self = converted
    }
  }

  private static func converted(_ value: Literal, _ type: IcebergType) -> FilterValue? {
    if let promoted = value.promoted(to: type) { return .value(promoted) }
    switch (value, type) {
    case (.long(let wide), .int): return narrowed(wide) { .int($0) }
    case (.long(let wide), .date): return narrowed(wide) { .date($0) }
    case (.long(let number), .time): return .value(.time(number))
    case (.long(let number), .timestamp): return .value(.timestamp(number))
    case (.long(let number), .timestamptz): return .value(.timestamptz(number))
    case (.long(let number), .timestampNs): return .value(.timestampNs(number))
    case (.long(let number), .timestamptzNs): return .value(.timestamptzNs(number))
    case (.timestamp(let number), .timestampNs): return scaled(number) { .timestampNs($0) }
    case (.timestamptz(let number), .timestamptzNs): return scaled(number) { .timestamptzNs($0) }
    case (.int(let whole), .float): return .value(.float(Float(whole)))
    case (.int(let whole), .double): return .value(.double(Double(whole)))
    case (.long(let whole), .float): return .value(.float(Float(whole)))
    case (.long(let whole), .double): return .value(.double(Double(whole)))
    case (.double(let wide), .float):
      let narrow = Float(wide)
      guard narrow.isInfinite, wide.isFinite else { return .value(.float(narrow)) }
      return wide > 0 ? .above : .below
    case (.int(let whole), .decimal(_, let scale)): return decimal(Int128(whole), 0, scale)
    case (.long(let whole), .decimal(_, let scale)): return decimal(Int128(whole), 0, scale)
    case (.decimal(let unscaled, let own), .decimal(_, let scale)):
      return own <= scale ? decimal(unscaled, own, scale) : nil
    case (.float(let number), .decimal(_, let scale)): return decimal(number.description, scale)
    case (.double(let number), .decimal(_, let scale)): return decimal(number.description, scale)
    case (.string, .date), (.string, .time), (.string, .timestamp), (.string, .timestamptz),
      (.string, .timestampNs), (.string, .timestamptzNs), (.string, .uuid), (.string, .decimal):
      do { return .value(try Literal(json: value.json, type: type)) } catch { return nil }
    default: return nil
    }
  }

  private static func narrowed(_ wide: Int64, _ make: (Int32) -> Literal) -> FilterValue {
    Int32(exactly: wide).map { .value(make($0)) } ?? (wide > 0 ? .above : .below)
  }

  private static func scaled(_ microseconds: Int64, _ make: (Int64) -> Literal) -> FilterValue {
    let (nanoseconds, overflow) = microseconds.multipliedReportingOverflow(by: 1000)
    return overflow ? (microseconds > 0 ? .above : .below) : .value(make(nanoseconds))
  }

  /// A decimal with more digits behind the point.
  private static func decimal(_ unscaled: Int128, _ own: Int, _ scale: Int) -> FilterValue {
    let (value, overflow) = unscaled.multipliedReportingOverflow(
      by: Literal.powerOfTen(scale - own))
    if overflow { return unscaled > 0 ? .above : .below }
    return .value(.decimal(unscaled: value, scale: scale))
  }

  /// A decimal from the shortest text of a floating-point number, rounded half up (away from zero).
  private static func decimal(_ text: String, _ scale: Int) -> FilterValue? {
    let isNegative = text.hasPrefix("-")
    let parts = text.lowercased().drop { $0 == "-" }
      .split(separator: "e", omittingEmptySubsequences: false)
    let digits = (parts.first ?? "").filter { $0 != "." }
    guard !digits.isEmpty, digits.allSatisfy({ $0.isASCII && $0.isNumber }),
      let significand = Int128(digits),
      let exponent = parts.count == 2 ? Int(parts[1]) : 0
    else { return nil }
    let point =
      (parts[0].firstIndex(of: ".").map { parts[0].distance(from: $0, to: parts[0].endIndex) - 1 })
      ?? 0
    // The value is significand * 10^shift, in units of the column's last digit.
    let shift = exponent - point + scale
    if significand == 0 || shift < -40 { return .value(.decimal(unscaled: 0, scale: scale)) }
    guard shift <= 38 else { return isNegative ? .below : .above }
    if shift >= 0 {
      let (value, overflow) = significand.multipliedReportingOverflow(
        by: Literal.powerOfTen(shift))
      if overflow { return isNegative ? .below : .above }
      return .value(.decimal(unscaled: isNegative ? -value : value, scale: scale))
    }
    let power = Literal.powerOfTen(min(-shift, 38))
    let (quotient, remainder) = significand.quotientAndRemainder(dividingBy: power)
    let rounded = quotient + (remainder >= power - remainder ? 1 : 0)
    return .value(.decimal(unscaled: isNegative ? -rounded : rounded, scale: scale))
  }
}

extension FilterValue {
  /// The comparison of a column with the value. One that all values pass leaves out nulls, of which
  /// nothing is known.
  func compared(
    _ comparison: FilterExpression.Comparison, with field: NestedField
  ) -> BoundExpression {
    func test(_ test: BoundPredicate.Test) -> BoundExpression {
      .predicate(BoundPredicate(field, test))
    }
    if case .value(let value) = self { return test(.compare(comparison, value)) }
    let isAbove = self == .above
    switch comparison {
    case .equal: return .constant(false)
    case .notEqual: return test(.isNotNull)
    case .less, .lessOrEqual:
      if field.type == .float {
        return test(
          isAbove ? .compare(.less, .float(.infinity)) : .compare(.lessOrEqual, .float(-.infinity)))
      }
      return isAbove ? test(.isNotNull) : .constant(false)
    case .greaterOrEqual, .greater:
      if field.type == .float {
        return test(
          isAbove
            ? .compare(.greaterOrEqual, .float(.infinity)) : .compare(.greater, .float(-.infinity)))
      }
      return isAbove ? .constant(false) : test(.isNotNull)
    }
  }
}
