internal import Columnar
internal import FeatureModel
internal import Iceberg
internal import PointInTime
internal import Storage

/// Extracts the features of one group for a spine.
///
/// Two passes over the group's data files: keys and times of all that may count, for the join to find the rows
/// that win; then the feature columns of what has winners, of which only those rows are kept. Of small files, which
/// cost more to open than to decode, the second is done while they are open for the first. Memory is that of the
/// spine, of the winners, and of a few batches.
struct GroupExtraction {
  let group: FeatureGroup
  /// The features wanted, with the names of their columns in the training set.
  let references: [FeatureReference]
  let table: Table
  let options: Options
  /// What the log has and the table lacks (`UnflushedTail`), in the table's columns.
  var tail: [RecordBatch] = []

  /// The columns of the training set that come from this group, one value a spine row, and what
  /// happened to the rows.
  ///
  /// - Parameter progress: is given bytes of files that were dealt with; their sum is that of all files.
  func run(
    spine: Spine, progress: (Int64) -> Void
  ) throws -> (winners: Winners, report: TrainingSetReport.Group) {
    let rules = try JoinRules(
      timeToLiveMicroseconds: longestTimeToLive, visibility: options.visibility,
      bounds: options.bounds, offsetMicroseconds: options.dataDelayMicroseconds)
    let timestamp = DataType.timestamp(isUTC: true)
    var seen: Set<String> = [OfflineTables.writeTime]
    var wanted = [(name: OfflineTables.writeTime, type: timestamp)]
    for reference in references where seen.insert(reference.feature).inserted {
      wanted.append((reference.feature, try type(of: reference)))
    }
    let scan = try GroupScan(
      group, table, columns: wanted, version: options.version, spine: spine, rules: rules,
      nullReasons: options.nullReasons, tail: tail)
    var report = TrainingSetReport.Group(name: group.name)
    report.snapshotID = scan.snapshotID
    let (found, kept) = try scan.winners(for: spine, &report, progress)
    precondition(found.rowCount == spine.rowCount, "a training set has its spine's rows")
    let values = try scan.values(of: found, kept)
    var result = found
    let writeTimes =
      values[OfflineTables.writeTime] ?? .nulls(timestamp, count: result.winnerCount)
    report.writtenLaterCount =
      try options.excludesLate
      ? result.excludeWrittenLater(writeTimes) : result.rowsWrittenLater(writeTimes)
    count(result, into: &report)
    let features = try references.map { reference in
      Winners.Feature(
        values: try values[reference.feature]
          ?? .nulls(type(of: reference), count: result.winnerCount),
        timeToLiveMicroseconds: ownTimeToLive(reference))
    }
    return (Winners(result: result, features: features), report)
  }

  /// The greatest ttl of the features wanted: what is older counts for none of them.
  private var longestTimeToLive: Int64? {
    let all = references.map { $0.timeToLive ?? group.timeToLive }
    guard case .microseconds(let length) = all.max() else { return nil }
    return length
  }

  /// A ttl that is shorter than that of the join.
  private func ownTimeToLive(_ reference: FeatureReference) -> Int64? {
    guard case .microseconds(let length) = reference.timeToLive ?? group.timeToLive,
      length != longestTimeToLive
    else { return nil }
    return length
  }

  private func type(of reference: FeatureReference) throws -> DataType {
    group.features[try group.featureIndex(reference.feature)].type.dataType
  }

  private func count(_ result: PointInTimeResult, into report: inout TrainingSetReport.Group) {
    let counts = result.outcomeCounts
    report.foundCount = counts[.found, default: 0]
    report.neverWrittenCount = counts[.neverWritten, default: 0]
    report.onlyLaterCount = counts[.noneBefore, default: 0]
    report.lateCount = counts[.late, default: 0]
    report.expiredCount = counts[.expired, default: 0]
    report.deletedCount = counts[.deleted, default: 0]
    report.noKeyCount = counts[.nullKey, default: 0]
    report.notReadCount = counts[.notRead, default: 0]
  }
}

/// What one group gives to a training set: who won each spine row, and the winners' values.
struct Winners: Sendable {
  struct Feature: Sendable {
    var values: Column
    /// Where it is shorter than the join's.
    var timeToLiveMicroseconds: Int64?
  }

  let result: PointInTimeResult
  let features: [Feature]

  /// The values of a range of spine rows, one column a reference.
  func columns(rows: Range<Int>) throws -> [Column] {
    var places: [Int64?: [Int32]] = [:]
    return try features.map { feature in
      let ttl = feature.timeToLiveMicroseconds
      let own = places[ttl] ?? result.winners(ofRows: rows, timeToLiveMicroseconds: ttl)
      places[ttl] = own
      return try result.gather(feature.values, at: own)
    }
  }
}
