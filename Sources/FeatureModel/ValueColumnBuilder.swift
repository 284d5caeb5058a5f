public import Columnar

/// Builds the column of a feature or an identifier from values as the codecs store them, or from
/// `FeatureValue`s.
public struct ValueColumnBuilder: Sendable {
  public let type: FeatureType
  /// Fixed-width values one behind the other, or the bytes of strings.
  private var bytes: [UInt8] = []
  /// Boolean values.
  private var bits = BitmapBuilder()
  /// Ends of strings and lists.
  private var offsets: [Int32] = [0]
  private var present = BitmapBuilder()
  /// The builder of a list's elements: none or one.
  private var elements: [ValueColumnBuilder]

  public init(_ type: FeatureType) {
    self.type = type
    if case .list(let element, _) = type {
      elements = [ValueColumnBuilder(element)]
    } else {
      elements = []
    }
  }

  public var count: Int { present.count }

  public mutating func appendNull() {
    switch type {
    case .boolean: bits.append(false)
    case .string, .binary, .list: offsets.append(offsets[offsets.count - 1])
    default: bytes.append(contentsOf: repeatElement(0, count: type.slotWidth))
    }
    present.append(false)
  }

  /// Appends the fixed-width value in a slot, or the variable-length one that it points to.
  mutating func append(_ row: RawSpan, slot: Int) throws(FeatureModelError) {
    if type.isVariableLength {
      try append(try RowCodec.variable(row, slot))
    } else {
      guard let value = row.part(at: slot, count: type.slotWidth) else {
        throw RowCodec.malformed("a value lies beyond the end")
      }
      appendFixed(value)
    }
  }

  /// Appends a value of variable length as the codecs store it.
  mutating func append(_ value: RawSpan) throws(FeatureModelError) {
    guard case .list(let element, _) = type else {
      try appendBytes(value)
      return
    }
    if element.isVariableLength {
      try RowCodec.forEachVariableElement(value) { part throws(FeatureModelError) in
        try elements[0].append(part)
      }
    } else {
      let width = element.slotWidth
      guard value.byteCount % width == 0 else { throw RowCodec.malformed("half an element") }
      for offset in stride(from: 0, to: value.byteCount, by: width) {
        elements[0].appendFixed(value.extracting(offset..<(offset + width)))
      }
    }
    closeList()
  }

  /// Appends a value; throws `.invalidValue` when it is of another type, or a list that has another
  /// number of elements than the type's dimension, or a null among them.
  public mutating func append(_ value: FeatureValue) throws(FeatureModelError) {
    switch (type, value) {
    case (_, .null): appendNull()
    case (.boolean, .boolean(let value)):
      bits.append(value)
      present.append(true)
    case (.int, .int(let value)), (.date, .date(let value)): appendBits(value)
    case (.long, .long(let value)), (.timestamp, .timestamp(let value)): appendBits(value)
    case (.float, .float(let value)): appendBits(value)
    case (.double, .double(let value)): appendBits(value)
    case (.decimal(let precision, _), .decimal(let unscaled)):
      guard unscaled.magnitude < FeatureType.powerOfTen(precision) else {
        throw FeatureModelError(.invalidValue, "\(unscaled) (unscaled) does not fit \(type)")
      }
      appendBits(unscaled)
    case (.uuid, .uuid(let value)):
      guard value.count == 16 else {
        throw FeatureModelError(.invalidValue, "a uuid has 16 bytes, not \(value.count)")
      }
      appendFixed(value.rawBytes)
    case (.string, .string(let text)): try appendBytes(Array(text.utf8).rawBytes)
    case (.binary, .binary(let value)): try appendBytes(value.rawBytes)
    case (.list(_, let dimension), .list(let values)):
      guard dimension == nil || dimension == values.count else {
        throw FeatureModelError(
          .invalidValue, "a list of \(values.count) elements is no \(type)")
      }
      guard !values.contains(.null) else {
        throw FeatureModelError(.invalidValue, "a list has no null elements")
      }
      for value in values { try elements[0].append(value) }
      closeList()
    default: throw FeatureModelError(.invalidValue, "\(value.kind) is no \(type)")
    }
  }

  private mutating func appendBits<Value: BitwiseCopyable>(_ value: Value) {
    unsafe withUnsafeBytes(of: value) { unsafe bytes.append(contentsOf: $0) }
    present.append(true)
  }

  private mutating func appendFixed(_ value: RawSpan) {
    if type == .boolean {
      bits.append(value.value(at: 0, as: UInt8.self) != 0)
    } else {
      unsafe value.withUnsafeBytes { unsafe bytes.append(contentsOf: $0) }
    }
    present.append(true)
  }

  private mutating func appendBytes(_ value: RawSpan) throws(FeatureModelError) {
    guard bytes.count + value.byteCount <= Int(Int32.max) else {
      throw FeatureModelError(.invalidValue, "the values of one batch take more than 2 GiB")
    }
    unsafe value.withUnsafeBytes { unsafe bytes.append(contentsOf: $0) }
    offsets.append(Int32(bytes.count))
    present.append(true)
  }

  private mutating func closeList() {
    offsets.append(Int32(elements[0].count))
    present.append(true)
  }

  /// The column of all that was appended; the builder is empty again.
  public mutating func finish() -> Column {
    defer { self = ValueColumnBuilder(type) }
    let nullCount = present.count - present.onesCount
    var buffers: [Buffer]
    var children: [Column] = []
    switch type {
    case .boolean: buffers = [bits.buffer()]
    case .string, .binary: buffers = [Buffer(copying: offsets), Buffer(copying: bytes)]
    case .list:
      buffers = [Buffer(copying: offsets)]
      children = [elements[0].finish()]
    default: buffers = [Buffer(copying: bytes)]
    }
    return Column(
      type: type.dataType, count: present.count, validity: present.validity(),
      nullCount: nullCount, buffers: buffers, children: children)
  }
}

extension FeatureType {
  /// 10 to the power of `exponent`, for 0...38.
  static func powerOfTen(_ exponent: Int) -> UInt128 {
    (0..<exponent).reduce(1) { power, _ in power * 10 }
  }
}

extension FeatureValue {
  /// What kind of value this is, for error messages.
  public var kind: String {
    switch self {
    case .null: "null"
    case .boolean: "a boolean"
    case .int: "an int"
    case .long: "a long"
    case .float: "a float"
    case .double: "a double"
    case .string: "a string"
    case .binary: "binary"
    case .date: "a date"
    case .timestamp: "a timestamp"
    case .decimal: "a decimal"
    case .uuid: "a uuid"
    case .list: "a list"
    }
  }
}
