/// Builds the snapshot of one commit, once an attempt, from the head as it is then.
///
/// What does not depend on the head is kept from attempt to attempt: the snapshot id, the new data
/// manifests (whose sequence numbers are inherited from the list), and rewritten or merged
/// manifests, which depend only on immutable manifests. The manifest list, the parent, the sequence
/// number and the totals are made anew each time.
///
/// Not thread-safe: it lives inside one commit.
struct SnapshotProducer {
  /// One manifest list that was written, and the manifests in it.
  struct Attempt {
    var manifestList: String
    var manifests: Set<String>
  }

  let snapshotID: Int64
  let branch: String
  let change: FileChange
  let extraSummary: [String: String]
  private let summaryProperties: Set<String>
  private let formatVersion: Int
  private let commitUUID = RandomIdentifier.uuid()
  private let store: ManifestStore
  private(set) var attempts: [Attempt] = []
  /// The locations of all manifests that this commit wrote.
  private(set) var writtenManifests: [String] = []
  /// What must be durable before the snapshot is published: manifests and lists.
  let unpublished: UnpublishedFiles
  private var newManifests: [ManifestFile]?
  /// By the path of a manifest: what it became without the removed files, and which were in it.
  private var filtered: [String: Filtered] = [:]
  /// By the paths of the manifests that went into it.
  private var merged: [[String]: ManifestFile] = [:]

  private struct Filtered {
    /// nil when none of the removed files is in the manifest.
    var manifest: ManifestFile?
    /// By their keys, data files and delete files.
    var removedData: [String] = []
    var removedDeletes: [String] = []
    var summary = SnapshotSummary()
  }

  /// What a commit removes.
  private struct RemovedFiles {
    var paths: Set<String>
    var deleteKeys: Set<String>

    /// The same path as it stands in the change: a hundred thousand need not be kept twice.
    func known(_ path: String) -> String {
      paths.firstIndex(of: path).map { paths[$0] } ?? path
    }

    init(_ change: FileChange) {
      paths = Set(minimumCapacity: change.removed.count)
      for file in change.removed { paths.insert(file.path) }
      deleteKeys = Set(change.removedDeletes.map(\.commitKey))
    }

    func contains(_ file: DataFile) -> Bool {
      if file.content == .data { return paths.contains(file.path) }
      if deleteKeys.contains(file.commitKey) { return true }
      // A delete of one file goes with that file: nothing would ever remove it.
      return file.content == .positionDeletes
        && DeleteFileIndex.referencedPath(file).map { paths.contains($0) } ?? false
    }
  }

  init(
    table: TableMetadata, change: FileChange, branch: String, extraSummary: [String: String],
    summaryProperties: Set<String> = [], io: FileIO
  ) throws(IcebergError) {
    try change.validate()
    formatVersion = table.formatVersion
    snapshotID = RandomIdentifier.snapshotID { table.snapshot(id: $0) != nil }
    self.change = change
    self.branch = branch
    self.extraSummary = extraSummary
    self.summaryProperties = summaryProperties
    store = ManifestStore(io: io)
    unpublished = UnpublishedFiles(io)
  }

  /// The snapshot on top of the branch's head, with its manifests and their list written, not yet durable.
  mutating func produce(
    _ metadata: TableMetadata, nowMilliseconds: Int64
  ) throws(IcebergError) -> Snapshot {
    guard metadata.formatVersion == formatVersion else {
      throw IcebergError(
        .validationFailed, "the table's format version changed during the commit: start again")
    }
    try change.validate(against: metadata)
    let head = metadata.snapshot(reference: branch)
    var existing: [ManifestFile] = []
    if let head {
      for manifest in try store.manifests(of: head) {
        existing.append(try store.counted(manifest, metadata: metadata))
      }
    }
    try DeleteConflicts(metadata: metadata, store: store)
      .validate(change, head: head, headManifests: existing)
    try ConflictCheck(metadata: metadata, store: store).validate(change, head: head)
    var summary = SnapshotSummary()
    for file in change.added { summary.add(file) }
    let added = try addedManifests(metadata)
    var kept = try withoutRemovedFiles(existing, metadata, &summary)
    kept = try withoutRemovedManifests(kept)
    let replacing = change.addedManifests.map { manifest in
      var manifest = manifest
      manifest.addedSnapshotID = snapshotID
      return manifest
    }
    var manifests = (added + kept + replacing).filter { $0.content == .data }
    var deletes = (added + kept + replacing).filter { $0.content == .deletes }
    if mergesManifests(metadata) {
      manifests = try merge(manifests, metadata)
      deletes = try merge(deletes, metadata)
    }
    manifests += deletes
    return try write(manifests, metadata, head: head, summary, nowMilliseconds)
  }

