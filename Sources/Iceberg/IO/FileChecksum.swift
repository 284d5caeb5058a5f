import Avro
import JSON
import Storage

/// The checksum that our metadata, manifest lists and manifests carry within themselves: a changed byte
/// can leave a file of the same format, which with another field id or path gives other rows, and no
/// error. Other writers do not leave one, and other readers pass over it.
enum FileChecksum {
  static let key = "fstore.checksum"
  static let digitCount = CRC32C.noDigits.count

  static func mismatch(_ location: String) -> IcebergError {
    IcebergError(
      .invalidMetadata, "the file '\(location)' is not as it was written: its checksum is wrong")
  }
}

/// The checksum of table metadata: its last member, of the text before it.
///
/// Who writes the text anew does not leave the member, or not in this place and form, and is not
/// checked.
enum MetadataChecksum {
  private static let prefix = Array(#","\#(FileChecksum.key)":""#.utf8)
  private static let suffix = Array(#""}"#.utf8)
  private static let sizeBytes = prefix.count + FileChecksum.digitCount + suffix.count

  /// Gives the text of an object, which is not empty, the member.
  static func seal(_ text: inout [UInt8]) {
    text.removeLast()
    let digits = CRC32C(of: text.rawSpan).digits
    text += prefix
    text += digits
    text += suffix
  }

  /// Throws when the text ends with a checksum and it is another text's.
  static func check(_ text: [UInt8], at location: String) throws(IcebergError) {
    guard text.count > sizeBytes, text.ends(with: suffix) else { return }
    let content = text.count - sizeBytes
    guard text[content...].starts(with: prefix) else { return }
    let found = text[(content + prefix.count)...].prefix(FileChecksum.digitCount)
    let checksum = CRC32C(of: text.rawSpan.extracting(0..<content))
    guard found.elementsEqual(checksum.digits) else {
      throw FileChecksum.mismatch(location)
    }
  }
}

/// The checksum of an Avro file: a value of its header, of all its bytes with zeros for the digits.
enum AvroChecksum {
  /// What the header has until the file is whole.
  static let entry = (key: FileChecksum.key, value: "00000000")

  /// The file with the checksum in the place of `entry`.
  static func seal(_ file: consuming [UInt8]) throws(AvroError) -> [UInt8] {
    var file = file
    guard let place = place(try AvroFileReader.places(in: file)) else { return file }
    let digits = CRC32C(of: file.rawSpan).digits
    file.replaceSubrange(place, with: digits)
    return file
  }

  /// Throws when the file has a checksum and it is another file's.
  ///
  /// - Parameter reader: of these bytes.
  static func check(
    _ file: [UInt8], _ reader: AvroFileReader, at location: String
  ) throws(IcebergError) {
    guard let place = place(reader.places) else { return }
    let checksum = CRC32C(of: file.rawSpan, withoutDigitsAt: place)
    guard file[place].elementsEqual(checksum.digits) else {
      throw FileChecksum.mismatch(location)
    }
  }

  private static func place(_ places: [String: Range<Int>]) -> Range<Int>? {
    places[FileChecksum.key].flatMap { $0.count == FileChecksum.digitCount ? $0 : nil }
  }
}

extension [UInt8] {
  fileprivate func ends(with other: [UInt8]) -> Bool { suffix(other.count).elementsEqual(other) }
}

extension TableMetadata {
  /// Metadata from the bytes of the file at `location`, gzip or plain.
  init(fileContent bytes: [UInt8], at location: String) throws(IcebergError) {
    let text = try TableMetadata.plain(bytes)
    try MetadataChecksum.check(text, at: location)
    let json = try TableMetadata.parsed(text)
    try FileNameMark.check(json.optional(FileNameMark.key)?.stringValue, at: location)
    try self.init(json: json)
  }
}
