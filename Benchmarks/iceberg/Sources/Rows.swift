import BenchmarkSupport
import Columnar
import FileFormats
import Iceberg
import Storage

/// The rows that tables are filled with: an entity, an event time, ten features.
enum Rows {
  static let schema = TableSchema(
    fields: [
      .required(1, "entity", .long), .required(2, "event_time", .timestamptz),
      .optional(3, "f1", .double), .optional(4, "f2", .double), .optional(5, "f3", .double),
      .optional(6, "f4", .double), .optional(7, "f5", .double), .optional(8, "f6", .double),
      .optional(9, "i1", .long), .optional(10, "i2", .long), .optional(11, "s1", .string),
      .optional(12, "b1", .boolean),
    ])

  static let batchRows = 65_536

  /// Writes an Arrow file.
  static func write(_ path: String, count: Int) throws -> String {
    let file = try POSIXFileSystem().open(path, .create)
    let writer = try ArrowFileWriter(file: file, schema: schema.columnarSchema)
    var random = Generator()
    for first in stride(from: 0, to: count, by: batchRows) {
      try writer.write(batch(min(batchRows, count - first), from: first, &random))
    }
    let bytes = try writer.finish()
    try file.close()
    return #"{"rows": \#(count), "bytes": \#(bytes)}"#
  }

  static func read(_ path: String) throws -> RecordBatchStream {
    try ArrowFileReader.open(try POSIXFileSystem().open(path, .read))
  }

  private static func batch(_ rowCount: Int, from first: Int, _ random: inout Generator)
    -> RecordBatch
  {
    var entities = FixedWidthBuilder<Int64>(.int64, zero: 0)
    var times = FixedWidthBuilder<Int64>(.timestamp(isUTC: true), zero: 0)
    var doubles = (0..<6).map { _ in FixedWidthBuilder<Double>(.float64, zero: 0) }
    var longs = (0..<2).map { _ in FixedWidthBuilder<Int64>(.int64, zero: 0) }
    var texts = BytesBuilder(.string)
    var flags = BooleanBuilder()
    for row in first..<(first + rowCount) {
      let share = random.unit()
      entities.append(Int64(1_000_000 * share * share.squareRoot()))
      times.append(
        1_767_225_600_000_000 + Int64(row) * 1_500_000 - Int64(random.below(3_600_000_000)))
      for index in doubles.indices {
        if random.below(20) == 0 {
          doubles[index].appendNull()
        } else {
          // One normal, one uniform, two rounded, two mostly zero.
          switch index {
          case 0: doubles[index].append(random.normal())
          case 1: doubles[index].append(random.unit() * 100)
          case 2, 3: doubles[index].append((random.unit() * 10_000).rounded() / 100)
          default: doubles[index].append(random.below(10) == 0 ? random.unit() : 0)
          }
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
    }
    let columns =
      [entities.finish(), times.finish()] + doubles.indices.map { doubles[$0].finish() }
      + longs.indices.map { longs[$0].finish() } + [texts.finish(), flags.finish()]
    return RecordBatch(schema: schema.columnarSchema, columns: columns, rowCount: rowCount)
  }
}
