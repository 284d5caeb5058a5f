/// Where the features of a group's rows lie: made once for a definition, used by any number of writers.
public final class RowLayout: Sendable {
  public let groupName: String
  public let features: [Feature]
  /// Where each feature's slot begins in a row.
  fileprivate let slots: [Int]
  /// A row whose features are all null.
  fileprivate let blank: [UInt8]
  /// What a row takes if its strings are short.
  fileprivate let usualSizeBytes: Int

  public init(_ group: FeatureGroup) {
    groupName = group.name
    features = group.features
    var offset = RowCodec.slotsStart(group.features.count)
    slots = group.features.map { feature in
      defer { offset += feature.type.slotWidth }
      return offset
    }
    var blank = [UInt8](repeating: 0, count: offset)
    var elements = blank.mutableSpan
    var memory = unsafe elements.mutableBytes
    memory.store(UInt32(group.features.count), at: 0)
    for index in group.features.indices {
      let byte = 4 + index / 8
      let bits = unsafe memory.unsafeLoadUnaligned(fromByteOffset: byte, as: UInt8.self)
      memory.store(bits | 1 << UInt8(index % 8), at: byte)
    }
    self.blank = blank
    usualSizeBytes = offset + group.features.count { $0.type.isVariableLength } * 32
  }
}

/// Writes one record's features, value by value, straight into the bytes that `RowCodec` reads: nothing is
/// allocated for a value, but where the row outgrows its memory. What is not set is null.
///
/// Features go by their position in the definition, in any order. A value that does not fit its feature is
/// refused, and so is the whole row: `error` says what was wrong first, with the group and the feature.
public struct RowWriter: Sendable {
  private let layout: RowLayout
  /// The row so far; not to be used when there is an `error`.
  public private(set) var bytes: [UInt8] = []
  public private(set) var error: FeatureModelError?

  public init(_ layout: RowLayout) {
    self.layout = layout
    bytes.reserveCapacity(layout.usualSizeBytes)
    bytes.append(contentsOf: layout.blank)
  }

  /// Begins the next row, in the same memory.
  public mutating func removeAll() {
    bytes.removeAll(keepingCapacity: true)
    bytes.append(contentsOf: layout.blank)
    error = nil
  }

  public mutating func set(_ feature: Int, _ value: Bool) {
    guard let slot = slot(feature, "a boolean", { $0 == .boolean }) else { return }
    bytes[slot] = value ? 1 : 0
  }

  /// Sets an int, if the value fits, or a long.
  public mutating func set(_ feature: Int, _ value: Int) {
    guard isThere(feature) else { return }
    guard layout.features[feature].type == .int else { return set(feature, Int64(value)) }
    guard let value = Int32(exactly: value) else { return refuse(feature, "\(value) is no int") }
    set(feature, value)
  }

  /// Sets an int, or a date in days since 1970-01-01.
  public mutating func set(_ feature: Int, _ value: Int32) {
    let slot = slot(feature, "a 32-bit integer") { $0 == .int || $0 == .date }
    if let slot { store(value, at: slot) }
  }

  /// Sets a long, or a timestamp in microseconds since 1970-01-01T00:00:00Z.
  public mutating func set(_ feature: Int, _ value: Int64) {
    let slot = slot(feature, "a 64-bit integer") { $0 == .long || $0 == .timestamp }
    if let slot { store(value, at: slot) }
  }

  public mutating func set(_ feature: Int, _ value: Float) {
    if let slot = slot(feature, "a float", { $0 == .float }) { store(value, at: slot) }
  }

  public mutating func set(_ feature: Int, _ value: Double) {
    if let slot = slot(feature, "a double", { $0 == .double }) { store(value, at: slot) }
  }

  /// Sets a decimal: the value times ten to the power of the type's scale.
  public mutating func set(_ feature: Int, unscaled value: Int128) {
    guard isThere(feature) else { return }
    if case .decimal(let precision, _) = layout.features[feature].type,
      value.magnitude >= FeatureType.powerOfTen(precision)
    {
      return refuse(feature, "\(value) (unscaled) does not fit \(layout.features[feature].type)")
    }
    let slot = slot(feature, "a decimal") { type in
      if case .decimal = type { true } else { false }
    }
    if let slot { store(value, at: slot) }
  }

  public mutating func set(_ feature: Int, _ value: String) {
    guard let slot = slot(feature, "a string", { $0 == .string }),
      point(feature, slot, sizeBytes: value.utf8.count)
    else { return }
    bytes.append(contentsOf: value.utf8)
  }

  /// Sets binary, or the 16 bytes of a uuid, big-endian.
  public mutating func set(_ feature: Int, _ value: [UInt8]) {
    guard let slot = slot(feature, "binary", { $0 == .binary || $0 == .uuid }) else { return }
    if layout.features[feature].type == .uuid {
      guard value.count == 16 else {
        return refuse(feature, "a uuid has 16 bytes, not \(value.count)")
      }
      bytes.replaceSubrange(slot..<slot + 16, with: value)
    } else if point(feature, slot, sizeBytes: value.count) {
      bytes.append(contentsOf: value)
    }
  }

  /// Sets a list of floats, an embedding for example. Their number must be the type's dimension, if it has
  /// one; so with the next.
  public mutating func set(_ feature: Int, _ values: Span<Float>) {
    let isThere = beginList(feature, .float, count: values.count, width: 4)
    if isThere { unsafe values.withUnsafeBytes { unsafe bytes.append(contentsOf: $0) } }
  }

