import CArrow
import Columnar

/// How Parquet stores the values of a leaf column.
public enum ParquetPhysicalType: Hashable, Sendable {
  case boolean
  case int32
  case int64
  /// The old 12-byte timestamps.
  case int96
  case float
  case double
  case byteArray
  case fixedLengthByteArray
}

/// The smallest and the greatest value, as Parquet's plain encoding: little-endian numbers, one byte
/// for a boolean, byte arrays without a length, decimals in byte arrays big-endian.
public struct ParquetBounds: Hashable, Sendable {
  public var minimum: [UInt8]
  public var maximum: [UInt8]
  /// Whether the value occurs, rather than only bounding those that do.
  public var isMinimumExact: Bool
  public var isMaximumExact: Bool

  public init(
    minimum: [UInt8], maximum: [UInt8], isMinimumExact: Bool = true, isMaximumExact: Bool = true
  ) {
    self.minimum = minimum
    self.maximum = maximum
    self.isMinimumExact = isMinimumExact
    self.isMaximumExact = isMaximumExact
  }
}

/// The figures of one leaf column in one row group.
public struct ParquetColumnChunk: Hashable, Sendable {
  public var physicalType: ParquetPhysicalType
  public var fieldID: Int32?
  public var compressedBytes: Int64
  public var uncompressedBytes: Int64
  /// Nulls included; under lists, the elements and the empty lists.
  public var valueCount: Int64
  public var nullCount: Int64?
  public var bounds: ParquetBounds?
  public var hasBloomFilter: Bool
  public var hasPageIndex: Bool

  init(_ chunk: CArrowColumnChunk) {
    physicalType =
      switch CArrowPhysicalType(UInt32(bitPattern: unsafe chunk.physicalType)) {
      case CArrowPhysicalBoolean: .boolean
      case CArrowPhysicalInt32: .int32
      case CArrowPhysicalInt64: .int64
      case CArrowPhysicalInt96: .int96
      case CArrowPhysicalFloat: .float
      case CArrowPhysicalDouble: .double
      case CArrowPhysicalFixedLengthByteArray: .fixedLengthByteArray
      default: .byteArray
      }
    fieldID = unsafe chunk.fieldID >= 0 ? chunk.fieldID : nil
    compressedBytes = unsafe chunk.compressedBytes
    uncompressedBytes = unsafe chunk.uncompressedBytes
    valueCount = unsafe chunk.valueCount
    nullCount = unsafe chunk.nullCount >= 0 ? chunk.nullCount : nil
    hasBloomFilter = unsafe chunk.hasBloomFilter
    hasPageIndex = unsafe chunk.hasPageIndex
    if unsafe chunk.hasBounds {
      bounds = unsafe ParquetBounds(
        minimum: Array(
          UnsafeRawBufferPointer(start: chunk.minimum, count: Int(chunk.minimumLength))),
        maximum: Array(
          UnsafeRawBufferPointer(start: chunk.maximum, count: Int(chunk.maximumLength))),
        isMinimumExact: chunk.isMinimumExact, isMaximumExact: chunk.isMaximumExact)
    }
  }
}

/// A data page of a leaf column, as the page index describes it.
public struct ParquetPage: Hashable, Sendable {
  /// Positions in the row group.
  public var rows: Range<Int64>
  /// Where in the file the page's header begins, as the index says.
  public var byteOffset: Int64
  public var nullCount: Int64?
  public var hasOnlyNulls: Bool
  /// Bounds that may not occur.
  public var bounds: ParquetBounds?

  init(_ page: CArrowPage, end: Int64) {
    rows = unsafe page.firstRow..<end
    byteOffset = unsafe page.byteOffset
    nullCount = unsafe page.nullCount >= 0 ? page.nullCount : nil
    hasOnlyNulls = unsafe page.hasOnlyNulls
    if unsafe page.hasBounds {
      bounds = unsafe ParquetBounds(
        minimum: Array(UnsafeRawBufferPointer(start: page.minimum, count: Int(page.minimumLength))),
        maximum: Array(UnsafeRawBufferPointer(start: page.maximum, count: Int(page.maximumLength))),
        isMinimumExact: false, isMaximumExact: false)
    }
  }
}

/// Some rows of a row group.
public struct ParquetRowRange: Hashable, Sendable {
  public var rowGroup: Int
  /// Positions in the row group.
  public var rows: Range<Int64>

