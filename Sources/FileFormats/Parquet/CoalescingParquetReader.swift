import CArrow
public import Columnar
internal import Storage

/// The rows of many small Parquet files in a few large batches.
///
/// Opening a file costs more than decoding a hundred rows; here the decoders go on from file to file, and
/// values are decoded to where they stay. Only for files that hold the wanted columns flat and in their very
/// types: `add` says which do not, for a `ParquetReader` to read. Memory is that of a batch, and of its files if
/// there are deferred columns. Used by one thread at a time.
@safe public final class CoalescingParquetReader {
  public let schema: Schema
  /// Columns that are decoded only when they are asked for, of files that are open still.
  public let deferred: Schema
  /// Rows added and not yet taken.
  public private(set) var rowCount = 0
  private let handle: OpaquePointer

  /// - Parameters:
  ///   - schema: every field with its id, which is how it is found in a file.
  ///   - deferred: the columns of `takeDeferred`, likewise.
  ///   - names: how fields are found in files without any ids.
  public init(
    schema: Schema, deferred: Schema = Schema([]), names: [Int32: [String]] = [:],
    options: ParquetReaderOptions = ParquetReaderOptions()
  ) throws(FileFormatError) {
    let fields = schema.fields + deferred.fields
    guard fields.allSatisfy({ $0.fieldID != nil }) else {
      throw FileFormatError(.invalidArgument, path: "", message: "a column has no field id")
    }
    self.schema = schema
    self.deferred = deferred
    var exported = unsafe exportSchema(Schema(fields))
    var cOptions = CArrowParquetReadOptions(
      memoryLimitBytes: options.memoryLimitBytes, verifyPageChecksums: options.verifiesPageChecksums
    )
    var made: OpaquePointer?
    try callArrow(path: "", failure: nil) {
      unsafe CArrowParquetCoalescerMake(
        &exported, Int32(schema.fields.count), &cOptions, &made, &$0)
    }
    guard let handle = unsafe made else {
      throw FileFormatError(.malformed, path: "", message: "no reader was made")
    }
    unsafe self.handle = handle
    for (index, field) in fields.enumerated() {
      for name in field.fieldID.flatMap({ names[$0] }) ?? [] {
        try callArrow(path: "", failure: nil) {
          unsafe CArrowParquetCoalescerName(handle, Int32(index), name, &$0)
        }
      }
    }
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
  ///   - mayLack: columns that are null where the file does not have them, by field id.
  /// - Returns: false, and nothing is added, when the file has another number of rows, another value for
  ///   the key, or not these columns in this form.
  /// - Throws: when the file is damaged, or its footer's checksum is wrong. The reader is of no use then.
  public func add(
    _ bytes: [UInt8], path: String, rowCount: Int64, metadata: (key: String, value: String),
    mayLack: (Int32) -> Bool = { _ in false }
  ) throws(FileFormatError) -> Bool {
    let all = bytes.rawSpan
    let size = Int64(bytes.count)
    if let range = ParquetChecksum.footer(ofFileEndingIn: all, sizeBytes: size) {
      let footer = all.extracting(Int(range.lowerBound)..<Int(range.upperBound))
      guard ParquetChecksum.isWhole(footer: footer) else {
        throw ParquetChecksum.mismatch(path)
      }
    }
    let isNeeded = (schema.fields + deferred.fields).map { field in
      !field.isNullable || !(field.fieldID.map(mayLack) ?? false)
    }
    var isAdded = false
    try callArrow(path: path, failure: nil) {
      unsafe CArrowParquetCoalescerAdd(
        handle, bytes, Int64(bytes.count), rowCount, metadata.key, metadata.value, isNeeded,
        &isAdded, &$0)
    }
    if isAdded { self.rowCount += Int(rowCount) }
    return isAdded
  }

  /// All rows added since the last call.
  public func take() throws(FileFormatError) -> RecordBatch {
    rowCount = 0
    return try take(schema, isDeferred: false)
  }

  /// Whether there are deferred columns, and the files of the rows that were added or taken last have them all.
  public var hasDeferred: Bool { unsafe CArrowParquetCoalescerDefers(handle) }

  /// The deferred columns of the rows that `take` gave last: once, and before the next file is added.
  public func takeDeferred() throws(FileFormatError) -> RecordBatch {
    try take(deferred, isDeferred: true)
  }

  private func take(
    _ schema: Schema, isDeferred: Bool
  ) throws(FileFormatError) -> RecordBatch {
    var array = unsafe ArrowArray()
    try callArrow(path: "", failure: nil) {
      unsafe CArrowParquetCoalescerTake(handle, isDeferred, &array, &$0)
    }
    return unsafe try importBatch(array, schema: schema, path: "")
  }
}
