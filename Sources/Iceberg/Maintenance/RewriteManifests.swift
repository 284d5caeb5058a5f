public import JSON

/// Writes a table's manifests anew: as few as their size allows, and the files of a partition together, so that plans
/// read less. No data file is touched.
///
/// Memory: the entries of the manifests that are written anew, of the order of a kilobyte each.
public struct RewriteManifests: Sendable {
  public struct Options: Hashable, Sendable {
    /// The partition spec whose manifests are rewritten; nil: the table's default one.
    public var specID: Int32?
    /// Partition fields that entries are sorted by, in this order; empty: all of the spec.
    public var sortBy: [String] = []
    /// Bytes of a manifest; nil follows `commit.manifest.target-size-bytes`, 8 MiB by default.
    public var targetSizeBytes: Int64?

    public init() {}

    /// By name: `spec-id`, `sort-by` with commas between, `target-size-bytes`; anything else is an error. The
    /// reference's `use-caching` is understood and has no effect: every manifest is read once.
    public init(_ options: [String: String]) throws(IcebergError) {
      var reader = OptionReader(options: options, properties: [:])
      if let id = try reader.optionalInteger("spec-id") { specID = Int32(clamping: id) }
      if let text = reader.text("sort-by") { sortBy = SortKey.parts(text) }
      targetSizeBytes = try reader.optionalInteger("target-size-bytes")
      _ = try reader.boolean("use-caching", otherwise: false)
      try reader.refuseOthers()
      if let targetSizeBytes, targetSizeBytes <= 0 {
        throw IcebergError(
          .invalidArgument, "'target-size-bytes' is set to \(targetSizeBytes) but must be > 0")
      }
    }
  }

  public let table: Table
  public let options: Options
  public var summaryProperties = RewriteDataFiles.defaultSummaryProperties
  public var commitOptions = CommitOptions()

  public init(_ table: Table, options: Options = Options()) {
    self.table = table
    self.options = options
  }

  /// Which manifests of the table as it is now are worth it: those of one spec and content that are more than their
  /// bytes need. With `sortBy` even those that are not, unless there is one.
  public func plan() throws(IcebergError) -> RewriteManifestsPlan {
    let head = try table.refresh()
    let metadata = head.metadata
    guard metadata.formatVersion >= 2 || metadata.currentSnapshot == nil else {
      throw IcebergError(
        .unsupported, "tables of format version 1 are not rewritten here: upgrade the table first")
    }
    let specID = options.specID ?? metadata.defaultSpecID
    guard let spec = metadata.partitionSpec(id: specID) else {
      throw IcebergError(.invalidArgument, "Cannot find spec with id \(specID)")
    }
    for name in options.sortBy where !spec.fields.contains(where: { $0.name == name }) {
      let names = spec.fields.map(\.name).joined(separator: ", ")
      throw IcebergError(
        .invalidArgument, "the spec has no partition field '\(name)'; there are: [\(names)]")
    }
    var plan = RewriteManifestsPlan(table: head, spec: spec)
    guard let snapshot = metadata.currentSnapshot else { return plan }
    let target =
      options.targetSizeBytes ?? ManifestMergePlan(properties: metadata.properties).targetSizeBytes
    let store = ManifestStore(io: head.io)
    var all: [ManifestFile] = []
    for manifest in try store.manifests(of: snapshot) {
      let counted = try store.counted(manifest, metadata: metadata)
      // Those without live files go with any commit.
      if counted.hasAddedFiles || counted.hasExistingFiles { all.append(counted) }
    }
    plan.manifestCount = all.count
    for content in [ManifestContent.data, .deletes] {
      let matching = all.filter { $0.content == content && $0.partitionSpecID == specID }
      let bytes = matching.reduce(Int64(0)) { $0.addingSaturated(max(0, $1.length)) }
      let wanted = Int(clamping: max(1, bytes / target + (bytes % target == 0 ? 0 : 1)))
      guard matching.count > wanted || (matching.count > 1 && !options.sortBy.isEmpty) else {
        continue
      }
      plan.parts.append(.init(manifests: matching, sizeBytes: bytes, expectedCount: wanted))
    }
    return plan
  }

  /// How often it is planned again because others changed the same manifests.
  private static let attempts = 5

  /// Does what the plan says. When others replaced the same manifests meanwhile it is planned again, a few times.
  public func execute(_ plan: RewriteManifestsPlan) throws(IcebergError) -> RewriteManifestsResult {
    var plan = plan
    for attempt in 1... {
      var written: [ManifestFile] = []
      do throws(IcebergError) {
        return try execute(plan, &written)
      } catch {
        guard error.kind != .commitStateUnknown else { throw error }
        plan.table.io.deleteAll(written.map(\.path))
        guard error.kind == .validationFailed, attempt < Self.attempts else { throw error }
      }
      plan = try self.plan()
    }
    return RewriteManifestsResult(table: plan.table)
  }

