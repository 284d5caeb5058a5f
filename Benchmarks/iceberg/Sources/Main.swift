import BenchmarkSupport
import Glibc
import Iceberg
import Storage

/// What `make bench-iceberg` measures of the Iceberg library. Each command prints one JSON object;
/// Benchmarks/iceberg/run.py compares it with its peers.
@main struct IcebergBenchmark {
  static let usage = """
    usage: iceberg-benchmark rows FILE COUNT | commits DIRECTORY ROWS-FILE COUNT
      | append DIRECTORY ROWS-FILE | scan DIRECTORY THREADS | files DIRECTORY COUNT PARTITIONS
      | plan DIRECTORY THREADS [DAY] | simulate DIRECTORY FILES
    """

  static func main() {
    Benchmark.run { arguments in
      let result: String
      switch (arguments.first, arguments.count) {
      case ("rows", 3): result = try Rows.write(arguments[1], count: number(arguments[2]))
      case ("commits", 4):
        result = try commits(arguments[1], rows: arguments[2], count: number(arguments[3]))
      case ("append", 3): result = try append(arguments[1], rows: arguments[2])
      case ("scan", 3): result = try scan(arguments[1], threads: number(arguments[2]))
      case ("files", 4):
        result = try files(
          arguments[1], count: number(arguments[2]), partitions: number(arguments[3]))
      case ("plan", 3), ("plan", 4):
        let day = arguments.count == 4 ? try number(arguments[3]) : nil
        result = try plan(arguments[1], threads: number(arguments[2]), day: day)
      case ("simulate", 3): result = try simulate(arguments[1], files: number(arguments[2]))
      default: throw Failure(message: usage)
      }
      print(result)
    }
  }

  static func number(_ text: String) throws -> Int {
    try BenchmarkSupport.number(text, atLeast: 0)
  }

  static func catalog(_ directory: String) throws -> SQLiteCatalog {
    try SQLiteCatalog(
      databasePath: directory + "/catalog.db", name: "bench", warehouse: directory + "/warehouse",
      io: try FileIO(fileSystem: POSIXFileSystem()), clock: SystemClock())
  }

  /// The catalog's one table.
  static let table = Result { try TableIdentifier("bench.rows") }

  /// A new table in a catalog of its own.
  static func create(_ directory: String, _ definition: TableDefinition) throws -> Table {
    let catalog = try catalog(directory)
    try catalog.createNamespace(try Namespace("bench"))
    return try catalog.createTable(try table.get(), definition)
  }

  static func load(_ directory: String) throws -> Table {
    try catalog(directory).loadTable(try table.get())
  }

  static func seconds() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
  }

  /// Processor time of this process, in seconds.
  static func processorSeconds() -> Double {
    var usage = rusage()
    getrusage(0, &usage)  // RUSAGE_SELF, which C has as an enumeration
    return Double(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec)
      + Double(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6
  }
}
