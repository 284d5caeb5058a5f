public import Columnar

// The two kernels that the assembly of output columns needs. Nulls and nesting are kept; types never
// change, so integers stay integers.
extension Column {
  /// The columns behind one another. One alone is shared, not copied.
  public static func concatenate(
    _ columns: [Column], type: DataType
  ) throws(PointInTimeError) -> Column {
    let columns = columns.filter { $0.count > 0 }
    if columns.count == 1 { return columns[0] }
    let count = columns.reduce(0) { $0 + $1.count }
    let validity = concatenatedValidity(columns)
    switch type {
    case .boolean:
      var bits = BitmapBuilder()
      for column in columns {
        for row in 0..<column.count { bits.append(column.boolean(at: row)) }
      }
      return Column(type: type, count: count, validity: validity, buffers: [bits.buffer()])
    case .string, .binary:
      let offsets = try concatenatedOffsets(columns)
      var bytes: [UInt8] = []
      bytes.reserveCapacity(Int(offsets.last ?? 0))
      for column in columns {
        let from = column.offsets
        column.bytes.extracting(Int(from[0])..<Int(from[column.count])).appendAll(to: &bytes)
      }
      return Column(
        type: type, count: count, validity: validity,
        buffers: [Buffer(copying: offsets), Buffer(copying: bytes)])
    case .list(let element):
      let offsets = try concatenatedOffsets(columns)
      let children = columns.map { column in
        column.children[0].slice(Int(column.offsets[0])..<Int(column.offsets[column.count]))
      }
      return Column(
        type: type, count: count, validity: validity, buffers: [Buffer(copying: offsets)],
        children: [try concatenate(children, type: element.type)])
    case .map(let key, let value):
      let offsets = try concatenatedOffsets(columns)
      let children = columns.map { column in
        column.children[0].slice(Int(column.offsets[0])..<Int(column.offsets[column.count]))
      }
      let entry = columns.first?.children[0].type ?? .structure([key, value])
      return Column(
        type: type, count: count, validity: validity, buffers: [Buffer(copying: offsets)],
        children: [try concatenate(children, type: entry)])
    case .structure(let fields):
      var children: [Column] = []
      for (index, field) in fields.enumerated() {
        let parts = columns.map { $0.children[index].slice($0.offset..<($0.offset + $0.count)) }
        children.append(try concatenate(parts, type: field.type))
      }
      return Column(
        type: type, count: count, validity: validity, buffers: [], children: children)
    default:
      var bytes: [UInt8] = []
      let width = type.byteWidth ?? 0
      bytes.reserveCapacity(count * width)
      for column in columns {
        let from = column.offset * width
        let buffer = column.buffers[0]
        buffer.bytes.extracting(from..<(from + column.count * width)).appendAll(to: &bytes)
      }
      return Column(type: type, count: count, validity: validity, buffers: [Buffer(copying: bytes)])
    }
  }

  private static func concatenatedValidity(_ columns: [Column]) -> Buffer? {
    guard columns.contains(where: { $0.nullCount > 0 }) else { return nil }
    var bits = BitmapBuilder()
    for column in columns {
      if column.nullCount == 0 {
        bits.append(repeating: true, count: column.count)
      } else {
        for row in 0..<column.count { bits.append(!column.isNull(row)) }
      }
    }
    return bits.validity()
  }

  private static func concatenatedOffsets(_ columns: [Column]) throws(PointInTimeError) -> [Int32] {
    var offsets: [Int32] = [0]
    for column in columns {
      let from = column.offsets
      let shift = Int(offsets[offsets.count - 1]) - Int(from[0])
      guard shift + Int(from[column.count]) <= Int(Int32.max) else { throw tooLong }
      for row in 1...column.count { offsets.append(Int32(shift + Int(from[row]))) }
    }
    return offsets
  }

  private static let tooLong = PointInTimeError(
    .tooLarge, "a column holds at most 2 GiB; take fewer rows at a time")