  private func mergesManifests(_ metadata: TableMetadata) -> Bool {
    // A rewrite of manifests says itself which ones there are to be.
    guard change.removedManifests.isEmpty else { return false }
    let property = metadata.properties["commit.manifest-merge.enabled"]
    return change.mergesManifests ?? (property?.lowercased() != "false")
  }

  private mutating func write(
    _ manifests: [ManifestFile], _ metadata: TableMetadata, head: Snapshot?,
    _ summary: SnapshotSummary, _ nowMilliseconds: Int64
  ) throws(IcebergError) -> Snapshot {
    let location = Location.join(
      metadata.metadataFolder, "snap-\(snapshotID)-\(attempts.count + 1)-\(commitUUID).avro")
    // Recorded before it is written: what a failed write leaves behind is cleaned up, too.
    attempts.append(
      Attempt(manifestList: location, manifests: Set(manifests.map(\.path))))
    let (sequenceNumber, overflow) = metadata.lastSequenceNumber.addingReportingOverflow(1)
    guard !overflow else {
      throw IcebergError(.validationFailed, "no sequence number is left")
    }
    let nextRowID = try store.writeList(
      manifests, to: location, snapshotID: snapshotID, parentSnapshotID: head?.snapshotID,
      sequenceNumber: sequenceNumber, formatVersion: formatVersion,
      firstRowID: metadata.nextRowID, into: unpublished)
    // Time never goes backwards along a branch, whatever the clock does.
    let timestamp = max(
      nowMilliseconds, metadata.lastUpdatedMilliseconds,
      head.map { $0.timestampMilliseconds &+ 1 } ?? 0)
    var entries = summary.entries(previous: head?.summary)
    entries.merge(manifestCounts(manifests)) { $1 }
    for key in summaryProperties { entries[key] = metadata.properties[key] }
    entries.merge(extraSummary) { $1 }
    var snapshot = Snapshot(
      snapshotID: snapshotID, parentSnapshotID: head?.snapshotID, sequenceNumber: sequenceNumber,
      timestampMilliseconds: timestamp, manifestList: location, operation: change.operation,
      summary: entries, schemaID: metadata.currentSchemaID)
    if formatVersion >= 3 {
      let first = metadata.nextRowID ?? 0
      snapshot.firstRowID = first
      snapshot.addedRows = max(0, (nextRowID ?? first) - first)
    }
    return snapshot
  }

  private func manifestCounts(_ manifests: [ManifestFile]) -> [String: String] {
    let written = Set(writtenManifests)
    let created = manifests.count { written.contains($0.path) }
    guard change.operation == .replace else { return [:] }
    return [
      "manifests-created": String(created + change.addedManifests.count),
      "manifests-kept": String(manifests.count - created - change.addedManifests.count),
      "manifests-replaced": String(
        change.removedManifests.count + filtered.values.count { $0.manifest != nil }),
    ]
  }
}

// Manifests that the commit writes.
extension SnapshotProducer {
  private mutating func newManifestLocation(_ metadata: TableMetadata) -> String {
    let location = Location.join(
      metadata.metadataFolder, "\(commitUUID)-m\(writtenManifests.count).avro")
    writtenManifests.append(location)
    return location
  }

