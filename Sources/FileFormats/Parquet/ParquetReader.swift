import CArrow
public import Columnar
public import Storage

/// How a Parquet file is read.
public struct ParquetReaderOptions: Hashable, Sendable {
  /// The most memory that the reader, its scans and the batches not yet released may hold together.
  /// Default: 1 GiB. A file that expands beyond it gives an error of kind `.memoryLimit`.
  public var memoryLimitBytes: Int64 = 1 << 30
  /// Whether the checksums of pages that have them are compared. Default: yes.
  public var verifiesPageChecksums = true

  public init() {}
}

/// Reads one Parquet file. Types that Columnar lacks are converted: integers of 8 and 16 bits to int, of
/// 32 bits without sign to long (of 64 bits too, as far as they fit), half floats to float, large, view
/// and dictionary forms to the plain ones, lists of fixed size to lists, times of any unit to
/// microseconds (timestamps in nanoseconds stay), other decimals to 128 bits, a column that has no type
/// to string. Anything else is an error that names the column; so is a value that does not fit.
///
/// Files of up to 128 KiB are read by one call and kept in memory; of others the footer is read when
/// opened, and pages as a scan needs them. Everything is validated: a damaged file gives errors.
///
/// Used by one thread at a time, scans included; for more threads open more readers.
@safe public final class ParquetReader {
  public let path: String
  public let schema: Schema
  public let rowCount: Int64
  public let rowGroups: [ParquetRowGroup]
  /// The leaf columns, in the order of `columnChunk(rowGroup:leaf:)`.
  public let leaves: [SchemaLeaf]
  private let source: FileSource
  private let handle: OpaquePointer
  /// Where bloom filters and page index are, of which nothing has been believed yet.
  private var uncheckedIndex: Range<Int64>?

  public init(
    file: any File, options: ParquetReaderOptions = ParquetReaderOptions()
  ) throws(FileFormatError) {
    let path = file.path
    let source = FileSource(file)
    var cOptions = CArrowParquetReadOptions(
      memoryLimitBytes: options.memoryLimitBytes,
      verifyPageChecksums: options.verifiesPageChecksums)
    let cSource: CArrowSource
    do {
      unsafe cSource = try source.source()
    } catch {
      throw FileFormatError(error, path: path)
    }
    var opened: OpaquePointer?
    try callArrow(path: path, failure: source.failure) {
      unsafe CArrowParquetReaderOpen(cSource, &cOptions, &opened, &$0)
    }
    guard let handle = unsafe opened else {
      throw FileFormatError(.malformed, path: path, message: "the file could not be opened")
    }
    do throws(FileFormatError) {
      let footer = try unsafe Footer(handle, path: path)
      schema = footer.schema
      leaves = footer.leaves
      rowCount = footer.file.rowCount
      rowGroups = footer.rowGroups
      uncheckedIndex = unsafe try footer.check(handle, source, path: path)
    } catch {
      unsafe CArrowParquetReaderFree(handle)
      throw error
    }
    unsafe self.handle = handle
    self.path = path
    self.source = source
  }

  deinit { unsafe CArrowParquetReaderFree(handle) }

  /// The figures of one leaf column in one row group.
  public func columnChunk(rowGroup: Int, leaf: Int) throws(FileFormatError) -> ParquetColumnChunk {
    guard rowGroups.indices.contains(rowGroup), leaves.indices.contains(leaf) else {
      throw invalid("no column chunk \(rowGroup), \(leaf)")
    }
    var chunk = unsafe CArrowColumnChunk()
    try callArrow(path: path, failure: source.failure) {
      unsafe CArrowParquetReaderColumnChunk(handle, Int32(rowGroup), Int32(leaf), &chunk, &$0)
    }
    return unsafe ParquetColumnChunk(chunk)
  }

