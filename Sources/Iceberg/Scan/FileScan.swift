public import Columnar
import FileFormats

/// The matching rows of one data file, batch by batch, as columns of the scan's schema.
///
/// Deleted rows are left out; a file whose deletes cannot be applied is refused when it is opened.
/// Memory is that of a batch, and of what delete files say. Used by one thread at a time.
public final class FileScan {
  /// The columns of the batches, with field ids.
  public let schema: Schema
  /// Row groups that are not read because their statistics or bloom filters say that no row matches.
  public let skippedRowGroupCount: Int
  /// Rows that are not read: of those row groups, and of pages of which the page index says so.
  public let skippedRowCount: Int64
  private let task: FileScanTask
  private let wanted: [NestedField]
  private let projection: ColumnProjection
  private var stream: Batches
  private let filter: RowFilter?
  private let deleted: DeletedRows?
  private var positions: RowPositions

  /// One of so many parts of a file of about the same size: some of its row groups or, where there are more parts
  /// than row groups, some rows of one.
  struct Part: Sendable {
    var index: Int
    var count: Int

    static let whole = Part(index: 0, count: 1)

    /// Every row is in exactly one part.
    func rows(of rowGroups: [ParquetRowGroup]) -> [ParquetRowRange] {
      let (first, firstRow) = start(of: index, rowGroups)
      let (last, lastRow) = start(of: index + 1, rowGroups)
      var ranges: [ParquetRowRange] = []
      for group in first..<min(last + 1, rowGroups.count) {
        let start = group == first ? firstRow : 0
        let end = group == last ? lastRow : rowGroups[group].rowCount
        if start < end || (start == 0 && group < last) {
          ranges.append(ParquetRowRange(rowGroup: group, rows: start..<end))
        }
      }
      return ranges
    }

    private func start(of part: Int, _ rowGroups: [ParquetRowGroup]) -> (group: Int, row: Int64) {
      let (group, rest) = (rowGroups.count * part).quotientAndRemainder(dividingBy: count)
      guard count > rowGroups.count, group < rowGroups.count else { return (group, 0) }
      let (rows, share) = rowGroups[group].rowCount.quotientAndRemainder(dividingBy: Int64(count))
      return (group, rows * Int64(rest) + share * Int64(rest) / Int64(count))
    }
  }

  init(_ task: FileScanTask, _ scan: TableScan, part: Part = .whole) throws(IcebergError) {
    self.task = task
    wanted = try scan.schema().fields
    let tableSchema = try scan.tableSchema()
    let expression = try BoundExpression(scan.filter, schema: tableSchema)
    let residual = scan.appliesResidual ? expression : .constant(true)
    filter = residual == .constant(true) ? nil : RowFilter(expression: residual)
    schema = Schema(wanted.map(\.columnarField))
    let file = task.dataFile
    do {
      guard file.format == .parquet else {
        throw IcebergError(.unsupported, "it is \(file.format.name); only Parquet is read")
      }
      guard file.keyMetadata == nil else {
        throw IcebergError(.unsupported, "it is encrypted, which is not supported")
      }
      deleted = try DeletedRows(task, scan)
      let reader = try FileScan.reader(of: file, scan)
      let fields = try FileScan.fields(wanted, residual, tableSchema, deleted)
      let columns = try NameMapping.apply(scan.table.properties, to: reader.schema)
      try FileScan.check(columns, fields, against: file)
      projection = try ColumnProjection(
        fields, file: columns,
        constants: FileScan.constants(file, scan.table.metadata.partitionSpec(id: file.specID)))
      let all = part.rows(of: reader.rowGroups)
      let rowGroups = RowGroupFilter(expression, file: columns)
      let groups = Set(try rowGroups.matching(reader, among: all.map(\.rowGroup)))
      let matching = all.filter { groups.contains($0.rowGroup) }
      let chosen: [ParquetRowRange]
      (stream, chosen) = try FileScan.open(reader, projection.fileColumns, matching, rowGroups)
      skippedRowGroupCount = all.count - groups.count
      skippedRowCount = FileScan.rowCount(all) - FileScan.rowCount(chosen)
      positions = RowPositions(
        chosen.map { range in
          let start = reader.rowGroups[range.rowGroup].firstRow
          return (start + range.rows.lowerBound)..<(start + range.rows.upperBound)
        })
    } catch let error as FileFormatError {
      throw IcebergError(error)
    } catch let error as IcebergError {
      throw error.adding("file", task.dataFile.path)
    } catch {
      throw IcebergError(.inputOutput, "\(error)")
    }
  }

