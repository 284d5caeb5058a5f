internal import Columnar
internal import Iceberg
internal import Storage

/// Reads the rows of units of a scan, all of them or some, in threads of its own.
final class UnitRows: ReadAheadWorker {
  enum Event: Sendable {
    case batch(RecordBatch)
    /// All rows of a unit were in the batches before: so many.
    case end(rowCount: Int)
  }

  /// What is read of a unit.
  struct Item: Sendable {
    var unit: ScanUnit
    /// Ascending; nil for all.
    var rows: ArraySlice<Int64>?
    /// By which number `rows` calls the unit's first row.
    var firstRow: Int64 = 0
  }

  private let reader: ScanUnitReader
  private let items: [Item]

  private init(_ scan: TableScan, _ items: [Item]) {
    reader = ScanUnitReader(scan)
    self.items = items
  }

  /// In the order of the items. Memory: some batches for each thread.
  static func of(_ scan: TableScan, _ items: [Item]) -> ReadAhead<UnitRows> {
    ReadAhead(itemCount: items.count, threadCount: scan.concurrentFileCount, queuedEvents: 8) {
      UnitRows(scan, items)
    }
  }

  func work(_ index: Int, _ put: (Event) throws -> Void) throws {
    let item = items[index]
    guard let rows = item.rows else {
      var count = 0
      try reader.read(item.unit) { batch in
        count += batch.rowCount
        try put(.batch(batch))
      }
      return try put(.end(rowCount: count))
    }
    var parts: [RecordBatch] = []
    var count = 0
    func give() throws {
      guard let first = parts.first else { return }
      try put(
        .batch(
          parts.count == 1 ? first : try RecordBatch.concatenate(parts, schema: first.schema)))
      (parts, count) = ([], 0)
    }
    try reader.read(item.unit, rows: rows, from: item.firstRow) { batch in
      parts.append(batch)
      count += batch.rowCount
      // Few rows of many batches are as good as one batch to whoever encodes them.
      if count >= 16_384 { try give() }
    }
    try give()
    try put(.end(rowCount: rows.count))
  }
}

extension ScanUnitReader {
  /// Some rows of a unit, batch by batch. Throws `.corrupt` when the unit ends before them.
  ///
  /// - Parameters:
  ///   - rows: ascending.
  ///   - firstRow: by which number they call the unit's first row.
  func read<Number: FixedWidthInteger>(
    _ unit: ScanUnit, rows: ArraySlice<Number>, from firstRow: Number = 0,
    _ body: (RecordBatch) throws -> Void
  ) throws {
    var rest = rows
    var first = Int(firstRow)
    try read(unit) { batch in
      if let taken = try batch.taking(&rest, from: first) { try body(taken) }
      first += batch.rowCount
    }
    guard rest.isEmpty else {
      throw FeatureStoreError(
        .corrupt, "'\(unit.tasks[0].dataFile.path)' has fewer rows than a moment ago")
    }
  }
}

extension RecordBatch {
  /// Those of its rows that are next among ascending numbers, which are taken out of these; nil when there are none.
  ///
  /// - Parameter firstRow: the number of the batch's first row.
  func taking<Number: FixedWidthInteger>(
    _ rows: inout ArraySlice<Number>, from firstRow: Int
  ) throws(ColumnSizeError) -> RecordBatch? {
    var indices: [Int] = []
    while let row = rows.first, Int(row) < firstRow + rowCount {
      indices.append(Int(row) - firstRow)
      rows.removeFirst()
    }
    guard !indices.isEmpty else { return nil }
    return indices.count == rowCount ? self : try take(indices)
  }
}
