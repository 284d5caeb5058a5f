internal import JSON

/// What `store.json` says of how the store uses its disk; every process that writes follows it.
public struct StoreSettings: Hashable, Sendable {
  /// Writes are refused (`.full`) while the log takes this much: when the offline tables cannot follow.
  /// 0: the disk is the limit. nil: 16 GiB, or four times what the newest records of all keys take if
  /// that is more.
  public var logLimitBytes: Int?
  /// Space kept for flushes, cleaning, checkpoints, `optimize` and `vacuum` on a disk that others may
  /// fill. 0: none. nil: 64 MiB and a segment of the log, 128 MiB in all.
  public var logReserveBytes: Int?

  /// The smallest limit: less would refuse writes although the tables follow.
  public static let smallestLogLimitBytes = 256 << 20

  static let defaultLogLimitBytes = 16 << 30
  static let defaultReserveBytes = 64 << 20

  public init(logLimitBytes: Int? = nil, logReserveBytes: Int? = nil) {
    self.logLimitBytes = logLimitBytes
    self.logReserveBytes = logReserveBytes
  }

  /// The bound on the log; nil for none.
  func logLimit(liveBytes: Int) -> Int? {
    guard let logLimitBytes else { return max(Self.defaultLogLimitBytes, liveBytes * 4) }
    return logLimitBytes > 0 ? logLimitBytes : nil
  }

  /// - Parameter segmentBytes: the size of a segment; small ones are of small stores.
  func reserveBytes(segmentBytes: Int) -> Int {
    logReserveBytes ?? min(Self.defaultReserveBytes, segmentBytes) + segmentBytes
  }

  func check() throws(FeatureStoreError) {
    if let limit = logLimitBytes, limit != 0, limit < Self.smallestLogLimitBytes {
      throw FeatureStoreError(
        .invalidArgument,
        "a log limit of \(limit) bytes is too small: at least \(Self.smallestLogLimitBytes), "
          + "or 0 for none")
    }
    if let reserve = logReserveBytes, reserve < 0 || reserve > 1 << 40 {
      throw FeatureStoreError(
        .invalidArgument, "a reserve of \(reserve) bytes is out of range: 0 to 1 TiB")
    }
  }

  var json: JSONValue {
    [
      "log_limit_bytes": logLimitBytes.map { .integer(Int64($0)) } ?? .null,
      "log_reserve_bytes": logReserveBytes.map { .integer(Int64($0)) } ?? .null,
    ]
  }

  /// What is missing has its default; so has everything in a store from before there were settings.
  init(json: JSONValue?) throws(FeatureStoreError) {
    logLimitBytes = json?["log_limit_bytes"]?.int64Value.map { Int(clamping: $0) }
    logReserveBytes = json?["log_reserve_bytes"]?.int64Value.map { Int(clamping: $0) }
    try check()
  }
}