  /// Begins to read rows: of the pages that have them those that may have matching ones, where that leaves out an
  /// eighth of the rows or more, and all where not.
  ///
  /// - Returns: with the batches the rows that they have.
  private static func open(
    _ reader: ParquetReader, _ columns: [Int], _ all: [ParquetRowRange], _ filter: RowGroupFilter
  ) throws(FileFormatError) -> (Batches, [ParquetRowRange]) {
    var chosen: [ParquetRowRange] = []
    for range in all {
      let rows = try filter.matchingRows(reader, in: range.rowGroup)
      for rows in rows.intersection(RowRanges([range.rows])).ranges {
        chosen.append(ParquetRowRange(rowGroup: range.rowGroup, rows: rows))
      }
    }
    let isCut = all.contains { $0.rows.count < reader.rowGroups[$0.rowGroup].rowCount }
    let available = rowCount(all)
    let isSelective = rowCount(chosen) < available - available / 8
    if !isSelective { chosen = all }
    if isCut || isSelective,
      let stream = try reader.batches(columns: columns, rows: chosen)
    {
      return (Batches(stream), chosen)
    }
    let stream = try reader.batches(columns: columns, rowGroups: all.map(\.rowGroup))
    return (isCut ? Batches(stream, of: all) : Batches(stream), all)
  }

  /// Batches of whole row groups without the rows that belong to other parts of the file.
  private struct Batches {
    private let stream: RecordBatchStream
    /// Of the stream's rows those that count. Only the first and the last row group of a part can be cut.
    private let kept: Range<Int64>
    private var position: Int64 = 0

    /// All of a stream's rows.
    init(_ stream: RecordBatchStream) {
      self.stream = stream
      kept = 0..<Int64.max
    }

    init(_ stream: RecordBatchStream, of ranges: [ParquetRowRange]) {
      self.stream = stream
      let start = ranges.first?.rows.lowerBound ?? 0
      kept = start..<(start + rowCount(ranges))
    }

    mutating func next() throws(FileFormatError) -> RecordBatch? {
      while position < kept.upperBound, let batch = try stream.next() {
        let rows = position..<(position + Int64(batch.rowCount))
        position = rows.upperBound
        let own = rows.clamped(to: kept)
        if own == rows { return batch }
        guard !own.isEmpty else { continue }
        let first = Int(own.lowerBound - rows.lowerBound)
        return batch.slice(first..<(first + own.count))
      }
      return nil
    }
  }

  private static func rowCount(_ ranges: [ParquetRowRange]) -> Int64 {
    ranges.reduce(0) { $0 + Int64($1.rows.count) }
  }

  /// What has to be read: the wanted columns, and behind them those that only the filter or the
  /// deletes look at.
  private static func fields(
    _ wanted: [NestedField], _ expression: BoundExpression, _ schema: TableSchema,
    _ deleted: DeletedRows?
  ) throws(IcebergError) -> [NestedField] {
    var fields = wanted.filter { field in
      switch MetadataColumn(rawValue: field.id) {
      case .file, .position, .specID: false
      default: true
      }
    }
    func add(_ field: NestedField) {
      if !fields.contains(where: { $0.id == field.id }) { fields.append(field) }
    }
    for id in expression.fieldIDs.sorted() {
      guard var top = schema.field(id: id) else { continue }
      let name = top.name
      while let parent = schema.parent(ofID: top.id) {
        guard case .structure = parent.type else {
          throw IcebergError(
            .unsupported, "'\(name)' is inside a list or a map: such a filter chooses no rows")
        }
        top = parent
      }
      add(top)
    }
    for field in deleted?.fields ?? [] { add(field) }
    return fields
  }

  /// Opens a data file. Throws when it is not the one that the manifest describes: a footer of other writers has no
  /// checksum, and without this a damaged one could make rows vanish unseen.
  static func reader(of file: DataFile, _ scan: TableScan) throws -> ParquetReader {
    let reader = try ParquetReader(
      file: try scan.table.io.open(file.path), options: scan.readerOptions)
    try FileNameMark.check(try reader.metadata(FileNameMark.key), at: file.path)
    guard reader.rowCount == file.recordCount else {
      throw IcebergError(
        .invalidMetadata,
        "the file has \(reader.rowCount) rows, and its manifest says that it has "
          + "\(file.recordCount)")
    }
    return reader
  }

  /// Throws when the file lacks a column of which the manifest speaks.
  private static func check(
    _ columns: Schema, _ wanted: [NestedField], against file: DataFile
  ) throws(IcebergError) {
    for field in wanted where field.type != .unknown && file.valueCounts[field.id] != nil {
      guard columns.index(ofFieldID: field.id) != nil else {
        throw IcebergError(
          .invalidMetadata,
          "the file lacks the column '\(field.name)', which its manifest says that it has")
      }
    }
  }

