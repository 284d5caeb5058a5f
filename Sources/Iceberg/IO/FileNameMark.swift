import JSON

/// The name under which a file was written, kept in the file itself, so that one that lies in another's
/// place is found out. Other writers do not leave one, and other readers pass over it: the formats allow
/// keys of one's own (Avro and Parquet), or say to ignore unknown members (table metadata).
enum FileNameMark {
  static let key = "fstore.file-name"

  static func entry(_ location: String) -> (key: String, value: String) {
    (key, Location.lastComponent(of: location))
  }

  /// Throws when the file at a location says that it is another.
  static func check(_ mark: String?, at location: String) throws(IcebergError) {
    guard let mark, mark != Location.lastComponent(of: location) else { return }
    throw IcebergError(
      .invalidMetadata, "the file '\(location)' was written as '\(mark)': it is another one")
  }
}

extension TableMetadata {
  /// What the file at `location` holds.
  func content(at location: String) -> [UInt8] {
    guard case .object(var object) = json else { return json.utf8() }
    object[FileNameMark.key] = .string(FileNameMark.entry(location).value)
    return JSONValue.object(object).utf8()
  }

  /// Metadata from the bytes of the file at `location`, gzip or plain.
  init(fileContent bytes: [UInt8], at location: String) throws(IcebergError) {
    let json = try TableMetadata.parsed(bytes)
    try FileNameMark.check(json.optional(FileNameMark.key)?.stringValue, at: location)
    try self.init(json: json)
  }
}
