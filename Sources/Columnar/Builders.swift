/// Builds a column of a fixed-width type, value by value.
public struct FixedWidthBuilder<Element: BitwiseCopyable & Sendable>: Sendable {
  public let type: DataType
  private let zero: Element
  private var values: [Element] = []
  private var present = BitmapBuilder()

  /// - Parameter zero: what stands in the place of a null.
  /// - Precondition: `Element` has the width of `type`.
  public init(_ type: DataType, zero: Element) {
    precondition(type.byteWidth == MemoryLayout<Element>.stride, "\(type) has another width")
    self.type = type
    self.zero = zero
  }

  public var count: Int { values.count }

  public mutating func reserveCapacity(_ count: Int) {
    values.reserveCapacity(count)
    present.reserveCapacity(count)
  }

  @inline(__always) public mutating func append(_ value: Element) {
    values.append(value)
    present.append(true)
  }

  @inline(__always) public mutating func appendNull() {
    values.append(zero)
    present.append(false)
  }

  /// The column of all that was appended; the builder is empty again.
  public mutating func finish() -> Column {
    defer {
      values.removeAll(keepingCapacity: true)
      present = BitmapBuilder()
    }
    return Column(
      type: type, count: values.count, validity: present.validity(),
      nullCount: present.count - present.onesCount, buffers: [Buffer(copying: values)])
  }
}

/// Builds a boolean column.
public struct BooleanBuilder: Sendable {
  private var values = BitmapBuilder()
  private var present = BitmapBuilder()

  public init() {}

  public var count: Int { values.count }

  public mutating func append(_ value: Bool) {
    values.append(value)
    present.append(true)
  }

  public mutating func appendNull() {
    values.append(false)
    present.append(false)
  }

  public mutating func finish() -> Column {
    defer { self = BooleanBuilder() }
    return Column(
      type: .boolean, count: values.count, validity: present.validity(),
      nullCount: present.count - present.onesCount, buffers: [values.buffer()])
  }
}

/// Builds a string, binary or fixed-size binary column.
public struct BytesBuilder: Sendable {
  public let type: DataType
  private let width: Int?
  private var bytes: [UInt8] = []
  private var offsets: [Int32] = [0]
  private var present = BitmapBuilder()

  public init(_ type: DataType) {
    switch type {
    case .string, .binary: width = nil
    case .fixedSizeBinary(let width): self.width = width
    default: preconditionFailure("\(type) is not made of bytes")
    }
    self.type = type
  }

  public var count: Int { present.count }

  /// Bytes appended so far; a column holds at most 2^31 - 1, so callers cut batches before that.
  public var byteCount: Int { bytes.count }

  /// - Precondition: a fixed-size value has the type's width; all values together stay below 2 GiB.
  public mutating func append(_ value: RawSpan) {
    unsafe value.withUnsafeBytes { unsafe append($0) }
  }

  public mutating func append(_ value: String) {
    var value = value
    value.withUTF8 { unsafe append(UnsafeRawBufferPointer($0)) }
  }

  public mutating func append(_ value: [UInt8]) {
    unsafe value.withUnsafeBytes { unsafe append($0) }
  }

  public mutating func append(_ value: UnsafeRawBufferPointer) {
    precondition(width == nil || width == value.count, "a value of another width")
    unsafe bytes.append(contentsOf: value)
    close(true)
  }

  public mutating func appendNull() {
    if let width { bytes.append(contentsOf: repeatElement(0, count: width)) }
    close(false)
  }

  private mutating func close(_ isPresent: Bool) {
    if width == nil { offsets.append(Int32(bytes.count)) }
    present.append(isPresent)
  }

  public mutating func finish() -> Column {
    defer {
      bytes.removeAll(keepingCapacity: true)
      offsets = [0]
      present = BitmapBuilder()
    }
    let values = Buffer(copying: bytes)
    return Column(
      type: type, count: present.count, validity: present.validity(),
      nullCount: present.count - present.onesCount,
      buffers: width == nil ? [Buffer(copying: offsets), values] : [values])
  }
}
