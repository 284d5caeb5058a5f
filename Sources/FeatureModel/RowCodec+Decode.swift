public import Columnar

extension RowCodec {
  static func malformed(_ message: String) -> FeatureModelError {
    FeatureModelError(.malformedRow, "malformed row: \(message)")
  }

  /// How many features a row has, after a check that the fixed part is all there. Only a row that is
  /// known to be of a later definition may have more than are known.
  static func featureCount(
    _ row: RawSpan, of known: Int, acceptsMore: Bool = false
  ) throws(FeatureModelError) -> Int {
    guard let stored = row.value(at: 0, as: UInt32.self), let count = Int(exactly: stored) else {
      throw malformed("\(row.byteCount) bytes are no row")
    }
    guard count <= known || acceptsMore else {
      throw malformed("\(count) features, the definition has \(known)")
    }
    guard row.byteCount >= slotsStart(count) else { throw malformed("cut off in its null bitmap") }
    return count
  }

  static func isNull(_ row: RawSpan, _ index: Int) -> Bool {
    let byte = row.value(at: 4 + index / 8, as: UInt8.self) ?? 0xFF
    return byte & (1 << UInt8(index % 8)) != 0
  }

  /// The bytes that a slot of a variable-length value points to.
  @_lifetime(copy row)
  static func variable(_ row: RawSpan, _ slot: Int) throws(FeatureModelError) -> RawSpan {
    guard let offset = row.value(at: slot, as: UInt32.self),
      let count = row.value(at: slot + 4, as: UInt32.self),
      let part = row.part(at: Int(offset), count: Int(count))
    else { throw malformed("a value lies beyond the end") }
    return part
  }

  static func forEachVariableElement(
    _ bytes: RawSpan, _ body: (RawSpan) throws(FeatureModelError) -> Void
  ) throws(FeatureModelError) {
    guard let stored = bytes.value(at: 0, as: UInt32.self) else { throw malformed("no count") }
    let count = Int(stored)
    guard count <= (bytes.byteCount - 4) / 4 else { throw malformed("a list beyond the end") }
    let start = 4 + 4 * count
    var previous = 0
    for index in 0..<count {
      let end = Int(bytes.value(at: 4 + 4 * index, as: UInt32.self) ?? 0)
      guard end >= previous, let part = bytes.part(at: start + previous, count: end - previous)
      else { throw malformed("an element beyond the end") }
      try body(part)
      previous = end
    }
  }

  /// Decodes rows into the features' columns, one pass over the rows for each column.
  ///
  /// Rows of older versions give nulls for the features that they lack; a row that is nil (a
  /// tombstone's) gives nulls everywhere.
  ///
  /// - Parameter acceptsNewerRows: whether rows of a later version of the definition give what this
  ///   version knows; they are malformed otherwise.
  public func decode(
    _ rows: EncodedRows, isPresent: [Bool], acceptsNewerRows: Bool = false
  ) throws(FeatureModelError) -> [Column] {
    precondition(rows.count == isPresent.count, "one flag a row")
    var counts: [Int] = []
    counts.reserveCapacity(rows.count)
    for row in 0..<rows.count {
      counts.append(
        isPresent[row]
          ? try RowCodec.featureCount(
            rows[row], of: features.count, acceptsMore: acceptsNewerRows) : 0)
    }
    var columns: [Column] = []
    for index in features.indices {
      columns.append(try decode(feature: index, rows, counts))
    }
    return columns
  }

  private func decode(
    feature index: Int, _ rows: EncodedRows, _ counts: [Int]
  ) throws(FeatureModelError) -> Column {
    let type = features[index].type
    // Nearly always all rows have the same number of features, so the slot is found once.
    var slot: RowSlot?
    var slotCount = -1
    var builder = ValueColumnBuilder(type)
    for row in 0..<rows.count {
      if counts[row] != slotCount {
        slotCount = counts[row]
        slot = RowSlot(features, index: index, count: slotCount)
      }
      let bytes = rows[row]
      guard let slot, !RowCodec.isNull(bytes, index) else {
        builder.appendNull()
        continue
      }
      try builder.append(bytes, slot: slot.byteOffset)
    }
    return builder.finish()
  }
}

extension KeyCodec {
  /// Decodes keys into the record identifiers' columns.
  public func decode(_ keys: EncodedRows) throws(FeatureModelError) -> [Column] {
    var builders = identifiers.map { ValueColumnBuilder($0.type) }
    for row in 0..<keys.count {
      let key = keys[row]
      var position = 0
      for (index, identifier) in identifiers.enumerated() {
        if identifier.type.isVariableLength {
          guard let count = key.value(at: position, as: UInt32.self),
            let value = key.part(at: position + 4, count: Int(count))
          else { throw RowCodec.malformed("a key cut off") }
          try builders[index].append(value)
          position += 4 + Int(count)
        } else {
          try builders[index].append(key, slot: position)
          position += identifier.type.slotWidth
        }
      }
      guard position == key.byteCount else { throw RowCodec.malformed("a key of another shape") }
    }
    return builders.indices.map { builders[$0].finish() }
  }

  /// The values of one key.
  public func values(_ key: [UInt8]) throws(FeatureModelError) -> [FeatureValue] {
    var values: [FeatureValue] = []
    let bytes = key.rawBytes
    var position = 0
    for identifier in identifiers {
      if identifier.type.isVariableLength {
        guard let count = bytes.value(at: position, as: UInt32.self),
          let part = bytes.part(at: position + 4, count: Int(count))
        else { throw RowCodec.malformed("a key cut off") }
        values.append(try FeatureValue(identifier.type, variable: part))
        position += 4 + Int(count)
      } else {
        values.append(try FeatureValue(identifier.type, fixed: bytes, at: position))
        position += identifier.type.slotWidth
      }
    }
    guard position == bytes.byteCount else { throw RowCodec.malformed("a key of another shape") }
    return values
  }
}
