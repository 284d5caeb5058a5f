public import JSON
internal import OnlineStore
internal import Storage
internal import WriteAheadLog

public struct BackupOptions: Sendable {
  /// Whether the offline tables are copied too. Without them a restored store begins with empty tables,
  /// which get what the log still has.
  public var includesTables = true
  /// Copies every file, also what the newest backup in the directory has already; otherwise such files are
  /// linked, and cost no space.
  public var isFull = false

  public init() {}
}

/// What a backup or a restore did.
public struct BackupReport: Sendable {
  /// The backup's directory, or the restored store's.
  public var directory: String
  public var storeID: String
  /// Every write up to here is in it.
  public var lastLSN: Int64
  public var createdMicroseconds: Int64
  public var fileCount: Int
  public var sizeBytes: Int64
  /// Of the size, what was written now; the rest is shared with an earlier backup.
  public var copiedBytes: Int64
  public var hasTables: Bool

  public var json: JSONValue {
    [
      "directory": .string(directory), "store_id": .string(storeID),
      "last_lsn": .integer(lastLSN),
      "created": .string(CivilTime.text(microseconds: createdMicroseconds)),
      "files": .integer(Int64(fileCount)), "bytes": .integer(sizeBytes),
      "copied_bytes": .integer(copiedBytes), "has_tables": .bool(hasTables),
    ]
  }
}

extension FeatureStore {
  /// Makes a whole, consistent copy of the store in a new directory below `directory`, named after the
  /// time, while this process or another goes on writing.
  ///
  /// It has every write that was on disk when it began, and of those since a prefix; each record is in the
  /// log or in its table, and a flush after `restore` brings none a second time. Copied are the
  /// definitions, the log, the checkpoint of the index, the catalog, and every file that a snapshot of a
  /// table refers to. Files that the newest backup there has already are linked.
  ///
  /// Works on a store opened in any way. Costs a read of what is copied, and of the log once more.
  ///
  /// - Parameter progress: bytes done, of all; the second may grow.
  public func backup(
    to directory: String, options: BackupOptions = BackupOptions(),
    progress: @escaping (Int64, Int64) -> Void = { _, _ in }
  ) throws(FeatureStoreError) -> BackupReport {
    do {
      if access == .readWrite { try onlineStore?.log.synchronize() }
      return try BackupTarget(store: self, directory: directory, options: options)
        .run(progress)
    } catch { throw FeatureStoreError(error) }
  }
}

/// Where backups go: makes the new one beside the others, under a hidden name until it is whole.
private struct BackupTarget {
  let store: FeatureStore
  let directory: String
  let options: BackupOptions

  private static let lockName = ".lock"
  private static let unfinishedSuffix = ".unfinished"

  var fileSystem: any FileSystem { store.fileSystem }

  func run(_ progress: @escaping (Int64, Int64) -> Void) throws -> BackupReport {
    try fileSystem.createDirectory(directory, withIntermediates: true)
    let path = try fileSystem.canonicalPath(directory)
    try refuseBadPlace(path)
    let lock: any FileLock
    do throws(StorageError) {
      lock = try fileSystem.lock(StoragePath.join(path, Self.lockName), holder: "fstore backup")
    } catch {
      guard error.kind == .locked else { throw error }
      throw FeatureStoreError(
        .locked, "another backup to '\(path)' is running: \(error.message)", cause: error)
    }
    defer { lock.release() }
    // What a process that was killed left behind; nobody else writes here now.
    for name in try fileSystem.contentsOfDirectory(path)
    where name.hasPrefix(".") && name.hasSuffix(Self.unfinishedSuffix) {
      try fileSystem.removeTree(StoragePath.join(path, name))
    }
    let earlier = options.isFull ? nil : try earlierBackup(path)
    let unique = String(UInt64.random(in: .min ... .max), radix: 16)
    let unfinished = StoragePath.join(path, ".\(unique)\(Self.unfinishedSuffix)")
    do {
      var writer = try BackupWriter(
        store: store, options: options,
        folder: BackupFolder(root: unfinished, fileSystem: fileSystem, earlier: earlier),
        progress: progress)
      let manifest = try writer.run()
      let final = try publish(unfinished, in: path, manifest.createdMicroseconds)
      return BackupReport(
        directory: final, storeID: manifest.storeID, lastLSN: manifest.lastLSN,
        createdMicroseconds: manifest.createdMicroseconds, fileCount: manifest.files.count,
        sizeBytes: manifest.sizeBytes, copiedBytes: writer.folder.copiedBytes,
        hasTables: manifest.hasTables)
    } catch {
      // The first failure is the one to report; the next backup removes what is left.
      do throws(StorageError) { try fileSystem.removeTree(unfinished) } catch {}
      throw error
    }
  }

  private func refuseBadPlace(_ path: String) throws {
    guard path != store.directory, !path.hasPrefix(store.directory + "/") else {
      throw FeatureStoreError(
        .invalidArgument, "'\(path)' lies in the store itself; a backup belongs elsewhere")
    }
    for name in [Registry.fileName, BackupManifest.fileName]
    where try fileSystem.information(StoragePath.join(path, name)) != nil {
      throw FeatureStoreError(
        .invalidArgument,
        "'\(path)' is a \(name == Registry.fileName ? "feature store" : "backup") itself; name a "
          + "directory for backups, each gets a directory of its own in it")
    }
  }

  private func earlierBackup(
    _ path: String
  ) throws -> (directory: String, manifest: BackupManifest)? {
    guard let found = try BackupManifest.newest(in: path, fileSystem: fileSystem),
      found.manifest.storeID == store.storeID
    else { return nil }
    return found
  }

  /// Gives the backup its name: the time, and a number if need be.
  private func publish(
    _ unfinished: String, in path: String, _ created: Int64
  ) throws -> String {
    let seconds = CivilTime.text(microseconds: created - created % 1_000_000)
    let name = String(seconds.map { $0 == ":" ? "-" : $0 })
    for number in 1... {
      let final = StoragePath.join(path, number == 1 ? name : "\(name)-\(number)")
      do throws(StorageError) {
        try fileSystem.rename(unfinished, to: final, replacing: false)
      } catch {
        if error.kind == .exists, number < 1000 { continue }
        throw error
      }
      try fileSystem.synchronizeDirectory(path)
      return final
    }
    preconditionFailure("the loop has no end")
  }
}
