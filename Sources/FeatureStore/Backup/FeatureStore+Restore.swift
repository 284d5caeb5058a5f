internal import FeatureModel
internal import Iceberg
public import Storage

/// What checking a backup found.
public struct BackupVerification: Sendable {
  public var directory: String
  public var fileCount = 0
  public var sizeBytes: Int64 = 0
  /// Each damage in one sentence, with its place.
  public var damages: [String] = []
}

extension FeatureStore {
  /// Makes a store out of a backup, in a directory that is empty or not there yet.
  ///
  /// Every file is checked while it is copied; a damaged backup is refused and nothing is left. Where the
  /// directory is not the one of the store that was backed up, the tables' metadata is rewritten for it.
  ///
  /// - Parameter backup: a backup, or a directory of backups, of which the newest is taken.
  /// - Throws: `.notAStore` for what is no backup, `.corrupt` for a damaged one, `.alreadyExists` when the
  ///   directory is not empty.
  public static func restore(
    _ backup: String, to directory: String, fileSystem: any FileSystem = POSIXFileSystem(),
    clock: any WallClock = SystemClock(),
    progress: @escaping (Int64, Int64) -> Void = { _, _ in }
  ) throws(FeatureStoreError) -> BackupReport {
    do {
      let (source, manifest) = try BackupManifest.find(backup, fileSystem: fileSystem)
      let wasThere = try fileSystem.information(directory) != nil
      try fileSystem.createDirectory(directory, withIntermediates: true)
      let target = try fileSystem.canonicalPath(directory)
      guard try fileSystem.contentsOfDirectory(target).isEmpty else {
        throw FeatureStoreError(
          .alreadyExists,
          "'\(directory)' is not empty; a store is restored to a directory of its own"
        )
      }
      do {
        var restore = try Restore(
          source: source, manifest: manifest, target: target, fileSystem: fileSystem, clock: clock,
          progress: progress)
        return try restore.run()
      } catch {
        // Nothing of ours was there before.
        do throws(StorageError) {
          for name in try fileSystem.contentsOfDirectory(target) {
            try fileSystem.removeTree(StoragePath.join(target, name))
          }
          if !wasThere { try fileSystem.removeDirectory(target) }
        } catch {}
        throw error
      }
    } catch { throw FeatureStoreError(error) }
  }

  /// Reads every file of a backup and compares it with what was written; names every damage.
  ///
  /// - Throws: `.notAStore` for what is no backup, `.corrupt` when its list of files is damaged.
  public static func verifyBackup(
    _ backup: String, fileSystem: any FileSystem = POSIXFileSystem(),
    progress: (Int64, Int64) -> Void = { _, _ in }
  ) throws(FeatureStoreError) -> BackupVerification {
    let (source, manifest) = try BackupManifest.find(backup, fileSystem: fileSystem)
    var report = BackupVerification(directory: source)
    let total = manifest.sizeBytes
    for file in manifest.files {
      do throws(FeatureStoreError) {
        try BackupSource(root: source, fileSystem: fileSystem).read(file) { bytes, _ in
          report.sizeBytes += Int64(bytes.byteCount)
          progress(report.sizeBytes, total)
        }
        report.fileCount += 1
      } catch {
        guard error.code == .corrupt || error.code == .notFound else { throw error }
        report.damages.append(error.message)
      }
    }
    return report
  }
}

/// Reads a backup's files and checks them.
private struct BackupSource {
  let root: String
  let fileSystem: any FileSystem

  /// Shows a file piece by piece; when this returns, what was shown is what was backed up.
  func read(
    _ file: BackupManifest.File, _ body: (RawSpan, Int64) throws(StorageError) -> Void
  ) throws(FeatureStoreError) {
    let path = StoragePath.join(root, file.name)
    do throws(StorageError) {
      let opened = try fileSystem.open(path, .read)
      let size = try opened.size()
      guard size == file.sizeBytes else {
        throw damaged(path, "it has \(size) bytes instead of \(file.sizeBytes)")
      }
      let checksum = try BackupFolder.read(opened, sizeBytes: size, body)
      try opened.close()
      guard checksum == file.checksum else { throw damaged(path, "its checksum does not match") }
    } catch {
      switch error.kind {
      case .notFound: throw FeatureStoreError(.corrupt, "the backup lacks '\(path)'", cause: error)
      case .inputOutput where error.operation == Self.check:
        throw FeatureStoreError(.corrupt, error.message, cause: error)
      default: throw FeatureStoreError(error)
      }
    }
  }

  private static let check = "check"

  private func damaged(_ path: String, _ reason: String) -> StorageError {
    StorageError(
      .inputOutput, operation: Self.check, path: path, message: "'\(path)' is damaged: \(reason)")
  }
}

/// Copies a backup to where a store will be. `store.json` comes last: with it the directory is a store.
private struct Restore {
  let manifest: BackupManifest
  let source: BackupSource
  let fileSystem: any FileSystem
  let clock: any WallClock
  let target: String
  private var folder: BackupFolder
  private var relocation: Relocation?

