import BenchmarkSupport
import Columnar
import FeatureModel
import FeatureStore
import Iceberg
import Storage

/// A store with one group whose offline table has many small files, for Benchmarks/maintenance/latest.py.
@main struct LatestBenchmark {
  static func main() {
    Benchmark.run { arguments in
      switch arguments.first {
      case "prepare" where arguments.count == 4:
        try prepare(arguments[1], files: number(arguments[2]), rows: number(arguments[3]))
      case "restore" where arguments.count == 2: try restore(arguments[1])
      case "files" where arguments.count == 2: try printFiles(arguments[1])
      default:
        throw Failure(
          message: "usage: latest-benchmark prepare STORE FILES ROWS | restore STORE | files STORE")
      }
    }
  }

  static func open(_ directory: String) throws -> FeatureStore {
    var options = FeatureStore.Options()
    options.flushesAutomatically = false
    return try FeatureStore.open(at: directory, options: options)
  }

  static func group() throws -> FeatureGroup {
    try FeatureGroup(
      id: 0, name: "orders", recordIdentifiers: [Feature("record_id", .string)],
      eventTimeName: "event_time",
      features: (1...6).map { Feature("f\($0)", .double) } + [
        Feature("i1", .long), Feature("i2", .long), Feature("s1", .string), Feature("b1", .boolean),
      ])
  }

  /// Rows in the order of their writing, up to an hour late, ten of a key; one in twenty a tombstone.
  static func batch(
    _ schema: Schema, _ rowCount: Int, from first: Int, of total: Int, _ random: inout Generator
  ) -> RecordBatch {
    let time = DataType.timestamp(isUTC: true)
    var ids = BytesBuilder(.string)
    var times = (0..<2).map { _ in FixedWidthBuilder<Int64>(time, zero: 0) }
    var doubles = (0..<6).map { _ in FixedWidthBuilder<Double>(.float64, zero: 0) }
    var longs = (0..<3).map { _ in FixedWidthBuilder<Int64>(.int64, zero: 0) }
    var texts = BytesBuilder(.string)
    var flags = (0..<2).map { _ in BooleanBuilder() }
    let keys = max(1, total / 10)
    for row in first..<(first + rowCount) {
      ids.append("record-\(random.below(keys))")
      let written = 1_767_225_600_000_000 + Int64(row) * 3_900_000
      times[0].append(written - Int64(random.below(3_600_000_000)))
      times[1].append(written)
      let isDeleted = random.below(20) == 0
      for index in doubles.indices {
        if isDeleted || random.below(20) == 0 {
          doubles[index].appendNull()
        } else {
          doubles[index].append(random.unit() * 100)
        }
      }
      longs[0].append(Int64(random.below(1000)))
      longs[1].append(Int64(random.below(1_000_000)))
      longs[2].append(Int64(row + 1))
      texts.append("category-\(random.below(50))")
      flags[0].append(random.below(2) == 0)
      flags[1].append(isDeleted)
    }
    var columns = ["record_id": ids.finish(), "event_time": times[0].finish()]
    for index in 0..<6 { columns["f\(index + 1)"] = doubles[index].finish() }
    columns["i1"] = longs[0].finish()
    columns["i2"] = longs[1].finish()
    columns["lsn"] = longs[2].finish()
    columns["s1"] = texts.finish()
    columns["b1"] = flags[0].finish()
    columns["is_deleted"] = flags[1].finish()
    columns["write_time"] = times[1].finish()
    return RecordBatch(
      schema: schema,
      columns: schema.fields.map { columns[$0.name] ?? .nulls($0.type, count: rowCount) },
      rowCount: rowCount)
  }

  /// A new store whose table has so many files of so many rows, in one commit.
  static func prepare(_ directory: String, files: Int, rows: Int) throws {
    try FeatureStore.create(at: directory)
    let store = try open(directory)
    try store.createGroup(group())
    let table = try store.offlineTable("orders")
    var random = Generator()
    var written: [DataFile] = []
    for file in 0..<files {
      let writer = try DataFileWriter(table)
      try writer.write(
        batch(table.schema.columnarSchema, rows, from: file * rows, of: files * rows, &random))
      written += try writer.finish()
    }
    _ = try table.newAppend(written).commit()
    try store.close()
  }

  /// Makes the first snapshot the current one again; its files are all still there.
  static func restore(_ directory: String) throws {
    let store = try open(directory)
    let table = try store.offlineTable("orders")
    guard let first = table.metadata.snapshots.first else { throw Failure(message: "no snapshot") }
    var commit = table.newCommit()
    commit.setCurrentSnapshot(first.snapshotID)
    _ = try commit.commit()
    try store.close()
  }

  /// The table's files, one a line.
  static func printFiles(_ directory: String) throws {
    let store = try open(directory)
    for file in try store.dataFiles("orders") {
      print(file.path.hasPrefix("file://") ? String(file.path.dropFirst(7)) : file.path)
    }
    try store.close()
  }
}
