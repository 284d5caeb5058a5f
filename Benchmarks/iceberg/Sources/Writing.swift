import BenchmarkSupport
import Columnar
import FileFormats
import Iceberg
import Storage

// Commits, one large append, and the scan of what it wrote.
extension IcebergBenchmark {
  static let commitRows = 1000

  /// So many appends of 1,000 rows, a commit each; everything synced.
  static func commits(_ directory: String, rows path: String, count: Int) throws -> String {
    var table = try create(directory, TableDefinition(schema: Rows.schema))
    let stream = try Rows.read(path)
    guard let rows = try stream.next() else { throw Failure(message: "no rows") }
    let before = try syncMilliseconds(directory)
    var times: [Double] = []
    let processor = processorSeconds()
    for commit in 0..<count {
      let start = (commit * commitRows) % (rows.rowCount - commitRows)
      let batch = rows.slice(start..<(start + commitRows))
      let begin = seconds()
      let writer = try DataFileWriter(table)
      try writer.write(batch)
      table = try table.newAppend(try writer.finish()).commit().table
      times.append((seconds() - begin) * 1000)
    }
    let used = processorSeconds() - processor
    let sync = (before + (try syncMilliseconds(directory))) / 2
    let snapshots = table.metadata.snapshots.count
    return #"{"milliseconds": \#(times), "sync-milliseconds": \#(sync), "#
      + #""cpu-seconds": \#(used), "snapshots": \#(snapshots)}"#
  }

  /// What the disk takes to make 4 KiB durable that are appended to a file: the median of 200.
  private static func syncMilliseconds(_ directory: String) throws -> Double {
    let files = POSIXFileSystem()
    let path = directory + "/sync"
    let file = try files.open(path, .create)
    let bytes = [UInt8](repeating: 7, count: 4096)
    var times: [Double] = []
    for index in 0..<200 {
      let begin = seconds()
      try bytes.withUnsafeBytes { try file.write($0, at: Int64(index * 4096)) }
      try file.synchronizeData()
      times.append((seconds() - begin) * 1000)
    }
    try file.close()
    _ = try files.removeFile(path)
    return times.sorted()[times.count / 2]
  }

  /// Appends a file's rows in one commit; they are read from it as they are written.
  static func append(_ directory: String, rows path: String) throws -> String {
    let table = try create(directory, TableDefinition(schema: Rows.schema))
    let processor = processorSeconds()
    let begin = seconds()
    let stream = try Rows.read(path)
    let writer = try DataFileWriter(table)
    var rows = 0
    while let batch = try stream.next() {
      rows += batch.rowCount
      try writer.write(batch)
    }
    let files = try writer.finish()
    let result = try table.newAppend(files).commit()
    let end = seconds()
    let used = processorSeconds() - processor
    let paths = files.map { #""\#($0.path)""# }.joined(separator: ", ")
    let bytes = files.reduce(0) { $0 + $1.fileSizeInBytes }
    return #"{"seconds": \#(end - begin), "cpu-seconds": \#(used), "rows": \#(rows), "#
      + #""bytes": \#(bytes), "attempts": \#(result.attemptCount), "paths": [\#(paths)]}"#
  }

  /// Reads all columns of all rows, and counts their nulls.
  static func scan(_ directory: String, threads: Int) throws -> String {
    let table = try load(directory)
    let processor = processorSeconds()
    let begin = seconds()
    var rows = 0
    var nulls = 0
    let batches = try table.newScan().batches(threads: threads)
    while let batch = try batches.next() {
      rows += batch.rowCount
      for column in batch.columns { nulls += column.nullCount }
    }
    let end = seconds()
    return #"{"seconds": \#(end - begin), "cpu-seconds": \#(processorSeconds() - processor), "#
      + #""rows": \#(rows), "nulls": \#(nulls)}"#
  }
}
