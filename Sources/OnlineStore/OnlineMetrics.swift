internal import Storage
internal import Synchronization
public import WriteAheadLog

/// What an online store did since it was opened, and what it has.
public struct OnlineMetrics: Hashable, Sendable {
  /// Entries written, in how many commits, and entries that a condition refused.
  public var writtenEntries: UInt64 = 0
  public var commits: UInt64 = 0
  public var refusedEntries: UInt64 = 0
  /// Nanoseconds that commits took, from the call to the index; percentiles by `percentile`.
  public var commitNanoseconds = Histogram()
  /// Gets of one key, and those that found nothing ever written; checks and conditional writes look up keys too,
  /// and count.
  public var gets: UInt64 = 0
  public var getMisses: UInt64 = 0
  /// Nanoseconds that gets took, what was done with the record included: one in 64 is timed.
  public var getNanoseconds = Histogram()
  /// Batches of gets, their keys, and the keys that were never written.
  public var batches: UInt64 = 0
  public var batchKeys: UInt64 = 0
  public var batchMisses: UInt64 = 0
  /// Nanoseconds that batches took, and their numbers of keys: of one in 16.
  public var batchNanoseconds = Histogram()
  public var batchSizes = Histogram()
  /// Bytes of the records that gets and batches gave, by those that were timed.
  public var readBytes: UInt64 = 0
  /// Writes for tasks that wait for their turn.
  public var waitingWrites = 0
  /// Checkpoints written and failed, what they took in nanoseconds, and when the last one was taken
  /// (microseconds since 1970-01-01T00:00:00Z; nil when none was, also before this process).
  public var checkpoints: UInt64 = 0
  public var failedCheckpoints: UInt64 = 0
  public var checkpointNanoseconds = Histogram()
  public var lastCheckpointTime: Int64?
  /// Records of the log that were indexed from reading it: on opening, after the last checkpoint, and
  /// by a reader that follows.
  public var replayedRecords: UInt64 = 0
  /// Cleanings, and all that they did together.
  public var cleanings: UInt64 = 0
  public var failedCleanings: UInt64 = 0
  public var cleaned = CleaningReport()
  /// Bytes of index in memory, over all keys; 0 without keys.
  public var indexBytesPerKey: Double = 0
  /// Of the log's bytes, the share that live records take; 1 when nothing can be given back.
  public var liveShare: Double = 1
  public var online = OnlineStore.Statistics()
  public var log = LogStatistics()
}

/// Counters behind `OnlineMetrics`. A commit adds to them once, beside a sync; a get only if it is timed
/// (`ReadSections` counts the others).
final class OnlineCounters: Sendable {
  let state = Lock(OnlineMetrics())

  func noteCommit(entryCount: Int, duration: Duration) {
    let (seconds, attoseconds) = duration.components
    let nanoseconds = UInt64(clamping: seconds * 1_000_000_000 + attoseconds / 1_000_000_000)
    state.withLock {
      $0.writtenEntries += UInt64(entryCount)
      $0.commits += 1
      $0.commitNanoseconds.add(nanoseconds)
    }
  }

  func noteGet(since start: Int64, sizeBytes: Int) {
    let nanoseconds = UInt64(clamping: MonotonicClock.nowNanoseconds() - start)
    state.withLock {
      $0.getNanoseconds.add(nanoseconds)
      $0.readBytes += UInt64(sizeBytes * ReadSections.getsPerSample)
    }
  }

  func noteBatch(of count: Int, since start: Int64, sizeBytes: Int) {
    let nanoseconds = UInt64(clamping: MonotonicClock.nowNanoseconds() - start)
    state.withLock {
      $0.batchNanoseconds.add(nanoseconds)
      $0.batchSizes.add(UInt64(count))
      $0.readBytes += UInt64(sizeBytes * ReadSections.batchesPerSample)
    }
  }

  func noteCheckpoint(since start: Int64, at time: Int64) {
    let nanoseconds = UInt64(clamping: MonotonicClock.nowNanoseconds() - start)
    state.withLock {
      $0.checkpoints += 1
      $0.checkpointNanoseconds.add(nanoseconds)
      $0.lastCheckpointTime = time
    }
  }

  func noteFailedCheckpoint() { state.withLock { $0.failedCheckpoints += 1 } }

  func noteFailedCleaning() { state.withLock { $0.failedCleanings += 1 } }

  func noteRefused(_ count: Int) {
    if count > 0 { state.withLock { $0.refusedEntries += UInt64(count) } }
  }

  func noteReplayed(_ count: Int) {
    state.withLock { $0.replayedRecords += UInt64(count) }
  }

  func noteCleaning(_ report: CleaningReport) {
    state.withLock {
      $0.cleanings += 1
      $0.cleaned.removedSegmentCount += report.removedSegmentCount
      $0.cleaned.removedBytes += report.removedBytes
      $0.cleaned.copiedRecordCount += report.copiedRecordCount
      $0.cleaned.copiedBytes += report.copiedBytes
      $0.cleaned.expiredKeyCount += report.expiredKeyCount
      $0.cleaned.expiredRecordCount += report.expiredRecordCount
    }
  }
}

extension OnlineStore {
  /// When the checkpoint that is on disk was written, by whichever process.
  private var checkpointTimeOnDisk: Int64? {
    let path = StoragePath.join(directory, CheckpointFile.name)
    do throws(StorageError) {
      return try fileSystem.information(path)?.modificationTimeMicroseconds
    } catch { return nil }
  }

  /// How much of the log is mapped, and how much of that is in the page cache now. Costs a system call
  /// for each quarter of a GiB.
  public var residency: LogMemory.Residency { log.memory().residency }

  /// Counters and sizes now; a copy that may be kept. Costs microseconds.
  public var metrics: OnlineMetrics {
    var metrics = counters.state.withLock { $0 }
    let reads = sections.counts
    (metrics.gets, metrics.getMisses) = (reads.gets, reads.misses)
    (metrics.batches, metrics.batchKeys) = (reads.batches, reads.batchKeys)
    metrics.batchMisses = reads.batchMisses
    metrics.online = statistics
    metrics.log = log.statistics
    metrics.waitingWrites = asynchronous.waitingCount
    metrics.lastCheckpointTime = metrics.lastCheckpointTime ?? checkpointTimeOnDisk
    let keys = metrics.online.indexedKeys
    metrics.indexBytesPerKey = keys == 0 ? 0 : Double(metrics.online.indexBytes) / Double(keys)
    let logBytes = metrics.online.logBytes
    metrics.liveShare =
      logBytes == 0 ? 1 : min(1, Double(metrics.online.liveBytes) / Double(logBytes))
    return metrics
  }
}
