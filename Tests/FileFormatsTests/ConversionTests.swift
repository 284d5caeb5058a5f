import Columnar
import FileFormats
import Foundation
import Testing

/// A file of Tests/Golden/formats.
private func golden(_ name: String) throws -> MemoryFile {
  let tests = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    .deletingLastPathComponent()
  let data = try Data(contentsOf: tests.appendingPathComponent("Golden/formats/\(name)"))
  return MemoryFile(Array(data), path: "/golden/\(name)")
}

/// Types and values that pyarrow wrote, as they are to be read.
private let expected = [
  "i8 int 1 null -128", "u8 int 1 null 255", "i16 int 1 null -32768", "u16 int 1 null 65535",
  "u32 long 1 null 4294967295", "u64 long 1 null 9223372036854775807", "f16 float 1.5 null -2.0",
  "ls string 'a' null 'é'", "sv string 'a' null 'a long string that is not inline'",
  "lb binary x97 null x", "dict string 'x' null 'y'", "ts_s timestamp 1000000 null -1000000",
  "ts_ms timestamptz 1000 null -1000", "ts_ns timestamp_ns 1 null -1", "d64 date 1 null -1",
  "t32 time 1000 null 86399999000", "t64 time 1 null 86399999999",
  "dec32 decimal(5, 1) 15 null -25",
  "dec64 decimal(15, 1) 15 null -25", "dec256 decimal(30, 1) 15 null -25",
  "ll list<int> [1,null] null []", "fsl list<float> [1.0,2.0] null [3.0,4.0]",
  "st struct<a: int, b: string> {1,'x'} null {null,'y'}", "mp map<string, int> [{'k',1}] null []",
  "nul string null null null", "bool boolean true null false",
]

private func described(_ batch: RecordBatch) -> [String] {
  zip(batch.schema.fields, batch.columns).map { field, column in
    "\(field.name) \(field.type) \(texts(column).joined(separator: " "))"
  }
}

@Suite struct ConversionTests {
  @Test func typesOfOthersAreConvertedFromParquet() throws {
    let reader = try ParquetReader(file: golden("arrow-types.parquet"))
    let batch = try #require(try reader.batches().next())
    #expect(described(batch) == expected)
  }

  @Test func typesOfOthersAreConvertedFromArrow() throws {
    let batch = try #require(try ArrowFileReader.open(golden("arrow-types.feather")).next())
    #expect(described(batch) == expected)
  }

  @Test func whatDoesNotFitNamesItsColumn() throws {
    let reader = try ParquetReader(file: golden("uint64-overflow.parquet"))
    let error = #expect(throws: FileFormatError.self) { try reader.batches().all() }
    #expect(error?.message.contains("column 'u64' of type uint64 cannot be read as int64") == true)
  }

  @Test func aTypeThatIsNotSupportedNamesItsColumn() throws {
    let error = #expect(throws: FileFormatError.self) {
      try ParquetReader(file: golden("duration.parquet"))
    }
    #expect(error?.kind == .unsupported && error?.path == "/golden/duration.parquet")
    #expect(error?.message == "column 'dur' has the type duration[s], which is not supported")
  }

  @Test func damagedFilesOfOthersAreErrorsOrHarmless() throws {
    let bytes = try golden("arrow-types.parquet").bytes
    var errors = 0
    for position in stride(from: 0, to: bytes.count, by: 23) {
      var damaged = bytes
      damaged[position] ^= 0x21
      do {
        for batch in try ParquetReader(file: MemoryFile(damaged)).batches().all() {
          _ = described(batch)
        }
      } catch { errors += 1 }
    }
    #expect(errors > 100)
  }
}
