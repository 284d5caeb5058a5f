public import Columnar
import JSON
public import Storage

/// Reads JSON lines: one object a line, blank lines skipped. A member that is missing is null.
///
/// Rows that do not fit are left out and reported with their line. Without a schema the columns are the
/// members found at the file's beginning (`TabularOptions.inferenceBytes`), in their order: long,
/// double, boolean, timestamp with zone where all texts are ISO 8601, lists of these, else string.
public final class JSONLinesReader: TabularSource {
  public let schema: Schema
  public let unusedColumns: [String]
  private let path: String
  private let options: TabularOptions
  private let reportsUnknownMembers: Bool
  /// The name in the file of each field.
  private let sourceNames: [String]
  private let parsers: [ValueParser]
  private let builders: [AnyColumnBuilder]
  private var reader: BlockReader
  private var line = 1

  /// - Parameter reportsUnknownMembers: whether a row with a member that no field has is refused,
  ///   instead of the member being ignored.
  public init(
    file: any File, options: TabularOptions = TabularOptions(), reportsUnknownMembers: Bool = false
  ) throws(FileFormatError) {
    path = file.path
    self.options = options
    self.reportsUnknownMembers = reportsUnknownMembers
    var reader = try BlockReader(file)
    try reader.fill(3)
    if reader.bytes.starts(with: [0xEF, 0xBB, 0xBF]) { reader.use(3) }
    try reader.fill(options.schema == nil ? options.inferenceBytes : options.blockBytes)
    var seen = JSONSchemaGuess()
    var position = reader.start
    // With a schema, a look at the first block is enough to say what nobody asked for.
    while let end = JSONLinesReader.lineEnd(reader.bytes, from: position, reader.isAtEnd) {
      if let value = try? JSONValue(parsing: reader.bytes[position..<end]) { seen.see(value) }
      position = end + 1
    }
    let schema = options.schema ?? seen.schema(renames: options.renames)
    let back = Dictionary(options.renames.map { ($1, $0) }, uniquingKeysWith: { first, _ in first })
    guard back.count == options.renames.count else {
      throw FileFormatError(
        .invalidArgument, path: file.path, message: "two columns are renamed to the same name")
    }
    sourceNames = schema.fields.map { back[$0.name] ?? $0.name }
    let used = Set(sourceNames)
    unusedColumns = seen.names.filter { !used.contains($0) }
    parsers = schema.fields.map { ValueParser($0.type, epochUnit: options.epochUnit) }
    builders = schema.fields.map { AnyColumnBuilder($0.type) }
    self.schema = schema
    self.reader = reader
  }

  public func next() throws(FileFormatError) -> TabularBatch? {
    var lines: [Int] = []
    var errors: [RowError] = []
    var usedBytes = 0
    var wanted = options.blockBytes
    while usedBytes < options.blockBytes {
      try reader.fill(wanted)
      let bytes = reader.bytes
      if reader.available == 0 { break }
      guard let end = JSONLinesReader.lineEnd(bytes, from: reader.start, reader.isAtEnd) else {
        guard wanted < options.maximumRowBytes else {
          throw FileFormatError(
            .malformed, path: path,
            message: "line \(line) has more than \(options.maximumRowBytes) bytes")
        }
        wanted = min(max(wanted, reader.available) * 2, options.maximumRowBytes)
        continue
      }
      do throws(RowError) {
        if try append(bytes[reader.start..<end]) { lines.append(line) }
      } catch {
        errors.append(error)
      }
      let used = min(end + 1, bytes.count) - reader.start
      reader.use(used)
      usedBytes += used
      line += 1
    }
    if usedBytes == 0 { return nil }
    let columns = builders.map { $0.finish() }
    return TabularBatch(
      batch: RecordBatch(schema: schema, columns: columns, rowCount: lines.count),
      lineNumbers: lines, errors: errors)
  }

