import Columnar
import Storage

/// The beginning of a CSV file: its columns' names, and their types when nobody gave any.
struct CSVStart {
  private(set) var reader: BlockReader
  private(set) var tokenizer: CSVTokenizer
  let names: [String]

  init(file: any File, options: TabularOptions, csv: CSVOptions) throws(FileFormatError) {
    var reader = try BlockReader(file)
    try reader.fill(3)
    if reader.bytes.starts(with: [0xEF, 0xBB, 0xBF]) { reader.use(3) }
    var tokenizer = CSVTokenizer(delimiter: csv.delimiter)
    var found = CSVTokenizer.Records()
    var window = options.blockBytes
    while true {
      try reader.fill(window)
      let trial = tokenizer
      found = tokenizer.records(
        in: reader.bytes.span.extracting(reader.start..<reader.bytes.count),
        isAtEnd: reader.isAtEnd, limit: 1)
      if !found.records.isEmpty || reader.isAtEnd { break }
      guard window < options.maximumRowBytes else {
        throw FileFormatError(
          .malformed, path: file.path,
          message: "the first row has more than \(options.maximumRowBytes) bytes")
      }
      // Blank lines are counted again with what follows them.
      tokenizer = trial
      window = min(window * 2, options.maximumRowBytes)
    }
    names = try CSVStart.names(
      found, bytes: Array(reader.bytes[reader.start...].prefix(found.used)), csv: csv,
      path: file.path)
    if csv.hasHeader {
      reader.use(found.used)
    } else {
      tokenizer = CSVTokenizer(delimiter: csv.delimiter)
    }
    self.reader = reader
    self.tokenizer = tokenizer
  }

  private static func names(
    _ found: CSVTokenizer.Records, bytes: [UInt8], csv: CSVOptions, path: String
  ) throws(FileFormatError) -> [String] {
    guard let record = found.records.first else {
      if !csv.hasHeader { return csv.columnNames }
      throw FileFormatError(.malformed, path: path, message: "the file is empty: no header")
    }
    if let problem = record.problem {
      throw FileFormatError(.malformed, path: path, message: "line \(record.line) \(problem)")
    }
    if !csv.hasHeader {
      if !csv.columnNames.isEmpty { return csv.columnNames }
      return (1...record.fieldCount).map { "column\($0)" }
    }
    var names: [String] = []
    for field in found.fields {
      var name = Array(bytes[field.range])
      if field.hasQuotes {
        let quoted = name
        name = []
        CSVReader.halveQuotes(quoted.span, into: &name)
      }
      guard let text = String(validating: name, as: UTF8.self) else {
        throw FileFormatError(
          .malformed, path: path, message: "the header is not UTF-8; convert the file first")
      }
      names.append(text)
    }
    if Set(names).count != names.count {
      let twice = names.first { name in names.count { $0 == name } > 1 } ?? ""
      throw FileFormatError(.malformed, path: path, message: "two columns are called '\(twice)'")
    }
    return names
  }

  /// The types that fit all rows within `options.inferenceBytes`; reads ahead that far.
  mutating func inferredSchema(
    options: TabularOptions, nullSpellings: [[UInt8]]
  ) throws(FileFormatError) -> Schema {
    try reader.fill(max(options.inferenceBytes, options.blockBytes))
    var guesses = [TypeGuess](repeating: TypeGuess(), count: names.count)
    var copy = tokenizer
    let bytes = reader.bytes
    let text = bytes.span.extracting(reader.start..<bytes.count)
    var start = 0
    while start < text.count {
      // A block at a time, so that the fields' places do not take more memory than the text.
      let end = min(text.count, start + options.blockBytes)
      var rest = text.extracting(start..<end)
      var found = copy.records(in: rest, isAtEnd: reader.isAtEnd && end == text.count)
      if found.used == 0 {
        rest = text.extracting(start..<text.count)
        found = copy.records(in: rest, isAtEnd: reader.isAtEnd, limit: 1)
        if found.used == 0 { break }
      }
      for record in found.records where record.problem == nil && record.fieldCount == names.count {
        for column in names.indices {
          let field = found.fields[record.firstField + column]
          let value = rest.extracting(field.range)
          if field.isQuoted || !nullSpellings.matches(value) { guesses[column].see(value) }
        }
      }
      start += found.used
    }
    return Schema(zip(names, guesses).map { Field(options.renames[$0] ?? $0, $1.type) })
  }
}

/// The narrowest type that all texts seen so far have.
struct TypeGuess {
  private var canBeInteger = true
  private var canBeDouble = true
  private var canBeBoolean = true
  private var canBeDate = true
  private var canBeTimestamp = true
  private var sawAny = false

  var type: DataType {
    if !sawAny { return .string }
    if canBeInteger { return .int64 }
    if canBeDouble { return .float64 }
    if canBeBoolean { return .boolean }
    if canBeDate { return .date }
    return canBeTimestamp ? .timestamp(isUTC: true) : .string
  }

  mutating func see(_ text: Span<UInt8>) {
    sawAny = true
    if canBeInteger || canBeDouble, TypeGuess.losesAsNumber(text) {
      canBeInteger = false
      canBeDouble = false
    }
    if canBeInteger {
      // "3.0" is an integer to the parser, but whoever wrote it meant a double.
      canBeInteger = TypeGuess.isDigits(text) && (try? TextValue.integer(text)) != nil
    }
    if canBeDouble {
      canBeDouble = (try? TextValue.double(text)) != nil
      // Digits beyond a long would be rounded.
      if canBeDouble, !canBeInteger, TypeGuess.isDigits(text) {
        canBeDouble = (try? TextValue.integer(text)) != nil
      }
    }
    if canBeBoolean {
      canBeBoolean = TextValue.equals(text, "true") || TextValue.equals(text, "false")
    }
    if canBeDate { canBeDate = (try? TextValue.date(text)) != nil }
    if canBeTimestamp { canBeTimestamp = (try? TextValue.timestamp(text)) != nil }
  }

  /// Whether the text is only digits, after a minus.
  private static func isDigits(_ text: Span<UInt8>) -> Bool {
    for index in text.indices where TextValue.digit(text[index]) == nil {
      if index > 0 || text[index] != UInt8(ascii: "-") { return false }
    }
    return true
  }

  /// Whether writing the number again would give another text that matters: "007", "+1".
  private static func losesAsNumber(_ text: Span<UInt8>) -> Bool {
    let first = text.count > 0 && text[0] == UInt8(ascii: "-") ? 1 : 0
    guard first < text.count else { return true }
    if text[first] == UInt8(ascii: "+") { return true }
    return text[first] == UInt8(ascii: "0") && first + 1 < text.count
      && TextValue.digit(text[first + 1]) != nil
  }
}
