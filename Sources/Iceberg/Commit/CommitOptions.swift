/// How a commit goes about conflicts.
public struct CommitOptions: Sendable {
  /// Further attempts after a conflict; nil follows `commit.retry.num-retries`, 4 when absent.
  public var retryCount: Int?
  /// The wait before the first retry; it doubles from retry to retry. nil follows
  /// `commit.retry.min-wait-ms`, 100 when absent.
  public var minimumWaitMilliseconds: Int64?
  /// nil follows `commit.retry.max-wait-ms`, 60,000 when absent.
  public var maximumWaitMilliseconds: Int64?
  /// After so long a conflict is reported instead of retried; nil follows
  /// `commit.retry.total-timeout-ms`, 1,800,000 when absent.
  public var totalTimeoutMilliseconds: Int64?
  /// How often an unknown outcome is looked up again before it is reported; nil follows
  /// `commit.status-check.num-retries`, 3 when absent.
  public var statusCheckCount: Int?
  /// Waits; the tests have one that does not.
  public var pause: @Sendable (_ milliseconds: Int64) -> Void = {
    SQLiteConnection.pause(milliseconds: $0)
  }

  public init() {}

  func retries(_ properties: [String: String]) -> Int {
    max(0, retryCount ?? properties["commit.retry.num-retries"].flatMap { Int($0) } ?? 4)
  }

  func totalTimeout(_ properties: [String: String]) -> Int64 {
    max(
      0,
      totalTimeoutMilliseconds ?? properties["commit.retry.total-timeout-ms"].flatMap { Int64($0) }
        ?? 1_800_000)
  }

  func statusChecks(_ properties: [String: String]) -> Int {
    max(
      0, statusCheckCount ?? properties["commit.status-check.num-retries"].flatMap { Int($0) } ?? 3)
  }

  /// The wait before an unknown outcome is looked up, counted from 1; the first look comes at once.
  func statusWaitMilliseconds(check: Int, _ properties: [String: String]) -> Int64 {
    func setting(_ name: String, _ standard: Int64) -> Int64 {
      max(0, properties["commit.status-check." + name].flatMap { Int64($0) } ?? standard)
    }
    let (wait, overflow) = setting("min-wait-ms", 1000)
      .multipliedReportingOverflow(by: Int64(1) << Int64(min(max(check - 1, 0), 30)))
    let longest = setting("max-wait-ms", 60_000)
    return overflow ? longest : min(wait, longest)
  }

  /// The wait before a retry, counted from 1: exponential, from half of it at random, so that
  /// writers that collided do not collide again.
  func waitMilliseconds(retry: Int, _ properties: [String: String]) -> Int64 {
    func setting(_ key: String, _ own: Int64?, _ standard: Int64) -> Int64 {
      max(0, own ?? properties[key].flatMap { Int64($0) } ?? standard)
    }
    let minimum = setting("commit.retry.min-wait-ms", minimumWaitMilliseconds, 100)
    let maximum = setting("commit.retry.max-wait-ms", maximumWaitMilliseconds, 60_000)
    let factor = Int64(1) << Int64(min(max(retry - 1, 0), 30))
    let (product, overflow) = minimum.multipliedReportingOverflow(by: factor)
    let wait = overflow ? maximum : min(product, maximum)
    return Int64.random(in: (wait / 2)...max(wait, wait / 2))
  }
}

/// A commit that happened.
public struct CommitResult: Sendable {
  public let table: Table
  /// The new snapshot; nil when the commit changed no files.
  public let snapshotID: Int64?
  /// 1 when there was no conflict.
  public let attemptCount: Int
}
