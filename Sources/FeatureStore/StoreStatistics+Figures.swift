public import JSON

/// One figure of the statistics: what it is called as JSON and as a metric, and what it is. JSON and OpenMetrics
/// are made of the same list, so that neither lacks what the other has.
package struct Figure {
  enum Value {
    case integer(Int64)
    case number(Double)
    /// 1 or 0 as a metric.
    case flag(Bool)
    /// Why something fails; as a metric 1, or 0 when it does not.
    case failure(String?)
    case none
    case nanoseconds(StoreStatistics.Distribution)
    case sizes(StoreStatistics.Distribution)
  }

  /// The property of the structure.
  package var property: String
  package var jsonName: String
  /// Without the prefix `fstore_`.
  package var metric: String
  var isCounter = false
  var help: String
  var value: Value

  init(
    _ property: String, _ jsonName: String, metric: String? = nil, _ help: String, _ value: Value
  ) {
    self.property = property
    self.jsonName = jsonName
    self.metric = metric ?? jsonName
    self.help = help
    self.value = value
  }

  static func gauge(
    _ property: String, _ jsonName: String, metric: String? = nil, _ help: String,
    _ value: some BinaryInteger
  ) -> Figure {
    Figure(property, jsonName, metric: metric, help, .integer(Int64(clamping: value)))
  }

  static func counter(
    _ property: String, _ jsonName: String, _ help: String, _ value: some BinaryInteger
  ) -> Figure {
    var figure = gauge(property, jsonName, help, value)
    figure.isCounter = true
    return figure
  }

  var json: JSONValue {
    switch value {
    case .integer(let value): .integer(value)
    case .number(let value): .double(value)
    case .flag(let value): .bool(value)
    case .failure(let text): text.map { .string($0) } ?? .null
    case .none: .null
    case .nanoseconds(let values), .sizes(let values): Self.json(values)
    }
  }

  private static func json(_ values: StoreStatistics.Distribution) -> JSONValue {
    func number(_ value: UInt64) -> JSONValue { .integer(Int64(clamping: value)) }
    return [
      "count": number(values.count), "sum": number(values.sum), "p50": number(values.p50),
      "p99": number(values.p99), "p999": number(values.p999), "max": number(values.maximum),
    ]
  }
}

extension StoreStatistics {
  public var json: JSONValue {
    func object(_ figures: [Figure]) -> JSONObject {
      JSONObject(figures.map { ($0.jsonName, $0.json) })
    }
    let groups = groups.map { group -> JSONValue in
      var members: JSONObject = ["group": .string(group.name)]
      for (name, value) in object(group.figures).members { members[name] = value }
      return .object(members)
    }
    var members: JSONObject = ["groups": .array(groups)]
    for (name, value) in object(figures).members { members[name] = value }
    members["activity"] = .object(object(activity.figures))
    return .object(members)
  }

