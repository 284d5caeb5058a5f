import CArrow
public import Columnar
internal import Storage

/// The rows of many small Parquet files in a few large batches.
///
/// Opening a file costs more than decoding a hundred rows; here the decoders go on from file to file, and
/// values are decoded to where they stay. Only for files that hold the wanted columns flat and in their very
/// types: `add` says which do not, for a `ParquetReader` to read. Memory is that of a batch. Used by one
/// thread at a time.
@safe public final class CoalescingParquetReader {
  public let schema: Schema
  /// Rows added and not yet taken.
  public private(set) var rowCount = 0
  private let handle: OpaquePointer

  /// - Parameter schema: every field with its id, which is how it is found in a file.
  public init(
    schema: Schema, options: ParquetReaderOptions = ParquetReaderOptions()
  ) throws(FileFormatError) {
    guard schema.fields.allSatisfy({ $0.fieldID != nil }) else {
      throw FileFormatError(.invalidArgument, path: "", message: "a column has no field id")
    }
    self.schema = schema
    var exported = unsafe exportSchema(schema)
    var cOptions = CArrowParquetReadOptions(
      memoryLimitBytes: options.memoryLimitBytes, verifyPageChecksums: options.verifiesPageChecksums
    )
    var made: OpaquePointer?
    try callArrow(path: "", failure: nil) {
      unsafe CArrowParquetCoalescerMake(&exported, &cOptions, &made, &$0)
    }
    guard let handle = unsafe made else {
      throw FileFormatError(.malformed, path: "", message: "no reader was made")
    }
    unsafe self.handle = handle
  }

  /// Whether columns of this schema can be read so: flat ones of types that need no conversion.
  public static func reads(_ schema: Schema) -> Bool {
    schema.fields.allSatisfy { field in
      switch field.type {
      case .boolean, .int32, .int64, .float32, .float64, .string, .binary, .date, .timestamp,
        .timestampNanoseconds:
        field.fieldID != nil
      case .fixedSizeBinary, .time, .decimal, .list, .structure, .map: false
      }
    }
  }

  deinit { unsafe CArrowParquetCoalescerFree(handle) }

  /// Memory of the rows added and of the batches that are still held.
  public var heldBytes: Int64 { unsafe CArrowParquetCoalescerHeldBytes(handle) }

  /// Adds all rows of a file.
  ///
  /// - Parameters:
  ///   - bytes: the whole file.
  ///   - path: for errors.
  ///   - rowCount: how many rows it has.
  ///   - metadata: what the file's key-value metadata may not contradict.
  /// - Returns: false, and nothing is added, when the file has another number of rows, another value for
  ///   the key, or not these columns in this form.
  /// - Throws: when the file is damaged, or its footer's checksum is wrong. The reader is of no use then.
  public func add(
    _ bytes: [UInt8], path: String, rowCount: Int64, metadata: (key: String, value: String)
  ) throws(FileFormatError) -> Bool {
    let all = bytes.rawSpan
    let size = Int64(bytes.count)
    if let range = ParquetChecksum.footer(ofFileEndingIn: all, sizeBytes: size) {
      let footer = all.extracting(Int(range.lowerBound)..<Int(range.upperBound))
      guard ParquetChecksum.isWhole(footer: footer) else {
        throw ParquetChecksum.mismatch(path)
      }
    }
    var isAdded = false
    try callArrow(path: path, failure: nil) {
      unsafe CArrowParquetCoalescerAdd(
        handle, bytes, Int64(bytes.count), rowCount, metadata.key, metadata.value, &isAdded, &$0)
    }
    if isAdded { self.rowCount += Int(rowCount) }
    return isAdded
  }

  /// All rows added since the last call.
  public func take() throws(FileFormatError) -> RecordBatch {
    var array = unsafe ArrowArray()
    try callArrow(path: "", failure: nil) {
      unsafe CArrowParquetCoalescerTake(handle, &array, &$0)
    }
    rowCount = 0
    return unsafe try importBatch(array, schema: schema, path: "")
  }
}
