import Storage

/// The files of a scan one by one, newest manifests first, while their manifests are read.
///
/// Large tables' manifests are decoded by several threads. Memory: a few manifests for each thread, compressed,
/// and some hundred files of each, however many files the table has. Used by one thread at a time; the threads end
/// with the last file, with `cancel`, or with the stream.
public final class ScanTaskStream {
  /// nil for a table without any.
  public let snapshot: Snapshot?
  /// Manifests that are read, or will be.
  public let scannedManifestCount: Int
  /// Manifests that are not read, because no file of them may match.
  public let skippedManifestCount: Int
  /// Files that were left out so far.
  public private(set) var skippedFileCount = 0
  private let chunks: Chunks
  /// What was taken over and not given out, the next one last.
  private var taken: [FileScanTask] = []

  private enum Chunks {
    case none
    case here(ManifestTasks, count: Int)
    case ahead(ReadAhead<ManifestTasksWorker>)
  }

  /// What several threads begin to be worth starting for.
  private static let manyBytes: Int64 = 1 << 20
  private var nextManifest = 0
  private var current: ManifestTasks.Cursor?

  init(_ scan: TableScan, threadCount: Int) throws(IcebergError) {
    snapshot = try scan.snapshot()
    guard let snapshot else {
      (scannedManifestCount, skippedManifestCount, chunks) = (0, 0, .none)
      return
    }
    let (tasks, skipped) = try ManifestTasks.plan(scan, snapshot)
    skippedManifestCount = skipped
    let count = tasks.manifests.count
    scannedManifestCount = count
    let bytes = tasks.manifests.reduce(into: Int64(0)) { sum, manifest in
      sum = min(sum, Int64(1) << 40) + min(max(0, manifest.length), 1 << 40)
    }
    if threadCount > 1, count > 1, bytes >= ScanTaskStream.manyBytes {
      chunks = .ahead(
        ReadAhead(itemCount: count, threadCount: threadCount, queuedEvents: 2) {
          ManifestTasksWorker(tasks)
        })
    } else {
      chunks = .here(tasks, count: count)
    }
  }

  /// The next file that may have matching rows; nil at the end. After an error there are no more.
  public func next() throws(IcebergError) -> FileScanTask? {
    while taken.isEmpty {
      guard let chunk = try nextChunk() else { return nil }
      taken = chunk.reversed()
    }
    return taken.removeLast()
  }

  /// Gives up the rest, and waits for the threads.
  public func cancel() {
    taken = []
    if case .ahead(let chunks) = chunks { chunks.cancel() }
    if case .here(_, let count) = chunks { nextManifest = count }
    current = nil
  }

  /// Some files; nil at the end.
  func nextChunk() throws(IcebergError) -> [FileScanTask]? {
    let chunk: ManifestTasks.Chunk?
    switch chunks {
    case .none: return nil
    case .ahead(let chunks): chunk = try chunks.nextOfTable()
    case .here(let tasks, let count): chunk = try next(tasks, count)
    }
    guard let chunk else { return nil }
    skippedFileCount += chunk.skippedFileCount
    return chunk.tasks
  }

  private func next(
    _ tasks: ManifestTasks, _ count: Int
  ) throws(IcebergError) -> ManifestTasks.Chunk? {
    while true {
      if let chunk = try current?.next() { return chunk }
      guard nextManifest < count else { return nil }
      nextManifest += 1
      current = try tasks.cursor(nextManifest - 1)
    }
  }
}

/// Finds the files of a scan in one manifest after the other.
struct ManifestTasks: Sendable {
  struct Chunk: Sendable {
    var tasks: [FileScanTask] = []
    var skippedFileCount = 0
  }

  /// Those that have to be read.
  let manifests: [ManifestFile]
  private let store: ManifestStore
  private let metadata: TableMetadata
  private let expression: BoundExpression
  private let filters: [Int32: PartitionFilter]
  private let deletes: DeleteFileIndex
  private let statistics: ManifestReader.Statistics
  fileprivate let hasFilter: Bool

