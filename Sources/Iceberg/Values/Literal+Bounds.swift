// The binary single-value form: bounds of files and of partition summaries.
extension Literal {
  /// The bytes of the value as a bound (specification, appendix D).
  public var boundBytes: [UInt8] {
    switch self {
    case .boolean(let value): [value ? 1 : 0]
    case .int(let value), .date(let value): Literal.littleEndian(value)
    case .long(let value), .time(let value), .timestamp(let value), .timestamptz(let value),
      .timestampNs(let value), .timestamptzNs(let value):
      Literal.littleEndian(value)
    case .float(let value): Literal.littleEndian(value.bitPattern)
    case .double(let value): Literal.littleEndian(value.bitPattern)
    case .decimal(let unscaled, _): Literal.minimalBigEndian(unscaled)
    case .string(let value): Array(value.utf8)
    case .uuid(let value): Literal.bigEndian(value)
    case .fixed(let bytes), .binary(let bytes): bytes
    }
  }

  /// A value of `type` from a bound's bytes.
  ///
  /// Bounds written before a promotion keep the old width: four bytes for a long are an int, for a
  /// double a float, for a timestamp a date. Text that is not UTF-8 is an error, because repairing
  /// it would move the bound.
  public init(boundBytes bytes: [UInt8], type: IcebergType) throws(IcebergError) {
    guard let value = Literal.decode(bytes, type) else {
      throw IcebergError(
        .invalidMetadata, "\(bytes.count) bytes are no bound of type \(type)")
    }
    self = value
  }

  private static func decode(_ bytes: [UInt8], _ type: IcebergType) -> Literal? {
    switch type {
    case .boolean: bytes.count == 1 ? .boolean(bytes[0] != 0) : nil
    case .int: int32(bytes).map { .int($0) }
    case .date: int32(bytes).map { .date($0) }
    case .long: int64(bytes).map { .long($0) } ?? int32(bytes).map { .long(Int64($0)) }
    case .time: int64(bytes).map { .time($0) }
    case .timestamp:
      int64(bytes).map { .timestamp($0) }
        ?? int32(bytes).flatMap { Literal.date($0).promoted(to: .timestamp) }
    case .timestamptz: int64(bytes).map { .timestamptz($0) }
    case .timestampNs:
      int64(bytes).map { .timestampNs($0) }
        ?? int32(bytes).flatMap { Literal.date($0).promoted(to: .timestampNs) }
    case .timestamptzNs: int64(bytes).map { .timestamptzNs($0) }
    case .float: int32(bytes).map { .float(Float(bitPattern: UInt32(bitPattern: $0))) }
    case .double:
      int64(bytes).map { .double(Double(bitPattern: UInt64(bitPattern: $0))) }
        ?? int32(bytes).map { .double(Double(Float(bitPattern: UInt32(bitPattern: $0)))) }
    case .decimal(_, let scale):
      signedBigEndian(bytes).map { .decimal(unscaled: $0, scale: scale) }
    case .string: String(validating: bytes, as: UTF8.self).map { .string($0) }
    case .uuid:
      bytes.count == 16 ? .uuid(bytes.reduce(0) { $0 << 8 | UInt128($1) }) : nil
    // Bounds of long fixed values are truncated by some writers, so shorter ones are fine.
    case .fixed(let length): bytes.count <= length ? .fixed(bytes) : nil
    case .binary: .binary(bytes)
    case .unknown, .structure, .list, .map: nil
    }
  }

  static func int32(_ bytes: [UInt8]) -> Int32? {
    guard bytes.count == 4 else { return nil }
    return Int32(bitPattern: bytes.reversed().reduce(0) { $0 << 8 | UInt32($1) })
  }

  static func int64(_ bytes: [UInt8]) -> Int64? {
    guard bytes.count == 8 else { return nil }
    return Int64(bitPattern: bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) })
  }

  static func littleEndian(_ value: some FixedWidthInteger) -> [UInt8] {
    (0..<(value.bitWidth / 8)).map { UInt8(truncatingIfNeeded: value >> ($0 * 8)) }
  }

  static func bigEndian(_ value: some FixedWidthInteger) -> [UInt8] {
    littleEndian(value).reversed()
  }

  /// Two's complement, big-endian, in as few bytes as keep the sign: at least one.
  static func minimalBigEndian(_ value: Int128) -> [UInt8] {
    let redundant = value < 0 ? (~value).leadingZeroBitCount : value.leadingZeroBitCount
    let byteCount = (128 - redundant) / 8 + 1
    return Array(bigEndian(value).suffix(byteCount))
  }

  /// Two's complement, big-endian, in exactly `byteCount` bytes; nil when the value needs more.
  static func bigEndian(_ value: Int128, byteCount: Int) -> [UInt8]? {
    let minimal = minimalBigEndian(value)
    guard minimal.count <= byteCount else { return nil }
    let fill: UInt8 = value < 0 ? 0xFF : 0
    return Array(repeating: fill, count: byteCount - minimal.count) + minimal
  }

  /// Reads two's complement, big-endian; longer than 16 bytes is fine while only the sign repeats.
  static func signedBigEndian(_ bytes: [UInt8]) -> Int128? {
    guard let first = bytes.first else { return nil }
    let fill: UInt8 = first >= 0x80 ? 0xFF : 0
    let extra = max(bytes.count - 16, 0)
    guard bytes.prefix(extra).allSatisfy({ $0 == fill }) else { return nil }
    let value = bytes.dropFirst(extra).reduce(Int128(fill == 0 ? 0 : -1)) {
      $0 << 8 | Int128($1)
    }
    return (value < 0) == (fill != 0) ? value : nil
  }
}
