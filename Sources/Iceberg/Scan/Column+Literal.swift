import Columnar

// Single values of columns: for partition tuples and rare comparisons, not for hot loops.
extension Column {
  /// The value of a row as a value of `type`, whose in-memory form the column has; nil for null.
  func literal(at row: Int, type: IcebergType) -> Literal? {
    guard !isNull(row) else { return nil }
    switch type {
    case .boolean: return .boolean(boolean(at: row))
    case .int: return .int(values(as: Int32.self)[row])
    case .long: return .long(values(as: Int64.self)[row])
    case .float: return .float(values(as: Float.self)[row])
    case .double: return .double(values(as: Double.self)[row])
    case .decimal(_, let scale):
      return .decimal(unscaled: values(as: Int128.self)[row], scale: scale)
    case .date: return .date(values(as: Int32.self)[row])
    case .time: return .time(values(as: Int64.self)[row])
    case .timestamp: return .timestamp(values(as: Int64.self)[row])
    case .timestamptz: return .timestamptz(values(as: Int64.self)[row])
    case .timestampNs: return .timestampNs(values(as: Int64.self)[row])
    case .timestamptzNs: return .timestamptzNs(values(as: Int64.self)[row])
    case .string: return .string(string(at: row))
    case .uuid: return .uuid(byteArray(at: row).reduce(0) { $0 << 8 | UInt128($1) })
    case .fixed: return .fixed(byteArray(at: row))
    case .binary: return .binary(byteArray(at: row))
    case .unknown, .structure, .list, .map: return nil
    }
  }

  private func byteArray(at row: Int) -> [UInt8] {
    let bytes = bytes(at: row)
    return unsafe bytes.withUnsafeBytes { unsafe Array($0) }
  }

  /// A column of nulls, for one that a file lacks.
  static func absent(_ type: DataType, count: Int) throws(IcebergError) -> Column {
    try requireRoom(count, of: type.bytesOfNull)
    return .nulls(type, count: count)
  }

  /// Refuses columns that are made up of nothing and take more memory than any batch is to: metadata of
  /// a few bytes can speak of values of gigabytes.
  private static func requireRoom(_ count: Int, of size: Int) throws(IcebergError) {
    let (bytes, overflow) = size.multipliedReportingOverflow(by: count)
    guard !overflow, bytes <= 256 << 20 else {
      throw IcebergError(
        .unsupported,
        "\(count) rows of a missing column would take \(size) bytes each: more than 256 MiB together"
      )
    }
  }

  /// A column of one value, repeated.
  static func constant(
    _ value: Literal, type: DataType, count: Int
  ) throws(IcebergError) -> Column {
    try requireRoom(count, of: value.sizeBytes)
    func words<Word: BitwiseCopyable>(_ word: Word) -> Column {
      Column(
        type: type, count: count,
        buffers: [Buffer(copying: Array(repeating: word, count: count))])
    }
    func bytes(_ bytes: [UInt8]) -> Column {
      var builder = BytesBuilder(type)
      for _ in 0..<count { builder.append(bytes) }
      return builder.finish()
    }
    switch value {
    case .boolean(let flag):
      var bits = BitmapBuilder()
      bits.append(repeating: flag, count: count)
      return Column(type: type, count: count, buffers: [bits.buffer()])
    case .int(let value), .date(let value): return words(value)
    case .long(let value), .time(let value), .timestamp(let value), .timestamptz(let value),
      .timestampNs(let value), .timestamptzNs(let value):
      return words(value)
    case .float(let value): return words(value)
    case .double(let value): return words(value)
    case .decimal(let unscaled, _): return words(unscaled)
    case .string(let text): return bytes(Array(text.utf8))
    case .uuid(let value): return bytes(Literal.bigEndian(value))
    case .fixed(let value), .binary(let value): return bytes(value)
    }
  }
}

extension Literal {
  fileprivate var sizeBytes: Int {
    switch self {
    case .string(let text): text.utf8.count + 4
    case .fixed(let bytes), .binary(let bytes): bytes.count + 4
    default: 16
    }
  }
}

extension DataType {
  /// What a null takes, members of structs included.
  fileprivate var bytesOfNull: Int {
    switch self {
    case .boolean: 1
    case .string, .binary, .list, .map: 4
    case .structure(let fields):
      fields.reduce(1) { sum, field in
        let (next, overflow) = sum.addingReportingOverflow(field.type.bytesOfNull)
        return overflow ? .max : next
      }
    default: byteWidth ?? 0
    }
  }
}
