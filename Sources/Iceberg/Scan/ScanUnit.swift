public import Columnar
import FileFormats

/// What one thread decodes at a time: a file, some of its row groups, or small files that together make a batch.
public struct ScanUnit: Sendable {
  /// In the order in which their rows come.
  public let tasks: [FileScanTask]
  /// Small files, to be read whole and coalesced where that is possible.
  let areSmall: Bool
  /// Which part of the one file.
  let part: FileScan.Part

  /// Bytes of the files, or of the part of the file.
  public var sizeBytes: Int64 {
    tasks.reduce(0) { $0 + $1.dataFile.fileSizeInBytes } / Int64(part.count)
  }
}

extension TableScan {
  /// Up to this size a file is read at once.
  private static let smallFileBytes: Int64 = 1 << 20
  /// What small files make one batch.
  private static let batchBytes: Int64 = 4 << 20
  private static let batchRows: Int64 = 32_768

  /// Cuts files into units. All rows of a file, or of a part of it, are in one unit, in their order.
  ///
  /// - Parameters:
  ///   - splitsFiles: whether a large file is cut into parts of at least 1 MiB, between row groups.
  ///   - splitsRowGroups: whether large row groups of a file that has fewer of them than there are threads are cut as
  ///     well. That is worth it where no column is nested: of these, each part decodes the whole row group.
  public func units(
    _ tasks: [FileScanTask], splitsFiles: Bool = true, splitsRowGroups: Bool = false
  ) -> [ScanUnit] {
    var units: [ScanUnit] = []
    var cuts: [Cut] = []
    var open: [FileScanTask] = []
    var (bytes, rows): (Int64, Int64) = (0, 0)
    func close() {
      if !open.isEmpty { units.append(ScanUnit(tasks: open, areSmall: true, part: .whole)) }
      open = []
      (bytes, rows) = (0, 0)
    }
    for task in tasks {
      let file = task.dataFile
      guard task.deletes.isEmpty, file.format == .parquet, file.keyMetadata == nil,
        (0...Self.smallFileBytes).contains(file.fileSizeInBytes), file.recordCount <= Self.batchRows
      else {
        close()
        let parts = splitsFiles ? partCount(file, splitsRowGroups: splitsRowGroups) : 1
        if splitsRowGroups { cuts.append(Cut(first: units.count, parts: parts)) }
        units += Self.units(of: task, parts: parts)
        continue
      }
      if bytes + file.fileSizeInBytes > Self.batchBytes
        || rows + file.recordCount > Self.batchRows
      {
        close()
      }
      open.append(task)
      bytes += file.fileSizeInBytes
      rows += file.recordCount
    }
    close()
    return evenedOut(units, cuts)
  }

  /// Which units are the parts of one file.
  private struct Cut {
    var first: Int
    var parts: Int
  }

  /// The last of few units in smaller parts, where threads would else wait for the one that has another unit to do.
  private func evenedOut(_ units: [ScanUnit], _ cuts: [Cut]) -> [ScanUnit] {
    let threads = concurrentFileCount
    guard threads > 1, units.count < 8 * threads else { return units }
    var units = units
    var left = units.count % threads
    for cut in cuts.reversed() where left > 0 {
      let task = units[cut.first].tasks[0]
      let most = min(
        task.dataFile.recordCount / Self.leastRows, task.dataFile.fileSizeInBytes >> 20)
      let parts = cut.parts * min(threads, Int(clamping: most) / cut.parts)
      if parts > cut.parts {
        // All of a file's units are made anew: parts of one size are what has every row once.
        units.replaceSubrange(
          cut.first..<(cut.first + cut.parts), with: Self.units(of: task, parts: parts))
      }
      left -= cut.parts
    }
    return units
  }

  /// A file in so many parts.
  package static func units(of task: FileScanTask, parts: Int) -> [ScanUnit] {
    (0..<parts).map { index in
      ScanUnit(
        tasks: [task], areSmall: false, part: FileScan.Part(index: index, count: parts))
    }
  }

  /// A part of a row group has at least so many rows: several pages of a column, since one that reaches into two parts
  /// is decoded in both.
  private static let partRows: Int64 = 1 << 18
  /// The same where it keeps threads from waiting.
  private static let leastRows: Int64 = 1 << 16

