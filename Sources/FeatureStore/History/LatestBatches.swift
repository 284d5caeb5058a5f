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

  /// The winners that were not given out, ascending, as numbers of the rows that are read.
  private var winners: ArraySlice<Int64>
  private var firstRow: Int64 = 0
  private let files: TableScanBatches
  private var tail: ArraySlice<RecordBatch>
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
    let known = Set(try scan.schema().fields.map(\.name))
    columnNames = try Self.columns(request, group, known)

    // First who wins, by keys and times alone; then the columns wanted, of the files that have winners.
    let decisive = DecisiveColumns(group, known)
    scan.columns = decisive.names
    let expiry: NewestRows.Expiry? =
      request.leavesOutExpired
      ? decisive.expiry(group, at: store.moment(of: request.version, choice)) : nil
    var newest = try NewestRows(
      keyTypes: group.recordIdentifiers.map(\.type.dataType), expiry: expiry)
    let tasks = choice.snapshotID == nil ? [] : try scan.planFiles().tasks
    let totalBytes = tasks.reduce(0) { $0 + $1.dataFile.fileSizeInBytes }
    let first = try scan.batches(of: tasks)
    while let batch = try first.next() {
      try newest.consume(decisive.batch(batch.columns))
      progress(first.bytesRead, totalBytes)
    }
    for batch in tail { try newest.consume(decisive.batch(batch, of: group)) }
    recordCount = newest.rowCount
    let found = newest.finish()
    rowCount = found.rows.count
    deletedKeyCount = found.deletedKeyCount
    expiredKeyCount = found.expiredKeyCount

    let (kept, rows) = Self.filesWithWinners(tasks, first.rowCounts, found.rows)
    winners = rows[...]
    scan.columns = columnNames
    schema = Schema(try scan.schema().fields.map(\.columnarField))
    files = try scan.batches(of: kept)
  }

  /// The next batch, which has rows; nil at the end. After an error there are no more.
  public func next() throws(FeatureStoreError) -> RecordBatch? {
    do {
      while !winners.isEmpty {
        if let batch = try files.next() {
          if let rows = try takeWinners(of: batch) { return rows }
        } else if let batch = tail.popFirst() {
          let columns = try zip(columnNames, schema.fields).map { name, field in
            try Self.column(name, of: batch, field, group)
          }
          let narrow = RecordBatch(schema: schema, columns: columns, rowCount: batch.rowCount)
          if let rows = try takeWinners(of: narrow) { return rows }
        } else {
          throw FeatureStoreError(
            .corrupt, "data files have fewer rows than a moment ago: \(winners.count) are missing")
        }
      }
      return nil
    } catch { throw FeatureStoreError(error) }
  }

  private func takeWinners(of batch: RecordBatch) throws -> RecordBatch? {
    let end = firstRow + Int64(batch.rowCount)
    defer { firstRow = end }
    var indices: [Int] = []
    while let row = winners.first, row < end {
      indices.append(Int(row - firstRow))
      winners.removeFirst()
    }
    guard !indices.isEmpty else { return nil }
    return indices.count == batch.rowCount ? batch : try batch.take(indices)
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

  /// Files without a winner are not read again; the winners are numbered by what remains.
  private static func filesWithWinners(
    _ tasks: [FileScanTask], _ rowCounts: [Int64], _ winners: [Int64]
  ) -> (tasks: [FileScanTask], winners: [Int64]) {
    var (kept, rows): ([FileScanTask], [Int64]) = ([], [])
    rows.reserveCapacity(winners.count)
    var next = 0
    var (start, keptStart): (Int64, Int64) = (0, 0)
    for (task, count) in zip(tasks, rowCounts) {
      let firstOfFile = next
      while next < winners.count, winners[next] < start + count {
        rows.append(winners[next] - start + keptStart)
        next += 1
      }
      start += count
      if next > firstOfFile {
        kept.append(task)
        keptStart += count
      }
    }
    for row in winners[next...] { rows.append(row - start + keptStart) }
    return (kept, rows)
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
