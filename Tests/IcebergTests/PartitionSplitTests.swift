import Columnar
import Iceberg
import Testing

/// Rows of many partitions, mixed: each file has those of one, in their order.
@Suite struct PartitionSplitTests {
  private static let specs = [
    [PartitionField(sourceID: 2, fieldID: 1000, name: "day", transform: .day)],
    [
      PartitionField(sourceID: 4, fieldID: 1000, name: "name", transform: .identity),
      PartitionField(sourceID: 1, fieldID: 1001, name: "bucket", transform: .bucket(3)),
    ],
    [
      PartitionField(sourceID: 3, fieldID: 1000, name: "x", transform: .identity),
      PartitionField(sourceID: 2, fieldID: 1001, name: "gone", transform: .void),
    ],
  ]

  @Test(arguments: specs) func rowsGoToTheFilesOfTheirPartitions(
    fields: [PartitionField]
  ) throws {
    let warehouse = try Warehouse()
    var table = try warehouse.table(spec: PartitionSpec(specID: 0, fields: fields))
    var rows: [Row] = []
    for index in 0..<600 {
      let x: Double? = index % 4 == 0 ? nil : Double(index % 3)
      let name: String? = index % 7 == 0 ? nil : "n\(index % 2)"
      let day = Int64(index * 7 % 5)
      rows.append(Row(id: Int64(index), ts: day * 86_400_000_000, x: x, name: name))
    }
    table = try table.writing(rows)
    var found: [Row] = []
    var partitions: Set<[Literal?]> = []
    for task in try table.newScan().planFiles().tasks {
      #expect(partitions.insert(task.dataFile.partition).inserted, "one file a partition")
      let batches = try table.newScan().batches(task)
      var own: [Row] = []
      while let batch = try batches.next() { own += IcebergTests.rows(batch) }
      #expect(own == own.sorted(), "rows stay in their order")
      for row in own { #expect(try partition(row, fields) == task.dataFile.partition) }
      found += own
    }
    #expect(found.sorted() == rows)
    #expect(try partitions == Set(rows.map { try partition($0, fields) }))
  }

  /// By the transforms of single values.
  private func partition(_ row: Row, _ fields: [PartitionField]) throws -> [Literal?] {
    try fields.map { field in
      let value: Literal? =
        switch field.sourceID {
        case 1: .long(row.id)
        case 2: .timestamptz(row.ts)
        case 3: row.x.map { .double($0) }
        default: row.name.map { .string($0) }
        }
      return try field.transform.apply(value)
    }
  }
}
