/// What one commit does to a table's files.
struct FileChange: Sendable {
  var operation: SnapshotOperation
  /// Data files and delete files.
  var added: [DataFile] = []
  /// Data files that leave the table; every one must be live on the head.
  var removed: [DataFile] = []
  /// Delete files that leave the table because others of `added` say the same and more.
  var removedDeletes: [DataFile] = []
  /// Whether a replacement adds delete files, which say the same as those that it removes.
  var rewritesDeletes = false
  /// The paths of those of `removed` whose every row goes, whatever others delete in them.
  var removedAsWhole: Set<String> = []
  /// For changes of rows: what others must not have done meanwhile.
  var rules: ConflictRules?
  /// Explicit data sequence number of the added files, when their rows are from the past.
  var dataSequenceNumber: Int64?
  /// The snapshot from which a replacement was planned; deletes since then must not be lost.
  var startingSnapshotID: Int64?
  /// Whether that is the head of the branch in the table that the commit was made from.
  var startsAtTable = false
  /// Rows that a replacement left out because delete files removed them.
  var rowsRemovedByDeletes: Int64 = 0
  /// nil follows `commit.manifest-merge.enabled`.
  var mergesManifests: Bool?
  /// Manifests that leave the list, and others with the same live files that take their place.
  var removedManifests: [ManifestFile] = []
  var addedManifests: [ManifestFile] = []

  /// Checks what can be checked without the table's head.
  func validate() throws(IcebergError) {
    var addedPaths: Set<String> = []
    for file in added {
      // The same path twice would count its rows twice, for ever.
      guard addedPaths.insert(file.commitKey).inserted else {
        throw IcebergError(.invalidArgument, "'\(file.path)' is added twice in one commit")
      }
      guard operation != .replace || rewritesDeletes || file.content == .data else {
        throw IcebergError(
          .invalidArgument, "'\(file.path)' has deletes, which a replacement cannot add")
      }
      guard file.recordCount >= 0, file.fileSizeInBytes >= 0 else {
        throw IcebergError(.invalidArgument, "'\(file.path)' has a negative count or size")
      }
    }
    var removedPaths: Set<String> = []
    for files in [removed, removedDeletes] {
      for file in files {
        guard removedPaths.insert(file.commitKey).inserted else {
          throw IcebergError(.invalidArgument, "'\(file.path)' is removed twice in one commit")
        }
        // A later expiry would take the removed entry for the file and delete the live one.
        guard !addedPaths.contains(file.commitKey) else {
          throw IcebergError(.invalidArgument, "'\(file.path)' is both added and removed")
        }
      }
    }
    guard operation == .replace else { return }
    try validateRowCounts()
  }

  /// A replacement changes no rows: what goes in must come out.
  private func validateRowCounts() throws(IcebergError) {
    let addedRows = added.reduce(Int64(0)) { $1.content == .data ? $0 &+ $1.recordCount : $0 }
    let removedRows = removed.reduce(Int64(0)) { $0 &+ $1.recordCount }
    guard rowsRemovedByDeletes >= 0, addedRows == removedRows &- rowsRemovedByDeletes else {
      throw IcebergError(
        .validationFailed,
        "a replacement of \(removedRows) rows, \(rowsRemovedByDeletes) of them deleted, adds"
          + " \(addedRows): rows would be lost or doubled")
    }
  }

  /// Checks the added files against the table.
  func validate(against metadata: TableMetadata) throws(IcebergError) {
    for file in added {
      guard
        file.content != .positionDeletes || file.isDeletionVector == (metadata.formatVersion >= 3)
      else {
        throw IcebergError(
          .invalidArgument,
          "'\(file.path)': format version \(metadata.formatVersion) deletes positions by"
            + (metadata.formatVersion >= 3 ? " deletion vectors only" : " position delete files"))
      }
      guard let spec = metadata.partitionSpec(id: file.specID) else {
        throw IcebergError(
          .invalidArgument,
          "'\(file.path)' has the partition spec \(file.specID), which the table"
            + " has not")
      }
      guard spec.fields.count == file.partition.count else {
        throw IcebergError(
          .invalidArgument,
          "'\(file.path)' has \(file.partition.count) partition values;"
            + " the spec has \(spec.fields.count) fields")
      }
    }
    if let dataSequenceNumber {
      guard (0...metadata.lastSequenceNumber).contains(dataSequenceNumber) else {
        throw IcebergError(
          .invalidArgument, "data sequence number \(dataSequenceNumber) is none of the past")
      }
    }
  }
}

extension DataFile {
  /// What a commit knows a file by: deletion vectors share files.
  var commitKey: String {
    isDeletionVector ? "\(path)#\(contentOffset ?? 0)" : path
  }
}
