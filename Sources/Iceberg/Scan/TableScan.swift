import FileFormats

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
  /// Whether planned files come with their column statistics even when the filter needs none. They
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
public struct FileScanTask: Sendable {
  public let dataFile: DataFile
  /// The data sequence number of the file's rows.
  public let sequenceNumber: Int64
  /// Delete files that apply to the file.
  public let deletes: [DeleteFile]

  public init(dataFile: DataFile, sequenceNumber: Int64, deletes: [DeleteFile] = []) {
    self.dataFile = dataFile
    self.sequenceNumber = sequenceNumber
    self.deletes = deletes
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
  /// Finds the files that may have matching rows. Without a filter the files come without their
  /// column statistics, unless `includesStatistics` asks for them.
  public func planFiles() throws(IcebergError) -> ScanPlan {
    let snapshot = try snapshot()
    var plan = ScanPlan(snapshot: snapshot)
    guard let snapshot else { return plan }
    let metadata = table.metadata
    let expression = try BoundExpression(filter, schema: try tableSchema())
    let store = ManifestStore(io: table.io)
    let manifests = try store.manifests(of: snapshot)
      .filter { $0.hasAddedFiles || $0.hasExistingFiles }
    var filters: [Int32: PartitionFilter] = [:]
    for spec in metadata.partitionSpecs {
      filters[spec.specID] = PartitionFilter(
        expression, spec: spec, schema: metadata.currentSchema)
    }
    let deletes = try deleteIndex(manifests, filters, store)
    let needsBounds = includesStatistics || !expression.fieldIDs.isEmpty
    for manifest in manifests where manifest.content == .data {
      let filter = filters[manifest.partitionSpecID]
      guard filter?.mayMatch(manifest) ?? true else {
        plan.skippedManifestCount += 1
        continue
      }
      plan.scannedManifestCount += 1
      for entry in try store.entries(
        of: manifest, metadata: metadata, statistics: needsBounds ? .all : .none)
      where entry.isLive {
        guard filter?.mayMatch(entry.dataFile.partition) ?? true,
          TableScan.mayMatch(expression, entry.dataFile)
        else {
          plan.skippedFileCount += 1
          continue
        }
        let sequenceNumber = entry.sequenceNumber ?? 0
        plan.tasks.append(
          FileScanTask(
            dataFile: entry.dataFile, sequenceNumber: sequenceNumber,
            deletes: deletes.deletes(for: entry.dataFile, sequenceNumber: sequenceNumber)))
      }
    }
    return plan
  }

  private func deleteIndex(
    _ manifests: [ManifestFile], _ filters: [Int32: PartitionFilter], _ store: ManifestStore
  ) throws(IcebergError) -> DeleteFileIndex {
    var deletes: [DeleteFile] = []
    var unpartitioned: Set<Int32> = []
    for manifest in manifests where manifest.content == .deletes {
      let spec = table.metadata.partitionSpec(id: manifest.partitionSpecID)
      // Deletes of an unpartitioned spec reach files of any partition.
      let isUnpartitioned = spec?.isUnpartitioned ?? true
      if isUnpartitioned { unpartitioned.insert(manifest.partitionSpecID) }
      if !isUnpartitioned, let filter = filters[manifest.partitionSpecID],
        !filter.mayMatch(manifest)
      {
        continue
      }
      for entry in try store.entries(of: manifest, metadata: table.metadata) where entry.isLive {
        deletes.append(
          DeleteFile(dataFile: entry.dataFile, sequenceNumber: entry.sequenceNumber ?? 0))
      }
    }
    return DeleteFileIndex(deletes) { unpartitioned.contains($0.specID) }
  }

  static func mayMatch(_ expression: BoundExpression, _ file: DataFile) -> Bool {
    expression.mayMatch { predicate in
      guard predicate.field.type.isPrimitive else { return true }
      return ValueSummary(file, predicate.field).mayMatch(predicate.test)
    }
  }
}
