internal import Columnar
internal import FeatureModel
internal import Iceberg
internal import PointInTime
internal import Storage

/// The rows of one group that may count for a spine, read by all processors: a unit of the scan at a time, which is
/// a file, some of its row groups, or many small files. A row is named by its unit and its number in it, which is
/// the same whatever columns are read.
struct GroupScan: Sendable {
  let group: FeatureGroup
  let rules: JoinRules
  /// Chooses files and row groups, and the columns that decide who wins.
  let scan: TableScan
  private let decisive: DecisiveColumns
  let snapshotID: Int64?
  let fileCount: Int
  private let units: [Unit]
  /// What the log has and the table lacks: sources behind the units.
  private let tail: [RecordBatch]
  /// Whether planning left files out.
  private let isPruned: Bool
  /// Whether the reason of every null is to be found.
  private let findsReasons: Bool
  /// What the winners are asked for. Columns that the table's version does not have yet are left out.
  private let columns: [(name: String, type: DataType)]

  private struct Unit: Sendable {
    var unit: ScanUnit
    /// nil where a file says nothing of its event times.
    var eventTimes: ClosedRange<Int64>?
  }

  /// Tables up to this size are read wholly, so that the reason of every null is known.
  private static let smallTableBytes: Int64 = 64 << 20

  /// - Parameters:
  ///   - columns: what the winners are asked for.
  ///   - version: nil for a table that was not there yet, of which nothing is read.
  ///   - tail: rows in the table's columns that count beside its own.
  init(
    _ group: FeatureGroup, _ table: Table, columns: [(name: String, type: DataType)],
    version: TableScan.Version?, spine: Spine, rules: JoinRules,
    nullReasons: TrainingSetRequest.NullReasons = .ifCheap,
    tail: [RecordBatch] = []
  ) throws {
    self.group = group
    self.tail = tail
    self.rules = rules
    var scan = table.newScan()
    if let version { scan.version = version }
    scan.includesStatistics = true
    scan.concurrentFileCount = Processors.count
    scan.appliesResidual = false
    let names = Set(try scan.schema().fields.map(\.name))
    self.columns = columns.filter { names.contains($0.name) }
    let snapshot = version == nil ? nil : try scan.snapshot()
    snapshotID = snapshot?.snapshotID
    let size = snapshot?.summary["total-files-size"].flatMap { Int64($0) } ?? .max
    let readsAll =
      nullReasons == .always || (nullReasons == .ifCheap && size <= Self.smallTableBytes)
    findsReasons = readsAll
    if !readsAll { scan.filter = Self.filter(group, spine, rules) }
    decisive = DecisiveColumns(group, names, hasWriteTime: rules.visibility == .ingested)
    scan.columns = decisive.names
    self.scan = scan
    guard snapshot != nil else {
      (units, isPruned, fileCount) = ([], false, 0)
      return
    }
    let plan = try scan.planFiles()
    isPruned = plan.skippedFileCount > 0 || plan.skippedManifestCount > 0
    fileCount = plan.tasks.count
    let id = try scan.schema().field(named: group.eventTimeName)?.id
    let tasks = try plan.tasks.map { ($0, try Self.eventTimes(of: $0.dataFile, id)) }
    // Newest events first, so that older files can be skipped once every moment has a newer value. Those of
    // which nothing is known come before.
    let ordered = tasks.sorted { ($0.1?.upperBound ?? .max) > ($1.1?.upperBound ?? .max) }
    let areFlat = self.columns.allSatisfy { !$0.type.isNested }
    units = try scan.units(ordered.map(\.0), splitsRowGroups: areFlat).map { unit in
      var range: ClosedRange<Int64>?
      for (index, task) in unit.tasks.enumerated() {
        guard let own = try Self.eventTimes(of: task.dataFile, id) else {
          range = nil
          break
        }
        range =
          index == 0
          ? own
          : range.map { min($0.lowerBound, own.lowerBound)...max($0.upperBound, own.upperBound) }
      }
      return Unit(unit: unit, eventTimes: range)
    }
  }

