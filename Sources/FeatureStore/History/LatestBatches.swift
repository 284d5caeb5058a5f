public import Columnar
internal import FeatureModel
internal import Iceberg
internal import PointInTime
internal import Storage

/// Which rows of a group `FeatureStore.latest` gives.
public struct LatestRequest: Sendable {
  public var group: String
  /// Which version of the table; nil for the current one.
  public var version: TrainingSetRequest.TableVersion?
  /// Columns of the offline table, in this order; nil for identifiers, event time, the features that the version
  /// has, write time and LSN.
  public var columns: [String]?
  /// Leave out keys whose newest record has expired, by the group's ttl or by itself, at the version's moment.
  public var leavesOutExpired = false
  /// Take what the log has and the table lacks, too; for the current version only.
  public var includesUnflushed = false

  public init(group: String) { self.group = group }
}

/// The latest record of every key of an offline table, batch by batch: no key twice, none that was deleted.
///
/// The order is that of the files. Used by one thread at a time; `FeatureStore.latest` makes it.
public final class LatestBatches {
  public let schema: Schema
  /// Rows that there are in all.
  public let rowCount: Int
  /// Keys whose newest record is a tombstone.
  public let deletedKeyCount: Int
  /// Keys that were left out because their newest record has expired.
  public let expiredKeyCount: Int
  /// The records that were looked at.
  public let recordCount: Int64
  /// The snapshot that was read; nil for a table without one.
  public let snapshotID: Int64?
  /// How many of the records came from the log.
  public let unflushedRecordCount: Int

  private let files: ReadAhead<UnitRows>
  /// What the log has beyond the table, and which of its rows won, ascending.
  private var tail: ArraySlice<RecordBatch>
  private var tailWinners: ArraySlice<Int64>
  private var firstTailRow: Int64
  private let group: FeatureGroup
  private let columnNames: [String]
  /// Keeps the snapshot from expiry.
  private let tables: TrainingSetTables

  init(
    _ store: FeatureStore, _ request: LatestRequest, progress: (Int64, Int64) -> Void
  ) throws {
    tables = try TrainingSetTables(
      store, asOf: request.version, includesUnflushed: request.includesUnflushed)
    let choice = try tables.choice(store.group(request.group))
    group = try choice.unflushed?.group ?? store.group(request.group)
    tail = (choice.unflushed?.batches ?? [])[...]
    unflushedRecordCount = choice.unflushed?.rowCount ?? 0
    snapshotID = choice.snapshotID
    var scan = choice.table.newScan()
    scan.version = choice.version ?? .current
    scan.concurrentFileCount = Processors.count
    let known = Set(try scan.schema().fields.map(\.name))
    columnNames = try Self.columns(request, group, known)

    // First who wins, by keys and times alone; then the columns wanted, of the winners.
    let decisive = DecisiveColumns(group, known)
    scan.columns = decisive.names
    let expiry: NewestRows.Expiry? =
      request.leavesOutExpired
      ? decisive.expiry(group, at: store.moment(of: request.version, choice)) : nil
    var newest = try NewestRows(
      keyTypes: group.recordIdentifiers.map(\.type.dataType), expiry: expiry)
    var reading = scan
    reading.columns = columnNames
    schema = Schema(try reading.schema().fields.map(\.columnarField))
    let tasks = choice.snapshotID == nil ? [] : try scan.planFiles().tasks
    let units = scan.units(tasks, splitsRowGroups: schema.fields.allSatisfy { !$0.type.isNested })
    let totalBytes = units.reduce(0) { $0 + $1.sizeBytes }
    // Where the rows of each unit end.
    var ends: [Int64] = []
    var doneBytes: Int64 = 0
    let first = UnitRows.of(scan, units.map { UnitRows.Item(unit: $0) })
    while let event = try first.next() {
      switch event {
      case .batch(let batch): try newest.consume(decisive.batch(batch.columns))
      case .end(let count):
        doneBytes += units[ends.count].sizeBytes
        ends.append((ends.last ?? 0) + Int64(count))
        progress(doneBytes, totalBytes)
      }
    }
    for batch in tail { try newest.consume(decisive.batch(batch, of: group)) }
    recordCount = newest.rowCount
    let found = newest.finish()
    rowCount = found.rows.count
    deletedKeyCount = found.deletedKeyCount
    expiredKeyCount = found.expiredKeyCount

    // Units without a winner are not read again.
    var rest = found.rows[...]
    var items: [UnitRows.Item] = []
    var start: Int64 = 0
    for (unit, end) in zip(units, ends) {
      let own = rest.prefix(rest.partitionPoint { $0 < end })
      if !own.isEmpty { items.append(UnitRows.Item(unit: unit, rows: own, firstRow: start)) }
      rest = rest.dropFirst(own.count)
      start = end
    }
    (tailWinners, firstTailRow) = (rest, start)
    files = UnitRows.of(reading, items)
  }

  /// The next batch, which has rows; nil at the end. After an error there are no more.
  public func next() throws(FeatureStoreError) -> RecordBatch? {
    do {
      while let event = try files.next() {
        if case .batch(let batch) = event { return batch }
      }
      while let batch = tail.popFirst() {
        let columns = try zip(columnNames, schema.fields).map { name, field in
          try Self.column(name, of: batch, field, group)
        }
        let narrow = RecordBatch(schema: schema, columns: columns, rowCount: batch.rowCount)
        let rows = try narrow.taking(&tailWinners, from: firstTailRow)
        firstTailRow += Int64(batch.rowCount)
        if let rows { return rows }
      }
      return nil
    } catch { throw FeatureStoreError(error) }
  }

  // MARK: What is read

  private static func columns(
    _ request: LatestRequest, _ group: FeatureGroup, _ known: Set<String>
  ) throws(FeatureStoreError) -> [String] {
    guard let names = request.columns else {
      return group.recordIdentifiers.map(\.name) + [group.eventTimeName]
        + group.features.map(\.name).filter { known.contains($0) }
        + [OfflineTables.writeTime, OfflineTables.lsn]
    }
    guard !names.isEmpty, Set(names).count == names.count else {
      throw FeatureStoreError(.invalidArgument, "columns are named once each, and at least one is")
    }
    for name in names where !known.contains(name) {
      throw Registry.unknown("column of '\(request.group)'", name, among: known.sorted())
    }
    return names
  }

  /// A column of the tail under the scan's own field.
  private static func column(
    _ name: String, of batch: RecordBatch, _ field: Field, _ group: FeatureGroup
  ) throws -> Column {
    let column = try batch.column(named: name, of: group)
    guard column.type == field.type else {
      throw FeatureStoreError(
        .conflict, "the column '\(name)' is \(field.type) in the table, \(column.type) in the log")
    }
    return column
  }
}
