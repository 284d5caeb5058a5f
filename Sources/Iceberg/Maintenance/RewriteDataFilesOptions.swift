/// How `rewriteDataFiles` chooses and writes files. Names, defaults and checks are the reference
/// implementation's, so that what is known of its procedure holds here too.
public struct RewriteDataFilesOptions: Hashable, Sendable {
  /// The order in which groups are rewritten.
  public enum JobOrder: String, Hashable, Sendable, CaseIterable {
    case none
    case bytesAscending = "bytes-asc"
    case bytesDescending = "bytes-desc"
    case filesAscending = "files-asc"
    case filesDescending = "files-desc"
  }

  /// Bytes that a new file should have; 512 MiB, or the table's `write.target-file-size-bytes`.
  public var targetFileSizeBytes: Int64 = 536_870_912
  /// Files below are rewritten; three quarters of the target.
  public var minFileSizeBytes: Int64 = 402_653_184
  /// Files above are rewritten; 1.8 times the target.
  public var maxFileSizeBytes: Int64 = 966_367_641
  /// A group of fewer files is left alone, unless there is another reason.
  public var minInputFiles: Int64 = 5
  /// A file with so many delete files is rewritten; by default none.
  public var deleteFileThreshold: Int64 = 2_147_483_647
  /// A file of whose rows such a part is deleted (by deletes that name the file) is rewritten.
  public var deleteRatioThreshold: Double = 0.3
  /// Bytes in one group at most: what fails, fails by the group.
  public var maxFileGroupSizeBytes: Int64 = 107_374_182_400
  /// Files in one group at most.
  public var maxFileGroupInputFiles: Int64 = .max
  /// Takes every file, whatever its size.
  public var rewriteAll = false
  /// Stops planning after so many files; what is left out is reported.
  public var maxFilesToRewrite: Int64?
  /// How many groups may be in work at once.
  public var maxConcurrentFileGroupRewrites: Int64 = 5
  /// Commits finished groups even if others fail. On by default here, since a long job that loses
  /// everything at its end is the most frequent complaint about the reference, where it is off.
  public var isPartialProgressEnabled = true
  /// How many commits at most with partial progress.
  public var partialProgressMaxCommits: Int64 = 10
  /// How many of those may fail before the job gives up; as many as there are by default.
  public var partialProgressMaxFailedCommits: Int64 = 10
  /// New files get the starting snapshot's sequence number, so that equality deletes committed
  /// meanwhile still apply to them.
  public var usesStartingSequenceNumber = true
  public var jobOrder = JobOrder.none

  public init() {}
}

// From text, as commands, jobs and tables have it.
extension RewriteDataFilesOptions {
  /// - Parameters:
  ///   - options: by the reference's names; an unknown one is an error.
  ///   - tableProperties: `write.target-file-size-bytes`, and Athena's `optimize_rewrite_*` and
  ///     `write_target_data_file_size_bytes` where no option says otherwise.
  public init(
    _ options: [String: String], tableProperties: [String: String] = [:]
  ) throws(IcebergError) {
    var reader = OptionReader(options: options, properties: tableProperties)
    targetFileSizeBytes = try reader.integer(
      "target-file-size-bytes",
      properties: ["write.target-file-size-bytes", "write_target_data_file_size_bytes"],
      otherwise: targetFileSizeBytes)
    let target = Double(targetFileSizeBytes)
    minFileSizeBytes = try reader.integer(
      "min-file-size-bytes", properties: ["optimize_rewrite_min_data_file_size_bytes"],
      otherwise: Int64(saturating: target * 0.75))
    maxFileSizeBytes = try reader.integer(
      "max-file-size-bytes", properties: ["optimize_rewrite_max_data_file_size_bytes"],
      otherwise: Int64(saturating: target * 1.8))
    minInputFiles = try reader.integer(
      "min-input-files", properties: ["optimize_rewrite_data_file_threshold"],
      otherwise: minInputFiles)
    deleteFileThreshold = try reader.integer(
      "delete-file-threshold", properties: ["optimize_rewrite_delete_file_threshold"],
      otherwise: deleteFileThreshold)
    deleteRatioThreshold = try reader.number(
      "delete-ratio-threshold", otherwise: deleteRatioThreshold)
    maxFileGroupSizeBytes = try reader.integer(
      "max-file-group-size-bytes", otherwise: maxFileGroupSizeBytes)
    maxFileGroupInputFiles = try reader.integer(
      "max-file-group-input-files", otherwise: maxFileGroupInputFiles)
    rewriteAll = try reader.boolean("rewrite-all", otherwise: rewriteAll)
    maxFilesToRewrite = try reader.optionalInteger("max-files-to-rewrite")
    maxConcurrentFileGroupRewrites = try reader.integer(
      "max-concurrent-file-group-rewrites", otherwise: maxConcurrentFileGroupRewrites)
    isPartialProgressEnabled = try reader.boolean(
      "partial-progress.enabled", otherwise: isPartialProgressEnabled)
    partialProgressMaxCommits = try reader.integer(
      "partial-progress.max-commits", otherwise: partialProgressMaxCommits)
    partialProgressMaxFailedCommits = try reader.integer(
      "partial-progress.max-failed-commits", otherwise: partialProgressMaxCommits)
    usesStartingSequenceNumber = try reader.boolean(
      "use-starting-sequence-number", otherwise: usesStartingSequenceNumber)
    if let order = reader.text("rewrite-job-order") {
      guard let known = JobOrder(rawValue: order.lowercased()) else {
        throw IcebergError(.invalidArgument, "Invalid rewrite job order name: \(order)")
      }
      jobOrder = known
    }
    try reader.refuseOthers()
    try validate()
  }

