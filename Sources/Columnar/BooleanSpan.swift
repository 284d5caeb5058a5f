/// The values of a boolean column, one bit each.
public struct BooleanSpan: ~Escapable {
  @usableFromInline let bytes: RawSpan
  @usableFromInline let offset: Int
  public let count: Int

  @_lifetime(copy bytes)
  init(bytes: RawSpan, offset: Int, count: Int) {
    self.bytes = bytes
    self.offset = offset
    self.count = count
  }

  /// Of no values.
  public static var empty: BooleanSpan {
    @_lifetime(immortal)
    get { BooleanSpan(bytes: RawSpan(), offset: 0, count: 0) }
  }

  @inlinable public subscript(index: Int) -> Bool {
    precondition(index >= 0 && index < count, "a column has as many values as it says")
    return Bitmap.isSet(bytes, offset + index)
  }

  /// How many are true.
  public var trueCount: Int { Bitmap.countOnes(bytes, offset: offset, count: count) }
}