  /// The added files' manifests, one or more a partition spec; the same ones in every attempt.
  private mutating func addedManifests(
    _ metadata: TableMetadata
  ) throws(IcebergError) -> [ManifestFile] {
    if let newManifests { return newManifests }
    var manifests: [ManifestFile] = []
    for content in [ManifestContent.data, .deletes] {
      let files = change.added.filter { ($0.content == .data) == (content == .data) }
      let bySpec = Dictionary(grouping: files) { $0.specID }
      for (specID, files) in bySpec.sorted(by: { $0.key > $1.key }) {
        for chunk in ManifestStore.chunks(files, targetSizeBytes: 8 << 20) {
          // Deletes are always new, even beside rows of the past.
          let number = content == .data ? change.dataSequenceNumber : nil
          let entries = chunk.map { file in
            ManifestEntry(
              status: .added, snapshotID: snapshotID, sequenceNumber: number,
              fileSequenceNumber: nil, dataFile: file)
          }
          let location = newManifestLocation(metadata)
          manifests.append(
            try store.write(
              entries, to: location, specID: specID, metadata: metadata, snapshotID: snapshotID,
              content: content, into: unpublished))
        }
      }
    }
    newManifests = manifests
    return manifests
  }

  /// The head's manifests with the removed files marked as deleted, and with them the deletes that
  /// speak of nothing else.
  private mutating func withoutRemovedFiles(
    _ existing: [ManifestFile], _ metadata: TableMetadata, _ summary: inout SnapshotSummary
  ) throws(IcebergError) -> [ManifestFile] {
    guard !change.removed.isEmpty || !change.removedDeletes.isEmpty else {
      // Manifests without live files have said what they had to say.
      return existing.filter { $0.hasAddedFiles || $0.hasExistingFiles }
    }
    let files = RemovedFiles(change)
    let partitions = RemovedPartitions(change, metadata)
    var missing = files.paths.union(files.deleteKeys)
    // A rewrite of some files of a large table would else read all manifests. They come newest first, as they are
    // planned, and a file is in one of them.
    var dataLeft = change.operation == .replace ? change.removed.count : .max
    var kept: [ManifestFile] = []
    for manifest in existing {
      guard manifest.hasAddedFiles || manifest.hasExistingFiles else { continue }
      guard partitions.mayBe(in: manifest),
        manifest.content == .deletes || (!change.removed.isEmpty && dataLeft > 0)
      else {
        kept.append(manifest)
        continue
      }
      let result = try filter(manifest, files, metadata)
      kept.append(result.manifest ?? manifest)
      for path in result.removedData where missing.remove(path) != nil { dataLeft -= 1 }
      for key in result.removedDeletes { missing.remove(key) }
      summary.add(result.summary)
    }
    // Somebody else removed or replaced it: adding its rows again would double or resurrect them.
    guard missing.isEmpty else {
      throw IcebergError(
        .validationFailed,
        "\(missing.count) files to be removed are no longer in the table,"
          + " for example '\(missing.min() ?? "")'")
    }
    return kept
  }

  private mutating func filter(
    _ manifest: ManifestFile, _ files: RemovedFiles, _ metadata: TableMetadata
  ) throws(IcebergError) -> Filtered {
    if let known = filtered[manifest.path] { return known }
    guard try holds(manifest, files, metadata) else {
      let result = Filtered()
      filtered[manifest.path] = result
      return result
    }
    var result = Filtered()
    var writer = try store.writer(
      specID: manifest.partitionSpecID, metadata: metadata, content: manifest.content)
    var reader = try store.reader(of: manifest, metadata: metadata, statistics: .all)
    // Files that were replaced keep no statistics: their rows are elsewhere, and of large rewrites these statistics
    // would be most of the commit. Those of rows that are gone stay, for other engines look for conflicts by them.
    let keepsStatistics = change.operation != .replace || manifest.content == .deletes
    while let (read, isWanted) = try reader.next({ keepsStatistics || !files.contains($0) }) {
      guard read.isLive else { continue }
      var entry = read
      if !isWanted || files.contains(entry.dataFile) {
        entry.status = .deleted
        entry.snapshotID = snapshotID
        result.summary.remove(entry.dataFile)
        if entry.dataFile.content == .data {
          result.removedData.append(files.known(entry.dataFile.path))
        } else {
          result.removedDeletes.append(entry.dataFile.commitKey)
        }
      } else {
        entry.status = .existing
      }
      try writer.add(entry)
    }
    result.manifest = try store.write(
      writer, to: newManifestLocation(metadata), snapshotID: snapshotID, into: unpublished)
    filtered[manifest.path] = result
    return result
  }