  /// What no row outside of can count for the spine.
  private static func filter(
    _ group: FeatureGroup, _ spine: Spine, _ rules: JoinRules
  ) -> FilterExpression {
    guard let times = spine.eventTimes(rules) else { return .alwaysFalse }
    var conditions: [FilterExpression] = [
      .comparison(group.eventTimeName, .lessOrEqual, .timestamptz(times.upperBound))
    ]
    if times.lowerBound > .min {
      conditions.append(
        .comparison(group.eventTimeName, .greaterOrEqual, .timestamptz(times.lowerBound)))
    }
    return .and(conditions + keyConditions(group.recordIdentifiers[0], spine))
  }

  /// So many keys are looked for one by one, by bounds and bloom filters; of more only the range counts.
  private static let mostKeys = 2000

  private static func keyConditions(_ key: Feature, _ spine: Spine) -> [FilterExpression] {
    guard let first = spine.firstKeys(atMost: mostKeys) else { return [] }
    let values: [Literal]
    switch (first.keys, key.type) {
    case (.integers(let keys), .int), (.integers(let keys), .long):
      values = keys.map { .long($0) }
    case (.integers(let keys), .timestamp): values = keys.map { .timestamptz($0) }
    case (.bytes(let keys), .string):
      values = keys.map { .string(String(decoding: $0, as: UTF8.self)) }
    default: return []
    }
    guard let least = values.first, let greatest = values.last else { return [] }
    let range: [FilterExpression] = [
      .comparison(key.name, .greaterOrEqual, least), .comparison(key.name, .lessOrEqual, greatest),
    ]
    return first.areAll ? range + [.isIn(key.name, values)] : range
  }

  private static func eventTimes(
    of file: DataFile, _ id: Int32?
  ) throws(IcebergError) -> ClosedRange<Int64>? {
    func bound(_ bounds: [Int32: [UInt8]]) throws(IcebergError) -> Int64? {
      guard let id, let bytes = bounds[id],
        case .timestamptz(let value) = try Literal(boundBytes: bytes, type: .timestamptz)
      else { return nil }
      return value
    }
    guard let low = try bound(file.lowerBounds), let high = try bound(file.upperBounds),
      low <= high
    else { return nil }
    return low...high
  }

  // MARK: First pass: who wins

  /// What the threads of the first pass share.
  fileprivate struct Shared {
    /// nil once it has answered.
    var join: PointInTimeJoin?
    var kept: KeptRows
    var hidesReasons: Bool
    var skippedFiles = 0
    var doneBytes: Int64 = 0
  }

  private struct KeyReader {
    let rows: ScanUnitReader
    var candidates: JoinCandidates
  }

  /// Finds the rows that win, and keeps of small files what they say.
  ///
  /// - Parameter progress: is given bytes of files that were dealt with.
  func winners(
    for spine: Spine, _ report: inout TrainingSetReport.Group, _ progress: (Int64) -> Void
  ) throws -> (PointInTimeResult, KeptRows) {
    let shared = Lock(
      Shared(
        join: PointInTimeJoin(spine: spine, rules: rules), kept: KeptRows(room: spine.slotCount),
        hidesReasons: isPruned))
    let (units, scan, rules, findsReasons) = (units, scan, rules, findsReasons)
    let (decisive, deferred) = (decisive, columns.map(\.name))
    try Parallel.forEach(
      units.count,
      makeWorker: {
        KeyReader(
          rows: ScanUnitReader(scan, deferredColumns: deferred),
          candidates: JoinCandidates(spine: spine, rules: rules))
      },
      work: { (reader: inout KeyReader, index: Int) in
        let unit = units[index]
        let skipping = shared.withLock { $0.skip(unit.eventTimes, unit.unit, findsReasons) }
        guard skipping == .no else { return }
        let skippedBefore = reader.rows.skippedRowCount
        var firstRow = 0
        let source = Int32(index)
        try reader.rows.read(unit.unit) { batch, deferred in
          let keys = decisive.batch(batch.columns)
          try reader.candidates.find(keys)
          let candidates = reader.candidates
          let winning = try shared.withLock { state -> [Int32] in
            let rows =
              try state.join?.apply(candidates, of: keys, source: source, firstRow: firstRow) ?? []
            return deferred != nil && state.kept.reserve(rows.count) ? rows : []
          }
          if let deferred, !winning.isEmpty {
            let columns = try deferred().columns.map { try $0.take(winning) }
            let rows = winning.map { Int32(firstRow) + $0 }
            shared.withLock { $0.kept.append(columns, rows: rows, source: source) }
          }
          firstRow += batch.rowCount
        }
        let hasSkipped = reader.rows.skippedRowCount > skippedBefore
        shared.withLock { state in
          state.doneBytes += unit.unit.sizeBytes
          if hasSkipped { state.hidesReasons = true }
        }
      }, tick: { progress(shared.withLock { $0.takeDone() }) })
    for (index, batch) in tail.enumerated() {
      let keys = try decisive.batch(batch, of: group)
      try shared.withLock { state in
        try state.join?.consume(keys, source: Int32(units.count + index))
      }
    }
    progress(shared.withLock { $0.takeDone() })
    return shared.withLock { state in
      report.filesSkipped = state.skippedFiles
      report.filesRead = fileCount - state.skippedFiles
      let join = state.join ?? PointInTimeJoin(spine: spine, rules: rules)
      state.join = nil
      let kept = state.kept
      state.kept = KeptRows(room: 0)
      return (join.finish(hidesReasons: state.hidesReasons), kept)
    }
  }

