import Columnar
import FileFormats
import Iceberg
import JSON
import Storage
import Testing

extension Table {
  /// An equality delete file with these columns, written.
  func equalityDeletes(
    _ name: String, ids: [Int32], _ schema: Schema, _ columns: [Column],
    specID: Int32 = 0, partition: [Literal?] = []
  ) throws -> DataFile {
    let location = metadata.dataFolder + "/\(name).parquet"
    let file = try io.create(location)
    let writer = try ParquetWriter(file: file, schema: schema)
    try writer.write(
      RecordBatch(schema: schema, columns: columns, rowCount: columns[0].count))
    let size = try writer.finish().fileSizeBytes
    try io.publish(file)
    var delete = DataFile(
      content: .equalityDeletes, path: location, specID: specID, partition: partition,
      recordCount: Int64(columns[0].count), fileSizeInBytes: size)
    delete.equalityIDs = ids
    return delete
  }

  func equalityDeletes(
    _ name: String, ids: [Int64?], specID: Int32 = 0, partition: [Literal?] = []
  ) throws -> DataFile {
    try equalityDeletes(
      name, ids: [1], Schema([Field("id", .int64, fieldID: 1)]), [longs(ids)], specID: specID,
      partition: partition)
  }

  /// A Puffin file with one deletion vector.
  func deletionVector(_ name: String, of path: String, _ positions: [Int64]) throws -> DataFile {
    let blob = DeletionVector.encode(try PositionBitmap(positions))
    let location = metadata.dataFolder + "/\(name).puffin"
    let footer: JSONValue = [
      "blobs": [
        [
          "type": "deletion-vector-v1", "fields": [2_147_483_645], "snapshot-id": -1,
          "sequence-number": -1, "offset": 4, "length": .integer(Int64(blob.count)),
          "properties": [
            "referenced-data-file": .string(path),
            "cardinality": .string(String(positions.count)),
          ],
        ]
      ]
    ]
    let payload = footer.utf8()
    let magic = Array("PFA1".utf8)
    let size = UInt32(payload.count)
    let bytes =
      magic + blob + magic + payload + (0..<4).map { UInt8(truncatingIfNeeded: size >> (8 * $0)) }
      + [0, 0, 0, 0] + magic
    #expect(try Puffin.blobs(bytes).map(\.byteOffset) == [4])
    try io.write(location, bytes)
    var delete = DataFile(
      content: .positionDeletes, path: location, format: .puffin,
      recordCount: Int64(positions.count), fileSizeInBytes: Int64(bytes.count))
    delete.referencedDataFile = path
    delete.contentOffset = 4
    delete.contentSizeInBytes = Int64(blob.count)
    return delete
  }
}

func longs(_ values: [Int64?]) -> Column {
  var builder = FixedWidthBuilder<Int64>(.int64, zero: 0)
  for value in values {
    if let value { builder.append(value) } else { builder.appendNull() }
  }
  return builder.finish()
}

@Suite struct DeleteReadingTests {
  let rows = (0..<20).map { (index: Int) -> Row in
    let x: Double? = index == 3 ? .nan : index == 4 ? nil : Double(index)
    let name: String? = index % 5 == 0 ? nil : "n\(index % 3)"
    return Row(id: Int64(index), ts: 0, x: x, name: name)
  }

  private func table(_ warehouse: Warehouse, formatVersion: Int = 2) throws -> Table {
    try warehouse.catalog.createTable(
      try TableIdentifier("db.t"),
      TableDefinition(schema: Warehouse.schema, formatVersion: formatVersion)
    ).writing(rows)
  }

  @Test func equalityDeletesRemoveRowsOfOlderCommitsOnly() throws {
    let warehouse = try Warehouse()
    var table = try table(warehouse)
    table = try table.deleting([try table.equalityDeletes("e", ids: [2, 5, 99])])
    table = try table.writing([Row(id: 5, ts: 1, x: nil, name: nil)])
    let found = try table.newScan().rows()
    #expect(found.map(\.id) == (0..<20).filter { $0 != 2 })
    #expect(found.first { $0.id == 5 }?.ts == 1)
    var scan = table.newScan()
    scan.columns = ["name"]
    let counts = try scan.planFiles().tasks.map { task in
      let file = try scan.batches(task)
      var count = 0
      while let batch = try file.next() {
        #expect(batch.schema.fields.map(\.name) == ["name"])
        count += batch.rowCount
      }
      return count
    }
    #expect(counts.reduce(0, +) == 19)
  }

