public import JSON

/// Puts few position delete files in the place of many small ones, without what they say of rows that are gone.
///
/// A table of format version 2 gets files for a partition, or one for each data file if `write.delete.granularity` is
/// `file`; one of version 3 gets deletion vectors for what position delete files said before it was upgraded.
/// No data file is touched. Memory: what the delete files of a group say, and the paths of the data files in its
/// partition.
public struct RewritePositionDeleteFiles: Sendable {
  /// By the names of `RewriteDataFilesOptions` that make sense here; the target is
  /// `write.delete.target-file-size-bytes`, 64 MiB by default.
  public struct Options: Hashable, Sendable {
    var planning: RewriteDataFilesOptions
    public var filter: FilterExpression { planning.filter }

    private static let names: Set<String> = [
      "target-file-size-bytes", "min-file-size-bytes", "max-file-size-bytes", "min-input-files",
      "max-file-group-size-bytes", "max-file-group-input-files", "rewrite-all",
      "max-files-to-rewrite", "max-concurrent-file-group-rewrites", "partial-progress.enabled",
      "partial-progress.max-commits", "partial-progress.max-failed-commits", "rewrite-job-order",
      "where",
    ]

    public init(
      _ options: [String: String] = [:], tableProperties: [String: String] = [:]
    ) throws(IcebergError) {
      let others = options.keys.filter { !Self.names.contains($0) }.sorted()
      guard others.isEmpty else {
        throw IcebergError(
          .invalidArgument,
          "Cannot use options [\(others.joined(separator: ", "))], "
            + "they are not supported by the action or the rewriter")
      }
      var all = options
      if all["target-file-size-bytes"] == nil {
        all["target-file-size-bytes"] =
          tableProperties["write.delete.target-file-size-bytes"] ?? "\(64 << 20)"
      }
      planning = try RewriteDataFilesOptions(all)
      // What a group says is in memory.
      planning.maxFileGroupSizeBytes = min(planning.maxFileGroupSizeBytes, 256 << 20)
    }
  }

  public let table: Table
  public let options: Options
  public var summaryProperties = RewriteDataFiles.defaultSummaryProperties
  public var commitOptions = CommitOptions()
  /// Asked between groups; once true, what is finished stays and the rest is left and reported.
  public var isStopped: @Sendable () -> Bool = { false }

  public init(_ table: Table, options: Options) {
    self.table = table
    self.options = options
  }

  /// Chooses delete files of the table as it is now.
  public func plan() throws(IcebergError) -> RewritePositionDeletesPlan {
    let head = try table.refresh()
    let metadata = head.metadata
    guard metadata.formatVersion >= 2 || metadata.currentSnapshot == nil else {
      throw IcebergError(.unsupported, "tables of format version 1 have no delete files")
    }
    var plan = RewritePositionDeletesPlan(table: head)
    guard let snapshot = metadata.currentSnapshot else { return plan }
    let expression = try BoundExpression(options.filter, schema: metadata.currentSchema)
    let store = ManifestStore(io: head.io)
    var candidates: [Int32: [RewriteCandidate]] = [:]
    var perDataFile: [String: Int] = [:]
    for manifest in try store.manifests(of: snapshot)
    where manifest.content == .deletes && (manifest.hasAddedFiles || manifest.hasExistingFiles) {
      let spec = metadata.partitionSpec(id: manifest.partitionSpecID) ?? .unpartitioned
      let partitions = PartitionFilter(expression, spec: spec, schema: metadata.currentSchema)
      for entry in try store.entries(of: manifest, metadata: metadata)
      where entry.isLive && entry.dataFile.content == .positionDeletes
        && entry.dataFile.format == .parquet && partitions.mayMatch(entry.dataFile.partition)
      {
        let file = entry.dataFile
        plan.files[file.path] = file
        candidates[file.specID, default: []].append(
          RewriteCandidate(
            path: file.path, sizeBytes: file.fileSizeInBytes, recordCount: file.recordCount,
            specID: file.specID, partition: file.partition))
        if let path = DeleteFileIndex.referencedPath(file) { perDataFile[path, default: 0] += 1 }
      }
    }
    var planning = options.planning
    // All of them become deletion vectors.
    if metadata.formatVersion >= 3 { planning.rewriteAll = true }
    let isPerDataFile = Self.isPerDataFile(metadata)
    for (specID, all) in candidates.sorted(by: { $0.key < $1.key }) {
      let chosen = all.filter { candidate in
        guard isPerDataFile, metadata.formatVersion < 3, let file = plan.files[candidate.path],
          let path = DeleteFileIndex.referencedPath(file)
        else { return true }
        // Alone it would become itself.
        return perDataFile[path] ?? 0 > 1
      }
      let part = try BinPackPlanner(planning).plan(chosen, outputSpecID: specID)
      plan.groups += part.groups
      plan.candidateCount += all.count
    }
    return plan
  }

  static func isPerDataFile(_ metadata: TableMetadata) -> Bool {
    metadata.formatVersion >= 3
      || metadata.properties["write.delete.granularity"]?.lowercased() == "file"
  }
}

/// Which delete files are rewritten, in which groups: a value.
public struct RewritePositionDeletesPlan: Sendable {
  public let table: Table
  public internal(set) var groups: [RewriteFileGroup] = []
  /// All position delete files that were looked at.
  public internal(set) var candidateCount = 0
  /// By path.
  var files: [String: DataFile] = [:]

  public var fileCount: Int { groups.reduce(0) { $0 + $1.files.count } }
  public var sizeBytes: Int64 { groups.reduce(0) { $0.addingSaturated($1.sizeBytes) } }

  public var json: JSONValue {
    [
      "candidate-files": .integer(Int64(candidateCount)),
      "rewritten-delete-files": .integer(Int64(fileCount)), "rewritten-bytes": .integer(sizeBytes),
      "groups": .integer(Int64(groups.count)),
    ]
  }
}

extension RewritePositionDeletesPlan: CustomStringConvertible {
  public var description: String {
    "\(candidateCount) position delete files; \(fileCount) to rewrite in \(groups.count) groups"
  }
}

/// What a rewrite of position delete files did.
public struct RewritePositionDeletesResult: Sendable {
  /// The table after the last commit.
  public var table: Table
  public var rewrittenCount = 0
  public var rewrittenBytes: Int64 = 0
  public var addedCount = 0
  public var addedBytes: Int64 = 0
  /// Rows of delete files that said something of a file that is gone, or twice the same.
  public var droppedRecordCount: Int64 = 0
  /// Groups that were not rewritten, and why.
  public var failures: [IcebergError] = []

  public init(table: Table) { self.table = table }

  public var json: JSONValue {
    [
      "rewritten-delete-files": .integer(Int64(rewrittenCount)),
      "rewritten-bytes": .integer(rewrittenBytes),
      "added-delete-files": .integer(Int64(addedCount)), "added-bytes": .integer(addedBytes),
      "dropped-records": .integer(droppedRecordCount),
      "failures": .array(failures.map { .string($0.description) }),
    ]
  }
}

extension RewritePositionDeletesResult: CustomStringConvertible {
  public var description: String {
    "\(rewrittenCount) delete files (\(rewrittenBytes) bytes) became \(addedCount) (\(addedBytes) bytes)"
      + failures.map { "\n  not rewritten: \($0)" }.joined()
  }
}
