public import Columnar

/// Encodes an entity key, a tuple of typed values, into one byte string: equal keys give equal bytes
/// and different keys different ones ("a","bc" is not "ab","c").
///
/// Layout, little-endian: fixed-width values as they are; strings and binary as `UInt32` count and
/// bytes; in the order of the record identifiers.
public struct KeyCodec: Sendable {
  public let identifiers: [Feature]

  public init(_ group: FeatureGroup) { identifiers = group.recordIdentifiers }

  /// The most bytes that one key may take.
  public static let maximumByteCount = 64 * 1024

  /// Encodes the key of every row; `columns` are the record identifiers' columns, without nulls in
  /// the rows that count.
  ///
  /// - Precondition: the columns have the identifiers' types and equal lengths.
  public func encode(_ columns: some Collection<Column>, rowCount: Int) -> EncodedRows {
    precondition(columns.count == identifiers.count, "one column an identifier")
    let fixedSize = identifiers.reduce(0) {
      $0 + ($1.type.isVariableLength ? 4 : $1.type.slotWidth)
    }
    var sizes = [Int](repeating: fixedSize, count: rowCount)
    for (identifier, column) in zip(identifiers, columns) where identifier.type.isVariableLength {
      variableSizes(column, identifier.type) { row, size in sizes[row] += size }
    }
    var keys = EncodedRows(sizes: sizes)
    keys.fill { memory, offsets in
      var positions = Array(offsets.dropLast())
      for (identifier, column) in zip(identifiers, columns) {
        if identifier.type.isVariableLength {
          for row in 0..<rowCount where !column.isNull(row) {
            let bytes = column.bytes(at: row)
            memory.store(UInt32(bytes.byteCount), at: positions[row])
            memory.store(bytes: bytes, at: positions[row] + 4)
            positions[row] += bytes.byteCount
          }
          for row in 0..<rowCount { positions[row] += 4 }
        } else {
          storeFixedWidth(column, identifier.type, slot: 0, rows: positions, into: &memory)
          for row in 0..<rowCount { positions[row] += identifier.type.slotWidth }
        }
      }
    }
    return keys
  }
}