  /// Where the line from `start` ends, before its line feed; nil when its end has not been read.
  private static func lineEnd(_ bytes: [UInt8], from start: Int, _ isAtEnd: Bool) -> Int? {
    guard start < bytes.count else { return nil }
    if let end = bytes[start...].firstIndex(of: UInt8(ascii: "\n")) { return end }
    return isAtEnd ? bytes.count : nil
  }

  /// Appends one row, wholly or not at all; false for a blank line.
  private func append(_ text: ArraySlice<UInt8>) throws(RowError) -> Bool {
    let line = line
    if text.allSatisfy({ $0 == 0x20 || $0 == 0x09 || $0 == 0x0D }) { return false }
    let value: JSONValue
    do { value = try JSONValue(parsing: text) } catch {
      throw RowError(
        line: line, value: String(decoding: text.prefix(404), as: UTF8.self),
        message: "is not JSON, at byte \(error.byteOffset): \(error.message)")
    }
    guard let object = value.objectValue else {
      throw RowError(
        line: line, value: String(decoding: text.prefix(404), as: UTF8.self),
        message: "is \(value.kind), not an object")
    }
    if reportsUnknownMembers, let name = object.keys.first(where: { !sourceNames.contains($0) }) {
      throw RowError(line: line, column: name, message: "is not a known column")
    }
    var parsed: [ParsedValue] = []
    parsed.reserveCapacity(schema.fields.count)
    for (index, field) in schema.fields.enumerated() {
      let member = object[sourceNames[index]] ?? .null
      if member == .null, !field.isNullable {
        throw RowError(line: line, column: sourceNames[index], message: "must not be null")
      }
      do {
        parsed.append(
          try JSONConversion(epochUnit: options.epochUnit).value(member, as: field.type))
      } catch {
        throw RowError(
          line: line, column: sourceNames[index], value: JSONLinesReader.shown(member),
          message: error.message)
      }
    }
    for (value, builder) in zip(parsed, builders) { value.append(to: builder) }
    return true
  }

  private static func shown(_ value: JSONValue) -> String {
    if case .string(let text) = value { return text }
    return value.text()
  }
}

/// Columns and types of JSON objects, as far as they have been seen.
private struct JSONSchemaGuess {
  private(set) var names: [String] = []
  private var guesses: [String: JSONTypeGuess] = [:]

  mutating func see(_ value: JSONValue) {
    guard let object = value.objectValue else { return }
    for (name, member) in object.members {
      if guesses[name] == nil { names.append(name) }
      let guess = guesses[name] ?? JSONTypeGuess()
      guesses[name] = guess
      guess.see(member)
    }
  }

  func schema(renames: [String: String]) -> Schema {
    Schema(names.map { Field(renames[$0] ?? $0, guesses[$0]?.type ?? .string) })
  }
}

private final class JSONTypeGuess {
  private var canBe: Set<Kind> = [.integer, .double, .boolean, .timestamp, .list]
  private var sawAny = false
  private var element: JSONTypeGuess?

  private enum Kind { case integer, double, boolean, timestamp, list }

  func see(_ value: JSONValue) {
    switch value {
    case .null: return
    case .integer: canBe.formIntersection([.integer, .double])
    case .number: canBe.formIntersection([.double])
    case .bool: canBe.formIntersection([.boolean])
    case .string(let text):
      let isTime = (try? TextValue.timestamp(Array(text.utf8).span)) != nil
      canBe.formIntersection(isTime ? [.timestamp] : [])
    case .array(let values):
      canBe.formIntersection([.list])
      let element = self.element ?? JSONTypeGuess()
      self.element = element
      for value in values { element.see(value) }
    case .object: canBe = []
    }
    sawAny = true
  }

  var type: DataType {
    if !sawAny { return .string }
    if canBe.contains(.integer) { return .int64 }
    if canBe.contains(.double) { return .float64 }
    if canBe.contains(.boolean) { return .boolean }
    if canBe.contains(.timestamp) { return .timestamp(isUTC: true) }
    if canBe.contains(.list), let element { return .list(Field("element", element.type)) }
    return .string
  }
}