  /// Refuses what makes no sense, in the reference's words.
  public func validate() throws(IcebergError) {
    try positive("target-file-size-bytes", targetFileSizeBytes)
    guard minFileSizeBytes >= 0 else {
      throw refused("'min-file-size-bytes' is set to \(minFileSizeBytes) but must be >= 0")
    }
    guard targetFileSizeBytes > minFileSizeBytes else {
      throw refused(
        "'target-file-size-bytes' (\(targetFileSizeBytes)) must be > 'min-file-size-bytes' "
          + "(\(minFileSizeBytes)), all new files will be smaller than the min threshold")
    }
    guard targetFileSizeBytes < maxFileSizeBytes else {
      throw refused(
        "'target-file-size-bytes' (\(targetFileSizeBytes)) must be < 'max-file-size-bytes' "
          + "(\(maxFileSizeBytes)), all new files will be larger than the max threshold")
    }
    try positive("min-input-files", minInputFiles)
    try positive("max-file-group-size-bytes", maxFileGroupSizeBytes)
    try positive("max-file-group-input-files", maxFileGroupInputFiles)
    guard deleteFileThreshold >= 0 else {
      throw refused("'delete-file-threshold' is set to \(deleteFileThreshold) but must be >= 0")
    }
    guard deleteRatioThreshold > 0 else {
      throw refused("'delete-ratio-threshold' is set to \(deleteRatioThreshold) but must be > 0")
    }
    guard deleteRatioThreshold <= 1 else {
      throw refused("'delete-ratio-threshold' is set to \(deleteRatioThreshold) but must be <= 1")
    }
    if let maxFilesToRewrite, maxFilesToRewrite <= 0 {
      throw refused(
        "Cannot set max-files-to-rewrite to \(maxFilesToRewrite), the value must be positive integer."
      )
    }
    try positive("max-concurrent-file-group-rewrites", maxConcurrentFileGroupRewrites)
    if isPartialProgressEnabled {
      try positive("partial-progress.max-commits", partialProgressMaxCommits)
    }
  }

  private func positive(_ name: String, _ value: Int64) throws(IcebergError) {
    guard value > 0 else { throw refused("'\(name)' is set to \(value) but must be > 0") }
  }

  private func refused(_ message: String) -> IcebergError {
    IcebergError(.invalidArgument, message)
  }
}

extension Int64 {
  /// Towards zero, as Java's cast; the ends stand for what does not fit.
  init(saturating value: Double) {
    if value.isNaN {
      self = 0
    } else if value >= 9.2e18 {
      self = .max
    } else if value <= -9.2e18 {
      self = .min
    } else {
      self = Int64(value)
    }
  }
}