  /// The next batch that has rows; nil at the end.
  public func next() throws(IcebergError) -> RecordBatch? {
    do {
      while let batch = try stream.next() {
        let rows = try positions.next(batch.rowCount)
        let columns = try output(try projection.project(batch), rows)
        guard filter != nil || deleted != nil else {
          if columns.rowCount > 0 { return columns }
          continue
        }
        var keep = filter?.matches(columns) ?? Array(repeating: true, count: batch.rowCount)
        deleted?.clear(rows, columns, in: &keep)
        let result = RecordBatch(
          schema: schema, columns: Array(columns.columns.prefix(wanted.count)),
          rowCount: columns.rowCount)
        guard keep.contains(false) else {
          if result.rowCount > 0 { return result }
          continue
        }
        let kept = try result.filter(keep)
        if kept.rowCount > 0 { return kept }
      }
      try positions.checkComplete()
      return nil
    } catch let error as FileFormatError {
      throw IcebergError(error)
    } catch let error as IcebergError {
      throw error.adding("file", task.dataFile.path)
    } catch {
      throw IcebergError(.inputOutput, "\(error)", context: [.init("file", task.dataFile.path)])
    }
  }

  /// The wanted columns in their order, what the file does not have filled in, and the others
  /// behind them.
  private func output(
    _ batch: RecordBatch, _ rows: [Range<Int64>]
  ) throws(IcebergError) -> RecordBatch {
    var columns: [Column] = []
    var used = 0
    for field in wanted {
      switch MetadataColumn(rawValue: field.id) {
      case .file:
        columns.append(
          try .constant(.string(task.dataFile.path), type: .string, count: batch.rowCount))
      case .specID:
        columns.append(
          try .constant(.int(task.dataFile.specID), type: .int32, count: batch.rowCount))
      case .position: columns.append(RowPositions.column(rows))
      case .rowID:
        columns.append(
          try batch.columns[used].filledIn(task.dataFile.firstRowID) { first in
            RowPositions.column(rows, first: first)
          })
        used += 1
      case .lastUpdatedSequenceNumber:
        // Where rows have no ids, nothing is known of their history either.
        let number = task.dataFile.firstRowID == nil ? nil : task.sequenceNumber
        columns.append(
          try batch.columns[used].filledIn(number) { number throws(IcebergError) in
            try .constant(.long(number), type: .int64, count: batch.rowCount)
          })
        used += 1
      default:
        columns.append(batch.columns[used])
        used += 1
      }
    }
    let fields = wanted.map(\.columnarField) + batch.schema.fields[used...]
    return RecordBatch(
      schema: Schema(fields), columns: columns + batch.columns[used...], rowCount: batch.rowCount)
  }

  /// Values of columns that files partitioned by identity may lack.
  static func constants(_ file: DataFile, _ spec: PartitionSpec?) -> [Int32: Literal] {
    var constants: [Int32: Literal] = [:]
    guard let spec, spec.fields.count == file.partition.count else { return [:] }
    for (field, value) in zip(spec.fields, file.partition) where field.transform == .identity {
      constants[field.sourceID] = value
    }
    return constants
  }
}

extension Column {
  /// The column with its nulls replaced by those of another; itself when there is nothing to
  /// replace them with.
  fileprivate func filledIn(
    _ base: Int64?, with replacement: (Int64) throws(IcebergError) -> Column
  ) throws(IcebergError) -> Column {
    guard nullCount > 0, let base else { return self }
    let other = try replacement(base)
    if nullCount == count { return other }
    let own = values(as: Int64.self)
    let others = other.values(as: Int64.self)
    var filled: [Int64] = []
    filled.reserveCapacity(count)
    for row in 0..<count { filled.append(isNull(row) ? others[row] : own[row]) }
    return Column(type: type, count: count, buffers: [Buffer(copying: filled)])
  }
}

extension TableScan {
  /// Opens a file of the plan.
  public func batches(_ task: FileScanTask) throws(IcebergError) -> FileScan {
    try FileScan(task, self)
  }
}

extension IcebergError {
  /// What the reading or writing of a file threw, whatever it was.
  init(reading error: any Error) {
    switch error {
    case let error as IcebergError: self = error
    case let error as FileFormatError: self.init(error)
    default: self.init(.inputOutput, "\(error)")
    }
  }

  /// A file that could not be read or written.
  init(_ error: FileFormatError) {
    let kind: Kind =
      switch error.kind {
      case .malformed: .invalidMetadata
      case .unsupported: .unsupported
      case .invalidArgument: .invalidArgument
      case .memoryLimit, .storage: .inputOutput
      }
    self.init(kind, error.description, storageError: error.storageError)
  }
}