  private func partCount(_ file: DataFile, splitsRowGroups: Bool) -> Int {
    let rowGroups = max(1, file.splitOffsets.count)
    var count = rowGroups
    if splitsRowGroups, rowGroups < concurrentFileCount {
      let most = file.recordCount / Int64(rowGroups) / Self.partRows
      let wanted = (concurrentFileCount + rowGroups - 1) / rowGroups
      count *= max(1, min(wanted, Int(clamping: most)))
    }
    return max(1, min(count, Int(clamping: file.fileSizeInBytes >> 20)))
  }
}

/// Reads units of a scan, one after the other; for one thread. Memory is that of a batch, or of small files that
/// make one.
public final class ScanUnitReader {
  /// The deferred columns of a batch.
  public typealias Deferred = () throws -> RecordBatch

  private let scan: TableScan
  private let deferredColumns: [String]
  private var coalescer: CoalescingParquetReader?
  /// Fields that are null in files that were written before they were added.
  private var plainNulls: Set<Int32> = []
  /// How many rows were left out by the filter so far, for their row group or page can have none that match.
  public private(set) var skippedRowCount: Int64 = 0

  /// - Parameter deferredColumns: columns that may be asked for beside those of the scan, where a file need not
  ///   be opened a second time for them.
  public init(_ scan: TableScan, deferredColumns: [String] = []) {
    self.scan = scan
    self.deferredColumns = deferredColumns
  }

  /// Gives the rows to `body`, batch by batch.
  ///
  /// - Returns: how many rows of each file there were in the unit.
  @discardableResult
  public func read(
    _ unit: ScanUnit, _ body: (RecordBatch) throws -> Void
  ) throws -> [(task: FileScanTask, rowCount: Int64)] {
    try read(unit) { batch, _ in try body(batch) }
  }

  /// Gives some of the rows to `body`, batch by batch. Of flat columns of large files they alone are decoded, and pages
  /// without any are not read, where the page index tells.
  ///
  /// - Parameters:
  ///   - rows: ascending numbers of rows, as `read(_:_:)` gives them.
  ///   - firstRow: by which number they call the unit's first row.
  /// - Throws: `invalidMetadata` when the unit ends before them.
  public func read(
    _ unit: ScanUnit, rows: ArraySlice<Int64>, from firstRow: Int64 = 0,
    _ body: (RecordBatch) throws -> Void
  ) throws {
    var rest = rows
    var first = firstRow
    func take(_ batch: RecordBatch) throws {
      if let taken = try batch.taking(&rest, from: first) { try body(taken) }
      first += Int64(batch.rowCount)
    }
    if unit.areSmall {
      try read(unit) { try take($0) }
    } else {
      let file = try FileScan(
        unit.tasks[0], scan, part: unit.part, rows: rows.map { $0 - firstRow })
      while let batch = try file.next() {
        guard file.hasChosenRows else {
          try take(batch)
          continue
        }
        rest = rest.dropFirst(batch.rowCount)
        try body(batch)
      }
    }
    guard rest.isEmpty else {
      throw IcebergError(.invalidMetadata, "the file has fewer rows than a moment ago")
        .adding("file", unit.tasks[0].dataFile.path)
    }
  }

  /// Gives the rows to `body`, batch by batch, with what decodes the deferred columns of the same rows. That is
  /// nil where these are left to another reader, and to be called once at most, in `body`.
  ///
  /// - Returns: how many rows of each file there were in the unit.
  @discardableResult
  public func read(
    _ unit: ScanUnit, _ body: (RecordBatch, Deferred?) throws -> Void
  ) throws -> [(task: FileScanTask, rowCount: Int64)] {
    guard unit.areSmall, let reader = try openCoalescer() else {
      var counts: [(task: FileScanTask, rowCount: Int64)] = []
      for task in unit.tasks {
        counts.append((task, try readRows(task, unit.part, isPruned: !unit.areSmall, body)))
      }
      return counts
    }
    // Of files that could not be coalesced.
    var counts: [String: Int64] = [:]
    for task in unit.tasks where try !add(task, to: reader) {
      // The file may only differ from those before it, whose rows come first in any case.
      if reader.rowCount > 0 {
        try give(reader, body)
        if try add(task, to: reader) { continue }
      }
      counts[task.dataFile.path] = try readRows(task, .whole, isPruned: false, body)
    }
    if reader.rowCount > 0 { try give(reader, body) }
    return unit.tasks.map { ($0, counts[$0.dataFile.path] ?? $0.dataFile.recordCount) }
  }

