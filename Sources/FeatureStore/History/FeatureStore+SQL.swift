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
  /// columns only. DuckDB reads .csv, .tsv, .jsonl and .parquet spines and the tables' current metadata files;
  /// Spark reads .csv and .parquet ones. Catalogs are named `fstore`.
  ///
  /// Throws `.invalidArgument` where the engine cannot say it.
  ///
  /// - Parameter spineTable: the engine's name for a table, or a query in parentheses, with the spine's rows;
  ///   their order is that in which the engine gives them. Nil reads the request's file.
  public func trainingSetQuery(
    _ request: TrainingSetRequest, for dialect: SQLDialect, spineTable: String? = nil
  ) throws(FeatureStoreError) -> String {
    do {
      var references: [FeatureReference]
      if let view = request.view {
        references = try self.view(view).features
      } else {
        references = try featureReferences(request.features)
      }
      guard !references.isEmpty else {
        throw FeatureStoreError(.invalidArgument, "a training set needs a view or features")
      }
      let parts = try self.parts(&references, request, dialect)
      let fields = try spineFields(request.spineFile)
      var columns: [(name: String, type: FeatureType?)] = fields.map { ($0.name, nil) }
      func expect(_ name: String, _ type: FeatureType) throws(FeatureStoreError) {
        guard let index = columns.firstIndex(where: { $0.name == name }) else {
          throw Registry.unknown("spine column", name, among: columns.map(\.name))
        }
        guard columns[index].type == nil || columns[index].type == type else {
          throw FeatureStoreError(
            .invalidArgument, "the spine's column '\(name)' would have to be of two types")
        }
        columns[index].type = type
      }
      for part in parts {
        try expect(part.timeColumn, .timestamp)
        for (name, identifier) in zip(part.keyColumns, part.group.recordIdentifiers) {
          try expect(name, identifier.type)
        }
      }
      let (source, prologue) = try spineSource(request.spineFile, fields, dialect, spineTable)
      return try TrainingSetSQL(
        dialect: dialect, spine: source, prologue: prologue, spineColumns: columns, parts: parts,
        visibility: request.visibility
      ).text()
    } catch { throw FeatureStoreError(error) }
  }

  private func parts(
    _ references: inout [FeatureReference], _ request: TrainingSetRequest, _ dialect: SQLDialect
  ) throws -> [TrainingSetSQL.Part] {
    var parts: [TrainingSetSQL.Part] = []
    let asOf = try request.asOf.map { try microseconds($0, name: "--as-of") }
    for (place, reference) in references.enumerated() {
      var group = try self.group(reference.group)
      _ = try group.featureIndex(reference.feature)
      group.timeToLive = reference.timeToLive ?? group.timeToLive
      let time = reference.timeColumn ?? request.timeColumn
      let index = parts.firstIndex {
        $0.group.name == group.name && $0.group.timeToLive == group.timeToLive
          && $0.timeColumn == time
      }
      if let index {
        parts[index].references.append(reference)
        parts[index].places.append(place)
        continue
      }
      let table = try tables.load(group)
      var scan = table.newScan()
      if let asOf { scan.version = TableVersion.time(asOf).scanned }
      let snapshot = asOf == nil ? nil : try scan.snapshot()
      parts.append(
        TrainingSetSQL.Part(
          group: group, table: try Self.tableName(table, snapshot, group, dialect),
          columns: Set(try scan.schema().fields.map(\.name)), timeColumn: time,
          keyColumns: group.recordIdentifiers.map { request.keyColumns[$0.name] ?? $0.name },
          references: [reference], places: [place]))
    }
    return parts
  }

  private static func tableName(
    _ table: Table, _ snapshot: Snapshot?, _ group: FeatureGroup, _ dialect: SQLDialect
  ) throws -> String {
    let id = snapshot.map { "\($0.snapshotID)" }
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

  /// The columns of a spine's file.
  private func spineFields(_ path: String) throws -> [Field] {
    guard try fileSystem.information(path) != nil else {
      throw FeatureStoreError(.notFound, "there is no file '\(path)'")
    }
    return try TabularReader.open(try fileSystem.open(path, .read)).schema.fields
  }

  /// What to select the spine from, and what to say before.
  private func spineSource(
    _ path: String, _ fields: [Field], _ dialect: SQLDialect, _ table: String?
  ) throws -> (source: String, prologue: [String]) {
    let zone: [String] =
      switch dialect {
      case .duckdb: ["set TimeZone = 'UTC'"]
      case .spark: ["set spark.sql.session.timeZone = UTC"]
      case .trino: ["set time zone 'UTC'"]
      }
    if let table { return (table, zone) }
    let absolute = TrainingSetSQL.literal(try fileSystem.canonicalPath(path))
    let unreadable = FeatureStoreError(
      .invalidArgument,
      "\(dialect.rawValue) cannot read the spine '\(path)': load it into a table, and name that "
        + "(--spine-table)")
    switch (dialect, TabularFormat(path: path)) {
    case (.duckdb, .parquet): return ("read_parquet(\(absolute))", zone)
    case (.duckdb, .csv(let delimiter)):
      let separator = TrainingSetSQL.literal(String(decoding: [delimiter], as: UTF8.self))
      return (
        "read_csv(\(absolute), header = true, delim = \(separator), nullstr = '', "
          + "allow_quoted_nulls = false, all_varchar = false, \(Self.types(fields)))", zone
      )
    case (.duckdb, .jsonLines):
      return ("read_json(\(absolute), format = 'newline_delimited', \(Self.types(fields)))", zone)
    case (.spark, .parquet): return ("parquet.`\(absolute.dropFirst().dropLast())`", zone)
    case (.spark, .csv(let delimiter)):
      let separator = String(decoding: [delimiter], as: UTF8.self)
      return (
        "fstore_spine",
        zone + [
          "create or replace temporary view fstore_spine using csv options "
            + "(path \(absolute), header 'true', sep '\(separator)', inferSchema 'true')"
        ]
      )
    default: throw unreadable
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
