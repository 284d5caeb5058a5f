internal import Columnar
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
  /// Keys, times and tombstones are read first, all other columns only where there are such records, and given
  /// out batch by batch; who wins is found when this returns. All processors read. Memory: about 60 bytes a key and
  /// its own bytes, and some batches. The snapshot stays meanwhile, whatever is vacuumed. Thread-safe; the result is one
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
        .invalidArgument, "'\(path)' does not end in \(RowFormat.endings); name the format")
    }
    do {
      if !replacesOutput, try fileSystem.information(path) != nil {
        throw FeatureStoreError(.alreadyExists, "'\(path)' exists; --overwrite replaces it")
      }
      let rows = try latest(request, progress: progress)
      let output = try OutputFile(
        path, format, schema: rows.schema, replacing: replacesOutput, isHashed: false,
        fileSystem: fileSystem)
      do {
        while let batch = try rows.next() { try output.write(batch) }
        let sizeBytes = try output.seal().reduce(0) { $0 + $1.sizeBytes }
        try output.publish()
        return LatestReport(rows, sizeBytes: sizeBytes)
      } catch {
        output.abandon()
        throw error
      }
    } catch { throw FeatureStoreError(error) }
  }

  /// The same into an open file, from its start to its end, which is closed then: standard output, for example.
  public func writeLatest(
    _ request: LatestRequest, into file: any File, format: RowFormat,
    progress: (Int64, Int64) -> Void = { _, _ in }
  ) throws(FeatureStoreError) -> LatestReport {
    do {
      let rows = try latest(request, progress: progress)
      let writer = FormatWriter(file, format, schema: rows.schema)
      while let batch = try rows.next() { try writer.write(batch) }
      return LatestReport(rows, sizeBytes: try writer.finish().sizeBytes)
    } catch { throw FeatureStoreError(error) }
  }
}

extension LatestReport {
  fileprivate init(_ rows: LatestBatches, sizeBytes: Int64) {
    rowCount = rows.rowCount
    deletedKeyCount = rows.deletedKeyCount
    expiredKeyCount = rows.expiredKeyCount
    recordCount = rows.recordCount
    unflushedRecordCount = rows.unflushedRecordCount
    snapshotID = rows.snapshotID
    self.sizeBytes = sizeBytes
  }
}
