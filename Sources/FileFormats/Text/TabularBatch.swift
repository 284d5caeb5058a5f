public import Columnar

/// One row of a source that could not be taken over.
public struct RowError: Error, Hashable, Sendable, CustomStringConvertible {
  /// Counted from 1: the line where the row begins; of files without lines, the row.
  public var line: Int
  /// The source's name of the column; nil when the row as a whole is wrong.
  public var column: String?
  /// What stood there, cut to 100 characters.
  public var value: String?
  /// The rest of the sentence: "is not an integer".
  public var message: String

  public init(line: Int, column: String? = nil, value: String? = nil, message: String) {
    self.line = line
    self.column = column
    self.value = value.map { $0.count > 100 ? String($0.prefix(100)) + "..." : $0 }
    self.message = message
  }

  public var description: String {
    let place = column.map { "line \(line), column '\($0)': " } ?? "line \(line): "
    return place + (value.map { "'\($0)' " } ?? "") + message
  }
}

/// Rows of a source under the schema asked for, and those rows that did not fit.
public struct TabularBatch: Sendable {
  public var batch: RecordBatch
  /// For each row of the batch its line, counted from 1 (its row, in files without lines).
  public var lineNumbers: [Int]
  /// The rows left out, ascending by line; the first thing wrong with each.
  public var errors: [RowError]
}

/// A file of rows, read from front to back in bounded memory.
///
/// Used by one thread at a time.
public protocol TabularSource: AnyObject {
  /// The schema of every batch: the one asked for, or the one found.
  var schema: Schema { get }
  /// Columns of the source that nothing was asked of.
  var unusedColumns: [String] { get }
  /// The next rows, nil after the last. A batch may be empty when all its rows were refused.
  func next() throws(FileFormatError) -> TabularBatch?
}

/// What all sources of rows understand.
public struct TabularOptions: Sendable {
  /// The columns wanted, by name, with their types; nil finds names and types out.
  public var schema: Schema?
  /// Names in the source that differ from those in the schema: source name to field name.
  public var renames: [String: String] = [:]
  /// Whether a field of the schema that the source lacks is null, instead of an error. A required
  /// field is an error in any case. Default: an error.
  public var missingColumnsAreNull = false
  /// What plain numbers count where the schema has a time. Default: plain numbers are refused.
  public var epochUnit: TextValue.EpochUnit?
  /// About how many bytes of text make one batch. Default: 1 MiB.
  public var blockBytes = 1 << 20
  /// A row longer than this is an error of the whole file (usually a quote that nobody closed).
  /// Default: 16 MiB.
  public var maximumRowBytes = 16 << 20
  /// How much text is looked at to find types. Default: 64 MiB.
  public var inferenceBytes = 64 << 20
  /// The most memory that a Parquet or Arrow file may take. Default: 1 GiB.
  public var memoryLimitBytes: Int64 = 1 << 30

  public init(schema: Schema? = nil) { self.schema = schema }
}

/// Which column of the source fills which field.
struct ColumnMapping {
  /// For each field the position in the source; nil for a column of nulls.
  let sources: [Int?]
  let unused: [String]

  init(
    names: [String], schema: Schema, options: TabularOptions, path: String
  ) throws(FileFormatError) {
    func refuse(_ message: String) -> FileFormatError {
      FileFormatError(.invalidArgument, path: path, message: message)
    }
    for source in options.renames.keys.sorted() where !names.contains(source) {
      throw refuse(
        "there is no column '\(source)' to rename; the file has \(names.joined(separator: ", "))")
    }
    let targets = names.map { options.renames[$0] ?? $0 }
    var positions: [String: Int] = [:]
    for (index, name) in targets.enumerated() {
      if positions.updateValue(index, forKey: name) != nil {
        throw refuse("two columns are called '\(name)'")
      }
    }
    var sources: [Int?] = []
    for field in schema.fields {
      let position = positions.removeValue(forKey: field.name)
      if position == nil, !options.missingColumnsAreNull || !field.isNullable {
        throw refuse(
          "column '\(field.name)' is missing; the file has \(names.joined(separator: ", "))")
      }
      sources.append(position)
    }
    self.sources = sources
    unused = targets.enumerated().filter { positions[$1] == $0 }.map { names[$0.offset] }
  }
}
