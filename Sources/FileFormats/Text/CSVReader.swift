public import Columnar
public import Storage

/// Reads a CSV file (RFC 4180; UTF-8, a byte order mark is skipped) as batches of typed columns.
///
/// Rows that do not fit are left out and reported with their line. Without a schema the types are found
/// from the file's beginning (`TabularOptions.inferenceBytes`): long, double, boolean, date, timestamp
/// with zone, else string; a number with a leading zero or plus is text, so that nothing is lost.
public final class CSVReader: TabularSource {
  public let schema: Schema
  public let unusedColumns: [String]
  /// The columns' names in the file.
  public let columnNames: [String]
  private let path: String
  private let options: TabularOptions
  private let csv: CSVOptions
  private let mapping: ColumnMapping
  private let parsers: [ValueParser]
  private let builders: [AnyColumnBuilder]
  private let nullSpellings: [[UInt8]]
  private var reader: BlockReader
  private var tokenizer: CSVTokenizer

  /// Reads the header, and without a schema what is needed to find the types.
  public init(
    file: any File, options: TabularOptions = TabularOptions(), csv: CSVOptions = CSVOptions()
  ) throws(FileFormatError) {
    path = file.path
    self.options = options
    self.csv = csv
    nullSpellings = csv.nullSpellings.map { Array($0.utf8) }
    var start = try CSVStart(file: file, options: options, csv: csv)
    columnNames = start.names
    if let schema = options.schema {
      self.schema = schema
    } else {
      schema = try start.inferredSchema(options: options, nullSpellings: nullSpellings)
    }
    mapping = try ColumnMapping(
      names: columnNames, schema: schema, options: options, path: file.path)
    unusedColumns = mapping.unused
    parsers = schema.fields.map { ValueParser($0.type, epochUnit: options.epochUnit) }
    builders = schema.fields.map { AnyColumnBuilder($0.type) }
    reader = start.reader
    tokenizer = start.tokenizer
  }

  public func next() throws(FileFormatError) -> TabularBatch? {
    var window = options.blockBytes
    while true {
      try reader.fill(window)
      let bytes = reader.bytes
      let text = bytes.span.extracting(reader.start..<min(reader.start + window, bytes.count))
      if text.count == 0 { return nil }
      let isLast = reader.isAtEnd && text.count == reader.available
      let records = tokenizer.records(in: text, isAtEnd: isLast)
      reader.use(records.used)
      if !records.records.isEmpty { return try batch(records, text: text) }
      if records.used > 0 { continue }
      guard window < options.maximumRowBytes else {
        throw FileFormatError(
          .malformed, path: path,
          message: "line \(tokenizer.line): a row of more than \(options.maximumRowBytes) bytes;"
            + " is a quote not closed?")
      }
      window = min(window * 2, options.maximumRowBytes)
    }
  }

  private func batch(
    _ found: CSVTokenizer.Records, text: Span<UInt8>
  ) throws(FileFormatError) -> TabularBatch {
    var errors: [RowError] = []
    var records: [CSVTokenizer.Record] = []
    records.reserveCapacity(found.records.count)
    for record in found.records {
      if let problem = record.problem {
        errors.append(RowError(line: record.line, message: problem))
      } else if record.fieldCount != columnNames.count {
        errors.append(
          RowError(
            line: record.line,
            message: "has \(record.fieldCount) values, not \(columnNames.count)"))
      } else {
        records.append(record)
      }
    }
    var refused: [Int: RowError] = [:]
    var columns: [Column] = []
    for index in schema.fields.indices {
      columns.append(
        column(index, records, found.fields, text: text, refused: &refused))
    }
    let batch = RecordBatch(schema: schema, columns: columns, rowCount: records.count)
    errors.append(contentsOf: refused.values)
    errors.sort { $0.line < $1.line }
    let lines = records.map(\.line)
    if refused.isEmpty { return TabularBatch(batch: batch, lineNumbers: lines, errors: errors) }
    let kept = records.indices.filter { refused[$0] == nil }
    do {
      return TabularBatch(
        batch: try batch.take(kept), lineNumbers: kept.map { lines[$0] }, errors: errors)
    } catch {
      throw FileFormatError(.unsupported, path: path, message: error.description)
    }
  }

  /// One column of the records; a value that does not fit becomes null and its row is refused.
  private func column(
    _ index: Int, _ records: [CSVTokenizer.Record], _ fields: [CSVTokenizer.Field],
    text: Span<UInt8>, refused: inout [Int: RowError]
  ) -> Column {
    let field = schema.fields[index]
    guard let source = mapping.sources[index] else {
      return .nulls(field.type, count: records.count)
    }
    let builder = builders[index]
    let parser = parsers[index]
    let isText = field.type == .string || field.type == .binary
    var unescaped: [UInt8] = []
    for (row, record) in records.enumerated() {
      let place = fields[record.firstField + source]
      let value = text.extracting(place.range)
      if !(isText && place.isQuoted), nullSpellings.matches(value) {
        builder.appendNull()
        if !field.isNullable, refused[row] == nil {
          refused[row] = RowError(
            line: record.line, column: columnNames[source], message: "must not be null")
        }
        continue
      }
      do throws(ValueError) {
        if place.hasQuotes {
          unescaped.removeAll(keepingCapacity: true)
          CSVReader.halveQuotes(value, into: &unescaped)
          try parser.append(unescaped.span, to: builder)
        } else {
          try parser.append(value, to: builder)
        }
      } catch {
        builder.appendNull()
        if refused[row] == nil {
          refused[row] = RowError(
            line: record.line, column: columnNames[source],
            value: CSVReader.shown(value), message: error.message)
        }
      }
    }
    return builder.finish()
  }

  /// Enough of a value for an error.
  private static func shown(_ value: Span<UInt8>) -> String {
    let start = value.extracting(first: min(value.count, 404))
    return unsafe start.withUnsafeBytes { unsafe String(decoding: $0, as: UTF8.self) }
  }

  static func halveQuotes(_ text: Span<UInt8>, into unescaped: inout [UInt8]) {
    var index = 0
    while index < text.count {
      unescaped.append(text[index])
      index += text[index] == UInt8(ascii: "\"") ? 2 : 1
    }
  }
}

extension [[UInt8]] {
  /// Whether one of these spellings is the text.
  func matches(_ text: Span<UInt8>) -> Bool {
    for spelling in self where spelling.count == text.count {
      var isEqual = true
      for index in text.indices where spelling[index] != text[index] {
        isEqual = false
        break
      }
      if isEqual { return true }
    }
    return false
  }
}
