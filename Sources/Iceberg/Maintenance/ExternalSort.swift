package import Columnar
import FileFormats
import Storage

/// Sorts more rows than memory holds: sorted runs go into files, and are merged.
///
/// Rows of equal keys keep the order in which they came. The files (Arrow IPC) lie in the table's folder, whose disk
/// has room for data, and have no name any more once they are open: the system takes their space back when they are
/// closed, also after a kill. Memory: about `memoryBytes` while rows are added, and as much while they are merged. Used by one
/// thread at a time.
package final class ExternalSort {
  /// Sorted rows in a file.
  private final class Run {
    let file: any File

    init(_ file: any File) { self.file = file }

    deinit {
      // Nothing is lost with what a file without a name did not say on closing.
      do { try file.close() } catch {}
    }
  }

  private let io: FileIO
  private let folder: String
  private let order: RowOrder
  private let memoryBytes: Int64
  /// Sorted batches, each with its keys as the last column.
  private var batches: [RecordBatch] = []
  private var heldBytes: Int64 = 0
  /// Runs by how often their rows were merged; those of higher levels came first.
  private var levels: [[Run]] = []
  /// With what all keys so far begin.
  private var sharedBytes: [UInt8]?
  private var rowCount: Int64 = 0
  private var rowBytes: Int64 = 0
  /// How many runs were written.
  package private(set) var runCount = 0

  init(_ table: Table, _ order: RowOrder, memoryBytes: Int64) {
    io = table.io
    folder = table.metadata.metadataFolder
    self.order = order
    self.memoryBytes = memoryBytes
  }

  /// Bytes of one batch of a run.
  private var stepBytes: Int64 { max(32 << 10, min(1 << 20, memoryBytes / 64)) }
  /// How many runs are merged at a time: each has a batch in memory, and one that was just used up.
  private var fanIn: Int { Int(max(2, min(128, memoryBytes / (2 * stepBytes)))) }

  /// - Throws: `invalidArgument` when the options name no order.
  package convenience init(
    _ table: Table, _ options: RewriteDataFilesOptions, memoryBytes: Int64
  ) throws(IcebergError) {
    guard let order = try RowOrder(options, table) else {
      throw IcebergError(.invalidArgument, "no order to sort by")
    }
    self.init(table, order, memoryBytes: memoryBytes)
  }

  package func add(_ batch: RecordBatch) throws(IcebergError) {
    // In pieces, since each is there three times for a moment: as it came, its keys, and sorted with them.
    let pieces = Int(clamping: batch.valueBytes / max(1, memoryBytes / 8)) + 1
    for piece in 0..<min(pieces, batch.rowCount) {
      let count = min(pieces, batch.rowCount)
      let rows = (batch.rowCount * piece / count)..<(batch.rowCount * (piece + 1) / count)
      try addPiece(batch.slice(rows))
    }
  }

  private func addPiece(_ batch: RecordBatch) throws(IcebergError) {
    let keys = try order.keys(of: batch)
    sharedBytes = keys.sharedBytes(with: sharedBytes)
    let schema = Schema(batch.schema.fields + [Field("", .binary, isNullable: false)])
    let keyed = RecordBatch(
      schema: schema, columns: batch.columns + [keys], rowCount: batch.rowCount)
    let sorted: RecordBatch
    do { sorted = try keyed.take(keys.orderByBytes()) } catch {
      throw IcebergError(.unsupported, "\(error)")
    }
    let bytes = sorted.valueBytes
    if heldBytes > 0, heldBytes + bytes > memoryBytes { try spill() }
    batches.append(sorted)
    heldBytes += bytes
    rowBytes += bytes
    rowCount += Int64(batch.rowCount)
  }

  /// Gives out all rows in their order, in batches of at most about a mebibyte. To be called once.
  package func finish(_ emit: (RecordBatch) throws(IcebergError) -> Void) throws(IcebergError) {
    var sources: [SortedMerge.Source] = []
    let runs = levels.reversed().flatMap { $0 }
    // Together with what runs are read with, what is held would be too much.
    if !runs.isEmpty, !batches.isEmpty {
      try spill()
      return try finish(emit)
    }
    if runs.count > fanIn {
      try mergeLevels()
      return try finish(emit)
    }
    for run in runs { sources.append(try source(run)) }
    for batch in batches { sources.append(.init([batch])) }
    batches = []
    levels = []
    var merge = try SortedMerge(sources, skipping: sharedBytes?.count ?? 0)
    sources = []
    var given: Int64 = 0
    while let batch = try merge.next(rows: stepRows) {
      given += Int64(batch.rowCount)
      try emit(
        RecordBatch(
          schema: Schema(batch.schema.fields.dropLast()), columns: Array(batch.columns.dropLast()),
          rowCount: batch.rowCount))
    }
    guard given == rowCount else {
      throw IcebergError(.inputOutput, "\(rowCount) rows went into a sort, \(given) came out")
    }
  }

  private var stepRows: Int {
    Int(max(1, min(16_384, stepBytes / max(1, rowBytes / max(1, rowCount)))))
  }

  private func source(_ run: Run) throws(IcebergError) -> SortedMerge.Source {
    do {
      return .init(try ArrowFileReader.open(run.file), owner: run)
    } catch { throw IcebergError(error) }
  }

  /// Writes what is held as a run.
  private func spill() throws(IcebergError) {
    let run = try write(batches.map { SortedMerge.Source([$0]) })
    batches = []
    heldBytes = 0
    try add(run, level: 0)
  }

  private func add(_ run: Run, level: Int) throws(IcebergError) {
    if levels.count == level { levels.append([]) }
    levels[level].append(run)
    guard levels[level].count == fanIn else { return }
    try merge(level)
  }

  private func merge(_ level: Int) throws(IcebergError) {
    var sources: [SortedMerge.Source] = []
    for run in levels[level] { sources.append(try source(run)) }
    let merged = try write(sources)
    levels[level] = []
    try add(merged, level: level + 1)
  }

  /// Makes one run of the lowest level that has several, and of one that is alone one of the level above.
  private func mergeLevels() throws(IcebergError) {
    guard let level = levels.firstIndex(where: { !$0.isEmpty }) else { return }
    if levels[level].count == 1, level + 1 < levels.count {
      let alone = levels[level]
      levels[level] = []
      levels[level + 1] += alone
    } else {
      try merge(level)
    }
  }

  private func write(_ sources: [SortedMerge.Source]) throws(IcebergError) -> Run {
    var merge = try SortedMerge(sources, skipping: sharedBytes?.count ?? 0)
    guard let schema = merge.schema else {
      throw IcebergError(.invalidArgument, "a run without rows")
    }
    let location = Location.join(folder, "sort-\(RandomIdentifier.uuid()).arrow")
    let file = try io.create(location)
    let run = Run(file)
    // From here on nobody finds it.
    try io.delete(location)
    do {
      let writer = try ArrowFileWriter(file: file, schema: schema)
      while let batch = try merge.next(rows: stepRows) { try writer.write(batch) }
      _ = try writer.finish()
    } catch { throw IcebergError(reading: error) }
    runCount += 1
    return run
  }
}

