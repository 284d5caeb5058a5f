public import FeatureModel
internal import Iceberg
internal import JSON
internal import OnlineStore
public import Storage
internal import WriteAheadLog

/// A feature store in one directory:
///
///     store.json   the definitions: groups, views, the store's identity
///     log/         the write-ahead log, which is the online store's data
///     warehouse/   the offline tables (Apache Iceberg) and their catalog, catalog.db
///     jobs/        leases of maintenance jobs
///
/// One process writes (`.readWrite`); others may read online (`.readOnly`) and work on the offline
/// tables (`.offline`) at the same time. Thread-safe.
public final class FeatureStore: Sendable {
  /// What the caller is going to do.
  public enum Access: Sendable {
    /// Offline tables and definitions only; the log is not touched.
    case offline
    /// Online reads as well, of what the log held when it was opened or refreshed.
    case readOnly
    /// Everything; only one process at a time.
    case readWrite
  }

  public struct Options: Sendable {
    /// When a write is acknowledged; on disk, unless told otherwise.
    public var isDurable = true
    /// The log is kept in files of this many bytes, made in advance.
    public var logSegmentBytes = 64 << 20
    /// After a flush, segments of the log that no key needs any more are removed, while the log takes
    /// more than this and more than twice what its live records take.
    public var logMinimumBytes = 256 << 20
    /// Instead of what the store's settings say, for this process: `StoreSettings` explains both.
    public var logLimitBytes: Int?
    public var logReserveBytes: Int?
    /// Whether a store that is open for writing flushes by itself: by size, by time, and on close.
    /// Without it only `flush()` and `ingest` flush.
    public var flushesAutomatically = true
    /// A flush comes once records have gathered that take this many bytes; it also bounds the memory
    /// of a flush.
    public var flushSizeBytes = 64 << 20
    /// Folders outside the store in which offline tables may have files, as with `write.data.path`. Other
    /// places are refused: a table's properties may come from anybody who writes the table.
    public var tableFolders: [String] = []
    /// A record waits at most this long for its flush to begin.
    public var flushIntervalSeconds: Double = 60

    public init() {}

    /// The store's settings, but for what these options say.
    func settings(_ stored: StoreSettings) -> StoreSettings {
      StoreSettings(
        logLimitBytes: logLimitBytes ?? stored.logLimitBytes,
        logReserveBytes: logReserveBytes ?? stored.logReserveBytes)
    }

    func onlineStore(_ access: Access, _ stored: StoreSettings) -> OnlineStoreOptions {
      var options = OnlineStoreOptions()
      options.log.isReadOnly = access == .readOnly
      options.log.segmentCapacityBytes = logSegmentBytes
      let chosen = settings(stored)
      options.log.limitBytes = chosen.logLimit(liveBytes: 0)
      options.log.reserveBytes = chosen.reserveBytes(segmentBytes: logSegmentBytes)
      if !isDurable { options.log.durability = .interval(milliseconds: 1000) }
      return options
    }
  }

  public let directory: String
  public let access: Access
  let options: Options
  let fileSystem: any FileSystem
  let clock: any WallClock
  let registry: Lock<Registry>
  let tables: OfflineTables
  /// Of a reader it is opened anew when the writer cleans faster than it follows; so it is behind a lock,
  /// which a writer's is not.
  private let readOnlyStore: Lock<OnlineStore?>
  private let ownStore: OnlineStore?
  var onlineStore: OnlineStore? {
    access == .readOnly ? readOnlyStore.withLock { $0 } : ownStore
  }
  /// One thread at a time takes notice of what the writer did.
  let refreshing = Lock(())
  /// One flush at a time.
  let flushLock = Lock(())
  let flusher: BackgroundFlusher
  /// Groups whose offline tables are known to have the column for expiries.
  let expiryGroups = Lock<Set<UInt32>>([])
  let lastCleaningFailure = Lock<FeatureStoreError?>(nil)
  let flushes = FlushCounters()
  let lag = FollowerLag()
  let lastRefusal = Lock<(nanoseconds: Int64, text: String)?>(nil)
  private let isClosed = Lock(false)

