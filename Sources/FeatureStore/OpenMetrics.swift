internal import OnlineStore
internal import WriteAheadLog

/// Text in the OpenMetrics format (openmetrics.io, version 1.0.0), as Prometheus reads it.
struct OpenMetricsText {
  private(set) var text = ""

  enum Kind: String {
    case gauge, counter
  }

  /// One metric with its samples; a counter's samples get the suffix `_total`.
  mutating func add(
    _ name: String, _ kind: Kind, _ help: String,
    _ samples: [(labels: [(String, String)], value: Double)]
  ) {
    text += "# TYPE fstore_\(name) \(kind.rawValue)\n# HELP fstore_\(name) \(help)\n"
    let suffix = kind == .counter ? "_total" : ""
    for sample in samples {
      text += "fstore_\(name)\(suffix)\(Self.labels(sample.labels)) \(Self.number(sample.value))\n"
    }
  }

  mutating func add(_ name: String, _ kind: Kind, _ help: String, _ value: Double) {
    add(name, kind, help, [([], value)])
  }

  /// Quantiles of durations given in nanoseconds, as seconds.
  mutating func add(_ name: String, _ help: String, nanoseconds: Histogram) {
    text += "# TYPE fstore_\(name)_seconds summary\n# UNIT fstore_\(name)_seconds seconds\n"
    text += "# HELP fstore_\(name)_seconds \(help)\n"
    for quantile in [0.5, 0.99, 0.999] {
      let value = Double(nanoseconds.percentile(quantile)) / 1e9
      text += "fstore_\(name)_seconds{quantile=\"\(quantile)\"} \(Self.number(value))\n"
    }
    text += "fstore_\(name)_seconds_count \(nanoseconds.count)\n"
    text += "fstore_\(name)_seconds_sum \(Self.number(Double(nanoseconds.sum) / 1e9))\n"
  }

  mutating func end() { text += "# EOF\n" }

  private static func labels(_ labels: [(String, String)]) -> String {
    guard !labels.isEmpty else { return "" }
    let pairs = labels.map { name, value in
      var escaped = ""
      for character in value {
        switch character {
        case "\\": escaped += "\\\\"
        case "\"": escaped += "\\\""
        case "\n": escaped += "\\n"
        default: escaped.append(character)
        }
      }
      return "\(name)=\"\(escaped)\""
    }
    return "{\(pairs.joined(separator: ","))}"
  }

  private static func number(_ value: Double) -> String {
    Int64(exactly: value).map { "\($0)" } ?? "\(value)"
  }
}

extension StoreStatistics {
  /// The same as OpenMetrics text, for Prometheus.
  public var openMetrics: String {
    var text = OpenMetricsText()
    func perGroup(_ value: (Group) -> Double) -> [(labels: [(String, String)], value: Double)] {
      groups.map { ([("group", $0.name)], value($0)) }
    }
    text.add(
      "online_keys", .gauge, "Keys that answer with a row.", perGroup { Double($0.onlineKeyCount) })
    text.add(
      "deleted_keys", .gauge, "Keys that answer deleted.", perGroup { Double($0.deletedKeyCount) })
    text.add(
      "offline_records", .gauge, "Records in the offline table.",
      perGroup { Double($0.offlineRecordCount) })
    text.add(
      "offline_files", .gauge, "Data files of the offline table.", perGroup { Double($0.fileCount) }
    )
    text.add(
      "offline_bytes", .gauge, "Bytes of these files.", perGroup { Double($0.offlineBytes) })
    text.add(
      "snapshots", .gauge, "Snapshots of the offline table.", perGroup { Double($0.snapshotCount) })
    text.add(
      "unflushed_lsns", .gauge, "How far the offline table is behind the log.",
      perGroup { Double($0.unflushedLSNs) })
    text.add("index_keys", .gauge, "Keys in the online index.", Double(indexedKeyCount))
    text.add("index_bytes", .gauge, "Bytes of the online index in memory.", Double(indexBytes))
    text.add("log_bytes", .gauge, "Bytes of the log on disk.", Double(logBytes))
    text.add(
      "log_live_bytes", .gauge, "Bytes of the log that live records take.", Double(liveBytes))
    text.add("log_segments", .gauge, "Segments of the log.", Double(segmentCount))
    text.add("log_last_lsn", .gauge, "The last log sequence number.", Double(lastLSN))
    text.add("commits", .counter, "Commits of this process.", Double(activity.commitCount))
    text.add(
      "written_records", .counter, "Records written by this process.",
      Double(activity.writtenRecordCount))
    text.add(
      "cleaned_bytes", .counter, "Bytes of log that cleaning gave back.",
      Double(activity.cleanedBytes))
    text.add("commit_duration", "From the call to the index.", nanoseconds: activity.commits)
    text.add("sync_duration", "Syncs of the log.", nanoseconds: activity.syncs)
    text.add("gets", .counter, "Reads of one key.", Double(activity.getCount))
    text.add(
      "get_misses", .counter, "Of these, keys that were never written.",
      Double(activity.getMissCount))
    text.add("batches", .counter, "Reads of many keys at once.", Double(activity.batchCount))
    text.add("batch_keys", .counter, "Their keys.", Double(activity.batchKeyCount))
    text.add(
      "batch_misses", .counter, "Of these, keys that were never written.",
      Double(activity.batchMissCount))
    text.add("get_duration", "Of one get in 64.", nanoseconds: activity.gets)
    text.add("batch_duration", "Of one batch in 16.", nanoseconds: activity.batches)
    text.end()
    return text.text
  }
}
