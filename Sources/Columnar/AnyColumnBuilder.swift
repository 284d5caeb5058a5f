/// Builds a column of any type, value by value: for text and other row-wise sources.
///
/// Values are appended by the method of their kind; a list's elements go into `children[0]` and are
/// closed by `appendList()`, a structure's fields into `children` and `appendStructure()`. Slower than
/// the typed builders (a class and a check each value), so not for loops over columns.
public final class AnyColumnBuilder {
  public let type: DataType
  public let children: [AnyColumnBuilder]
  private var booleans = BooleanBuilder()
  private var words32: FixedWidthBuilder<Int32>
  private var words64: FixedWidthBuilder<Int64>
  private var floats = FixedWidthBuilder(.float32, zero: Float(0))
  private var doubles = FixedWidthBuilder(.float64, zero: 0.0)
  private var decimals: FixedWidthBuilder<Int128>
  private var texts: BytesBuilder
  private var offsets: [Int32] = [0]
  private var present = BitmapBuilder()
  private let kind: Kind

  private enum Kind {
    case boolean, word32, word64, float, double, decimal, bytes, list, structure
  }

  public init(_ type: DataType) {
    self.type = type
    var children: [AnyColumnBuilder] = []
    var words32 = DataType.int32
    var words64 = DataType.int64
    var decimals = DataType.decimal(precision: 38, scale: 0)
    var texts = DataType.string
    switch type {
    case .boolean: kind = .boolean
    case .int32, .date:
      kind = .word32
      words32 = type
    case .int64, .time, .timestamp, .timestampNanoseconds:
      kind = .word64
      words64 = type
    case .float32: kind = .float
    case .float64: kind = .double
    case .decimal:
      kind = .decimal
      decimals = type
    case .string, .binary, .fixedSizeBinary:
      kind = .bytes
      texts = type
    case .list(let element):
      kind = .list
      children = [AnyColumnBuilder(element.type)]
    case .map(let key, let value):
      kind = .list
      children = [AnyColumnBuilder(.structure([key, value]))]
    case .structure(let fields):
      kind = .structure
      children = fields.map { AnyColumnBuilder($0.type) }
    }
    self.children = children
    self.words32 = FixedWidthBuilder(words32, zero: 0)
    self.words64 = FixedWidthBuilder(words64, zero: 0)
    self.decimals = FixedWidthBuilder(decimals, zero: 0)
    self.texts = BytesBuilder(texts)
  }

  public var count: Int {
    switch kind {
    case .boolean: booleans.count
    case .word32: words32.count
    case .word64: words64.count
    case .float: floats.count
    case .double: doubles.count
    case .decimal: decimals.count
    case .bytes: texts.count
    case .list, .structure: present.count
    }
  }

  /// Bytes of text or binary appended so far, children included: what a caller limits.
  public var byteCount: Int { texts.byteCount + children.reduce(0) { $0 + $1.byteCount } }

  /// - Precondition for all of these: the value is of the builder's type.
  public func append(_ value: Bool) { booleans.append(value) }
  /// An int or a date.
  public func append(_ value: Int32) { words32.append(value) }
  /// A long, a time or a timestamp.
  public func append(_ value: Int64) { words64.append(value) }
  public func append(_ value: Float) { floats.append(value) }
  public func append(_ value: Double) { doubles.append(value) }
  /// An unscaled decimal.
  public func append(_ value: Int128) { decimals.append(value) }
  public func append(_ value: String) { texts.append(value) }
  public func append(_ value: [UInt8]) { texts.append(value) }
  public func append(_ value: UnsafeRawBufferPointer) { unsafe texts.append(value) }

  /// Ends a list (or map): its elements are those that `children[0]` got since the last end.
  public func appendList() {
    offsets.append(Int32(children[0].count))
    present.append(true)
  }

  /// Ends a structure; every child has got one value.
  public func appendStructure() { present.append(true) }

  public func appendNull() {
    switch kind {
    case .boolean: booleans.appendNull()
    case .word32: words32.appendNull()
    case .word64: words64.appendNull()
    case .float: floats.appendNull()
    case .double: doubles.appendNull()
    case .decimal: decimals.appendNull()
    case .bytes: texts.appendNull()
    case .list:
      offsets.append(Int32(children[0].count))
      present.append(false)
    case .structure:
      for child in children { child.appendNull() }
      present.append(false)
    }
  }

  /// The column of all that was appended; the builder is empty again.
  public func finish() -> Column {
    switch kind {
    case .boolean: return booleans.finish()
    case .word32: return words32.finish()
    case .word64: return words64.finish()
    case .float: return floats.finish()
    case .double: return doubles.finish()
    case .decimal: return decimals.finish()
    case .bytes: return texts.finish()
    case .list, .structure:
      defer {
        offsets = [0]
        present = BitmapBuilder()
      }
      return Column(
        type: type, count: present.count, validity: present.validity(),
        nullCount: present.count - present.onesCount,
        buffers: kind == .list ? [Buffer(copying: offsets)] : [],
        children: children.map { $0.finish() })
    }
  }
}
