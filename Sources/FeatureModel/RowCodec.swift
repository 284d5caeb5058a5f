public import Columnar

/// Encodes the features of a record into one byte string whose fields can be read in place, and back.
///
/// Layout, little-endian: `UInt32` number of features n; null bitmap of n bits (1 for null), in whole
/// bytes; n slots, one behind the other, each as wide as its type (boolean 1; int, float, date 4;
/// long, double, timestamp 8; decimal, uuid 16) or, for strings, binary and lists, `UInt32` offset from
/// the row's start and `UInt32` bytes; then the bytes of those. A definition only ever adds features
/// at its end, so a row of an older version is a row with fewer slots.
public struct RowCodec: Sendable {
  public let features: [Feature]

  public init(_ group: FeatureGroup) { features = group.features }

  /// Where the slots begin in a row of `count` features.
  static func slotsStart(_ count: Int) -> Int { 4 + (count + 7) / 8 }

  /// Encodes every row of a batch: `columns` are the features' columns in the definition's order.
  ///
  /// - Precondition: the columns have the features' types and equal lengths.
  public func encode(_ columns: some Collection<Column>, rowCount: Int) -> EncodedRows {
    precondition(columns.count == features.count, "one column a feature")
    let fixedSize =
      RowCodec.slotsStart(features.count) + features.reduce(0) { $0 + $1.type.slotWidth }
    var sizes = [Int](repeating: fixedSize, count: rowCount)
    for (feature, column) in zip(features, columns) where feature.type.isVariableLength {
      variableSizes(column, feature.type) { row, size in sizes[row] += size }
    }
    var rows = EncodedRows(sizes: sizes)
    rows.fill { memory, offsets in
      for row in 0..<rowCount { memory.store(UInt32(features.count), at: offsets[row]) }
      var tails = (0..<rowCount).map { offsets[$0] + fixedSize }
      var slot = RowCodec.slotsStart(features.count)
      for (index, (feature, column)) in zip(features, columns).enumerated() {
        storeNulls(column, index: index, rows: offsets, into: &memory)
        if feature.type.isVariableLength {
          storeVariables(
            column, feature.type, slot: slot, rows: offsets, tails: &tails, into: &memory)
        } else {
          storeFixedWidth(column, feature.type, slot: slot, rows: offsets, into: &memory)
        }
        slot += feature.type.slotWidth
      }
    }
    return rows
  }

  @_lifetime(memory: copy memory)
  private func storeNulls(
    _ column: Column, index: Int, rows: [Int], into memory: inout MutableRawSpan
  ) {
    guard column.nullCount > 0 else { return }
    for row in 0..<column.count where column.isNull(row) {
      let byte = rows[row] + 4 + index / 8
      let bits = unsafe memory.unsafeLoadUnaligned(fromByteOffset: byte, as: UInt8.self)
      memory.store(bits | 1 << UInt8(index % 8), at: byte)
    }
  }

  @_lifetime(memory: copy memory)
  private func storeVariables(
    _ column: Column, _ type: FeatureType, slot: Int, rows: [Int], tails: inout [Int],
    into memory: inout MutableRawSpan
  ) {
    var sizes = [Int](repeating: 0, count: column.count)
    variableSizes(column, type) { sizes[$0] = $1 }
    for row in 0..<column.count where !column.isNull(row) {
      memory.store(UInt32(tails[row] - rows[row]), at: rows[row] + slot)
      memory.store(UInt32(sizes[row]), at: rows[row] + slot + 4)
      storeVariable(column, type, row: row, at: tails[row], into: &memory)
      tails[row] += sizes[row]
    }
  }
}

/// The place of one feature in rows of one number of features.
struct RowSlot {
  var index: Int
  var type: FeatureType
  var byteOffset: Int

  /// The slot of feature `index` in a row that has `count` features; nil when the row is older than
  /// the feature.
  init?(_ features: [Feature], index: Int, count: Int) {
    guard index < count, index < features.count else { return nil }
    self.index = index
    type = features[index].type
    byteOffset =
      RowCodec.slotsStart(count) + features[..<index].reduce(0) { $0 + $1.type.slotWidth }
  }
}
