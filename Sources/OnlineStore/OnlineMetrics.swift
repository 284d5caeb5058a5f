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

/// Counters behind `OnlineMetrics`. A commit adds to them once, beside a sync.
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
  /// Counters and sizes now; a copy that may be kept. Costs microseconds. Gets are not counted: a clock
  /// and a shared counter would cost as much as the get.
  public var metrics: OnlineMetrics {
    var metrics = counters.state.withLock { $0 }
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
