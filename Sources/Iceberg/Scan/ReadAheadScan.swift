import Columnar
import FileFormats
import Storage

/// The rows of some files of a plan, in the order of the files, decoded ahead by several threads.
///
/// Each thread decodes a unit at a time. `next` gives what comes of the units in their order. Memory: the queued
/// batches, and one, of each thread. `next` and `cancel` are for one thread.
final class ReadAheadScan {
  enum Event: Sendable {
    case batch(RecordBatch)
    /// All rows of these files were in the batches before.
    /// Of a file that was split, each part says so of its own rows.
    case end([(task: FileScanTask, rowCount: Int64)])
  }

  private let rows: ReadAhead<UnitWorker>

  /// - Parameters:
  ///   - scan: says which columns; its own plan is not looked at.
  ///   - splitsFiles: whether the row groups of a large file are decoded by several threads, too.
  ///   - queuedBatches: how many of a unit may wait for those of the units before. Two threads never wait for each
  ///     other where it is half of what a unit has.
  init(
    _ scan: TableScan, _ tasks: [FileScanTask], threadCount: Int, splitsFiles: Bool = false,
    queuedBatches: Int = 2
  ) throws(IcebergError) {
    var scan = scan
    scan.concurrentFileCount = max(scan.concurrentFileCount, threadCount)
    let shared = scan
    let units = scan.units(tasks, splitsFiles: splitsFiles)
    // The batches, and what says that they were the last.
    rows = ReadAhead(
      itemCount: units.count, threadCount: threadCount, queuedEvents: queuedBatches + 1
    ) { UnitWorker(shared, units) }
  }

  /// nil after the last file.
  func next() throws(IcebergError) -> Event? { try rows.nextOfTable() }

  /// Ends the threads, and waits for them.
  func cancel() { rows.cancel() }
}

/// Decodes units, one after the other.
private final class UnitWorker: ReadAheadWorker {
  private let reader: ScanUnitReader
  private let units: [ScanUnit]

  init(_ scan: TableScan, _ units: [ScanUnit]) {
    reader = ScanUnitReader(scan)
    self.units = units
  }

  func work(_ item: Int, _ put: (ReadAheadScan.Event) throws -> Void) throws {
    let unit = units[item]
    let counts = try reader.read(unit) { try put(.batch($0)) }
    try put(.end(counts))
  }
}

extension ReadAhead {
  /// `next`, with the errors of this library.
  func nextOfTable() throws(IcebergError) -> Worker.Event? {
    do {
      return try next()
    } catch let error as IcebergError {
      throw error
    } catch let error as StorageError {
      throw IcebergError(error)
    } catch { throw IcebergError(.inputOutput, "\(error)") }
  }
}
