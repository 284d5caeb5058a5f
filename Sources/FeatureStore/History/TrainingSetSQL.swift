internal import FeatureModel

/// Which engine a query is for.
public enum SQLDialect: String, Hashable, Sendable, CaseIterable {
  case duckdb
  case spark
  case trino
}

/// A training set as one SQL query over the same Iceberg tables, with the same meaning: for each row of the spine
/// and each group the record with the greatest (event time, LSN) of those that count at the row's moment; null
/// where that is a tombstone, has expired, or is not there; rows out = rows in, in their order.
///
///     with spine as (rows, numbered),
///     part_0 as (of the records that count for a row the newest, unless it is deleted or expired), ...
///     select the spine's columns, each reference's value from spine left join part_0 ... order by number
struct TrainingSetSQL {
  /// The features of one group that are asked for with one ttl at one of the spine's time columns.
  struct Part {
    /// With the ttl and the data delay that count.
    var group: FeatureGroup
    /// How the engine names the table, and the version of it.
    var table: String
    /// The columns that the version has.
    var columns: Set<String>
    var timeColumn: String
    /// The spine's columns for the record identifiers.
    var keyColumns: [String]
    var references: [FeatureReference]
    /// Where the references' columns are among the training set's features.
    var places: [Int]
  }

  let dialect: SQLDialect
  /// What to select the spine's rows from; their order is the training set's.
  let spine: String
  /// What has to be said to the engine before.
  var prologue: [String] = []
  /// The spine's columns, and the types that keys and times must have.
  let spineColumns: [(name: String, type: FeatureType?)]
  let parts: [Part]
  let visibility: TrainingSetRequest.Visibility

  /// Columns of the query's own.
  private static let row = "fstore_row"
  private static let ownPrefix = "fstore_"

  func text() throws(FeatureStoreError) -> String {
    let names = spineColumns.map(\.name)
    for name in names + parts.flatMap({ $0.columns })
    where name.lowercased().hasPrefix(Self.ownPrefix) {
      throw FeatureStoreError(
        .invalidArgument, "the query needs the names that begin with '\(Self.ownPrefix)': '\(name)'"
      )
    }
    var tables = ["spine as (\n\(spineQuery)\n)"]
    for (index, part) in parts.enumerated() {
      tables.append("part_\(index) as (\n\(try query(part))\n)")
    }
    var values: [(place: Int, text: String)] = []
    for (index, part) in parts.enumerated() {
      for (number, (reference, place)) in zip(part.references, part.places).enumerated() {
        values.append(
          (
            place,
            "part_\(index).\(Self.ownPrefix)value_\(number) as \(quoted(reference.outputName))"
          ))
      }
    }
    let columns =
      names.map { "spine.\(quoted($0))" }
      + values.sorted { $0.place < $1.place }.map(\.text)
    let joins = parts.indices.map {
      "left join part_\($0) on part_\($0).\(Self.row) = spine.\(Self.row)"
    }
    let query =
      "with " + tables.joined(separator: ",\n") + "\nselect\n  "
      + columns.joined(separator: ",\n  ") + "\nfrom spine\n"
      + (joins + ["order by spine.\(Self.row)"]).joined(separator: "\n")
    return (prologue + [query]).map { $0 + ";\n" }.joined()
  }

  /// The spine's rows, numbered in the order in which they come.
  private var spineQuery: String {
    let number =
      dialect == .spark ? "monotonically_increasing_id()" : "row_number() over ()"
    let columns = spineColumns.map { column in
      guard let type = column.type else { return quoted(column.name) }
      return "cast(\(quoted(column.name)) as \(name(of: type))) as \(quoted(column.name))"
    }
    return "  select " + (["\(number) as \(Self.row)"] + columns).joined(separator: ",\n    ")
      + "\n  from \(spine)"
  }

