internal import FeatureModel
internal import Iceberg
internal import JSON
internal import Storage

// Training sets with names.
//
//     training-sets/<name>/definition.json    what it is made of; the last to be written, the first to be read
//     training-sets/<name>/spine/00000.csv    the spine's files as they were
//
// and in each table that was read the tag `fstore.training-set.<name>`, which expiry respects, other engines' too.
extension FeatureStore {
  /// Extracts a training set, gives it a name, and keeps what is needed to make it again: tags in the tables, and a
  /// copy of the spine's files or batches.
  ///
  /// Throws as `extractTrainingSet`, `.alreadyExists` for a name that is taken, `.locked` while another process is
  /// at this name. What an interrupted call left of the name is replaced.
  public func createTrainingSet(
    _ name: String, _ request: TrainingSetRequest,
    progress: (Int64, Int64) -> Void = { _, _ in }
  ) throws(FeatureStoreError) -> (set: NamedTrainingSet, report: TrainingSetReport) {
    do {
      try Name.validate(name, as: "training set")
      guard !request.includesUnflushed else {
        throw FeatureStoreError(
          .invalidArgument,
          "what is not flushed is in no snapshot, so a training set with a name cannot have it: flush first"
        )
      }
      let folder = trainingSetFolder(name)
      let lock = try lockTrainingSet(name)
      defer { lock.release() }
      if let known = try readTrainingSet(name) {
        guard !known.isComplete else {
          throw FeatureStoreError(
            .alreadyExists, "the training set '\(name)' exists already; delete it first")
        }
        try removeTrainingSet(known)
      }
      let outputs = try TrainingSetOutputs(request, fileSystem: fileSystem, isHashed: true)
      do {
        return try create(name, request, outputs, progress)
      } catch {
        // The first error is the one to report; what stays can be deleted by its name.
        do {
          if let begun = try readTrainingSet(name) { try removeTrainingSet(begun) }
          try fileSystem.removeTree(folder)
        } catch {}
        throw error
      }
    } catch { throw FeatureStoreError(error) }
  }

  private func create(
    _ name: String, _ request: TrainingSetRequest, _ outputs: TrainingSetOutputs,
    _ progress: (Int64, Int64) -> Void
  ) throws -> (set: NamedTrainingSet, report: TrainingSetReport) {
    let folder = trainingSetFolder(name)
    try fileSystem.createDirectory(folder, withIntermediates: true)
    var request = request
    request.spine = try keepSpine(request.spine, in: folder)
    let plan = try TrainingSetPlan(request, store: self)
    let rows = try TrainingSetRows(
      Self.located(request, folder), store: self, progress: progress)
    var set = NamedTrainingSet(
      name: name, createdMicroseconds: clock.nowMicroseconds(), madeBy: Self.version,
      isComplete: false, request: request, features: plan.references,
      snapshots: rows.tables.choices.mapValues(\.snapshotID), rowCount: rows.report.rowCount,
      columnCount: rows.report.columnCount, files: [])
    // Before the tags: so that nothing is tagged for a name that nobody can delete.
    try save(set)
    for choice in rows.tables.choices.values {
      guard let id = choice.snapshotID else { continue }
      var commit = choice.table.newCommit()
      commit.createTag(
        NamedTrainingSet.tag(name), snapshotID: id, maxReferenceAgeMilliseconds: .max)
      _ = try commit.commit()
    }
    try outputs.write(rows, progress: progress)
    set.files = outputs.sealedFiles
    let report = try outputs.publish(rows.report)
    set.isComplete = true
    try save(set)
    return (set, report)
  }

  /// The training sets that have names, in the order of these; those that are not complete, too.
  public func trainingSets() throws(FeatureStoreError) -> [NamedTrainingSet] {
    do {
      return try trainingSetNames().compactMap { try readTrainingSet($0) }
    } catch { throw FeatureStoreError(error) }
  }

  /// Throws `.notFound` for an unknown name.
  public func trainingSet(named name: String) throws(FeatureStoreError) -> NamedTrainingSet {
    do {
      try Name.validate(name, as: "training set")
      if let set = try readTrainingSet(name) { return set }
    } catch { throw FeatureStoreError(error) }
    throw Registry.unknown("training set", name, among: try trainingSets().map(\.name))
  }

