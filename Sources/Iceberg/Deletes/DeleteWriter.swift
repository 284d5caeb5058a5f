import Columnar
import FileFormats

/// Writes delete files for rows found by position: in format version 2 one Parquet file a data file,
/// in version 3 one Puffin file with a deletion vector a data file. They are durable when `finish` has
/// returned, and belong to nobody until a commit adds them.
struct DeleteWriter {
  private let table: Table
  private(set) var written: [DataFile] = []
  private let unpublished: UnpublishedFiles
  private var puffin = PuffinWriter()
  /// The vectors in the open Puffin file.
  private var vectors: [DataFile] = []

  /// A Puffin file is ended when it has so many bytes.
  private static let targetSizeBytes = 64 << 20

  init(_ table: Table) {
    self.table = table
    unpublished = UnpublishedFiles(table.io)
  }

  /// - Parameter positions: in version 3 all deleted rows of the file, those of before included.
  mutating func add(
    _ positions: PositionBitmap, of file: DataFile
  ) throws(IcebergError) {
    guard table.metadata.formatVersion >= 3 else {
      written.append(try writePositions([(file, positions)]))
      return
    }
    let blob = puffin.add(
      DeletionVector.encode(positions), type: DeletionVector.blobType,
      fields: [MetadataColumn.position.rawValue],
      properties: [
        "referenced-data-file": file.path, "cardinality": String(positions.count),
      ])
    var vector = DataFile(
      content: .positionDeletes, path: "", format: .puffin, specID: file.specID,
      partition: file.partition, recordCount: positions.count, fileSizeInBytes: 0)
    vector.referencedDataFile = file.path
    vector.contentOffset = blob.byteOffset
    vector.contentSizeInBytes = blob.sizeBytes
    vectors.append(vector)
    if puffin.bytes.count >= DeleteWriter.targetSizeBytes { try endPuffin() }
  }

  /// Writes files for several data files of one partition together, in format version 2.
  ///
  /// - Parameter parts: the rows of each data file, sorted by its path.
  mutating func add(
    _ parts: [(file: DataFile, rows: PositionBitmap)], rowsPerFile: Int64
  ) throws(IcebergError) {
    var open: [(file: DataFile, rows: PositionBitmap)] = []
    var count: Int64 = 0
    for part in parts {
      if !open.isEmpty, count.addingSaturated(part.rows.count) > rowsPerFile {
        written.append(try writePositions(open))
        open = []
        count = 0
      }
      open.append(part)
      count = count.addingSaturated(part.rows.count)
    }
    if !open.isEmpty { written.append(try writePositions(open)) }
  }

  mutating func finish() throws(IcebergError) -> [DataFile] {
    try endPuffin()
    try unpublished.publish()
    return written
  }

  /// Removes everything that was written.
  func abandon() { table.io.deleteAll(Set(written.map(\.path))) }

  private mutating func endPuffin() throws(IcebergError) {
    guard !vectors.isEmpty else { return }
    let location = Location.join(
      table.metadata.dataFolder, "\(RandomIdentifier.uuid())-deletes.puffin")
    let bytes = puffin.finish()
    try unpublished.write(location, bytes)
    for var vector in vectors {
      vector.path = location
      vector.fileSizeInBytes = Int64(bytes.count)
      written.append(vector)
    }
    puffin = PuffinWriter()
    vectors = []
  }

  /// - Parameter parts: at least one.
  private func writePositions(
    _ parts: [(file: DataFile, rows: PositionBitmap)]
  ) throws(IcebergError) -> DataFile {
    let first = parts[0].file
    let spec = table.metadata.partitionSpec(id: first.specID) ?? .unpartitioned
    let folder = PartitionPath.text(spec, first.partition)
    let name = "\(RandomIdentifier.uuid())-deletes.parquet"
    let location = Location.join(
      table.metadata.dataFolder, folder.isEmpty ? name : folder + "/" + name)
    let fields = [MetadataColumn.deletedPath.field, MetadataColumn.deletedPosition.field]
    let schema = TableSchema(fields: fields)
    let columns = schema.columnarSchema
    let output = try table.io.create(location)
    do {
      var options = ParquetWriterOptions()
      options.hasFooterChecksums = true
      let writer = try ParquetWriter(file: output, schema: columns, options: options)
      // Whole paths: a reader finds the one data file by equal bounds.
      var metrics = MetricsCollector(
        schema: schema, configuration: MetricsConfiguration(defaultMode: .full))
      var count: Int64 = 0
      for part in parts {
        let rows = part.rows.positions
        let batch = RecordBatch(
          schema: columns,
          columns: [
            try .constant(.string(part.file.path), type: .string, count: rows.count),
            Column(type: .int64, count: rows.count, buffers: [Buffer(copying: rows)]),
          ], rowCount: rows.count)
        try writer.write(batch)
        try metrics.add(batch)
        count += Int64(rows.count)
      }
      let summary = try writer.finish()
      try unpublished.add(output)
      var delete = DataFile(
        content: .positionDeletes, path: location, specID: first.specID,
        partition: first.partition, recordCount: count, fileSizeInBytes: summary.fileSizeBytes)
      metrics.apply(to: &delete)
      delete.splitOffsets = summary.splitOffsets
      for column in summary.columns {
        if let id = column.leaf.field.fieldID { delete.columnSizes[id] = column.compressedBytes }
      }
      if parts.count == 1 { delete.referencedDataFile = first.path }
      return delete
    } catch {
      table.io.abandon(output)
      if let error = error as? FileFormatError { throw IcebergError(error) }
      throw error as? IcebergError ?? IcebergError(.inputOutput, "\(error)")
    }
  }
}
