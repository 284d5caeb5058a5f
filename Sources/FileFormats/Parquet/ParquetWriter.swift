import CArrow
public import Columnar
public import Storage

/// Writes one Parquet file into a file that the caller has created and will synchronize and close.
///
/// Memory: the compressed pages of the open row group (`bufferedBytes`). Without `finish()` the file
/// is not a Parquet file. After an error the writer is of no more use.
///
/// Used by one thread at a time.
@safe public final class ParquetWriter {
  public let schema: Schema
  private let path: String
  private let leaves: [SchemaLeaf]
  private let sink: FileSink
  private let hasFooterChecksums: Bool
  private var handle: OpaquePointer?
  private var isFinished = false

  /// Writes nothing but the magic bytes yet, and those not before there is more.
  public init(
    file: any File, schema: Schema, options: ParquetWriterOptions = ParquetWriterOptions()
  ) throws(FileFormatError) {
    self.schema = schema
    path = file.path
    leaves = schema.leaves
    sink = FileSink(file)
    hasFooterChecksums = options.hasFooterChecksums
    let columns = leaves.map { options.column($0) }
    try ParquetWriter.check(options, leaves: leaves, columns: columns, path: file.path)
    var uuids: Set<[String]> = []
    for (leaf, column) in zip(leaves, columns) where column.isUUID { uuids.insert(leaf.path) }
    var exported = unsafe exportSchema(schema, uuids: uuids)
    let sink = sink
    var opened: OpaquePointer?
    try callArrow(path: file.path, failure: sink.failure) { status in
      unsafe options.withCOptions(columns) { cOptions in
        var cOptions = unsafe cOptions
        return unsafe CArrowParquetWriterOpen(
          sink.sink(), &exported, &cOptions, &opened, &status)
      }
    }
    unsafe handle = opened
  }

  deinit { unsafe CArrowParquetWriterFree(handle) }

  /// Adds rows. Their schema may have other names and ids, but must have the writer's types.
  public func write(_ batch: RecordBatch) throws(FileFormatError) {
    try checkOpen()
    try check(batch)
    var array = unsafe exportBatch(batch)
    try callArrow(path: path, failure: sink.failure) {
      unsafe CArrowParquetWriterWrite(handle, &array, &$0)
    }
  }

  /// Ends the row group: the next rows begin another. Does nothing when there are no rows in it.
  public func endRowGroup() throws(FileFormatError) {
    try checkOpen()
    try callArrow(path: path, failure: sink.failure) {
      unsafe CArrowParquetWriterEndRowGroup(handle, &$0)
    }
  }

  /// Puts all row groups of another file behind those that are there, their pages byte for byte: nothing is
  /// decompressed or decoded, but every checksum is compared. Statistics, page indexes and bloom filters come along.
  ///
  /// Rows may be written afterwards. Memory: a column chunk, the bloom filters of all that was copied, and, of what is
  /// written afterwards, the open row group once more.
  ///
  /// - Returns: false, and nothing has happened, when the file has other columns, another compression, or fewer
  ///   indexes or checksums than this one is to have; or rows were written before anything was copied.
  public func copyRowGroups(of reader: ParquetReader) throws(FileFormatError) -> Bool {
    try checkOpen()
    guard try reader.hasChecksums() else { return false }
    return try unsafe reader.copyRowGroups(into: handle, failure: sink.failure)
  }

  /// Bytes that the open row group holds in memory.
  public var bufferedBytes: Int64 {
    isFinished ? 0 : unsafe CArrowParquetWriterBufferedBytes(handle)
  }

