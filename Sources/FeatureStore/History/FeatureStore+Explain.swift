internal import Columnar
internal import FeatureModel
internal import FileFormats
internal import Iceberg
internal import Storage

// Training sets that are there already: why a cell is what it is, and whether all are what they must be.
extension FeatureStore {
  /// Explains the cells of one row of a training set: which record won, which lost and why, or why there is null.
  ///
  /// Cost: that of the histories of the row's keys (`history`).
  ///
  /// - Parameters:
  ///   - file: the training set: .parquet, .arrow, .csv.
  ///   - row: counted from 0.
  ///   - request: the one that the file was extracted with; its spine and its output count for nothing.
  ///   - column: only this column of it.
  /// - Throws: `.notFound` for a row or a column that there is not.
  public func explainTrainingSet(
    _ file: String, row: Int, of request: TrainingSetRequest, column: String? = nil
  ) throws(FeatureStoreError) -> [CellExplanation] {
    try explainTrainingSet(file, row: row, of: request, again: nil, column)
  }

  /// The same of a training set with a name, by its features and the snapshots that it was made of.
  ///
  /// - Parameter file: its output, or a file with rows of it.
  /// - Throws: also `.conflict` for a set that was not completed.
  public func explainTrainingSet(
    _ file: String, row: Int, of set: NamedTrainingSet, column: String? = nil
  ) throws(FeatureStoreError) -> [CellExplanation] {
    try set.requireComplete()
    return try explainTrainingSet(file, row: row, of: set.request, again: set, column)
  }

  private func explainTrainingSet(
    _ file: String, row: Int, of request: TrainingSetRequest, again set: NamedTrainingSet?,
    _ column: String?
  ) throws(FeatureStoreError) -> [CellExplanation] {
    do {
      let plan = try TrainingSetPlan(request, store: self, again: set?.features)
      let values = try FileRow(file, row: row, plan, self)
      let tables = try TrainingSetTables(self, request, fixed: set?.snapshots)
      var cells: [(place: Int, cell: CellExplanation)] = []
      for part in plan.parts {
        for (reference, place) in zip(part.references, part.places)
        where column == nil || column == reference.outputName || column == "\(reference)" {
          let rules = CellRules(part, request)
          cells.append(
            (place, try explain(rules, part, reference, values, tables)))
        }
      }
      guard !cells.isEmpty else {
        throw Registry.unknown(
          "column of the training set", column ?? "", among: plan.references.map(\.outputName))
      }
      return cells.sorted { $0.place < $1.place }.map(\.cell)
    } catch { throw FeatureStoreError(error) }
  }

  private func explain(
    _ rules: CellRules, _ part: TrainingSetPlan.Part, _ reference: FeatureReference,
    _ row: FileRow, _ tables: TrainingSetTables
  ) throws -> CellExplanation {
    let index = try part.group.featureIndex(reference.feature)
    let moment = row.moment(part.timeColumn)
    let key = part.keyColumns.map { row.values[$0] ?? .null }
    var cell = CellExplanation(
      column: reference.outputName, group: part.group.name, feature: reference.feature,
      featureIndex: index, type: part.group.features[index].type, key: key, moment: moment,
      outcome: .noKey,
      value: .null, fileValue: row.values[reference.outputName], records: [])
    guard let moment, let encoded = try row.encodedKey(part) else { return cell }
    let reader = try KeyReader(self, part.group, key: encoded, tables: tables)
    var records: [HistoryRecord] = []
    try reader.read { records.append($0) }
    records.sort { $0.order > $1.order }
    let judged = rules.judge(records, at: moment)
    (cell.outcome, cell.value) = rules.answer(
      judged, feature: index, timeToLive: reference.timeToLive ?? part.group.timeToLive, at: moment)
    cell.records = judged
    return cell
  }

  /// Compares every cell of a training set with what the tables say, and tells of those that differ whether they
  /// know the future, or are no record's value.
  ///
  /// Cost: that of extracting it again, and of the histories of the keys of the cells listed. Memory: that of the
  /// file's keys and times, and of the values found.
  ///
  /// - Parameters:
  ///   - file: the training set: .parquet, .arrow, .csv.
  ///   - request: the one that it was extracted with; its spine and its output count for nothing.
  ///   - progress: bytes of data files dealt with, and in all.
  public func auditTrainingSet(
    _ file: String, of request: TrainingSetRequest,
    progress: (Int64, Int64) -> Void = { _, _ in }
  ) throws(FeatureStoreError) -> TrainingSetAudit {
    do {
      return try AuditRun(self, file, request).run(progress)
    } catch { throw FeatureStoreError(error) }
  }

