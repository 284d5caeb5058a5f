internal import FeatureModel
internal import Iceberg
internal import JSON
internal import OnlineStore
public import Storage
internal import WriteAheadLog

extension FeatureStore {
  /// Brings a damaged store to where it opens again, with everything that is still whole.
  ///
  /// Salvages the log and the checkpoint of the index; whatever it replaces is kept in
  /// `damaged/<time>/` with a report. Definitions and tables are not changed: what is wrong with them is
  /// listed. A store without damage is left alone. May be run again after a crash at any moment.
  ///
  /// - Parameters:
  ///   - isDryRun: only report what would be done.
  ///   - progress: bytes written, of all.
  /// - Throws: `.locked` while another process writes; `.corrupt` when the definitions cannot be read.
  public static func repair(
    at directory: String, isDryRun: Bool = false, fileSystem: any FileSystem = POSIXFileSystem(),
    clock: any WallClock = SystemClock(), progress: (Int64, Int64) -> Void = { _, _ in }
  ) throws(FeatureStoreError) -> RepairReport {
    do {
      return try StoreRepair(directory: directory, fileSystem: fileSystem, clock: clock)
        .run(isDryRun: isDryRun, progress)
    } catch { throw FeatureStoreError(error) }
  }
}

private struct StoreRepair {
  let directory: String
  let fileSystem: any FileSystem
  let clock: any WallClock
  private let registry: Registry
  private let store: StoreIdentifier
  private var report = RepairReport()
  /// How far each group's table is.
  private var positions: [(group: FeatureGroup, lsn: Int64)] = []
  /// What was flushed was durable once.
  private var flushedLSN: Int64 = 0

  init(directory: String, fileSystem: any FileSystem, clock: any WallClock) throws {
    self.fileSystem = fileSystem
    self.clock = clock
    let file = StoragePath.join(directory, Registry.fileName)
    guard try fileSystem.information(file) != nil else {
      throw FeatureStoreError(
        .notAStore,
        "'\(directory)' is no feature store: it has no \(Registry.fileName); a backup has it as "
          + BackupManifest.definitionsName)
    }
    self.directory = try fileSystem.canonicalPath(directory)
    let bytes = try fileSystem.readFile(file, limitBytes: 64 << 20)
    do {
      registry = try Registry(parsing: bytes, path: file)
    } catch {
      throw FeatureStoreError(
        error.code,
        "\(error.message); definitions cannot be made anew, a backup has them as "
          + BackupManifest.definitionsName, cause: error)
    }
    guard let store = StoreIdentifier(registry.storeID) else {
      throw FeatureStoreError(.corrupt, "'\(file)' is damaged: the store's identity is no UUID")
    }
    self.store = store
  }

  private var logDirectory: String { StoragePath.join(directory, "log") }

  func run(isDryRun: Bool, _ progress: (Int64, Int64) -> Void) throws -> RepairReport {
    var work = self
    try work.readPositions()
    try fileSystem.createDirectory(logDirectory, withIntermediates: false)
    let repair = try OnlineRepair(
      directory: logDirectory, fileSystem: fileSystem, clock: clock, store: store,
      mustReach: max(work.flushedLSN, work.positions.map(\.lsn).max() ?? 0),
      isExpired: registry.isExpired(at: clock.nowMicroseconds()))
    defer { repair.release() }
    work.take(repair)
    if !work.report.isNeeded || isDryRun { return work.report }
    let folder = try makeFolder()
    try repair.execute(in: folder, progress: progress)
    work.report.keptIn = folder
    repair.release()
    // The store as it is now: nothing that was wrong before is wrong still.
    work.report.remainingDamages = []
    try work.finish()
    try fileSystem.publish(
      work.report.json.utf8(pretty: true), at: StoragePath.join(folder, "report.json"),
      replacing: true)
    return work.report
  }

  private mutating func readPositions() throws {
    let flushed = try FlushedPositions.read(
      directory: directory, storeID: registry.storeID, fileSystem: fileSystem)
    flushedLSN = flushed?.lsn ?? 0
    do {
      let tables = try OfflineTables(
        warehouse: StoragePath.join(directory, "warehouse"), storeID: registry.storeID,
        fileSystem: fileSystem, clock: clock)
      for group in registry.groups where group.isOffline {
        do {
          let table = try tables.load(group)
          let position = try OfflinePosition.check(
            table.metadata, storeID: registry.storeID, group: group)
          // Rows that never were in the log have LSNs of it, too.
          let last = max(position.lsn, BackfillNote.lastLSN(in: table.metadata))
          positions.append((group, last))
        } catch { report.remainingDamages.append(FeatureStoreError(error).message) }
      }
    } catch { report.remainingDamages.append(FeatureStoreError(error).message) }
  }

  private mutating func take(_ repair: OnlineRepair) {
    let log = repair.log
    report.damages = log.damages.map(\.description)
    if let damage = repair.checkpointDamage {
      report.damages.append("'\(StoragePath.join(logDirectory, "INDEX"))': \(damage)")
    }
    report.lost = log.lost
    report.recordCount = log.recordCount
    report.looseRecordCount = log.looseRecordCount
    report.replacedFiles = log.replaced + (repair.replacesCheckpoint ? ["INDEX"] : [])
    for (group, lsn) in positions {
      if group.isOnline, log.lost.contains(where: { $0.lowerBound <= lsn }) {
        report.groupsToMaterialize.append(group.name)
      }
      if log.lost.contains(where: { $0.upperBound > lsn }) {
        report.groupsWithLosses.append(group.name)
      }
    }
    if !log.lost.isEmpty {
      report.groupsWithLosses += registry.groups.filter { !$0.isOffline }.map(\.name)
    }
  }

  /// A new directory for what is replaced, whose name is durable.
  private func makeFolder() throws -> String {
    let base = StoragePath.join(directory, "damaged")
    try fileSystem.createDirectory(base, withIntermediates: false)
    try fileSystem.synchronizeDirectory(directory)
    let now = clock.nowMicroseconds()
    let text = CivilTime.text(microseconds: now - now % 1_000_000)
    let name = String(text.map { $0 == ":" ? "-" : $0 })
    var folder = StoragePath.join(base, name)
    var number = 2
    while try fileSystem.information(folder) != nil {
      folder = StoragePath.join(base, "\(name)-\(number)")
      number += 1
    }
    try fileSystem.createDirectory(folder, withIntermediates: false)
    try fileSystem.synchronizeDirectory(base)
    return folder
  }

  /// Opens the store as a writer does, makes a new checkpoint, and checks everything.
  private mutating func finish() throws {
    var options = FeatureStore.Options()
    options.flushesAutomatically = false
    let store = try FeatureStore.open(
      at: directory, options: options, fileSystem: fileSystem, clock: clock)
    do {
      _ = try store.onlineStore?.checkpoint()
      report.remainingDamages = try store.verify().damages
    } catch {
      do { try store.close() } catch {}
      throw error
    }
    try store.close()
  }
}