  /// Writes what is left and the footer. Nothing is synchronized: that is the caller's to do.
  public func finish() throws(FileFormatError) -> ParquetFileSummary {
    try checkOpen()
    isFinished = true
    var file = CArrowParquetFile()
    var fileSizeBytes: Int64 = 0
    try callArrow(path: path, failure: sink.failure) {
      unsafe CArrowParquetWriterFinish(handle, &file, &fileSizeBytes, &$0)
    }
    var rowGroups: [ParquetRowGroup] = []
    var chunks: [[ParquetColumnChunk]] = Array(repeating: [], count: leaves.count)
    var firstRow: Int64 = 0
    for index in 0..<file.rowGroupCount {
      var group = CArrowRowGroup()
      try callArrow(path: path, failure: nil) {
        unsafe CArrowParquetWriterRowGroup(handle, index, &group, &$0)
      }
      rowGroups.append(ParquetRowGroup(group, firstRow: firstRow))
      firstRow += group.rowCount
      for leaf in leaves.indices {
        var chunk = unsafe CArrowColumnChunk()
        try callArrow(path: path, failure: nil) {
          unsafe CArrowParquetWriterColumnChunk(handle, index, Int32(leaf), &chunk, &$0)
        }
        unsafe chunks[leaf].append(ParquetColumnChunk(chunk))
      }
    }
    if hasFooterChecksums {
      do {
        try ParquetChecksum.seal(sink.file, sizeBytes: fileSizeBytes, rowGroups: rowGroups)
      } catch { throw FileFormatError(error, path: path) }
    }
    return ParquetFileSummary(
      fileSizeBytes: fileSizeBytes, rowCount: file.rowCount, rowGroups: rowGroups,
      columns: zip(leaves, chunks).map { ParquetColumnSummary($0, chunks: $1) })
  }

  private func checkOpen() throws(FileFormatError) {
    if isFinished {
      throw FileFormatError(.invalidArgument, path: path, message: "the file is finished already")
    }
  }

  private func check(_ batch: RecordBatch) throws(FileFormatError) {
    guard batch.columns.count == schema.fields.count else {
      throw FileFormatError(
        .invalidArgument, path: path,
        message: "a batch of \(batch.columns.count) columns, not \(schema.fields.count)")
    }
    for (field, column) in zip(schema.fields, batch.columns) {
      guard field.type.hasLayout(of: column.type) else {
        throw FileFormatError(
          .invalidArgument, path: path,
          message: "column '\(field.name)' is \(field.type), the batch has \(column.type)")
      }
      if let name = column.nullInRequired(field) {
        throw FileFormatError(
          .invalidArgument, path: path, message: "column '\(name)' is required but has a null")
      }
    }
  }

  private static func check(
    _ options: ParquetWriterOptions, leaves: [SchemaLeaf], columns: [ParquetColumnOptions],
    path: String
  ) throws(FileFormatError) {
    func refuse(_ message: String) -> FileFormatError {
      FileFormatError(.invalidArgument, path: path, message: message)
    }
    guard options.rowGroupRows > 0 else { throw refuse("a row group has at least one row") }
    guard options.pageBytes > 0 else { throw refuse("a page has at least one byte") }
    guard options.pageRows > 0 else { throw refuse("a page has at least one row") }
    guard options.dictionaryBytes > 0 else { throw refuse("a dictionary has at least one byte") }
    for (leaf, column) in zip(leaves, columns) {
      if column.isUUID, leaf.field.type != .fixedSizeBinary(16) {
        throw refuse("column '\(leaf.path.joined(separator: "."))' is no UUID")
      }
      if let bloom = column.bloomFilter {
        let probability = bloom.falsePositiveProbability
        guard probability > 0, probability < 1, leaf.field.type != .boolean else {
          throw refuse("no bloom filter for '\(leaf.path.joined(separator: "."))'")
        }
      }
    }
  }
}

extension DataType {
  /// Whether values of the two types lie the same way in memory and mean the same: names, ids and
  /// nullability of children may differ.
  func hasLayout(of other: DataType) -> Bool {
    switch (self, other) {
    case (.list(let left), .list(let right)): left.type.hasLayout(of: right.type)
    case (.structure(let left), .structure(let right)):
      left.count == right.count && zip(left, right).allSatisfy { $0.type.hasLayout(of: $1.type) }
    case (.map(let key, let value), .map(let otherKey, let otherValue)):
      key.type.hasLayout(of: otherKey.type) && value.type.hasLayout(of: otherValue.type)
    default: self == other
    }
  }
}

extension Column {
  /// The first column from here down that has nulls although its field is required.
  fileprivate func nullInRequired(_ field: Field) -> String? {
    if !field.isNullable, nullCount > 0 { return field.name }
    switch field.type {
    case .structure(let fields) where nullCount == 0:
      for (child, column) in zip(fields, children) {
        let used = column.slice(offset..<(offset + count))
        if let name = used.nullInRequired(child) { return name }
      }
      return nil
    default: return nil
    }
  }
}