  /// Whether a value may be in a column chunk, by its bloom filter; true where there is none.
  ///
  /// - Parameter value: in Parquet's plain encoding, byte arrays without a length.
  public func mayContain(
    _ value: [UInt8], rowGroup: Int, leaf: Int
  ) throws(FileFormatError) -> Bool {
    guard rowGroups.indices.contains(rowGroup), leaves.indices.contains(leaf) else {
      throw invalid("no column chunk \(rowGroup), \(leaf)")
    }
    var answer = true
    // A pointer even for no bytes.
    let bytes = value + [0]
    try callArrow(path: path, failure: source.failure) {
      unsafe CArrowParquetReaderMayContain(
        handle, Int32(rowGroup), Int32(leaf), bytes, Int64(value.count), &answer, &$0)
    }
    if !answer { try checkIndex() }
    return answer
  }

  /// The pages of a leaf column in one row group, by the page index. Empty where there is none, or one that
  /// cannot be right, and for columns in lists.
  public func pages(rowGroup: Int, leaf: Int) throws(FileFormatError) -> [ParquetPage] {
    guard rowGroups.indices.contains(rowGroup), leaves.indices.contains(leaf) else {
      throw invalid("no column chunk \(rowGroup), \(leaf)")
    }
    var count: Int32 = 0
    try callArrow(path: path, failure: source.failure) {
      unsafe CArrowParquetReaderPageCount(handle, Int32(rowGroup), Int32(leaf), &count, &$0)
    }
    if count > 0 { try checkIndex() }
    var pages: [ParquetPage] = []
    var end = rowGroups[rowGroup].rowCount
    for index in (0..<count).reversed() {
      var page = unsafe CArrowPage()
      try callArrow(path: path, failure: nil) {
        unsafe CArrowParquetReaderPage(handle, index, &page, &$0)
      }
      pages.append(unsafe ParquetPage(page, end: end))
      unsafe end = page.firstRow
    }
    return pages.reversed()
  }

  /// Throws when bloom filters or page index are not as they were written, as far as the footer tells. Once a
  /// file.
  private func checkIndex() throws(FileFormatError) {
    guard let range = uncheckedIndex, let digits = try metadata(ParquetChecksum.indexKey) else {
      return
    }
    do {
      guard try ParquetChecksum.isWhole(index: range, of: source.file, digits: digits) else {
        throw FileFormatError(
          .malformed, path: path,
          message: "bloom filters or page index are not as they were written")
      }
    } catch let error as StorageError {
      throw FileFormatError(error, path: path)
    } catch let error as FileFormatError { throw error } catch {
      throw FileFormatError(.malformed, path: path, message: "\(error)")
    }
    uncheckedIndex = nil
  }

  /// A value of the file's key-value metadata.
  public func metadata(_ key: String) throws(FileFormatError) -> String? {
    var text: UnsafePointer<CChar>?
    var length: Int64 = 0
    try callArrow(path: path, failure: nil) {
      unsafe CArrowParquetReaderMetadata(handle, key, &text, &length, &$0)
    }
    guard let text = unsafe text else { return nil }
    return unsafe String(
      decoding: UnsafeRawBufferPointer(start: text, count: Int(length)), as: UTF8.self)
  }

  /// Whether everything in the file has a checksum: then it is one of `ParquetWriter`'s, with footer checksums.
  func hasChecksums() throws(FileFormatError) -> Bool {
    let (footer, index) = (
      try metadata(ParquetChecksum.footerKey), try metadata(ParquetChecksum.indexKey)
    )
    return footer != nil && index != nil
  }

  /// Copies all row groups into a writer of the glue's; false, and nothing done, when it is to have other ones.
  func copyRowGroups(
    into writer: OpaquePointer?, failure: @autoclosure () -> StorageError?
  ) throws(FileFormatError) -> Bool {
    try checkIndex()
    var isCopied = false
    try callArrow(path: path, failure: source.failure ?? failure()) {
      unsafe CArrowParquetWriterCopy(writer, handle, &isCopied, &$0)
    }
    return isCopied
  }

