/// One column by which rows are sorted, and how.
public struct SortColumn: Sendable {
  public var column: Column
  public var isDescending: Bool
  public var nullsFirst: Bool

  /// - Precondition: the column's type has an order (`hasOrder`).
  public init(_ column: Column, isDescending: Bool = false, nullsFirst: Bool = true) {
    precondition(Self.hasOrder(column.type), "\(column.type) has no order")
    self.column = column
    self.isDescending = isDescending
    self.nullsFirst = nullsFirst
  }

  /// Whether there is an order of the values of a type: of all but nested ones.
  public static func hasOrder(_ type: DataType) -> Bool { !type.isNested }
}

// Rows as bytes whose order is that of the rows: the types are looked at once a column, and whoever sorts or merges
// compares bytes. (Arrow's own sort has one place for nulls for all keys, and does not merge.)
extension Column {
  /// For each row a binary value; compared byte by byte those are in the order of the rows.
  ///
  /// Numbers count as numbers (-0.0 before 0.0, NaN after all others), texts and binaries by their bytes. A value's
  /// bytes say themselves where they end, so that the next column counts only where values are equal: a zero byte is
  /// written as 00 FF, the end as 00 00.
  public static func sortKeys(
    _ columns: [SortColumn], rowCount: Int
  ) throws(ColumnSizeError) -> Column {
    var sizes = [Int](repeating: 0, count: rowCount)
    for column in columns { column.addSizes(to: &sizes) }
    return unsafe try keys(sizes) { memory, cursors in
      for column in columns { unsafe column.write(memory, &cursors) }
    }
  }

  /// For each row the bits of its columns' values in turn, the highest of each first: rows that are near in every
  /// column have keys that are near.
  ///
  /// A number gives eight bytes, a text or binary `textBytes`, cut or filled with zeros; null is all zeros.
  ///
  /// - Parameter maximumBytes: what is longer is cut.
  public static func zOrderKeys(
    _ columns: [Column], rowCount: Int, textBytes: Int = 8, maximumBytes: Int = .max
  ) throws(ColumnSizeError) -> Column {
    precondition(textBytes > 0 && maximumBytes > 0, "a key has bytes")
    let widths = columns.map { $0.type.isOfBytes ? textBytes : 8 }
    let size = min(widths.reduce(0, +), maximumBytes)
    let parts = zip(columns, widths).map { $0.orderedBytes(width: $1) }
    let longest = 8 * (widths.max() ?? 0)
    return unsafe try keys([Int](repeating: size, count: rowCount)) { memory, cursors in
      for row in 0..<rowCount {
        var bit = 0
        var byte: UInt8 = 0
        let end = cursors[row] + size
        outer: for position in 0..<longest {
          for (part, width) in zip(parts, widths) where position < 8 * width {
            let source = part[row * width + position >> 3]
            byte = byte << 1 | (source >> UInt8(7 - position & 7)) & 1
            bit += 1
            guard bit & 7 == 0 else { continue }
            unsafe memory[cursors[row]] = byte
            cursors[row] += 1
            if cursors[row] == end { break outer }
          }
        }
      }
    }
  }

  /// A binary column of values of these sizes, written at where each begins.
  private static func keys(
    _ sizes: [Int], _ write: (UnsafeMutableRawBufferPointer, inout [Int]) -> Void
  ) throws(ColumnSizeError) -> Column {
    var offsets: [Int32] = [0]
    offsets.reserveCapacity(sizes.count + 1)
    var end = 0
    for size in sizes {
      end += size
      guard end <= Int(Int32.max) else { throw ColumnSizeError() }
      offsets.append(Int32(truncatingIfNeeded: end))
    }
    var cursors = offsets.dropLast().map { Int($0) }
    let bytes = unsafe Buffer(count: end) { memory in unsafe write(memory, &cursors) }
    return Column(
      type: .binary, count: sizes.count, nullCount: 0, buffers: [Buffer(copying: offsets), bytes])
  }

  /// Positions from the least value to the greatest by their bytes; equal ones stay in their order.
  ///
  /// - Precondition: a column of strings or binaries.
  public func orderByBytes() -> [Int] {
    let shared = sharedBytes().count
    var entries: [(prefix: UInt64, row: Int)] = []
    entries.reserveCapacity(count)
    for row in 0..<count { entries.append((bytePrefix(at: row, skipping: shared), row)) }
    entries.sort { left, right in
      if left.prefix != right.prefix { return left.prefix < right.prefix }
      let order = compareBytes(at: left.row, with: self, at: right.row)
      return order == 0 ? left.row < right.row : order < 0
    }
    return entries.map(\.row)
  }