  private func query(_ part: Part) throws(FeatureStoreError) -> String {
    let time = "spine.\(quoted(part.timeColumn))"
    func own(_ name: String) -> String { "record.\(quoted(name))" }
    let event = own(part.group.eventTimeName)
    var conditions = zip(part.group.recordIdentifiers, part.keyColumns).map { identifier, column in
      "\(own(identifier.name)) = spine.\(quoted(column))"
    }
    conditions.append(try isAtMost(event, time, after: part.group.dataDelayMicroseconds))
    if visibility == .ingested { conditions.append("\(own(OfflineTables.writeTime)) <= \(time)") }
    var columns = ["spine.\(Self.row)"]
    for (number, reference) in part.references.enumerated() {
      let feature = part.group.features.first { $0.name == reference.feature }
      let value =
        part.columns.contains(reference.feature)
        ? own(reference.feature)
        : "cast(null as \(feature.map { name(of: $0.type) } ?? "varchar"))"
      columns.append("\(value) as \(Self.ownPrefix)value_\(number)")
    }
    columns.append("coalesce(\(own(OfflineTables.isDeleted)), false) as \(Self.ownPrefix)deleted")
    var gone: [String] = []
    if part.group.hasExpiryColumn, part.columns.contains(OfflineTables.expiresAt) {
      gone.append("\(own(OfflineTables.expiresAt)) < \(time)")
    }
    if case .microseconds(let length) = part.group.timeToLive {
      gone.append("not (\(try isAtLeast(event, time, before: length)))")
    }
    let isGone =
      gone.isEmpty ? "false" : gone.map { "coalesce(\($0), false)" }.joined(separator: " or ")
    columns.append("\(isGone) as \(Self.ownPrefix)expired")
    columns.append(
      "row_number() over (partition by spine.\(Self.row) order by \(event) desc, "
        + "\(own(OfflineTables.lsn)) desc nulls last) as \(Self.ownPrefix)rank")
    return """
        select * from (
          select \(columns.joined(separator: ",\n      "))
          from spine join \(part.table) record
            on \(conditions.joined(separator: "\n        and "))
        ) ranked
        where \(Self.ownPrefix)rank = 1 and not \(Self.ownPrefix)deleted and not \(Self.ownPrefix)expired
      """
  }

  // MARK: Times

  /// Whether an event is known at a moment, so long after it happened.
  private func isAtMost(
    _ event: String, _ time: String, after delay: Int64
  ) throws(FeatureStoreError) -> String {
    if delay == 0 { return "\(event) <= \(time)" }
    return "\(event) <= \(try earlier(time, by: delay))"
  }

  /// Whether an event is young enough at a moment.
  private func isAtLeast(
    _ event: String, _ time: String, before length: Int64
  ) throws(FeatureStoreError) -> String {
    "\(event) >= \(try earlier(time, by: length))"
  }

  private func earlier(_ time: String, by length: Int64) throws(FeatureStoreError) -> String {
    switch dialect {
    case .duckdb: return "\(time) - to_microseconds(\(length))"
    case .spark: return "timestampadd(MICROSECOND, -\(length), \(time))"
    case .trino:
      guard length % 1000 == 0 else {
        throw FeatureStoreError(
          .invalidArgument, "Trino's intervals are whole milliseconds, not \(length) microseconds")
      }
      return "date_add('millisecond', -\(length / 1000), \(time))"
    }
  }

  // MARK: Words

  func quoted(_ name: String) -> String {
    dialect == .spark
      ? "`" + name.replacing("`", with: "``") + "`"
      : "\"" + name.replacing("\"", with: "\"\"") + "\""
  }

  /// Text as a literal.
  static func literal(_ text: String) -> String { "'" + text.replacing("'", with: "''") + "'" }

  func name(of type: FeatureType) -> String {
    switch type {
    case .boolean: "boolean"
    case .int: dialect == .spark ? "int" : "integer"
    case .long: "bigint"
    case .float: dialect == .spark ? "float" : "real"
    case .double: "double"
    case .string: dialect == .spark ? "string" : "varchar"
    case .binary: dialect == .duckdb ? "blob" : dialect == .spark ? "binary" : "varbinary"
    case .date: "date"
    case .timestamp:
      switch dialect {
      case .duckdb: "timestamptz"
      case .spark: "timestamp"
      case .trino: "timestamp(6) with time zone"
      }
    case .decimal(let precision, let scale): "decimal(\(precision), \(scale))"
    // Spark reads them as text.
    case .uuid: dialect == .spark ? "string" : "uuid"
    case .list(let element, _):
      switch dialect {
      case .duckdb: "\(name(of: element))[]"
      case .spark: "array<\(name(of: element))>"
      case .trino: "array(\(name(of: element)))"
      }
    }
  }
}
