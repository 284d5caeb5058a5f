public import Columnar
public import FileFormats
import Storage

/// Writes the rows of a table into new data files: Parquet, durable, with metrics, one file or more
/// a partition.
///
/// The files belong to nobody until a commit adds them; `abandon` removes them. Memory: what the
/// Parquet writers of the open partitions buffer. Used by one thread at a time.
public final class DataFileWriter {
  public struct Options: Sendable {
    /// The name of the file below its folder; nil gives `<uuid>.parquet`. Only for what comes to
    /// one file: a second one gets a suffix.
    public var fileName: String?
    /// Where a file is ended and another begun; nil follows `write.target-file-size-bytes`,
    /// 512 MiB when absent.
    public var targetFileSizeBytes: Int64?
    /// The sort order that the rows are written in, if they are.
    public var sortOrderID: Int32?
    /// Open files at a time, when rows of many partitions come mixed. The one with the most rows is
    /// ended to make room.
    public var maximumOpenFiles = 32
    /// nil follows the table's `write.parquet.*` properties.
    public var parquet: ParquetWriterOptions?
    /// Whether batches have `_row_id` and `_last_updated_sequence_number` behind the table's
    /// columns: for rows that were in the table before (format version 3).
    public var writesRowLineage = false

    public init() {}
  }

  private struct Key: Hashable {
    var partition: [Literal?]
  }

  private let table: Table
  private let spec: PartitionSpec
  private let schema: TableSchema
  /// The columns of a batch, and of them those that are stored.
  private let fields: [NestedField]
  private let columns: Schema
  private let options: Options
  private let parquet: ParquetWriterOptions
  private let targetFileSizeBytes: Int64
  private let rowGroupSizeBytes: Int64
  private let metrics: MetricsConfiguration
  private var open: [Key: OpenDataFile] = [:]
  private var finished: [DataFile] = []
  private var fileCount = 0

  /// Rows go under the table's current schema and default partition spec.
  public init(_ table: Table, options: Options = Options()) throws(IcebergError) {
    self.table = table
    self.options = options
    spec = table.metadata.defaultPartitionSpec
    schema = table.schema
    var fields = table.schema.fields
    if options.writesRowLineage { fields += MetadataColumn.lineage }
    self.fields = fields
    columns = Schema(fields.filter { $0.type != .unknown }.map(\.columnarField))
    try DataFileWriter.refuseUnknown(inside: fields)
    for field in spec.fields {
      if case .unknown(let text) = field.transform {
        throw IcebergError(.unsupported, "cannot write with the unknown transform '\(text)'")
      }
    }
    let settings = try ParquetProperties(table.properties, table.schema)
    parquet = DataFileWriter.markingUUIDs(options.parquet ?? settings.options, table.schema)
    rowGroupSizeBytes = settings.rowGroupSizeBytes
    let property = table.properties["write.target-file-size-bytes"].flatMap { Int64($0) }
    targetFileSizeBytes = max(1, options.targetFileSizeBytes ?? property ?? 512 << 20)
    metrics = MetricsConfiguration(
      properties: table.properties, schema: table.schema,
      sortOrder: table.metadata.defaultSortOrder)
  }

  /// Sixteen bytes are a UUID in Parquet only when they are marked as one.
  private static func markingUUIDs(
    _ options: ParquetWriterOptions, _ schema: TableSchema
  ) -> ParquetWriterOptions {
    var options = options
    for id in schema.allFieldIDs where schema.field(id: id)?.type == .uuid {
      var column = options.columnsByFieldID[id] ?? .standard(for: .fixedSizeBinary(16))
      column.isUUID = true
      options.columnsByFieldID[id] = column
    }
    return options
  }

  /// What is inside a column is stored as it comes, and there is nothing to store of an unknown type.
  private static func refuseUnknown(inside fields: [NestedField]) throws(IcebergError) {
    for field in fields {
      guard !field.type.children.contains(where: { $0.type == .unknown }) else {
        throw IcebergError(
          .unsupported, "'\(field.name)' has a part of type unknown: such columns are only read")
      }
      try refuseUnknown(inside: field.type.children)
    }
  }

  /// Adds rows; the columns are those of the table's schema, by name. One that the batch lacks is filled
  /// with its write default, else with null.
  ///
  /// - Throws: `invalidArgument` for a column that the table has not, has otherwise, or requires and has
  ///   no default for.
  public func write(_ batch: RecordBatch) throws(IcebergError) {
    guard batch.rowCount > 0 else { return }
    let batch = try conform(batch)
    guard !spec.fields.isEmpty else { return try write(batch, to: Key(partition: [])) }
    for (key, rows) in try split(batch) {
      if rows.count == batch.rowCount {
        try write(batch, to: key)
      } else {
        do { try write(try batch.take(rows), to: key) } catch let error as IcebergError {
          throw error
        } catch {
          throw IcebergError(.invalidArgument, "\(error)")
        }
      }
    }
  }

  /// Ends all files.
  ///
  /// - Returns: the files, durable, in the order in which they were ended.
  public func finish() throws(IcebergError) -> [DataFile] {
    for key in open.keys.sorted(by: { $0.partition.description < $1.partition.description }) {
      try end(key)
    }
    return finished
  }

  /// Removes everything that was written.
  public func abandon() {
    for file in open.values { table.io.abandon(file.file) }
    open = [:]
    table.io.deleteAll(finished.map(\.path))
    finished = []
  }

