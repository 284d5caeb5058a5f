internal import FeatureModel
internal import FileFormats
internal import Iceberg
internal import OnlineStore
internal import Storage
internal import WriteAheadLog

/// What `verify` has read, and what is wrong with it.
public struct VerifyReport: Sendable {
  public var logRecordCount = 0
  public var tableCount = 0
  public var fileCount = 0
  public var offlineRecordCount: Int64 = 0
  /// All damages, also those that are not listed.
  public private(set) var damageCount = 0
  /// The first damages, at most `listedDamageLimit`, each in one sentence, with its place.
  public private(set) var damages: [String] = []
  public static let listedDamageLimit = 1000

  mutating func note(_ damage: String) {
    damageCount += 1
    if damages.count < Self.listedDamageLimit { damages.append(damage) }
  }
}

extension FeatureStore {
  /// Checks every record of the log, the index and its checkpoint, that every data file of every offline
  /// table is there, has its size and its number of rows, and that the tables follow this log and have not
  /// been put back to an older state, and that training sets with names have what they need to be made again.
  /// Names every damage in the report.
  ///
  /// Others may write, flush, clean, compact and vacuum meanwhile: what looks wrong is looked at again
  /// before it is called damage. A store that was opened for reading is refreshed.
  ///
  /// Throws `.corrupt` for a log that does not open at all, `.stale` when it is cleaned faster than it can be
  /// followed. Cost: reads the whole log three times and every file's footer.
  public func verify() throws(FeatureStoreError) -> VerifyReport {
    var report = VerifyReport()
    var tableReport = VerifyReport()
    do {
      // First, for the tables only move on from where they stood then.
      let flushed = try FlushedPositions.read(
        directory: directory, storeID: storeID, fileSystem: fileSystem)
      var places: [(name: String, place: FlushedPositions.Table)] = []
      for group in groups where group.isOffline {
        do {
          let table = try load(group)
          let position = try OfflinePosition.check(table.metadata, storeID: storeID, group: group)
          places.append(
            (
              group.name,
              FlushedPositions.Table(
                groupID: group.id, uuid: table.metadata.tableUUID ?? "", lsn: position.lsn)
            ))
          tableReport.tableCount += 1
          try check(table, group, &tableReport)
        } catch { tableReport.note(FeatureStoreError(error).message) }
      }
      do {
        for damage in try tables.catalog.damages() {
          tableReport.note("'\(tables.catalogPath)': \(damage)")
        }
        for damage in try trainingSetDamages() { tableReport.note(damage) }
      } catch { tableReport.note(FeatureStoreError(error).message) }
      // Only now, for what they have was durable before.
      let log = try log(reaching: max(flushed?.lsn ?? 0, places.map(\.place.lsn).max() ?? 0))
      let online = try log.inspect { [registry, clock] id, time in
        registry.withLock { $0.isExpired(at: clock.nowMicroseconds()) }(id, time)
      }
      report.logRecordCount = online.recordCount
      report.note(online.damages.map(\.description), outOf: online.damageCount)
      checkPlaces(places, flushed, log, &report)
      report.add(tableReport)
    } catch { throw FeatureStoreError(error) }
    return report
  }

  /// A table as it is now; its metadata may be replaced, and deleted, between the two looks that it takes.
  private func load(_ group: FeatureGroup) throws(FeatureStoreError) -> Table {
    for _ in 0..<4 {
      do { return try tables.load(group) } catch {}
    }
    return try tables.load(group)
  }

  /// The log, once it shows this LSN, which was durable before. If it never does the log is not what it was.
  private func log(reaching lsn: Int64) throws(FeatureStoreError) -> OnlineStore {
    let pause = Monitor(())
    for _ in 0..<50 {
      try refresh()
      let log = try log(for: "verify")
      if log.log.lastLSN >= lsn || access == .readWrite { return log }
      _ = pause.wait(timeoutMilliseconds: 10) { _ -> Bool? in nil }
    }
    return try log(for: "verify")
  }

  private func checkPlaces(
    _ places: [(name: String, place: FlushedPositions.Table)], _ flushed: FlushedPositions?,
    _ log: OnlineStore, _ report: inout VerifyReport
  ) {
    let (firstLSN, lastLSN) = (log.log.firstLSN, log.log.lastLSN)
    for (name, place) in places {
      if place.lsn > lastLSN {
        report.note(
          OnlineVerification.Damage.followerAhead(name: name, lsn: place.lsn, lastLSN: lastLSN)
            .description)
      }
      // A table that stands before the log's first record is right as long as it has not moved back:
      // what was cleaned away it had, or it was no record of its group.
      guard let before = flushed?.lsn(before: place) else { continue }
      report.note(
        place.lsn < firstLSN - 1
          ? FlushedPositions.lossMessage(name, place.lsn, before: before, firstLSN: firstLSN)
          : FlushedPositions.setBackMessage(name, place.lsn, before: before)
            + "; the next flush brings what it lacks, for the log still has it")
    }
    if let flushed, flushed.lsn > lastLSN {
      report.note("the log ends at lsn \(lastLSN), and was flushed up to \(flushed.lsn)")
    }
  }

  /// Checks the files of a table as it is now.
  private func check(_ table: Table, _ group: FeatureGroup, _ report: inout VerifyReport) throws {
    let (plan, table) = try planFiles(table, group)
    var failures: [(path: String, message: String)] = []
    for task in plan.tasks {
      do {
        try check(task.dataFile, table)
        report.fileCount += 1
        report.offlineRecordCount += task.dataFile.recordCount
      } catch { failures.append((task.dataFile.path, FeatureStoreError(error).message)) }
    }
    if failures.isEmpty { return }
    // What was compacted or deleted meanwhile nobody looks for any more.
    let now = try planFiles(load(group), group).plan
    let current = Set(now.tasks.map(\.dataFile.path))
    for failure in failures where current.contains(failure.path) { report.note(failure.message) }
  }

  /// The files of a table. Where one that lists them is gone, the table may have moved on meanwhile.
  private func planFiles(
    _ table: Table, _ group: FeatureGroup
  ) throws -> (plan: ScanPlan, table: Table) {
    var table = table
    for _ in 0..<16 {
      do { return (try table.newScan().planFiles(), table) } catch {
        let now = try load(group)
        if now.metadataLocation == table.metadataLocation { throw error }
        table = now
      }
    }
    return (try table.newScan().planFiles(), table)
  }

  private func check(_ file: DataFile, _ table: Table) throws {
    let opened = try table.io.open(file.path)
    let size = try opened.size()
    guard size == file.fileSizeInBytes else {
      throw FeatureStoreError(
        .corrupt, "'\(file.path)' has \(size) bytes, its table says \(file.fileSizeInBytes)")
    }
    let reader = try ParquetReader(file: opened)
    guard reader.rowCount == file.recordCount else {
      throw FeatureStoreError(
        .corrupt, "'\(file.path)' has \(reader.rowCount) rows, its table says \(file.recordCount)")
    }
    try opened.close()
  }
}

extension VerifyReport {
  fileprivate mutating func note(_ listed: [String], outOf count: Int) {
    for damage in listed { note(damage) }
    damageCount += count - listed.count
  }

  fileprivate mutating func add(_ tables: VerifyReport) {
    tableCount += tables.tableCount
    fileCount += tables.fileCount
    offlineRecordCount += tables.offlineRecordCount
    note(tables.damages, outOf: tables.damageCount)
  }
}