/// Sorted batches of several sources as one sorted sequence. The last column of each has the keys. Of equal keys those
/// of an earlier source come first.
struct SortedMerge {
  /// Batches that follow each other in order.
  struct Source {
    private var batches: [RecordBatch]
    private let stream: RecordBatchStream?
    /// What must live as long as the stream.
    private let owner: AnyObject?

    init(_ batches: [RecordBatch]) {
      self.batches = batches.reversed()
      stream = nil
      owner = nil
    }

    init(_ stream: RecordBatchStream, owner: AnyObject) {
      batches = []
      self.stream = stream
      self.owner = owner
    }

    mutating func next() throws(IcebergError) -> RecordBatch? {
      guard let stream else { return batches.popLast() }
      do {
        while let batch = try stream.next() {
          if batch.rowCount > 0 { return batch }
        }
        return nil
      } catch { throw IcebergError(error) }
    }
  }

  private struct Cursor {
    var source: Source
    var batch: RecordBatch
    var keys: Column
    var row = 0
    var prefix: UInt64
    let skipped: Int
    /// Which of the pieces of the output the rows from here on belong to; nil until one is taken.
    var piece: Int?

    init?(_ source: Source, skipping skipped: Int) throws(IcebergError) {
      var source = source
      guard let batch = try source.next(), let keys = batch.columns.last else { return nil }
      self.source = source
      self.batch = batch
      self.keys = keys
      self.skipped = skipped
      prefix = keys.bytePrefix(at: 0, skipping: skipped)
    }

