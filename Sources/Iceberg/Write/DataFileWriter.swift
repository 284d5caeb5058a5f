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
    /// The partition spec that the files follow; nil for the table's default one.
    public var specID: Int32?
    /// Row groups are ended at this size, where the table's properties allow larger ones: it is what an open file
    /// holds in memory.
    public var maximumRowGroupSizeBytes = Int64.max
    /// The sort order that the rows are written in, if they are.
    public var sortOrderID: Int32?
    /// Open files at a time, when rows of many partitions come mixed. The one with the most rows is
    /// ended to make room.
    public var maximumOpenFiles = 32
    /// nil follows the table's `write.parquet.*` properties, and chooses encodings from the rows that are written
    /// first.
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
  private var unpublished: UnpublishedFiles
  private var fileCount = 0

  /// Rows go under the table's current schema.
  public init(_ table: Table, options: Options = Options()) throws(IcebergError) {
    self.table = table
    self.options = options
    unpublished = UnpublishedFiles(table.io)
    let specID = options.specID ?? table.metadata.defaultSpecID
    guard let spec = table.metadata.partitionSpec(id: specID) else {
      throw IcebergError(.invalidArgument, "the table has no partition spec \(specID)")
    }
    self.spec = spec
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
    rowGroupSizeBytes = max(1, min(settings.rowGroupSizeBytes, options.maximumRowGroupSizeBytes))
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

  /// Adds the rows of a data file by copying its row groups, without decoding them. A file is never copied into two.
  ///
  /// - Returns: false, and nothing has happened, when they are not what this writer would write: other columns,
  ///   partition spec, compression, indexes or metrics, or small or very large row groups.
  func copy(_ file: DataFile, from reader: ParquetReader) throws(IcebergError) -> Bool {
    let groups = reader.rowGroups
    let largest = rowGroupSizeBytes.addingSaturated(rowGroupSizeBytes)
    guard file.specID == spec.specID, !options.writesRowLineage,
      file.fileSizeInBytes <= targetFileSizeBytes, !groups.isEmpty,
      file.hasLargeRowGroups(
        count: groups.count, sizeBytes: rowGroupSizeBytes, rows: parquet.rowGroupRows),
      groups.allSatisfy({ $0.compressedBytes <= largest })
    else { return false }
    let key = Key(partition: file.partition)
    if let size = try open[key]?.currentSize(),
      size.addingSaturated(file.fileSizeInBytes) > targetFileSizeBytes
    {
      try end(key)
    }
    return try opened(key, parquet).copy(reader, file)
  }

  /// Ends all files.
  ///
  /// - Returns: the files, durable, in the order in which they were ended.
  public func finish() throws(IcebergError) -> [DataFile] {
    for key in open.keys.sorted(by: { $0.partition.description < $1.partition.description }) {
      try end(key)
    }
    try unpublished.publish()
    return finished
  }

  /// Removes everything that was written.
  public func abandon() {
    for file in open.values { file.abandon(table.io) }
    open = [:]
    table.io.deleteAll(finished.map(\.path))
    finished = []
    unpublished = UnpublishedFiles(table.io)
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
    return PartitionSplit(values, rowCount: batch.rowCount).groups
      .map { (Key(partition: $0.partition), $0.rows) }
  }

  private func write(_ batch: RecordBatch, to key: Key) throws(IcebergError) {
    let file = try opened(key, parquet(startingWith: batch))
    if try file.write(batch, targetFileSizeBytes: targetFileSizeBytes) { try end(key) }
  }

  /// The file of a partition, which is begun if there is none.
  private func opened(
    _ key: Key, _ parquet: @autoclosure () throws(IcebergError) -> ParquetWriterOptions
  ) throws(IcebergError) -> OpenDataFile {
    if let file = open[key] { return file }
    if open.count >= max(1, options.maximumOpenFiles),
      let fullest = open.max(by: { $0.value.rowCount < $1.value.rowCount })?.key
    {
      try end(fullest)
    }
    let file = try OpenDataFile(
      table.io, location: newLocation(key), columns: columns, parquet: try parquet(),
      rowGroupSizeBytes: rowGroupSizeBytes,
      metrics: MetricsCollector(schema: schema, configuration: metrics))
    open[key] = file
    return file
  }

  /// Options for a file that begins with these rows.
  private func parquet(
    startingWith batch: RecordBatch
  ) throws(IcebergError) -> ParquetWriterOptions {
    guard options.parquet == nil, var sample = EncodingSample(batch) else { return parquet }
    var chosen = parquet
    chosen.usesThreads = columns.fields.count > 1 && Processors.count > 1
    do { try sample.choose(&chosen) } catch { throw IcebergError(error) }
    return chosen
  }

  private func end(_ key: Key) throws(IcebergError) {
    guard let file = open.removeValue(forKey: key) else { return }
    // Begun for rows that were then not copied.
    guard file.rowCount > 0 else { return file.abandon(table.io) }
    var dataFile = try file.finish(
      table.io, specID: spec.specID, partition: key.partition, into: unpublished)
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

/// The rows of each partition of a batch, in the order of their first row.
///
/// Partition values become small numbers column by column, so that rows are compared by a number and not by
/// their values; a row like the one before costs nothing more.
struct PartitionSplit {
  private(set) var groups: [(partition: [Literal?], rows: [Int])] = []

  /// - Parameter columns: the derived values of each partition field; nil for one that is always null.
  init(_ columns: [(column: Column, type: IcebergType)?], rowCount: Int) {
    guard rowCount > 0 else { return }
    var numbers = [UInt32](repeating: 0, count: rowCount)
    /// Of each number, the values.
    var partitions: [[Literal?]] = [[]]
    for column in columns {
      guard let column else {
        for index in partitions.indices { partitions[index].append(nil) }
        continue
      }
      let (own, values) = PartitionSplit.numbers(column.column, column.type)
      var known: [UInt64: UInt32] = [:]
      var combined: [[Literal?]] = []
      PartitionSplit.number(rowCount, &numbers, &known) { row, numbers in
        UInt64(numbers[row]) << 32 | UInt64(own[row])
      } added: { key in
        combined.append(partitions[Int(key >> 32)] + [values[Int(key & 0xFFFF_FFFF)]])
      }
      partitions = combined
    }
    groups = partitions.map { ($0, []) }
    if groups.count == 1 {
      groups[0].rows = Array(0..<rowCount)
    } else {
      for row in 0..<rowCount { groups[Int(numbers[row])].rows.append(row) }
    }
  }

  /// Replaces each row's number by that of its key, counted in the order in which keys appear.
  private static func number(
    _ count: Int, _ numbers: inout [UInt32], _ known: inout [UInt64: UInt32],
    key: (Int, borrowing [UInt32]) -> UInt64, added: (UInt64) -> Void
  ) {
    var last: (key: UInt64, number: UInt32)?
    for row in 0..<count {
      let key = key(row, numbers)
      if let last, last.key == key {
        numbers[row] = last.number
        continue
      }
      let number: UInt32
      if let found = known[key] {
        number = found
      } else {
        number = UInt32(known.count)
        known[key] = number
        added(key)
      }
      last = (key, number)
      numbers[row] = number
    }
  }

  /// A number for each row, equal where values are, and the values by number.
  private static func numbers(_ column: Column, _ type: IcebergType) -> ([UInt32], [Literal?]) {
    switch column.type {
    case .int32, .date:
      let values = column.values(as: UInt32.self)
      return numbers(column, type) { UInt64(values[$0]) }
    case .int64, .time, .timestamp, .timestampNanoseconds:
      let values = column.values(as: UInt64.self)
      return numbers(column, type) { values[$0] }
    default:
      var numbers: [UInt32] = []
      numbers.reserveCapacity(column.count)
      var known: [Literal?: UInt32] = [:]
      var literals: [Literal?] = []
      for row in 0..<column.count {
        let literal = column.literal(at: row, type: type)
        if let number = known[literal] {
          numbers.append(number)
        } else {
          numbers.append(UInt32(literals.count))
          known[literal] = UInt32(literals.count)
          literals.append(literal)
        }
      }
      return (numbers, literals)
    }
  }

  private static func numbers(
    _ column: Column, _ type: IcebergType, _ bits: (Int) -> UInt64
  ) -> ([UInt32], [Literal?]) {
    var numbers: [UInt32] = []
    numbers.reserveCapacity(column.count)
    var known: [UInt64: UInt32] = [:]
    var nullNumber: UInt32?
    var literals: [Literal?] = []
    var last: (bits: UInt64, number: UInt32)?
    for row in 0..<column.count {
      if column.isNull(row) {
        if nullNumber == nil {
          nullNumber = UInt32(literals.count)
          literals.append(nil)
        }
        numbers.append(nullNumber ?? 0)
        continue
      }
      let bits = bits(row)
      if let last, last.bits == bits {
        numbers.append(last.number)
        continue
      }
      let number: UInt32
      if let found = known[bits] {
        number = found
      } else {
        number = UInt32(literals.count)
        known[bits] = number
        literals.append(column.literal(at: row, type: type))
      }
      last = (bits, number)
      numbers.append(number)
    }
    return (numbers, literals)
  }
}

extension DataFile {
  /// Whether the file, if it has so many row groups, has them of at least a quarter of the size that is usual: smaller
  /// ones are better decoded, and put together.
  func hasLargeRowGroups(count: Int, sizeBytes: Int64, rows: Int) -> Bool {
    fileSizeInBytes / Int64(count) >= sizeBytes / 4 || recordCount / Int64(count) >= rows / 4
  }
}