  @Test func equalityDeletesCompareSeveralColumnsWithNullAndNaN() throws {
    let warehouse = try Warehouse()
    var table = try table(warehouse)
    var numbers = FixedWidthBuilder<Double>(.float64, zero: 0)
    var names = BytesBuilder(.string)
    numbers.append(.nan)  // row 3 has NaN and "n0"
    names.append("n0")
    numbers.appendNull()  // row 4 has null and "n1"
    names.append("n1")
    numbers.append(5)  // row 5 has 5 and null
    names.appendNull()
    numbers.append(6)  // row 6 has another name
    names.append("n1")
    table = try table.deleting([
      try table.equalityDeletes(
        "e", ids: [3, 4],
        Schema([Field("x", .float64, fieldID: 3), Field("name", .string, fieldID: 4)]),
        [numbers.finish(), names.finish()])
    ])
    #expect(try table.newScan().rows().map(\.id) == (0..<20).filter { ![3, 4, 5].contains($0) })
  }

  @Test func equalityDeletesOfAPartitionReachThatPartitionAlone() throws {
    let warehouse = try Warehouse()
    let spec = PartitionSpec(fields: [
      PartitionField(sourceID: 1, fieldID: 1000, name: "b", transform: .bucket(4))
    ])
    var table = try warehouse.table(spec: spec).writing(rows)
    let files = try table.newScan().planFiles().tasks.map(\.dataFile)
    #expect(files.count == 4)
    let one = try #require(files.first)
    let inside = try table.newScan().rowIDs(in: one)
    // All ids, but in one partition.
    table = try table.deleting([
      try table.equalityDeletes(
        "e", ids: (0..<20).map { Int64?($0) }, partition: one.partition)
    ])
    #expect(try table.newScan().rows().map(\.id) == (0..<20).filter { !inside.contains($0) })
  }

  @Test func equalityDeletesWithoutAPartitionReachAllSpecs() throws {
    let warehouse = try Warehouse()
    var table = try table(warehouse)
    let spec = PartitionSpec(fields: [
      PartitionField(sourceID: 1, fieldID: 1000, name: "b", transform: .bucket(4))
    ])
    var commit = table.newCommit()
    commit.update { _ throws(IcebergError) in
      [.addPartitionSpec(spec), .setDefaultPartitionSpec(id: nil)]
    }
    table = try commit.commit().table
    table = try table.writing((20..<40).map { Row(id: Int64($0), ts: 0, x: nil, name: nil) })
    table = try table.deleting([try table.equalityDeletes("e", ids: [1, 21, 22])])
    #expect(try table.newScan().rows().map(\.id) == (0..<40).filter { ![1, 21, 22].contains($0) })
  }

  @Test func equalityDeletesGoOnWhenTheirColumnIsDropped() throws {
    let warehouse = try Warehouse()
    var table = try table(warehouse)
    table = try table.deleting([try table.equalityDeletes("e", ids: [2])])
    let schema = TableSchema(fields: Warehouse.schema.fields.filter { $0.id != 1 })
    var commit = table.newCommit()
    commit.update { metadata throws(IcebergError) in
      [.addSchema(schema, lastColumnID: metadata.lastColumnID), .setCurrentSchema(id: nil)]
    }
    table = try commit.commit().table
    let scan = table.newScan()
    let task = try #require(try scan.planFiles().tasks.first)
    #expect(try scan.batches(task).next()?.rowCount == 19)
  }

