import BenchmarkSupport
import Columnar
import Glibc
import Iceberg
import Storage

/// A table of many small files, and what maintenance does with it: the part of `make bench-maintenance` that is
/// fstore's own. Each command prints one JSON object; Benchmarks/maintenance/run.py compares it with its peers.
@main struct MaintenanceBenchmark {
  static func main() {
    Benchmark.run { arguments in
      switch arguments.first {
      case "prepare" where arguments.count == 4:
        try prepare(arguments[1], files: number(arguments[2]), rows: number(arguments[3]))
      case "optimize" where arguments.count >= 2:
        try optimize(arguments[1], Array(arguments.dropFirst(2)))
      case "restore" where arguments.count == 2: try restore(arguments[1])
      case "history" where arguments.count == 4:
        try history(arguments[1], files: number(arguments[2]), snapshots: number(arguments[3]))
      case "vacuum" where arguments.count == 2: try vacuum(arguments[1])
      case "simulate" where arguments.count == 3:
        try simulate(arguments[1], files: number(arguments[2]))
      case "simulate-compaction" where arguments.count == 2: try simulateCompaction(arguments[1])
      default:
        throw Failure(
          message: "usage: maintenance-benchmark prepare DIRECTORY FILES ROWS | optimize DIRECTORY "
            + "[NAME=VALUE...] | restore DIRECTORY | history DIRECTORY FILES SNAPSHOTS | vacuum "
            + "DIRECTORY | simulate DIRECTORY FILES | simulate-compaction DIRECTORY")
      }
    }
  }

  static func catalog(_ directory: String) throws -> SQLiteCatalog {
    try SQLiteCatalog(
      databasePath: directory + "/catalog.db", name: "bench", warehouse: directory + "/warehouse",
      io: try FileIO(fileSystem: POSIXFileSystem()), clock: SystemClock())
  }

  static func identifier() throws -> TableIdentifier { try TableIdentifier("bench.orders") }