  /// The same of a training set with a name, by its features and the snapshots that it was made of.
  ///
  /// - Parameter file: its output, or a file with rows of it.
  /// - Throws: also `.conflict` for a set that was not completed.
  public func auditTrainingSet(
    _ file: String, of set: NamedTrainingSet, progress: (Int64, Int64) -> Void = { _, _ in }
  ) throws(FeatureStoreError) -> TrainingSetAudit {
    try set.requireComplete()
    do {
      return try AuditRun(self, file, set.request, again: set).run(progress)
    } catch { throw FeatureStoreError(error) }
  }
}

/// Which records count for a cell.
struct CellRules {
  private let group: FeatureGroup
  private let request: TrainingSetRequest

  /// - Parameter part: its group has the data delay that counts.
  init(_ part: TrainingSetPlan.Part, _ request: TrainingSetRequest) {
    group = part.group
    self.request = request
  }

  private func isBefore(_ instant: Int64, _ moment: Int64) -> Bool {
    request.isStrict ? instant < moment : instant <= moment
  }

  func standing(_ record: HistoryRecord, at moment: Int64) -> CellExplanation.Standing {
    let (known, overflow) = record.eventTime.addingReportingOverflow(group.dataDelayMicroseconds)
    guard !overflow, isBefore(known, moment) else { return .onlyLater }
    if request.visibility == .ingested, record.writeTime.map({ !isBefore($0, moment) }) ?? true {
      return .late
    }
    return .older
  }

  /// - Parameter records: newest first.
  func judge(
    _ records: [HistoryRecord], at moment: Int64
  ) -> [(record: HistoryRecord, standing: CellExplanation.Standing)] {
    var hasWinner = false
    return records.map { record in
      var standing = standing(record, at: moment)
      if standing == .older, !hasWinner {
        standing = .won
        hasWinner = true
      }
      return (record, standing)
    }
  }

  /// What a cell has, and why.
  func answer(
    _ records: [(record: HistoryRecord, standing: CellExplanation.Standing)], feature: Int,
    timeToLive: TimeToLive, at moment: Int64
  ) -> (CellExplanation.Outcome, FeatureValue) {
    guard let winner = records.first(where: { $0.standing == .won })?.record else {
      if records.isEmpty { return (.neverWritten, .null) }
      return (records.contains { $0.standing == .late } ? .late : .onlyLater, .null)
    }
    switch winner.status(timeToLive, at: moment) {
    case .deleted: return (.deleted, .null)
    case .expired: return (.expired, .null)
    default: break
    }
    if request.excludesLate, let written = winner.writeTime, written > moment {
      return (.late, .null)
    }
    let value = winner.values[feature]
    return (value == .null ? .null : .found, value)
  }
}

/// The values of one row of a training set that matter: keys, times, features.
private struct FileRow {
  /// By column.
  var values: [String: FeatureValue] = [:]

  init(_ file: String, row: Int, _ plan: TrainingSetPlan, _ store: FeatureStore) throws {
    let wanted = try plan.keysAndTimes().fields
    let features = zip(plan.references, plan.types).map { Field($0.outputName, $1) }
    let types = Dictionary((wanted + features).map { ($0.name, $0.type) }) { first, _ in first }
    let rows = try SpineFiles([file], types: types, fileSystem: store.fileSystem)
    for field in wanted { try rows.require(field.name, role: "the key or the time") }
    let columns = wanted + features.filter { rows.schema.index(of: $0.name) != nil }
    let next = try rows.rows(Schema(columns))
    var first = 0
    while let batch = try next() {
      if row < first + batch.rowCount {
        for (field, column) in zip(columns, batch.columns) {
          values[field.name] = try FeatureValue(column, row - first)
        }
        return
      }
      first += batch.rowCount
    }
    throw FeatureStoreError(.notFound, "'\(file)' has rows 0 to \(first - 1), and no row \(row)")
  }

  func moment(_ column: String) -> Int64? {
    guard case .timestamp(let time) = values[column] else { return nil }
    return time
  }

  /// nil where a part of the key is null.
  func encodedKey(_ part: TrainingSetPlan.Part) throws -> [UInt8]? {
    var writer = KeyWriter(part.group)
    for name in part.keyColumns {
      guard let value = values[name], value != .null else { return nil }
      writer.append(value)
    }
    return try writer.finish().bytes
  }
}
