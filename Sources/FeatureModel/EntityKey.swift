/// The key of one entity of one feature group, encoded as `KeyCodec` encodes it.
public struct EntityKey: Hashable, Sendable {
  /// The group that it is a key of.
  public let groupID: UInt32
  public let bytes: [UInt8]

  public init(groupID: UInt32, bytes: [UInt8]) {
    self.groupID = groupID
    self.bytes = bytes
  }
}

/// Builds an entity key value by value, in the order of the group's record identifiers.
///
/// A value that does not fit its identifier is refused, and so is the whole key: `finish` throws what was
/// wrong first.
public struct KeyWriter: Sendable {
  private let group: FeatureGroup
  private var bytes: [UInt8] = []
  private var count = 0
  private var error: FeatureModelError?

  public init(_ group: FeatureGroup) {
    self.group = group
    bytes.reserveCapacity(64)
  }

  public mutating func append(_ value: Bool) {
    if expects("a boolean", { $0 == .boolean }) { bytes.append(value ? 1 : 0) }
  }

  /// Appends an int, if the value fits, or a long.
  public mutating func append(_ value: Int) {
    guard count < group.recordIdentifiers.count, group.recordIdentifiers[count].type == .int else {
      return append(Int64(value))
    }
    guard let value = Int32(exactly: value) else { return refuse("\(value) is no int") }
    append(value)
  }

  /// Appends an int, or a date in days since 1970-01-01.
  public mutating func append(_ value: Int32) {
    if expects("a 32-bit integer", { $0 == .int || $0 == .date }) { store(value) }
  }

  /// Appends a long, or a timestamp in microseconds since 1970-01-01T00:00:00Z.
  public mutating func append(_ value: Int64) {
    if expects("a 64-bit integer", { $0 == .long || $0 == .timestamp }) { store(value) }
  }

  public mutating func append(_ value: String) {
    guard expects("a string", { $0 == .string }), fits(value.utf8.count) else { return }
    store(UInt32(value.utf8.count))
    bytes.append(contentsOf: value.utf8)
  }

  /// Appends binary, or the 16 bytes of a uuid, big-endian.
  public mutating func append(_ value: [UInt8]) {
    guard expects("binary", { $0 == .binary || $0 == .uuid }), fits(value.count) else { return }
    if group.recordIdentifiers[count - 1].type == .binary {
      store(UInt32(value.count))
    } else if value.count != 16 {
      count -= 1
      return refuse("a uuid has 16 bytes, not \(value.count)")
    }
    bytes.append(contentsOf: value)
  }

  public mutating func append(_ value: FeatureValue) {
    switch value {
    case .boolean(let value): append(value)
    case .int(let value): if isNext(.int) { append(value) }
    case .date(let value): if isNext(.date) { append(value) }
    case .long(let value): if isNext(.long) { append(value) }
    case .timestamp(let value): if isNext(.timestamp) { append(value) }
    case .string(let value): append(value)
    case .binary(let value): if isNext(.binary) { append(value) }
    case .uuid(let value): if isNext(.uuid) { append(value) }
    case .null, .float, .double, .decimal, .list: _ = expects(value.kind) { _ in false }
    }
  }

  /// The key. Throws `.invalidValue` when a value did not fit, `.missingValue` when one is missing.
  public func finish() throws(FeatureModelError) -> EntityKey {
    if let error { throw error }
    guard count == group.recordIdentifiers.count else {
      let missing = group.recordIdentifiers[count].name
      throw FeatureModelError(
        .missingValue,
        "the record identifier '\(missing)' of '\(group.name)' is missing: its key is "
          + group.recordIdentifiers.map(\.name).joined(separator: ", "), column: missing)
    }
    guard bytes.count <= KeyCodec.maximumByteCount else { throw tooLong }
    return EntityKey(groupID: group.id, bytes: bytes)
  }

  private var tooLong: FeatureModelError {
    FeatureModelError(
      .invalidValue, "the entity key takes more than \(KeyCodec.maximumByteCount) bytes")
  }

  private mutating func refuse(_ problem: String) {
    guard error == nil else { return }
    let name = group.recordIdentifiers[count].name
    error = FeatureModelError(.invalidValue, "\(group.name):\(name): \(problem)", column: name)
  }

  /// A long value is not even copied.
  private mutating func fits(_ sizeBytes: Int) -> Bool {
    if sizeBytes <= KeyCodec.maximumByteCount { return true }
    error = tooLong
    return false
  }

  private mutating func isNext(_ type: FeatureType) -> Bool {
    expects("\(type)", advances: false) { $0 == type }
  }

  /// Whether the next identifier takes such a value.
  private mutating func expects(
    _ kind: @autoclosure () -> String, advances: Bool = true, _ fits: (FeatureType) -> Bool
  ) -> Bool {
    guard error == nil else { return false }
    guard count < group.recordIdentifiers.count else {
      error = FeatureModelError(
        .invalidValue,
        "a key of '\(group.name)' has \(group.recordIdentifiers.count) values, not more")
      return false
    }
    guard fits(group.recordIdentifiers[count].type) else {
      refuse("is \(group.recordIdentifiers[count].type), not \(kind())")
      return false
    }
    if advances { count += 1 }
    return true
  }

  private mutating func store<Value: BitwiseCopyable>(_ value: Value) {
    unsafe withUnsafeBytes(of: value) { unsafe bytes.append(contentsOf: $0) }
  }
}