  /// The bytes with which all values begin, and `other` too.
  public func sharedBytes(with other: [UInt8]? = nil) -> [UInt8] {
    guard count > 0 else { return other ?? [] }
    var shared = unsafe other ?? bytes(at: 0).withUnsafeBytes { unsafe Array($0) }
    for row in 0..<count where !shared.isEmpty {
      let value = bytes(at: row)
      let length = min(shared.count, value.byteCount)
      var position = 0
      while position < length, value.unsafeByte(position) == shared[position] { position += 1 }
      if position < shared.count { shared.removeLast(shared.count - position) }
    }
    return shared
  }

  /// Eight bytes of a value as a number, zeros behind shorter ones: most comparisons end here.
  ///
  /// - Parameter skipped: how many bytes come before them, in which nothing differs.
  public func bytePrefix(at index: Int, skipping skipped: Int = 0) -> UInt64 {
    let value = bytes(at: index)
    if value.byteCount >= skipped + 8 {
      return unsafe UInt64(
        bigEndian: value.unsafeLoadUnaligned(fromByteOffset: skipped, as: UInt64.self))
    }
    var prefix: UInt64 = 0
    for position in skipped..<(skipped + 8) {
      prefix = prefix << 8 | (position < value.byteCount ? UInt64(value.unsafeByte(position)) : 0)
    }
    return prefix
  }

  /// Less than, equal to or greater than zero as this column's value is before, equal to or after the other's, by
  /// their bytes.
  public func compareBytes(at index: Int, with other: Column, at otherIndex: Int) -> Int {
    let left = bytes(at: index)
    let right = other.bytes(at: otherIndex)
    let shared = min(left.byteCount, right.byteCount)
    var position = 0
    while position + 8 <= shared {
      let first = unsafe left.unsafeLoadUnaligned(fromByteOffset: position, as: UInt64.self)
      let second = unsafe right.unsafeLoadUnaligned(fromByteOffset: position, as: UInt64.self)
      if first != second { return first.bigEndian < second.bigEndian ? -1 : 1 }
      position += 8
    }
    while position < shared {
      let difference = Int(left.unsafeByte(position)) - Int(right.unsafeByte(position))
      if difference != 0 { return difference }
      position += 1
    }
    return left.byteCount - right.byteCount
  }
}

extension DataType {
  fileprivate var isOfBytes: Bool {
    switch self {
    case .string, .binary, .fixedSizeBinary: true
    default: false
    }
  }
}

// A number's bits, turned so that as an unsigned integer they have the number's order.
extension FixedWidthInteger {
  fileprivate var flippedSign: Self { self ^ Self(1) << Self(Self.bitWidth - 1) }
}

extension Float {
  fileprivate var orderedBits: UInt32 {
    let bits = isNaN ? Float.nan.bitPattern : bitPattern
    return bits >> 31 == 0 ? bits | 1 << 31 : ~bits
  }
}

extension Double {
  fileprivate var orderedBits: UInt64 {
    let bits = isNaN ? Double.nan.bitPattern : bitPattern
    return bits >> 63 == 0 ? bits | 1 << 63 : ~bits
  }
}

extension SortColumn {
  fileprivate func addSizes(to sizes: inout [Int]) {
    let width: Int
    switch column.type {
    case .string, .binary:
      for row in 0..<column.count {
        sizes[row] += 1
        if column.isNull(row) { continue }
        let value = column.bytes(at: row)
        sizes[row] += value.byteCount + 2
        for position in 0..<value.byteCount where value.unsafeByte(position) == 0 {
          sizes[row] += 1
        }
      }
      return
    case .boolean: width = 1
    default: width = column.type.byteWidth ?? 0
    }
    for row in 0..<column.count { sizes[row] += column.isNull(row) ? 1 : 1 + width }
  }

  fileprivate func write(_ memory: UnsafeMutableRawBufferPointer, _ cursors: inout [Int]) {
    switch column.type {
    case .boolean:
      for row in 0..<column.count where unsafe begin(row, memory, &cursors) {
        unsafe memory[cursors[row]] = (column.boolean(at: row) ? 1 : 0) ^ flip
        cursors[row] += 1
      }
    case .int32, .date:
      unsafe write(memory, &cursors, as: Int32.self) { UInt32(bitPattern: $0.flippedSign) }
    case .int64, .time, .timestamp, .timestampNanoseconds:
      unsafe write(memory, &cursors, as: Int64.self) { UInt64(bitPattern: $0.flippedSign) }
    case .float32: unsafe write(memory, &cursors, as: Float.self) { $0.orderedBits }
    case .float64: unsafe write(memory, &cursors, as: Double.self) { $0.orderedBits }
    case .decimal:
      unsafe write(memory, &cursors, as: Int128.self) { UInt128(bitPattern: $0.flippedSign) }
    case .string, .binary:
      for row in 0..<column.count where unsafe begin(row, memory, &cursors) {
        let value = column.bytes(at: row)
        for position in 0..<value.byteCount {
          let byte = value.unsafeByte(position)
          unsafe put(byte, row, memory, &cursors)
          if byte == 0 { unsafe put(0xFF, row, memory, &cursors) }
        }
        unsafe put(0, row, memory, &cursors)
        unsafe put(0, row, memory, &cursors)
      }
    case .fixedSizeBinary:
      for row in 0..<column.count where unsafe begin(row, memory, &cursors) {
        let value = column.bytes(at: row)
        for position in 0..<value.byteCount {
          unsafe put(value.unsafeByte(position), row, memory, &cursors)
        }
      }
    case .list, .structure, .map: preconditionFailure("\(column.type) has no order")
    }
  }

