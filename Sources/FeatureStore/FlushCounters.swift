internal import Storage
internal import WriteAheadLog

/// What the flushes of this process did.
final class FlushCounters: Sendable {
  struct Figures {
    var flushCount: UInt64 = 0
    var failureCount: UInt64 = 0
    var recordCount: UInt64 = 0
    /// Of data files.
    var sizeBytes: UInt64 = 0
    var nanoseconds = Histogram()
    /// Why the last one failed; nil when it did not.
    var failure: FeatureStoreError?
  }

  private let figures = Lock(Figures())

  var now: Figures { figures.withLock { $0 } }

  func note(_ reports: [FlushReport], since start: Int64) {
    let nanoseconds = UInt64(clamping: MonotonicClock.nowNanoseconds() - start)
    figures.withLock {
      $0.flushCount += 1
      $0.nanoseconds.add(nanoseconds)
      $0.failure = nil
      for report in reports {
        $0.recordCount += UInt64(clamping: report.recordCount)
        $0.sizeBytes += UInt64(clamping: report.sizeBytes)
      }
    }
  }

  func note(_ failure: FeatureStoreError) {
    figures.withLock {
      $0.failureCount += 1
      $0.failure = failure
    }
  }
}
