internal import Columnar
internal import FeatureModel
internal import FileFormats
internal import Iceberg
internal import PointInTime
internal import Storage

/// The rows of a training set, batch by batch: the spine's, in their order, with the features beside them.
///
/// Making it reads the keys and times of the spine and asks each group. `next` reads the spine a second time, and
/// puts the answers beside it.
final class TrainingSetRows {
  let schema: Schema
  private(set) var report = TrainingSetReport()
  let tables: TrainingSetTables
  let spineSchema: Schema
  /// Where the times that something is asked for are, among the spine's columns.
  let timeColumns: [String]

  private let answers: [(places: [Int], winners: Winners)]
  private let featureCount: Int
  /// Of the data files that are read, and with the writing of the rows in all, as if a row were so many bytes.
  private var tableBytes: Int64 = 0
  private(set) var totalBytes: Int64 = 0
  private static let rowBytes: Int64 = 64
  private var batches: BatchCutter
  private var row = 0

  /// Rows of a batch: the same whatever the spine's own batches are, so that files come out the same.
  static let batchRows = 65_536

  /// - Parameter set: of a training set that is made again, which features and snapshots it had.
  init(
    _ request: TrainingSetRequest, store: FeatureStore, again set: NamedTrainingSet? = nil,
    progress: (Int64, Int64) -> Void
  ) throws {
    let plan = try TrainingSetPlan(request, store: store, again: set?.features)
    tables = try TrainingSetTables(store, request, fixed: set?.snapshots)
    let wanted = try plan.keysAndTimes()
    let spine = try Self.spine(request, plan, wanted, tables, store)
    for part in plan.parts {
      try spine.require(part.timeColumn, role: "the time column")
      for name in part.keyColumns { try spine.require(name, role: "the key") }
    }
    try Self.checkNames(spine.schema, plan.references)
    spineSchema = spine.schema
    timeColumns = plan.parts.map(\.timeColumn)

    report.columnCount = spine.schema.fields.count + plan.references.count
    let spines: [Spine]
    (spines, report.rowCount) = try Self.spines(plan, wanted, try spine.rows(wanted))
    for part in plan.parts { tableBytes += try tables.choice(part.group).sizeBytes }
    totalBytes = tableBytes + Int64(report.rowCount) * Self.rowBytes
    let work = (tables: tableBytes, all: totalBytes)
    (answers, report.groups) = try Self.ask(plan, request, spines, tables) { done in
      progress(min(done, work.tables), work.all)
    }

    featureCount = plan.references.count
    schema = Schema(
      spine.schema.fields + zip(plan.references, plan.types).map { Field($0.outputName, $1) })
    batches = BatchCutter(schema: spine.schema, rows: Self.batchRows, next: try spine.rows(nil))
  }

  // MARK: The spine

  private static func spine(
    _ request: TrainingSetRequest, _ plan: TrainingSetPlan, _ wanted: Schema,
    _ tables: TrainingSetTables, _ store: FeatureStore
  ) throws -> any SpineRows {
    switch request.spine {
    case .files(let paths):
      let types = Dictionary(uniqueKeysWithValues: wanted.fields.map { ($0.name, $0.type) })
      return try SpineFiles(paths, types: types, fileSystem: store.fileSystem)
    case .batches(let batches): return try SpineBatches(batches)
    case .group(let name, let filter, let features):
      return try SpineRecords(
        store.group(name), filter: filter, features: features, tables: tables)
    case .allKeys(let groups, let moments):
      return try SpineKeys(
        Self.spineGroups(groups, plan, store), tables, timeColumn: request.timeColumn,
        keysAt: moments)
    case .changes(let groups, let from, let to):
      return try SpineKeys(
        Self.spineGroups(groups, plan, store), tables, timeColumn: request.timeColumn,
        changesFrom: from, to: to)
    }
  }

  private static func spineGroups(
    _ names: [String], _ plan: TrainingSetPlan, _ store: FeatureStore
  ) throws -> [FeatureGroup] {
    var seen: Set<String> = []
    return try (names.isEmpty ? plan.references.map(\.group) : names)
      .filter { seen.insert($0).inserted }.map { try store.group($0) }
  }

  private static func checkNames(_ spine: Schema, _ references: [FeatureReference]) throws {
    let own = Set(spine.fields.map { $0.name.lowercased() })
    for reference in references where own.contains(reference.outputName.lowercased()) {
      throw FeatureStoreError(
        .invalidArgument,
        "the spine has a column '\(reference.outputName)' already: rename the feature, "
          + "\(reference)=another_name")
    }
  }

  // MARK: The groups

