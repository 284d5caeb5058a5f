import Columnar
import FileFormats

/// Chooses the row groups of a file that may have matching rows, by the statistics of its footer and
/// by bloom filters, and in them the rows of the pages that may, by the page index.
///
/// What a file does not know is never skipped, and a column that it lacks may have a default.
struct RowGroupFilter {
  private let expression: BoundExpression
  private let leaves: [SchemaLeaf]

  /// - Parameter file: the file's columns with their field ids.
  init(_ expression: BoundExpression, file: Schema) {
    self.expression = expression
    leaves = expression.fieldIDs.isEmpty ? [] : file.leaves
  }

  /// The indices of the row groups among these, in their order.
  func matching(
    _ reader: ParquetReader, among all: [Int]
  ) throws(FileFormatError) -> [Int] {
    guard expression != .constant(true) else { return all }
    var groups: [Int] = []
    for group in all {
      var failure: FileFormatError?
      let mayMatch = expression.mayMatch { predicate in
        do throws(FileFormatError) {
          return try self.mayMatch(predicate, reader, group)
        } catch {
          failure = error
          return true
        }
      }
      if let failure { throw failure }
      if mayMatch { groups.append(group) }
    }
    return groups
  }

  /// The rows of a row group that may match: those of pages that may in all columns of the filter.
  func matchingRows(
    _ reader: ParquetReader, in group: Int
  ) throws(FileFormatError) -> RowRanges {
    try matchingRows(expression, reader, group)
  }

  private func matchingRows(
    _ expression: BoundExpression, _ reader: ParquetReader, _ group: Int
  ) throws(FileFormatError) -> RowRanges {
    let all = RowRanges([0..<reader.rowGroups[group].rowCount])
    switch expression {
    case .constant(let isTrue): return isTrue ? all : RowRanges([])
    case .and(let operands):
      var rows = all
      for operand in operands where !rows.isEmpty {
        rows = rows.intersection(try matchingRows(operand, reader, group))
      }
      return rows
    case .or(let operands):
      var rows = RowRanges([])
      for operand in operands where rows != all {
        rows = rows.union(try matchingRows(operand, reader, group))
      }
      return rows
    case .predicate(let predicate):
      guard let leaf = leaf(of: predicate) else { return all }
      let pages = try reader.pages(rowGroup: group, leaf: leaf)
      guard !pages.isEmpty else { return all }
      let type = leaves[leaf].field.type
      let wanted = predicate.field.type
      return RowRanges(
        pages.filter { ValueSummary($0, type, wanted).mayMatch(predicate.test) }.map(\.rows))
    }
  }

  /// The column of a condition; nil where the file does not have it, or has it in lists.
  private func leaf(of predicate: BoundPredicate) -> Int? {
    guard let index = leaves.firstIndex(where: { $0.field.fieldID == predicate.field.id }),
      !leaves[index].isRepeated
    else { return nil }
    return index
  }

  private func mayMatch(
    _ predicate: BoundPredicate, _ reader: ParquetReader, _ group: Int
  ) throws(FileFormatError) -> Bool {
    guard let index = leaf(of: predicate) else { return true }
    let type = leaves[index].field.type
    let chunk = try reader.columnChunk(rowGroup: group, leaf: index)
    guard ValueSummary(chunk, type, predicate.field.type).mayMatch(predicate.test) else {
      return false
    }
    guard chunk.hasBloomFilter else { return true }
    switch predicate.test {
    case .compare(.equal, let value):
      return try mayContain([value], type, reader, group, index)
    case .isIn(let values): return try mayContain(values, type, reader, group, index)
    default: return true
    }
  }

  private func mayContain(
    _ values: [Literal], _ type: DataType, _ reader: ParquetReader, _ group: Int, _ leaf: Int
  ) throws(FileFormatError) -> Bool {
    for value in values {
      switch value.plainBytes(in: type) {
      case .unknown: return true
      case .none: continue
      case .bytes(let bytes):
        if try reader.mayContain(bytes, rowGroup: group, leaf: leaf) { return true }
      }
    }
    return false
  }
}

