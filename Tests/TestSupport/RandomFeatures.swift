public import FeatureModel

extension SeededGenerator {
  /// A type, of which lists have elements of any other.
  public mutating func featureType(isKey: Bool = false) -> FeatureType {
    let keys: [FeatureType] = [
      .boolean, .int, .long, .string, .binary, .date, .timestamp, .uuid,
    ]
    if isKey { return keys[below(keys.count)] }
    switch below(12) {
    case 0: return .float
    case 1: return .double
    case 2: return .decimal(precision: 1 + below(38), scale: 0)
    case 3:
      return .list(
        element: keys[below(keys.count)],
        dimension: oneIn(2) ? 1 + below(5) : nil)
    case 4: return .list(element: .float, dimension: oneIn(2) ? 8 : nil)
    default: return keys[below(keys.count)]
    }
  }

  /// A value of a type.
  ///
  /// - Parameter isNarrow: whether it shall be one of a few.
  public mutating func featureValue(
    _ type: FeatureType, isNullable: Bool = true, isNarrow: Bool = false
  ) -> FeatureValue {
    if isNullable, oneIn(5) { return .null }
    switch type {
    case .boolean: return .boolean(oneIn(2))
    case .int: return .int(Int32(truncatingIfNeeded: integer(isNarrow)))
    case .long: return .long(integer(isNarrow))
    case .float:
      return .float(Float(bitPattern: UInt32(truncatingIfNeeded: integer(isNarrow))))
    case .double: return .double(Double(bitPattern: UInt64(bitPattern: integer(isNarrow))))
    case .string:
      let letters = isNarrow ? ["a", "b"] : ["a", "\0", "ü", "\u{1F600}", "z"]
      return .string(
        (0..<below(isNarrow ? 3 : 12)).map { _ in letters[below(letters.count)] }.joined())
    case .binary: return .binary(bytes(below(isNarrow ? 3 : 20), isNarrow))
    case .date: return .date(Int32(truncatingIfNeeded: integer(isNarrow)))
    case .timestamp: return .timestamp(integer(isNarrow))
    case .decimal(let precision, _):
      var limit: Int128 = 1
      for _ in 0..<precision { limit *= 10 }
      return .decimal(unscaled: (Int128(integer(isNarrow)) * Int128(integer(isNarrow))) % limit)
    case .uuid: return .uuid(bytes(16, isNarrow))
    case .list(let element, let dimension):
      let count = dimension ?? below(6)
      return .list(
        (0..<count).map { _ in featureValue(element, isNullable: false, isNarrow: isNarrow) })
    }
  }

  private mutating func integer(_ isNarrow: Bool) -> Int64 {
    let bits = Int64(bitPattern: next())
    return isNarrow ? bits & 3 : bits >> Int64(below(64))
  }

  private mutating func bytes(_ count: Int, _ isNarrow: Bool) -> [UInt8] {
    (0..<count).map { _ in UInt8(below(isNarrow ? 2 : 256)) }
  }
}
