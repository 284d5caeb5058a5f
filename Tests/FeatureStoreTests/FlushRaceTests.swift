import FeatureModel
import FeatureStore
import Foundation
import Storage
import Testing

/// What comes while a flush looks up where the tables stand.
@Suite struct FlushRaceTests {
  /// The machine's file system, which lets something happen when a table's metadata is read.
  private struct InterruptedFileSystem: FileSystem {
    let base = POSIXFileSystem()
    let action = Lock<(@Sendable () -> Void)?>(nil)

    func open(_ path: String, _ mode: OpenMode) throws(StorageError) -> any File {
      if path.hasSuffix(".metadata.json"), case .read = mode {
        let action = action.withLock { action in
          defer { action = nil }
          return action
        }
        action?()
      }
      return try base.open(path, mode)
    }

    func createDirectory(_ path: String, withIntermediates: Bool) throws(StorageError) {
      try base.createDirectory(path, withIntermediates: withIntermediates)
    }
    func contentsOfDirectory(_ path: String) throws(StorageError) -> [String] {
      try base.contentsOfDirectory(path)
    }
    func information(_ path: String) throws(StorageError) -> FileInformation? {
      try base.information(path)
    }
    func removeFile(_ path: String) throws(StorageError) -> Bool { try base.removeFile(path) }
    func removeDirectory(_ path: String) throws(StorageError) -> Bool {
      try base.removeDirectory(path)
    }
    func rename(_ path: String, to newPath: String, replacing: Bool) throws(StorageError) {
      try base.rename(path, to: newPath, replacing: replacing)
    }
    func link(_ path: String, to newPath: String) throws(StorageError) -> Bool {
      try base.link(path, to: newPath)
    }
    func synchronizeDirectory(_ path: String) throws(StorageError) {
      try base.synchronizeDirectory(path)
    }
    func lock(_ path: String, holder: String) throws(StorageError) -> any FileLock {
      try base.lock(path, holder: holder)
    }
    func availableBytes(_ path: String) throws(StorageError) -> Int64 {
      try base.availableBytes(path)
    }
    func canonicalPath(_ path: String) throws(StorageError) -> String {
      try base.canonicalPath(path)
    }
  }

  /// A store with one record to be flushed, while `action` happens; then flushed once more.
  private func flush(_ action: @escaping @Sendable (FeatureStore) throws -> Void) throws -> [Int] {
    func sample() throws -> StoreFixture {
      let (fixture, store) = try BackupTests.store(isDurable: true)
      try store.put("readings", fields: ["sensor": "a", "at": "2026-01-01T00:00:00Z"])
      try store.close()
      return fixture
    }
    let fixture = try sample()
    let files = InterruptedFileSystem()
    var options = BackupTests.options
    options.isDurable = true
    let store = try FeatureStore.open(at: fixture.directory, options: options, fileSystem: files)
    let failure = Lock<String?>("nothing happened")
    files.action.withLock {
      $0 = {
        do {
          try action(store)
          failure.withLock { $0 = nil }
        } catch { failure.withLock { $0 = "\(error)" } }
      }
    }
    var counts = try store.flush().map(\.recordCount)
    #expect(failure.withLock { $0 } == nil)
    counts += try store.flush().map(\.recordCount)
    #expect(try store.verify().damages.isEmpty)
    try store.close()
    return counts
  }

  @Test func aGroupThatIsCreatedMeanwhileLosesNothing() throws {
    let counts = try flush { store in
      try store.createGroup(StoreFixture.group("late"))
      try store.put("late", fields: ["sensor": "b", "at": "2026-01-01T00:00:00Z"])
    }
    #expect(counts == [1, 1])
  }

  @Test func featuresThatAreAddedMeanwhileAreNotLost() throws {
    let counts = try flush { store in
      try store.addFeatures([Feature("more", .long)], to: "readings")
      try store.put(
        "readings", fields: ["sensor": "b", "at": "2026-01-01T00:00:00Z", "more": "3"])
    }
    #expect(counts == [1, 1])
  }
}
