/// A column of values in Arrow's layout: a type, a number of values, which of them are null, and
/// buffers that may be shared with other columns (slices copy nothing).
///
/// Buffers by type: fixed-width types have the values; boolean the values' bits; string and binary
/// the offsets (`Int32`, one more than values) and the bytes; list and map the offsets; structure none.
public struct Column: Sendable {
  public let type: DataType
  /// The number of values.
  public let count: Int
  /// The index in the buffers of the first value.
  public let offset: Int
  /// One bit a value, 1 for present; nil when no value is null.
  public let validity: Buffer?
  public let nullCount: Int
  public let buffers: [Buffer]
  public let children: [Column]

  /// Checks that the buffers are large enough for `offset + count` values; offsets of strings and
  /// lists are the producer's promise (`validateOffsets` checks them).
  ///
  /// - Precondition: sizes fit. Data from outside goes through FileFormats, which validates first.
  public init(
    type: DataType, count: Int, offset: Int = 0, validity: Buffer? = nil, nullCount: Int? = nil,
    buffers: [Buffer], children: [Column] = []
  ) {
    precondition(count >= 0 && offset >= 0, "a column has no negative size")
    let end = offset + count
    switch type {
    case .boolean: precondition(buffers.count == 1 && buffers[0].count * 8 >= end)
    case .string, .binary:
      precondition(buffers.count == 2 && (end == 0 || buffers[0].count >= (end + 1) * 4))
    case .list(let element):
      precondition(buffers.count == 1 && (end == 0 || buffers[0].count >= (end + 1) * 4))
      precondition(children.count == 1 && children[0].type == element.type)
    case .map(_, _):
      precondition(buffers.count == 1 && (end == 0 || buffers[0].count >= (end + 1) * 4))
      precondition(children.count == 1)
    case .structure(let fields):
      precondition(buffers.isEmpty && children.count == fields.count)
      precondition(children.allSatisfy { $0.count >= end })
    default:
      precondition(buffers.count == 1 && buffers[0].count >= end * (type.byteWidth ?? 0))
    }
    if let validity { precondition(validity.count * 8 >= end) }
    self.type = type
    self.count = count
    self.offset = offset
    self.buffers = buffers
    self.children = children
    let nulls =
      nullCount
      ?? validity.map { count - Bitmap.countOnes($0.bytes, offset: offset, count: count) } ?? 0
    self.nullCount = nulls
    self.validity = nulls == 0 ? nil : validity
  }

  /// The values from `range`, sharing the buffers; constant time but for counting nulls.
  public func slice(_ range: Range<Int>) -> Column {
    precondition(range.lowerBound >= 0 && range.upperBound <= count, "slice out of bounds")
    return Column(
      type: type, count: range.count, offset: offset + range.lowerBound, validity: validity,
      buffers: buffers, children: children)
  }

  /// Whether the value at `index` is null.
  @inlinable public func isNull(_ index: Int) -> Bool {
    guard let validity else { return false }
    return !Bitmap.isSet(validity.bytes, offset + index)
  }
}

// Typed views: one type check a column, then plain memory.
extension Column {
  /// The values of a fixed-width type as `Element`, nulls included (their content means nothing).
  ///
  /// - Precondition: `Element` has the width of the column's type (`Int128` for decimals).
  @_lifetime(borrow self)
  public func values<Element: BitwiseCopyable>(as _: Element.Type) -> Span<Element> {
    precondition(type.byteWidth == MemoryLayout<Element>.stride, "\(type) has another width")
    return elements(of: buffers[0], from: offset, count: count)
  }

  /// The `count + 1` offsets of a string, binary, list or map column; empty for an empty column.
  public var offsets: Span<Int32> {
    @_lifetime(borrow self)
    get {
      switch type {
      case .string, .binary, .list, .map:
        return elements(of: buffers[0], from: offset, count: count == 0 ? 0 : count + 1)
      default: preconditionFailure("\(type) has no offsets")
      }
    }
  }

  /// The bytes that `offsets` of a string or binary column point into, or all the values of a
  /// fixed-size binary column, `width` bytes each.
  public var bytes: RawSpan {
    @_lifetime(borrow self)
    get {
      switch type {
      case .string, .binary:
        return unsafe _overrideLifetime(buffers[1].unownedBytes, borrowing: self)
      case .fixedSizeBinary(let width):
        let span = unsafe buffers[0].unownedBytes
          .extracting((offset * width)..<((offset + count) * width))
        return unsafe _overrideLifetime(span, borrowing: self)
      default: preconditionFailure("\(type) has no bytes")
      }
    }
  }

  /// The bytes of one string or binary value.
  @_lifetime(borrow self)
  public func bytes(at index: Int) -> RawSpan {
    if case .fixedSizeBinary(let width) = type {
      let first = (offset + index) * width
      let span = unsafe buffers[0].unownedBytes.extracting(first..<(first + width))
      return unsafe _overrideLifetime(span, borrowing: self)
    }
    let offsets = offsets
    let span = unsafe buffers[1].unownedBytes
      .extracting(Int(offsets[index])..<Int(offsets[index + 1]))
    return unsafe _overrideLifetime(span, borrowing: self)
  }

  /// One string value; an allocation for longer ones, so not for hot loops.
  public func string(at index: Int) -> String {
    let bytes = bytes(at: index)
    return unsafe bytes.withUnsafeBytes { unsafe String(decoding: $0, as: UTF8.self) }
  }

  /// The values of a boolean column, nulls included (their content means nothing).
  public var booleans: BooleanSpan {
    @_lifetime(borrow self)
    get {
      precondition(type == .boolean, "\(type) is no boolean")
      let bits = BooleanSpan(bytes: unsafe buffers[0].unownedBytes, offset: offset, count: count)
      return unsafe _overrideLifetime(bits, borrowing: self)
    }
  }

  /// One boolean value; for many there is `booleans`.
  public func boolean(at index: Int) -> Bool {
    precondition(type == .boolean, "\(type) is no boolean")
    let values = buffers[0]
    return Bitmap.isSet(values.bytes, offset + index)
  }

  @_lifetime(borrow self)
  private func elements<Element: BitwiseCopyable>(
    of buffer: Buffer, from first: Int, count: Int
  ) -> Span<Element> {
    let stride = MemoryLayout<Element>.stride
    let bytes = unsafe buffer.unownedBytes
      .extracting((first * stride)..<((first + count) * stride))
    let span = Span<Element>(_bytes: bytes)
    return unsafe _overrideLifetime(span, borrowing: self)
  }

  /// Whether every offset lies within what it points into and none goes backwards, here and in the
  /// children: what a producer that is not trusted must pass before its values are read.
  public func validateOffsets() -> Bool {
    switch type {
    case .string, .binary: return offsetsAreValid(limit: buffers[1].count)
    case .list, .map:
      return offsetsAreValid(limit: children[0].count) && children[0].validateOffsets()
    case .structure: return children.allSatisfy { $0.validateOffsets() }
    default: return true
    }
  }

  private func offsetsAreValid(limit: Int) -> Bool {
    let offsets = offsets
    guard offsets.count > 0 else { return true }
    var previous = offsets[0]
    guard previous >= 0 else { return false }
    for index in 1..<offsets.count {
      guard offsets[index] >= previous else { return false }
      previous = offsets[index]
    }
    return Int(previous) <= limit
  }
}
