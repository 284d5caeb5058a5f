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
  /// Each damage in one sentence, with its place.
  public var damages: [String] = []
}

extension FeatureStore {
  /// Checks every record of the log, the index and its checkpoint, and that every data file of every
  /// offline table is there, has its size and its number of rows, and that the tables follow this log.
  /// Names every damage in the report. To be called while nobody writes.
  ///
  /// Throws `.corrupt` for a log that does not open at all. Cost: reads the whole log and every file's footer.
  public func verify() throws(FeatureStoreError) -> VerifyReport {
    var report = VerifyReport()
    do {
      let log = try log(for: "verify")
      var followers: [String: Int64] = [:]
      for group in groups where group.isOffline {
        do {
          let table = try tables.load(group)
          let position = try OfflinePosition.check(table.metadata, storeID: storeID, group: group)
          // What was cleaned away a table had passed, though only flushes that brought it records say so.
          followers[group.name] = max(position.lsn, log.log.firstLSN - 1)
          report.tableCount += 1
          try check(table, &report)
        } catch { report.damages.append(FeatureStoreError(error).message) }
      }
      let isExpired = registry.withLock { $0.isExpired(at: clock.nowMicroseconds()) }
      let online = try log.inspect(followers: followers, isExpired: isExpired)
      report.logRecordCount = online.recordCount
      report.damages = online.damages.map(\.description) + report.damages
    } catch { throw FeatureStoreError(error) }
    return report
  }

  private func check(_ table: Table, _ report: inout VerifyReport) throws {
    for task in try table.newScan().planFiles().tasks {
      do {
        try check(task.dataFile, table)
        report.fileCount += 1
        report.offlineRecordCount += task.dataFile.recordCount
      } catch { report.damages.append(FeatureStoreError(error).message) }
    }
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
