import Columnar
import FileFormats

/// Writes delete files for rows found by position: in format version 2 one Parquet file a data file,
/// in version 3 one Puffin file with a deletion vector a data file. They are durable, and belong to
/// nobody until a commit adds them.
struct DeleteWriter {
  private let table: Table
  private(set) var written: [DataFile] = []
  private var puffin = PuffinWriter()
  /// The vectors in the open Puffin file.
  private var vectors: [DataFile] = []

  /// A Puffin file is ended when it has so many bytes.
  private static let targetSizeBytes = 64 << 20

  init(_ table: Table) { self.table = table }

  /// - Parameter positions: in version 3 all deleted rows of the file, those of before included.
  mutating func add(
    _ positions: PositionBitmap, of file: DataFile
  ) throws(IcebergError) {
    guard table.metadata.formatVersion >= 3 else {
      written.append(try writePositions(positions, of: file))
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

  mutating func finish() throws(IcebergError) -> [DataFile] {
    try endPuffin()
    return written
  }

  /// Removes everything that was written.
  func abandon() { table.io.deleteAll(Set(written.map(\.path))) }

  private mutating func endPuffin() throws(IcebergError) {
    guard !vectors.isEmpty else { return }
    let location = Location.join(
      table.metadata.dataFolder, "\(RandomIdentifier.uuid())-deletes.puffin")
    let bytes = puffin.finish()
    try table.io.write(location, bytes)
    for var vector in vectors {
      vector.path = location
      vector.fileSizeInBytes = Int64(bytes.count)
      written.append(vector)
    }
    puffin = PuffinWriter()
    vectors = []
  }

  private func writePositions(
    _ positions: PositionBitmap, of file: DataFile
  ) throws(IcebergError) -> DataFile {
    let spec = table.metadata.partitionSpec(id: file.specID) ?? .unpartitioned
    let folder = PartitionPath.text(spec, file.partition)
    let name = "\(RandomIdentifier.uuid())-deletes.parquet"
    let location = Location.join(
      table.metadata.dataFolder, folder.isEmpty ? name : folder + "/" + name)
    let rows = positions.positions
    let fields = [MetadataColumn.deletedPath.field, MetadataColumn.deletedPosition.field]
    let schema = TableSchema(fields: fields)
    let columns = schema.columnarSchema
    let batch = RecordBatch(
      schema: columns,
      columns: [
        try .constant(.string(file.path), type: .string, count: rows.count),
        Column(type: .int64, count: rows.count, buffers: [Buffer(copying: rows)]),
      ], rowCount: rows.count)
    let output = try table.io.create(location)
    do {
      var options = ParquetWriterOptions()
      options.hasFooterChecksums = true
      let writer = try ParquetWriter(file: output, schema: columns, options: options)
      try writer.write(batch)
      let summary = try writer.finish()
      try table.io.publish(output)
      var delete = DataFile(
        content: .positionDeletes, path: location, specID: file.specID, partition: file.partition,
        recordCount: Int64(rows.count), fileSizeInBytes: summary.fileSizeBytes)
      // Whole paths: a reader finds the one data file by equal bounds.
      var metrics = MetricsCollector(
        schema: schema, configuration: MetricsConfiguration(defaultMode: .full))
      try metrics.add(batch)
      metrics.apply(to: &delete)
      delete.splitOffsets = summary.splitOffsets
      for column in summary.columns {
        if let id = column.leaf.field.fieldID { delete.columnSizes[id] = column.compressedBytes }
      }
      delete.referencedDataFile = file.path
      return delete
    } catch {
      table.io.abandon(output)
      if let error = error as? FileFormatError { throw IcebergError(error) }
      throw error as? IcebergError ?? IcebergError(.inputOutput, "\(error)")
    }
  }
}