  /// The batch with the table's field ids, in the table's order.
  private func conform(_ batch: RecordBatch) throws(IcebergError) -> RecordBatch {
    if batch.schema == columns { return batch }
    var positions: [String: Int] = [:]
    for (index, field) in batch.schema.fields.enumerated() {
      guard positions.updateValue(index, forKey: field.name) == nil else {
        throw IcebergError(.invalidArgument, "a batch has two columns '\(field.name)'")
      }
    }
    var found: [Column] = []
    for field in fields {
      let position = positions.removeValue(forKey: field.name)
      if let position {
        let type = batch.schema.fields[position].type
        guard type == field.type.dataType else {
          throw IcebergError(
            .invalidArgument, "column '\(field.name)' is of \(type), the table's of \(field.type)")
        }
      }
      if field.type == .unknown { continue }
      guard position != nil || MetadataColumn(rawValue: field.id) == nil else {
        throw IcebergError(.invalidArgument, "rows of before need their '\(field.name)'")
      }
      guard let position else {
        found.append(try ColumnProjection.missing(field, count: batch.rowCount, isNew: true))
        continue
      }
      found.append(batch.columns[position])
    }
    guard positions.isEmpty else {
      throw IcebergError(
        .invalidArgument, "the table has no column '\(positions.keys.min() ?? "")'")
    }
    return RecordBatch(schema: columns, columns: found, rowCount: batch.rowCount)
  }

  /// The rows of each partition, in the order of their first row.
  private func split(_ batch: RecordBatch) throws(IcebergError) -> [(Key, [Int])] {
    var values: [(column: Column, type: IcebergType)?] = []
    for field in spec.fields {
      guard let source = schema.field(id: field.sourceID),
        let column = batch.column(ofFieldID: source.id),
        let type = field.transform.resultType(of: source.type)
      else {
        guard field.transform == .void else {
          throw IcebergError(
            .unsupported, "'\(field.name)' comes from no column of the table's schema")
        }
        values.append(nil)
        continue
      }
      values.append((try field.transform.apply(column, type: source.type), type))
    }
    var positions: [Key: Int] = [:]
    var groups: [(Key, [Int])] = []
    for row in 0..<batch.rowCount {
      let key = Key(
        partition: values.map { value in
          value.flatMap { $0.column.literal(at: row, type: $0.type) }
        })
      if let position = positions[key] {
        groups[position].1.append(row)
      } else {
        positions[key] = groups.count
        groups.append((key, [row]))
      }
    }
    return groups
  }

  private func write(_ batch: RecordBatch, to key: Key) throws(IcebergError) {
    if open[key] == nil {
      if open.count >= max(1, options.maximumOpenFiles),
        let fullest = open.max(by: { $0.value.rowCount < $1.value.rowCount })?.key
      {
        try end(fullest)
      }
      open[key] = try OpenDataFile(
        table.io, location: newLocation(key), columns: columns, parquet: parquet,
        metrics: MetricsCollector(schema: schema, configuration: metrics))
    }
    let size = try open[key]?.write(batch, rowGroupSizeBytes: rowGroupSizeBytes) ?? 0
    if size >= targetFileSizeBytes { try end(key) }
  }

  private func end(_ key: Key) throws(IcebergError) {
    guard let file = open.removeValue(forKey: key) else { return }
    var dataFile = try file.finish(table.io, specID: spec.specID, partition: key.partition)
    dataFile.sortOrderID = options.sortOrderID
    finished.append(dataFile)
  }

  private func newLocation(_ key: Key) -> String {
    var name = options.fileName ?? "\(RandomIdentifier.uuid()).parquet"
    if options.fileName != nil, fileCount > 0 {
      name = (name.stem(before: ".parquet") ?? name) + "-\(fileCount).parquet"
    }
    fileCount += 1
    let folder = PartitionPath.text(spec, key.partition)
    return Location.join(table.metadata.dataFolder, folder.isEmpty ? name : folder + "/" + name)
  }
}

/// A data file that is being written.
private final class OpenDataFile {
  let file: any File
  private let location: String
  private let writer: ParquetWriter
  private var metrics: MetricsCollector
  private(set) var rowCount = 0

  init(
    _ io: FileIO, location: String, columns: Schema, parquet: ParquetWriterOptions,
    metrics: MetricsCollector
  ) throws(IcebergError) {
    self.location = location
    self.metrics = metrics
    let file = try io.create(location)
    self.file = file
    var options = parquet
    options.metadata.append(FileNameMark.entry(location))
    do { writer = try ParquetWriter(file: file, schema: columns, options: options) } catch {
      io.abandon(file)
      throw IcebergError(error)
    }
  }

  /// Returns about how large the file would be if it were ended now.
  func write(_ batch: RecordBatch, rowGroupSizeBytes: Int64) throws(IcebergError) -> Int64 {
    do throws(FileFormatError) {
      try writer.write(batch)
      if writer.bufferedBytes >= rowGroupSizeBytes { try writer.endRowGroup() }
    } catch { throw IcebergError(error) }
    try metrics.add(batch)
    rowCount += batch.rowCount
    do { return try file.size() + writer.bufferedBytes } catch { throw IcebergError(error) }
  }

  func finish(
    _ io: FileIO, specID: Int32, partition: [Literal?]
  ) throws(IcebergError) -> DataFile {
    do throws(IcebergError) {
      let summary: ParquetFileSummary
      do { summary = try writer.finish() } catch { throw IcebergError(error) }
      try io.publish(file)
      var dataFile = DataFile(
        path: location, specID: specID, partition: partition, recordCount: summary.rowCount,
        fileSizeInBytes: summary.fileSizeBytes)
      metrics.apply(to: &dataFile)
      dataFile.splitOffsets = summary.splitOffsets
      for column in summary.columns {
        guard let id = column.leaf.field.fieldID else { continue }
        dataFile.columnSizes[id] = column.compressedBytes
      }
      return dataFile
    } catch {
      io.abandon(file)
      throw error
    }
  }
}
