internal import Columnar
internal import FeatureModel
internal import FileFormats
internal import Iceberg

/// The records of a feature group, in the order of its table's files: keys, event times and some features.
struct SpineRecords: SpineRows {
  let schema: Schema
  /// nil when the table has no such version, so that there are no rows.
  private let scan: TableScan?

  /// - Parameter filter: which records, in the words of SQL.
  init(
    _ group: FeatureGroup, filter: String?, features: [String], tables: TrainingSetTables
  ) throws {
    var fields = group.recordIdentifiers.map { Field($0.name, $0.type.dataType) }
    fields.append(Field(group.eventTimeName, .timestamp(isUTC: true)))
    for name in features {
      let feature = group.features[try group.featureIndex(name)]
      guard !fields.contains(where: { $0.name == name }) else {
        throw FeatureStoreError(.invalidArgument, "the spine has the column '\(name)' twice")
      }
      fields.append(Field(name, feature.type.dataType))
    }
    schema = Schema(fields)
    let choice = try tables.choice(group)
    guard let version = choice.version else {
      scan = nil
      return
    }
    var scan = choice.table.newScan()
    scan.version = version
    let isRecord = FilterExpression.comparison(OfflineTables.isDeleted, .equal, .boolean(false))
    scan.filter =
      try filter.map { .and([isRecord, try FilterExpression(parsing: $0)]) } ?? isRecord
    self.scan = scan
  }

  func rows(_ columns: Schema?) throws -> () throws -> RecordBatch? {
    guard var scan else { return { nil } }
    let wanted = columns ?? schema
    scan.columns = wanted.fields.map(\.name)
    let batches = try scan.batches()
    return {
      guard let batch = try batches.next() else { return nil }
      return try batch.under(wanted, of: "the spine")
    }
  }
}

extension RecordBatch {
  /// The same rows as these types; throws `.invalidInput` for a value that does not fit.
  func under(_ schema: Schema, of path: String) throws -> RecordBatch {
    let source = try TabularReader.open(
      [self], schema: self.schema, options: TabularOptions(schema: schema))
    guard let batch = try source.next() else {
      return try RecordBatch.concatenate([], schema: schema)
    }
    return try batch.whole(of: path)
  }
}