  /// The rows, in the order of the file.
  ///
  /// - Parameters:
  ///   - columns: positions of top-level fields, in the order wanted; nil for all, empty for batches
  ///     that only count rows. No field twice.
  ///   - rowGroups: which row groups, ascending; nil for all.
  ///   - batchRows: the most rows of a batch; nil for as many as make about 16 MiB, 65,536 at most.
  public func batches(
    columns: [Int]? = nil, rowGroups: [Int]? = nil, batchRows: Int? = nil
  ) throws(FileFormatError) -> RecordBatchStream {
    let columns = columns ?? Array(schema.fields.indices)
    let groups = rowGroups ?? Array(self.rowGroups.indices)
    guard groups.allSatisfy(self.rowGroups.indices.contains) else {
      throw invalid("no such row groups: \(groups)")
    }
    let available = groups.reduce(Int64(0)) { $0 + self.rowGroups[$1].rowCount }
    let rows = try rowsOfBatch(batchRows, columns, firstRowGroup: groups.first, available)
    let fields = columns.map { Int32($0) }
    let groupNumbers = groups.map { Int32($0) }
    var stream = unsafe ArrowArrayStream()
    try callArrow(path: path, failure: source.failure) {
      unsafe CArrowParquetReaderScan(
        handle, fields, Int32(fields.count), groupNumbers, Int32(groupNumbers.count), rows,
        &stream, &$0)
    }
    return try unsafe RecordBatchStream(
      stream, source: source, path: path, schema: Schema(columns.map { schema.fields[$0] }))
  }

  /// The rows of these ranges, in the order of the file; pages that have none of them are neither decompressed
  /// nor decoded, where the page index tells.
  ///
  /// - Parameters:
  ///   - columns: as above.
  ///   - rows: ascending, apart from each other.
  /// - Returns: nil where that cannot be done: a column is nested or has to be converted.
  public func batches(
    columns: [Int], rows ranges: [ParquetRowRange], batchRows: Int? = nil
  ) throws(FileFormatError) -> RecordBatchStream? {
    guard ranges.allSatisfy({ rowGroups.indices.contains($0.rowGroup) }) else {
      throw invalid("no such row groups")
    }
    let available = ranges.reduce(Int64(0)) { $0.addingReportingOverflow(Int64($1.rows.count)).0 }
    let rows = try rowsOfBatch(batchRows, columns, firstRowGroup: ranges.first?.rowGroup, available)
    let fields = columns.map { Int32($0) }
    let cRanges = ranges.map {
      CArrowRowRange(
        rowGroup: Int32($0.rowGroup), firstRow: $0.rows.lowerBound, rowCount: Int64($0.rows.count))
    }
    try checkIndex()
    var isPossible = false
    var stream = unsafe ArrowArrayStream()
    try callArrow(path: path, failure: source.failure) {
      unsafe CArrowParquetReaderScanRows(
        handle, fields, Int32(fields.count), cRanges, Int32(cRanges.count), rows, &isPossible,
        &stream, &$0)
    }
    guard isPossible else { return nil }
    return try unsafe RecordBatchStream(
      stream, source: source, path: path, schema: Schema(columns.map { schema.fields[$0] }))
  }

  /// How many rows a batch has: what was asked for, else what makes about 16 MiB; never more than there are, for
  /// the decoder reserves memory for a whole batch, which of small files would be most of the cost.
  private func rowsOfBatch(
    _ wanted: Int?, _ columns: [Int], firstRowGroup: Int?, _ available: Int64
  ) throws(FileFormatError) -> Int64 {
    guard Set(columns).count == columns.count, columns.allSatisfy(schema.fields.indices.contains)
    else { throw invalid("no such choice of columns: \(columns)") }
    if let wanted, wanted < 1 { throw invalid("a batch has at least one row") }
    guard let wanted else {
      let rows = try standardBatchRows(columns: columns, firstRowGroup: firstRowGroup)
      return max(1, min(Int64(rows), available))
    }
    return max(1, min(Int64(wanted), available))
  }

  /// The rows of the fields with these ids, in this order.
  public func batches(
    fieldIDs: [Int32], rowGroups: [Int]? = nil, batchRows: Int? = nil
  ) throws(FileFormatError) -> RecordBatchStream {
    var columns: [Int] = []
    for id in fieldIDs {
      guard let index = schema.index(ofFieldID: id) else { throw invalid("no field with id \(id)") }
      columns.append(index)
    }
    return try batches(columns: columns, rowGroups: rowGroups, batchRows: batchRows)
  }

