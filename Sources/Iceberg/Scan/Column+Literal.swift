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
    case .structure, .list, .map: return nil
    }
  }

  private func byteArray(at row: Int) -> [UInt8] {
    let bytes = bytes(at: row)
    return unsafe bytes.withUnsafeBytes { unsafe Array($0) }
  }

  /// A column of nulls.
  static func nulls(_ type: DataType, count: Int) -> Column {
    func zeros(_ byteCount: Int) -> Buffer {
      Buffer(copying: [UInt8](repeating: 0, count: byteCount))
    }
    let validity = zeros(Bitmap.byteCount(count))
    let (buffers, children): ([Buffer], [Column]) =
      switch type {
      case .boolean: ([zeros(Bitmap.byteCount(count))], [])
      case .string, .binary: ([zeros((count + 1) * 4), zeros(0)], [])
      case .list(let element): ([zeros((count + 1) * 4)], [nulls(element.type, count: 0)])
      case .map(let key, let value):
        ([zeros((count + 1) * 4)], [nulls(.structure([key, value]), count: 0)])
      case .structure(let fields): ([], fields.map { nulls($0.type, count: count) })
      default: ([zeros(count * (type.byteWidth ?? 0))], [])
      }
    return Column(
      type: type, count: count, validity: validity, nullCount: count, buffers: buffers,
      children: children)
  }

  /// A column of one value, repeated.
  static func constant(_ value: Literal, type: DataType, count: Int) -> Column {
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