  private init(
    directory: String, access: Access, options: Options, fileSystem: any FileSystem,
    clock: any WallClock, registry: Registry, tables: OfflineTables, onlineStore: OnlineStore?
  ) {
    self.directory = directory
    self.access = access
    self.options = options
    self.fileSystem = fileSystem
    self.clock = clock
    self.registry = Lock(registry)
    self.tables = tables
    readOnlyStore = Lock(access == .readOnly ? onlineStore : nil)
    ownStore = access == .readOnly ? nil : onlineStore
    flusher = BackgroundFlusher(
      sizeBytes: options.flushSizeBytes, intervalSeconds: options.flushIntervalSeconds)
  }

  deinit { flusher.requestStop() }

  /// Makes a new, empty store in a directory that is empty or not there yet.
  ///
  /// Throws `.alreadyExists` when the directory has a store, or anything else, in it.
  public static func create(
    at directory: String, options: Options = Options(), settings: StoreSettings = StoreSettings(),
    fileSystem: any FileSystem = POSIXFileSystem(), clock: any WallClock = SystemClock()
  ) throws(FeatureStoreError) {
    do {
      try settings.check()
      try fileSystem.createDirectory(directory, withIntermediates: true)
      let names = try fileSystem.contentsOfDirectory(directory)
      guard !names.contains(Registry.fileName) else {
        throw FeatureStoreError(.alreadyExists, "'\(directory)' is a feature store already")
      }
      guard names.isEmpty else {
        throw FeatureStoreError(
          .alreadyExists, "'\(directory)' is not empty; a store needs a directory of its own")
      }
      for name in ["log", "warehouse", "jobs"] {
        try fileSystem.createDirectory(
          StoragePath.join(directory, name), withIntermediates: false)
      }
      let path = try fileSystem.canonicalPath(directory)
      let online = try OnlineStore.open(
        directory: StoragePath.join(path, "log"), fileSystem: fileSystem, clock: clock,
        options: options.onlineStore(.readWrite, settings))
      var registry = Registry(
        storeID: online.log.store.description, createdMicroseconds: clock.nowMicroseconds())
      registry.settings = settings
      try online.close()
      _ = try OfflineTables(
        warehouse: StoragePath.join(path, "warehouse"), storeID: registry.storeID,
        fileSystem: fileSystem, clock: clock)
      // Last, so that a directory with this file is a whole store.
      try fileSystem.publish(
        registry.encoded, at: StoragePath.join(path, Registry.fileName), replacing: false)
    } catch { throw FeatureStoreError(error) }
  }

  /// Opens a store. Opening for writing recovers the log after a crash: what was acknowledged is
  /// there. Throws `.notAStore`, `.locked` when another process writes, `.corrupt`, and `.full` when the
  /// disk has no room for what recovery writes, not even with the reserve.
  public static func open(
    at directory: String, access: Access = .readWrite, options: Options = Options(),
    fileSystem: any FileSystem = POSIXFileSystem(), clock: any WallClock = SystemClock()
  ) throws(FeatureStoreError) -> FeatureStore {
    do throws(FeatureStoreError) {
      return try openOnce(directory, access, options, fileSystem, clock)
    } catch {
      guard access == .readWrite, error.isFullDisk,
        WriteAheadLog.releaseReserve(
          directory: StoragePath.join(directory, "log"), fileSystem: fileSystem)
      else { throw error }
      return try openOnce(directory, access, options, fileSystem, clock)
    }
  }

