/// Columns that a table has without its schema naming them, by their reserved field ids.
enum MetadataColumn: Int32 {
  /// The location of a row's data file.
  case file = 2_147_483_646
  /// The row's position in it.
  case position = 2_147_483_645
  /// The partition spec of the file.
  case specID = 2_147_483_643
  /// Columns of position delete files.
  case deletedPath = 2_147_483_546
  case deletedPosition = 2_147_483_545
  /// Row lineage (format version 3): what identifies a row for ever, and the sequence number of the
  /// commit that last changed it.
  case rowID = 2_147_483_540
  case lastUpdatedSequenceNumber = 2_147_483_539

  /// The column under its name in queries; nil for what only delete files have.
  init?(name: String) {
    switch name {
    case "_file": self = .file
    case "_pos": self = .position
    case "_spec_id": self = .specID
    case "_row_id": self = .rowID
    case "_last_updated_sequence_number": self = .lastUpdatedSequenceNumber
    default: return nil
    }
  }

  /// What rows keep when they are written again (format version 3).
  static let lineage = [rowID.field, lastUpdatedSequenceNumber.field]

  /// As a field of a scan's or a file's schema.
  var field: NestedField {
    switch self {
    case .file: .required(rawValue, "_file", .string)
    case .position: .required(rawValue, "_pos", .long)
    case .specID: .required(rawValue, "_spec_id", .int)
    case .deletedPath: .required(rawValue, "file_path", .string)
    case .deletedPosition: .required(rawValue, "pos", .long)
    case .rowID: .optional(rawValue, "_row_id", .long)
    case .lastUpdatedSequenceNumber:
      .optional(rawValue, "_last_updated_sequence_number", .long)
    }
  }
}
