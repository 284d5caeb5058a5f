public import Columnar
public import Storage

/// Writes CSV (RFC 4180, lines end with LF) into a file that the caller has created and will synchronize
/// and close. Null is an empty field, an empty string is `""`, times are ISO 8601 with Z where the type
/// has a zone, bytes hexadecimal, UUIDs (16 bytes) with hyphens, nested values JSON.
///
/// Used by one thread at a time.
public final class CSVWriter {
  public let schema: Schema
  private let file: any File
  private let delimiter: UInt8
  private var buffer: [UInt8] = []
  private var byteOffset: Int64 = 0
  private static let flushBytes = 1 << 20

  /// Writes the header with the first rows.
  public init(file: any File, schema: Schema, delimiter: UInt8 = UInt8(ascii: ",")) {
    self.file = file
    self.schema = schema
    self.delimiter = delimiter
    for (index, field) in schema.fields.enumerated() {
      if index > 0 { buffer.append(delimiter) }
      appendQuoted(Array(field.name.utf8).span)
    }
    buffer.append(UInt8(ascii: "\n"))
  }

  /// - Precondition: the batch has the writer's columns.
  public func write(_ batch: RecordBatch) throws(FileFormatError) {
    precondition(batch.columns.count == schema.fields.count, "a batch of other columns")
    for row in 0..<batch.rowCount {
      for (index, column) in batch.columns.enumerated() {
        if index > 0 { buffer.append(delimiter) }
        append(column, row)
      }
      buffer.append(UInt8(ascii: "\n"))
      if buffer.count >= CSVWriter.flushBytes { try flush() }
    }
  }

  /// Writes what is left; returns the file's size in bytes.
  public func finish() throws(FileFormatError) -> Int64 {
    try flush()
    return byteOffset
  }

  private func flush() throws(FileFormatError) {
    let pending = buffer
    buffer.removeAll(keepingCapacity: true)
    do throws(StorageError) {
      try write(pending)
    } catch {
      throw FileFormatError(error, path: file.path)
    }
    byteOffset += Int64(pending.count)
  }

  private func write(_ bytes: [UInt8]) throws(StorageError) {
    let failure = unsafe bytes.withUnsafeBytes { memory -> StorageError? in
      do throws(StorageError) {
        unsafe try file.write(memory, at: byteOffset)
        return nil
      } catch {
        return error
      }
    }
    if let failure { throw failure }
  }

  private func append(_ column: Column, _ row: Int) {
    if column.isNull(row) { return }
    if column.type == .string || column.type == .binary, column.bytes(at: row).byteCount == 0 {
      buffer.append(contentsOf: [UInt8(ascii: "\""), UInt8(ascii: "\"")])
      return
    }
    if column.type == .string {
      let bytes = column.bytes(at: row)
      let text = unsafe bytes.withUnsafeBytes { unsafe Array($0) }
      appendQuoted(text.span)
      return
    }
    let text = ValueText.text(column, row)
    switch column.type {
    case .list, .structure, .map: appendQuoted(Array(text.utf8).span)
    default: buffer.append(contentsOf: text.utf8)
    }
  }

  private func appendQuoted(_ text: Span<UInt8>) {
    let quote = UInt8(ascii: "\"")
    var needsQuotes = text.count == 0
    for index in text.indices {
      let byte = text[index]
      if byte == delimiter || byte == quote || byte == UInt8(ascii: "\n")
        || byte == UInt8(ascii: "\r")
      {
        needsQuotes = true
        break
      }
    }
    if needsQuotes { buffer.append(quote) }
    for index in text.indices {
      if text[index] == quote { buffer.append(quote) }
      buffer.append(text[index])
    }
    if needsQuotes { buffer.append(quote) }
  }
}