  static func seconds() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
  }

  /// CPU seconds and the peak resident set, in MiB.
  static func usage() -> (cpu: Double, peak: Double) {
    var usage = rusage()
    getrusage(0, &usage)  // RUSAGE_SELF, which C has as an enumeration
    let cpu =
      Double(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec)
      + Double(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6
    return (cpu, Double(usage.ru_maxrss) / 1024)
  }

  // MARK: Data

  /// Records as SageMaker's offline store has them: 10 features, three times, a deletion mark.
  static let schema = TableSchema(
    fields: [
      .required(1, "record_id", .string), .required(2, "event_time", .timestamptz),
      .optional(3, "f1", .double), .optional(4, "f2", .double), .optional(5, "f3", .double),
      .optional(6, "f4", .double), .optional(7, "f5", .double), .optional(8, "f6", .double),
      .optional(9, "i1", .long), .optional(10, "i2", .long), .optional(11, "s1", .string),
      .optional(12, "b1", .boolean), .required(13, "write_time", .timestamptz),
      .required(14, "api_invocation_time", .timestamptz), .required(15, "is_deleted", .boolean),
    ])

  static func batch(
    _ rowCount: Int, from first: Int, of total: Int, _ random: inout Generator
  ) -> RecordBatch {
    var ids = BytesBuilder(.string)
    let time = DataType.timestamp(isUTC: true)
    var times = (0..<3).map { _ in FixedWidthBuilder<Int64>(time, zero: 0) }
    var doubles = (0..<6).map { _ in FixedWidthBuilder<Double>(.float64, zero: 0) }
    var longs = (0..<2).map { _ in FixedWidthBuilder<Int64>(.int64, zero: 0) }
    var texts = BytesBuilder(.string)
    var flags = BooleanBuilder()
    var deletions = BooleanBuilder()
    let keys = max(1, total / 10)
    for row in first..<(first + rowCount) {
      ids.append("record-\(random.below(keys))")
      let event = 1_767_225_600_000_000 + Int64(row) * 3_900_000
      let written = event + 1_000_000 + Int64(random.below(5_000_000))
      times[0].append(event - Int64(random.below(3_600_000_000)))
      times[1].append(written + 400_000_000)
      times[2].append(written)
      for index in doubles.indices {
        if random.below(20) == 0 {
          doubles[index].appendNull()
        } else {
          let value = index == 0 ? random.normal() : random.unit() * 100
          doubles[index].append(index < 2 ? value : (value * 100).rounded() / 100)
        }
      }
      longs[0].append(Int64(random.below(1000)))
      longs[1].append(Int64(random.below(1_000_000)))
      if random.below(33) == 0 {
        texts.appendNull()
      } else {
        texts.append("category-\(random.below(50))")
      }
      flags.append(random.below(2) == 0)
      deletions.append(random.below(20) == 0)
    }
    let columns =
      [ids.finish(), times[0].finish()] + doubles.indices.map { doubles[$0].finish() }
      + longs.indices.map { longs[$0].finish() }
      + [
        texts.finish(), flags.finish(), times[1].finish(), times[2].finish(), deletions.finish(),
      ]
    return RecordBatch(schema: schema.columnarSchema, columns: columns, rowCount: rowCount)
  }

  // MARK: Commands

  /// A new table of so many files of so many rows, in one commit.
  static func prepare(_ directory: String, files: Int, rows: Int) throws {
    let catalog = try catalog(directory)
    try catalog.createNamespace(try Namespace("bench"))
    let table = try catalog.createTable(try identifier(), TableDefinition(schema: schema))
    var random = Generator()
    var written: [DataFile] = []
    for file in 0..<files {
      let writer = try DataFileWriter(table)
      try writer.write(batch(rows, from: file * rows, of: files * rows, &random))
      written += try writer.finish()
    }
    let bytes = written.reduce(0) { $0 + $1.fileSizeInBytes }
    _ = try table.newAppend(written).commit()
    print(#"{"files": \#(files), "rows": \#(files * rows), "bytes": \#(bytes)}"#)
  }

  /// Compaction of the whole table, planning and commit included.
  static func optimize(_ directory: String, _ pairs: [String]) throws {
    var options: [String: String] = [:]
    for pair in pairs {
      let parts = pair.split(separator: "=", maxSplits: 1)
      guard parts.count == 2 else { throw Failure(message: "'\(pair)' is no NAME=VALUE") }
      options[String(parts[0])] = String(parts[1])
    }
    let start = seconds()
    let table = try catalog(directory).loadTable(try identifier())
    let rewrite = try RewriteDataFiles(
      table, options: RewriteDataFilesOptions(options, tableProperties: table.properties))
    let plan = try rewrite.plan()
    let planned = seconds()
    let result = plan.files.isCut ? try rewrite.run() : try rewrite.execute(plan)
    let end = seconds()
    let used = usage()
    let added = try result.table.newScan().planFiles().tasks.map { #""\#($0.dataFile.path)""# }
    print(
      #"{"seconds": \#(end - start), "planning": \#(planned - start), "cpu": \#(used.cpu), "#
        + #""peak-mib": \#(used.peak), "files-before": \#(result.rewrittenFileCount), "#
        + #""files-copied": \#(result.copiedFileCount), "#
        + #""files-after": \#(result.addedFileCount), "bytes-before": \#(result.rewrittenBytes), "#
        + #""bytes-after": \#(result.addedBytes), "rows": \#(result.rowCount), "#
        + #""paths": [\#(added.joined(separator: ", "))]}"#)
  }

  /// Makes the first snapshot the current one again; its files are all still there.
  static func restore(_ directory: String) throws {
    let table = try catalog(directory).loadTable(try identifier())
    guard let first = table.metadata.snapshots.first else { throw Failure(message: "no snapshot") }
    var commit = table.newCommit()
    commit.setCurrentSnapshot(first.snapshotID)
    _ = try commit.commit()
    print("{}")
  }
}