  @Test func deletionVectorsReplacePositionDeletes() throws {
    let warehouse = try Warehouse()
    var table = try table(warehouse, formatVersion: 3)
    let file = try table.onlyFile()
    // Committed while the table was of version 2; the vector holds its position, too.
    table = try table.deleting([try table.positionDeletes("p", of: file.path, [1, 2])])
    table = try table.deleting([try table.deletionVector("v", of: file.path, [2, 7, 19])])
    #expect(try table.newScan().rows().map(\.id) == (0..<20).filter { ![2, 7, 19].contains($0) })
    let task = try #require(try table.newScan().planFiles().tasks.first)
    #expect(task.deletes.map(\.dataFile.isDeletionVector) == [true])
  }

  @Test func damagedDeletionVectorsAreErrors() throws {
    let warehouse = try Warehouse()
    let table = try table(warehouse, formatVersion: 3)
    let file = try table.onlyFile()
    let delete = try table.deletionVector("v", of: file.path, [2, 7, 19])
    for change in 0..<4 {
      var wrong = delete
      switch change {
      case 0: wrong.recordCount = 2
      case 1: wrong.contentOffset = 5
      case 2: wrong.contentSizeInBytes = 1 << 40
      default: wrong.path = file.path  // a Parquet file
      }
      let broken = try table.refresh().deleting([wrong])
      let error = #expect(throws: IcebergError.self) { try broken.newScan().rows() }
      #expect(error?.kind == .invalidMetadata, "change \(change)")
    }
  }

  @Test func metadataColumnsSayWhereARowIs() throws {
    let warehouse = try Warehouse()
    var table = try table(warehouse)
    let path = try table.onlyFile().path
    table = try table.deleting([try table.positionDeletes("p", of: path, [0, 2])])
    var scan = table.newScan()
    scan.columns = ["_pos", "id", "_file", "_spec_id", "_row_id"]
    scan.filter = .comparison("id", .less, .long(5))
    let task = try #require(try scan.planFiles().tasks.first)
    let batch = try #require(try scan.batches(task).next())
    #expect(batch.rowCount == 3)
    #expect(batch.columns[0].int64s == [1, 3, 4])
    #expect(batch.columns[2].string(at: 2) == path)
    #expect(batch.columns[3].int32s == [0, 0, 0])
    // Rows of format version 2 have no ids.
    #expect(batch.columns[4].nullCount == 3)
  }

  @Test func rowsOfVersionThreeKnowTheirIDsAndWhenTheyChanged() throws {
    let warehouse = try Warehouse()
    var table = try table(warehouse, formatVersion: 3)
    table = try table.writing(rows.map { Row(id: $0.id + 100, ts: 0, x: nil, name: nil) })
    var scan = table.newScan()
    scan.columns = ["id", "_row_id", "_last_updated_sequence_number"]
    var found: [Int64: (Int64, Int64)] = [:]
    for task in try scan.planFiles().tasks {
      let file = try scan.batches(task)
      while let batch = try file.next() {
        let (ids, rowIDs, numbers) = (
          batch.columns[0].int64s, batch.columns[1].int64s, batch.columns[2].int64s
        )
        for row in 0..<batch.rowCount { found[ids[row]] = (rowIDs[row], numbers[row]) }
      }
    }
    #expect(found.count == 40)
    for id in Int64(0)..<20 {
      #expect(found[id]?.0 == id && found[id]?.1 == 1)
      #expect(found[id + 100]?.0 == id + 20 && found[id + 100]?.1 == 2)
    }
  }
}

extension TableScan {
  func rowIDs(in file: DataFile) throws -> [Int64] {
    let batches = try batches(FileScanTask(dataFile: file, sequenceNumber: 1))
    var ids: [Int64] = []
    while let batch = try batches.next() { ids += rows(batch).map(\.id) }
    return ids
  }

  private func rows(_ batch: RecordBatch) -> [Row] { IcebergTests.rows(batch) }
}

extension Column {
  var int64s: [Int64] {
    let span = values(as: Int64.self)
    return (0..<count).map { span[$0] }
  }

  var int32s: [Int32] {
    let span = values(as: Int32.self)
    return (0..<count).map { span[$0] }
  }
}
