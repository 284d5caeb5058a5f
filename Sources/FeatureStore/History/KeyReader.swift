internal import Columnar
internal import FeatureModel
internal import Iceberg
internal import Storage

/// Reads the records of one key from a group's offline table and from the log's unflushed tail.
///
/// Only manifests, files, row groups and pages are read that may have the key: by bounds, and by bloom filters
/// where the files have them. Files come newest first, so that whoever wants the last few stops early.
struct KeyReader {
  let group: FeatureGroup
  private let choice: TrainingSetTables.Choice
  /// Keeps the snapshot from expiry.
  private let tables: TrainingSetTables
  /// As `KeyCodec` encodes it.
  let key: [UInt8]

  init(
    _ store: FeatureStore, _ groupName: String, key: [UInt8],
    version: TrainingSetRequest.TableVersion? = nil, includesUnflushed: Bool
  ) throws {
    self.key = key
    tables = try TrainingSetTables(
      store, asOf: version, includesUnflushed: includesUnflushed && version == nil, key: key)
    choice = try tables.choice(store.group(groupName))
    group = try choice.unflushed?.group ?? store.group(groupName)
  }

  /// - Parameter tables: says which version, and whether with what is not flushed.
  init(
    _ store: FeatureStore, _ group: FeatureGroup, key: [UInt8], tables: TrainingSetTables
  ) throws {
    self.key = key
    self.tables = tables
    choice = try tables.choice(group)
    self.group = try choice.unflushed?.group ?? store.group(group.name)
  }

  /// Shows the key's records of these event times, in no particular order, with those of the group's features.
  ///
  /// - Parameter mayNeed: whether a record as old as this, or older, is still wanted; asked before a file is read.
  func read(
    _ eventTimes: ClosedRange<Int64> = .min ... .max, mayNeed: (Int64) -> Bool = { _ in true },
    _ body: (HistoryRecord) throws -> Void
  ) throws {
    for batch in choice.unflushed?.batches ?? [] {
      try show(batch, of: nil, eventTimes, body)
    }
    guard choice.snapshotID != nil, let version = choice.version else { return }
    var scan = choice.table.newScan()
    scan.version = version
    let known = Set(try scan.schema().fields.map(\.name))
    scan.columns =
      [group.eventTimeName, OfflineTables.lsn, OfflineTables.isDeleted, OfflineTables.writeTime]
      + (group.hasExpiryColumn && known.contains(OfflineTables.expiresAt)
        ? [OfflineTables.expiresAt] : [])
      + group.features.map(\.name).filter { known.contains($0) }
    scan.filter = try filter(eventTimes)
    let timeID = try choice.table.newScan().schema().field(named: group.eventTimeName)?.id
    let files = try scan.planFiles().tasks.map { task in
      (task, newest: try Self.upperBound(task.dataFile, timeID))
    }
    for (task, newest) in files.sorted(by: { $0.newest > $1.newest }) where mayNeed(newest) {
      let batches = try scan.batches(task)
      while let batch = try batches.next() { try show(batch, of: task, eventTimes, body) }
    }
  }

  private func filter(_ eventTimes: ClosedRange<Int64>) throws -> FilterExpression {
    var conditions: [FilterExpression] = []
    for (identifier, value) in zip(group.recordIdentifiers, try KeyCodec(group).values(key)) {
      guard let literal = Literal(value) else {
        throw FeatureStoreError(
          .invalidArgument, "'\(identifier.name)' of type \(identifier.type) cannot be looked for")
      }
      conditions.append(.comparison(identifier.name, .equal, literal))
    }
    if eventTimes.lowerBound > .min {
      conditions.append(
        .comparison(group.eventTimeName, .greaterOrEqual, .timestamptz(eventTimes.lowerBound)))
    }
    // In any case: of the columns that it looks at the plan has the bounds, by which files are sorted.
    conditions.append(
      .comparison(group.eventTimeName, .lessOrEqual, .timestamptz(eventTimes.upperBound)))
    return .and(conditions)
  }

  /// The newest event time that a file may have; the greatest of all when it does not say.
  private static func upperBound(_ file: DataFile, _ id: Int32?) throws(IcebergError) -> Int64 {
    guard let id, let bytes = file.upperBounds[id],
      case .timestamptz(let time) = try Literal(boundBytes: bytes, type: .timestamptz)
    else { return .max }
    return time
  }

  /// Names and ids of list elements do not matter.
  static func hasLayout(_ type: DataType, of other: DataType) -> Bool {
    if case .list(let element) = type, case .list(let wanted) = other {
      return element.type == wanted.type
    }
    return type == other
  }

  private func show(
    _ batch: RecordBatch, of task: FileScanTask?, _ eventTimes: ClosedRange<Int64>,
    _ body: (HistoryRecord) throws -> Void
  ) throws {
    let times = try batch.column(named: group.eventTimeName, of: group)
    let lsns = try batch.column(named: OfflineTables.lsn, of: group)
    let deletions = try batch.column(named: OfflineTables.isDeleted, of: group)
    let writes = try batch.column(named: OfflineTables.writeTime, of: group)
    let expiries = batch.column(named: OfflineTables.expiresAt)
    let features = try group.features.map { feature in
      let column =
        batch.column(named: feature.name) ?? .nulls(feature.type.dataType, count: batch.rowCount)
      guard Self.hasLayout(column.type, of: feature.type.dataType) else {
        throw FeatureStoreError(
          .conflict,
          "the column '\(feature.name)' of '\(group.name)' is \(column.type) in its table")
      }
      return column
    }
    let rows = RowCodec(group).encode(features, rowCount: batch.rowCount)
    // The table's rows were filtered; the tail may be that of all keys.
    let keys =
      task == nil
      ? try KeyCodec(group).encode(
        group.recordIdentifiers.map { try batch.column(named: $0.name, of: group) },
        rowCount: batch.rowCount) : nil
    let reader = RowReader(group)
    func time(_ column: Column?, _ row: Int) -> Int64? {
      column.flatMap { $0.isNull(row) ? nil : $0.values(as: Int64.self)[row] }
    }
    for row in 0..<batch.rowCount {
      guard let eventTime = time(times, row), eventTimes.contains(eventTime) else { continue }
      if let keys, keys.array(row) != key { continue }
      try body(
        HistoryRecord(
          eventTime: eventTime, writeTime: time(writes, row), lsn: time(lsns, row) ?? .min,
          isDeleted: !deletions.isNull(row) && deletions.boolean(at: row),
          expiresAt: group.hasExpiryColumn ? time(expiries, row) : nil,
          values: try group.features.indices.map { try reader.value($0, in: rows[row]) },
          file: task?.dataFile.path, snapshotID: task?.snapshotID))
    }
  }
}

extension Literal {
  /// The value of a record identifier; nil for what cannot be one.
  init?(_ value: FeatureValue) {
    switch value {
    case .boolean(let value): self = .boolean(value)
    case .int(let value): self = .int(value)
    case .long(let value): self = .long(value)
    case .string(let value): self = .string(value)
    case .binary(let value): self = .binary(value)
    case .date(let value): self = .date(value)
    case .timestamp(let value): self = .timestamptz(value)
    case .uuid(let bytes): self = .uuid(bytes.reduce(0) { $0 << 8 | UInt128($1) })
    case .null, .float, .double, .decimal, .list: return nil
    }
  }
}
