internal import FeatureModel
internal import FileFormats
internal import Iceberg
public import JSON
internal import OnlineStore
internal import Storage
internal import WriteAheadLog

/// Counts and sizes of a store.
public struct StoreStatistics: Sendable {
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
    /// How far the table's position is behind the end of the log, in LSNs of all groups.
    public var unflushedLSNs: Int64
  }

  /// What this process did since it opened the store.
  public struct Activity: Sendable {
    public var commitCount: UInt64
    public var writtenRecordCount: UInt64
    /// Bytes of log that cleaning gave back.
    public var cleanedBytes: Int
    /// Reads of one key's record, and those that found nothing ever written.
    public var getCount: UInt64
    public var getMissCount: UInt64
    /// Reads of many keys at once, their keys, and those of them that were never written.
    public var batchCount: UInt64
    public var batchKeyCount: UInt64
    public var batchMissCount: UInt64
    /// Nanoseconds that commits took, and their syncs; of a sample, those that gets and batches took.
    var commits: Histogram
    var syncs: Histogram
    var gets: Histogram
    var batches: Histogram
    /// Keys of a batch, of a sample.
    var batchSizes: Histogram

    /// Seconds below which this share of all commits stayed: 0.99 for p99.
    public func commitSeconds(_ share: Double) -> Double { Double(commits.percentile(share)) / 1e9 }
    public func syncSeconds(_ share: Double) -> Double { Double(syncs.percentile(share)) / 1e9 }
    /// The same of gets and of batches, by a sample of them.
    public func getSeconds(_ share: Double) -> Double { Double(gets.percentile(share)) / 1e9 }
    public func batchSeconds(_ share: Double) -> Double { Double(batches.percentile(share)) / 1e9 }
    public func batchKeys(_ share: Double) -> UInt64 { batchSizes.percentile(share) }

    var json: JSONValue {
      func quantiles(_ histogram: Histogram) -> JSONValue {
        [
          "p50": .integer(Int64(clamping: histogram.percentile(0.5))),
          "p99": .integer(Int64(clamping: histogram.percentile(0.99))),
          "p999": .integer(Int64(clamping: histogram.percentile(0.999))),
          "max": .integer(Int64(clamping: histogram.maximum)),
        ]
      }
      func number(_ count: UInt64) -> JSONValue { .integer(Int64(clamping: count)) }
      return [
        "commits": number(commitCount), "written_records": number(writtenRecordCount),
        "cleaned_bytes": .integer(Int64(cleanedBytes)), "gets": number(getCount),
        "get_misses": number(getMissCount), "batches": number(batchCount),
        "batch_keys": number(batchKeyCount), "batch_misses": number(batchMissCount),
        "commit_nanoseconds": quantiles(commits), "sync_nanoseconds": quantiles(syncs),
        "get_nanoseconds": quantiles(gets), "batch_nanoseconds": quantiles(batches),
        "batch_sizes": quantiles(batchSizes),
      ]
    }
  }

  public var groups: [Group]
  public var activity: Activity
  public var indexedKeyCount: Int
  public var indexBytes: Int64
  public var lastLSN: Int64
  public var segmentCount: Int
  public var logBytes: Int64
  /// What the newest records of all keys take in the log, about: what cleaning cannot give back.
  public var liveBytes: Int64

  public var json: JSONValue {
    [
      "groups": .array(
        groups.map { group in
          [
            "group": .string(group.name), "online_keys": .integer(Int64(group.onlineKeyCount)),
            "deleted_keys": .integer(Int64(group.deletedKeyCount)),
            "offline_records": .integer(group.offlineRecordCount),
            "files": .integer(group.fileCount), "offline_bytes": .integer(group.offlineBytes),
            "snapshots": .integer(Int64(group.snapshotCount)),
            "unflushed_lsns": .integer(group.unflushedLSNs),
          ]
        }),
      "indexed_keys": .integer(Int64(indexedKeyCount)), "index_bytes": .integer(indexBytes),
      "last_lsn": .integer(lastLSN), "segments": .integer(Int64(segmentCount)),
      "log_bytes": .integer(logBytes), "live_bytes": .integer(liveBytes),
      "activity": activity.json,
    ]
  }
}

extension FeatureStore {
  /// The version of this library.
  public static let version = "0.1.0"

  public func statistics() throws(FeatureStoreError) -> StoreStatistics {
    let log = try log(for: "count")
    let metrics = log.metrics
    let online = metrics.online
    do {
      let groups = try self.groups.map { group in
        let metadata = group.isOffline ? try tables.load(group).metadata : nil
        let summary = metadata?.currentSnapshot?.summary ?? [:]
        func total(_ key: String) -> Int64 { summary[key].flatMap { Int64($0) } ?? 0 }
        let position = try metadata.map { try OfflinePosition($0).lsn } ?? 0
        return StoreStatistics.Group(
          name: group.name, isOffline: group.isOffline,
          onlineKeyCount: group.isOnline ? online.groups[group.id]?.liveKeys ?? 0 : 0,
          deletedKeyCount: online.groups[group.id]?.deletedKeys ?? 0,
          offlineRecordCount: total("total-records"), fileCount: total("total-data-files"),
          offlineBytes: total("total-files-size"), snapshotCount: metadata?.snapshots.count ?? 0,
          unflushedLSNs: group.isOffline ? max(0, online.lastLSN - position) : 0)
      }
      let activity = StoreStatistics.Activity(
        commitCount: metrics.commits, writtenRecordCount: metrics.writtenEntries,
        cleanedBytes: metrics.cleaned.removedBytes, getCount: metrics.gets,
        getMissCount: metrics.getMisses, batchCount: metrics.batches,
        batchKeyCount: metrics.batchKeys, batchMissCount: metrics.batchMisses,
        commits: metrics.commitNanoseconds, syncs: metrics.log.syncNanoseconds,
        gets: metrics.getNanoseconds, batches: metrics.batchNanoseconds,
        batchSizes: metrics.batchSizes)
      return StoreStatistics(
        groups: groups, activity: activity, indexedKeyCount: online.indexedKeys,
        indexBytes: Int64(online.indexBytes),
        lastLSN: online.lastLSN, segmentCount: online.segmentCount,
        logBytes: Int64(online.logBytes), liveBytes: Int64(online.liveBytes))
    } catch { throw FeatureStoreError(error) }
  }
}
