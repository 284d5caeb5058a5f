import FileFormats
public import Storage

/// What a scan reads: which version of a table, which columns, which rows.
///
/// Planning reads the manifest list and those manifests that may have matching files; nothing else
/// is read until `batches`.
public struct TableScan: Sendable {
  /// Which version of the table is read.
  public enum Version: Hashable, Sendable {
    case current
    case snapshot(Int64)
    /// What was current at a time, in milliseconds since 1970.
    case asOf(milliseconds: Int64)
    /// The head of a branch, or a tag.
    case reference(String)
  }

  public let table: Table
  public var version = Version.current
  /// The columns wanted, in their order; nil for all of the schema. Beside those there are `_file`,
  /// `_pos`, `_spec_id`, and in tables of format version 3 `_row_id` and
  /// `_last_updated_sequence_number`, where the schema has no column of that name.
  public var columns: [String]?
  /// Only rows for which this is true are returned.
  public var filter = FilterExpression.alwaysTrue
  /// Whether the filter is applied to rows, too. Otherwise it only chooses files and row groups, and all rows of
  /// these are returned: the same ones whatever the columns.
  public var appliesResidual = true
  /// Whether planned files come with the statistics of columns that the filter does not look at. They
  /// are most of a manifest.
  public var includesStatistics = false
  /// The most memory that decoding the scan's files may take, batches that are still held included; what
  /// expands beyond it is an error. Not counted: what delete files say, once it is read.
  public var memoryLimitBytes: Int64 = 1 << 30
  /// How many files are read at a time; each gets its share of the memory.
  public var concurrentFileCount = 1
  /// What delete files say, shared by all copies of the scan.
  let cache = DeleteCache()

  init(table: Table) { self.table = table }

  var readerOptions: ParquetReaderOptions {
    var options = ParquetReaderOptions()
    options.memoryLimitBytes = max(1, memoryLimitBytes / Int64(max(1, concurrentFileCount)))
    return options
  }

  /// The snapshot that is read; nil for a table without any.
  public func snapshot() throws(IcebergError) -> Snapshot? {
    let metadata = table.metadata
    switch version {
    case .current: return metadata.currentSnapshot
    case .snapshot(let id):
      guard let snapshot = metadata.snapshot(id: id) else {
        throw IcebergError(.notFound, "'\(table.identifier)' has no snapshot \(id)")
      }
      return snapshot
    case .asOf(let time):
      guard let snapshot = metadata.snapshot(asOfMilliseconds: time) else {
        throw IcebergError(.notFound, "'\(table.identifier)' has no snapshot as old as \(time) ms")
      }
      return snapshot
    case .reference(let name):
      guard let snapshot = metadata.snapshot(reference: name) else {
        throw IcebergError(.notFound, "'\(table.identifier)' has no branch or tag '\(name)'")
      }
      return snapshot
    }
  }

  /// The schema of the version: the current one, or for time travel the snapshot's own.
  func tableSchema() throws(IcebergError) -> TableSchema {
    switch version {
    case .current: return table.schema
    case .reference(let name) where table.metadata.references[name]?.kind == .branch:
      return table.schema
    default:
      guard let id = try snapshot()?.schemaID else { return table.schema }
      return table.metadata.schema(id: id) ?? table.schema
    }
  }

  /// All columns of the table, and what identifies its rows and says when they changed.
  var columnsWithLineage: [String] {
    table.schema.fields.map(\.name) + MetadataColumn.lineage.map(\.name)
  }

  /// The columns of the batches.
  public func schema() throws(IcebergError) -> TableSchema {
    let schema = try tableSchema()
    guard let columns else { return schema }
    var fields: [NestedField] = []
    for name in columns {
      let metadataColumn = MetadataColumn(name: name)?.field
      guard let field = schema.fields.first(where: { $0.name == name }) ?? metadataColumn else {
        throw IcebergError(.invalidArgument, "'\(table.identifier)' has no column '\(name)'")
      }
      fields.append(field)
    }
    return TableSchema(schemaID: schema.schemaID, fields: fields)
  }
}

/// One data file to read, and what to take into account.
///
/// An object that never changes: lists of many thousands are copied and sorted, and a task as a value takes 300 bytes.
public final class FileScanTask: Sendable {
  public let dataFile: DataFile
  /// The data sequence number of the file's rows.
  public let sequenceNumber: Int64
  /// Delete files that apply to the file.
  public let deletes: [DeleteFile]
  /// The snapshot that brought the file, which may have expired since; nil where it is not known.
  public let snapshotID: Int64?

  public init(
    dataFile: DataFile, sequenceNumber: Int64, deletes: [DeleteFile] = [],
    snapshotID: Int64? = nil
  ) {
    self.dataFile = dataFile
    self.sequenceNumber = sequenceNumber
    self.deletes = deletes
    self.snapshotID = snapshotID
  }
}

/// The files of a scan, newest manifests first, and how many were left out unread.
public struct ScanPlan: Sendable {
  public let snapshot: Snapshot?
  public internal(set) var tasks: [FileScanTask] = []
  public internal(set) var scannedManifestCount = 0
  public internal(set) var skippedManifestCount = 0
  public internal(set) var skippedFileCount = 0
}

extension Table {
  /// A scan of all columns and rows of the current version; narrow it by its properties.
  public func newScan() -> TableScan { TableScan(table: self) }
}

// Planning.
extension TableScan {
  /// Finds the files that may have matching rows. They come with the statistics of the columns that the filter
  /// looks at, or of all columns if `includesStatistics` asks for them.
  ///
  /// Memory: that of all files found; `tasks` gives them one by one.
  ///
  /// - Parameter threads: how many decode manifests where there is much to decode.
  public func planFiles(threads: Int = Processors.count) throws(IcebergError) -> ScanPlan {
    let stream = try tasks(threads: threads)
    var plan = ScanPlan(snapshot: stream.snapshot)
    while let chunk = try stream.nextChunk() { plan.tasks += chunk }
    plan.scannedManifestCount = stream.scannedManifestCount
    plan.skippedManifestCount = stream.skippedManifestCount
    plan.skippedFileCount = stream.skippedFileCount
    return plan
  }

  /// The files that may have matching rows, one by one, in memory that does not grow with the table. Reads the
  /// manifest list, and the manifests of delete files.
  ///
  /// - Parameter threads: how many decode manifests where there is much to decode.
  public func tasks(threads: Int = Processors.count) throws(IcebergError) -> ScanTaskStream {
    try ScanTaskStream(self, threadCount: threads)
  }

  /// The matching rows of all files, decoded by so many threads, the row groups of large files in parallel, too.
  public func batches(
    threads: Int = Processors.count
  ) throws(IcebergError) -> TableScanBatches {
    try TableScanBatches(self, try planFiles(), threadCount: threads)
  }

  /// The same of some files of a plan, in their order.
  public func batches(
    of tasks: [FileScanTask], threads: Int = Processors.count
  ) throws(IcebergError) -> TableScanBatches {
    var plan = ScanPlan(snapshot: try snapshot())
    plan.tasks = tasks
    return try TableScanBatches(self, plan, threadCount: threads)
  }

  static func mayMatch(_ expression: BoundExpression, _ file: DataFile) -> Bool {
    expression.mayMatch { predicate in
      guard predicate.field.type.isPrimitive else { return true }
      return ValueSummary(file, predicate.field).mayMatch(predicate.test)
    }
  }
}