    /// Goes on to the next row; false at the end.
    mutating func advance() throws(IcebergError) -> Bool {
      row += 1
      if row == batch.rowCount {
        guard let next = try source.next(), let keys = next.columns.last else { return false }
        batch = next
        self.keys = keys
        row = 0
        piece = nil
      }
      prefix = keys.bytePrefix(at: row, skipping: skipped)
      return true
    }
  }

  private var cursors: [Cursor] = []
  /// A heap of cursors, the one with the least row first.
  private var heap: [Int] = []
  private(set) var schema: Schema?

  /// - Parameter skipped: how many bytes at the start of all keys are the same.
  init(_ sources: [Source], skipping skipped: Int) throws(IcebergError) {
    for source in sources {
      if let cursor = try Cursor(source, skipping: skipped) { cursors.append(cursor) }
    }
    schema = cursors.first?.batch.schema
    heap = Array(cursors.indices)
    for place in stride(from: heap.count / 2 - 1, through: 0, by: -1) { siftDown(place) }
  }

  private func precedes(_ left: Int, _ right: Int) -> Bool {
    let (first, second) = (cursors[left].prefix, cursors[right].prefix)
    if first != second { return first < second }
    let order = cursors[left].keys.compareBytes(
      at: cursors[left].row, with: cursors[right].keys, at: cursors[right].row)
    return order == 0 ? left < right : order < 0
  }

  private mutating func siftDown(_ start: Int) {
    var place = start
    while true {
      var least = place
      for child in (2 * place + 1)...(2 * place + 2)
      where child < heap.count && precedes(heap[child], heap[least]) {
        least = child
      }
      guard least != place else { return }
      heap.swapAt(place, least)
      place = least
    }
  }

  /// The next rows, at most so many; nil at the end. What comes of one batch lies together in it, so batches are
  /// sliced, put behind one another, and the rows brought into their order.
  mutating func next(rows: Int) throws(IcebergError) -> RecordBatch? {
    guard let schema, !heap.isEmpty else { return nil }
    var pieces: [(batch: RecordBatch, range: Range<Int>)] = []
    var picks: [Int] = []
    picks.reserveCapacity(rows)
    for index in cursors.indices { cursors[index].piece = nil }
    while picks.count < rows, let least = heap.first {
      let row = cursors[least].row
      let piece: Int
      if let known = cursors[least].piece {
        piece = known
        pieces[piece].range = pieces[piece].range.lowerBound..<(row + 1)
      } else {
        piece = pieces.count
        cursors[least].piece = piece
        pieces.append((cursors[least].batch, row..<(row + 1)))
      }
      picks.append(piece)
      if try !cursors[least].advance() {
        heap[0] = heap[heap.count - 1]
        heap.removeLast()
      }
      if !heap.isEmpty { siftDown(0) }
    }
    do {
      let slices = pieces.map { $0.batch.slice($0.range) }
      let joined = try RecordBatch.concatenate(slices, schema: schema)
      var next: [Int] = []
      var end = 0
      for piece in pieces {
        next.append(end)
        end += piece.range.count
      }
      var positions: [Int] = []
      positions.reserveCapacity(picks.count)
      for piece in picks {
        positions.append(next[piece])
        next[piece] += 1
      }
      let isInOrder = positions.indices.allSatisfy { positions[$0] == $0 }
      return isInOrder ? joined : try joined.take(positions)
    } catch { throw IcebergError(.unsupported, "\(error)") }
  }
}
