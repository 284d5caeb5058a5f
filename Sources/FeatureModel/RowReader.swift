/// Reads single features of encoded rows in place: no other feature is decoded, nothing is allocated.
/// Made once for a definition and used for any number of rows.
///
/// A result of nil is null, also for features that are newer than the row. A row that is damaged throws
/// `.malformedRow`. Asking for a feature as another type than its own is a mistake that ends the process.
/// Cost: a few loads a feature.
public struct RowReader: Sendable {
  public let features: [Feature]
  /// The bytes that the slots before each feature take.
  private let slotOffsets: [Int]
  private let acceptsNewerRows: Bool

  /// - Parameter acceptsNewerRows: for rows that were written under a later version of the definition than
  ///   this one: as features are only ever added at the end, they are read by their first ones. Without
  ///   it a row with more features than the definition is malformed.
  public init(_ group: FeatureGroup, acceptsNewerRows: Bool = false) {
    self.acceptsNewerRows = acceptsNewerRows
    features = group.features
    var offset = 0
    slotOffsets = group.features.map { feature in
      defer { offset += feature.type.slotWidth }
      return offset
    }
  }

  /// Where the feature's value, or what points to it, begins; nil for null.
  private func slot(_ index: Int, _ row: RawSpan) throws(FeatureModelError) -> Int? {
    let count = try RowCodec.featureCount(
      row, of: features.count, acceptsMore: acceptsNewerRows)
    guard index < count, !RowCodec.isNull(row, index) else { return nil }
    return RowCodec.slotsStart(count) + slotOffsets[index]
  }

  @inline(__always) private func fixed<Value: BitwiseCopyable>(
    _ index: Int, _ row: RawSpan, _: Value.Type
  ) throws(FeatureModelError) -> Value? {
    guard let slot = try slot(index, row) else { return nil }
    guard let value = row.value(at: slot, as: Value.self) else {
      throw RowCodec.malformed("a value lies beyond the end")
    }
    return value
  }

  private func require(_ index: Int, _ isFitting: Bool) {
    precondition(isFitting, "\(features[index].name) is \(features[index].type)")
  }

  public func isNull(_ index: Int, in row: RawSpan) throws(FeatureModelError) -> Bool {
    try slot(index, row) == nil
  }

  public func boolean(_ index: Int, in row: RawSpan) throws(FeatureModelError) -> Bool? {
    require(index, features[index].type == .boolean)
    return try fixed(index, row, UInt8.self).map { $0 != 0 }
  }

  /// An int, or a date in days since 1970-01-01.
  public func int32(_ index: Int, in row: RawSpan) throws(FeatureModelError) -> Int32? {
    require(index, features[index].type == .int || features[index].type == .date)
    return try fixed(index, row, Int32.self)
  }

  /// A long, or a timestamp in microseconds since 1970-01-01T00:00:00Z.
  public func int64(_ index: Int, in row: RawSpan) throws(FeatureModelError) -> Int64? {
    require(index, features[index].type == .long || features[index].type == .timestamp)
    return try fixed(index, row, Int64.self)
  }

  public func float(_ index: Int, in row: RawSpan) throws(FeatureModelError) -> Float? {
    require(index, features[index].type == .float)
    return try fixed(index, row, Float.self)
  }

  public func double(_ index: Int, in row: RawSpan) throws(FeatureModelError) -> Double? {
    require(index, features[index].type == .double)
    return try fixed(index, row, Double.self)
  }

  /// The unscaled value of a decimal.
  public func decimal(_ index: Int, in row: RawSpan) throws(FeatureModelError) -> Int128? {
    if case .decimal = features[index].type {} else { require(index, false) }
    return try fixed(index, row, Int128.self)
  }

  /// The bytes of a string (UTF-8, not validated), of binary, of a uuid, or of a list: its elements one
  /// behind the other, little-endian, if they have a fixed width. Valid as long as the row is.
  @_lifetime(copy row)
  public func bytes(_ index: Int, in row: RawSpan) throws(FeatureModelError) -> RawSpan? {
    let type = features[index].type
    require(index, type.isVariableLength || type == .uuid)
    guard let slot = try slot(index, row) else { return nil }
    if type.isVariableLength { return try RowCodec.variable(row, slot) }
    guard let value = row.part(at: slot, count: type.slotWidth) else {
      throw RowCodec.malformed("a value lies beyond the end")
    }
    return value
  }

  /// Copies the elements of a list of floats, an embedding for example, into `target`; returns how many
  /// the list has, or nil for null. Those for which there is no room are left out.
  @_lifetime(target: copy target)
  public func copyFloats(
    _ index: Int, in row: RawSpan, to target: inout MutableSpan<Float>
  ) throws(FeatureModelError) -> Int? {
    if case .list(.float, _) = features[index].type {} else { require(index, false) }
    guard let elements = try bytes(index, in: row) else { return nil }
    guard elements.byteCount % 4 == 0 else { throw RowCodec.malformed("half an element") }
    let count = elements.byteCount / 4
    for element in 0..<min(count, target.count) {
      if let value = elements.value(at: element * 4, as: Float.self) { target[element] = value }
    }
    return count
  }

  /// Adds the feature's value to the column that the builder makes.
  ///
  /// - Precondition: the builder has the feature's type.
  public func append(
    _ index: Int, of row: RawSpan, to builder: inout ValueColumnBuilder
  ) throws(FeatureModelError) {
    require(index, builder.type == features[index].type)
    guard let slot = try slot(index, row) else { return builder.appendNull() }
    try builder.append(row, slot: slot)
  }

  /// Any feature as a value; allocates for strings, binary, uuids and lists.
  public func value(_ index: Int, in row: RawSpan) throws(FeatureModelError) -> FeatureValue {
    let type = features[index].type
    guard let slot = try slot(index, row) else { return .null }
    if type.isVariableLength {
      return try FeatureValue(type, variable: try RowCodec.variable(row, slot))
    }
    return try FeatureValue(type, fixed: row, at: slot)
  }
}
