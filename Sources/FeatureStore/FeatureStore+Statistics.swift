internal import FeatureModel
internal import Iceberg
internal import OnlineStore
internal import Storage
internal import WriteAheadLog

extension FeatureStore {
  /// The version of this library.
  public static let version = "0.1.0"

  /// Counts and sizes now. A store that was opened with `.readOnly` beside a writer tells everything but what
  /// the writer's process did.
  ///
  /// Cost: a look at each offline table, a read of what the log has got since the last call, and a system
  /// call for each quarter of a GiB of log; meant for every few seconds. Thread-safe.
  public func statistics() throws(FeatureStoreError) -> StoreStatistics {
    let log = try log(for: "count")
    do {
      let metrics = log.metrics
      let residency = log.residency
      let now = clock.nowMicroseconds()
      let path = StoragePath.join(directory, "log")
      return StoreStatistics(
        groups: try groupStatistics(metrics.online, now: now), activity: activity(metrics),
        indexedKeyCount: metrics.online.indexedKeys, indexBytes: Int64(metrics.online.indexBytes),
        firstLSN: metrics.log.firstLSN, lastLSN: metrics.log.lastLSN,
        durableLSN: metrics.log.durableLSN, segmentCount: metrics.online.segmentCount,
        logBytes: Int64(metrics.online.logBytes), liveBytes: Int64(metrics.online.liveBytes),
        logDiskBytes: Int64(metrics.log.diskBytes),
        logLimitBytes: metrics.log.limitBytes.map { Int64($0) },
        unsyncedBytes: Int64(metrics.log.unsyncedBytes), isPoisoned: metrics.log.isPoisoned,
        reserveBytes: Int64(metrics.log.reserveBytes), hasReserve: metrics.log.hasReserve,
        availableBytes: try fileSystem.availableBytes(path),
        uncheckpointedBytes: Int64(metrics.online.bytesSinceCheckpoint),
        checkpointAgeSeconds: metrics.lastCheckpointTime.map { max(0, Double(now - $0) / 1e6) },
        mappedBytes: Int64(residency.mappedBytes), residentBytes: Int64(residency.residentBytes),
        checkpointFailure: metrics.online.checkpointFailure?.description,
        flushFailure: lastFlushFailure?.message, cleaningFailure: cleaningFailure?.message)
    } catch { throw FeatureStoreError(error) }
  }

  private func groupStatistics(
    _ online: OnlineStore.Statistics, now: Int64
  ) throws -> [StoreStatistics.Group] {
    let lags = Dictionary(uniqueKeysWithValues: try followers().map { ($0.name, $0.lag) })
    return try groups.map { group in
      let metadata = group.isOffline ? try tables.load(group).metadata : nil
      let summary = metadata?.currentSnapshot?.summary ?? [:]
      func total(_ key: String) -> Int64 { summary[key].flatMap { Int64($0) } ?? 0 }
      let lag = lags[group.name]
      return StoreStatistics.Group(
        name: group.name, isOffline: group.isOffline,
        onlineKeyCount: group.isOnline ? online.groups[group.id]?.liveKeys ?? 0 : 0,
        deletedKeyCount: online.groups[group.id]?.deletedKeys ?? 0,
        offlineRecordCount: total("total-records"), fileCount: total("total-data-files"),
        offlineBytes: total("total-files-size"), snapshotCount: metadata?.snapshots.count ?? 0,
        lastLSN: lag?.lastLSN ?? 0, offlineLSN: lag?.position ?? 0,
        unflushedRecordCount: lag?.recordCount ?? 0, lagSeconds: lag?.seconds(at: now) ?? 0)
    }
  }

  private func activity(_ metrics: OnlineMetrics) -> StoreStatistics.Activity {
    let flushed = flushes.now
    let faults = ProcessUsage.pageFaults
    return StoreStatistics.Activity(
      commitCount: metrics.commits, writtenRecordCount: metrics.writtenEntries,
      writtenBytes: metrics.log.bytes, refusedRecordCount: metrics.refusedEntries,
      refusedWriteCount: metrics.log.refusedAppends, waitingWriteCount: metrics.waitingWrites,
      getCount: metrics.gets, getMissCount: metrics.getMisses, batchCount: metrics.batches,
      batchKeyCount: metrics.batchKeys, batchMissCount: metrics.batchMisses,
      readBytes: metrics.readBytes, replayedRecordCount: metrics.replayedRecords,
      flushCount: flushed.flushCount, flushFailureCount: flushed.failureCount,
      flushedRecordCount: flushed.recordCount, flushedBytes: flushed.sizeBytes,
      checkpointCount: metrics.checkpoints, checkpointFailureCount: metrics.failedCheckpoints,
      cleaningCount: metrics.cleanings, cleaningFailureCount: metrics.failedCleanings,
      cleanedSegmentCount: metrics.cleaned.removedSegmentCount,
      cleanedBytes: metrics.cleaned.removedBytes,
      copiedRecordCount: metrics.cleaned.copiedRecordCount,
      copiedBytes: metrics.cleaned.copiedBytes, expiredKeyCount: metrics.cleaned.expiredKeyCount,
      expiredRecordCount: metrics.cleaned.expiredRecordCount,
      segmentCount: metrics.log.segmentsBegun,
      unpreparedSegmentCount: metrics.log.segmentsFilledInline,
      failedPreparationCount: metrics.log.failedPreparations, pageFaultCount: faults.all,
      diskPageFaultCount: faults.fromDisk, commits: .init(metrics.commitNanoseconds),
      syncs: .init(metrics.log.syncNanoseconds), gets: .init(metrics.getNanoseconds),
      batches: .init(metrics.batchNanoseconds), batchSizes: .init(metrics.batchSizes),
      flushes: .init(flushed.nanoseconds), checkpoints: .init(metrics.checkpointNanoseconds),
      groupSizes: .init(metrics.log.appendsPerGroup))
  }
}
