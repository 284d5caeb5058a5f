import CArrow
public import Columnar
public import Storage

/// Reads Arrow IPC files (Feather V2) and streams.
public enum ArrowFileReader {
  /// The batches, as they were written; validated in full.
  ///
  /// - Parameter memoryLimitBytes: what may be held at once. Default: 1 GiB.
  public static func open(
    _ file: any File, memoryLimitBytes: Int64 = 1 << 30
  ) throws(FileFormatError) -> RecordBatchStream {
    let source = FileSource(file)
    let cSource: CArrowSource
    do {
      unsafe cSource = try source.source()
    } catch {
      throw FileFormatError(error, path: file.path)
    }
    var stream = unsafe ArrowArrayStream()
    try callArrow(path: file.path, failure: source.failure) {
      unsafe CArrowIPCOpenStream(cSource, memoryLimitBytes, &stream, &$0)
    }
    return try unsafe RecordBatchStream(stream, source: source, path: file.path, schema: nil)
  }
}

/// Writes an Arrow IPC file (Feather V2, not compressed) or stream into a file that the caller has created and
/// will synchronize and close. Without `finish()` it is no Arrow file, and a stream without an end. A stream has no
/// footer: its batches can be read while more are written.
///
/// Used by one thread at a time.
@safe public final class ArrowFileWriter {
  public let schema: Schema
  private let path: String
  private let sink: FileSink
  private var handle: OpaquePointer?

  public init(file: any File, schema: Schema, isStream: Bool = false) throws(FileFormatError) {
    self.schema = schema
    path = file.path
    let sink = FileSink(file)
    self.sink = sink
    var exported = unsafe exportSchema(schema)
    var opened: OpaquePointer?
    try callArrow(path: file.path, failure: sink.failure) {
      unsafe CArrowIPCWriterOpen(sink.sink(), &exported, isStream, &opened, &$0)
    }
    unsafe handle = opened
  }

  deinit { unsafe CArrowIPCWriterFree(handle) }

  /// Adds a batch of the writer's types.
  public func write(_ batch: RecordBatch) throws(FileFormatError) {
    guard batch.columns.count == schema.fields.count,
      zip(schema.fields, batch.columns).allSatisfy({ $0.type.hasLayout(of: $1.type) })
    else {
      throw FileFormatError(
        .invalidArgument, path: path, message: "a batch of other columns than the file's")
    }
    var array = unsafe exportBatch(batch)
    try callArrow(path: path, failure: sink.failure) {
      unsafe CArrowIPCWriterWrite(handle, &array, &$0)
    }
  }

  /// Writes the end; returns the file's size in bytes. The writer is of no more use.
  public func finish() throws(FileFormatError) -> Int64 {
    var fileBytes: Int64 = 0
    try callArrow(path: path, failure: sink.failure) {
      unsafe CArrowIPCWriterFinish(handle, &fileBytes, &$0)
    }
    return fileBytes
  }
}
