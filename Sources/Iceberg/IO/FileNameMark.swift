import JSON
import Storage

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

/// The checksum at the end of table metadata, as its last member. Changed text can be table metadata
/// all the same, with another field id for one: it would give other rows, and no error.
///
/// Who writes the text anew does not leave the member, or not in this place and form, and is not
/// checked.
enum MetadataChecksum {
  static let key = "fstore.checksum"
  private static let prefix = Array(#","\#(key)":""#.utf8)
  private static let suffix = Array(#""}"#.utf8)
  private static let digitCount = 8
  private static let sizeBytes = prefix.count + digitCount + suffix.count

  /// The text of an object, which is not empty, with the member.
  static func seal(_ object: [UInt8]) -> [UInt8] {
    let text = Array(object.dropLast())
    return text + prefix + digits(text) + suffix
  }

  /// Throws when the text ends with a checksum and it is another text's.
  static func check(_ text: [UInt8], at location: String) throws(IcebergError) {
    guard text.count > sizeBytes, text.ends(with: suffix) else { return }
    let content = text.count - sizeBytes
    guard text[content...].starts(with: prefix) else { return }
    let found = text[(content + prefix.count)...].prefix(digitCount)
    guard !found.elementsEqual(digits(Array(text[..<content]))) else { return }
    throw IcebergError(
      .invalidMetadata,
      "the metadata file '\(location)' is not as it was written: its checksum is wrong")
  }

  private static func digits(_ text: [UInt8]) -> [UInt8] {
    let digits = Array(String(CRC32C(of: text.rawSpan).value, radix: 16).utf8)
    return [UInt8](repeating: UInt8(ascii: "0"), count: digitCount - digits.count) + digits
  }
}

extension [UInt8] {
  fileprivate func ends(with other: [UInt8]) -> Bool { suffix(other.count).elementsEqual(other) }
}

extension TableMetadata {
  /// What the file at `location` holds.
  func content(at location: String) -> [UInt8] {
    guard case .object(var object) = json else { return json.utf8() }
    object[FileNameMark.key] = .string(FileNameMark.entry(location).value)
    return MetadataChecksum.seal(JSONValue.object(object).utf8())
  }

  /// Metadata from the bytes of the file at `location`, gzip or plain.
  init(fileContent bytes: [UInt8], at location: String) throws(IcebergError) {
    let text = try TableMetadata.plain(bytes)
    try MetadataChecksum.check(text, at: location)
    let json = try TableMetadata.parsed(text)
    try FileNameMark.check(json.optional(FileNameMark.key)?.stringValue, at: location)
    try self.init(json: json)
  }
}