  init(
    source: String, manifest: BackupManifest, target: String, fileSystem: any FileSystem,
    clock: any WallClock, progress: @escaping (Int64, Int64) -> Void
  ) throws {
    self.source = BackupSource(root: source, fileSystem: fileSystem)
    self.manifest = manifest
    self.target = target
    self.fileSystem = fileSystem
    self.clock = clock
    let total = manifest.sizeBytes
    var done: Int64 = 0
    folder = try BackupFolder(root: target, fileSystem: fileSystem) { bytes in
      done += bytes
      progress(min(done, total), total)
    }
    if manifest.directory != target {
      relocation = try Relocation(from: manifest.directory, to: target)
    }
  }

  mutating func run() throws -> BackupReport {
    for name in ["log/", "warehouse/", "jobs/"] { try folder.makeDirectory(of: name + "-") }
    var definitions: [UInt8]?
    // Manifest lists record the sizes of manifests.
    let last: [BackupManifest.Kind] = [.manifest, .manifestList, .metadata, .view]
    for file in manifest.files where !last.contains(file.kind) {
      if file.kind == .definitions { definitions = try readAll(file) } else { try copy(file) }
    }
    for kind in last {
      for file in manifest.files where file.kind == kind { try copyOfTable(file) }
    }
    guard let definitions else {
      throw FeatureStoreError(.corrupt, "the backup in '\(source.root)' has no definitions")
    }
    let registry = try Registry(
      parsing: definitions, path: source.root + "/" + BackupManifest.definitionsName)
    try makeTables(registry)
    try folder.synchronize()
    try fileSystem.publish(
      definitions, at: StoragePath.join(target, Registry.fileName), replacing: false)
    return BackupReport(
      directory: target, storeID: manifest.storeID, lastLSN: manifest.lastLSN,
      createdMicroseconds: manifest.createdMicroseconds, fileCount: manifest.files.count,
      sizeBytes: manifest.sizeBytes, copiedBytes: manifest.sizeBytes, hasTables: manifest.hasTables)
  }

  private mutating func copy(_ file: BackupManifest.File) throws {
    try folder.makeDirectory(of: file.name)
    let copy = try fileSystem.open(folder.path(file.name), .create)
    let report = folder.progress
    try source.read(file) { bytes, offset throws(StorageError) in
      try copy.write(bytes, at: offset)
      report(Int64(bytes.byteCount))
    }
    try copy.synchronizeData()
    try copy.close()
  }

  private func readAll(_ file: BackupManifest.File) throws -> [UInt8] {
    guard file.sizeBytes <= 1 << 30 else {
      throw FeatureStoreError(
        .corrupt, "'\(file.name)' has \(file.sizeBytes) bytes, more than such a file may have")
    }
    var all: [UInt8] = []
    try source.read(file) { bytes, _ in all.append(contentsOf: bytes) }
    return all
  }

  /// A file of a table's metadata, which may have to be rewritten.
  private mutating func copyOfTable(_ file: BackupManifest.File) throws {
    guard relocation != nil else { return try copy(file) }
    let bytes = try readAll(file)
    let path = folder.path(newName(file))
    let moved: [UInt8]
    switch file.kind {
    case .manifest: moved = try relocation?.manifest(bytes, at: path) ?? bytes
    case .manifestList: moved = try relocation?.manifestList(bytes) ?? bytes
    case .view: moved = try relocation?.viewMetadata(bytes) ?? bytes
    default: moved = try relocation?.metadata(bytes) ?? bytes
    }
    try folder.write(moved, as: newName(file), file.kind)
    folder.progress(file.sizeBytes)
  }

  /// Rewritten metadata is not compressed, and must not be called so.
  private func newName(_ file: BackupManifest.File) -> String {
    guard relocation != nil, [.metadata, .view].contains(file.kind) else { return file.name }
    return Self.withoutCompression(file.name)
  }

  private static func withoutCompression(_ name: String) -> String {
    for suffix in [".gz.metadata.json", ".metadata.json.gz"] where name.hasSuffix(suffix) {
      return String(name.dropLast(suffix.count)) + ".metadata.json"
    }
    return name
  }

  /// Lets the catalog know where the tables are now; without copied tables makes empty ones, which follow
  /// the log from its beginning.
  private func makeTables(_ registry: Registry) throws {
    let tables = try OfflineTables(
      warehouse: StoragePath.join(target, "warehouse"), storeID: registry.storeID,
      fileSystem: fileSystem, clock: clock)
    if !manifest.hasTables {
      for group in registry.groups where group.isOffline {
        try tables.create(group, from: manifest.firstLSN - 1)
      }
      return
    }
    if let relocation {
      try tables.catalog.relocate { location in
        let new = relocation.location(location)
        return new == location ? location : Self.withoutCompression(new)
      }
    }
    for group in registry.groups where group.isOffline {
      let table = try tables.load(group)
      try OfflinePosition.check(table.metadata, storeID: registry.storeID, group: group)
      // For readers without the catalog.
      let name = Location.lastComponent(of: table.metadataLocation)
      let folder = try table.io.path(of: table.metadata.metadataFolder)
      try fileSystem.publish(
        Array(name.dropLast(".metadata.json".count).utf8),
        at: StoragePath.join(folder, "version-hint.text"), replacing: true)
    }
  }
}