  private var flip: UInt8 { isDescending ? 0xFF : 0 }

  /// Writes whether the value is null; returns whether it is there.
  private func begin(
    _ row: Int, _ memory: UnsafeMutableRawBufferPointer, _ cursors: inout [Int]
  ) -> Bool {
    let isNull = column.isNull(row)
    unsafe memory[cursors[row]] = isNull == nullsFirst ? 0 : 1
    cursors[row] += 1
    return !isNull
  }

  private func put(
    _ byte: UInt8, _ row: Int, _ memory: UnsafeMutableRawBufferPointer, _ cursors: inout [Int]
  ) {
    unsafe memory[cursors[row]] = byte ^ flip
    cursors[row] += 1
  }

  private func write<Value: BitwiseCopyable, Bits: FixedWidthInteger & BitwiseCopyable>(
    _ memory: UnsafeMutableRawBufferPointer, _ cursors: inout [Int], as _: Value.Type,
    bits: (Value) -> Bits
  ) {
    let values = column.values(as: Value.self)
    let flip: Bits = isDescending ? ~0 : 0
    for row in 0..<column.count where unsafe begin(row, memory, &cursors) {
      let ordered = (bits(values[row]) ^ flip).bigEndian
      unsafe memory.storeBytes(of: ordered, toByteOffset: cursors[row], as: Bits.self)
      cursors[row] += MemoryLayout<Bits>.size
    }
  }
}

extension Column {
  /// For each row so many bytes in the order of the values; zeros for null. Decimals beyond 64 bits count as the last
  /// that fits.
  fileprivate func orderedBytes(width: Int) -> [UInt8] {
    var ordered = [UInt8](repeating: 0, count: count * width)
    func put(_ row: Int, _ bits: UInt64) {
      for position in 0..<8 {
        ordered[row * width + position] = UInt8(
          truncatingIfNeeded: bits >> UInt64(56 - 8 * position))
      }
    }
    switch type {
    case .boolean:
      for row in 0..<count where !isNull(row) && boolean(at: row) { put(row, 0x81 << 56) }
    case .int32, .date:
      let values = values(as: Int32.self)
      for row in 0..<count where !isNull(row) {
        put(row, UInt64(bitPattern: Int64(values[row]).flippedSign))
      }
    case .int64, .time, .timestamp, .timestampNanoseconds:
      let values = values(as: Int64.self)
      for row in 0..<count where !isNull(row) {
        put(row, UInt64(bitPattern: values[row].flippedSign))
      }
    case .float32:
      let values = values(as: Float.self)
      for row in 0..<count where !isNull(row) { put(row, Double(values[row]).orderedBits) }
    case .float64:
      let values = values(as: Double.self)
      for row in 0..<count where !isNull(row) { put(row, values[row].orderedBits) }
    case .decimal:
      let values = values(as: Int128.self)
      for row in 0..<count where !isNull(row) {
        let clamped = Int64(clamping: values[row])
        put(row, UInt64(bitPattern: clamped.flippedSign))
      }
    case .string, .binary, .fixedSizeBinary:
      for row in 0..<count where !isNull(row) {
        let value = bytes(at: row)
        for position in 0..<min(width, value.byteCount) {
          ordered[row * width + position] = value.unsafeByte(position)
        }
      }
    case .list, .structure, .map: break
    }
    return ordered
  }
}

extension RecordBatch {
  /// About how many bytes the rows take: what lies in shared buffers beside them is left out.
  public var valueBytes: Int64 { columns.reduce(0) { $0 + $1.valueBytes } }
}

extension Column {
  fileprivate var valueBytes: Int64 {
    var bytes = validity == nil ? 0 : Int64(Bitmap.byteCount(count))
    switch type {
    case .boolean: bytes += Int64(Bitmap.byteCount(count))
    case .string, .binary:
      bytes += 4 * Int64(count + 1)
      if count > 0 { bytes += Int64(offsets[count] - offsets[0]) }
    case .list, .map:
      bytes += 4 * Int64(count + 1)
      if count > 0 { bytes += children[0].slice(Int(offsets[0])..<Int(offsets[count])).valueBytes }
    case .structure:
      for child in children { bytes += child.slice(offset..<(offset + count)).valueBytes }
    default: bytes += Int64(count * (type.byteWidth ?? 0))
    }
    return bytes
  }
}
