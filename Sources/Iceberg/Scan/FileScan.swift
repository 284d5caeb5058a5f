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
  /// Whether the batches have only the rows that were asked for by their numbers.
  let hasChosenRows: Bool
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

  /// - Parameters:
  ///   - isPruned: whether row groups and pages that cannot have a matching row are left out.
  ///   - rows: ascending numbers of rows among those that there would be without them; nil for all. Where rows are
  ///     deleted or filtered, the others are still there.
  init(
    _ task: FileScanTask, _ scan: TableScan, part: Part = .whole, isPruned: Bool = true,
    rows: [Int64]? = nil
  ) throws(IcebergError) {
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
      let rowGroups = RowGroupFilter(isPruned ? expression : .constant(true), file: columns)
      let groups = Set(try rowGroups.matching(reader, among: all.map(\.rowGroup)))
      let matching = all.filter { groups.contains($0.rowGroup) }
      var chosen = try FileScan.rows(reader, matching, rowGroups)
      skippedRowGroupCount = all.count - groups.count
      skippedRowCount = all.rowCount - chosen.rowCount
      hasChosenRows = rows != nil && deleted == nil && filter == nil
      if let rows, hasChosenRows { chosen = try chosen.rows(numbered: rows) }
      stream = try Batches(reader, projection.fileColumns, chosen)
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

  /// Of some rows those in pages that may have matching ones, where that leaves out an eighth of them or more, and all
  /// where not.
  private static func rows(
    _ reader: ParquetReader, _ all: [ParquetRowRange], _ filter: RowGroupFilter
  ) throws(FileFormatError) -> [ParquetRowRange] {
    var chosen: [ParquetRowRange] = []
    for range in all {
      let rows = try filter.matchingRows(reader, in: range.rowGroup)
      for rows in rows.intersection(RowRanges([range.rows])).ranges {
        chosen.append(ParquetRowRange(rowGroup: range.rowGroup, rows: rows))
      }
    }
    let available = all.rowCount
    return chosen.rowCount < available - available / 8 ? chosen : all
  }

  /// The rows of some ranges, which are the same whatever columns are read.
  private struct Batches {
    private let stream: RecordBatchStream
    /// Of the stream's rows those that count; nil for all of them.
    private var kept: ArraySlice<Range<Int64>>?
    private var position: Int64 = 0

    init(
      _ reader: ParquetReader, _ columns: [Int], _ ranges: [ParquetRowRange]
    ) throws(FileFormatError) {
      let areWhole = ranges.allSatisfy {
        $0.rows == 0..<reader.rowGroups[$0.rowGroup].rowCount
      }
      if !areWhole, let chosen = try reader.batches(columns: columns, rows: ranges) {
        stream = chosen
        return
      }
      var groups: [Int] = []
      var kept: [Range<Int64>] = []
      var (start, end): (Int64, Int64) = (0, 0)
      for range in ranges {
        if groups.last != range.rowGroup {
          groups.append(range.rowGroup)
          start = end
          end += reader.rowGroups[range.rowGroup].rowCount
        }
        kept.append((start + range.rows.lowerBound)..<(start + range.rows.upperBound))
      }
      stream = try reader.batches(columns: columns, rowGroups: groups)
      self.kept = areWhole ? nil : kept[...]
    }

    mutating func next() throws -> RecordBatch? {
      // Behind the last one that counts nothing is decoded.
      while kept.map({ !$0.isEmpty }) ?? true, let batch = try stream.next() {
        guard kept != nil else { return batch }
        if let own = try cut(batch) { return own }
      }
      return nil
    }

    /// Those rows of the stream's next batch that count; nil when none do.
    private mutating func cut(_ batch: RecordBatch) throws -> RecordBatch? {
      let rows = position..<(position + Int64(batch.rowCount))
      position = rows.upperBound
      var own: [Range<Int64>] = []
      while let range = kept?.first, range.lowerBound < rows.upperBound {
        own.append(range.clamped(to: rows))
        if range.upperBound > rows.upperBound { break }
        kept?.removeFirst()
      }
      guard let first = own.first else { return nil }
      if own.count == 1 {
        let start = Int(first.lowerBound - rows.lowerBound)
        return first == rows ? batch : batch.slice(start..<(start + first.count))
      }
      var places: [Int] = []
      for range in own { places += range.map { Int($0 - rows.lowerBound) } }
      return places.isEmpty ? nil : try batch.take(places)
    }
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

extension [ParquetRowRange] {
  fileprivate var rowCount: Int64 { reduce(0) { $0 + Int64($1.rows.count) } }

  /// The rows that have these ascending numbers among those of the ranges.
  fileprivate func rows(numbered numbers: [Int64]) throws(IcebergError) -> [ParquetRowRange] {
    var chosen: [ParquetRowRange] = []
    var rest = numbers[...]
    var first: Int64 = 0
    for range in self {
      let end = first + Int64(range.rows.count)
      while let number = rest.first, number < end {
        rest.removeFirst()
        let row = range.rows.lowerBound + number - first
        if let last = chosen.last, last.rowGroup == range.rowGroup, last.rows.upperBound == row {
          chosen[chosen.count - 1].rows = last.rows.lowerBound..<(row + 1)
        } else {
          chosen.append(ParquetRowRange(rowGroup: range.rowGroup, rows: row..<(row + 1)))
        }
      }
      first = end
    }
    guard rest.isEmpty else {
      throw IcebergError(.invalidMetadata, "the file has fewer rows than a moment ago")
    }
    return chosen
  }
}