  /// Whether live files of a manifest are among these: a pass over it, of data files without their statistics.
  private func holds(
    _ manifest: ManifestFile, _ files: RemovedFiles, _ metadata: TableMetadata
  ) throws(IcebergError) -> Bool {
    var reader = try store.reader(
      of: manifest, metadata: metadata, statistics: manifest.content == .data ? .none : .all)
    while let entry = try reader.next() {
      if entry.isLive, files.contains(entry.dataFile) { return true }
    }
    return false
  }

  private func withoutRemovedManifests(
    _ manifests: [ManifestFile]
  ) throws(IcebergError) -> [ManifestFile] {
    guard !change.removedManifests.isEmpty else { return manifests }
    let removed = Set(change.removedManifests.map(\.path))
    let kept = manifests.filter { !removed.contains($0.path) }
    guard manifests.count - kept.count == removed.count else {
      throw IcebergError(
        .validationFailed, "a manifest to be replaced is no longer in the table: plan again")
    }
    let before = ManifestStore.liveFiles(change.removedManifests)
    let after = ManifestStore.liveFiles(change.addedManifests)
    guard let before, before == after else {
      throw IcebergError(
        .validationFailed,
        "the new manifests have \(after.map(String.init) ?? "unknown") live"
          + " files, the replaced ones \(before.map(String.init) ?? "unknown")")
    }
    return kept
  }

  /// Merges small manifests, spec by spec; the order (newest first) stays.
  private mutating func merge(
    _ manifests: [ManifestFile], _ metadata: TableMetadata
  ) throws(IcebergError) -> [ManifestFile] {
    let plan = ManifestMergePlan(properties: metadata.properties)
    let newest = manifests.first?.path
    var result: [ManifestFile] = []
    let bySpec = Dictionary(grouping: manifests) { $0.partitionSpecID }
    for (specID, group) in bySpec.sorted(by: { $0.key > $1.key }) {
      for bin in plan.bins(group) {
        let holdsNewest = bin.contains { $0.path == newest }
        guard plan.merges(bin, holdsNewest: holdsNewest) else {
          result += bin
          continue
        }
        result.append(try mergeBin(bin, specID, metadata))
      }
    }
    return result
  }

  private mutating func mergeBin(
    _ bin: [ManifestFile], _ specID: Int32, _ metadata: TableMetadata
  ) throws(IcebergError) -> ManifestFile {
    let paths = bin.map(\.path)
    if let known = merged[paths] { return known }
    var writer = try store.writer(specID: specID, metadata: metadata, content: bin[0].content)
    for manifest in bin {
      var reader = try store.reader(of: manifest, metadata: metadata, statistics: .all)
      while var entry = try reader.next() {
        let isOurs = entry.snapshotID == snapshotID
        switch entry.status {
        case .added where isOurs:
          // Not committed yet: its numbers are inherited when the list is written.
          entry.sequenceNumber = manifest.content == .data ? change.dataSequenceNumber : nil
          entry.fileSequenceNumber = nil
        case .deleted where !isOurs: continue
        case .deleted: break
        case .added, .existing: entry.status = .existing
        }
        try writer.add(entry)
      }
    }
    let manifest = try store.write(
      writer, to: newManifestLocation(metadata), snapshotID: snapshotID, into: unpublished)
    merged[paths] = manifest
    return manifest
  }
}