  public mutating func set(_ feature: Int, _ values: [Float]) { set(feature, values.span) }

  public mutating func set(_ feature: Int, _ values: [Double]) {
    let isThere = beginList(feature, .double, count: values.count, width: 8)
    if isThere { unsafe values.withUnsafeBytes { unsafe bytes.append(contentsOf: $0) } }
  }

  public mutating func set(_ feature: Int, _ values: [Int64]) {
    let isThere = beginList(feature, .long, count: values.count, width: 8)
    if isThere { unsafe values.withUnsafeBytes { unsafe bytes.append(contentsOf: $0) } }
  }

  /// Says that a feature is null, as it is unless it is set.
  public mutating func setNull(_ feature: Int) {
    guard isThere(feature), bytes[4 + feature / 8] & 1 << UInt8(feature % 8) == 0 else { return }
    refuse(feature, "is set twice")
  }

  /// Sets a value of any type; lists of values allocate.
  public mutating func set(_ feature: Int, _ value: FeatureValue) {
    switch value {
    case .null: setNull(feature)
    case .boolean(let value): set(feature, value)
    case .int(let value): if fits(feature, .int, value) { set(feature, value) }
    case .date(let value): if fits(feature, .date, value) { set(feature, value) }
    case .long(let value): if fits(feature, .long, value) { set(feature, value) }
    case .timestamp(let value): if fits(feature, .timestamp, value) { set(feature, value) }
    case .float(let value): set(feature, value)
    case .double(let value): set(feature, value)
    case .string(let value): set(feature, value)
    case .binary(let value): if fits(feature, .binary, value) { set(feature, value) }
    case .uuid(let value): if fits(feature, .uuid, value) { set(feature, value) }
    case .decimal(let unscaled): set(feature, unscaled: unscaled)
    case .list: setList(feature, value)
    }
  }

  /// For types that share a way to be set.
  private mutating func fits<Value>(_ feature: Int, _ type: FeatureType, _: Value) -> Bool {
    guard isThere(feature) else { return false }
    if layout.features[feature].type == type { return true }
    refuse(feature, "is \(layout.features[feature].type), not \(type)")
    return false
  }

  private mutating func setList(_ feature: Int, _ value: FeatureValue) {
    let slot = slot(feature, "a list") { type in
      if case .list = type { true } else { false }
    }
    guard let slot else { return }
    let type = layout.features[feature].type
    var builder = ValueColumnBuilder(type)
    do throws(FeatureModelError) { try builder.append(value) } catch {
      return refuse(feature, error.message)
    }
    let column = builder.finish()
    var sizeBytes = 0
    variableSizes(column, type) { sizeBytes = $1 }
    let start = bytes.count
    guard point(feature, slot, sizeBytes: sizeBytes) else { return }
    bytes.append(contentsOf: repeatElement(0, count: sizeBytes))
    var elements = bytes.mutableSpan
    var memory = unsafe elements.mutableBytes
    storeVariable(column, type, row: 0, at: start, into: &memory)
  }

  // MARK: Slots

  private mutating func refuse(_ feature: Int, _ problem: String) {
    guard error == nil else { return }
    let name = layout.features[feature].name
    error = FeatureModelError(
      .invalidValue, "\(layout.groupName):\(name): \(problem)", column: name)
  }

  private mutating func isThere(_ feature: Int) -> Bool {
    if layout.features.indices.contains(feature) { return error == nil }
    if error == nil {
      error = FeatureModelError(
        .unknownFeature, "feature group '\(layout.groupName)' has no feature at \(feature)")
    }
    return false
  }

  /// The slot of a feature that gets its value now; nil if it cannot have one of this kind.
  @inline(__always) private mutating func slot(
    _ feature: Int, _ kind: @autoclosure () -> String, _ fits: (FeatureType) -> Bool
  ) -> Int? {
    guard isThere(feature) else { return nil }
    guard fits(layout.features[feature].type) else {
      refuse(feature, "is \(layout.features[feature].type), not \(kind())")
      return nil
    }
    let (byte, bit) = (4 + feature / 8, 1 << UInt8(feature % 8) as UInt8)
    guard bytes[byte] & bit != 0 else {
      refuse(feature, "is set twice")
      return nil
    }
    bytes[byte] &= ~bit
    return layout.slots[feature]
  }

  @inline(__always)
  private mutating func store<Value: BitwiseCopyable>(_ value: Value, at slot: Int) {
    var elements = bytes.mutableSpan
    var memory = unsafe elements.mutableBytes
    memory.store(value, at: slot)
  }

  /// Lets a slot point to the bytes that are about to be appended.
  private mutating func point(_ feature: Int, _ slot: Int, sizeBytes: Int) -> Bool {
    guard let end = UInt32(exactly: bytes.count + sizeBytes) else {
      refuse(feature, "the record takes more than 4 GiB")
      return false
    }
    store(end - UInt32(sizeBytes), at: slot)
    store(UInt32(sizeBytes), at: slot + 4)
    return true
  }

  private mutating func beginList(
    _ feature: Int, _ element: FeatureType, count: Int, width: Int
  ) -> Bool {
    let slot = slot(feature, "a list of \(element)s") { type in
      if case .list(element, _) = type { true } else { false }
    }
    guard let slot else { return false }
    if case .list(_, let dimension?) = layout.features[feature].type, dimension != count {
      refuse(feature, "has \(count) elements, not \(dimension)")
      return false
    }
    return point(feature, slot, sizeBytes: count * width)
  }
}
