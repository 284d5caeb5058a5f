internal import Columnar
internal import FeatureModel
internal import FileFormats
internal import Iceberg
internal import Storage

extension FeatureStore {
  /// The SQL query that gives the same training set from the same Iceberg tables in another engine, for who has
  /// outgrown one machine.
  ///
  /// Columns are the spine's, then the features', as in the training set. The spine's file is looked at for its
  /// columns only. DuckDB reads .csv, .tsv, .jsonl and .parquet spines and the tables' metadata files; Spark reads
  /// one .csv or .parquet file. Catalogs are named `fstore`. What is not flushed no other engine sees.
  ///
  /// Throws `.invalidArgument` where the engine cannot say it.
  ///
  /// - Parameter spineTable: the engine's name for a table, or a query in parentheses, with the spine's rows;
  ///   their order is that in which the engine gives them. Nil reads the request's files.
  public func trainingSetQuery(
    _ request: TrainingSetRequest, for dialect: SQLDialect, spineTable: String? = nil
  ) throws(FeatureStoreError) -> String {
    do {
      let plan = try TrainingSetPlan(request, store: self)
      let tables = try TrainingSetTables(self, request)
      let parts = try plan.parts.map { part in
        let choice = try tables.choice(part.group)
        let hasVersion = request.asOf != nil || request.asOfByGroup[part.group.name] != nil
        var scan = choice.table.newScan()
        if let version = choice.version { scan.version = version }
        let name = Self.tableName(
          choice.table, hasVersion ? choice.snapshotID : nil, part.group, dialect)
        // DuckDB does not read a table that has no snapshot yet.
        let isNothing = choice.isYounger || (dialect == .duckdb && choice.snapshotID == nil)
        return TrainingSetSQL.Part(
          plan: part, table: isNothing ? nil : name,
          columns: Set(try scan.schema().fields.map(\.name)))
      }
      guard case .files(let paths) = request.spine else {
        throw FeatureStoreError(
          .invalidArgument,
          "a query needs the spine as a file or a table; extract the spine once, and name that")
      }
      let wanted = try plan.keysAndTimes().fields
      let spine = try SpineFiles(
        paths, types: Dictionary(uniqueKeysWithValues: wanted.map { ($0.name, $0.type) }),
        fileSystem: fileSystem)
      for field in wanted { try spine.require(field.name, role: "the key or the time") }
      let (source, prologue) = try spineSource(
        SpineFiles.expanded(paths, fileSystem), spine.schema.fields, dialect, spineTable)
      return try TrainingSetSQL(
        dialect: dialect, spine: source, prologue: prologue,
        spineColumns: spine.schema.fields.map(\.name), parts: parts,
        visibility: request.visibility, isStrict: request.isStrict,
        excludesLate: request.excludesLate
      ).text()
    } catch { throw FeatureStoreError(error) }
  }

  private static func tableName(
    _ table: Table, _ snapshotID: Int64?, _ group: FeatureGroup, _ dialect: SQLDialect
  ) -> String {
    let id = snapshotID.map { "\($0)" }
    switch dialect {
    case .duckdb:
      var path = table.metadataLocation
      if path.hasPrefix("file://") { path.removeFirst("file://".count) }
      return "iceberg_scan(\(TrainingSetSQL.literal(path))"
        + (id.map { ", snapshot_from_id => \($0)" } ?? "") + ")"
    case .spark:
      return "\(OfflineTables.catalogName).\(OfflineTables.namespaceName).`\(group.name)`"
        + (id.map { " version as of \($0)" } ?? "")
    case .trino:
      return "\(OfflineTables.catalogName).\(OfflineTables.namespaceName).\"\(group.name)\""
        + (id.map { " for version as of \($0)" } ?? "")
    }
  }

  /// What to select the spine from, and what to say before.
  private func spineSource(
    _ paths: [String], _ fields: [Field], _ dialect: SQLDialect, _ table: String?
  ) throws -> (source: String, prologue: [String]) {
    let zone: [String] =
      switch dialect {
      case .duckdb: ["set TimeZone = 'UTC'"]
      case .spark: ["set spark.sql.session.timeZone = UTC"]
      case .trino: ["set time zone 'UTC'"]
      }
    if let table { return (table, zone) }
    let files = try paths.map { try fileSystem.canonicalPath($0) }
    let names = files.map { TrainingSetSQL.literal($0) }
    let list = names.count == 1 ? names[0] : "[\(names.joined(separator: ", "))]"
    let formats = Set(files.map { TabularFormat(path: $0) })
    switch (dialect, formats.count == 1 ? formats.first ?? nil : nil) {
    case (.duckdb, .parquet): return ("read_parquet(\(list))", zone)
    case (.duckdb, .csv(let delimiter)):
      let separator = TrainingSetSQL.literal(String(decoding: [delimiter], as: UTF8.self))
      return (
        "read_csv(\(list), header = true, delim = \(separator), nullstr = '', "
          + "allow_quoted_nulls = false, \(Self.types(fields)))", zone
      )
    case (.duckdb, .jsonLines):
      return ("read_json(\(list), format = 'newline_delimited', \(Self.types(fields)))", zone)
    case (.spark, .parquet) where files.count == 1: return ("parquet.`\(files[0])`", zone)
    case (.spark, .csv(let delimiter)) where files.count == 1:
      let separator = String(decoding: [delimiter], as: UTF8.self)
      return (
        "fstore_spine",
        zone + [
          "create or replace temporary view fstore_spine using csv options "
            + "(path \(names[0]), header 'true', sep '\(separator)', inferSchema 'true')"
        ]
      )
    default:
      throw FeatureStoreError(
        .invalidArgument,
        "\(dialect.rawValue) cannot read the spine \(paths.joined(separator: ", ")): load it into a table, "
          + "and name that (--spine-table)")
    }
  }

  /// The columns of a text file for DuckDB, as we have found them.
  private static func types(_ fields: [Field]) -> String {
    let columns = fields.map { field in
      let type =
        switch field.type {
        case .boolean: "boolean"
        case .int32: "integer"
        case .int64: "bigint"
        case .float32: "real"
        case .float64: "double"
        case .date: "date"
        case .timestamp(let isUTC): isUTC ? "timestamptz" : "timestamp"
        default: "varchar"
        }
      return "\(TrainingSetSQL.literal(field.name)): \(TrainingSetSQL.literal(type))"
    }
    return "columns = {\(columns.joined(separator: ", "))}"
  }
}