  public init(rowGroup: Int, rows: Range<Int64>) {
    self.rowGroup = rowGroup
    self.rows = rows
  }
}

/// The figures of one row group.
public struct ParquetRowGroup: Hashable, Sendable {
  public var rowCount: Int64
  /// The position in the file of its first row.
  public var firstRow: Int64
  /// Where its first page starts: what Iceberg calls a split offset.
  public var startByteOffset: Int64
  public var compressedBytes: Int64
  public var uncompressedBytes: Int64

  init(_ group: CArrowRowGroup, firstRow: Int64) {
    rowCount = group.rowCount
    self.firstRow = firstRow
    startByteOffset = group.startByteOffset
    compressedBytes = group.compressedBytes
    uncompressedBytes = group.uncompressedBytes
  }
}

/// The figures of one leaf column in a whole file.
public struct ParquetColumnSummary: Hashable, Sendable {
  public var leaf: SchemaLeaf
  public var compressedBytes: Int64
  /// Nulls included.
  public var valueCount: Int64
  public var nullCount: Int64?
  /// Nil when any row group with values has none.
  public var bounds: ParquetBounds?
}

/// What was written.
public struct ParquetFileSummary: Hashable, Sendable {
  public var fileSizeBytes: Int64
  public var rowCount: Int64
  public var rowGroups: [ParquetRowGroup]
  /// One a leaf column, in the order of `Schema.leaves`.
  public var columns: [ParquetColumnSummary]

  /// Where the row groups start.
  public var splitOffsets: [Int64] { rowGroups.map(\.startByteOffset) }
}

extension ParquetColumnSummary {
  /// Adds up the row groups of one leaf.
  init(_ leaf: SchemaLeaf, chunks: [ParquetColumnChunk]) {
    self.leaf = leaf
    compressedBytes = chunks.reduce(0) { $0 + $1.compressedBytes }
    valueCount = chunks.reduce(0) { $0 + $1.valueCount }
    let nullCounts = chunks.compactMap(\.nullCount)
    nullCount = nullCounts.count == chunks.count ? nullCounts.reduce(0, +) : nil
    let withValues = chunks.filter { $0.nullCount != $0.valueCount }
    let all = withValues.compactMap { chunk in chunk.bounds.map { (chunk.physicalType, $0) } }
    guard all.count == withValues.count, var merged = all.first?.1 else { return }
    for (type, bounds) in all.dropFirst() {
      let order = ParquetOrder(type, leaf.field.type)
      if order.isLess(bounds.minimum, merged.minimum) {
        merged.minimum = bounds.minimum
        merged.isMinimumExact = bounds.isMinimumExact
      }
      if order.isLess(merged.maximum, bounds.maximum) {
        merged.maximum = bounds.maximum
        merged.isMaximumExact = bounds.isMaximumExact
      }
    }
    bounds = merged
  }
}

/// The order of encoded bounds: signed numbers by value, bytes without sign, decimals by value.
struct ParquetOrder {
  private let physicalType: ParquetPhysicalType
  private let isDecimal: Bool

  init(_ physicalType: ParquetPhysicalType, _ type: DataType) {
    self.physicalType = physicalType
    if case .decimal = type { isDecimal = true } else { isDecimal = false }
  }

  func isLess(_ left: [UInt8], _ right: [UInt8]) -> Bool {
    switch physicalType {
    case .boolean, .int96: return left.lexicographicallyPrecedes(right)
    case .int32: return number(left, Int32.self) < number(right, Int32.self)
    case .int64: return number(left, Int64.self) < number(right, Int64.self)
    case .float:
      return Float(bitPattern: number(left, UInt32.self))
        < Float(bitPattern: number(right, UInt32.self))
    case .double:
      return Double(bitPattern: number(left, UInt64.self))
        < Double(bitPattern: number(right, UInt64.self))
    case .byteArray, .fixedLengthByteArray:
      guard isDecimal, let first = left.first, let other = right.first else {
        return left.lexicographicallyPrecedes(right)
      }
      let isNegative = first >= 0x80
      if isNegative != (other >= 0x80) { return isNegative }
      return left.lexicographicallyPrecedes(right)
    }
  }

  private func number<Value: FixedWidthInteger>(_ bytes: [UInt8], _: Value.Type) -> Value {
    var value: Value = 0
    for (index, byte) in bytes.prefix(MemoryLayout<Value>.size).enumerated() {
      value |= Value(truncatingIfNeeded: byte) << Value(8 * index)
    }
    return value
  }
}
