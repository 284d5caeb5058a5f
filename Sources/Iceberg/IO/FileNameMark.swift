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