  /// So many rows that a batch takes about 16 MiB, going by the first row group.
  private func standardBatchRows(
    columns: [Int], firstRowGroup: Int?
  ) throws(FileFormatError) -> Int {
    guard let first = firstRowGroup, rowGroups[first].rowCount > 0 else { return 65_536 }
    let rows = rowGroups[first].rowCount
    var rowBytes: Int64 = 1
    let wanted = Set(columns)
    for (index, leaf) in leaves.enumerated() where wanted.contains(leaf.topLevelIndex) {
      let width = Int64(leaf.field.type.byteWidth ?? 1)
      if leaf.isRepeated || leaf.field.type.byteWidth == nil {
        let chunk = try columnChunk(rowGroup: first, leaf: index)
        rowBytes += max(width, chunk.uncompressedBytes.clamped / rows)
      } else {
        rowBytes += width
      }
    }
    return Int(max(64, min(65_536, (Int64(16) << 20) / rowBytes)))
  }

  private func invalid(_ message: String) -> FileFormatError {
    FileFormatError(.invalidArgument, path: path, message: message)
  }
}

extension Int64 {
  /// Between zero and a tebibyte: figures of a footer are claims.
  fileprivate var clamped: Int64 { Swift.min(Swift.max(self, 0), 1 << 40) }
}

/// What is read of a footer when a file is opened.
private struct Footer {
  let schema: Schema
  let leaves: [SchemaLeaf]
  let file: CArrowParquetFile
  let rowGroups: [ParquetRowGroup]

  init(_ handle: OpaquePointer, path: String) throws(FileFormatError) {
    var file = CArrowParquetFile()
    try callArrow(path: path, failure: nil) {
      unsafe CArrowParquetReaderFile(handle, &file, &$0)
    }
    var exported = unsafe ArrowSchema()
    try callArrow(path: path, failure: nil) {
      unsafe CArrowParquetReaderSchema(handle, &exported, &$0)
    }
    let schema = try unsafe importSchema(&exported, path: path)
    let leaves = schema.leaves
    guard leaves.count == Int(file.leafCount) else {
      throw FileFormatError(
        .malformed, path: path,
        message: "the schema has \(file.leafCount) leaf columns, not \(leaves.count)")
    }
    var rowGroups: [ParquetRowGroup] = []
    var firstRow: Int64 = 0
    for index in 0..<file.rowGroupCount {
      var group = CArrowRowGroup()
      try callArrow(path: path, failure: nil) {
        unsafe CArrowParquetReaderRowGroup(handle, index, &group, &$0)
      }
      let (next, overflow) = firstRow.addingReportingOverflow(group.rowCount)
      guard group.rowCount >= 0, !overflow else {
        throw FileFormatError(
          .malformed, path: path, message: "row group \(index) has \(group.rowCount) rows")
      }
      rowGroups.append(ParquetRowGroup(group, firstRow: firstRow))
      firstRow = next
    }
    guard firstRow == file.rowCount else {
      throw FileFormatError(
        .malformed, path: path, message: "\(file.rowCount) rows, but \(firstRow) in the row groups")
    }
    self.schema = schema
    self.leaves = leaves
    self.file = file
    self.rowGroups = rowGroups
  }

  /// Throws when the footer is not as it was written, as far as it tells; gives the place of what it
  /// describes beside the pages.
  func check(
    _ handle: OpaquePointer, _ source: FileSource, path: String
  ) throws(FileFormatError) -> Range<Int64>? {
    var start: UnsafeRawPointer?
    var (offset, length): (Int64, Int64) = (0, 0)
    try callArrow(path: path, failure: source.failure) {
      unsafe CArrowParquetReaderFooter(handle, &start, &offset, &length, &$0)
    }
    let bytes = unsafe UnsafeRawBufferPointer(start: start, count: Int(length))
    if unsafe ParquetChecksum.isWhole(footer: RawSpan(_unsafeBytes: bytes)) {
      return ParquetChecksum.index(before: offset..<(offset + length), rowGroups)
    }
    throw ParquetChecksum.mismatch(path)
  }
}
