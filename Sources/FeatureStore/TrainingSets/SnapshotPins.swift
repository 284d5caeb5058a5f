internal import Iceberg
internal import Storage
internal import Synchronization

/// Snapshots that somebody is reading, so that a vacuum of this store leaves them and their files alone.
///
/// Nothing is written to the tables. A reader holds the lock of a file in `jobs/readers`, and beside it makes an
/// empty file for each snapshot, named `<reader>.<table>.<snapshot>.pin`. The lock ends with the process, so a
/// crash pins nothing; the next vacuum removes what it left. Other engines' expiry knows nothing of it.
///
/// Why no snapshot slips through: a reader pins first and looks afterwards whether the table still has the
/// snapshot. A vacuum takes the snapshot out of the table first and looks for pins afterwards, before it
/// deletes files (`Vacuum.snapshotsInUse`). One of the two sees the other.
final class SnapshotPins {
  private let fileSystem: any FileSystem
  private let directory: String
  private let name: String
  /// nil where files cannot be made: then nothing is pinned, as for a reader without the right to write.
  private var lock: (any FileLock)?
  private var files: [String] = []

  init(_ store: FeatureStore) throws {
    fileSystem = store.fileSystem
    directory = Self.directory(of: store)
    name = String(UInt64.random(in: .min ... .max), radix: 16)
    do throws(StorageError) {
      try fileSystem.createDirectory(directory, withIntermediates: true)
      lock = try fileSystem.lock(path(Self.lockName(name)), holder: "reader of snapshots")
    } catch {
      guard [.readOnly, .permissionDenied].contains(error.kind) else { throw error }
    }
  }

  deinit { release() }

  func add(_ snapshotID: Int64, of table: Table) throws(StorageError) {
    guard lock != nil else { return }
    let file = "\(name).\(Self.tableName(table)).\(snapshotID)\(Self.suffix)"
    guard !files.contains(file) else { return }
    try fileSystem.open(path(file), .create).close()
    files.append(file)
  }

  func release() {
    guard let lock else { return }
    self.lock = nil
    // What is left behind is removed by a vacuum.
    for file in files + [Self.lockName(name)] {
      do throws(StorageError) { try fileSystem.removeFile(path(file)) } catch {}
    }
    files = []
    lock.release()
  }

  private func path(_ name: String) -> String { StoragePath.join(directory, name) }

  /// The snapshots of a table that living readers have pinned. Removes the pins of dead ones.
  static func pinned(of table: Table, in store: FeatureStore) throws(StorageError) -> Set<Int64> {
    let directory = directory(of: store)
    let fileSystem = store.fileSystem
    guard try fileSystem.information(directory) != nil else { return [] }
    var pinned: Set<Int64> = []
    for file in try fileSystem.contentsOfDirectory(directory) where file.hasSuffix(suffix) {
      let parts = file.split(separator: ".").map(String.init)
      guard parts.count == 4, let id = Int64(parts[2]) else { continue }
      let lockPath = StoragePath.join(directory, lockName(parts[0]))
      do throws(StorageError) {
        // Names are never used again, so a lock that can be had is a dead reader's.
        let lock = try fileSystem.lock(lockPath, holder: "vacuum")
        try fileSystem.removeFile(StoragePath.join(directory, file))
        try fileSystem.removeFile(lockPath)
        lock.release()
      } catch {
        guard error.kind == .locked else { throw error }
        if parts[1] == tableName(table) { pinned.insert(id) }
      }
    }
    return pinned
  }

  private static let suffix = ".pin"

  private static func directory(of store: FeatureStore) -> String {
    StoragePath.join(StoragePath.join(store.directory, "jobs"), "readers")
  }

  private static func lockName(_ name: String) -> String { ".\(name).lock" }

  private static func tableName(_ table: Table) -> String {
    table.metadata.tableUUID ?? table.identifier.name
  }
}