  /// Makes a training set again from what it was made of, whatever has become of the tables since.
  ///
  /// - Parameter output: where it goes; nil for where it was.
  /// - Returns: whether the files are the same, byte for byte; nil when the output has another form than it had.
  ///
  /// Throws `.conflict` for a set that was not completed, `.notFound` when one of its snapshots is gone.
  public func reproduceTrainingSet(
    _ name: String, output: TrainingSetOutput? = nil, replacing: Bool = false,
    progress: (Int64, Int64) -> Void = { _, _ in }
  ) throws(FeatureStoreError) -> (report: TrainingSetReport, isIdentical: Bool?) {
    let set = try trainingSet(named: name)
    try set.requireComplete()
    do {
      var request = Self.located(set.request, trainingSetFolder(name))
      request.output = output ?? request.output
      request.replacesOutput = replacing
      let outputs = try TrainingSetOutputs(request, fileSystem: fileSystem, isHashed: true)
      let rows = try TrainingSetRows(request, store: self, again: set, progress: progress)
      try outputs.write(rows, progress: progress)
      rows.tables.release()
      let report = try outputs.publish(rows.report)
      guard request.output.hasForm(of: set.request.output) else { return (report, nil) }
      var isIdentical = report.files.map(\.sha256) == set.files.map(\.sha256)
      if case .folder = request.output, report.files.map(\.name) != set.files.map(\.name) {
        isIdentical = false
      }
      return (report, isIdentical)
    } catch { throw FeatureStoreError(error) }
  }

  /// Removes a training set's name, its tags and its copy of the spine. Its output stays where it is.
  public func deleteTrainingSet(_ name: String) throws(FeatureStoreError) {
    let set = try trainingSet(named: name)
    do {
      let lock = try lockTrainingSet(name)
      defer { lock.release() }
      try removeTrainingSet(set)
    } catch { throw FeatureStoreError(error) }
  }

  /// What keeps training sets with names from being made again, each in one sentence.
  func trainingSetDamages() throws -> [String] {
    var damages: [String] = []
    for name in try trainingSetNames() where !self.damages(ofTrainingSet: name).isEmpty {
      do throws(StorageError) {
        // It may be just being deleted.
        let lock = try lockTrainingSet(name)
        defer { lock.release() }
        damages += self.damages(ofTrainingSet: name)
      } catch {
        guard error.kind == .locked else { throw error }
      }
    }
    return damages
  }

  private func damages(ofTrainingSet name: String) -> [String] {
    do {
      guard let set = try readTrainingSet(name), set.isComplete else { return [] }
      var damages: [String] = []
      for (group, snapshot) in set.snapshots.sorted(by: { $0.key < $1.key }) {
        guard let snapshot else { continue }
        let metadata = try tables.load(self.group(group)).metadata
        let tag = NamedTrainingSet.tag(name)
        if metadata.references[tag]?.snapshotID != snapshot {
          damages.append(
            "the training set '\(name)': the table of '\(group)' has not its tag '\(tag)' at snapshot "
              + "\(snapshot)")
        }
        if metadata.snapshot(id: snapshot) == nil {
          damages.append(
            "the training set '\(name)': snapshot \(snapshot) of '\(group)' is gone: it cannot be made "
              + "again")
        }
      }
      for file in keptFiles(of: set)
      where try fileSystem.information(StoragePath.join(directory, file)) == nil {
        damages.append("the training set '\(name)': '\(file)' is missing")
      }
      return damages
    } catch { return ["the training set '\(name)': \(FeatureStoreError(error).message)"] }
  }

  // MARK: Files

  private func trainingSetNames() throws(StorageError) -> [String] {
    let folder = StoragePath.join(directory, Self.trainingSetsName)
    guard try fileSystem.information(folder) != nil else { return [] }
    return try fileSystem.contentsOfDirectory(folder).filter { !$0.hasPrefix(".") }.sorted()
  }

  private static let trainingSetsName = "training-sets"
  private static let definitionName = "definition.json"

  /// The files of a training set, below the store's directory, its definition last.
  func keptFiles(of set: NamedTrainingSet) -> [String] {
    var names = [Self.definitionName]
    if case .files(let spine) = set.request.spine { names = spine + names }
    return names.map { "\(Self.trainingSetsName)/\(set.name)/\($0)" }
  }

  private func trainingSetFolder(_ name: String) -> String {
    StoragePath.join(StoragePath.join(directory, Self.trainingSetsName), name)
  }

  private func lockTrainingSet(_ name: String) throws(StorageError) -> any FileLock {
    let folder = StoragePath.join(directory, Self.trainingSetsName)
    try fileSystem.createDirectory(folder, withIntermediates: true)
    return try fileSystem.lock(
      StoragePath.join(folder, ".\(name).lock"), holder: "training set \(name)")
  }

