internal import Columnar
internal import FeatureModel
internal import FileFormats
internal import Iceberg
internal import PointInTime

/// Extracts the features of one group for a spine.
///
/// Two passes over the group's data files: keys and times of all that may count, for the join to find the
/// rows that win; then the feature columns of the files that have winners, of which only those rows are
/// kept. Memory is that of the spine, of the winners, and of one batch.
struct GroupExtraction {
  let group: FeatureGroup
  /// The features wanted, with the names of their columns in the training set.
  let references: [FeatureReference]
  let table: Table
  let options: Options

  /// The columns of the training set that come from this group, one value a spine row, and what
  /// happened to the rows.
  func run(
    spine: Spine, progress: (Int64) -> Void
  ) throws -> (winners: Winners, report: TrainingSetReport.Group) {
    guard options.dataDelayMicroseconds == 0, !options.excludesLate else {
      throw FeatureStoreError(
        .invalidArgument,
        "'\(group.name)': data delays and leaving out late values are not built yet")
    }
    var timeToLive: Int64?
    if case .microseconds(let length) = group.timeToLive { timeToLive = length }
    var join = try PointInTimeJoin(
      spine: spine, timeToLiveMicroseconds: timeToLive, visibility: options.visibility,
      bounds: options.bounds)
    var report = TrainingSetReport.Group(name: group.name)

    var scan = table.newScan()
    if let version = options.version { scan.version = version }
    scan.includesStatistics = true
    let keys = group.recordIdentifiers.map(\.name)
    scan.columns =
      keys + [
        group.eventTimeName, OfflineTables.lsn, OfflineTables.isDeleted, OfflineTables.writeTime,
      ]
    if group.hasExpiryColumn,
      try unprojected(scan).schema().fields.contains(where: { $0.name == OfflineTables.expiresAt })
    {
      scan.columns?.append(OfflineTables.expiresAt)
    }
    let plan = try options.version == nil ? nil : scan.planFiles()
    report.snapshotID = plan?.snapshot?.snapshotID
    let files = try ordered(plan?.tasks ?? [])
    for (source, file) in files.enumerated() {
      defer { progress(file.task.dataFile.fileSizeInBytes) }
      if let range = file.eventTimes, join.canSkip(eventTimes: range) {
        report.filesSkipped += 1
        continue
      }
      report.filesRead += 1
      let batches = try scan.batches(file.task)
      var firstRow = 0
      while let batch = try batches.next() {
        try join.consume(
          PointInTimeJoin.Batch(
            keys: Array(batch.columns[..<keys.count]), eventTimes: batch.columns[keys.count],
            logSequenceNumbers: batch.columns[keys.count + 1],
            isDeleted: batch.columns[keys.count + 2], writeTimes: batch.columns[keys.count + 3],
            expiresAt: batch.columns.count > keys.count + 4 ? batch.columns[keys.count + 4] : nil),
          source: Int32(source), firstRow: firstRow)
        firstRow += batch.rowCount
      }
    }
    let result = join.finish()
    precondition(result.rowCount == spine.rowCount, "a training set has its spine's rows")
    count(result, into: &report)
    let columns = try features(of: result, scan, files)
    return (Winners(result: result, columns: columns, references: references), report)
  }

  private struct DataFileTask {
    var task: FileScanTask
    var eventTimes: ClosedRange<Int64>?
  }

  /// Newest events first, so that older files can be skipped once every moment has a newer value.
  private func ordered(_ tasks: [FileScanTask]) throws(IcebergError) -> [DataFileTask] {
    let id = table.schema.field(named: group.eventTimeName)?.id
    func bound(_ bounds: [Int32: [UInt8]]) throws(IcebergError) -> Int64? {
      guard let id, let bytes = bounds[id],
        case .timestamptz(let value) = try Literal(boundBytes: bytes, type: .timestamptz)
      else { return nil }
      return value
    }
    let files = try tasks.map { task throws(IcebergError) -> DataFileTask in
      let low = try bound(task.dataFile.lowerBounds)
      let high = try bound(task.dataFile.upperBounds)
      var range: ClosedRange<Int64>?
      if let low, let high, low <= high { range = low...high }
      return DataFileTask(task: task, eventTimes: range)
    }
    // Files without bounds first: nothing is known of them.
    func newest(_ file: DataFileTask) -> Int64 { file.eventTimes?.upperBound ?? .max }
    return files.sorted { newest($0) > newest($1) }
  }

  private func count(_ result: PointInTimeResult, into report: inout TrainingSetReport.Group) {
    for row in 0..<result.rowCount {
      switch result.outcome(ofRow: row) {
      case .found: report.foundCount += 1
      case .neverWritten: report.neverWrittenCount += 1
      case .noneBefore: report.onlyLaterCount += 1
      case .late: report.lateCount += 1
      case .expired: report.expiredCount += 1
      case .deleted: report.deletedCount += 1
      case .nullKey: report.noKeyCount += 1
      }
    }
  }

  /// The features' values of the winning rows, behind one another.
  private func features(
    of result: PointInTimeResult, _ keyScan: TableScan, _ files: [DataFileTask]
  ) throws -> [Column] {
    var scan = keyScan
    // A column that the version read does not have yet is null.
    let known = Set(try unprojected(keyScan).schema().fields.map(\.name))
    var wanted: [String] = []
    for reference in references where known.contains(reference.feature) {
      if !wanted.contains(reference.feature) { wanted.append(reference.feature) }
    }
    scan.columns = wanted.isEmpty ? [OfflineTables.lsn] : wanted
    var taken: [[Column]] = Array(repeating: [], count: wanted.count)
    for source in result.sources {
      let rows = result.winningRows(of: source)
      var parts: [[Column]] = Array(repeating: [], count: wanted.count)
      var next = rows.startIndex
      var firstRow = 0
      let batches = try scan.batches(files[Int(source)].task)
      while next < rows.endIndex, let batch = try batches.next() {
        let end = firstRow + batch.rowCount
        var indices: [Int32] = []
        while next < rows.endIndex, Int(rows[next]) < end {
          indices.append(rows[next] - Int32(firstRow))
          next += 1
        }
        firstRow = end
        guard !indices.isEmpty else { continue }
        for index in wanted.indices { parts[index].append(try batch.columns[index].take(indices)) }
      }
      guard next == rows.endIndex else {
        throw FeatureStoreError(
          .corrupt, "'\(files[Int(source)].task.dataFile.path)' has fewer rows than a moment ago")
      }
      for index in wanted.indices {
        taken[index].append(
          parts[index].count == 1 ? parts[index][0] : try Column.concatenate(parts[index]))
      }
    }
    return try references.map { reference in
      let type = try type(of: reference)
      guard let index = wanted.firstIndex(of: reference.feature) else {
        return .nulls(type, count: result.winnerCount)
      }
      return try result.concatenate(taken[index], type: taken[index].first?.type ?? type)
    }
  }

  private func unprojected(_ scan: TableScan) -> TableScan {
    var all = scan
    all.columns = nil
    return all
  }

  private func type(of reference: FeatureReference) throws -> DataType {
    group.features[try group.featureIndex(reference.feature)].type.dataType
  }
}

/// What one group gives to a training set: who won each spine row, and the winners' values.
struct Winners {
  let result: PointInTimeResult
  let columns: [Column]
  let references: [FeatureReference]

  /// The values of a range of spine rows, one column a reference.
  func columns(rows: Range<Int>) throws -> [Column] {
    try columns.map { try result.gather($0, rows: rows) }
  }
}
