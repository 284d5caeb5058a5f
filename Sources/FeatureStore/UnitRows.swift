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