  /// The values at `positions`, in that order; null where the position is negative.
  public func taking(_ positions: [Int32]) throws(PointInTimeError) -> Column {
    let validity = takenValidity(positions)
    switch type {
    case .boolean:
      var bits = BitmapBuilder()
      for position in positions { bits.append(position >= 0 && boolean(at: Int(position))) }
      return Column(
        type: type, count: positions.count, validity: validity, buffers: [bits.buffer()])
    case .string, .binary:
      return try takingBytes(positions, validity)
    case .list, .map:
      var offsets: [Int32] = [0]
      var inner: [Int32] = []
      let from = self.offsets
      for position in positions {
        if position >= 0 {
          inner.append(contentsOf: from[Int(position)]..<from[Int(position) + 1])
        }
        guard inner.count <= Int(Int32.max) else { throw Self.tooLong }
        offsets.append(Int32(inner.count))
      }
      return Column(
        type: type, count: positions.count, validity: validity, buffers: [Buffer(copying: offsets)],
        children: [try children[0].taking(inner)])
    case .structure:
      let shifted = positions.map { $0 < 0 ? $0 : $0 + Int32(offset) }
      var taken: [Column] = []
      for child in children { taken.append(try child.taking(shifted)) }
      return Column(
        type: type, count: positions.count, validity: validity, buffers: [], children: taken)
    case .int32, .float32, .date: return takingWords(positions, validity, as: UInt32.self)
    case .decimal: return takingWords(positions, validity, as: UInt128.self)
    case .fixedSizeBinary(let width):
      var bytes: [UInt8] = []
      bytes.reserveCapacity(positions.count * width)
      for position in positions {
        if position < 0 {
          bytes.append(contentsOf: repeatElement(0, count: width))
        } else {
          self.bytes(at: Int(position)).appendAll(to: &bytes)
        }
      }
      return Column(
        type: type, count: positions.count, validity: validity, buffers: [Buffer(copying: bytes)])
    default: return takingWords(positions, validity, as: UInt64.self)
    }
  }

  private func takenValidity(_ positions: [Int32]) -> Buffer? {
    var bits = BitmapBuilder()
    bits.reserveCapacity(positions.count)
    if nullCount == 0 {
      for position in positions { bits.append(position >= 0) }
    } else {
      for position in positions { bits.append(position >= 0 && !isNull(Int(position))) }
    }
    return bits.validity()
  }

  private func takingWords<Word: FixedWidthInteger & BitwiseCopyable>(
    _ positions: [Int32], _ validity: Buffer?, as _: Word.Type
  ) -> Column {
    let values = values(as: Word.self)
    let taken = positions.map { $0 < 0 ? 0 : values[Int($0)] }
    return Column(
      type: type, count: positions.count, validity: validity, buffers: [Buffer(copying: taken)])
  }

  private func takingBytes(
    _ positions: [Int32], _ validity: Buffer?
  ) throws(PointInTimeError) -> Column {
    var offsets: [Int32] = [0]
    offsets.reserveCapacity(positions.count + 1)
    var taken: [UInt8] = []
    let from = self.offsets
    let bytes = self.bytes
    for position in positions {
      if position >= 0 {
        let value = bytes.extracting(
          Int(from[Int(position)])..<Int(from[Int(position) + 1]))
        guard taken.count + value.byteCount <= Int(Int32.max) else { throw Self.tooLong }
        value.appendAll(to: &taken)
      }
      offsets.append(Int32(taken.count))
    }
    return Column(
      type: type, count: positions.count, validity: validity,
      buffers: [Buffer(copying: offsets), Buffer(copying: taken)])
  }
}

extension RawSpan {
  /// All bytes, behind those in `array`.
  fileprivate func appendAll(to array: inout [UInt8]) {
    // The bytes are only copied.
    unsafe withUnsafeBytes { unsafe array.append(contentsOf: $0) }
  }
}
