/// What the files of a manifest are.
public enum ManifestContent: Int32, Hashable, Sendable {
  case data = 0
  case deletes = 1

  /// The word in a manifest's header.
  public var text: String {
    switch self {
    case .data: "data"
    case .deletes: "deletes"
    }
  }
}

/// The range of one partition field over all files of a manifest.
public struct PartitionFieldSummary: Hashable, Sendable {
  public var containsNull: Bool
  /// nil when unknown.
  public var containsNaN: Bool?
  /// Bounds as `Literal(boundBytes:type:)` reads them; nil when all values are null or NaN.
  public var lowerBound: [UInt8]?
  public var upperBound: [UInt8]?

  public init(
    containsNull: Bool, containsNaN: Bool? = nil, lowerBound: [UInt8]? = nil,
    upperBound: [UInt8]? = nil
  ) {
    self.containsNull = containsNull
    self.containsNaN = containsNaN
    self.lowerBound = lowerBound
    self.upperBound = upperBound
  }
}

/// A manifest as a manifest list describes it.
public struct ManifestFile: Hashable, Sendable {
  /// The sequence number of a manifest whose commit has not got one yet: resolved when the
  /// manifest list is written.
  public static let unassignedSequenceNumber: Int64 = -1

  public var path: String
  /// The manifest's size in bytes.
  public var length: Int64
  public var partitionSpecID: Int32
  public var content: ManifestContent
  /// The sequence number of the commit that added the manifest.
  public var sequenceNumber: Int64
  /// The lowest data sequence number of its live entries.
  public var minSequenceNumber: Int64
  public var addedSnapshotID: Int64
  /// Counts; nil means unknown, to be taken as "some".
  public var addedFilesCount: Int32?
  public var existingFilesCount: Int32?
  public var deletedFilesCount: Int32?
  public var addedRowsCount: Int64?
  public var existingRowsCount: Int64?
  public var deletedRowsCount: Int64?
  /// One summary a partition field; nil when unknown.
  public var partitions: [PartitionFieldSummary]?
  public var keyMetadata: [UInt8]?
  /// The first row id for data files without one (format version 3).
  public var firstRowID: Int64?

  public init(
    path: String, length: Int64, partitionSpecID: Int32, content: ManifestContent = .data,
    sequenceNumber: Int64 = ManifestFile.unassignedSequenceNumber,
    minSequenceNumber: Int64 = ManifestFile.unassignedSequenceNumber, addedSnapshotID: Int64
  ) {
    self.path = path
    self.length = length
    self.partitionSpecID = partitionSpecID
    self.content = content
    self.sequenceNumber = sequenceNumber
    self.minSequenceNumber = minSequenceNumber
    self.addedSnapshotID = addedSnapshotID
  }

  /// Whether there may be added entries; an unknown count means yes.
  public var hasAddedFiles: Bool { addedFilesCount != 0 }
  public var hasExistingFiles: Bool { existingFilesCount != 0 }
  public var hasDeletedFiles: Bool { deletedFilesCount != 0 }
}