  private static func openOnce(
    _ directory: String, _ access: Access, _ options: Options, _ fileSystem: any FileSystem,
    _ clock: any WallClock
  ) throws(FeatureStoreError) -> FeatureStore {
    do {
      let file = StoragePath.join(directory, Registry.fileName)
      guard try fileSystem.information(file) != nil else {
        throw FeatureStoreError(
          .notAStore,
          "'\(directory)' is no feature store: it has no \(Registry.fileName) "
            + "('fstore init \(directory)' makes one)")
      }
      let path = try fileSystem.canonicalPath(directory)
      var onlineStore: OnlineStore?
      if access != .offline {
        let stored = try Registry(
          parsing: fileSystem.readFile(file, limitBytes: 64 << 20), path: file)
        onlineStore = try OnlineStore.open(
          directory: StoragePath.join(path, "log"), fileSystem: fileSystem, clock: clock,
          options: options.onlineStore(access, stored.settings))
      }
      // After the lock is held, so that no other writer changes it.
      let bytes = try fileSystem.readFile(file, limitBytes: 64 << 20)
      let registry = try Registry(parsing: bytes, path: file)
      if let onlineStore, onlineStore.log.store.description != registry.storeID {
        throw FeatureStoreError(
          .corrupt,
          "'\(directory)': the log belongs to the store \(onlineStore.log.store), "
            + "the definitions to \(registry.storeID)")
      }
      if let onlineStore, access == .readWrite {
        try requireWhatWasFlushed(onlineStore, directory: path, registry, fileSystem)
      }
      let tables = try OfflineTables(
        warehouse: StoragePath.join(path, "warehouse"), storeID: registry.storeID,
        fileSystem: fileSystem, clock: clock, tableFolders: options.tableFolders)
      let store = FeatureStore(
        directory: path, access: access, options: options, fileSystem: fileSystem, clock: clock,
        registry: registry, tables: tables, onlineStore: onlineStore)
      store.adjustLogLimit()
      if access == .readWrite, options.flushesAutomatically { try store.startFlusher() }
      return store
    } catch { throw FeatureStoreError(error) }
  }

  /// What was flushed was durable. A log that ends before it would give its LSNs a second time, and the
  /// tables would take the new records for those that they have.
  private static func requireWhatWasFlushed(
    _ log: OnlineStore, directory: String, _ registry: Registry, _ fileSystem: any FileSystem
  ) throws {
    let flushed = try FlushedPositions.read(
      directory: directory, storeID: registry.storeID, fileSystem: fileSystem)
    guard let flushed, flushed.lsn > log.log.lastLSN else { return }
    throw FeatureStoreError(
      .corrupt,
      "'\(directory)': the log ends at lsn \(log.log.lastLSN), and was flushed up to \(flushed.lsn): it "
        + "was replaced by an older one ('fstore repair' lets it go on behind that)")
  }

  /// Flushes, if the store flushes by itself, and closes the log. What could not be flushed stays in
  /// the log, and the next flush takes it; then this throws why, with the log closed.
  public func close() throws(FeatureStoreError) {
    let wasClosed = isClosed.withLock { isClosed in
      defer { isClosed = true }
      return isClosed
    }
    guard !wasClosed else { return }
    flusher.stop()
    var failure: FeatureStoreError?
    if access == .readWrite, options.flushesAutomatically {
      do { try flush() } catch { failure = error }
    }
    do { try onlineStore?.close() } catch { throw FeatureStoreError(error) }
    if let failure { throw failure }
  }

  /// Opens the log anew for a reader that the writer has left behind; `.stale` when it does so again.
  func reopen(insteadOf old: OnlineStore) throws {
    let new = try OnlineStore.open(
      directory: StoragePath.join(directory, "log"), fileSystem: fileSystem, clock: clock,
      options: options.onlineStore(access, settings))
    guard new.log.store == old.log.store else {
      throw FeatureStoreError(
        .corrupt, "'\(directory)': the log of another store has taken the place of this one's")
    }
    readOnlyStore.withLock { $0 = new }
    // Whoever reads from it goes on.
    try old.close()
  }

