/// How a CSV file is read, beyond what is common to all sources of rows.
public struct CSVOptions: Sendable {
  /// Default: a comma.
  public var delimiter = UInt8(ascii: ",")
  /// Whether the first row names the columns. Without, they are `columnNames`. Default: yes.
  public var hasHeader = true
  /// The names where there is no header; none stand for "column1", "column2" and so on.
  public var columnNames: [String] = []
  /// What stands for null in every type, when it is not quoted. In a quoted field, they stand for null
  /// in every type but string and binary, where quoted text is itself. Default: nothing, NA, null, NULL.
  public var nullSpellings = ["", "NA", "null", "NULL"]

  public init() {}
}