  /// Reads the manifest list, and the manifests of delete files.
  ///
  /// - Returns: how many manifests of data files need not be read, too.
  static func plan(
    _ scan: TableScan, _ snapshot: Snapshot
  ) throws(IcebergError) -> (tasks: ManifestTasks, skippedManifestCount: Int) {
    let metadata = scan.table.metadata
    let expression = try BoundExpression(scan.filter, schema: try scan.tableSchema())
    let store = ManifestStore(io: scan.table.io)
    let manifests = try store.manifests(of: snapshot)
      .filter { $0.hasAddedFiles || $0.hasExistingFiles }
    var filters: [Int32: PartitionFilter] = [:]
    for spec in metadata.partitionSpecs {
      filters[spec.specID] = PartitionFilter(
        expression, spec: spec, schema: metadata.currentSchema)
    }
    let data = manifests.filter { $0.content == .data }
    let read = data.filter { filters[$0.partitionSpecID]?.mayMatch($0) ?? true }
    let tasks = ManifestTasks(
      manifests: read, store: store, metadata: metadata, expression: expression, filters: filters,
      deletes: try deleteIndex(
        manifests.filter { $0.content == .deletes }, filters, store, metadata),
      statistics: scan.includesStatistics ? .all : .columns(expression.fieldIDs),
      hasFilter: !expression.fieldIDs.isEmpty)
    return (tasks, data.count - read.count)
  }

  private static func deleteIndex(
    _ manifests: [ManifestFile], _ filters: [Int32: PartitionFilter], _ store: ManifestStore,
    _ metadata: TableMetadata
  ) throws(IcebergError) -> DeleteFileIndex {
    var deletes: [DeleteFile] = []
    var unpartitioned: Set<Int32> = []
    for manifest in manifests {
      let spec = metadata.partitionSpec(id: manifest.partitionSpecID)
      // Deletes of an unpartitioned spec reach files of any partition.
      let isUnpartitioned = spec?.isUnpartitioned ?? true
      if isUnpartitioned { unpartitioned.insert(manifest.partitionSpecID) }
      if !isUnpartitioned, let filter = filters[manifest.partitionSpecID],
        !filter.mayMatch(manifest)
      {
        continue
      }
      for entry in try store.entries(of: manifest, metadata: metadata) where entry.isLive {
        deletes.append(
          DeleteFile(dataFile: entry.dataFile, sequenceNumber: entry.sequenceNumber ?? 0))
      }
    }
    return DeleteFileIndex(deletes) { unpartitioned.contains($0.specID) }
  }

  /// The files of one of the manifests.
  func cursor(_ index: Int) throws(IcebergError) -> Cursor {
    let manifest = manifests[index]
    return Cursor(
      tasks: self, filter: filters[manifest.partitionSpecID],
      reader: try store.reader(of: manifest, metadata: metadata, statistics: statistics))
  }

  /// Reads a manifest's entries.
  struct Cursor {
    fileprivate let tasks: ManifestTasks
    fileprivate let filter: PartitionFilter?
    fileprivate var reader: ManifestReader

    /// Neighbours are often of one partition.
    private var known: (partition: [Literal?], mayMatch: Bool)?

    private static let chunkSize = 512

    fileprivate init(tasks: ManifestTasks, filter: PartitionFilter?, reader: ManifestReader) {
      self.tasks = tasks
      self.filter = filter
      self.reader = reader
    }

    private mutating func nextEntry() throws(IcebergError) -> (
      entry: ManifestEntry, isWanted: Bool
    )? {
      guard let filter, tasks.hasFilter else { return try reader.next { _ in true } }
      var known = known
      defer { self.known = known }
      return try reader.next { file in
        if let known, known.partition == file.partition { return known.mayMatch }
        let mayMatch = filter.mayMatch(file.partition)
        known = (file.partition, mayMatch)
        return mayMatch
      }
    }

    /// Some files; nil at the end.
    mutating func next() throws(IcebergError) -> Chunk? {
      var chunk = Chunk()
      chunk.tasks.reserveCapacity(Self.chunkSize)
      while chunk.tasks.count < Self.chunkSize {
        guard let (entry, isWanted) = try nextEntry() else {
          return chunk.tasks.isEmpty && chunk.skippedFileCount == 0 ? nil : chunk
        }
        guard entry.isLive else { continue }
        let file = entry.dataFile
        guard isWanted, TableScan.mayMatch(tasks.expression, file) else {
          chunk.skippedFileCount += 1
          continue
        }
        let sequenceNumber = entry.sequenceNumber ?? 0
        chunk.tasks.append(
          FileScanTask(
            dataFile: file, sequenceNumber: sequenceNumber,
            deletes: tasks.deletes.deletes(for: file, sequenceNumber: sequenceNumber),
            snapshotID: entry.snapshotID))
      }
      return chunk
    }
  }
}

/// One thread's part of it.
private final class ManifestTasksWorker: ReadAheadWorker {
  private let tasks: ManifestTasks

  init(_ tasks: ManifestTasks) { self.tasks = tasks }

  func work(_ item: Int, _ put: (ManifestTasks.Chunk) throws -> Void) throws {
    var cursor = try tasks.cursor(item)
    while let chunk = try cursor.next() { try put(chunk) }
  }
}
