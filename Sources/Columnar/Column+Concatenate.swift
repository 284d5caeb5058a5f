extension Column {
  /// The values of the columns behind one another. A single column is shared, not copied.
  ///
  /// - Precondition: at least one column; all of one type (names of children are the first one's).
  public static func concatenate(_ columns: [Column]) throws(ColumnSizeError) -> Column {
    precondition(!columns.isEmpty, "nothing to concatenate")
    let type = columns[0].type
    let parts = columns.filter { $0.count > 0 }
    guard parts.count > 1 else { return parts.first ?? columns[0] }
    let count = parts.reduce(0) { $0 + $1.count }
    var buffers: [Buffer] = []
    var children: [Column] = []
    switch type {
    case .boolean:
      var bits = BitmapBuilder()
      bits.reserveCapacity(count)
      for part in parts {
        let values = part.buffers[0]
        bits.append(bits: values.bytes, offset: part.offset, count: part.count)
      }
      buffers = [bits.buffer()]
    case .string, .binary:
      let offsets = try joinedOffsets(parts)
      buffers = [Buffer(copying: offsets), joined(parts, buffer: 1) { $0.offsetRange }]
    case .list, .map:
      buffers = [Buffer(copying: try joinedOffsets(parts))]
      children = [try concatenate(parts.map { $0.children[0].slice($0.offsetRange) })]
    case .structure(let fields):
      for index in fields.indices {
        children.append(
          try concatenate(
            parts.map { $0.children[index].slice($0.offset..<($0.offset + $0.count)) }))
      }
    default:
      let width = type.byteWidth ?? 0
      buffers = [
        joined(parts, buffer: 0) { ($0.offset * width)..<(($0.offset + $0.count) * width) }
      ]
    }
    return Column(
      type: type, count: count, validity: joinedValidity(parts), buffers: buffers,
      children: children)
  }

  /// What the first and the last offset enclose.
  private var offsetRange: Range<Int> {
    let offsets = offsets
    return count == 0 ? 0..<0 : Int(offsets[0])..<Int(offsets[count])
  }

  /// A part of one buffer of every column, behind one another.
  private static func joined(
    _ parts: [Column], buffer: Int, range: (Column) -> Range<Int>
  ) -> Buffer {
    let ranges = parts.map(range)
    return unsafe Buffer(count: ranges.reduce(0) { $0 + $1.count }) { memory in
      var end = 0
      for (part, range) in zip(parts, ranges) {
        let source = part.buffers[buffer]
        unsafe source.bytes.extracting(range).copy(to: memory, at: end)
        end += range.count
      }
    }
  }

  private static func joinedValidity(_ parts: [Column]) -> Buffer? {
    guard parts.contains(where: { $0.nullCount > 0 }) else { return nil }
    var bits = BitmapBuilder()
    for part in parts {
      if let validity = part.validity {
        bits.append(bits: validity.bytes, offset: part.offset, count: part.count)
      } else {
        bits.append(repeating: true, count: part.count)
      }
    }
    return bits.validity()
  }

  private static func joinedOffsets(_ parts: [Column]) throws(ColumnSizeError) -> [Int32] {
    var joined: [Int32] = [0]
    joined.reserveCapacity(parts.reduce(1) { $0 + $1.count })
    var end = 0
    for part in parts {
      let offsets = part.offsets
      let shift = end - Int(offsets[0])
      end = shift + Int(offsets[part.count])
      guard end <= Int(Int32.max) else { throw ColumnSizeError() }
      for index in 1...part.count {
        joined.append(Int32(truncatingIfNeeded: shift + Int(offsets[index])))
      }
    }
    return joined
  }
}

extension RecordBatch {
  /// The rows of the batches behind one another.
  ///
  /// - Precondition: every batch has the columns' types of `schema`.
  public static func concatenate(
    _ batches: [RecordBatch], schema: Schema
  ) throws(ColumnSizeError) -> RecordBatch {
    var columns: [Column] = []
    for (index, field) in schema.fields.enumerated() {
      let parts = batches.map { $0.columns[index] }
      columns.append(parts.isEmpty ? .empty(field.type) : try Column.concatenate(parts))
    }
    return RecordBatch(
      schema: schema, columns: columns, rowCount: batches.reduce(0) { $0 + $1.rowCount })
  }
}

extension Column {
  /// A column of `count` nulls.
  public static func nulls(_ type: DataType, count: Int) -> Column {
    let validity = count == 0 ? nil : Buffer(copying: [UInt8](repeating: 0, count: (count + 7) / 8))
    func zeros(_ count: Int) -> Buffer { Buffer(copying: [UInt8](repeating: 0, count: count)) }
    var buffers: [Buffer] = []
    var children: [Column] = []
    switch type {
    case .boolean: buffers = [zeros(Bitmap.byteCount(count))]
    case .string, .binary: buffers = [zeros((count + 1) * 4), zeros(0)]
    case .list(let element):
      buffers = [zeros((count + 1) * 4)]
      children = [.empty(element.type)]
    case .map(let key, let value):
      buffers = [zeros((count + 1) * 4)]
      children = [.empty(.structure([key, value]))]
    case .structure(let fields): children = fields.map { .nulls($0.type, count: count) }
    default: buffers = [zeros(count * (type.byteWidth ?? 0))]
    }
    return Column(
      type: type, count: count, validity: validity, nullCount: count, buffers: buffers,
      children: children)
  }

  /// A column without values.
  public static func empty(_ type: DataType) -> Column { .nulls(type, count: 0) }
}
