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
  /// Only files that may have matching rows are looked at; those are taken whole.
  public var filter = FilterExpression.alwaysTrue
  /// In which order rows are written.
  public var strategy = RewriteStrategy.binPack
  /// The partition spec of the new files; the table's default one by default.
  public var outputSpecID: Int32?
  /// Takes out delete files that apply to no row any more, in a commit of its own at the end. On by default here: in
  /// the reference, where it is off, nobody ever removes them, and every scan goes on reading them.
  public var removesDanglingDeletes = true
  /// How much larger or smaller than the input the output is expected to be; only the expected number of files
  /// depends on it. For `sort` and `zorder`.
  public var compressionFactor: Double = 1
  /// For `sort` and `zorder` in the reference, where it says how many tasks make one file. Understood, and without
  /// effect: here one thread writes a file.
  public var shufflePartitionsPerFile: Int64 = 1
  /// How many bytes of a text a Z-order looks at.
  public var variableLengthContribution: Int64 = 8
  /// How many bytes a Z-value has at most.
  public var maxZValueBytes: Int64 = 2_147_483_647
  /// What reading, sorting and writing may hold in memory together, beside the plan; at least 128 MiB. Fewer groups and
  /// threads are at work, and row groups are smaller, where it would be exceeded.
  public var memoryLimitBytes: Int64 = 2 << 30
  /// The least that `memoryLimitBytes` may be.
  public static let leastMemoryLimitBytes: Int64 = 128 << 20

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
    if let text = reader.text("where") { filter = try FilterExpression(parsing: text) }
    if let id = try reader.optionalInteger("output-spec-id") {
      guard let id = Int32(exactly: id) else { throw refused("'output-spec-id' is \(id)") }
      outputSpecID = id
    }
    removesDanglingDeletes = try reader.boolean(
      "remove-dangling-deletes", otherwise: removesDanglingDeletes)
    memoryLimitBytes = try reader.integer("max-memory-bytes", otherwise: memoryLimitBytes)
    try readStrategy(&reader)
    try reader.refuseOthers()
    try validate()
  }

  /// Options of one strategy are unknown to the others.
  private mutating func readStrategy(_ reader: inout OptionReader) throws(IcebergError) {
    strategy = try RewriteStrategy(
      name: reader.text("strategy"), sortOrder: reader.text("sort-order"),
      zOrder: reader.text("z-order"))
    guard strategy != .binPack else { return }
    compressionFactor = try reader.number("compression-factor", otherwise: compressionFactor)
    shufflePartitionsPerFile = try reader.integer(
      "shuffle-partitions-per-file", otherwise: shufflePartitionsPerFile)
    guard case .zOrder = strategy else { return }
    variableLengthContribution = try reader.integer(
      "var-length-contribution", otherwise: variableLengthContribution)
    maxZValueBytes = try reader.integer("max-output-size", otherwise: maxZValueBytes)
  }

  /// The partition spec of new files.
  func outputSpec(_ metadata: TableMetadata) throws(IcebergError) -> PartitionSpec {
    guard let outputSpecID else { return metadata.defaultPartitionSpec }
    guard let spec = metadata.partitionSpec(id: outputSpecID) else {
      throw refused("Output spec id \(outputSpecID) is not a valid spec id for table")
    }
    return spec
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
    guard compressionFactor > 0 else {
      throw refused("'compression-factor' is set to \(compressionFactor) but must be > 0")
    }
    try positive("shuffle-partitions-per-file", shufflePartitionsPerFile)
    try positive("var-length-contribution", variableLengthContribution)
    try positive("max-output-size", maxZValueBytes)
    guard memoryLimitBytes >= Self.leastMemoryLimitBytes else {
      throw refused(
        "'max-memory-bytes' is set to \(memoryLimitBytes) but must be >= "
          + "\(Self.leastMemoryLimitBytes)")
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
