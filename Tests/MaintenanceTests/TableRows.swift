import Columnar
import Iceberg

/// Rows of the fixture's schema: (id, ts in microseconds, x, name).
struct TableRow: Hashable {
  var id: Int64
  var time: Int64
  var number: Double?
  var name: String?

  /// A row made from its id, with nulls here and there.
  init(_ id: Int64) {
    self.id = id
    time = id * 3_600_000_000
    number = id % 5 == 0 ? nil : Double(id) / 3
    name = id % 7 == 0 ? nil : "name \(id)"
  }

  init(id: Int64, time: Int64, number: Double?, name: String?) {
    self.id = id
    self.time = time
    self.number = number
    self.name = name
  }
}

func recordBatch(_ rows: [TableRow]) -> RecordBatch {
  var ids = FixedWidthBuilder<Int64>(.int64, zero: 0)
  var times = FixedWidthBuilder<Int64>(.timestamp(isUTC: true), zero: 0)
  var numbers = FixedWidthBuilder<Double>(.float64, zero: 0)
  var names = BytesBuilder(.string)
  for row in rows {
    ids.append(row.id)
    times.append(row.time)
    if let number = row.number { numbers.append(number) } else { numbers.appendNull() }
    if let name = row.name { names.append(name) } else { names.appendNull() }
  }
  let schema = Schema([
    Field("id", .int64, isNullable: false), Field("ts", .timestamp(isUTC: true), isNullable: false),
    Field("x", .float64), Field("name", .string),
  ])
  return RecordBatch(
    schema: schema, columns: [ids.finish(), times.finish(), numbers.finish(), names.finish()],
    rowCount: rows.count)
}

extension Table {
  /// Data files with the rows of these ids, one file an array.
  func writeFiles(_ ids: [[Int64]]) throws -> [DataFile] {
    var files: [DataFile] = []
    for ids in ids {
      let writer = try DataFileWriter(self)
      try writer.write(recordBatch(ids.map { TableRow($0) }))
      files += try writer.finish()
    }
    return files
  }

  func appending(_ ids: [Int64]) throws -> Table {
    try newAppend(try writeFiles([ids])).commit().table
  }

  /// As many appends of one file each.
  func appending(files count: Int, rowsEach: Int64 = 10) throws -> Table {
    var table = self
    for index in 0..<Int64(count) {
      table = try table.appending(Array((index * rowsEach)..<((index + 1) * rowsEach)))
    }
    return table
  }

  /// All rows, in the order of the scan's files.
  func allRows() throws -> [TableRow] {
    var rows: [TableRow] = []
    let scan = try refresh().newScan()
    for task in try scan.planFiles().tasks {
      let file = try scan.batches(task)
      while let batch = try file.next() { rows += batch.tableRows }
    }
    return rows
  }

  func sortedRows() throws -> [TableRow] { try allRows().sorted { $0.id < $1.id } }

  func dataFiles() throws -> [DataFile] {
    try refresh().newScan().planFiles().tasks.map(\.dataFile)
  }
}

extension RecordBatch {
  var tableRows: [TableRow] {
    let (idColumn, timeColumn, numberColumn) = (columns[0], columns[1], columns[2])
    let ids = idColumn.values(as: Int64.self)
    let times = timeColumn.values(as: Int64.self)
    let numbers = numberColumn.values(as: Double.self)
    var rows: [TableRow] = []
    for row in 0..<rowCount {
      rows.append(
        TableRow(
          id: ids[row], time: times[row], number: numberColumn.isNull(row) ? nil : numbers[row],
          name: columns[3].isNull(row) ? nil : columns[3].string(at: row)))
    }
    return rows
  }
}