  // MARK: Second pass: what they say

  /// The winners' values by column, as `PointInTimeResult.gather` takes them. Files are opened again for those that
  /// were not kept.
  func values(
    of result: PointInTimeResult, _ kept: KeptRows
  ) throws -> [String: Column] {
    let wanted = columns
    guard !wanted.isEmpty else { return [:] }
    let kept = Lock(kept)
    var scan = scan
    scan.columns = wanted.map(\.name)
    let (group, units, tail, reading) = (group, units, tail, scan)
    let sources = result.sources
    // Of every column, what each source has of it.
    let taken = Lock(
      [[Column?]](repeating: Array(repeating: nil, count: sources.count), count: wanted.count))
    try Parallel.forEach(
      sources.count, makeWorker: { ScanUnitReader(reading) },
      work: { (reader: inout ScanUnitReader, index: Int) in
        let (source, rows) = (Int(sources[index]), result.winningRows(of: sources[index]))
        let parts = kept.withLock { $0.take(source: sources[index]) }
        let own = try KeptRows.columns(of: rows, from: parts)
        let columns =
          if let own {
            own
          } else if source < units.count {
            try Self.rows(rows, units[source].unit, reader)
          } else {
            try wanted.map {
              try tail[source - units.count].column(named: $0.name, of: group).take(rows)
            }
          }
        precondition(columns.count == wanted.count, "a source has a part of every column")
        taken.withLock { state in
          for place in wanted.indices { state[place][index] = columns[place] }
        }
      })
    let values = Lock([String: Column]())
    try Parallel.forEach(
      wanted.count, makeWorker: {},
      work: { (_: inout Void, place: Int) in
        // What a column is made of goes with it.
        let parts = taken.withLock { state in
          defer { state[place] = [] }
          return state[place].compactMap(\.self)
        }
        let type = parts.first?.type ?? wanted[place].type
        let column = try result.concatenate(parts, type: type)
        values.withLock { $0[wanted[place].name] = column }
      })
    return values.withLock { $0 }
  }

  /// Some rows of a unit, ascending, as columns.
  private static func rows(
    _ rows: [Int32], _ unit: ScanUnit, _ reader: ScanUnitReader
  ) throws -> [Column] {
    var parts: [RecordBatch] = []
    try reader.read(unit, rows: rows.map(Int64.init)[...]) { parts.append($0) }
    guard let schema = parts.first?.schema else {
      throw FeatureStoreError(.corrupt, "a unit without rows that won was read for them")
    }
    if parts.count == 1 { return parts[0].columns }
    return try RecordBatch.concatenate(parts, schema: schema).columns
  }
}

extension GroupScan.Shared {
  /// Whether a unit need not be read; then it is dealt with.
  mutating func skip(
    _ eventTimes: ClosedRange<Int64>?, _ unit: ScanUnit, _ findsReasons: Bool
  ) -> Skipping {
    guard let eventTimes, let skipping = join?.canSkip(eventTimes: eventTimes), skipping != .no
    else { return .no }
    if skipping == .hidesReasons {
      if findsReasons { return .no }
      hidesReasons = true
    }
    skippedFiles += unit.tasks.count
    doneBytes += unit.sizeBytes
    return skipping
  }

  mutating func takeDone() -> Int64 {
    defer { doneBytes = 0 }
    return doneBytes
  }
}