  package var figures: [Figure] {
    [
      .gauge(
        "indexedKeyCount", "indexed_keys", metric: "index_keys", "Keys in the online index.",
        indexedKeyCount),
      .gauge("indexBytes", "index_bytes", "Bytes of the online index in memory.", indexBytes),
      .gauge("firstLSN", "first_lsn", metric: "log_first_lsn", "The log begins here.", firstLSN),
      .gauge(
        "lastLSN", "last_lsn", metric: "log_last_lsn", "The last log sequence number.", lastLSN),
      .gauge(
        "durableLSN", "durable_lsn", metric: "log_durable_lsn", "On disk up to here.",
        durableLSN),
      .gauge(
        "segmentCount", "segments", metric: "log_segments", "Segments of the log.",
        segmentCount),
      .gauge("logBytes", "log_bytes", "Bytes of the log's segments.", logBytes),
      .gauge(
        "liveBytes", "live_bytes", metric: "log_live_bytes",
        "Bytes of the log that live records take.", liveBytes),
      .gauge(
        "logDiskBytes", "log_disk_bytes",
        "Bytes on disk with the next segment and the reserve.", logDiskBytes),
      Figure(
        "logLimitBytes", "log_limit_bytes", "Writes are refused when the log takes this much.",
        logLimitBytes.map { .integer($0) } ?? .none),
      .gauge("unsyncedBytes", "unsynced_bytes", "Bytes written and not synced yet.", unsyncedBytes),
      Figure(
        "isPoisoned", "is_poisoned", metric: "poisoned",
        "1 when a failed write has ended all writing.", .flag(isPoisoned)),
      .gauge("reserveBytes", "reserve_bytes", "Bytes to be kept for maintenance.", reserveBytes),
      Figure(
        "hasReserve", "has_reserve", metric: "reserve_kept", "1 when they are kept now.",
        .flag(hasReserve)),
      .gauge("availableBytes", "available_bytes", "Bytes free on the log's disk.", availableBytes),
      .gauge(
        "uncheckpointedBytes", "uncheckpointed_bytes",
        "Bytes of log that the next opening reads.", uncheckpointedBytes),
      Figure(
        "checkpointAgeSeconds", "checkpoint_age_seconds", "Age of the index's checkpoint.",
        checkpointAgeSeconds.map { .number($0) } ?? .none),
      .gauge("mappedBytes", "mapped_bytes", "Bytes of the log mapped for reading.", mappedBytes),
      .gauge(
        "residentBytes", "resident_bytes", "Of these, bytes in the page cache.",
        residentBytes),
      Figure(
        "checkpointFailure", "checkpoint_failure", metric: "checkpoint_failing",
        "1 when the last checkpoint failed.", .failure(checkpointFailure)),
      Figure(
        "flushFailure", "flush_failure", metric: "flush_failing",
        "1 when the last flush failed.", .failure(flushFailure)),
      Figure(
        "cleaningFailure", "cleaning_failure", metric: "cleaning_failing",
        "1 when the last cleaning failed.", .failure(cleaningFailure)),
    ]
  }
}

extension StoreStatistics.Group {
  package var figures: [Figure] {
    [
      Figure(
        "isOffline", "is_offline", metric: "offline", "1 for a group with an offline table.",
        .flag(isOffline)),
      .gauge("onlineKeyCount", "online_keys", "Keys that answer with a row.", onlineKeyCount),
      .gauge("deletedKeyCount", "deleted_keys", "Keys that answer deleted.", deletedKeyCount),
      .gauge(
        "offlineRecordCount", "offline_records", "Records in the offline table.",
        offlineRecordCount),
      .gauge(
        "fileCount", "files", metric: "offline_files", "Data files of the offline table.",
        fileCount),
      .gauge("offlineBytes", "offline_bytes", "Bytes of these files.", offlineBytes),
      .gauge("snapshotCount", "snapshots", "Snapshots of the offline table.", snapshotCount),
      .gauge(
        "lastLSN", "last_lsn", metric: "group_last_lsn", "The group's last record in the log.",
        lastLSN),
      .gauge(
        "offlineLSN", "offline_lsn", "The offline table has the group's records up to here.",
        offlineLSN),
      .gauge(
        "unflushedRecordCount", "unflushed_records", "Records that the offline table lacks.",
        unflushedRecordCount),
      Figure(
        "lagSeconds", "lag_seconds", "For how long the oldest of these has waited.",
        .number(lagSeconds)),
    ]
  }
}

extension StoreStatistics.Activity {
  package var figures: [Figure] {
    writeFigures + readFigures + maintenanceFigures + distributionFigures
  }

  private var writeFigures: [Figure] {
    [
      .counter("commitCount", "commits", "Commits of this process.", commitCount),
      .counter(
        "writtenRecordCount", "written_records",
        "Records written by this process.", writtenRecordCount),
      .counter("writtenBytes", "written_bytes", "Bytes written to the log.", writtenBytes),
      .counter(
        "refusedRecordCount", "refused_records",
        "Records that a condition refused.", refusedRecordCount),
      .counter(
        "refusedWriteCount", "refused_writes",
        "Writes refused by a full disk or the log's limit.", refusedWriteCount),
      .gauge(
        "waitingWriteCount", "waiting_writes", "Asynchronous writes that wait.",
        waitingWriteCount),
      .counter("segmentCount", "begun_segments", "Segments begun.", segmentCount),
      .counter(
        "unpreparedSegmentCount", "unprepared_segments",
        "Of these, those that writes waited for.", unpreparedSegmentCount),
      .counter(
        "failedPreparationCount", "failed_preparations",
        "Segments that could not be prepared.", failedPreparationCount),
    ]
  }

