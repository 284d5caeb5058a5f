internal import WriteAheadLog

/// Counts and sizes of a store, as `FeatureStore.statistics()` finds them: as a value, as JSON (`json`) and
/// as text for Prometheus (`openMetrics`). docs/operations.md says which ones to watch.
public struct StoreStatistics: Sendable {
  /// Many values of one kind: durations in nanoseconds, or sizes.
  public struct Distribution: Hashable, Sendable {
    let histogram: Histogram

    init(_ histogram: Histogram) { self.histogram = histogram }

    public var count: UInt64 { histogram.count }
    public var sum: UInt64 { histogram.sum }
    public var maximum: UInt64 { histogram.maximum }
    public var p50: UInt64 { percentile(0.5) }
    public var p99: UInt64 { percentile(0.99) }
    public var p999: UInt64 { percentile(0.999) }

    /// The value that this share of all values does not exceed, right within an eighth: 0.99 for p99.
    /// 0 when there are none.
    public func percentile(_ share: Double) -> UInt64 { histogram.percentile(share) }
  }

  /// One feature group.
  public struct Group: Sendable {
    public var name: String
    public var isOffline: Bool
    /// Keys whose newest record is no tombstone; expired ones count.
    public var onlineKeyCount: Int
    public var deletedKeyCount: Int
    public var offlineRecordCount: Int64
    public var fileCount: Int64
    public var offlineBytes: Int64
    public var snapshotCount: Int
    /// The group's last record in the log, as far as it is known; at least `offlineLSN`.
    public var lastLSN: Int64
    /// The table has every record of the group up to here.
    public var offlineLSN: Int64
    /// Records that the table lacks, and for how many seconds the oldest of them has waited.
    public var unflushedRecordCount: Int
    public var lagSeconds: Double
  }

  /// What this process did since it opened the store. Durations are in nanoseconds.
  public struct Activity: Sendable {
    public var commitCount: UInt64
    public var writtenRecordCount: UInt64
    /// Bytes that went into the log, cleaning's copies included.
    public var writtenBytes: UInt64
    /// Records that a condition refused.
    public var refusedRecordCount: UInt64
    /// Writes refused because the disk was full or the log at its limit.
    public var refusedWriteCount: UInt64
    /// Asynchronous writes that wait for their turn now.
    public var waitingWriteCount: Int
    /// Reads of one key's record, and those that found nothing ever written.
    public var getCount: UInt64
    public var getMissCount: UInt64
    /// Reads of many keys at once, their keys, and those of them that were never written.
    public var batchCount: UInt64
    public var batchKeyCount: UInt64
    public var batchMissCount: UInt64
    /// Bytes of the records that reads gave, estimated from a sample.
    public var readBytes: UInt64
    /// Records indexed from reading the log: on opening, and by a reader that follows.
    public var replayedRecordCount: UInt64
    public var flushCount: UInt64
    public var flushFailureCount: UInt64
    public var flushedRecordCount: UInt64
    /// Bytes of data files that flushes wrote.
    public var flushedBytes: UInt64
    public var checkpointCount: UInt64
    public var checkpointFailureCount: UInt64
    public var cleaningCount: UInt64
    public var cleaningFailureCount: UInt64
    public var cleanedSegmentCount: Int
    /// Bytes of log that cleaning gave back.
    public var cleanedBytes: Int
    /// Records that cleaning copied, because they were still the newest of their keys.
    public var copiedRecordCount: Int
    public var copiedBytes: Int
    /// Keys that cleaning dropped because they had expired, and records whose own expiry had come.
    public var expiredKeyCount: Int
    public var expiredRecordCount: Int
    /// Segments begun, those of them for which writes had to wait, and failures to prepare one.
    public var segmentCount: UInt64
    public var unpreparedSegmentCount: UInt64
    public var failedPreparationCount: UInt64
    /// Pages that the process had to map in, and those that had to be read from the disk first.
    public var pageFaultCount: Int64
    public var diskPageFaultCount: Int64
    public var commits: Distribution
    public var syncs: Distribution
    /// Of one get in 64 and one batch in 16; of the latter also the numbers of keys.
    public var gets: Distribution
    public var batches: Distribution
    public var batchSizes: Distribution
    public var flushes: Distribution
    public var checkpoints: Distribution
    /// Writes that shared a sync.
    public var groupSizes: Distribution
  }

  public var groups: [Group]
  public var activity: Activity
  public var indexedKeyCount: Int
  public var indexBytes: Int64
  public var firstLSN: Int64
  public var lastLSN: Int64
  public var durableLSN: Int64
  public var segmentCount: Int
  public var logBytes: Int64
  /// What the newest records of all keys take in the log, about: what cleaning cannot give back.
  public var liveBytes: Int64
  /// What the log takes on disk with the segment that is prepared and the reserve.
  public var logDiskBytes: Int64
  /// The size of the log beyond which writes are refused; nil for none.
  public var logLimitBytes: Int64?
  /// Written but not synced yet; more than 0 only without durable writes.
  public var unsyncedBytes: Int64
  /// Nothing more is written, because a write or a sync failed: open the store again.
  public var isPoisoned: Bool
  /// Space to be kept for maintenance, and whether it is kept now.
  public var reserveBytes: Int64
  public var hasReserve: Bool
  /// What can still be written to the disk of the log.
  public var availableBytes: Int64
  /// Bytes of log that the next opening has to read, and the age of the checkpoint that it begins with;
  /// nil without one.
  public var uncheckpointedBytes: Int64
  public var checkpointAgeSeconds: Double?
  /// Of the log, what is mapped for reading, and what of that is in the page cache now.
  public var mappedBytes: Int64
  public var residentBytes: Int64
  /// Why the last one failed in this process; nil when it did not.
  public var checkpointFailure: String?
  public var flushFailure: String?
  public var cleaningFailure: String?
}