  /// One spine for each part, and how many rows they have; parts with the same keys and times share one. The rows are
  /// read ahead.
  ///
  /// - Parameter next: gives the next rows, of the columns of `wanted`.
  private static func spines(
    _ plan: TrainingSetPlan, _ wanted: Schema, _ next: @escaping () throws -> RecordBatch?
  ) throws -> (spines: [Spine], rowCount: Int) {
    var numbers: [[String]: Int] = [:]
    var builders: [(columns: [Int], builder: SpineBuilder)] = []
    var spineOfPart: [Int] = []
    for part in plan.parts {
      let names = part.keyColumns + [part.timeColumn]
      if let known = numbers[names] {
        spineOfPart.append(known)
        continue
      }
      let columns = names.compactMap { wanted.index(of: $0) }
      precondition(columns.count == names.count, "every column is read")
      numbers[names] = builders.count
      spineOfPart.append(builders.count)
      let types = columns.dropLast().map { wanted.fields[$0].type }
      builders.append((columns, try SpineBuilder(keyTypes: types)))
    }
    var rowCount = 0
    let batches = SourceAhead.of(next)
    while let batch = try batches.next() {
      rowCount += batch.rowCount
      for index in builders.indices {
        var found = builders[index].columns.map { batch.columns[$0] }
        let times = found.removeLast()
        try builders[index].builder.append(keys: found, times: times)
      }
    }
    let spines = builders.map { $0.builder.finish() }
    return (spineOfPart.map { spines[$0] }, rowCount)
  }

  private static func ask(
    _ plan: TrainingSetPlan, _ request: TrainingSetRequest, _ spines: [Spine],
    _ tables: TrainingSetTables, _ progress: (Int64) -> Void
  ) throws -> ([(places: [Int], winners: Winners)], [TrainingSetReport.Group]) {
    var done: Int64 = 0
    var answers: [(places: [Int], winners: Winners)] = []
    var reports: [TrainingSetReport.Group] = []
    for (part, spine) in zip(plan.parts, spines) {
      let choice = try tables.choice(part.group)
      var options = GroupExtraction.Options(version: choice.version)
      options.visibility = request.visibility == .event ? .event : .ingested
      options.bounds = request.isStrict ? .strict : .inclusive
      options.excludesLate = request.excludesLate
      options.nullReasons = request.nullReasons
      options.dataDelayMicroseconds = part.group.dataDelayMicroseconds
      let extraction = GroupExtraction(
        group: part.group, references: part.references, table: choice.table, options: options,
        tail: choice.unflushed?.batches ?? [])
      var (winners, report) = try extraction.run(spine: spine) { bytes in
        done += bytes
        progress(done)
      }
      report.columns = part.references.map(\.outputName)
      report.timeColumn = part.timeColumn
      report.isYounger = choice.isYounger
      answers.append((part.places, winners))
      reports.append(report)
    }
    return (answers, reports)
  }

  // MARK: The rows

  /// How much of `totalBytes` is done, once all groups have answered.
  var doneBytes: Int64 { tableBytes + Int64(row) * Self.rowBytes }

  /// The next rows, `batchRows` of them but at the end; nil after the last.
  func next() throws -> RecordBatch? {
    guard let spine = try batches.next() else {
      guard row == report.rowCount else { throw changed() }
      return nil
    }
    let rows = row..<(row + spine.rowCount)
    guard rows.upperBound <= report.rowCount else { throw changed() }
    row = rows.upperBound
    var features = [Column?](repeating: nil, count: featureCount)
    for (places, winners) in answers {
      for (place, column) in zip(places, try winners.columns(rows: rows)) {
        features[place] = column
      }
    }
    let found = features.compactMap(\.self)
    precondition(found.count == featureCount, "every reference has a column")
    return RecordBatch(
      schema: schema,
      columns: spine.columns
        + zip(schema.fields.suffix(featureCount), found).map {
          $1.relabelled($0.type)
        }, rowCount: rows.count)
  }

  private func changed() -> FeatureStoreError {
    FeatureStoreError(
      .conflict,
      "the spine was changed while it was being read: it had \(report.rowCount) rows at first")
  }
}

/// Cuts batches anew, into some number of rows each, the last one less.
struct BatchCutter {
  private let schema: Schema
  private let rows: Int
  private let source: () throws -> RecordBatch?
  private var pending: [RecordBatch] = []
  private var pendingCount = 0
  private var isAtEnd = false

  init(schema: Schema, rows: Int, next: @escaping () throws -> RecordBatch?) {
    self.schema = schema
    self.rows = rows
    source = next
  }

  mutating func next() throws -> RecordBatch? {
    while pendingCount < rows, !isAtEnd {
      guard let batch = try source() else {
        isAtEnd = true
        break
      }
      guard batch.rowCount > 0 else { continue }
      pending.append(batch)
      pendingCount += batch.rowCount
    }
    guard pendingCount > 0 else { return nil }
    var missing = min(rows, pendingCount)
    var parts: [RecordBatch] = []
    while missing > 0 {
      let first = pending[0]
      if first.rowCount <= missing {
        parts.append(first)
        pending.removeFirst()
      } else {
        parts.append(first.slice(0..<missing))
        pending[0] = first.slice(missing..<first.rowCount)
      }
      missing -= parts[parts.count - 1].rowCount
    }
    let cut = parts.count == 1 ? parts[0] : try RecordBatch.concatenate(parts, schema: schema)
    pendingCount -= cut.rowCount
    return cut
  }
}
