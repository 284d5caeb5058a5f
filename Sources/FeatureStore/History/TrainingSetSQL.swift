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
  struct Part {
    var plan: TrainingSetPlan.Part
    /// How the engine names the table, and the version of it; nil for one that is younger than what was asked for.
    var table: String?
    /// The columns that the version has.
    var columns: Set<String>
  }

  let dialect: SQLDialect
  /// What to select the spine's rows from; their order is the training set's.
  let spine: String
  /// What has to be said to the engine before.
  var prologue: [String] = []
  let spineColumns: [String]
  let parts: [Part]
  let visibility: TrainingSetRequest.Visibility
  let isStrict: Bool
  let excludesLate: Bool

  /// Columns of the query's own.
  private static let row = "fstore_row"
  private static let ownPrefix = "fstore_"

  func text() throws(FeatureStoreError) -> String {
    for name in spineColumns + parts.flatMap({ $0.columns })
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
      for (number, (reference, place)) in zip(part.plan.references, part.plan.places).enumerated() {
        values.append(
          (
            place,
            "part_\(index).\(Self.ownPrefix)value_\(number) as \(quoted(reference.outputName))"
          ))
      }
    }
    let columns =
      spineColumns.map { "spine.\(quoted($0))" }
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
    let columns = ["\(number) as \(Self.row)"] + spineColumns.map(quoted)
    return "  select " + columns.joined(separator: ",\n    ") + "\n  from \(spine)"
  }

  private func query(_ part: Part) throws(FeatureStoreError) -> String {
    let plan = part.plan
    let time = "cast(spine.\(quoted(plan.timeColumn)) as \(name(of: .timestamp)))"
    func own(_ name: String) -> String { "record.\(quoted(name))" }
    guard let table = part.table else {
      let values = try plan.references.indices.map { number throws(FeatureStoreError) in
        "cast(null as \(try type(plan, number))) as \(Self.ownPrefix)value_\(number)"
      }
      return "  select \(Self.row), \(values.joined(separator: ", ")) from spine where false"
    }
    let event = own(plan.group.eventTimeName)
    let writeTime = own(OfflineTables.writeTime)
    let isBefore = isStrict ? "<" : "<="
    var conditions = zip(plan.group.recordIdentifiers, plan.keyColumns).map { identifier, column in
      "\(own(identifier.name)) = cast(spine.\(quoted(column)) as \(name(of: identifier.type)))"
    }
    let delay = plan.group.dataDelayMicroseconds
    conditions.append(
      "\(event) \(isBefore) \(delay == 0 ? time : try earlier(time, by: delay))")
    if visibility == .ingested { conditions.append("\(writeTime) \(isBefore) \(time)") }
    var columns = ["spine.\(Self.row)"]
    for (number, reference) in plan.references.enumerated() {
      var value =
        part.columns.contains(reference.feature)
        ? own(reference.feature) : "cast(null as \(try type(plan, number)))"
      if case .microseconds(let length) = reference.timeToLive ?? plan.group.timeToLive {
        value = "case when \(event) >= \(try earlier(time, by: length)) then \(value) end"
      }
      columns.append("\(value) as \(Self.ownPrefix)value_\(number)")
    }
    columns.append("coalesce(\(own(OfflineTables.isDeleted)), false) as \(Self.ownPrefix)deleted")
    var gone: [String] = []
    if plan.group.hasExpiryColumn, part.columns.contains(OfflineTables.expiresAt) {
      gone.append("\(own(OfflineTables.expiresAt)) < \(time)")
    }
    if excludesLate { gone.append("\(writeTime) > \(time)") }
    let isGone =
      gone.isEmpty ? "false" : gone.map { "coalesce(\($0), false)" }.joined(separator: " or ")
    columns.append("\(isGone) as \(Self.ownPrefix)expired")
    columns.append(
      "row_number() over (partition by spine.\(Self.row) order by \(event) desc, "
        + "\(own(OfflineTables.lsn)) desc nulls last) as \(Self.ownPrefix)rank")
    return """
        select * from (
          select \(columns.joined(separator: ",\n      "))
          from spine join \(table) record
            on \(conditions.joined(separator: "\n        and "))
        ) ranked
        where \(Self.ownPrefix)rank = 1 and not \(Self.ownPrefix)deleted and not \(Self.ownPrefix)expired
      """
  }

  private func type(
    _ part: TrainingSetPlan.Part, _ reference: Int
  ) throws(FeatureStoreError) -> String {
    do {
      let index = try part.group.featureIndex(part.references[reference].feature)
      return name(of: part.group.features[index].type)
    } catch { throw FeatureStoreError(error) }
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
