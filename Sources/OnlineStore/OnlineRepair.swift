public import Storage
public import WriteAheadLog

/// Salvages a damaged online store: what is whole of its log (`LogRepair`), and the checkpoint of the index,
/// which the log gives again.
///
/// Holds the writer's lock until `release()`. Not thread-safe.
public final class OnlineRepair {
  public let log: LogRepair
  /// The checkpoint is put aside: it is damaged, or the log's records will be elsewhere. The next opening
  /// reads the whole log.
  public private(set) var replacesCheckpoint = false
  /// What is wrong with the checkpoint; nil for nothing.
  public private(set) var checkpointDamage: String?
  private let directory: String
  private let fileSystem: any FileSystem

  /// Finds out what is to be done, and does nothing.
  ///
  /// - Parameters:
  ///   - directory: of the log.
  ///   - lsn: what followers have.
  ///   - isExpired: whether a record of this group and event time counts no more, as `clean` is told.
  public init(
    directory: String, fileSystem: any FileSystem, clock: any WallClock, store: StoreIdentifier,
    mustReach lsn: LogSequenceNumber,
    isExpired: (_ groupID: UInt32, _ eventTime: Int64) -> Bool = { _, _ in false }
  ) throws(OnlineStoreError) {
    self.directory = directory
    self.fileSystem = fileSystem
    do throws(WriteAheadLogError) {
      log = try LogRepair(
        directory: directory, fileSystem: fileSystem, store: store, mustReach: lsn)
    } catch { throw .log(error) }
    do throws(StorageError) {
      let path = StoragePath.join(directory, CheckpointFile.name)
      guard try fileSystem.information(path) != nil else { return }
      let found = try CheckpointFile.read(
        path, fileSystem: fileSystem, shardCount: OnlineStore.shardCount
      ) { _ in }
      if found == nil {
        checkpointDamage = "it is not what was written"
      } else if found?.store != store {
        checkpointDamage = "it belongs to another store"
      } else if let found, found.lsn >= log.lsns.upperBound {
        checkpointDamage = "it has records up to LSN \(found.lsn), which the log never had"
      }
    } catch { throw .log(.storage(error)) }
    if checkpointDamage == nil, !log.isNeeded, try !answersAreRight(clock, isExpired) {
      checkpointDamage = "it does not lead to the newest record of every key"
    }
    replacesCheckpoint = checkpointDamage != nil || log.rewritesSegments
  }

  public var isNeeded: Bool { log.isNeeded || checkpointDamage != nil }

  /// Whether a whole log answers as its checkpoint says.
  private func answersAreRight(
    _ clock: any WallClock, _ isExpired: (UInt32, Int64) -> Bool
  ) throws(OnlineStoreError) -> Bool {
    var options = OnlineStoreOptions()
    options.log.isReadOnly = true
    do throws(OnlineStoreError) {
      let store = try OnlineStore.open(
        directory: directory, fileSystem: fileSystem, clock: clock, options: options)
      let report = try store.inspect(isExpired: isExpired)
      try store.close()
      return !report.damages.contains { $0.isOfIndex }
    } catch {
      switch error {
      case .log(.corrupt), .malformedEntry, .indexDisagrees, .indexDamaged: return false
      default: throw error
      }
    }
  }

  /// Carries the repair out; what it replaces is in `folder` then.
  public func execute(
    in folder: String, progress: (Int64, Int64) -> Void = { _, _ in }
  ) throws(OnlineStoreError) {
    do throws(WriteAheadLogError) {
      try log.execute(
        puttingAside: replacesCheckpoint ? [CheckpointFile.name] : [], in: folder,
        progress: progress)
    } catch { throw .log(error) }
  }

  /// Lets others open the store.
  public func release() { log.release() }
}
