import JSON

/// Typed access to the members of metadata objects: what is missing or of another type is an error
/// that names the member. JSON null counts as absent.
extension JSONValue {
  /// The member, or nil when it is absent or null.
  func optional(_ key: String) -> JSONValue? {
    guard let value = self[key], value != .null else { return nil }
    return value
  }

  func required(_ key: String) throws(IcebergError) -> JSONValue {
    guard objectValue != nil else {
      throw IcebergError(.invalidMetadata, "expected an object with '\(key)', found \(kind)")
    }
    guard let value = optional(key) else {
      throw IcebergError(.invalidMetadata, "'\(key)' is missing")
    }
    return value
  }

  func requiredString(_ key: String) throws(IcebergError) -> String {
    let value = try required(key)
    guard let text = value.stringValue else { throw value.mismatch(key, "a string") }
    return text
  }

  func optionalString(_ key: String) throws(IcebergError) -> String? {
    optional(key) == nil ? nil : try requiredString(key)
  }

  func requiredInt64(_ key: String) throws(IcebergError) -> Int64 {
    let value = try required(key)
    guard let number = value.int64Value else { throw value.mismatch(key, "a 64-bit integer") }
    return number
  }

  func optionalInt64(_ key: String) throws(IcebergError) -> Int64? {
    optional(key) == nil ? nil : try requiredInt64(key)
  }

  func requiredInt32(_ key: String) throws(IcebergError) -> Int32 {
    let value = try required(key)
    guard let wide = value.int64Value, let number = Int32(exactly: wide) else {
      throw value.mismatch(key, "a 32-bit integer")
    }
    return number
  }

  func optionalInt32(_ key: String) throws(IcebergError) -> Int32? {
    optional(key) == nil ? nil : try requiredInt32(key)
  }

  func requiredBool(_ key: String) throws(IcebergError) -> Bool {
    let value = try required(key)
    guard let flag = value.boolValue else { throw value.mismatch(key, "a boolean") }
    return flag
  }

  func requiredArray(_ key: String) throws(IcebergError) -> [JSONValue] {
    let value = try required(key)
    guard let elements = value.arrayValue else { throw value.mismatch(key, "an array") }
    return elements
  }

  func optionalArray(_ key: String) throws(IcebergError) -> [JSONValue]? {
    optional(key) == nil ? nil : try requiredArray(key)
  }

  /// An array of 32-bit integers; nil when absent.
  func optionalInt32Array(_ key: String) throws(IcebergError) -> [Int32]? {
    guard let elements = try optionalArray(key) else { return nil }
    var numbers: [Int32] = []
    numbers.reserveCapacity(elements.count)
    for element in elements {
      guard let wide = element.int64Value, let number = Int32(exactly: wide) else {
        throw element.mismatch(key, "an array of 32-bit integers")
      }
      numbers.append(number)
    }
    return numbers
  }

  func mismatch(_ key: String, _ expected: String) -> IcebergError {
    IcebergError(.invalidMetadata, "'\(key)' must be \(expected), found \(kind)")
  }
}
