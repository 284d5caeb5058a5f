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
  /// Records of the log that were indexed from reading it: on opening, after the last checkpoint, and
  /// by a reader that follows.
  public var replayedRecords: UInt64 = 0
  /// Cleanings, and all that they did together.
  public var cleanings: UInt64 = 0
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

  func noteGet(since start: Int64) {
    let nanoseconds = UInt64(clamping: MonotonicClock.nowNanoseconds() - start)
    state.withLock { $0.getNanoseconds.add(nanoseconds) }
  }

  func noteBatch(of count: Int, since start: Int64) {
    let nanoseconds = UInt64(clamping: MonotonicClock.nowNanoseconds() - start)
    state.withLock {
      $0.batchNanoseconds.add(nanoseconds)
      $0.batchSizes.add(UInt64(count))
    }
  }

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
  /// Counters and sizes now; a copy that may be kept. Costs microseconds.
  public var metrics: OnlineMetrics {
    var metrics = counters.state.withLock { $0 }
    let reads = sections.counts
    (metrics.gets, metrics.getMisses) = (reads.gets, reads.misses)
    (metrics.batches, metrics.batchKeys) = (reads.batches, reads.batchKeys)
    metrics.batchMisses = reads.batchMisses
    metrics.online = statistics
    metrics.log = log.statistics
    let keys = metrics.online.indexedKeys
    metrics.indexBytesPerKey = keys == 0 ? 0 : Double(metrics.online.indexBytes) / Double(keys)
    let logBytes = metrics.online.logBytes
    metrics.liveShare =
      logBytes == 0 ? 1 : min(1, Double(metrics.online.liveBytes) / Double(logBytes))
    return metrics
  }
}
