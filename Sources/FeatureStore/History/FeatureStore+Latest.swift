internal import Columnar
internal import FileFormats
internal import Iceberg
public import Storage

/// What `FeatureStore.writeLatest` wrote.
public struct LatestReport: Sendable {
  public var rowCount: Int
  public var deletedKeyCount: Int
  public var expiredKeyCount: Int
  public var recordCount: Int64
  public var unflushedRecordCount: Int
  public var snapshotID: Int64?
  /// Of the output; nil where it is not known.
  public var sizeBytes: Int64
}

// The latest record of every key.
extension FeatureStore {
  /// The latest record of every key of a group's offline table: of its records the one with the greatest
  /// (event time, LSN), unless that is a tombstone.
  ///
  /// Keys, times and tombstones are read first, all other columns only of files that have such records, and given
  /// out batch by batch; who wins is found when this returns. Memory: about 60 bytes a key and its own bytes, and
  /// some batches. The snapshot stays meanwhile, whatever is vacuumed. Thread-safe; the result is one
  /// thread's.
  ///
  /// Throws `.notFound` for an unknown group, column or version. A table that is younger than a time has no rows.
  ///
  /// - Parameter progress: bytes of data files looked at, of all.
  public func latest(
    _ request: LatestRequest, progress: (Int64, Int64) -> Void = { _, _ in }
  ) throws(FeatureStoreError) -> LatestBatches {
    do {
      return try LatestBatches(self, request, progress: progress)
    } catch { throw FeatureStoreError(error) }
  }

  /// Writes the latest record of every key into a file, which appears under its name only when it is whole.
  ///
  /// - Parameters:
  ///   - path: its ending says the format unless `format` does.
  ///   - replacesOutput: whether a file of that name may be replaced.
  public func writeLatest(
    _ request: LatestRequest, to path: String, format: RowFormat? = nil,
    replacesOutput: Bool = false, progress: (Int64, Int64) -> Void = { _, _ in }
  ) throws(FeatureStoreError) -> LatestReport {
    guard let format = format ?? RowFormat(path: path) else {
      throw FeatureStoreError(
        .invalidArgument, "'\(path)' ends in none of \(RowFormat.endings); name the format")
    }
    do {
      if !replacesOutput, try fileSystem.information(path) != nil {
        throw FeatureStoreError(.alreadyExists, "'\(path)' exists; --overwrite replaces it")
      }
      let rows = try latest(request, progress: progress)
      let unique = String(UInt64.random(in: .min ... .max), radix: 16)
      let folder = StoragePath.directory(of: path)
      let temporary = StoragePath.join(
        folder, ".\(StoragePath.lastComponent(of: path)).\(unique).tmp")
      let file = try fileSystem.open(temporary, .create)
      do {
        let report = try Self.write(rows, to: file, format)
        try file.synchronizeData()
        try file.close()
        try fileSystem.rename(temporary, to: path, replacing: replacesOutput)
        try fileSystem.synchronizeDirectory(folder)
        return report
      } catch {
        // A temporary file that stays harms nobody; the first error is the one to report.
        do {
          try file.close()
          try fileSystem.removeFile(temporary)
        } catch {}
        throw error
      }
    } catch { throw FeatureStoreError(error) }
  }

  /// The same into an open file, from its start to its end: standard output, for example.
  public func writeLatest(
    _ request: LatestRequest, into file: any File, format: RowFormat,
    progress: (Int64, Int64) -> Void = { _, _ in }
  ) throws(FeatureStoreError) -> LatestReport {
    do {
      return try Self.write(try latest(request, progress: progress), to: file, format)
    } catch { throw FeatureStoreError(error) }
  }

  private static func write(
    _ rows: LatestBatches, to file: any File, _ format: RowFormat
  ) throws -> LatestReport {
    let writer = try BatchWriter(file, rows.schema, format)
    while let batch = try rows.next() { try writer.write(batch) }
    return LatestReport(
      rowCount: rows.rowCount, deletedKeyCount: rows.deletedKeyCount,
      expiredKeyCount: rows.expiredKeyCount, recordCount: rows.recordCount,
      unflushedRecordCount: rows.unflushedRecordCount, snapshotID: rows.snapshotID,
      sizeBytes: try writer.finish())
  }
}