  private func readTrainingSet(_ name: String) throws -> NamedTrainingSet? {
    let path = StoragePath.join(trainingSetFolder(name), Self.definitionName)
    guard try fileSystem.information(path) != nil else { return nil }
    let bytes = try fileSystem.readFile(path, limitBytes: 64 << 20)
    let json: JSONValue
    do { json = try JSONValue(parsing: bytes) } catch {
      throw FeatureStoreError(.corrupt, "'\(path)' is damaged: \(error)", cause: error)
    }
    guard SealedJSON.isWhole(bytes, json, pretty: true) == true else {
      throw FeatureStoreError(.corrupt, "'\(path)' is damaged: its checksum does not match")
    }
    return try NamedTrainingSet(json: json, path: path)
  }

  private func save(_ set: NamedTrainingSet) throws {
    try fileSystem.publish(
      SealedJSON.text(set.json, pretty: true),
      at: StoragePath.join(trainingSetFolder(set.name), Self.definitionName), replacing: true)
  }

  /// Tags first: without its definition nobody would find them.
  private func removeTrainingSet(_ set: NamedTrainingSet) throws {
    let tag = NamedTrainingSet.tag(set.name)
    for name in set.snapshots.keys.sorted() {
      let table = try tables.load(group(name))
      guard table.metadata.references[tag] != nil else { continue }
      var commit = table.newCommit()
      commit.removeReference(tag)
      _ = try commit.commit()
    }
    try fileSystem.removeTree(trainingSetFolder(set.name))
  }

  /// Copies what the spine is read from into the training set's folder; the spine as it is from there.
  private func keepSpine(
    _ spine: TrainingSetRequest.Spine, in folder: String
  ) throws -> TrainingSetRequest.Spine {
    let target = StoragePath.join(folder, "spine")
    switch spine {
    case .group, .allKeys, .changes: return spine
    case .files(let paths):
      try fileSystem.createDirectory(target, withIntermediates: false)
      var names: [String] = []
      for (index, path) in try SpineFiles.expanded(paths, fileSystem).enumerated() {
        let last = StoragePath.lastComponent(of: path)
        let name = "spine/\(index)" + (last.lastIndex(of: ".").map { String(last[$0...]) } ?? "")
        try copy(path, to: StoragePath.join(folder, name))
        names.append(name)
      }
      try fileSystem.synchronizeDirectory(target)
      return .files(names)
    case .batches(let batches):
      try fileSystem.createDirectory(target, withIntermediates: false)
      let rows = try SpineBatches(batches)
      let file = try fileSystem.open(StoragePath.join(folder, "spine/0.arrow"), .create)
      let writer = FormatWriter(file, .arrowFile, schema: rows.schema)
      for batch in batches { try writer.write(batch) }
      _ = try writer.finish()
      try fileSystem.synchronizeDirectory(target)
      return .files(["spine/0.arrow"])
    }
  }

  private func copy(_ path: String, to target: String) throws {
    guard try fileSystem.information(path) != nil else {
      throw FeatureStoreError(.notFound, "there is no file '\(path)'")
    }
    let source = try fileSystem.open(path, .read)
    let copy = try fileSystem.open(target, .create)
    var byteOffset: Int64 = 0
    while true {
      let bytes = try source.read(count: 1 << 20, at: byteOffset)
      if bytes.isEmpty { break }
      try copy.write(bytes, at: byteOffset)
      byteOffset += Int64(bytes.count)
    }
    try copy.synchronizeData()
    try copy.close()
    try source.close()
  }

  /// The request with the paths of the kept spine.
  private static func located(
    _ request: TrainingSetRequest, _ folder: String
  ) -> TrainingSetRequest {
    guard case .files(let names) = request.spine else { return request }
    var request = request
    request.spine = .files(names.map { StoragePath.join(folder, $0) })
    return request
  }
}

extension TrainingSetOutput {
  /// Whether the same rows make the same bytes here and there.
  fileprivate func hasForm(of other: TrainingSetOutput) -> Bool {
    switch (format, other.format) {
    case (let mine?, let theirs?): mine == theirs
    case (nil, nil): layout == other.layout
    default: false
    }
  }

  private var format: RowFormat? {
    switch self {
    case .file(let path): RowFormat(path: path)
    case .standardOutput(let format): format
    case .folder: nil
    }
  }

  private var layout: TrainingSetFolder? {
    if case .folder(_, let layout) = self { layout } else { nil }
  }
}