  /// nil where the columns, or a filter of rows, do not allow for it.
  private func openCoalescer() throws(IcebergError) -> CoalescingParquetReader? {
    if let coalescer { return coalescer }
    let fields = try scan.schema().fields
    guard scan.filter == .alwaysTrue || !scan.appliesResidual, Self.areCoalesced(fields) else {
      return nil
    }
    var others = scan
    others.columns = deferredColumns
    let all = try others.schema().fields
    let deferred = Self.areCoalesced(all) ? all : []
    for field in fields + deferred
    where !field.isRequired && field.initialDefault == nil {
      plainNulls.insert(field.id)
    }
    do {
      coalescer = try CoalescingParquetReader(
        schema: Schema(fields.map(\.columnarField)),
        deferred: Schema(deferred.map(\.columnarField)),
        names: NameMapping.names(scan.table.properties), options: scan.readerOptions)
    } catch { throw IcebergError(error) }
    return coalescer
  }

  private static func areCoalesced(_ fields: [NestedField]) -> Bool {
    CoalescingParquetReader.reads(Schema(fields.map(\.columnarField)))
      && fields.allSatisfy { MetadataColumn(rawValue: $0.id) == nil }
  }

  private func add(
    _ task: FileScanTask, to reader: CoalescingParquetReader
  ) throws(IcebergError) -> Bool {
    let file = task.dataFile
    let constants = FileScan.constants(file, scan.table.metadata.partitionSpec(id: file.specID))
    do throws(IcebergError) {
      let bytes = try scan.table.io.readAll(file.path)
      do {
        return try reader.add(
          bytes, path: file.path, rowCount: file.recordCount,
          metadata: FileNameMark.entry(file.path),
          mayLack: {
            plainNulls.contains($0) && constants[$0] == nil && file.valueCounts[$0] == nil
          })
      } catch { throw IcebergError(error) }
    } catch { throw error.adding("file", file.path) }
  }

  private func give(
    _ reader: CoalescingParquetReader, _ body: (RecordBatch, Deferred?) throws -> Void
  ) throws {
    let batch = try Self.take(reader.take)
    try body(batch, reader.hasDeferred ? { try Self.take(reader.takeDeferred) } : nil)
  }

  private static func take(
    _ rows: () throws(FileFormatError) -> RecordBatch
  ) throws(IcebergError) -> RecordBatch {
    do { return try rows() } catch { throw IcebergError(error) }
  }

  /// - Parameter isPruned: not for small files: those that are coalesced are read as a whole, and which ones are depends
  ///   on the columns, while the numbers of rows must not.
  private func readRows(
    _ task: FileScanTask, _ part: FileScan.Part, isPruned: Bool,
    _ body: (RecordBatch, Deferred?) throws -> Void
  ) throws -> Int64 {
    let rows = try FileScan(task, scan, part: part, isPruned: isPruned)
    skippedRowCount += rows.skippedRowCount
    var count: Int64 = 0
    while let batch = try rows.next() {
      count += Int64(batch.rowCount)
      try body(batch, nil)
    }
    return count
  }
}

extension RecordBatch {
  /// Those of its rows that are next among ascending numbers, which are taken out of these; nil when there are none.
  ///
  /// - Parameter firstRow: the number of the batch's first row.
  package func taking(
    _ rows: inout ArraySlice<Int64>, from firstRow: Int64
  ) throws(ColumnSizeError) -> RecordBatch? {
    var indices: [Int] = []
    while let row = rows.first, row < firstRow + Int64(rowCount) {
      indices.append(Int(row - firstRow))
      rows.removeFirst()
    }
    guard !indices.isEmpty else { return nil }
    return indices.count == rowCount ? self : try take(indices)
  }
}
