import CArrow
public import Columnar

/// Batches of a file, one at a time. Memory is that of one batch and what its producer holds; a batch
/// stays valid when the stream has gone on or has gone.
///
/// Used by one thread at a time.
@safe public final class RecordBatchStream {
  public private(set) var schema: Schema
  /// Which of the producer's columns, when not all.
  private var selection: [Int]?
  private let produced: Schema
  private let path: String
  private let source: FileSource
  private var stream: ArrowArrayStream
  private var isFinished = false

  /// Takes over the stream.
  init(
    _ stream: ArrowArrayStream, source: FileSource, path: String, schema: Schema?
  ) throws(FileFormatError) {
    var stream = unsafe stream
    do throws(FileFormatError) {
      if let schema {
        self.schema = schema
      } else {
        var exported = unsafe ArrowSchema()
        guard let getSchema = unsafe stream.get_schema,
          unsafe getSchema(&stream, &exported) == 0
        else {
          throw unsafe RecordBatchStream.error(&stream, code: 0, source: source, path: path)
        }
        self.schema = try unsafe importSchema(&exported, path: path)
      }
    } catch {
      if let release = unsafe stream.release { unsafe release(&stream) }
      throw error
    }
    produced = self.schema
    unsafe self.stream = stream
    self.source = source
    self.path = path
  }

  deinit {
    if let release = unsafe stream.release { unsafe release(&stream) }
  }

  /// The next batch, nil after the last one. After an error there are no more.
  public func next() throws(FileFormatError) -> RecordBatch? {
    guard !isFinished, let getNext = unsafe stream.get_next else { return nil }
    var array = unsafe ArrowArray()
    let code = unsafe getNext(&stream, &array)
    guard code == 0 else {
      isFinished = true
      throw unsafe RecordBatchStream.error(&stream, code: code, source: source, path: path)
    }
    guard unsafe array.release != nil else {
      isFinished = true
      return nil
    }
    let batch = unsafe try importBatch(array, schema: produced, path: path)
    guard let selection else { return batch }
    return RecordBatch(
      schema: schema, columns: selection.map { batch.columns[$0] }, rowCount: batch.rowCount)
  }

  /// This stream, with only these columns of the producer's in its batches.
  func selecting(_ columns: [Int]) -> RecordBatchStream {
    selection = columns
    schema = Schema(columns.map { produced.fields[$0] })
    return self
  }

  private static func error(
    _ stream: inout ArrowArrayStream, code: Int32, source: FileSource, path: String
  ) -> FileFormatError {
    if let failure = source.failure { return FileFormatError(failure, path: path) }
    let text = unsafe stream.get_last_error.flatMap { unsafe $0(&stream) }
    let message = unsafe text.map { unsafe String(cString: $0) } ?? "cannot read"
    let kind: FileFormatError.Kind =
      if message.hasPrefix("Out of memory") {
        .memoryLimit
      } else if message.hasPrefix(
        "NotImplemented")
      { .unsupported } else { .malformed }
    return FileFormatError(kind, path: path, message: message)
  }
}