  private func execute(
    _ plan: RewriteManifestsPlan, _ written: inout [ManifestFile]
  ) throws(IcebergError) -> RewriteManifestsResult {
    var result = RewriteManifestsResult(table: plan.table)
    guard !plan.isEmpty else { return result }
    let metadata = plan.table.metadata
    let store = ManifestStore(io: plan.table.io)
    let commitID = RandomIdentifier.uuid()
    let unpublished = UnpublishedFiles(plan.table.io)
    for part in plan.parts {
      let entries = try entries(of: part, plan, store)
      result.entryCount += entries.count
      let count = max(1, min(part.expectedCount, entries.count))
      for index in 0..<count {
        let range = (entries.count * index / count)..<(entries.count * (index + 1) / count)
        let location = Location.join(
          metadata.metadataFolder, "\(commitID)-optimized-m\(written.count).avro")
        guard !range.isEmpty else { continue }
        written.append(
          try store.write(
            Array(entries[range]), to: location, specID: plan.spec.specID, metadata: metadata,
            snapshotID: 0, content: part.manifests[0].content, into: unpublished))
      }
    }
    try unpublished.synchronize()
    var commit = plan.table.newCommit()
    commit.options = commitOptions
    commit.summaryProperties = summaryProperties
    commit.summary["entries-processed"] = String(result.entryCount)
    let removed = plan.parts.flatMap(\.manifests)
    commit.replaceManifests(removed, with: written)
    result.table = try commit.commit().table
    result.rewrittenCount = removed.count
    result.rewrittenBytes = plan.parts.reduce(0) { $0.addingSaturated($1.sizeBytes) }
    result.addedCount = written.count
    result.addedBytes = written.reduce(0) { $0.addingSaturated($1.length) }
    return result
  }

  /// The live entries, those of a partition together; otherwise in the order in which they were.
  private func entries(
    of part: RewriteManifestsPlan.Part, _ plan: RewriteManifestsPlan, _ store: ManifestStore
  ) throws(IcebergError) -> [ManifestEntry] {
    var entries: [ManifestEntry] = []
    for manifest in part.manifests {
      for var entry in try store.entries(of: manifest, metadata: plan.table.metadata)
      where entry.isLive {
        entry.status = .existing
        entries.append(entry)
      }
    }
    let fields = plan.spec.fields
    let places =
      options.sortBy.isEmpty
      ? Array(fields.indices)
      : options.sortBy.compactMap { name in fields.firstIndex { $0.name == name } }
    guard !places.isEmpty else { return entries }
    return entries.enumerated().sorted { left, right in
      for place in places {
        let first = left.element.dataFile.partition[place]
        let second = right.element.dataFile.partition[place]
        if first == second { continue }
        guard let first, let second else { return first == nil }
        return first.precedes(second)
      }
      return left.offset < right.offset
    }.map(\.element)
  }
}

/// Which manifests are written anew: a value.
public struct RewriteManifestsPlan: Sendable {
  /// Manifests of one content.
  public struct Part: Hashable, Sendable {
    public var manifests: [ManifestFile]
    public var sizeBytes: Int64
    public var expectedCount: Int
  }

  public let table: Table
  public let spec: PartitionSpec
  public var parts: [Part] = []
  /// All manifests of the current snapshot that have live files.
  public var manifestCount = 0

  public var isEmpty: Bool { parts.isEmpty }
  public var rewrittenCount: Int { parts.reduce(0) { $0 + $1.manifests.count } }
  public var expectedCount: Int { parts.reduce(0) { $0 + $1.expectedCount } }

  public var json: JSONValue {
    [
      "manifests": .integer(Int64(manifestCount)),
      "rewritten-manifests": .integer(Int64(rewrittenCount)),
      "rewritten-bytes": .integer(parts.reduce(0) { $0.addingSaturated($1.sizeBytes) }),
      "expected-manifests": .integer(Int64(expectedCount)),
    ]
  }
}

extension RewriteManifestsPlan: CustomStringConvertible {
  public var description: String {
    "\(manifestCount) manifests; \(rewrittenCount) to rewrite into about \(expectedCount)"
  }
}

/// What a rewrite of manifests did.
public struct RewriteManifestsResult: Sendable {
  /// The table after the commit.
  public var table: Table
  public var rewrittenCount = 0
  public var rewrittenBytes: Int64 = 0
  public var addedCount = 0
  public var addedBytes: Int64 = 0
  public var entryCount = 0

  public init(table: Table) { self.table = table }

  public var json: JSONValue {
    [
      "rewritten-manifests": .integer(Int64(rewrittenCount)),
      "rewritten-bytes": .integer(rewrittenBytes),
      "added-manifests": .integer(Int64(addedCount)), "added-bytes": .integer(addedBytes),
      "entries": .integer(Int64(entryCount)),
    ]
  }
}

extension RewriteManifestsResult: CustomStringConvertible {
  public var description: String {
    "\(rewrittenCount) manifests (\(rewrittenBytes) bytes) became \(addedCount) (\(addedBytes) bytes), "
      + "\(entryCount) files"
  }
}