  private var readFigures: [Figure] {
    [
      .counter("getCount", "gets", "Reads of one key.", getCount),
      .counter(
        "getMissCount", "get_misses", "Of these, keys that were never written.",
        getMissCount),
      .counter("batchCount", "batches", "Reads of many keys at once.", batchCount),
      .counter("batchKeyCount", "batch_keys", "Their keys.", batchKeyCount),
      .counter(
        "batchMissCount", "batch_misses",
        "Of these, keys that were never written.", batchMissCount),
      .counter("readBytes", "read_bytes", "Bytes of records read, by a sample.", readBytes),
      .counter(
        "replayedRecordCount", "replayed_records",
        "Records indexed from reading the log.", replayedRecordCount),
      .counter(
        "pageFaultCount", "page_faults", "Page faults of this process.",
        pageFaultCount),
      .counter(
        "diskPageFaultCount", "disk_page_faults",
        "Of these, those that read from the disk.", diskPageFaultCount),
    ]
  }

  private var maintenanceFigures: [Figure] {
    [
      .counter("flushCount", "flushes", "Flushes that succeeded.", flushCount),
      .counter(
        "flushFailureCount", "flush_failures", "Flushes that failed.",
        flushFailureCount),
      .counter(
        "flushedRecordCount", "flushed_records", "Records that flushes landed.",
        flushedRecordCount),
      .counter("flushedBytes", "flushed_bytes", "Bytes of their data files.", flushedBytes),
      .counter(
        "checkpointCount", "checkpoints", "Checkpoints of the index.",
        checkpointCount),
      .counter(
        "checkpointFailureCount", "checkpoint_failures", "Checkpoints that failed.",
        checkpointFailureCount),
      .counter(
        "cleaningCount", "cleanings", "Cleanings that did something.",
        cleaningCount),
      .counter(
        "cleaningFailureCount", "cleaning_failures", "Cleanings that failed.",
        cleaningFailureCount),
      .counter(
        "cleanedSegmentCount", "cleaned_segments", "Segments that cleaning removed.",
        cleanedSegmentCount),
      .counter(
        "cleanedBytes", "cleaned_bytes", "Bytes of log that cleaning gave back.",
        cleanedBytes),
      .counter(
        "copiedRecordCount", "copied_records", "Records that cleaning copied.",
        copiedRecordCount),
      .counter("copiedBytes", "copied_bytes", "Bytes of these.", copiedBytes),
      .counter(
        "expiredKeyCount", "expired_keys", "Keys that cleaning dropped.",
        expiredKeyCount),
      .counter(
        "expiredRecordCount", "expired_records",
        "Records whose own expiry had come, emptied by cleaning.", expiredRecordCount),
    ]
  }

  private var distributionFigures: [Figure] {
    [
      Figure(
        "commits", "commit_nanoseconds", metric: "commit_duration",
        "From the call to the index.", .nanoseconds(commits)),
      Figure(
        "syncs", "sync_nanoseconds", metric: "sync_duration", "Syncs of the log.",
        .nanoseconds(syncs)),
      Figure(
        "gets", "get_nanoseconds", metric: "get_duration", "Of one get in 64.",
        .nanoseconds(gets)),
      Figure(
        "batches", "batch_nanoseconds", metric: "batch_duration", "Of one batch in 16.",
        .nanoseconds(batches)),
      Figure(
        "batchSizes", "batch_sizes", metric: "batch_size", "Keys of one batch in 16.",
        .sizes(batchSizes)),
      Figure(
        "flushes", "flush_nanoseconds", metric: "flush_duration", "Flushes that succeeded.",
        .nanoseconds(flushes)),
      Figure(
        "checkpoints", "checkpoint_nanoseconds", metric: "checkpoint_duration",
        "Checkpoints that succeeded.", .nanoseconds(checkpoints)),
      Figure(
        "groupSizes", "group_sizes", metric: "group_size", "Writes that shared a sync.",
        .sizes(groupSizes)),
    ]
  }
}