extension ValueSummary {
  /// A column of a row group.
  ///
  /// - Parameters:
  ///   - type: of the file's column.
  ///   - wanted: of the table's column, to which the bounds are promoted.
  init(_ chunk: ParquetColumnChunk, _ type: DataType, _ wanted: IcebergType) {
    self.init(
      values: chunk.valueCount, nulls: chunk.nullCount, bounds: chunk.bounds, type, wanted)
  }

  /// A column of the rows of a page, likewise.
  init(_ page: ParquetPage, _ type: DataType, _ wanted: IcebergType) {
    let rows = Int64(page.rows.count)
    self.init(
      values: rows, nulls: page.hasOnlyNulls ? rows : page.nullCount, bounds: page.bounds, type,
      wanted)
  }

  private init(
    values: Int64, nulls: Int64?, bounds: ParquetBounds?, _ type: DataType, _ wanted: IcebergType
  ) {
    if let nulls, nulls >= 0, values >= 0 {
      mayHaveNull = nulls > 0
      mayHaveValue = nulls < values
    }
    // Statistics know no NaN.
    mayHaveNaN = (wanted == .float || wanted == .double) && mayHaveValue
    guard let bounds else { return }
    lower = Literal(plain: bounds.minimum, type, wanted)
    upper = Literal(plain: bounds.maximum, type, wanted)
    if lower?.isNaN ?? false || upper?.isNaN ?? false { (lower, upper) = (nil, nil) }
  }
}

extension Literal {
  /// A bound in Parquet's plain encoding; nil for what is not understood, which skips nothing.
  fileprivate init?(plain bytes: [UInt8], _ type: DataType, _ wanted: IcebergType) {
    var own: IcebergType
    switch (type, wanted) {
    case (.boolean, .boolean), (.string, .string), (.binary, .binary): own = wanted
    case (.int32, .int), (.int32, .long): own = .int
    case (.int64, .long): own = .long
    case (.float32, .float), (.float32, .double): own = .float
    case (.float64, .double): own = .double
    case (.date, .date), (.date, .timestamp), (.date, .timestampNs): own = .date
    case (.time, .time), (.timestamp(false), .timestamp), (.timestamp(true), .timestamptz),
      (.timestampNanoseconds(false), .timestampNs), (.timestampNanoseconds(true), .timestamptzNs):
      own = wanted
    case (.fixedSizeBinary(16), .uuid): own = wanted
    case (.fixedSizeBinary(let width), .fixed(let length)) where width == length: own = wanted
    default: return nil
    }
    switch own {
    case .boolean, .string, .binary, .uuid, .fixed: break
    case .int, .float, .date: guard bytes.count == 4 else { return nil }
    default: guard bytes.count == 8 else { return nil }
    }
    do {
      // The specification's single values are the plain encoding for these types.
      guard let value = try Literal(boundBytes: bytes, type: own).promoted(to: wanted) else {
        return nil
      }
      self = value
    } catch { return nil }
  }

  fileprivate enum Plain {
    /// No value of the file's type equals it.
    case none
    /// Not something that a bloom filter can be asked for.
    case unknown
    case bytes([UInt8])
  }

  /// The value as a column of a file has it.
  fileprivate func plainBytes(in type: DataType) -> Plain {
    switch (self, type) {
    case (.int, .int32), (.long, .int64), (.date, .date), (.time, .time),
      (.timestamp, .timestamp(false)), (.timestamptz, .timestamp(true)),
      (.timestampNs, .timestampNanoseconds(false)), (.timestamptzNs, .timestampNanoseconds(true)),
      (.string, .string), (.binary, .binary), (.uuid, .fixedSizeBinary(16)),
      (.fixed, .fixedSizeBinary):
      return .bytes(boundBytes)
    case (.long(let value), .int32):
      guard let narrow = Int32(exactly: value) else { return .none }
      return .bytes(Literal.int(narrow).boundBytes)
    default: return .unknown
    }
  }
}
