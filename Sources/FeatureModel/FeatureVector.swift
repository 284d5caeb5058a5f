/// The encoded features of one record, whose fields are read in place: nothing is decoded before it
/// is asked for.
public struct FeatureVector: Sendable {
  private let features: [Feature]
  private let row: [UInt8]
  private let count: Int

  /// Takes a row that `RowCodec` encoded under this version of the definition or an older one.
  /// Throws `.malformedRow` when it is none.
  public init(_ group: FeatureGroup, row: [UInt8]) throws(FeatureModelError) {
    features = group.features
    self.row = row
    count = try RowCodec.featureCount(row.rawBytes, of: group.features.count)
  }

  /// The value of a feature by its position in the definition; null for features that are newer
  /// than the record.
  public func value(at index: Int) throws(FeatureModelError) -> FeatureValue {
    guard let slot = RowSlot(features, index: index, count: count) else { return .null }
    let bytes = row.rawBytes
    guard !RowCodec.isNull(bytes, slot.index) else { return .null }
    if slot.type.isVariableLength {
      let value = try RowCodec.variable(bytes, slot.byteOffset)
      return try FeatureValue(slot.type, variable: value)
    }
    return try FeatureValue(slot.type, fixed: bytes, at: slot.byteOffset)
  }
}

extension FeatureValue {
  /// Reads a fixed-width value as codecs store it.
  init(_ type: FeatureType, fixed bytes: RawSpan, at offset: Int) throws(FeatureModelError) {
    let value: FeatureValue? =
      switch type {
      case .boolean: bytes.value(at: offset, as: UInt8.self).map { .boolean($0 != 0) }
      case .int: bytes.value(at: offset, as: Int32.self).map { .int($0) }
      case .long: bytes.value(at: offset, as: Int64.self).map { .long($0) }
      case .float: bytes.value(at: offset, as: Float.self).map { .float($0) }
      case .double: bytes.value(at: offset, as: Double.self).map { .double($0) }
      case .date: bytes.value(at: offset, as: Int32.self).map { .date($0) }
      case .timestamp: bytes.value(at: offset, as: Int64.self).map { .timestamp($0) }
      case .decimal: bytes.value(at: offset, as: Int128.self).map { .decimal(unscaled: $0) }
      case .uuid:
        if let part = bytes.part(at: offset, count: 16) { .uuid(part.array()) } else { nil }
      case .string, .binary, .list: nil
      }
    guard let value else { throw RowCodec.malformed("a value lies beyond the end") }
    self = value
  }

  /// Reads a variable-length value as codecs store it.
  init(_ type: FeatureType, variable bytes: RawSpan) throws(FeatureModelError) {
    switch type {
    case .string:
      guard let text = String(validating: bytes.array(), as: UTF8.self) else {
        throw RowCodec.malformed("a string is not UTF-8")
      }
      self = .string(text)
    case .binary: self = .binary(bytes.array())
    case .list(let element, _): self = .list(try FeatureValue.elements(element, bytes))
    default: throw RowCodec.malformed("\(type) has a fixed width")
    }
  }

  private static func elements(
    _ element: FeatureType, _ bytes: RawSpan
  ) throws(FeatureModelError) -> [FeatureValue] {
    var values: [FeatureValue] = []
    if element.isVariableLength {
      try RowCodec.forEachVariableElement(bytes) { part throws(FeatureModelError) in
        values.append(try FeatureValue(element, variable: part))
      }
    } else {
      let width = element.slotWidth
      guard bytes.byteCount % width == 0 else { throw RowCodec.malformed("half an element") }
      for offset in stride(from: 0, to: bytes.byteCount, by: width) {
        values.append(try FeatureValue(element, fixed: bytes, at: offset))
      }
    }
    return values
  }
}
