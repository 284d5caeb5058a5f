/// One line of a manifest: a file, and what happened to it in which snapshot.
public struct ManifestEntry: Hashable, Sendable {
  public enum Status: Int32, Hashable, Sendable {
    case existing = 0
    case added = 1
    case deleted = 2
  }

  public var status: Status
  /// The snapshot that added the file, or deleted it when the status says so. A reader has filled
  /// it in; for a writer nil means "inherit from the manifest".
  public var snapshotID: Int64?
  /// The sequence number of the file's data. For a writer, nil means "inherit", which only an
  /// added entry may.
  public var sequenceNumber: Int64?
  /// The sequence number of the commit that added the file.
  public var fileSequenceNumber: Int64?
  public var dataFile: DataFile

  public init(
    status: Status, snapshotID: Int64? = nil, sequenceNumber: Int64? = nil,
    fileSequenceNumber: Int64? = nil, dataFile: DataFile
  ) {
    self.status = status
    self.snapshotID = snapshotID
    self.sequenceNumber = sequenceNumber
    self.fileSequenceNumber = fileSequenceNumber
    self.dataFile = dataFile
  }

  /// Whether the file is part of the table: added or existing.
  public var isLive: Bool { status != .deleted }
}