  /// The log, for an operation that needs it.
  func log(for operation: String) throws(FeatureStoreError) -> OnlineStore {
    guard let onlineStore else {
      throw FeatureStoreError(
        .readOnly, "cannot \(operation): the store was opened for its offline tables only")
    }
    return onlineStore
  }

  func requireWriter(_ operation: String) throws(FeatureStoreError) -> OnlineStore {
    guard access == .readWrite else {
      throw FeatureStoreError(
        .readOnly, "cannot \(operation): the store was opened for reading only")
    }
    return try log(for: operation)
  }
}

// Definitions.
extension FeatureStore {
  public var storeID: String { registry.withLock { $0.storeID } }

  /// The groups in the order of their creation.
  public var groups: [FeatureGroup] { registry.withLock { $0.groups } }

  public var views: [FeatureView] { registry.withLock { $0.views } }

  public func group(_ name: String) throws(FeatureStoreError) -> FeatureGroup {
    try registry.withLock { registry throws(FeatureStoreError) in try registry.group(name) }
  }

  /// How the store uses its disk, as `store.json` says.
  public var settings: StoreSettings { registry.withLock { $0.settings } }

  /// Changes the settings: the limit of the log at once, the reserve when the store is opened next.
  public func configure(_ settings: StoreSettings) throws(FeatureStoreError) {
    _ = try requireWriter("change the settings")
    try settings.check()
    try registry.withLock { current throws(FeatureStoreError) in
      var changed = current
      changed.settings = settings
      try save(changed)
      current = changed
    }
    adjustLogLimit()
  }

  public func view(_ name: String) throws(FeatureStoreError) -> FeatureView {
    try registry.withLock { registry throws(FeatureStoreError) in try registry.view(name) }
  }

  /// Creates a group, and its offline table if it has one. The definition's `id` and `version` are
  /// assigned here.
  @discardableResult
  public func createGroup(_ definition: FeatureGroup) throws(FeatureStoreError) -> FeatureGroup {
    let log = try requireWriter("create a feature group")
    if !definition.hasExpiryColumn { throw Self.reservedExpiryName }
    return try registry.withLock { current throws(FeatureStoreError) in
      var group = definition
      group.id = current.nextGroupID
      group.version = 1
      var changed = current
      try changed.add(group)
      // Not the last LSN: what is not on disk yet may be lost, and its LSNs given again.
      if group.isOffline { try tables.create(group, from: log.log.durableLSN) }
      try save(changed)
      current = changed
      return group
    }
  }

  /// Adds features to a group: a new version of its definition, and new columns of its table.
  @discardableResult
  public func addFeatures(
    _ features: [Feature], to name: String
  ) throws(FeatureStoreError) -> FeatureGroup {
    _ = try requireWriter("add features")
    if features.contains(where: { $0.name.lowercased() == FeatureGroup.expiryName }) {
      throw Self.reservedExpiryName
    }
    return try registry.withLock { current throws(FeatureStoreError) in
      let group: FeatureGroup
      do { group = try current.group(name).adding(features) } catch {
        throw FeatureStoreError(error)
      }
      // The table first: a column that no definition names yet harms nobody.
      if group.isOffline { try tables.addMissingColumns(group) }
      var changed = current
      changed.replace(group)
      try save(changed)
      current = changed
      return group
    }
  }

  public func createView(_ view: FeatureView) throws(FeatureStoreError) {
    _ = try requireWriter("create a feature view")
    try registry.withLock { current throws(FeatureStoreError) in
      var changed = current
      try changed.add(view)
      try save(changed)
      current = changed
    }
  }

  private func save(_ registry: Registry) throws(FeatureStoreError) {
    do {
      try fileSystem.publish(
        registry.encoded, at: StoragePath.join(directory, Registry.fileName), replacing: true)
    } catch { throw FeatureStoreError(error) }
  }
}
