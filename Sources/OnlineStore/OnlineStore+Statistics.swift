public import WriteAheadLog

extension OnlineStore {
  public struct GroupStatistics: Hashable, Sendable {
    /// Keys that answer with a row.
    public internal(set) var liveKeys = 0
    /// Keys that answer "deleted".
    public internal(set) var deletedKeys = 0

    mutating func add(_ keys: Int, _ tombstones: Int) {
      liveKeys += keys - tombstones
      deletedKeys += tombstones
    }

    mutating func add(_ other: GroupStatistics) {
      liveKeys += other.liveKeys
      deletedKeys += other.deletedKeys
    }
  }

  public struct Statistics: Hashable, Sendable {
    public var groups: [UInt32: GroupStatistics] = [:]
    public var indexedKeys = 0
    /// What the index takes in memory; at most 24 bytes a key beyond the first thousands.
    public var indexBytes = 0
    /// What the newest records of all keys take in the log, about.
    public var liveBytes = 0
    /// Bytes of log that the next opening reads, were the process to end now.
    public var bytesSinceCheckpoint = 0
    /// Why the last checkpoint failed; nil when it did not.
    public var checkpointFailure: OnlineStoreError?
    public var lastLSN: LogSequenceNumber = 0
    public var durableLSN: LogSequenceNumber = 0
    public var segmentCount = 0
    public var logBytes = 0
  }

  public var statistics: Statistics {
    var (keys, bytes, live) = (0, 0, 0)
    var groups: [UInt32: GroupStatistics] = [:]
    for shard in shards {
      shard.withLock { state in
        keys += state.count
        bytes += state.table.capacity * 16
        live += state.liveBytes
        for (id, group) in state.groups { groups[id, default: .init()].add(group) }
      }
    }
    return Statistics(
      groups: groups, indexedKeys: keys, indexBytes: bytes, liveBytes: live,
      bytesSinceCheckpoint: checkpointer.pendingBytes, checkpointFailure: checkpointer.failure,
      lastLSN: log.lastLSN, durableLSN: log.durableLSN, segmentCount: log.segmentCount,
      logBytes: log.sizeBytes)
  }
}
